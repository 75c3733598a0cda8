//! Effects: each arrow, each claim, and processes that die at any of them.

use crate::codes::{Shop, bought, play};
use crate::database::Of;
use crate::metered::booked;
use crate::world::{Machine, World, count, fresh, keyed, open_core, order_request};
use portcullis_faulty::Faults;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::OrderState;
use portcullis_protocol::{Money, OrderId, ReleaseSecretKey};
use portcullis_server::Core;
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::{
    Begun, Charge, Decision, Payment, PaymentChange, PaymentError, PaymentProvider, PaymentState, Payments,
    RefundState, Sandbox,
};
use portcullis_server::crypto::secrets::rng;
use portcullis_server::effects;
use portcullis_server::effects::state::{ARROWS, EffectState, EffectStep};
use portcullis_server::ops::clock::Clock;
use portcullis_server::store::{
    ClaimEffect, EffectClaim, EffectKind, EffectOf, EffectVerdict, OrderPhase, SettleOutcome, Settlement,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

async fn order(world: &World, machine: &Machine, token: &str) -> OrderId {
    let request = order_request(world.offer("resize").await.1, token);
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("ordered").order
}

async fn phase(core: &Core, order: &OrderId) -> OrderPhase {
    core.store.order(order).await.expect("read").expect("an order").phase
}

async fn state(core: &Core, of: EffectOf) -> EffectState {
    core.store.effect_state(of).await.expect("read").expect("an effect")
}

async fn one(core: &Core) -> EffectClaim {
    let mut claims = core.store.claim_effects(10, 10).await.expect("claimed");
    assert_eq!(claims.len(), 1);
    claims.remove(0)
}

/// Lets time pass and the server act, until nothing more is due.
async fn after(core: &Core, seconds: i64) {
    core.clock.advance(seconds);
    while effects::round(core).await.expect("a round") > 0 {
        core.clock.advance(1);
    }
}

/// Takes a step by what the product calls, wherever the effect stands.
async fn step(world: &World, order: &OrderId, step: EffectStep, claim: Option<&EffectClaim>) {
    let (core, of) = (&world.core, EffectOf::order(EffectKind::Charge, order));
    let finish = async |verdict| {
        if let Some(claim) = claim {
            core.store.finish_effect(claim, verdict).await.expect("answered");
        }
    };
    match step {
        EffectStep::Claim | EffectStep::TakeOver => {
            core.clock.advance(61);
            drop(core.store.claim_effects(10, 0).await.expect("answered"));
        }
        EffectStep::Again => finish(EffectVerdict::Again(core.clock.now().plus(5))).await,
        EffectStep::Done => finish(EffectVerdict::Done).await,
        EffectStep::Failed => finish(EffectVerdict::Failed).await,
        EffectStep::Settled => drop(orders::decide(core, order, Decision::Settled).await.expect("answered")),
        EffectStep::Dropped => drop(orders::decide(core, order, Decision::Declined).await.expect("answered")),
        // It expires, and its provider is asked less often.
        EffectStep::PutOff => {
            drop(core.store.settle_order(order, Settlement::Ended, None).await.expect("answered"));
        }
        // Who waits retries, and has the claim at once.
        EffectStep::Retry => {
            if let ClaimEffect::Claimed(claim) = core.store.claim_effect(of, true).await.expect("answered") {
                core.store.finish_effect(&claim, EffectVerdict::Again(claim.now)).await.expect("answered");
            }
        }
    }
}

/// From every state every step is tried: it leads where the table says, and if the table has no such arrow, nowhere.
#[tokio::test]
async fn the_database_takes_the_arrows_of_the_table_and_no_others() {
    let steps: BTreeSet<EffectStep> = ARROWS.iter().map(|(_, step, _)| *step).collect();
    let world = World::new().await;
    for from in EffectState::ALL {
        for to in &steps {
            let machine = world.machine(&format!("{from:?}-{to:?}@example.org")).await;
            let order = order(&world, &machine, "pending").await;
            let of = EffectOf::order(EffectKind::Charge, &order);
            let claimed = match from {
                EffectState::Due => None,
                _ => {
                    world.core.clock.advance(30);
                    Some(one(&world.core).await)
                }
            };
            match from {
                EffectState::Done => step(&world, &order, EffectStep::Done, claimed.as_ref()).await,
                EffectState::Failed => step(&world, &order, EffectStep::Failed, claimed.as_ref()).await,
                EffectState::Due | EffectState::Claimed => {}
            }
            assert_eq!(state(&world.core, of).await, from);
            step(&world, &order, *to, claimed.as_ref()).await;
            let expected = match (from, to) {
                // Who waits claims what is due, and gives it back here. What has happened is revived by replays of
                // webhooks alone.
                (EffectState::Due, EffectStep::Retry) => EffectState::Due,
                (EffectState::Claimed | EffectState::Done, EffectStep::Retry) => from,
                // One step does for both.
                (EffectState::Due, EffectStep::TakeOver) => EffectState::Claimed,
                (EffectState::Claimed, EffectStep::Claim) => EffectState::Claimed,
                _ => from.after(*to).unwrap_or(from),
            };
            assert_eq!(state(&world.core, of).await, expected, "{from:?} {to:?}");
            // Out of the way of the next.
            world.database().change("DELETE FROM effects WHERE subject = ?1", &[Of::Blob(order.as_bytes())]);
        }
    }
}

/// A process stands still for longer than its claim, and wakes up: the other one has looked the outcome up, and nothing
/// of the first is written.
#[tokio::test]
async fn what_a_claim_that_is_over_found_out_is_not_written() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    let order = order(&world, &machine, "pending").await;
    world.core.clock.advance(30);
    let first = one(&world.core).await;
    assert!(second.store.claim_effects(10, 10).await.expect("asked").is_empty(), "it is in good hands");
    world.core.clock.advance(61);
    let later = one(&second).await;
    assert_eq!((later.id, later.fence, later.tries), (first.id, first.fence + 1, first.tries + 1));
    assert!(!later.is_first());
    for verdict in [EffectVerdict::Done, EffectVerdict::Failed, EffectVerdict::Again(first.now)] {
        assert!(!world.core.store.finish_effect(&first, verdict).await.expect("answered"), "{verdict:?}");
    }
    let said = world.core.store.settle_order(&order, Settlement::Declined, Some(&first)).await.expect("answered");
    assert!(matches!(said, SettleOutcome::Order(found) if found.phase == OrderPhase::Pending));
    // The control: the claim in force writes.
    let said = second.store.settle_order(&order, Settlement::Declined, Some(&later)).await.expect("answered");
    assert!(matches!(said, SettleOutcome::Order(found) if found.phase == OrderPhase::Declined));
    assert_eq!(state(&second, EffectOf::order(EffectKind::Charge, &order)).await, EffectState::Failed);
}

