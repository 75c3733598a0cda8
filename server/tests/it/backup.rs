//! The drill: a store is backed up while it sells, lost, and restored; then it sells on.

use crate::command::{self, free_address, json};
use crate::stage::{Stage, config};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::Reason;
use portcullis_protocol::wire::{
    AccountAnswer, AuthorisationAnswer, EntitlementsAnswer, VerificationAnswer, VerificationRequest,
};
use portcullis_server::crypto::keys::{self, Rotation};
use portcullis_server::ops::backup::{Backup, BackupError};
use portcullis_server::store::DatabaseAddress;
use portcullis_server::{MASTER_KEY, Parts, Running};
use std::path::Path;
use std::process::{Command, Output};

/// A command as an operator types it beside a server that runs in the test.
pub(crate) fn run(arguments: &[&str], dir: &Path, origin: &str, database: Option<&DatabaseAddress>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
    if let Some(database) = database {
        command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    command.args(arguments).current_dir(dir).env("PORTCULLIS_SERVER_ORIGIN", origin).output().expect("runs")
}

async fn runs(customer: &mut Terminal, request: portcullis_protocol::wire::AuthorisationRequest) {
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;
}

#[tokio::test]
async fn a_store_comes_back_from_its_backup_and_sells_on() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut customer = stage.terminal_of(&mut browser).await;
    shop.buy(&mut customer, "view").await;

    // Beside the running server, as an operator types it.
    let database = stage.running.app().config.database.clone();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let dir = stage.folder.path().to_str().expect("a path").to_owned();
    let taken = run(
        &["backup", "--json", "--dir", &dir, "--to", "saved"],
        elsewhere.path(),
        stage.origin.as_str(),
        database.as_ref(),
    );
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let told: serde_json::Value = serde_json::from_slice(&taken.stdout).expect("JSON");
    assert_eq!(
        (&told["counts"]["orders"], &told["counts"]["resources"], &told["files"]),
        (&1.into(), &1.into(), &true.into())
    );
    let again =
        run(&["backup", "--dir", &dir, "--to", "saved"], elsewhere.path(), stage.origin.as_str(), database.as_ref());
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"), "a backup is never overwritten");
    let saved = elsewhere.path().join("saved");
    assert!(!saved.join(MASTER_KEY).exists(), "the master key is no part of it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&saved), mode(&saved.join("portcullis.sqlite"))), (0o700, 0o600));
    }

    // Afterwards something is sold, and signing keys are changed; a terminal sees the new key document.
    shop.buy(&mut customer, "print").await;
    let core = &stage.running.app().core;
    for _ in 0..3 {
        keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Planned { starts_in: 3600 })
            .await
            .expect("rotated");
    }
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    let seen = core.store.signing_keys().await.expect("read").0;
    let epoch = core.store.epoch().await.expect("an epoch");
    let _: AccountAnswer = customer.get_yes(&Draft::get("/v1/account")).await;

    // The machine is lost. What is left is the backup, and the master key, which was kept elsewhere.
    let master = elsewhere.path().join("kept-apart.key");
    std::fs::copy(stage.folder.path().join(MASTER_KEY), &master).expect("copied");
    let (address, clock) = (stage.running.address(), stage.clock.clone());
    let origin = stage.origin.clone();
    let Stage { running, folder, .. } = stage;
    running.stop().await.expect("stops");
    drop(folder);
    let restore = ["restore", "--from", "saved", "--master-key", "kept-apart.key", "--dir", "new"];
    let restored = run(&restore, elsewhere.path(), origin.as_str(), None);
    let said = String::from_utf8_lossy(&restored.stdout).into_owned();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    for consequence in ["Orders that were paid since are unknown", "signed out", "rotate-key --stolen"] {
        assert!(said.contains(consequence), "{said}");
    }
    let twice = run(&restore, elsewhere.path(), origin.as_str(), None);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("already"), "no server is overwritten");

    let place = tempfile::tempdir().expect("a folder");
    let mut configuration = config(&place);
    configuration.dir = elsewhere.path().join("new");
    configuration.listen = address;
    configuration.origin = Some(origin.clone());
    let running = Running::start_with(configuration, Parts { clock, ..Parts::default() }).await.expect("starts");
    let core = &running.app().core;
    assert!(core.store.signing_keys().await.expect("read").0 > seen, "no terminal takes its keys for older ones");
    assert_ne!(core.store.epoch().await.expect("an epoch"), epoch, "nor its events for those that are gone");

    // Everybody was signed out; signed in again, what was bought before is there and runs, and what came after is not.
    customer.keys = Terminal::new(&origin).await.keys.clone();
    assert_eq!(customer.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    let mut browser = crate::browser::Browser::new(&origin);
    browser.sign_in("ada@example.org", crate::stage::PASSWORD).await;
    let mut customer = Terminal::new(&origin).await;
    let code = customer.device_code("a terminal").await;
    browser.decide(&code.user_code, "approve").await;
    customer.poll(&code.device_code).await.expect("tokens");
    customer.enrol("a terminal").await;
    let held: EntitlementsAnswer = customer.get_yes(&Draft::get("/v1/account/entitlements")).await;
    assert_eq!(held.entitlements.len(), 1);
    runs(&mut customer, shop.request("view")).await;
    let file = customer.http.get(format!("{origin}/v1/files/{}", shop.resource)).send().await.expect("answers");
    assert_eq!(file.status(), 200, "the sealed file came back");
    shop.buy(&mut customer, "print").await;
    running.stop().await.expect("stops");
}

