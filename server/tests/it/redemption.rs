//! Codes that redeem to rights: each once, by whoever types it first, and guessing locks out nobody but the guesser.

use crate::world::{Machine, World, count, fresh, holder, keyed, reason};
use futures::future::join_all;
use portcullis_fixtures::holds;
use portcullis_protocol::codes::RedemptionCode;
use portcullis_protocol::wire::{GiftsAnswer, GiftsRequest, RedemptionAnswer};
use portcullis_protocol::{Digest, PublisherName, Reason, ResourceName, Rights};
use portcullis_server::crypto::secrets::{Secrets, random};
use portcullis_server::merchants::redemption;
use portcullis_server::store::{Buyer, IdentityRecord, RewrapOutcome};
use portcullis_server::{Core, ServiceError};

fn names() -> (PublisherName, ResourceName) {
    ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"))
}

fn asked(offer: Digest, count: u32) -> GiftsRequest {
    GiftsRequest { offer, count, note: "press".into(), expires: None }
}

async fn make(world: &World, request: &GiftsRequest) -> Result<GiftsAnswer, ServiceError> {
    let (publisher, name) = names();
    redemption::make(&world.core, &world.owner, &publisher, &name, request, &fresh(request)).await
}

async fn redeem(core: &Core, machine: &Machine, code: &str) -> Result<RedemptionAnswer, ServiceError> {
    redemption::redeem(core, &machine.asker, code).await
}

/// A code in its form that nobody made.
fn made_up() -> String {
    RedemptionCode::from_bytes(random()).text().to_string()
}

#[tokio::test]
async fn a_code_redeems_once_to_what_its_offer_gives() {
    let world = World::new().await;
    let (ada, bob) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    let offer = world.offer("view").await.1;
    let made = make(&world, &asked(offer, 2)).await.expect("made");
    assert_eq!(made.codes.len(), 2);
    assert!(world.run(&ada, "view").await.is_err(), "the control: nothing is held before");

    let code = made.codes[0].code.to_lowercase().replace('-', " ");
    let answer = redeem(&world.core, &ada, &code).await.expect("redeemed, however it is written");
    assert_eq!((answer.operation.as_str(), answer.rights), ("view", Rights::Perpetual {}));
    world.run(&ada, "view").await.expect("the next authorisation succeeds");
    let now = || world.core.clock.now().seconds();
    world.core.clock.advance(100);
    let again = redeem(&world.core, &ada, &code).await.expect("said again");
    assert!(again == answer && !again.was_before(now()), "an answer that got lost");
    world.core.clock.advance(3600);
    let again = redeem(&world.core, &ada, &code).await.expect("said again");
    assert!(again == answer && again.was_before(now()), "{again:?}");
    assert_eq!(reason(redeem(&world.core, &bob, &code).await), Reason::CodeSpent);
    assert!(world.run(&bob, "view").await.is_err());
    // Whoever holds it already keeps the code for somebody else.
    assert_eq!(reason(redeem(&world.core, &ada, &made.codes[1].code).await), Reason::ConfirmationRequired);
    redeem(&world.core, &bob, &made.codes[1].code).await.expect("it is still good");

    // What is counted is counted.
    let offer = world.offer("resize").await.1;
    let made = make(&world, &asked(offer, 1)).await.expect("made");
    redeem(&world.core, &ada, &made.codes[0].code).await.expect("redeemed");
    assert_eq!(world.remaining(&ada, "resize").await, 10);
    let balances = world.core.store.balances().await.expect("balances");
    assert!(balances.iter().all(|balance| balance.account.as_str() != "publisher:lumen"), "a gift is no sale");
}