/// A provider that writes down what it is asked, and whose answers get lost.
#[derive(Clone, Default)]
struct Forgetful {
    asked: Arc<Mutex<Vec<(&'static str, String)>>>,
    lost: Arc<Mutex<u32>>,
    paid_back: Arc<Mutex<bool>>,
}

impl Forgetful {
    fn hear(&self, what: &'static str, key: &impl ToString) -> Result<(), PaymentError> {
        self.asked.lock().expect("free").push((what, key.to_string()));
        let mut lost = self.lost.lock().expect("free");
        if what != "look-up" && *lost > 0 {
            *lost -= 1;
            return Err(PaymentError { provider: "forgetful".into(), cause: "the answer was lost".into() });
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl PaymentProvider for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError> {
        self.hear("charge", &charge.key)?;
        Ok(portcullis_server::billing::payment::Outcome::Settled.into())
    }

    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError> {
        self.hear("look-up", &payment.key)?;
        let charged = self.asked.lock().expect("free").iter().any(|(what, _)| *what == "charge");
        Ok(match (payment.refunding, charged) {
            (Some(_), _) if *self.paid_back.lock().expect("free") => PaymentState::Refunded,
            (Some(_), _) | (None, true) => PaymentState::Settled,
            (None, false) => PaymentState::Unknown,
        })
    }

    async fn refund(&self, payment: &Payment, _: Money) -> Result<RefundState, PaymentError> {
        *self.paid_back.lock().expect("free") = true;
        self.hear("refund", &payment.key)?;
        Ok(RefundState::Done)
    }
}

/// An answer is lost although the provider did it: it is asked what became of it, and never asked to do it again.
#[tokio::test]
async fn an_outcome_that_is_not_known_is_looked_up_and_never_repeated_blindly() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let provider = Forgetful::default();
    let core = Core { payments: Payments::none().with(provider.clone()), ..world.core.clone() };
    let mut request = order_request(world.offer("resize").await.1, "ok");
    request.payment.provider = "forgetful".into();
    let same = keyed("same", &request);
    *provider.lost.lock().expect("free") = 1;
    orders::order(&core, &machine.asker, &request, &same).await.expect_err("the answer was lost");
    let paid = orders::order(&core, &machine.asker, &request, &same).await.expect("looked up");
    assert_eq!(paid.state, OrderState::Paid);
    *provider.lost.lock().expect("free") = 1;
    orders::refund(&core, &paid.order).await.expect_err("the answer was lost");
    assert_eq!(phase(&core, &paid.order).await, OrderPhase::Refunding);
    after(&core, 60).await;
    assert_eq!(phase(&core, &paid.order).await, OrderPhase::Refunded, "the server looked it up by itself");
    let asked = provider.asked.lock().expect("free").clone();
    let words: Vec<&str> = asked.iter().map(|(what, _)| *what).collect();
    assert_eq!(words, ["charge", "look-up", "refund", "look-up"], "each was done once");
    let keys: BTreeSet<&str> = asked.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(keys.len(), 2, "one key for the charge and one for the refund: {asked:?}");
    for (kind, at) in [(EffectKind::Charge, 0), (EffectKind::Refund, 2)] {
        let sql = "SELECT id FROM effects WHERE kind = ?1 AND subject = ?2";
        let id = world.database().bytes(sql, &[Of::Text(kind.word()), Of::Blob(paid.order.as_bytes())]);
        let id: [u8; 16] = id.try_into().expect("16 bytes");
        assert_eq!(Octets(id).to_string(), asked[at].1, "the row's identifier is the key");
    }
}

/// Who asks twice at once, in two processes, is answered with one order that was charged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_at_two_processes_is_charged_once() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    let provider = Forgetful::default();
    let with = |core: &Core| Core { payments: Payments::none().with(provider.clone()), ..core.clone() };
    let (one, two) = (with(&world.core), with(&second));
    let mut request = order_request(world.offer("resize").await.1, "ok");
    request.payment.provider = "forgetful".into();
    for round in 0..10 {
        let same = keyed(&format!("round-{round}"), &request);
        let (first, other) = tokio::join!(
            orders::order(&one, &machine.asker, &request, &same),
            orders::order(&two, &machine.asker, &request, &same)
        );
        let (first, other) = (first.expect("paid"), other.expect("paid"));
        assert_eq!((first.order, first.state, other.state), (other.order, OrderState::Paid, OrderState::Paid));
    }
    let asked = provider.asked.lock().expect("free").clone();
    assert_eq!(asked.iter().filter(|(what, _)| *what == "charge").count(), 10, "{asked:?}");
}

/// The writes and calls at which a process dies, by the steps that they are. A step of the table without one fails.
fn points(step: EffectStep) -> &'static [&'static str] {
    match step {
        EffectStep::Claim => &["order.open", "effect.claim", "charge.before", "charge.after"],
        EffectStep::TakeOver => &["effect.claim", "look-up.before", "look-up.after"],
        EffectStep::Again => &["payment.record", "effect.finish"],
        EffectStep::Done => &["order.settle", "provider-refund.before", "provider-refund.after", "refund.finish"],
        EffectStep::Failed | EffectStep::Dropped => &["order.settle", "effect.finish"],
        EffectStep::Settled => &["order.settle", "refund.finish"],
        EffectStep::PutOff => &["order.settle"],
        EffectStep::Retry => &["refund.begin", "effect.claim"],
    }
}

