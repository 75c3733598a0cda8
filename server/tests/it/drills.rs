//! Drills of an operator: keys are rotated while two processes sell, and a database of an earlier version is upgraded.

use crate::command::command;
use crate::database::{Of, Place};
use crate::stage::{Shop, Stage};
use crate::terminal::{Draft, Terminal, now};
use crate::world::{World, count};
use portcullis_protocol::wire::{AuthorisationAnswer, VerificationAnswer, VerificationRequest};
use portcullis_protocol::{Grant, KeyDocument, Receipt, Thumbprint, Unverified, WellKnown};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{OrderPhase, Store, StoreError};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The key document as a terminal fetches it.
async fn fetched(terminal: &Terminal, address: &str) -> KeyDocument {
    let known = terminal.http.get(format!("{address}/.well-known/portcullis")).send().await.expect("answered");
    let known = known.bytes().await.expect("a document");
    let known: WellKnown = serde_json::from_slice(&known).expect("a document");
    let verified = KeyDocument::verify(&known.keys, &terminal.root, &terminal.origin, now(), terminal.keys.version);
    verified.expect("under the pinned root, and not older than what was seen").into_document()
}

/// Asks a process. An answer under a key that the terminal does not know yet makes it fetch the key document, as the
/// host does; more than that no answer may need.
async fn ask<B: Serialize + DeserializeOwned>(terminal: &mut Terminal, address: &str, draft: &Draft) -> B {
    for _ in 0..2 {
        let proof = terminal.prove(draft, terminal.nonce.as_deref());
        let answer = terminal.send_to(address, draft, &proof).await.expect("answered");
        if answer.nonce.is_some() {
            terminal.nonce.clone_from(&answer.nonce);
        }
        if answer.wants_nonce() {
            continue;
        }
        if let Ok(body) = answer.read(&terminal.keys) {
            return body;
        }
        terminal.keys = fetched(terminal, address).await;
        return answer.read(&terminal.keys).expect("a yes under the keys of now");
    }
    panic!("a nonce was asked for twice");
}

