//! Server time is kept for each server by itself: what one says moves no other's clock, and one that jumps is not
//! believed until it is steady again.

use super::test_store::{
    START, Stores, TestClock, TestStore, origin, publisher_name, request, resource_name, rng, run,
};
use portcullis_host::{Client, ClientError, Gatekeeper as _, InstallSource, TransportError};
use portcullis_protocol::{Origin, Reason, SecretKey, SignedManifest};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

const OTHER: &str = "https://other.example";
const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;

fn other() -> Origin {
    Origin::new(OTHER).expect("origin")
}

fn reason<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Option<Reason> {
    answer.expect_err("refused").reason()
}

/// Two stores that the user trusts, each with a resource that was paid for, on one machine.
struct Two {
    here: Arc<TestStore>,
    there: Arc<TestStore>,
    stores: Arc<Stores>,
    machine: Arc<TestClock>,
    home: TempDir,
    resources: [Arc<SignedManifest>; 2],
}

impl Two {
    async fn new() -> (Self, Client) {
        let machine = TestClock::new();
        let here = TestStore::at(origin().as_str(), Arc::clone(&machine));
        let there = TestStore::at(OTHER, Arc::clone(&machine));
        let sold = |store: &TestStore| {
            let mut world = store.world();
            world.rights.insert("view".into(), None);
            world.grant_life = 30;
            world.publish(&SecretKey::generate(&mut rng()), (1, 0, 0))
        };
        let resources = [sold(&here), sold(&there)];
        let stores = Arc::new(Stores(vec![Arc::clone(&here), Arc::clone(&there)]));
        let home = TempDir::new().expect("home");
        let client = Arc::clone(&stores).signed_in(home.path(), Arc::clone(&machine) as _).await;
        (Self { here, there, stores, machine, home, resources }, client)
    }

    fn another_process(&self) -> Client {
        Arc::clone(&self.stores).client(self.home.path(), Arc::clone(&self.machine) as _)
    }

    fn pass(&self, seconds: u64) {
        self.machine.advance(seconds);
    }
}

#[tokio::test]
async fn a_store_that_dates_an_answer_ten_years_ahead_or_back_harms_nobody_but_itself() {
    for misdated in [TEN_YEARS, -TEN_YEARS, 3_600, -3_600, 302, -302] {
        let (two, client) = Two::new().await;
        let [ours, theirs] = &two.resources;
        run(&client, theirs, "view").await.expect("the control: the store as it was");
        two.there.world().misdated = misdated;
        let refused = run(&client, theirs, "view").await.expect_err("not believed");
        assert_eq!(refused.reason, Reason::ClockSuspect, "{misdated}: {refused}");
        assert!(refused.to_string().contains(OTHER), "{refused}");
        assert_eq!(reason(client.store(&other()).account().await), Some(Reason::ClockSuspect));
        // Nothing of that reaches the other store: its answers, keys and grants are judged as ever, also later, in
        // another process, and after the machine was started anew.
        for restarted in [false, true] {
            if restarted {
                two.machine.restart();
            }
            for client in [&client, &two.another_process()] {
                assert_eq!(client.server_clock(&origin()).now(), two.here.world().now());
                let released = run(client, ours, "view").await.expect("the other store");
                assert_eq!(released.grant.document().exp, two.here.world().now() + 30);
                client.store(&origin()).account().await.expect("answers");
            }
        }
        two.pass(31);
        assert!(client.server_clock(&origin()).now() >= START + 31, "its grants have ended");
    }
}

#[tokio::test]
async fn honest_clocks_differ_and_corrections_are_small() {
    for misdated in [299, -299] {
        let (two, client) = Two::new().await;
        two.there.world().misdated = misdated;
        run(&client, &two.resources[1], "view").await.expect("within five minutes");
        assert_eq!(client.server_clock(&other()).now(), START.saturating_add_signed(misdated));
    }
}

/// Four minutes at a time: each step alone would do.
#[tokio::test]
async fn a_store_that_creeps_gets_five_minutes_a_day() {
    let (two, client) = Two::new().await;
    let mut believed = 0;
    for step in 1..=10 {
        two.there.world().misdated = -240 * step;
        believed += usize::from(client.store(&other()).account().await.is_ok());
    }
    assert_eq!(believed, 1);
    client.store(&origin()).account().await.expect("the other store");
}

