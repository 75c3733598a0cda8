//! A database is copied into one of the other kind, and the server goes on with it.

use crate::command::{command, free_address, json, refused, run};
use crate::database::{Of, Place, use_postgres};
use crate::world::{World, open_core};
use portcullis_faulty::Faults;
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use std::path::Path;
use std::process::Output;

/// A new, empty database of the other kind.
fn other(folder: &Path, is_postgres: bool) -> Place {
    if is_postgres {
        return Place::File(folder.join("server.db"));
    }
    use_postgres(folder);
    Place::of(folder, "server.db")
}

fn name(place: &Place) -> String {
    match place {
        Place::File(path) => path.display().to_string(),
        Place::Address(address) => address.clone(),
    }
}

fn copied(from: &Place, to: &Place) -> Output {
    let mut copying = command(Path::new("/tmp"));
    copying.args(["database", "copy", "--json", "--from", &name(from), "--to", &name(to)]);
    copying.output().expect("ends")
}

#[tokio::test]
async fn everything_is_in_the_copy_and_the_server_goes_on_with_it() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "view").await;
    world.buy(&machine, "resize").await;
    world.run(&machine, "resize").await.expect("granted");
    crate::metered::top_up(&world, &machine, "5.00 EUR").await;
    crate::audit::act(&world.core).await;
    let (from, folder) = (world.database(), tempfile::tempdir().expect("a folder"));
    let to = other(folder.path(), crate::database::is_postgres());

    let epoch = world.core.store.epoch().await.expect("an epoch");
    world.core.store.hold_lease().await.expect("held");
    assert!(refused(&copied(&from, &to)).contains("a server is running"));
    world.core.store.close().await.expect("closed");

    if let Place::File(path) = &to {
        let _ = std::fs::remove_file(path);
    }
    let report = json(&copied(&from, &to));
    assert!(report["rows"].as_u64().is_some_and(|rows| rows > 50), "{report}");
    for (table, rows) in report["tables"].as_object().expect("tables") {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(Some(from.number(&sql, &[])), rows.as_i64(), "{table}");
        assert_eq!(from.number(&sql, &[]), to.number(&sql, &[]), "{table}");
    }
    // Twice into the same one is refused.
    let again = refused(&copied(&from, &to));
    assert!(again.contains("not empty") || again.contains("exists already"), "{again}");

    // One cycle, and what is numbered goes on from where it was.
    std::fs::copy(world.folder.path().join("master.key"), folder.path().join("master.key")).expect("the key");
    let core = open_core(folder.path(), Clock::default(), Faults::default()).await;
    crate::audit::is_whole(&core, 1).await;
    assert_ne!(core.store.epoch().await.expect("an epoch"), epoch, "nobody takes its events for the other one's");
    let before = core.store.balances().await.expect("balances");
    let moved = World { core, folder: folder.into(), ..world };
    assert_eq!(moved.remaining(&machine, "resize").await, 9);
    moved.run(&machine, "resize").await.expect("granted");
    moved.run(&machine, "view").await.expect("granted");
    assert_eq!(moved.remaining(&machine, "resize").await, 8);
    assert_ne!(moved.core.store.balances().await.expect("balances"), before);
    crate::metered::top_up(&moved, &machine, "1.00 EUR").await;
    moved.publish("dusk", "1.0.0").await;
    assert_eq!(crate::metered::purse(&moved.core, &machine).await, (600, 0));
    assert_eq!(moved.database().number("SELECT count(*) FROM ledger WHERE amount > ?1", &[Of::Int(0)]), {
        i64::try_from(moved.core.store.transfers(0, 1000).await.expect("transfers").len()).expect("few")
    });
}

