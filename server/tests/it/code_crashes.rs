//! Orders of codes while processes fail and die: at every arrow of the table, from every state that it leads from, by
//! everything that takes it, on either side of the write. A state, an arrow or an act without its points does not
//! compile or fails.

use crate::codes::{Shop, acknowledged, books, bought, found};
use crate::world::{Machine, World, open_core, signed_in};
use axum::Router;
use axum::http::StatusCode;
use portcullis_faulty::Faults;
use portcullis_protocol::codes::{CodeEvent, CodeState};
use portcullis_protocol::wire::CodeSubmission;
use portcullis_protocol::{OrderId, ReleaseSecretKey, SecretKey};
use portcullis_server::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use portcullis_server::billing::{events, orders};
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::{self, delivery};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::store::CodeDecision;
use portcullis_server::{Asker, Core, effects};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::net::TcpListener;

/// Whatever takes an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    /// The webhook is answered.
    Hear,
    Verify,
    Submit,
    Fetch,
    Acknowledge,
    /// The terminal cannot read the code.
    Unreadable,
    Decline,
    /// Somebody looks at an order that is late.
    Late,
    /// The provider pays back.
    PayBack,
    BankDispute,
    BankLost,
    BankWon,
    /// The operator notes a dispute.
    Note,
    Keep,
    Reverse,
    /// The operator pays an order back.
    Refund,
    /// Nobody has acknowledged a code for very long.
    Lapse,
}

impl Act {
    /// Whatever takes an arrow, the most usual first. A new arrow has to be placed here, or this does not compile.
    const fn of(event: CodeEvent) -> &'static [Self] {
        match event {
            CodeEvent::Notified => &[Self::Hear],
            CodeEvent::Verified => &[Self::Verify],
            CodeEvent::CodeReceived => &[Self::Submit],
            CodeEvent::Delivered => &[Self::Fetch],
            CodeEvent::Acknowledged => &[Self::Acknowledge],
            CodeEvent::Failed => &[Self::Decline, Self::Late, Self::Refund],
            CodeEvent::RefundBegun => &[Self::Decline],
            CodeEvent::PaidBack => &[Self::PayBack],
            CodeEvent::ChargedBack => &[Self::BankDispute],
            CodeEvent::Disputed => &[Self::Note, Self::BankDispute, Self::Unreadable, Self::Refund],
            CodeEvent::Kept => &[Self::Keep, Self::BankWon],
            CodeEvent::Reversed => &[Self::Reverse, Self::BankLost, Self::Refund],
            CodeEvent::Lapsed => &[Self::Lapse],
        }
    }

    /// The write that takes it.
    const fn write(self) -> Write {
        match self {
            Self::Hear => Write::EffectFinish,
            Self::Verify => Write::CodeVerify,
            Self::Submit => Write::CodeAccept,
            Self::Fetch => Write::CodeDeliver,
            Self::Acknowledge | Self::Unreadable => Write::CodeAcknowledge,
            Self::Decline | Self::Late => Write::CodeFail,
            Self::PayBack => Write::RefundFinish,
            Self::BankDispute | Self::BankLost | Self::BankWon => Write::PaymentEvent,
            Self::Note | Self::Keep | Self::Reverse => Write::CodeDecide,
            Self::Refund => Write::RefundBegin,
            Self::Lapse => Write::CodeLapse,
        }
    }

    /// Whether it is possible where the arrow begins: whoever has read a code does not say that it cannot be read,
    /// and what a person decided no terminal decides again.
    const fn begins_in(self, source: CodeState) -> bool {
        !matches!((self, source), (Self::Unreadable, CodeState::Acknowledged | CodeState::Kept))
    }

    /// What leads to where it begins. A new state has to be placed here.
    fn way(self, source: CodeState) -> Vec<Self> {
        let until = |count: usize| [Self::Verify, Self::Submit, Self::Fetch, Self::Acknowledge][..count].to_vec();
        match source {
            // What failed is on its way back in the same transaction.
            CodeState::Paid | CodeState::Failed => Vec::new(),
            CodeState::Notified => vec![Self::Hear],
            CodeState::Verified => until(1),
            CodeState::CodeReceived => until(2),
            CodeState::Delivered => until(3),
            CodeState::Acknowledged => until(4),
            CodeState::Refunding => vec![Self::Decline],
            CodeState::Disputed if matches!(self, Self::BankLost | Self::BankWon) => {
                [until(3), vec![Self::BankDispute]].concat()
            }
            CodeState::Disputed => [until(3), vec![Self::Note]].concat(),
            CodeState::Kept => [until(3), vec![Self::Note, Self::Keep]].concat(),
            CodeState::Refunded | CodeState::ChargedBack | CodeState::Reversed => panic!("nothing leads from {source}"),
        }
    }

    /// Where the order is in the end, and what it has moved in the books: provider, undelivered, merchant, refunds,
    /// disputes.
    fn then(self, source: CodeState) -> (CodeState, [i64; 5]) {
        let (open, sold, back, waits) =
            ([-2000, 2000, 0, 0, 0], [-2000, 0, 2000, 0, 0], [0; 5], [-2000, 0, 0, 0, 2000]);
        match self {
            Self::Hear => (CodeState::Notified, open),
            Self::Verify => (CodeState::Verified, open),
            Self::Submit => (CodeState::CodeReceived, sold),
            Self::Fetch => (CodeState::Delivered, sold),
            Self::Acknowledge => (CodeState::Acknowledged, sold),
            Self::Note | Self::Unreadable => (CodeState::Disputed, sold),
            Self::BankDispute if source.has_code() => (CodeState::Disputed, waits),
            Self::BankDispute => (CodeState::ChargedBack, waits),
            Self::Decline | Self::Late | Self::PayBack => (CodeState::Refunded, back),
            Self::Refund if !source.has_code() => (CodeState::Refunded, back),
            Self::Refund | Self::Reverse | Self::BankLost => (CodeState::Reversed, back),
            Self::Keep | Self::BankWon | Self::Lapse => (CodeState::Kept, sold),
        }
    }
}