#[tokio::test]
async fn an_honest_store_whose_clock_was_wrong_comes_back_by_itself() {
    // Its clock was wrong when this terminal first heard of it; now its operator has set it.
    let (two, client) = Two::new().await;
    client.forget(&other()).await.expect("forgotten");
    two.there.world().misdated = 3_600;
    client.sign_in(&other(), "test").await.expect("begun").finish().await.expect("signed in");
    assert_eq!(client.server_clock(&other()).now(), START + 3_600);
    two.there.world().misdated = 0;
    let ask = |client: Client| async move { client.store(&other()).account().await };
    assert_eq!(reason(ask(client.clone()).await), Some(Reason::ClockSuspect));
    two.pass(599);
    assert_eq!(reason(ask(two.another_process()).await), Some(Reason::ClockSuspect), "in every process");
    two.pass(1);
    ask(two.another_process()).await.expect("its answers have agreed for ten minutes");
    // A process that was there all the time sees it for itself.
    ask(client.clone()).await.expect("as well");
    assert_eq!(client.server_clock(&other()).now(), START + 600);
    // The control: one that does not agree with itself never comes back.
    for step in 1..=20 {
        two.there.world().misdated = if step % 2 == 0 { TEN_YEARS } else { -TEN_YEARS };
        two.pass(60);
        assert_eq!(reason(ask(client.clone()).await), Some(Reason::ClockSuspect), "step {step}");
    }
}

#[tokio::test]
async fn signing_in_again_sets_a_servers_clock() {
    let (two, client) = Two::new().await;
    two.there.world().misdated = 7_200;
    assert_eq!(reason(client.store(&other()).account().await), Some(Reason::ClockSuspect));
    client.sign_in(&other(), "test").await.expect("begun").finish().await.expect("the user's own act");
    assert_eq!(client.server_clock(&other()).now(), START + 7_200);
    client.store(&other()).account().await.expect("believed");
    two.another_process().store(&other()).account().await.expect("in every process");
    // Ten years ahead no key document of today is valid; whoever signs in again has it judged by the machine's clock.
    client.forget(&other()).await.expect("forgotten");
    two.there.world().misdated = TEN_YEARS;
    client.sign_in(&other(), "test").await.expect("begun").finish().await.expect("signed in");
    two.another_process().store(&other()).account().await.expect_err("nothing of it holds then");
    two.there.world().misdated = 0;
    let again = two.another_process();
    again.sign_in(&other(), "test").await.expect("begun").finish().await.expect("signed in");
    again.store(&other()).account().await.expect("believed");
}

/// What an answer took on its way is not held against the server.
#[tokio::test]
async fn an_answer_that_was_long_on_its_way_is_believed() {
    let (two, client) = Two::new().await;
    let machine = Arc::clone(&two.machine);
    two.there.after(move |exchange, answer| {
        if exchange.path_and_query == "/v1/account" && answer.status == 200 {
            machine.advance(1_000);
        }
        Ok(answer)
    });
    client.store(&other()).account().await.expect("signed when it was asked for");
    two.there.honest();
    client.store(&other()).account().await.expect("and now");
}

/// A verification whose answer is dated wrongly is asked about again: nothing that was paid for is lost.
#[tokio::test]
async fn what_was_debited_while_the_clock_was_wrong_is_delivered_afterwards() {
    let (two, client) = Two::new().await;
    two.there.world().rights.insert("view".into(), Some(1));
    let code = client.cycle().request(request(&two.resources[1], "view")).await.expect("held");
    two.there.world().misdated = 86_400;
    assert_eq!(code.verify().await.expect_err("not believed").reason, Reason::ClockSuspect);
    assert_eq!(two.there.world().debits, 1);
    two.there.world().misdated = 0;
    run(&client, &two.resources[1], "view").await.expect("the same grant");
    assert_eq!(two.there.world().debits, 1, "debited once");
}