/// A table that takes longer to read than any statement that serves somebody may take.
#[tokio::test]
#[ignore = "slow: cargo xtask test --all"]
async fn a_large_database_is_copied_however_long_it_takes() {
    let world = World::new().await;
    world.core.store.close().await.expect("closed");
    let folder = tempfile::tempdir().expect("a folder");
    let from = match world.database() {
        address @ Place::Address(_) => address,
        file => {
            use_postgres(folder.path());
            let from = Place::of(folder.path(), "server.db");
            json(&copied(&file, &from));
            from
        }
    };
    from.change("ALTER TABLE approvals RENAME TO approvals_of_old", &[]);
    from.change("CREATE VIEW approvals AS SELECT o.* FROM approvals_of_old o, (SELECT pg_sleep(62)) AS late", &[]);
    let to = Place::File(folder.path().join("copy.db"));
    json(&copied(&from, &to));
    assert_eq!(to.number("SELECT count(*) FROM accounts", &[]), from.number("SELECT count(*) FROM accounts", &[]));
}

/// What a killed copy or export leaves is no database and no log, and in nobody's way.
#[test]
fn what_a_killed_copy_leaves_is_no_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let copy = ["database", "copy", "--json", "--from", "store/portcullis.sqlite", "--to", "copy.sqlite"];
    let export = ["audit", "export", "--dir", "store", "--output", "log.jsonl"];
    for (arguments, made) in [(&copy[..], "copy.sqlite"), (&export[..], "log.jsonl")] {
        let left = dir.join(format!("{made}.making"));
        std::fs::create_dir(&left).expect("made");
        for name in ["whole", "whole-wal", "whole-shm"] {
            std::fs::write(left.join(name), "half").expect("written");
        }
        let output = run(dir, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(dir.join(made).is_file() && !left.exists(), "{made}");
        assert!(refused(&run(dir, arguments)).contains("exists already: name a new file"), "{made}");
    }
    let names = std::fs::read_dir(dir).expect("read").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["copy.sqlite", "log.jsonl", "store"], "one file each");
    // The copy is whole: a server goes on with it.
    std::fs::rename(dir.join("copy.sqlite"), dir.join("store/portcullis.sqlite")).expect("moved");
    let checked = run(dir, &["operator", "--dir", "store", "check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A mistyped address or folder is none, and leaves nothing behind.
#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let (from, own) = ("store/portcullis.sqlite", "store/server.toml");
    for (from, to, words) in [
        (from, "sqlite:foo", ["--to", "`sqlite:`"]),
        (from, "mysql://ada:s3cret@db.example/store", ["--to", "postgres://USER@HOST/DATABASE"]),
        (from, "nodir/x.sqlite", ["--to", "there is no folder nodir"]),
        (own, "copy.sqlite", ["--from", "store/server.toml is no SQLite database"]),
    ] {
        let said = refused(&run(dir, &["database", "copy", "--from", from, "--to", to]));
        assert!(words.iter().all(|word| said.contains(word)) && !said.contains("s3cret"), "{to}: {said}");
    }
    let names: Vec<_> =
        std::fs::read_dir(dir).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["store"], "nothing was made");
}

/// A copy that fails half-way leaves an empty database.
#[tokio::test]
async fn a_copy_that_fails_leaves_nothing_behind() {
    let world = World::new().await;
    let from = world.database();
    world.core.store.close().await.expect("closed");
    let folder = tempfile::tempdir().expect("a folder");
    let to = other(folder.path(), crate::database::is_postgres());
    drop(to.open(Clock::default(), FaultPoints::none()).expect("made"));
    // The very last table cannot be written.
    to.change("CREATE UNIQUE INDEX nothing_twice ON operations (resource)", &[]);
    let target = match &to {
        Place::File(path) => {
            // A new file is what the command wants; what is in the way here is put there by hand.
            let refused = refused(&copied(&from, &to));
            assert!(refused.contains(&path.display().to_string()), "{refused}");
            return;
        }
        address => address,
    };
    let said = refused(&copied(&from, target));
    assert!(said.contains("unique"), "{said}");
    for table in ["accounts", "publishers", "resources", "operations"] {
        assert_eq!(to.number(&format!("SELECT count(*) FROM {table}"), &[]), 0, "{table}");
    }
}