#[tokio::test]
async fn the_same_request_makes_the_same_codes_and_the_database_holds_none_of_them() {
    let world = World::new().await;
    let request = asked(world.offer("view").await.1, 3);
    let ((publisher, name), named) = (names(), keyed("gift", &request));
    let make = || redemption::make(&world.core, &world.owner, &publisher, &name, &request, &named);
    let (first, again) = (make().await.expect("made"), make().await.expect("made before"));
    let texts = |answer: &GiftsAnswer| answer.codes.iter().map(|code| code.code.clone()).collect::<Vec<_>>();
    assert_eq!((first.batch, texts(&first)), (again.batch, texts(&again)));
    assert_eq!(count(&world, "SELECT count(*) FROM redemption_codes"), 3);
    let stranger = world.machine("ada@example.org").await;
    let strange = redemption::make(&world.core, &stranger.account, &publisher, &name, &request, &fresh(&request)).await;
    assert!(matches!(strange, Err(ServiceError::NotFound)), "not the publisher's account");
    for bad in [
        GiftsRequest { count: 0, ..request.clone() },
        GiftsRequest { count: 1001, ..request.clone() },
        GiftsRequest { note: "a\u{202e}b".into(), ..request.clone() },
        GiftsRequest { expires: Some(1), ..request.clone() },
        GiftsRequest { offer: world.offer("preview").await.1, ..request.clone() },
    ] {
        let answer = redemption::make(&world.core, &world.owner, &publisher, &name, &bad, &fresh(&bad)).await;
        assert!(matches!(answer, Err(ServiceError::Unacceptable(_))), "{bad:?}");
    }
    let codes = texts(&first);
    world.core.store.close().await.expect("closed");
    if let crate::database::Place::File(path) = world.database() {
        let read = |suffix: &str| std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default();
        let bytes = [read(""), read("-wal")].concat();
        for text in &codes {
            let code: RedemptionCode = text.parse().expect("a code");
            assert!(!holds(&bytes, text) && !holds(&bytes, code.expose()), "a code is in the database");
        }
        assert!(holds(&bytes, first.codes[0].serial.as_bytes()), "the control: its serial is");
    }
}

/// Each request makes a thousand rows, and whoever publishes makes as many requests as he likes.
#[tokio::test]
async fn an_account_has_a_bounded_number_of_codes_that_nobody_redeemed() {
    let world = World::new().await;
    let core = Core { gift_codes: 5, ..world.core.clone() };
    let ada = world.machine("ada@example.org").await;
    let (offer, (publisher, name)) = (world.offer("resize").await.1, names());
    let make = async |number: u32| {
        let asked = asked(offer, number);
        redemption::make(&core, &world.owner, &publisher, &name, &asked, &fresh(&asked)).await
    };
    let first = make(3).await.expect("made");
    let rows = || count(&world, "SELECT count(*) FROM redemption_codes");
    let full = async || {
        let before = rows();
        let refused = make(3).await.expect_err("too many");
        let says = matches!(&refused, ServiceError::Unacceptable(why) if why.contains("`limits.gift_codes`"));
        assert!(says && rows() == before, "{refused:?}");
    };
    full().await;
    make(2).await.expect("as many as may be");
    // What is redeemed makes room, what is void only after a month, when its rows go.
    redeem(&core, &ada, &first.codes[0].code).await.expect("redeemed");
    make(1).await.expect("in its place");
    redemption::void(&core, &world.owner, &publisher, &first.batch).await.expect("voided");
    full().await;
    core.clock.advance(29 * 24 * 3600);
    core.store.sweep().await.expect("swept");
    full().await;
    let batch = async || {
        let batches = redemption::batches(&core, &world.owner, &publisher, &name, 0).await.expect("listed");
        let found =
            batches.batches.known.iter().find(|batch| batch.batch == first.batch).expect("it is listed").clone();
        (found.count, found.redeemed, found.void)
    };
    assert_eq!(batch().await, (3, 1, 2));
    core.clock.advance(2 * 24 * 3600);
    core.store.sweep().await.expect("swept");
    assert_eq!((rows(), batch().await), (4, (3, 1, 2)), "what became of them is still said");
    make(2).await.expect("there is room");
    assert_eq!(reason(redeem(&core, &ada, &first.codes[1].code).await), Reason::CodeUnknown);
}

