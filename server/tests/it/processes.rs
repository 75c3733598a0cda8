//! Processes that die, databases that restart, and whom a connection is made to.

#[cfg(unix)]
use crate::command::terminate;
use crate::command::{free_address, json, run, serve};
use crate::database::{Of, Place, use_postgres};
use crate::world::{Machine, World, count, fresh, open_core};
use portcullis_faulty::Faults;
use portcullis_fixtures::postgres::{Cluster, cluster};
use portcullis_protocol::SecretKey;
use portcullis_protocol::wire::{OrderRequest, VerificationRequest};
use portcullis_server::billing::{cycle, orders};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{DatabaseAddress, Postgres, PostgresOptions, StoreError};
use portcullis_server::{Asker, Core, ServiceError};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a process under load does: buys, draws, and draws again.
async fn work(core: &Core, asker: &Asker, world: &Plan) -> Result<(), ServiceError> {
    // What a killed process left pending is no reason to wait: more of what is counted is wanted.
    let order = OrderRequest { again: true, ..crate::world::order_request(world.offer, "ok") };
    orders::order(core, asker, &order, &fresh(&order)).await?;
    for _ in 0..3 {
        let code = cycle::authorise(core, asker, &world.request, &fresh(&world.request)).await?;
        let request = VerificationRequest { code: code.code, request: world.request.clone() };
        cycle::verify(core, asker, &request, &fresh(&request)).await?;
    }
    Ok(())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Plan {
    offer: portcullis_protocol::Digest,
    request: portcullis_protocol::wire::AuthorisationRequest,
    token: String,
    seed: Vec<u8>,
}

impl Plan {
    async fn of(world: &World, machine: &Machine) -> Self {
        let (offer, request) = (world.offer("resize").await.1, world.ask("resize", 1));
        Self { offer, request, token: machine.token.clone(), seed: machine.key.to_seed().to_vec() }
    }
}

/// Everything adds up: each commodity to zero, what is held to the holds, what was drawn to the grants.
async fn adds_up(world: &World) {
    world.core.clock.advance(40);
    world.core.store.sweep().await.expect("swept");
    let balances = world.core.store.balances().await.expect("balances");
    for balance in &balances {
        let of = balances.iter().filter(|other| other.commodity == balance.commodity);
        assert_eq!(of.map(|other| other.amount).sum::<i64>(), 0, "{balances:?}");
    }
    assert_eq!(count(world, "SELECT coalesce(sum(held), 0) FROM entitlements"), 0);
    let drawn = count(world, "SELECT coalesce(sum(used), 0) FROM entitlements");
    assert_eq!(drawn, count(world, "SELECT count(*) FROM grants"));
    assert_eq!(drawn, count(world, "SELECT count(*) FROM authorisations WHERE state = 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_one_is_killed_under_load_and_the_other_notices_nothing() {
    let world = World::new().await;
    let (machine, other) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    let plan = world.folder.path().join("plan.json");
    std::fs::write(&plan, serde_json::to_vec(&Plan::of(&world, &other).await).expect("json")).expect("written");
    let ours = Plan::of(&world, &machine).await;
    for round in 1..=2 {
        let log = std::fs::File::create(world.folder.path().join("child.log")).expect("a log");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "processes::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("PROCESS_FOLDER", world.folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a child");
        let begun = Instant::now();
        let bought = |machine: &Machine| {
            let sql = "SELECT count(*) FROM orders WHERE account = ?1 AND state = 1";
            world.database().number(sql, &[Of::Blob(machine.account.as_bytes())])
        };
        let before = bought(&other);
        while bought(&other) < before + 3 {
            work(&world.core, &machine.asker, &ours).await.expect("nothing is noticed");
            assert!(begun.elapsed() < Duration::from_secs(60), "the child does not work");
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        for _ in 0..5 {
            work(&world.core, &machine.asker, &ours).await.expect("nothing is noticed");
        }
        assert!(bought(&other) >= before + 3, "round {round}");
    }
    adds_up(&world).await;
}

/// The process that is killed.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child() {
    let Ok(folder) = std::env::var("PROCESS_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan.json")).expect("a plan")).expect("json");
    let core = open_core(folder, Clock::default(), Faults::default()).await;
    let seed: [u8; 32] = plan.seed.as_slice().try_into().expect("a seed");
    let signed_in = crate::world::signed_in(&core, &SecretKey::from_seed(&seed), &plan.token).await.expect("signed in");
    let asker = signed_in.asker().expect("enrolled");
    loop {
        work(&core, &asker, &plan).await.expect("nothing is noticed");
    }
}