/// Whoever acts: in this process, or in one that dies.
struct Actor<'a> {
    core: &'a Core,
    shop: &'a Shop,
    asker: &'a Asker,
    order: OrderId,
    /// Where the merchant stores what it has sealed before it sends it.
    stored: &'a Path,
}

impl Actor<'_> {
    async fn act(&self, act: Act) -> Result<(), String> {
        let Self { core, shop, asker, order: id, stored } = self;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let play = async |what| {
            let event = PaymentEvent::new(*id, what);
            events::apply(core, SANDBOX, &event).await.map(drop).map_err(|error| text(&error))
        };
        let decide =
            async |decision| core.store.decide_code_order(id, decision).await.map(drop).map_err(|error| text(&error));
        let order = core.store.code_order(id).await.expect("read").expect("an order");
        match act {
            Act::Hear => effects::round(core).await.map(drop).map_err(|error| text(&error)),
            Act::Verify => shop.verify(core, &order).await.map(drop).map_err(|error| text(&error)),
            Act::Submit => {
                // The same bytes at every attempt, as a merchant does that stores them first.
                let verification = shop.verify(core, &order).await.map_err(|error| text(&error))?;
                let submission: CodeSubmission = match std::fs::read(stored) {
                    Ok(bytes) => serde_json::from_slice(&bytes).expect("what was stored"),
                    Err(_) => {
                        let submission = shop.seal(&verification, &["CODE"], Vec::new());
                        std::fs::write(stored, serde_json::to_vec(&submission).expect("JSON")).expect("stored");
                        submission
                    }
                };
                shop.submit(core, submission).await.map(drop).map_err(|error| text(&error))
            }
            Act::Fetch => delivery::fetch(core, asker, id).await.map(drop).map_err(|error| text(&error)),
            Act::Acknowledge | Act::Unreadable => {
                let said = acknowledged(&order, act == Act::Acknowledge);
                delivery::acknowledge(core, asker, id, &said).await.map(drop).map_err(|error| text(&error))
            }
            Act::Decline => {
                merchants::orders::decline(core, &shop.merchant, id, "").await.map(drop).map_err(|error| text(&error))
            }
            Act::Late => {
                merchants::orders::show(core, &shop.merchant, id).await.map(drop).map_err(|error| text(&error))
            }
            Act::PayBack | Act::Refund => orders::refund(core, id).await.map(drop).map_err(|error| text(&error)),
            Act::BankDispute => play(PaymentChange::Disputed).await,
            Act::BankLost => play(PaymentChange::ChargedBack).await,
            Act::BankWon => play(PaymentChange::DisputeWon).await,
            Act::Note => decide(CodeDecision::Dispute).await,
            Act::Keep => decide(CodeDecision::Keep).await,
            Act::Reverse => decide(CodeDecision::Reverse).await,
            Act::Lapse => core.store.sweep().await.map(drop).map_err(|error| text(&error)),
        }
    }
}