/// What a process does until it dies.
const ACTS: [&str; 4] = ["buy", "look up", "wait", "refund"];

/// Whether an act passes a point at all.
fn passes(act: &str, point: &str) -> bool {
    match act {
        "buy" => ["order.open", "order.settle", "payment.record", "charge.before", "charge.after"].contains(&point),
        "look up" => ["effect.claim", "order.settle", "look-up.before", "look-up.after"].contains(&point),
        "wait" => ["effect.claim", "effect.finish", "look-up.before", "look-up.after"].contains(&point),
        _ => ["refund.begin", "refund.finish", "provider-refund.before", "provider-refund.after"].contains(&point),
    }
}

/// A process is killed at every point of every arrow, while it buys, looks up, waits and pays back; another one goes
/// on. Everything happened once: ten uses, one payment, one refund.
#[tokio::test]
async fn a_process_that_is_killed_at_any_arrow_leaves_an_effect_that_another_one_finishes() {
    let mut killed = 0;
    let mut all: BTreeSet<String> = BTreeSet::new();
    for (_, step, _) in ARROWS {
        for point in points(*step) {
            let phases: &[&str] = if point.contains(".before") || point.contains(".after") {
                &[""]
            } else {
                &[".before-write", ".before-commit", ".after-commit"]
            };
            all.extend(phases.iter().map(|phase| format!("{point}{phase}")));
        }
    }
    let world = World::new().await;
    for act in ACTS {
        let of_act = all.iter().filter(|point| {
            let name = ["before-write", "before-commit", "after-commit"]
                .iter()
                .find_map(|phase| point.strip_suffix(phase).map(|name| name.trim_end_matches('.')));
            passes(act, name.unwrap_or(point))
        });
        for point in of_act {
            let machine = world.machine(&format!("{}{killed}@example.org", act.replace(' ', "-"))).await;
            died(&world, &machine, act, point).await;
            killed += 1;
        }
    }
    assert!(killed >= 30, "{killed} points");
    println!("killed at {killed} points");
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(booked(&balances, "refunds"), 0);
    assert_eq!(booked(&balances, "publisher:lumen") + booked(&balances, "provider:sandbox"), 0);
}