/// A store on a database of its own cluster, whatever the tests run on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_restarts_is_found_again_and_nothing_is_lost_or_doubled() {
    if !crate::database::is_postgres() {
        // What follows needs a world on PostgreSQL; the suite runs there too.
        let folder = tempfile::tempdir().expect("a folder");
        use_postgres(folder.path());
        let store = Place::of(folder.path(), "server.db").open(Clock::default(), FaultPoints::none()).expect("a store");
        cluster().restart();
        store.now().await.expect("found again");
        store.hold_lease().await.expect("written again");
        return;
    }
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let plan = Plan::of(&world, &machine).await;
    let (mut done, mut failed) = (0, 0);
    let restarting = tokio::task::spawn_blocking(|| {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(700));
            cluster().restart();
        }
    });
    while !restarting.is_finished() || done <= 3 {
        match work(&world.core, &machine.asker, &plan).await {
            Ok(()) => done += 1,
            Err(ServiceError::Failed(_)) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    restarting.await.expect("restarted");
    assert!(done > 3, "{done} done, {failed} failed");
    adds_up(&world).await;
}

/// A request whose outcome is unknown is asked again under its key, and has happened once.
#[tokio::test]
async fn a_database_that_is_gone_is_said_to_be_and_no_password_is() {
    let cluster = Cluster::start(&[]);
    let place = Place::Address(cluster.database());
    let store = place.open(Clock::default(), FaultPoints::none()).expect("a store");
    store.now().await.expect("read");
    cluster.stop();
    let error = store.hold_lease().await.expect_err("gone");
    assert!(matches!(error, StoreError::Unreachable { .. } | StoreError::Unknown(_)), "{error}");
    let read = store.now().await.expect_err("gone").to_string();
    assert!(read.contains("localhost") && read.contains("cannot be used"), "{read}");
}

/// What a server does by itself is not begun when it is to stop: each thing would wait for the database.
#[cfg(unix)]
#[test]
fn a_server_stops_soon_while_its_database_is_gone() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().expect("a folder"));
    let (dir, listen) = (folder.path(), free_address());
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &listen, "--database", &cluster.database()]));
    let mut served = serve(dir);
    cluster.stop();
    // Until a round of housekeeping is under way.
    std::thread::sleep(Duration::from_secs(6));
    let begun = Instant::now();
    terminate(&mut served);
    // Generous, for a machine that does much else.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let log = std::fs::read_to_string(dir.join("log")).expect("a log");
    assert!(log.contains("stopping"), "{log}");
}

/// Certificates of an authority made for this test: the name `localhost`.
pub(crate) fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for authority in ["right", "wrong"] {
        let (key, cert) = (format!("{authority}.key"), format!("{authority}.pem"));
        let subject = format!("/CN=the {authority} authority");
        let made =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        openssl(&[&made[..], &["-keyout", &key, "-out", &cert, "-subj", &subject]].concat());
    }
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").expect("written");
    let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=db"];
    openssl(&[&request[..], &["-keyout", "server.key", "-out", "server.csr"]].concat());
    let signed = ["x509", "-req", "-in", "server.csr", "-CA", "right.pem", "-CAkey", "right.key", "-CAcreateserial"];
    openssl(&[&signed[..], &["-days", "2", "-extfile", "names", "-out", "server.pem"]].concat());
}

#[test]
fn only_the_database_that_was_meant_is_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("made");
    let cluster = Cluster::with_tls(&read("server.pem"), &read("server.key"));
    cluster.run("postgres", "CREATE ROLE shop LOGIN PASSWORD 'a s3cret word'");
    cluster.run("postgres", "CREATE DATABASE shop OWNER shop");
    let open = |host: &str, query: &str, password: &str| {
        let text = format!("postgres://shop:{password}@{host}:{}/shop?{query}", cluster.port());
        let address: DatabaseAddress = text.parse().map_err(|error| format!("{error}"))?;
        let options = PostgresOptions::new(address);
        Postgres::open(options).map(drop).map_err(|error| error.to_string())
    };
    let root = |name: &str| format!("sslmode=verify-full&sslrootcert={}", folder.path().join(name).display());
    let password = "a%20s3cret%20word";
    open("localhost", &root("right.pem"), password).expect("the control");
    let text = format!("postgres://shop@localhost:{}/shop?{}", cluster.port(), root("right.pem"));
    let without = Postgres::open(PostgresOptions::new(text.parse().expect("an address"))).map(drop);
    let said = without.expect_err("it asks for one").to_string();
    assert!(said.contains("set PGPASSWORD, or put it into the address"), "{said}");
    for (host, query, password, words) in [
        ("localhost", root("wrong.pem"), password, "certificate"),
        ("127.0.0.1", root("right.pem"), password, "certificate"),
        ("localhost", "sslmode=verify-full".to_owned(), password, "certificate"),
        ("localhost", root("right.pem"), "an%20s3cret", "password authentication failed"),
        ("localhost", root("right.pem"), "an%20s3cret", "the password in PGPASSWORD"),
        ("localhost", "sslmode=disable".to_owned(), password, "pg_hba"),
        ("localhost", root("none.pem"), password, "none.pem"),
        ("localhost", root("server.key"), password, "no certificate"),
    ] {
        let said = open(host, &query, password).expect_err(&query);
        assert!(said.contains(words) && !said.contains("s3cret"), "{query}: {said}");
    }
}