/// A merchant whose endpoint answers, and its customer.
struct Trade {
    world: World,
    shop: Shop,
    points: usize,
}

impl Trade {
    async fn new() -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(async || StatusCode::NO_CONTENT);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let owner = crate::world::account(&world.core, "games@example.org").await;
        let shop = Shop::at(&world.core, "games", owner, &url).await;
        Self { world, shop, points: 0 }
    }

    /// Does whatever is due.
    async fn settle(&self) {
        for _ in 0..3 {
            self.world.core.clock.advance(3);
            while effects::round(&self.world.core).await.expect("a round") > 0 {}
        }
    }

    fn stored(&self, order: &OrderId) -> PathBuf {
        self.world.folder.path().join(format!("{order}.stored-by-the-merchant"))
    }

    /// One act from one state, stopped at one point: by a failure, or by the death of its process.
    async fn stopped(&mut self, source: CodeState, act: Act, phase: Phase, kill: bool) {
        let point = format!("{}.{}", act.write().name(), phase.name());
        let what = format!("{act:?} in {source} at {point}");
        self.settle().await;
        // A merchant that fails so often would get no orders.
        self.world.database().run("DELETE FROM merchant_health");
        let machine = self.world.machine(&format!("a{}@example.org", self.points)).await;
        let before = books(&self.world, crate::codes::BOOKS).await;
        let order = bought(&self.world, &machine, &self.shop, &ReleaseSecretKey::generate(&mut rng())).await;
        let stored = self.stored(&order.id);
        let (world, shop, asker) = (&self.world, &self.shop, &machine.asker);
        let actor = Actor { core: &world.core, shop, asker, order: order.id, stored: &stored };
        for step in act.way(source) {
            actor.act(step).await.expect("on the way");
        }
        if act == Act::Late {
            world.core.clock.advance(700);
        }
        if act == Act::Lapse {
            crate::codes::long_ago(world, &order.id);
        }
        if kill {
            self.die(&machine, order.id, act, &point);
            // Its lease is over: nobody waits for it any more.
            world.core.clock.advance(4);
        } else {
            world.faults.arm(&point, false);
            let failed = actor.act(act).await;
            // What a process does by itself fails without telling anybody.
            assert!(failed.is_err() || act == Act::Hear, "{what}: {failed:?}");
            assert!(world.faults.have_struck(), "{what}: the point was not passed, and this proves nothing");
        }
        // Whatever was under way is taken up again, by the same requests and by the server itself.
        let again = actor.act(act).await;
        self.settle().await;
        let (state, moved) = act.then(source);
        let reached = found(&self.world, &order.id).await;
        assert_eq!(reached.state, Some(state), "{what}: {again:?}");
        let after = books(&self.world, crate::codes::BOOKS).await;
        let difference: Vec<i64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(difference, moved, "{what}: money without goods, or goods without money");
        // One code at most, and the one that its merchant had stored before it sent it.
        let accepted = reached.accepted.map(|accepted| accepted.digest);
        let sent = std::fs::read(&stored).ok().map(|bytes| {
            let CodeSubmission { enc, ciphertext, .. } = serde_json::from_slice(&bytes).expect("what was stored");
            portcullis_protocol::codes::SealedBytes { enc, ciphertext }.digest()
        });
        assert_eq!(accepted, sent, "{what}");
        assert_eq!(accepted.is_some(), state.has_code(), "{what}");
        // Nothing of it happens during the next one.
        if state.waits_for_code() {
            merchants::orders::decline(&self.world.core, &self.shop.merchant, &order.id, "").await.expect("declined");
        }
        self.points += 1;
    }

    /// Has another process act on the same database, and die.
    fn die(&self, machine: &Machine, order: OrderId, act: Act, point: &str) {
        let clock = &self.world.core.clock;
        let plan = Plan {
            act,
            order,
            merchant: self.shop.key.to_seed().to_vec(),
            terminal: machine.key.to_seed().to_vec(),
            token: machine.token.clone(),
            stored: self.stored(&order),
            shift: (clock.now().millis() - Clock::default().now().millis()) / 1000,
        };
        let folder = self.world.folder.path();
        std::fs::write(folder.join("code.json"), serde_json::to_vec(&plan).expect("JSON")).expect("written");
        let died = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "code_crashes::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("CODE_FOLDER", folder)
            .env("PORTCULLIS_FAULT", format!("{point}:kill"))
            .output()
            .expect("a child");
        assert!(died.status.code().is_none(), "{act:?}: {point}: the child died by a signal: {died:?}");
    }
}