/// A run of the cycle. Returns who signed its grant.
async fn run(terminal: &mut Terminal, shop: &Shop, address: &str) -> Thumbprint {
    let request = shop.request("preview");
    let code: AuthorisationAnswer = ask(terminal, address, &Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let answer: VerificationAnswer = ask(terminal, address, &Draft::post("/v1/verifications", &verification)).await;
    Unverified::<Grant>::parse(&answer.grant).expect("a grant").kid()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_rotated_while_two_processes_sell_and_nobody_notices() {
    let stage = Stage::open().await;
    let second = stage.second().await;
    let shop = Arc::new(stage.shop().await);
    let mut buyer = stage.customer("ada@example.org").await;
    let receipt = shop.buy(&mut buyer, "view").await.receipt.expect("a receipt");
    let old = Unverified::<Receipt>::parse(&receipt).expect("a receipt").kid();

    // Customers at work, each at both processes in turn.
    let addresses = [stage.running.address(), second.address()].map(|address| format!("http://{address}"));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut customers = Vec::new();
    for index in 0..2 {
        let mut terminal = stage.customer(&format!("customer{index}@example.org")).await;
        let (shop, is_over, addresses) = (Arc::clone(&shop), Arc::clone(&is_over), addresses.clone());
        customers.push(tokio::spawn(async move {
            let mut runs = 0_u32;
            while !is_over.load(Ordering::SeqCst) {
                for address in &addresses {
                    run(&mut terminal, &shop, address).await;
                    runs += 1;
                    // One address may ask a hundred times a second.
                    tokio::time::sleep(Duration::from_millis(120)).await;
                }
            }
            runs
        }));
    }

    // The operator rotates, beside both.
    let mut rotating = command(stage.folder.path());
    rotating.args(["operator", "--json", "--dir", ".", "rotate-key", "--starts-in", "1"]);
    rotating.env("PORTCULLIS_SERVER_ORIGIN", stage.origin.as_str());
    if let Some(database) = &stage.running.app().config.database {
        rotating.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    let rotated = tokio::task::spawn_blocking(move || rotating.output().expect("runs")).await.expect("ends");
    let rotated = crate::command::json(&rotated);
    let new: Thumbprint = rotated["key"].as_str().expect("a key").parse().expect("a thumbprint");
    assert_ne!(old, new);

    // Both sign with it soon.
    let begun = Instant::now();
    for address in &addresses {
        while run(&mut buyer, &shop, address).await != new {
            assert!(begun.elapsed() < Duration::from_secs(30), "{address} does not take the new key up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for customer in customers {
        let runs = customer.await.expect("nothing that a customer asked failed");
        assert!(runs > 4, "the control: there was traffic ({runs} runs)");
    }

    // What the old key signed is verified as before, and the old key ends when it was said to.
    let keys = fetched(&buyer, &addresses[0]).await;
    let iat = Unverified::<Receipt>::parse(&receipt).expect("a receipt");
    let listed = keys.signing.iter().find(|key| key.jwk.thumbprint() == old).expect("the old key stays listed");
    let read = iat.verify(&listed.jwk).expect("signed by the old key").into_document();
    assert!(keys.signing_key(old, read.iat).is_some(), "at its time it signed");
    let starts = keys.signing.iter().find(|key| key.jwk.thumbprint() == new).expect("listed").nbf;
    assert_eq!(listed.exp, starts + 7 * 24 * 3600, "a week after the new one began, as the page of operations says");
    assert!(keys.signing_key(old, listed.exp - 1).is_some() && keys.signing_key(old, listed.exp).is_none());
    second.stop().await.expect("stops");
    stage.stop().await;
}

/// What the schema of a database is made of: tables, columns, indexes, by name.
fn names(place: &Place, sql: [&str; 2]) -> Vec<String> {
    let [sqlite, postgres] = sql;
    place.texts(match place {
        Place::File(_) => sqlite,
        Place::Address(_) => postgres,
    })
}

const TABLES: [&str; 2] = [
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
];
const COLUMNS: [&str; 2] = [
    "SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    "SELECT (table_name || '.' || column_name)::text FROM information_schema.columns WHERE table_schema = 'public'",
];
/// With what each is made by: one that a newer version made anew is another one.
const INDEXES: [&str; 2] = [
    "SELECT name || '|' || sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    "SELECT indexname || '|' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey'",
];

/// The version of the schema from which on there were two databases.
const EARLIER: usize = 13;

/// An empty database as a server of that version left it.
fn earlier(folder: &std::path::Path, like: &Place) -> Place {
    let store = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let read = |path: std::path::PathBuf| std::fs::read_to_string(&path).expect("a file of the sources");
    if let Place::Address(_) = like {
        let address = portcullis_fixtures::postgres::cluster().database();
        let place = Place::Address(address);
        place.run(&read(store.join("postgres/schema.sql")));
        return place;
    }
    let place = Place::File(folder.join("earlier.db"));
    let module = read(store.join("sqlite/mod.rs"));
    let list = module.split("const MIGRATIONS").nth(1).and_then(|rest| rest.split("];").next()).expect("a list");
    for entry in list.lines().skip(1).take(EARLIER) {
        let file = entry.split('"').nth(1).unwrap_or("catalogue.sql");
        place.run(&read(store.join("sqlite").join(file)));
    }
    place
}

const VIEWS: [&str; 2] = [
    "SELECT name FROM sqlite_schema WHERE type = 'view'",
    "SELECT table_name::text FROM information_schema.views WHERE table_schema = 'public'",
];

/// What puts back columns and indexes that a newer version dropped.
const DROPPED_COLUMNS: [&str; 2] = [
    "SELECT 'ALTER TABLE ' || m.name || ' ADD COLUMN ' || c.name || ' ' || c.type || \
     coalesce(' DEFAULT ' || c.dflt_value, '') \
     FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    "SELECT 'ALTER TABLE ' || table_name || ' ADD COLUMN ' || column_name || ' ' || data_type || \
     coalesce(' DEFAULT ' || column_default, '') \
     FROM information_schema.columns WHERE table_schema = 'public'",
];
const DROPPED_INDEXES: [&str; 2] = [
    "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
];

/// What a table of SQLite is made by. It drops no column that a constraint names, so a table with newer columns is made
/// anew as it was.
const MADE: &str = "SELECT name || '|' || sql FROM sqlite_schema WHERE type = 'table'";

/// Takes a database back to the earlier version, with everything in it that was there then.
fn take_back(place: &Place, earlier: &Place) {
    let missing = |sql: [&str; 2]| {
        let now = names(place, sql);
        names(earlier, sql).into_iter().filter(|made| !now.contains(made)).collect::<Vec<_>>()
    };
    let newer = |sql: [&str; 2]| {
        let old = names(earlier, sql);
        names(place, sql).into_iter().filter(|name| !old.contains(name)).collect::<Vec<_>>()
    };
    let (tables, indexes) = (newer(TABLES), newer(INDEXES));
    assert!(tables.iter().any(|table| table == "audit"), "the control: there is something to take back");
    for view in newer(VIEWS) {
        place.run(&format!("DROP VIEW {view}"));
    }
    let cascade = if matches!(place, Place::Address(_)) { " CASCADE" } else { "" };
    for table in &tables {
        place.run(&format!("DROP TABLE {table}{cascade}"));
    }
    for index in indexes.iter().filter_map(|made| made.split('|').next()) {
        place.run(&format!("DROP INDEX IF EXISTS {index}"));
    }
    let columns = newer(COLUMNS);
    let columns: Vec<(&str, &str)> = columns.iter().map(|name| name.split_once('.').expect("a column")).collect();
    match place {
        Place::Address(_) => {
            for (table, column) in columns {
                place.run(&format!("ALTER TABLE {table} DROP COLUMN {column}"));
            }
        }
        Place::File(_) => {
            let (now, old) = (names(place, COLUMNS), names(earlier, COLUMNS));
            for made in names(earlier, [MADE, MADE]) {
                let (table, sql) = made.split_once('|').expect("a table");
                if !columns.iter().any(|(of, _)| *of == table) {
                    continue;
                }
                let kept = old.iter().filter(|column| now.contains(column)).filter_map(|column| column.split_once('.'));
                let kept: Vec<&str> = kept.filter(|(of, _)| *of == table).map(|(_, column)| column).collect();
                let (sql, kept) = (sql.replacen(table, "as_it_was", 1), kept.join(", "));
                place.run(&format!(
                    "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;
                     {sql}; INSERT INTO as_it_was ({kept}) SELECT {kept} FROM {table}; DROP TABLE {table};
                     ALTER TABLE as_it_was RENAME TO {table}"
                ));
            }
        }
    }
    for statement in [missing(DROPPED_COLUMNS), missing(DROPPED_INDEXES)].concat() {
        place.run(&statement);
    }
    place.run(&match place {
        Place::File(_) => format!("PRAGMA user_version = {EARLIER}"),
        Place::Address(_) => format!("UPDATE schema_version SET number = {EARLIER}"),
    });
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_upgraded_and_a_newer_one_is_refused() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "view").await;
    world.buy(&machine, "resize").await;
    world.core.store.close().await.expect("closed");
    let place = world.database();
    take_back(&place, &earlier(world.folder.path(), &place));

    // Two processes start at once: one brings the tables up to date, the other waits and finds them so.
    let open = || {
        let place = place.clone();
        std::thread::spawn(move || place.open(Clock::default(), FaultPoints::none()).expect("upgraded"))
    };
    let (first, other) = (open(), open());
    let stores: [Arc<dyn Store>; 2] = [first.join().expect("ends"), other.join().expect("ends")];
    for store in stores {
        let figures = store.figures().await.expect("figures");
        assert_eq!(figures.orders, [(OrderPhase::Paid, 2)], "what was there before is counted");
        store.close().await.expect("closed");
    }
    let world = World { core: world.second().await, ..world };
    world.run(&machine, "view").await.expect("what was bought runs");
    world.run(&machine, "resize").await.expect("what was bought runs");
    world.buy(&machine, "resize").await;
    assert_eq!(count(&world, "SELECT sum(orders) FROM order_counts WHERE state = 1"), 3);

    // The next version adds a table and a column while this process works: it works on. (What it may do to the tables
    // of processes that run is to add.)
    place.run("CREATE TABLE of_the_next_version (number INTEGER PRIMARY KEY)");
    place.run("ALTER TABLE orders ADD COLUMN of_the_next_version INTEGER NOT NULL DEFAULT 0");
    place.run(match place {
        Place::File(_) => "PRAGMA user_version = 1000",
        Place::Address(_) => "UPDATE schema_version SET number = 1000",
    });
    world.buy(&machine, "resize").await;
    world.run(&machine, "resize").await.expect("a process of the version before works on");
    // Restarted it is refused, before it writes anything, and says what to do.
    let refused = place.open(Clock::default(), FaultPoints::none());
    let error = refused.err().expect("refused");
    assert!(matches!(error, StoreError::Newer { found: 1000, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("newer") && said.contains("restore the backup"), "{said}");
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE state = ?1", &[Of::Int(1)]), 4);
}