async fn died(world: &World, machine: &Machine, act: &str, point: &str) {
    let token = match act {
        "buy" => "ok",
        "look up" => "pending+settle",
        "wait" => "pending",
        _ => "ok+refund-late",
    };
    let before = match act {
        "buy" => None,
        _ => Some(order(world, machine, token).await),
    };
    world.core.clock.advance(30);
    let plan = Plan {
        act: act.to_owned(),
        order: before,
        offer: world.offer("resize").await.1,
        token: machine.token.clone(),
        seed: machine.key.to_seed().to_vec(),
        shift: (world.core.clock.now().millis() - Clock::default().now().millis()) / 1000,
    };
    kill(world, &plan, point);
    // Its lease is over, and what it left is due.
    world.core.clock.advance(4);
    let (core, asker) = (&world.core, &machine.asker);
    let order = match before {
        Some(order) => order,
        None => {
            let request = order_request(plan.offer, "ok");
            orders::order(core, asker, &request, &keyed("same", &request)).await.expect("finished").order
        }
    };
    after(core, 700).await;
    let expected = match act {
        "wait" => OrderPhase::Pending,
        "refund" => {
            // It may have died before anything was begun.
            orders::refund(core, &order).await.expect("paid back");
            after(core, 700).await;
            OrderPhase::Refunded
        }
        _ => OrderPhase::Paid,
    };
    assert_eq!(phase(core, &order).await, expected, "{act}: {point}");
    let uses = world.remaining(machine, "resize").await;
    assert_eq!(uses, if expected == OrderPhase::Paid { 10 } else { 0 }, "{act}: {point}");
    let sql = format!(
        "SELECT count(*) FROM ledger WHERE subject = x'{}' AND commodity <> 'uses'",
        order.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    );
    let transfers = match expected {
        OrderPhase::Pending => 0,
        OrderPhase::Paid => 1,
        _ => 2,
    };
    assert_eq!(count(world, &sql), transfers, "{act}: {point}: money moved once each way");
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Plan {
    act: String,
    order: Option<OrderId>,
    offer: portcullis_protocol::Digest,
    token: String,
    seed: Vec<u8>,
    shift: i64,
}

fn kill(world: &World, plan: &Plan, point: &str) {
    let file = world.folder.path().join("effect.json");
    std::fs::write(&file, serde_json::to_vec(plan).expect("json")).expect("written");
    let died = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "effects::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("EFFECT_FOLDER", world.folder.path())
        .env("PORTCULLIS_FAULT", format!("{point}:kill"))
        .output()
        .expect("a child");
    assert!(died.status.code().is_none(), "{}: {point}: the child died by a signal: {died:?}", plan.act);
}

/// The process that dies.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child() {
    let Ok(folder) = std::env::var("EFFECT_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("effect.json")).expect("a plan")).expect("json");
    let clock = Clock::default();
    clock.advance(plan.shift);
    let core = open_core(folder, clock, Faults::from_env()).await;
    match (plan.act.as_str(), plan.order) {
        ("refund", Some(order)) => drop(orders::refund(&core, &order).await),
        ("buy", _) => {
            let seed: [u8; 32] = plan.seed.as_slice().try_into().expect("a seed");
            let key = portcullis_protocol::SecretKey::from_seed(&seed);
            let asker = crate::world::signed_in(&core, &key, &plan.token).await.expect("signed in");
            let asker = asker.asker().expect("enrolled");
            let request = order_request(plan.offer, "ok+save");
            drop(orders::order(&core, &asker, &request, &keyed("same", &order_request(plan.offer, "ok"))).await);
        }
        _ => {}
    }
    for _ in 0..5 {
        drop(effects::round(&core).await);
        core.clock.advance(60);
    }
    panic!("the fault point was not passed");
}

/// The sandbox and a kind of claim that says whether anybody can have tried before.
#[tokio::test]
async fn the_first_claim_acts_and_every_later_one_asks() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = Core { payments: Payments::none().with(Sandbox::default()), ..world.core.clone() };
    let request = order_request(world.offer("resize").await.1, "ok");
    let paid = orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("paid");
    let (_, claim) = core.store.begin_refund(&paid.order).await.expect("begun");
    let claim = claim.expect("the caller's");
    assert!(claim.is_first());
    // Dropped, it was left behind, and this process takes it up at once; another one waits until it is over.
    let of = EffectOf::order(EffectKind::Refund, &paid.order);
    let second = world.second().await;
    assert!(matches!(second.store.claim_effect(of, false).await, Ok(ClaimEffect::Busy)));
    assert!(matches!(core.store.claim_effect(of, false).await, Ok(ClaimEffect::Busy)), "it is being worked on");
    drop(claim);
    match core.store.claim_effect(of, false).await.expect("answered") {
        ClaimEffect::Claimed(again) => assert!(!again.is_first()),
        other => panic!("{other:?}"),
    }
}