#[tokio::test]
async fn what_was_voided_or_has_expired_gives_nothing() {
    let world = World::new().await;
    let ada = world.machine("ada@example.org").await;
    let offer = world.offer("resize").await.1;
    let (publisher, name) = names();
    let made = make(&world, &asked(offer, 3)).await.expect("made");
    redeem(&world.core, &ada, &made.codes[0].code).await.expect("redeemed before");
    let strange = redemption::void(&world.core, &ada.account, &publisher, &made.batch).await;
    assert!(matches!(strange, Err(ServiceError::NotFound)));
    let void = redemption::void(&world.core, &world.owner, &publisher, &made.batch).await.expect("voided");
    assert_eq!(void, 2, "what was redeemed stays");
    assert_eq!(reason(redeem(&world.core, &ada, &made.codes[1].code).await), Reason::CodeVoid);
    assert_eq!(world.remaining(&ada, "resize").await, 10);
    let listed = redemption::batches(&world.core, &world.owner, &publisher, &name, 0).await.expect("listed");
    let batch = &listed.batches[0];
    assert_eq!((batch.count, batch.redeemed, batch.void, batch.note.as_str()), (3, 1, 2, "press"));

    let expires = Some(world.core.clock.now().seconds() + 60);
    let made = make(&world, &GiftsRequest { expires, ..asked(offer, 2) }).await.expect("made");
    redeem(&world.core, &ada, &made.codes[0].code).await.expect("in time");
    world.core.clock.advance(61);
    assert_eq!(reason(redeem(&world.core, &ada, &made.codes[1].code).await), Reason::CodeVoid);
}

/// Whoever was shut out since the server asked who it is redeems nothing, and keeps the code.
#[tokio::test]
async fn who_was_shut_out_meanwhile_redeems_nothing() {
    let world = World::new().await;
    let made = make(&world, &asked(world.offer("view").await.1, 1)).await.expect("made");
    let code = &made.codes[0].code;
    let (ada, bob) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    let in_browser = Buyer::Browser(holder(&world.core, ada.account).await);
    world.core.store.set_suspended(&ada.account, true).await.expect("suspended");
    assert!(world.core.store.revoke_terminal(&bob.account, &bob.id).await.expect("revoked"));
    assert_eq!(reason(redeem(&world.core, &ada, code).await), Reason::AccountSuspended);
    let browser = redemption::redeem(&world.core, in_browser, code).await;
    assert_eq!(reason(browser), Reason::AccountSuspended);
    assert_eq!(reason(redeem(&world.core, &bob, code).await), Reason::TerminalRevoked);
    // The control: another terminal of the account.
    redeem(&world.core, &world.machine_of(bob.account).await, code).await.expect("redeemed");
}

#[tokio::test]
async fn guessing_locks_out_the_guesser_and_nobody_else() {
    let world = World::new().await;
    let (guesser, owner) = (world.machine("mallory@example.org").await, world.machine("ada@example.org").await);
    let made = make(&world, &asked(world.offer("resize").await.1, 2)).await.expect("made");
    for _ in 0..20 {
        let slip = "00000-00000-00000-00000";
        let answer = redeem(&world.core, &owner, slip).await;
        assert!(matches!(answer, Err(ServiceError::Unacceptable(_))), "a slip of the pen is no try");
    }
    for _ in 0..10 {
        assert_eq!(reason(redeem(&world.core, &guesser, &made_up()).await), Reason::CodeUnknown);
    }
    assert_eq!(reason(redeem(&world.core, &guesser, &made_up()).await), Reason::RateLimited);
    assert_eq!(
        reason(redeem(&world.core, &guesser, &made.codes[0].code).await),
        Reason::RateLimited,
        "a right one, too"
    );
    // Over another terminal and another process of the same server.
    let second = world.second().await;
    let other = world.machine_of(guesser.account).await;
    assert_eq!(reason(redeem(&second, &other, &made_up()).await), Reason::RateLimited);
    redeem(&world.core, &owner, &made.codes[0].code).await.expect("the code's owner was not locked out");
    world.core.clock.advance(3601);
    redeem(&world.core, &guesser, &made.codes[1].code).await.expect("nor is anybody for good");
}