/// Typed with the next version's program, to try the move: the database that is in use was brought up to that version.
#[tokio::test]
async fn a_database_of_an_older_version_stays_as_it_is() {
    let world = World::new().await;
    world.core.store.close().await.expect("closed");
    let (from, folder) = (world.database(), tempfile::tempdir().expect("a folder"));
    let to = other(folder.path(), crate::database::is_postgres());
    let (version, set) = match &from {
        Place::File(_) => ("SELECT user_version FROM pragma_user_version", "PRAGMA user_version ="),
        Place::Address(_) => ("SELECT number FROM schema_version", "UPDATE schema_version SET number ="),
    };
    let known = from.number(version, &[]);
    from.run(&format!("{set} {}", known - 1));
    let said = refused(&copied(&from, &to));
    assert!(said.contains("Nothing was changed") && said.contains(&(known - 1).to_string()), "{said}");
    assert_eq!(from.number(version, &[]), known - 1);
    if let Place::File(path) = &to {
        assert!(!path.exists(), "nothing was begun");
    }
    // The control.
    from.run(&format!("{set} {known}"));
    json(&copied(&from, &to));
}

#[test]
fn a_server_is_made_in_a_postgres_database_and_no_password_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = use_postgres(folder.path());
    let with_password = address.to_string().replace("portcullis@", "portcullis:s3cret-word@");
    let arguments = ["init", "--dir", "store", "--json", "--listen", &free_address(), "--database", &with_password];
    let made = run(folder.path(), &arguments);
    json(&made);
    let config = std::fs::read_to_string(folder.path().join("store/server.toml")).expect("a configuration");
    assert!(config.contains("database = \"postgres://portcullis@") && !config.contains("s3cret"), "{config}");
    assert!(!folder.path().join("store").join(portcullis_server::DATABASE).exists());
    let ledger = json(&run(folder.path(), &["operator", "--dir", "store", "--json", "ledger"]));
    assert!(ledger.is_array() || ledger.is_object());
    // Somebody else's tables are in the way, of a new server and of a copy.
    let foreign = portcullis_fixtures::postgres::cluster().database();
    Place::Address(foreign.clone()).run("CREATE TABLE accounts (n BIGINT)");
    let init = ["init", "--dir", "third", "--database", &foreign];
    let from = address.to_string();
    let copy = ["database", "copy", "--from", &from, "--to", &foreign];
    for arguments in [&init[..], &copy] {
        let said = refused(&run(folder.path(), arguments));
        assert!(said.contains("is not empty, there is `accounts` in it") && said.contains("new, empty one"), "{said}");
    }
    // There is one in it already.
    let second = run(folder.path(), &["init", "--dir", "other", "--database", &with_password]);
    let said = refused(&second);
    assert!(said.contains("already") && !said.contains("s3cret"), "{said}");
    assert!(!folder.path().join("other").exists(), "no key of nothing is left");
    // Addresses that cannot be meant, and databases that are not there.
    for wrong in [
        "postgres://portcullis:s3cret-word@db.example/store?sslmode=require",
        "postgres://portcullis:s3cret-word@127.0.0.1:1/store",
        "mysql://portcullis:s3cret-word@127.0.0.1/store",
        "postgres://portcullis:s3cret-word@127.0.0.1",
    ] {
        let said = refused(&run(folder.path(), &["operator", "--dir", "store", "--database", wrong, "ledger"]));
        assert!(!said.contains("s3cret"), "{said}");
        let config = format!("database = \"{wrong}\nlisten = 5\n");
        std::fs::write(folder.path().join("broken.toml"), config).expect("written");
        let said = refused(&run(folder.path(), &["serve", "--config", "broken.toml"]));
        assert!(!said.contains("s3cret"), "{said}");
    }
}
