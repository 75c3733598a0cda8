//! A redemption code whose sale is reversed while somebody redeems it, or uses what it gave: the right ends whatever
//! comes first, and nothing that holds for anybody else stops. On PostgreSQL each transaction is held up in its middle;
//! on SQLite there is one writer, and one comes after the other.

use crate::codes::{Shop, bought, state};
use crate::database::{Place, connect};
use crate::world::{Machine, World, fresh, reason};
use futures::future::join_all;
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::GiftsRequest;
use portcullis_protocol::{OrderId, Reason, ReleaseSecretKey};
use portcullis_server::billing::orders;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::redemption;
use std::time::{Duration, Instant};

/// What a transaction waits for in its middle.
const GATE: i64 = 4242;

/// Codes of the publisher, sold by a merchant of the same account: each with the order that it was sold by.
async fn sold(world: &World, shop: &Shop, buyer: &Machine, operation: &str, count: usize) -> Vec<(OrderId, String)> {
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let offer = world.offer(operation).await.1;
    let gifts = GiftsRequest { offer, count: u32::try_from(count).expect("few"), note: String::new(), expires: None };
    let made = redemption::make(&world.core, &world.owner, &publisher, &name, &gifts, &fresh(&gifts)).await;
    let mut sold = Vec::new();
    for gift in made.expect("made").codes {
        let paid = bought(world, buyer, shop, &ReleaseSecretKey::generate(&mut rng())).await;
        let verification = shop.verify(&world.core, &paid).await.expect("verified");
        let sealed = shop.seal(&verification, &[&gift.code], vec![gift.serial]);
        shop.submit(&world.core, sealed).await.expect("accepted");
        sold.push((paid.id, gift.code));
    }
    sold
}

/// Holds every row up that is added to a table, until it is opened.
struct Gate {
    client: postgres::Client,
    place: Place,
}

impl Gate {
    /// `None` on a database with one writer.
    fn before(world: &World, table: &str) -> Option<Self> {
        let place = world.database();
        let Place::Address(address) = &place else { return None };
        place.run(&format!(
            "CREATE OR REPLACE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_lock({GATE}); PERFORM pg_advisory_unlock({GATE}); RETURN NEW; END $$;
             CREATE TRIGGER wait_here BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION wait_here()"
        ));
        let client = portcullis_fixtures::postgres::outside(|| {
            let mut client = connect(address);
            client.batch_execute(&format!("SELECT pg_advisory_lock({GATE})")).expect("locked");
            client
        });
        Some(Self { client, place })
    }

