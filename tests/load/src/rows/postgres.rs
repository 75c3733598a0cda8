//! P8: the store on PostgreSQL alone, two of them on one database, beside `pgbench` with the same statements.

use super::{Setting, Sink};
use crate::duel::Series;
use crate::pgbench::{self, LOGGED, Run, Stand};
use crate::row::{Row, Targets};
use crate::stock::{self, account_of, numbered, terminal_of};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::postgres::Cluster;
use portcullis_fixtures::{fresh_key, random};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{CodeBinding, CodeId, Digest, GrantId, IdempotencyKey, Origin, PairwiseId, Rights, paths};
use portcullis_server::billing::entitlement::{Draw, EntitlementId};
use portcullis_server::crypto::keys;
use portcullis_server::crypto::secrets::{Secrets, rng};
use portcullis_server::ops::config::Config;
use portcullis_server::store::{
    AuthorisationQuery, AuthoriseOutcome, Idempotency, NewAuthorisation, NewGrant, Store, VerificationQuery,
    VerifyOutcome,
};
use portcullis_server::{MASTER_KEY, Parts, open_store};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clients of both stores together, and of `pgbench`.
const CLIENTS: usize = 32;
/// Accounts among which both draw.
const CUSTOMERS: u32 = 128;
/// Of a kind of their own each.
const ENTITLEMENT: u8 = 3;
const PAIRWISE: u8 = 4;
/// A database that keeps what it confirms, with its usual settings but for the log.
const SETTINGS: [&str; 5] =
    ["fsync=on", "full_page_writes=on", "autovacuum=on", "shared_buffers=256MB", "max_wal_size=1GB"];
/// What is written into the log before and after the cycle whose statements are taken.
const MARKS: [&str; 2] = ["'a cycle begins'", "'a cycle ends'"];

pub(super) fn measure(setting: &Setting, sink: Sink<'_>) -> Result<()> {
    let folder = setting.folder.join("p8");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let cluster = Cluster::start(&[&SETTINGS[..], &LOGGED[..]].concat());
    let address = cluster.database();
    let name = address.split('?').next().and_then(|path| path.rsplit('/').next()).context("a name")?.to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let goods = runtime.block_on(fill(&folder, &address, setting.few(CUSTOMERS as usize) as u32))?;
    // What was bought has numbers, too, so that a script can name it.
    cluster.run(&name, &format!("UPDATE entitlements SET id = {} || substr(account, 13, 4)", prefix(ENTITLEMENT)));
    let script = folder.join("cycle.sql");
    fs::write(&script, runtime.block_on(taken(&cluster, &name, &address, &folder, &goods))?)?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let time = if setting.quick { Duration::from_secs(1) } else { Duration::from_secs(4) };
    for round in 0..=setting.rounds() {
        let (rate, mine) = runtime.block_on(driven(&folder, &address, &goods, time))?;
        let first = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())? << 20;
        let before = grants(&cluster, &name);
        let (database, script) = (name.as_str(), script.as_path());
        let run = Run { database, script, clients: CLIENTS, customers: goods.customers, first, time };
        let (cycles, tps) = pgbench::run(&cluster, &run)?;
        let written = grants(&cluster, &name) - before;
        ensure!(u64::try_from(written)? >= cycles && mine > 0, "{cycles} cycles of pgbench wrote {written} grants");
        // The first round warms both up.
        if round > 0 || setting.quick {
            ours.push(1e9 / rate);
            theirs.push(1e9 / tps);
        }
    }
    let targets = Targets { bare: Some(1.0 / 0.8), ..Targets::default() };
    let what = "a cycle of two stores on one PostgreSQL, 32 clients, beside pgbench with its statements";
    sink(vec![Row::new("P8", what, &Series::of(&ours), &Series::of(&theirs), targets)])
}

/// What is sold, and to how many.
#[derive(Clone, Copy)]
struct Goods {
    resource: Digest,
    publisher: portcullis_server::store::PublisherId,
    customers: u32,
}

/// Makes a server in the database, with customers.
async fn fill(folder: &Path, address: &str, customers: u32) -> Result<Goods> {
    let secrets = Secrets::create(&folder.join(MASTER_KEY))?;
    let store = open(folder, address, true)?;
    keys::init(&*store, &secrets).await?;
    store.close().await?;
    let origin: Origin = "https://store.example".parse().ok().context("an origin")?;
    let database = Some(address.parse()?);
    let mut config = Config { dir: folder.to_owned(), origin: Some(origin.clone()), database, ..Config::default() };
    config.payment.set("sandbox", true);
    let core = portcullis_server::open(&config, origin, Parts::default()).await?;
    let plan = stock::fill(&core, customers).await?;
    let name = stock::PUBLISHER.parse().ok().context("a name")?;
    let publisher = core.store.publisher(&name).await?.context("a publisher")?.id;
    core.store.close().await?;
    Ok(Goods { resource: plan.resource, publisher, customers })
}

fn open(folder: &Path, address: &str, create: bool) -> Result<Arc<dyn Store>> {
    Ok(open_store(folder, Some(&address.parse()?), create, &Parts::default())?)
}