/// One code, redeemed at once by this many terminals of as many accounts, over two processes.
async fn stampede(redeemers: usize) {
    let world = World::new().await;
    let second = world.second().await;
    let made = make(&world, &asked(world.offer("view").await.1, 1)).await.expect("made");
    let code = made.codes[0].code.as_str();
    let mut machines = Vec::new();
    for number in 0..8 {
        machines.push(world.machine(&format!("a{number}@example.org")).await);
    }
    let (cores, machines) = ([&world.core, &second], &machines);
    let tries = (0..redeemers).map(|number| {
        let (core, machine) = (cores[number % 2], &machines[number % machines.len()]);
        async move { (number % machines.len(), redeem(core, machine, code).await) }
    });
    let outcomes = join_all(tries).await;
    let winners: std::collections::BTreeSet<usize> =
        outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(who, _)| *who).collect();
    assert_eq!(winners.len(), 1, "one account has it");
    for (_, outcome) in outcomes.into_iter().filter(|(_, outcome)| outcome.is_err()) {
        assert_eq!(reason(outcome), Reason::CodeSpent);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements"), 1, "one entitlement");
    let winner = winners.into_iter().next().expect("one");
    world.run(&machines[winner], "view").await.expect("its next authorisation succeeds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_redeem_one_code_at_once_one_has_it() {
    stampede(400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "slow: cargo xtask test --all"]
async fn of_ten_thousand_that_redeem_one_code_at_once_one_has_it() {
    stampede(10_000).await;
}

/// A code belongs to whoever paid for it: a new master key made every one void, and whoever typed his a guesser.
#[tokio::test]
async fn codes_are_as_good_under_a_new_master_key_as_before() {
    let mut world = World::new().await;
    let (offer, (publisher, _)) = (world.offer("resize").await.1, names());
    let mut made = make(&world, &asked(offer, 5)).await.expect("made").codes;
    let voided = make(&world, &asked(offer, 1)).await.expect("made");
    redemption::void(&world.core, &world.owner, &publisher, &voided.batch).await.expect("voided");
    // One that cannot be made again: nobody can say which code it is.
    world.database().run("UPDATE redemption_codes SET number = 77 WHERE number = 4");
    let identity = IdentityRecord { origin: "https://store.example".into(), key_check: world.core.secrets.key_check() };
    world.core.store.bind_identity(identity).await.expect("bound");

    for (round, key) in [[1; 32], [2; 32], [3; 32]].into_iter().enumerate() {
        let (from, to) = (world.core.secrets.clone(), Secrets::from_master(&key));
        let done = world.core.store.rewrap(from, to.clone()).await.expect("done");
        assert!(matches!(done, RewrapOutcome::Done(_)), "{done:?}");
        world.core.secrets = to;
        let ada = world.machine(&format!("ada{round}@example.org")).await;
        let bob = world.machine(&format!("bob{round}@example.org")).await;
        let core = &world.core;
        redeem(core, &ada, &made[round].code).await.expect("as good as before");
        redeem(core, &ada, &made[round].code).await.expect("said again");
        for spent in &made[..=round] {
            assert_eq!(reason(redeem(core, &bob, &spent.code).await), Reason::CodeSpent);
        }
        assert_eq!(reason(redeem(core, &bob, &voided.codes[0].code).await), Reason::CodeVoid);
        assert_eq!(count(&world, "SELECT count(*) FROM redemption_tries"), 0, "nobody is a guesser");
        made.extend(make(&world, &asked(offer, 1)).await.expect("made").codes);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM redemption_codes WHERE number = 77 AND state = 2"), 1);
    let (ada, core) = (world.machine("ada@example.org").await, &world.core);
    for (nth, good) in made.iter().skip(5).chain(&made[3..4]).enumerate() {
        let eve = world.machine(&format!("eve{nth}@example.org")).await;
        redeem(core, &eve, &good.code).await.expect("whichever key made it");
    }
    assert_eq!(reason(redeem(core, &ada, &made_up()).await), Reason::CodeUnknown, "the control");
}