#[tokio::test]
async fn of_two_backups_into_one_folder_one_is_made_whole() {
    let stage = Stage::open().await;
    stage.shop().await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let saved = elsewhere.path().join("saved");
    let app = stage.running.app();
    let (one, two) = tokio::join!(Backup::take(app, &saved, true), Backup::take(app, &saved, true));
    let (made, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    let master = stage.folder.path().join(MASTER_KEY);
    assert_eq!(Backup::read(&saved, &master).expect("a backup"), made.expect("one is made"));
    assert!(matches!(refused, Err(BackupError::Busy(_) | BackupError::NotEmpty(_))), "{refused:?}");
    let hidden = std::fs::read_dir(&saved).expect("read").flatten();
    assert!(hidden.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')));
}

#[tokio::test]
async fn what_is_no_good_backup_gives_no_server() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let saved = elsewhere.path().join("saved");
    let backup = Backup::take(stage.running.app(), &saved, true).await.expect("taken");
    // One that is not made whole leaves nothing behind, not even its folder.
    let stored = stage.folder.path().join(format!("files/{}.wasm", shop.resource));
    let aside = elsewhere.path().join("aside");
    std::fs::rename(&stored, &aside).expect("moved");
    let failed = elsewhere.path().join("failed");
    let refused = Backup::take(stage.running.app(), &failed, true).await;
    assert!(matches!(refused, Err(BackupError::MissingFiles { count: 1, .. })), "{refused:?}");
    assert!(!failed.exists());
    std::fs::rename(&aside, &stored).expect("moved back");
    // Nor one with a file of which a byte was changed, at the same length.
    let published = std::fs::read(&stored).expect("read");
    let mut changed = published.clone();
    *changed.last_mut().expect("a byte") ^= 1;
    std::fs::write(&stored, changed).expect("written");
    let refused = Backup::take(stage.running.app(), &failed, true).await.expect_err("refused").to_string();
    assert!(refused.contains(&format!("files/{}.wasm", shop.resource)), "it is named: {refused}");
    assert!(!failed.exists());
    Backup::take(stage.running.app(), &failed, false).await.expect("without the files");
    std::fs::write(&stored, published).expect("written back");
    let master = stage.folder.path().join(MASTER_KEY);
    let (new, files) = (elsewhere.path().join("new"), saved.join("files"));
    let nothing_is_left = || assert!(!new.exists());

    // Another server's master key.
    let other = Stage::open().await;
    let foreign = other.folder.path().join(MASTER_KEY);
    let refused = Backup::read(&saved, &foreign);
    assert!(matches!(refused, Err(BackupError::OtherMasterKey(_))), "{refused:?}");
    let refused = backup.restore(&saved, &foreign, &new, true).await;
    assert!(matches!(refused, Err(BackupError::OtherMasterKey(_))), "{refused:?}");
    nothing_is_left();

    // A sealed file that is missing.
    let file = files.join(format!("{}.wasm", shop.resource));
    let aside = elsewhere.path().join("aside");
    std::fs::rename(&file, &aside).expect("moved");
    let refused = backup.restore(&saved, &master, &new, true).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("is missing")), "{refused:?}");
    nothing_is_left();
    std::fs::rename(&aside, &file).expect("moved back");

    // A database that was changed in one byte.
    let database = saved.join("portcullis.sqlite");
    let whole = std::fs::read(&database).expect("read");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&database, damaged).expect("written");
    let refused = backup.restore(&saved, &master, &new, true).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("another content")), "{refused:?}");
    nothing_is_left();
    std::fs::write(&database, whole).expect("written");
    assert!(matches!(Backup::read(elsewhere.path(), &master), Err(BackupError::NotABackup(_))));

    // The control: as it was made, a server is restored from it.
    backup.restore(&saved, &master, &new, true).await.expect("restored");
    assert!(new.join("portcullis.sqlite").is_file() && new.join(MASTER_KEY).is_file());
    other.stop().await;
    stage.stop().await;
}