/// The SQL of what identifiers of a kind begin with.
fn prefix(kind: u8) -> String {
    format!("decode('{}', 'hex')", hex(&numbered(kind, 0)[..12]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is new in a cycle.
struct Names {
    customer: u32,
    code: CodeId,
    grant: GrantId,
    keys: [IdempotencyKey; 2],
}

impl Names {
    fn draw(customers: u32) -> Self {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Self {
            customer: u32::from_be_bytes(random()) % customers,
            code: CodeId::generate(millis, &mut rng()),
            grant: GrantId::generate(millis, &mut rng()),
            keys: [fresh_key(), fresh_key()],
        }
    }
}

/// A cycle, as the server has its store do it, without what the server computes in between.
async fn cycle(store: &dyn Store, goods: &Goods, names: &Names) -> Result<()> {
    let (account, terminal) = (account_of(names.customer), terminal_of(names.customer));
    let request = |key: &IdempotencyKey, path: &str| Idempotency::of(key.clone(), "POST", path, goods.resource);
    let [authorising, verifying] = &names.keys;
    let authorising = request(authorising, paths::AUTHORIZATIONS);
    let query = AuthorisationQuery {
        account,
        terminal,
        request: authorising.clone(),
        resource: goods.resource,
        operation: stock::BOUGHT.parse().ok().context("a name")?,
        quantity: 1,
        accepted: None,
    };
    let operation = query.operation.clone();
    let target = store.authorisation_case(query).await?.resource.context("a resource")?;
    let held = target.entitlements.first().context("an entitlement")?;
    let draw = Draw::Units { entitlement: EntitlementId(Octets(numbered(ENTITLEMENT, names.customer))), units: 0 };
    ensure!(draw.entitlement() == Some(held.id), "another entitlement");
    let hold = NewAuthorisation {
        code: names.code,
        account,
        terminal,
        binding: CodeBinding::from_bytes([7; 32]),
        resource: goods.resource,
        operation: operation.clone(),
        rights: Rights::Perpetual {},
        draw,
        quantity: 1,
        life: 120,
        request: authorising,
    };
    let AuthoriseOutcome::Held { .. } = store.authorise(hold).await? else { bail!("not held") };
    let verifying = request(verifying, paths::VERIFICATIONS);
    let query = VerificationQuery { account, terminal, request: verifying.clone(), code: names.code };
    let case = store.verification_case(query).await?;
    ensure!(case.keys.len() == 2, "the keys of {} parts", case.keys.len());
    let grant = NewGrant {
        id: names.grant,
        code: names.code,
        account,
        terminal,
        resource: goods.resource,
        publisher: goods.publisher,
        operation,
        pairwise: PairwiseId::from_bytes(numbered(PAIRWISE, names.customer)),
        draw,
        rests_on: case.entitlement.context("an entitlement")?.holding,
        begins: None,
        supersedes: true,
        compact: "g".repeat(980),
        nonce: Octets([7; 16]),
        keys: "k".repeat(330),
        expires: case.now.plus(3600),
        replaces: None,
        request: verifying,
    };
    let VerifyOutcome::Granted = store.verify(grant).await? else { bail!("not granted") };
    Ok(())
}

/// The script of a cycle: of one that is logged, after others have made ready whatever a connection makes ready once.
async fn taken(cluster: &Cluster, name: &str, address: &str, folder: &Path, goods: &Goods) -> Result<String> {
    cluster.run(name, &format!("ALTER DATABASE {name} SET log_statement = 'all'"));
    let store = open(folder, address, false)?;
    for _ in 0..64 {
        cycle(&*store, goods, &Names { customer: 0, ..Names::draw(goods.customers) }).await?;
    }
    let names = Names { customer: 0, ..Names::draw(goods.customers) };
    cluster.run(name, &format!("SELECT {}", MARKS[0]));
    cycle(&*store, goods, &names).await?;
    cluster.run(name, &format!("SELECT {}", MARKS[1]));
    store.close().await?;
    cluster.run(name, &format!("ALTER DATABASE {name} RESET log_statement"));
    let of_kind = |kind: u8| format!("({} || int4send(:k))", prefix(kind));
    let kinds = [1, 2, ENTITLEMENT, PAIRWISE].map(|kind| (kind, of_kind(kind)));
    let bytes = |bytes: &[u8]| format!("\\x{}", hex(bytes));
    let mut stands: Vec<Stand<'_>> =
        kinds.iter().map(|(kind, by)| Stand { value: bytes(&numbered(*kind, 0)), by }).collect();
    stands.push(Stand { value: bytes(names.code.as_bytes()), by: "(int8send(:n) || int8send(:r))" });
    stands.push(Stand { value: bytes(names.grant.as_bytes()), by: "(int8send(:m) || int8send(:r))" });
    stands.push(Stand { value: names.keys[0].as_str().to_owned(), by: "('a' || CAST(:r AS TEXT))" });
    stands.push(Stand { value: names.keys[1].as_str().to_owned(), by: "('v' || CAST(:r AS TEXT))" });
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // What collects the log may be a moment behind.
        match pgbench::script(cluster, MARKS[0], MARKS[1], &stands) {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
            script => return script,
        }
    }
}

/// Cycles of two stores. Returns how many per second, and how many.
async fn driven(folder: &Path, address: &str, goods: &Goods, time: Duration) -> Result<(f64, u64)> {
    let stores = [open(folder, address, false)?, open(folder, address, false)?];
    let goods = *goods;
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (store, done) = (Arc::clone(&stores[client % 2]), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    cycle(&*store, &goods, &Names::draw(goods.customers)).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let (cycles, taken) = (done.load(Ordering::Relaxed), begun.elapsed());
    for store in stores {
        store.close().await?;
    }
    Ok((cycles as f64 / taken.as_secs_f64(), cycles))
}

/// How many grants there are.
fn grants(cluster: &Cluster, name: &str) -> i64 {
    cluster.number(name, "SELECT count(*) FROM grants")
}