/// The journal is shared, and so is the sweep through it.
#[tokio::test]
async fn a_store_of_the_future_makes_nobody_forget_what_was_paid_at_another() {
    let (two, client) = Two::new().await;
    client.forget(&other()).await.expect("forgotten");
    two.there.world().misdated = TEN_YEARS;
    two.here.world().rights.insert("view".into(), Some(1));
    let code = client.cycle().request(request(&two.resources[0], "view")).await.expect("held");
    two.here.after(|exchange, answer| {
        let lost = exchange.path_and_query.ends_with("/verifications");
        if lost { Err(TransportError::Timeout) } else { Ok(answer) }
    });
    assert_eq!(code.verify().await.expect_err("lost").reason, Reason::Offline);
    two.here.honest();
    let again = two.another_process();
    again.sign_in(&other(), "test").await.expect("begun").finish().await.expect("signed in");
    again.cycle().resume().await.expect("seen to");
    run(&again, &two.resources[0], "view").await.expect("the grant that was paid for");
    assert_eq!(two.here.world().debits, 1);
}

/// One server keeps another waiting at nothing: a renewal that hangs holds no lock that others need.
#[tokio::test]
async fn a_store_that_does_not_answer_holds_up_no_other() {
    let (two, client) = Two::new().await;
    two.there.world().access.clear();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (hangs, hanging) = std::sync::mpsc::channel::<()>();
    two.there.before(move |exchange| {
        if exchange.path_and_query == "/oauth/token" {
            let _ = hangs.send(());
            let _ = released.recv_timeout(Duration::from_secs(20));
        }
        None
    });
    let stuck = std::thread::spawn({
        let client = client.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { client.store(&other()).account().await }).expect("in the end");
        }
    });
    hanging.recv_timeout(Duration::from_secs(20)).expect("it is being renewed");
    two.here.world().access.clear();
    let answered = tokio::time::timeout(Duration::from_secs(10), client.store(&origin()).account()).await;
    answered.expect("not held up").expect("renewed");
    let (server, publisher, name) = (Some(origin()), publisher_name(), resource_name());
    let source = InstallSource::Store { server, publisher, name, version: None };
    client.library().install(&source, &|_, _| {}).await.expect("nor is installing");
    release.send(()).expect("released");
    stuck.join().expect("answered");
}

/// One clock for all was kept until now.
#[tokio::test]
async fn the_time_that_earlier_versions_kept_goes_to_the_only_store_or_to_none() {
    let (two, client) = Two::new().await;
    drop(client);
    std::fs::write(two.home.path().join("clock"), [7; 40]).expect("written");
    let client = two.another_process();
    assert!(!two.home.path().join("clock").exists(), "nobody knows whose it was");
    assert_eq!(client.server_clock(&origin()).now(), START);
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_is_told_so_and_no_alarm_is_raised() {
    for wrong in [-400 * 24 * 3600_i64, 400 * 24 * 3600] {
        let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
        let machine = TestClock::new();
        machine.wall.store(START.saturating_add_signed(wrong), Ordering::SeqCst);
        let client = Arc::new(Stores(vec![Arc::clone(&store)])).client(home.path(), machine);
        let error = client.sign_in(&origin(), "test").await.expect_err("by which clock");
        assert_eq!(error.reason(), Some(Reason::ClockSuspect), "{error}");
        assert!(error.to_string().contains("by this machine's clock"), "{error}");
        assert!(!error.to_string().contains("root key"), "{error}");
    }
    // The control: keys that end by the server's own time are no matter of the machine's clock.
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let old = store.world().well_known();
    store.world().clock.advance(8 * 24 * 3600);
    store.before(move |exchange| {
        exchange.path_and_query.contains("well-known").then(|| Ok(super::test_store::plain(200, &old)))
    });
    assert_eq!(reason(client.store(&origin()).search("", None, None).await), Some(Reason::ServerUntrusted));
}

/// A grant is judged by the clock of the server that gave it, whatever the runtime was given.
#[tokio::test]
async fn a_cycle_knows_the_clock_of_each_server() {
    let (two, client) = Two::new().await;
    two.there.world().misdated = 250;
    client.store(&other()).account().await.expect("within five minutes");
    let cycle = client.cycle();
    let now = |origin: &Origin| cycle.clock(origin).expect("a clock").now();
    assert_eq!((now(&origin()), now(&other())), (START, START + 250));
    two.pass(10);
    assert_eq!((now(&origin()), now(&other())), (START + 10, START + 260));
}