    /// Waits until so many transactions wait for each other or for the gate.
    async fn wait_for(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let begun = Instant::now();
        while self.place.number(waiting, &[]) < count {
            assert!(begun.elapsed() < Duration::from_secs(30), "{count} transactions are held up in 30 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn open(mut self, table: &str) {
        portcullis_fixtures::postgres::outside(|| {
            self.client.batch_execute(&format!("SELECT pg_advisory_unlock({GATE})")).expect("open");
            drop(self.client);
        });
        self.place.run(&format!("DROP TRIGGER wait_here ON {table}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_that_is_voided_while_it_is_redeemed_gives_nothing() {
    let world = World::new().await;
    let second = world.second().await;
    let shop = Shop::of(&world.core, "games", world.owner).await;
    let (buyer, redeemer) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    let (order, code) = sold(&world, &shop, &buyer, "resize", 1).await.remove(0);
    let refund = || orders::refund(&second, &order);
    if let Some(gate) = Gate::before(&world, "entitlements") {
        let (core, asker, typed) = (world.core.clone(), redeemer.asker.clone(), code.clone());
        let redeeming = tokio::spawn(async move { redemption::redeem(&core, &asker, &typed).await });
        gate.wait_for(1).await;
        let (to_refund, id) = (second.clone(), order);
        let refunding = tokio::spawn(async move { orders::refund(&to_refund, &id).await });
        gate.wait_for(2).await;
        gate.open("entitlements");
        redeeming.await.expect("ran").expect("redeemed first");
        refunding.await.expect("ran").expect("and then voided");
    } else {
        redemption::redeem(&world.core, &redeemer.asker, &code).await.expect("redeemed");
        refund().await.expect("voided");
    }
    assert_eq!(state(&world, &order).await, CodeState::Reversed);
    assert_eq!(world.remaining(&redeemer, "resize").await, 0, "money and right");
    assert!(world.run(&redeemer, "resize").await.is_err());
    assert_eq!(reason(redemption::redeem(&world.core, &redeemer.asker, &code).await), Reason::CodeVoid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_right_that_is_voided_while_it_is_used_leaves_no_hold_that_stops_the_sweep() {
    let world = World::new().await;
    let second = world.second().await;
    let shop = Shop::of(&world.core, "games", world.owner).await;
    let (buyer, redeemer) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    let (order, code) = sold(&world, &shop, &buyer, "resize", 1).await.remove(0);
    redemption::redeem(&world.core, &redeemer.asker, &code).await.expect("redeemed");
    // Somebody else holds a use, too: it has to come back.
    world.buy(&buyer, "resize").await;
    world.authorise(&buyer, &world.ask("resize", 1)).await.expect("held");
    if let Some(gate) = Gate::before(&world, "authorisations") {
        let request = world.ask("resize", 1);
        let (core, asker) = (world.core.clone(), redeemer.asker.clone());
        let using = tokio::spawn(async move {
            portcullis_server::billing::cycle::authorise(&core, &asker, &request, &fresh(&request)).await
        });
        gate.wait_for(1).await;
        let to_refund = second.clone();
        let refunding = tokio::spawn(async move { orders::refund(&to_refund, &order).await });
        gate.wait_for(2).await;
        gate.open("authorisations");
        drop(using.await.expect("ran"));
        refunding.await.expect("ran").expect("voided");
    } else {
        world.authorise(&redeemer, &world.ask("resize", 1)).await.expect("held");
        orders::refund(&second, &order).await.expect("voided");
    }
    assert!(world.run(&redeemer, "resize").await.is_err(), "the right has ended");
    // When the holds have expired, the sweep gives back what there is to give back, and does not fail.
    world.core.clock.advance(3600);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(world.remaining(&buyer, "resize").await, 10, "everybody else's hold is released");
}

/// What is bought for good and what a code gave, at one account: one stands behind the other.
#[tokio::test]
async fn what_was_bought_for_good_stays_when_the_code_beside_it_is_voided() {
    let world = World::new().await;
    let shop = Shop::of(&world.core, "games", world.owner).await;
    let (buyer, redeemer) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    let other = world.machine("eve@example.org").await;
    let codes = sold(&world, &shop, &buyer, "view", 2).await;
    for (machine, (_, code)) in [&redeemer, &other].into_iter().zip(&codes) {
        redemption::redeem(&world.core, &machine.asker, code).await.expect("redeemed");
    }
    let again = {
        let mut request = crate::world::order_request(world.offer("view").await.1, "ok");
        request.again = true;
        request
    };
    orders::order(&world.core, &redeemer.asker, &again, &fresh(&again)).await.expect("bought beside it");
    for (order, _) in &codes {
        orders::refund(&world.core, order).await.expect("voided");
    }
    world.run(&redeemer, "view").await.expect("what was paid for is held");
    assert!(world.run(&other, "view").await.is_err(), "the control: nothing else was bought");
}

/// Whoever was answered that a right is his has it at his next request, at whichever process.
async fn next_authorisations(count: usize) {
    let world = World::new().await;
    let second = world.second().await;
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let offer = world.offer("resize").await.1;
    let mut machines = Vec::new();
    for number in 0..8 {
        machines.push(world.machine(&format!("a{number}@example.org")).await);
    }
    let each = count / machines.len();
    // Half of them are redeemed, and half of them bought, at one process; the use is asked for at the other one.
    let (world, cores) = (&world, [&world.core, &second]);
    let series = machines.iter().map(|machine| async {
        let mut codes = Vec::new();
        for number in 0..each {
            let (here, there) = (cores[number % 2], cores[(number + 1) % 2]);
            if number % 2 == 0 {
                if codes.is_empty() {
                    let gifts = GiftsRequest { offer, count: 50, note: String::new(), expires: None };
                    let (core, owner) = (&world.core, &world.owner);
                    let named = fresh(&gifts);
                    let made = redemption::make(core, owner, &publisher, &name, &gifts, &named).await;
                    codes = made.expect("made").codes;
                }
                let code = codes.pop().expect("a code").code;
                redemption::redeem(here, &machine.asker, &code).await.expect("redeemed");
            } else {
                let request = crate::world::order_request(offer, "ok");
                orders::order(here, &machine.asker, &request, &fresh(&request)).await.expect("bought");
            }
            let request = world.ask("resize", 10);
            let named = fresh(&request);
            let next = portcullis_server::billing::cycle::authorise(there, &machine.asker, &request, &named).await;
            next.expect("the next authorisation succeeds");
        }
        each
    });
    let done: usize = join_all(series).await.into_iter().sum();
    println!("{done} of {count}");
    assert_eq!(done, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_redemption_or_a_purchase_the_next_authorisation_succeeds_at_either_process() {
    next_authorisations(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "slow: cargo xtask test --all"]
async fn after_ten_thousand_redemptions_and_purchases_each_next_authorisation_succeeds() {
    next_authorisations(10_000).await;
}