/// A provider that takes orders and never answers after that.
struct Silent;

#[async_trait::async_trait]
impl PaymentProvider for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    async fn begin(&self, _: &Charge) -> Result<Begun, PaymentError> {
        Ok(portcullis_server::billing::payment::Outcome::Pending.into())
    }

    async fn look_up(&self, _: &Payment) -> Result<PaymentState, PaymentError> {
        std::future::pending().await
    }

    async fn refund(&self, _: &Payment, _: Money) -> Result<RefundState, PaymentError> {
        std::future::pending().await
    }
}

/// A server that has both, and so many orders at the silent one, which are due.
async fn many_at_a_silent_provider(world: &World, count: usize) -> Core {
    let payments = Payments::none().with(Sandbox::default()).with(Silent);
    let core = Core { payments, ..world.core.clone() };
    let mut request = order_request(world.offer("resize").await.1, "token");
    (request.payment.provider, request.again) = ("silent".into(), true);
    for account in 0..count.div_ceil(20) {
        let machine = world.machine(&format!("payer{account}@example.org")).await;
        for _ in 0..(count - account * 20).min(20) {
            orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("pending");
        }
    }
    core.clock.advance(30);
    core
}

/// Whether one of the claims is of an order, and how many are of others.
fn of_order(claims: &[EffectClaim], kind: EffectKind, order: &OrderId) -> (bool, usize) {
    let is = |claim: &&EffectClaim| claim.of.kind == kind && claim.of.subject.0 == *order.as_bytes();
    (claims.iter().any(|claim| is(&claim)), claims.iter().filter(|claim| !is(claim)).count())
}