#[derive(Serialize, Deserialize)]
struct Plan {
    act: Act,
    order: OrderId,
    merchant: Vec<u8>,
    terminal: Vec<u8>,
    token: String,
    stored: PathBuf,
    shift: i64,
}

/// The process that dies, platform and merchant in one.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child() {
    let Ok(folder) = std::env::var("CODE_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("code.json")).expect("a plan")).expect("JSON");
    let clock = Clock::default();
    clock.advance(plan.shift);
    let core = open_core(folder, clock, Faults::from_env()).await;
    let key = |seed: &[u8]| SecretKey::from_seed(&seed.try_into().expect("a seed"));
    let name = "games".parse().expect("a name");
    let merchant = core.store.merchant(&name).await.expect("read").expect("a merchant");
    let shop = Shop { merchant, key: key(&plan.merchant), product: portcullis_protocol::Digest::of(b"") };
    let asker = signed_in(&core, &key(&plan.terminal), &plan.token).await.expect("signed in");
    let asker = asker.asker().expect("enrolled");
    let actor = Actor { core: &core, shop: &shop, asker: &asker, order: plan.order, stored: &plan.stored };
    let survived = actor.act(plan.act).await;
    panic!("the fault point was not passed: {survived:?}");
}

/// Every arrow, from every state that it leads from, and whatever takes it there.
fn ways() -> Vec<(CodeState, &'static [Act])> {
    CodeState::ARROWS.iter().flat_map(|arrow| arrow.from.iter().map(|source| (*source, Act::of(arrow.event)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_on_either_side_of_any_arrow_is_taken_up_again_and_nothing_is_lost_or_doubled() {
    let mut trade = Trade::new().await;
    let mut expected = 0;
    for (source, acts) in ways() {
        for act in acts.iter().filter(|act| act.begins_in(source)) {
            expected += Phase::ALL.len();
            for phase in Phase::ALL {
                trade.stopped(source, *act, phase, false).await;
            }
        }
    }
    let pairs = ways().len();
    println!("{} points: {} arrows, {pairs} pairs of arrow and state", trade.points, CodeState::ARROWS.len());
    assert_eq!((trade.points, pairs), (expected, 22));
    assert!(expected >= 100, "{expected}");
}

/// Every pair of arrow and state, by what usually takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_arrow_leaves_an_order_that_goes_on() {
    let mut trade = Trade::new().await;
    for (source, acts) in ways() {
        let usual = acts.iter().find(|act| act.begins_in(source)).expect("something takes it");
        for phase in [Phase::BeforeCommit, Phase::AfterCommit] {
            trade.stopped(source, *usual, phase, true).await;
        }
    }
    println!("killed at {} points", trade.points);
    assert_eq!(trade.points, ways().len() * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: cargo xtask test --all"]
async fn a_process_that_is_killed_by_anything_at_any_arrow_leaves_an_order_that_goes_on() {
    let mut trade = Trade::new().await;
    for (source, acts) in ways() {
        for act in acts.iter().filter(|act| act.begins_in(source)) {
            for phase in Phase::ALL {
                trade.stopped(source, *act, phase, true).await;
            }
        }
    }
    println!("killed at {} points", trade.points);
}