/// Backups lie on other machines. Whoever can write there would be the operator of what is restored from them.
#[tokio::test]
async fn whoever_edits_a_backup_is_no_operator_of_what_is_restored() {
    let stage = Stage::open().await;
    stage.shop().await;
    stage.person("mallory@example.org").await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (saved, master) = (elsewhere.path().join("saved"), stage.folder.path().join(MASTER_KEY));
    Backup::take(stage.running.app(), &saved, true).await.expect("taken");
    let new = elsewhere.path().join("new");
    let restore = async || Backup::read(&saved, &master)?.restore(&saved, &master, &new, true).await;
    let nothing_is_left = || assert!(!new.exists());
    let (database, record) = (saved.join("portcullis.sqlite"), saved.join("backup.json"));
    let [honest, honest_record] = [&database, &record].map(|path| std::fs::read(path).expect("read"));

    // The attack: every account is an operator.
    let operators = || {
        let db = rusqlite::Connection::open(&database).expect("opens");
        db.execute("UPDATE accounts SET operator = 1", []).expect("written")
    };
    assert!(operators() >= 2, "the attack's tool works");
    let refused = restore().await.expect_err("edited");
    assert!(refused.to_string().contains("`portcullis.sqlite` has"), "{refused}");
    nothing_is_left();

    // The same, with a record that fits.
    let mut forged: serde_json::Value = serde_json::from_slice(&honest_record).expect("JSON");
    let edited = std::fs::read(&database).expect("read");
    forged["files"]["portcullis.sqlite"] =
        serde_json::json!({"size": edited.len(), "digest": portcullis_protocol::Digest::of(&edited)});
    std::fs::write(&record, serde_json::to_vec_pretty(&forged).expect("JSON")).expect("written");
    let refused = restore().await.expect_err("not sealed");
    assert!(matches!(refused, BackupError::NotSealed(_)), "{refused}");
    // With a seal of another backup, with none, and without a record.
    let seal = saved.join("backup.seal");
    let other = elsewhere.path().join("other");
    Backup::take(stage.running.app(), &other, false).await.expect("taken");
    let honest_seal = std::fs::read(&seal).expect("read");
    std::fs::copy(other.join("backup.seal"), &seal).expect("copied");
    assert!(matches!(restore().await, Err(BackupError::NotSealed(_))));
    std::fs::remove_file(&seal).expect("removed");
    assert!(matches!(restore().await, Err(BackupError::NotSealed(_))));
    std::fs::remove_file(&record).expect("removed");
    assert!(matches!(restore().await, Err(BackupError::NotABackup(_))));
    nothing_is_left();
    std::fs::write(&seal, honest_seal).expect("written");
    std::fs::write(&record, honest_record).expect("written");
    std::fs::write(&database, honest).expect("written");

    // A configuration that is changed, and one that is added; a sealed file of which a byte is another.
    let file = std::fs::read_dir(saved.join("files")).expect("files").flatten().next().expect("one").path();
    let whole = std::fs::read(&file).expect("read");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    std::fs::write(&file, changed).expect("written");
    let refused = restore().await.expect_err("changed");
    assert!(refused.to_string().contains("has another content"), "{refused}");
    nothing_is_left();
    std::fs::write(&file, whole).expect("written");
    std::fs::write(saved.join("server.toml"), "sign_up = \"open\"\n").expect("written");

    // The control: as it was made, a server is restored, and what was laid beside is no part of it.
    restore().await.expect("restored");
    assert!(!new.join("server.toml").exists(), "the stage has no configuration file");
    let db = rusqlite::Connection::open(new.join("portcullis.sqlite")).expect("opens");
    let operators: i64 =
        db.query_row("SELECT count(*) FROM accounts WHERE operator = 1", [], |row| row.get(0)).expect("counted");
    assert_eq!(operators, 0);
    stage.stop().await;
}

/// A server's configuration need not lie in its directory, and `init` leaves one there.
#[test]
fn the_configuration_that_was_read_is_backed_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&command::run(dir, &["init", "--json", "--dir", "store", "--listen", &free_address()]));
    let first = std::fs::read_to_string(dir.join("store/server.toml")).expect("written");
    let own = format!("# The one in use.\n{first}");
    std::fs::write(dir.join("own.toml"), &own).expect("written");
    let taken = |to: &str, more: &[&str]| {
        let arguments = [&["backup", "--json", "--dir", "store", "--to", to][..], more].concat();
        let told = json(&command::run(dir, &arguments));
        (told["configuration"].clone(), std::fs::read_to_string(dir.join(to).join("server.toml")).ok())
    };
    assert_eq!(taken("named", &["--config", "own.toml"]), ("own.toml".into(), Some(own)));
    assert_eq!(taken("found", &[]), ("store/server.toml".into(), Some(first)));
    // A backup that lies where the server lies is made, and it is said what it is worth.
    for (to, is_inside) in [("store/saved", true), ("elsewhere", false)] {
        let taken = command::run(dir, &["backup", "--dir", "store", "--to", to]);
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let said = String::from_utf8_lossy(&taken.stderr);
        assert_eq!(said.contains("in the server's own directory"), is_inside, "{said}");
    }
    std::fs::remove_file(dir.join("store/server.toml")).expect("removed");
    let mut command = command::command(dir);
    let origin = std::fs::read_to_string(dir.join("own.toml")).expect("read");
    let listen = origin.lines().find(|line| line.starts_with("listen")).expect("where it listens");
    let listen = listen.split('"').nth(1).expect("an address");
    command.env("PORTCULLIS_SERVER_LISTEN", listen);
    let told = command.args(["backup", "--json", "--dir", "store", "--to", "none"]).output().expect("ends");
    assert_eq!(json(&told)["configuration"], serde_json::Value::Null, "and it says so");
    assert!(!dir.join("none/server.toml").exists());
}