/// Whatever has been due at one provider for longest, what is due at another one and what needs none is tried beside it.
#[tokio::test]
async fn a_provider_that_does_not_answer_holds_up_no_other_and_no_deadline() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = many_at_a_silent_provider(&world, 35).await;
    let shop = Shop::new(&core, "games").await;
    let code = bought(&world, &machine, &shop, &ReleaseSecretKey::generate(&mut rng())).await.id;
    let refund = order(&world, &machine, "ok+refund-late").await;
    orders::refund(&core, &refund).await.expect("begun");
    let pending = order(&world, &machine, "pending").await;
    core.clock.advance(601);
    let claims = core.store.claim_effects(10, 0).await.expect("claimed");
    assert!(of_order(&claims, EffectKind::Charge, &pending).0, "the other provider is asked: {claims:?}");
    assert!(of_order(&claims, EffectKind::CodeDeadline, &code).0, "and an order of codes is late: {claims:?}");
    assert!(of_order(&claims, EffectKind::Refund, &refund).0, "and one is paid back: {claims:?}");
    assert_eq!(claims.len(), 13, "of those of the silent one as many as there are places: {claims:?}");
    // While those are asked about, no more of them are; another process has places of its own.
    assert!(core.store.claim_effects(10, 0).await.expect("claimed").is_empty());
    let second = world.second().await;
    assert_eq!(second.store.claim_effects(10, 0).await.expect("claimed").len(), 10);
    drop(claims);
    assert_eq!(core.store.claim_effects(10, 0).await.expect("claimed").len(), 10, "the places are free again");
}

/// What a process that died was at comes before what has only become due, however much that is.
#[tokio::test]
async fn what_was_left_behind_is_taken_up_before_what_is_due() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let second = world.second().await;
    let left = order(&world, &machine, "pending").await;
    second.clock.advance(30);
    assert_eq!(second.store.claim_effects(10, 0).await.expect("claimed").len(), 1);
    let core = many_at_a_silent_provider(&world, 35).await;
    second.store.close().await.expect("closed");
    core.clock.advance(4);
    let claims = core.store.claim_effects(10, 0).await.expect("claimed");
    assert_eq!(of_order(&claims, EffectKind::Charge, &left), (true, 10), "{claims:?}");
}

/// A refund that its provider refused, and then made all the same, waits for nobody.
#[tokio::test]
async fn a_refused_refund_that_was_made_by_hand_is_done() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let refused = order(&world, &machine, "ok+refund-refused").await;
    orders::refund(&world.core, &refused).await.expect_err("refused");
    let of = EffectOf::order(EffectKind::Refund, &refused);
    assert_eq!(state(&world.core, of).await, EffectState::Failed);
    play(&world.core, refused, PaymentChange::Refunded).await;
    assert_eq!(phase(&world.core, &refused).await, OrderPhase::Refunded);
    assert_eq!(state(&world.core, of).await, EffectState::Done);
}
