//! P13: an order of electronic codes, from the answer that it is paid to the sealed code at its terminal: what the
//! server takes of it, at so many orders a second.

use super::{Setting, Sink};
use crate::duel::Series;
use crate::plan::{Customer, Plan};
use crate::row::{Row, Targets};
use crate::seller::{self, Seller};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Draft, Terminal, rng};
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderRequest, EventsAnswer, OrderAnswer, OrderState,
    PaymentMethod,
};
use portcullis_protocol::{Digest, EpochId, OrderId, ReleaseSecretKey, SecretKey, paths};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Terminals that buy, each with a stream of events.
const BUYERS: usize = 16;
/// Orders a second, whether or not those before are done.
const RATE: u32 = 100;
/// The slowest hundredth may take this long.
const TARGET: Duration = Duration::from_millis(250);
/// How long the last orders may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each order was paid, and when its code was there.
#[derive(Default)]
struct Seen {
    paid: Mutex<HashMap<OrderId, Instant>>,
    delivered: Mutex<HashMap<OrderId, Instant>>,
    error: Mutex<Option<String>>,
}

pub(super) fn measure(setting: &Setting, sink: Sink<'_>) -> Result<()> {
    let (rate, warm, counted) = if setting.quick { (20, 0, 20) } else { (RATE, RATE, 10 * RATE) };
    let buyers = setting.few(BUYERS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let port = listener.local_addr()?.port();
    let mut made = None;
    let shop = setting.shop_with("p13", buyers, async |core| {
        made = Some(seller::stock(core, crate::stock::account_of(0), port).await?);
        Ok(())
    })?;
    let (key, product) = made.context("no merchant was made")?;
    let plan = shop.plan()?;
    let (mut slowest, mut medians) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let place = Place::open(&plan, buyers, listener, key, product).await?;
        place.run(rate, warm).await?;
        for _ in 0..setting.rounds() {
            let took = place.run(rate, counted).await?;
            let at = |part: f64| took[((took.len() as f64) * part) as usize].as_nanos() as f64;
            slowest.push(at(0.99));
            medians.push(at(0.5));
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let what = "the server's share of an order of codes, the slowest hundredth, beside the median";
    let targets = Targets { ours: Some(TARGET.as_nanos() as f64), ..Targets::default() };
    sink(vec![Row::new("P13", what, &Series::of(&slowest), &Series::of(&medians), targets)])
}

/// Buyers and a merchant.
struct Place {
    seller: Seller,
    buyers: Vec<Terminal>,
    product: Digest,
    seen: Arc<Seen>,
}

impl Place {
    async fn open(plan: &Plan, buyers: usize, listener: TcpListener, key: SecretKey, product: Digest) -> Result<Self> {
        let seller = Seller::open(listener, &plan.origin, key).await?;
        let seen = Arc::new(Seen::default());
        let mut terminals = Vec::new();
        for customer in &plan.customers[..buyers] {
            let mut terminal = terminal(plan, customer).await?;
            let events: EventsAnswer = terminal.ask(&Draft::get(paths::EVENTS)).await?;
            let follower = Follower { terminal: terminal.clone(), epoch: events.epoch, seq: events.last };
            tokio::spawn(follower.run(Arc::clone(&seen)));
            terminals.push(terminal);
        }
        Ok(Self { seller, buyers: terminals, product, seen })
    }

    /// Orders so many codes at this rate, and waits for all of them. Returns the server's share of each, sorted.
    async fn run(&self, rate: u32, orders: u32) -> Result<Vec<Duration>> {
        let mut clock = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut ordered = Vec::new();
        for number in 0..orders {
            clock.tick().await;
            let buyer = self.buyers[number as usize % self.buyers.len()].clone();
            let order = order(buyer.clone(), self.product, Arc::clone(&self.seen));
            ordered.push((buyer, tokio::spawn(order)));
        }
        let mut took = Vec::new();
        for (buyer, order) in ordered {
            took.push(self.share(buyer, &order.await??).await?);
        }
        took.sort_unstable();
        Ok(took)
    }

    /// What the server took of an order: without what its merchant did itself.
    async fn share(&self, mut buyer: Terminal, order: &OrderId) -> Result<Duration> {
        let (begun, seen) = (Instant::now(), &self.seen);
        loop {
            for error in [&seen.error, &self.seller.work().error] {
                if let Some(error) = locked(error).clone() {
                    bail!(error);
                }
            }
            if let Some(delivered) = locked(&seen.delivered).remove(order) {
                let paid = locked(&seen.paid).remove(order).context("it was not paid")?;
                let own = locked(&self.seller.work().took).remove(order).context("its merchant did nothing")?;
                return Ok(delivered.saturating_duration_since(paid).saturating_sub(own));
            }
            if begun.elapsed() > PATIENCE {
                let answer: CodeOrderAnswer = buyer.ask(&Draft::get(paths::fill(paths::CODE, &[order]))).await?;
                bail!("order {order} is {:?} after {} s", answer.info.state, PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn terminal(plan: &Plan, customer: &Customer) -> Result<Terminal> {
    let mut terminal = Terminal::new(&plan.origin).await?;
    ensure!(terminal.root == plan.root, "another server");
    terminal.key = SecretKey::from_seed(&customer.seed.0);
    terminal.release = ReleaseSecretKey::from_bytes(customer.release.0);
    terminal.token = Some(customer.token.clone());
    Ok(terminal)
}

/// Orders one code, under a key of its own.
async fn order(mut buyer: Terminal, product: Digest, seen: Arc<Seen>) -> Result<OrderId> {
    let key = ReleaseSecretKey::generate(&mut rng());
    let request = CodeOrderRequest {
        product,
        quantity: Quantity::ONE,
        recipient: Octets(*key.public().as_bytes()),
        request: None,
        payment: PaymentMethod { provider: "sandbox".into(), token: "ok".into() },
        again: true,
    };
    let answer: OrderAnswer = buyer.ask(&Draft::post(paths::CODES, &request)).await?;
    let paid = Instant::now();
    ensure!(answer.state == OrderState::Paid, "an order is {:?}", answer.state);
    locked(&seen.paid).insert(answer.order, paid);
    Ok(answer.order)
}

/// A terminal that hears of its codes: where it has read up to.
struct Follower {
    terminal: Terminal,
    epoch: EpochId,
    seq: u64,
}

impl Follower {
    /// Fetches each code, and says that it has it, until something goes wrong.
    async fn run(mut self, seen: Arc<Seen>) {
        loop {
            if let Err(error) = self.stream(&seen).await {
                locked(&seen.error).get_or_insert_with(|| format!("a terminal: {error:#}"));
                return;
            }
        }
    }

    /// Follows one stream until it ends. The next one begins where this one has got to.
    async fn stream(&mut self, seen: &Arc<Seen>) -> Result<()> {
        let origin = self.terminal.origin.clone();
        let mut stream = self.terminal.follow(origin.as_str(), self.epoch, self.seq).await?;
        let mut begun = false;
        while let Some(event) = stream.next().await? {
            begun = true;
            ensure!(event.epoch == self.epoch, "the events are of another epoch");
            let Some(body) = event.body else {
                ensure!(event.seq == self.seq, "the last event is {}, and {} was heard", event.seq, self.seq);
                continue;
            };
            ensure!(event.seq == self.seq + 1, "event {} came after {}", event.seq, self.seq);
            self.seq = event.seq;
            if body.kind != "code.received" {
                continue;
            }
            let named = serde_json::to_value(&body.data)?["order"].as_str().and_then(|order| order.parse().ok());
            let order = named.context("an event that names no order")?;
            let (mut terminal, seen) = (self.terminal.clone(), Arc::clone(seen));
            tokio::spawn(async move {
                if let Err(error) = fetch(&mut terminal, order, &seen).await {
                    locked(&seen.error).get_or_insert_with(|| format!("a terminal: {error:#}"));
                }
            });
        }
        ensure!(begun, "a stream ended before it began");
        Ok(())
    }
}

async fn fetch(terminal: &mut Terminal, order: OrderId, seen: &Seen) -> Result<()> {
    let (path, acknowledged) = (paths::fill(paths::CODE, &[&order]), paths::fill(paths::CODE_ACK, &[&order]));
    let answer: CodeOrderAnswer = terminal.ask(&Draft::get(path)).await?;
    let delivery = answer.delivery.context("nothing is delivered")?;
    locked(&seen.delivered).insert(order, Instant::now());
    let sealed = delivery.sealed();
    let ack = CodeAckRequest { generation: answer.info.generation, ciphertext: sealed.digest(), readable: true };
    let _: CodeAckAnswer = terminal.ask(&Draft::post(acknowledged, &ack)).await?;
    Ok(())
}
