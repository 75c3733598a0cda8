//! The master key is changed: everything opens with the new one, and nothing with the old one.

use crate::browser::Browser;
use crate::command::{json, refused};
use crate::database::{Place, connect, is_postgres};
use crate::stage::{PASSWORD, Stage, config};
use crate::terminal::Draft;
use crate::world::new_account;
use portcullis_protocol::wire::{AuthorisationAnswer, VerificationAnswer, VerificationRequest};
use portcullis_protocol::{Origin, Reason};
use portcullis_server::audit::Act;
use portcullis_server::crypto::keys::{self, KeysError, Rotation};
use portcullis_server::crypto::secrets::Secrets;
use portcullis_server::ops::config::Config;
use portcullis_server::store::{DatabaseAddress, StoreError};
use portcullis_server::{MASTER_KEY, Parts, Running, ServeError};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn run_in(dir: &Path, origin: &str, database: Option<&DatabaseAddress>, task: &[&str]) -> Output {
    command_in(dir, origin, database, task).output().expect("runs")
}

fn command_in(dir: &Path, origin: &str, database: Option<&DatabaseAddress>, task: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
    command.args(task).arg("--json").arg("--dir").arg(dir).env("PORTCULLIS_SERVER_ORIGIN", origin);
    if let Some(database) = database {
        command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    command
}

#[tokio::test]
async fn everything_opens_with_the_new_master_key_and_nothing_with_the_old_one() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut customer = stage.terminal_of(&mut browser).await;
    shop.buy(&mut customer, "view").await;
    crate::audit::act(&stage.running.app().core).await;
    let address = stage.running.address();
    let (origin, database) = (stage.origin.clone(), stage.running.app().config.database.clone());
    let root = stage.running.app().core.keys.root().thumbprint();
    let dir = stage.folder.path().to_owned();
    let run = |task: &[&str]| run_in(&dir, origin.as_str(), database.as_ref(), task);
    let key = |name: &str| std::fs::read(dir.join(name)).expect("a key");
    let before = key(MASTER_KEY);

    assert!(refused(&run(&["rotate-master-key"])).contains("a server is running"));
    assert!(key(MASTER_KEY) == before && !dir.join("master.key.new").exists(), "nothing was changed");
    let Stage { folder, running, .. } = stage;
    running.stop().await.expect("stops");
    let changed = json(&run(&["rotate-master-key"]));
    assert!(changed["sealed"].as_u64().is_some_and(|sealed| sealed > 8), "{changed}");
    assert!(key(MASTER_KEY) != before && key("master.key.old") == before);
    let new = Secrets::open(&dir.join(MASTER_KEY)).expect("a key");

    // The old key opens nothing.
    let open = async || {
        let config =
            Config { listen: address, origin: Some(origin.clone()), database: database.clone(), ..config(&folder) };
        Running::start_with(config, Parts::default()).await
    };
    let (current, aside) = (dir.join(MASTER_KEY), dir.join("aside"));
    std::fs::rename(&current, &aside).expect("moved");
    std::fs::copy(dir.join("master.key.old"), &current).expect("copied");
    let old = open().await.err();
    assert!(matches!(old, Some(ServeError::OtherMasterKey { .. })), "{old:?}");
    std::fs::rename(&aside, &current).expect("moved back");

    // The control: with the new one everything is there. Everybody has to sign in again.
    let running = open().await.expect("starts");
    let core = running.app().core.clone();
    assert_eq!((core.secrets.key_check(), core.keys.root().thumbprint()), (new.key_check(), root));
    crate::audit::is_whole(&core, 2).await;
    let told = core.store.audit_rows(1, 1).await.expect("rows");
    assert_eq!(told[0].row.action, "master key rotate");
    assert_eq!(customer.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    let mut again = Browser::new(&origin);
    assert_eq!(again.sign_in("ada@example.org", PASSWORD).await.status, 303, "found by the name");
    let code = customer.device_code("a terminal").await;
    again.decide(&code.user_code, "approve").await;
    customer.poll(&code.device_code).await.expect("tokens");
    let request = shop.request("view");
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;
    running.stop().await.expect("stops");

    // As if it had been stopped between the database and the files: run again, it ends what it began.
    let current = key(MASTER_KEY);
    std::fs::rename(dir.join(MASTER_KEY), dir.join("master.key.new")).expect("moved");
    let interrupted = || refused(&run(&["operator", "ledger"])).contains("a change of the master key was interrupted");
    assert!(interrupted(), "between the two renamings");
    std::fs::rename(dir.join("master.key.old"), dir.join(MASTER_KEY)).expect("moved");
    assert!(interrupted(), "before them");
    let finished = json(&run(&["rotate-master-key"]));
    assert_eq!(finished["sealed"], serde_json::Value::Null);
    assert!(key(MASTER_KEY) == current && key("master.key.old") == before);
    json(&run(&["operator", "check"]));
    assert!(refused(&run(&["rotate-master-key"])).contains("master.key.old is still there"));
}

/// A server that does not run.
struct Stopped {
    folder: TempDir,
    origin: Origin,
    config: Config,
    place: Place,
}

impl Stopped {
    async fn new() -> Self {
        let stage = Stage::open().await;
        stage.person("ada@example.org").await;
        let (origin, place) = (stage.origin.clone(), stage.database());
        let app = stage.running.app();
        let config = Config {
            listen: stage.running.address(),
            origin: Some(origin.clone()),
            database: app.config.database.clone(),
            ..config(&stage.folder)
        };
        let Stage { folder, running, .. } = stage;
        running.stop().await.expect("stops");
        Self { folder, origin, config, place }
    }

    fn command(&self, task: &[&str]) -> Command {
        command_in(self.folder.path(), self.origin.as_str(), self.config.database.as_ref(), task)
    }

    fn run(&self, task: &[&str]) -> Output {
        self.command(task).output().expect("runs")
    }

    /// The whole log is as it was written, and a head is signed over it.
    fn exported(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
        command.args(["audit", "export", "--dir"]).arg(self.folder.path());
        command.env("PORTCULLIS_SERVER_ORIGIN", self.origin.as_str());
        if let Some(database) = &self.config.database {
            command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
        }
        let exported = command.output().expect("runs");
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    }

    fn key(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("a key")
    }

    fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// Holds the database as a write under way does: until it is let go of, no key is changed.
    fn hold(&self) -> Held {
        match &self.place {
            Place::File(path) => {
                let db = rusqlite::Connection::open(path).expect("the file");
                db.execute_batch("BEGIN IMMEDIATE").expect("held");
                Held::File(db)
            }
            Place::Address(address) => {
                let mut client = connect(address);
                client.batch_execute("BEGIN; SELECT key_check FROM server").expect("held");
                Held::Server(Box::new(client))
            }
        }
    }

    /// A change that waits for the database. With PostgreSQL it gets as far as to the transaction.
    fn change(&self) -> Child {
        let mut command = self.command(&["rotate-master-key"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        if is_postgres() {
            // Made first, and then written.
            let whole = self.key(MASTER_KEY).len();
            until("a new key", || self.has("master.key.new") && self.key("master.key.new").len() == whole);
        }
        child
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

enum Held {
    File(rusqlite::Connection),
    Server(Box<postgres::Client>),
}

impl Held {
    fn let_go(self) {
        match self {
            Self::File(db) => db.execute_batch("ROLLBACK").expect("let go of"),
            Self::Server(mut client) => client.batch_execute("ROLLBACK").expect("let go of"),
        }
    }
}

/// "Interrupted, run it again", and the first goes on: with both at work, one removed the other's new key, and the
/// database opened with no key that was left.
#[test]
fn of_two_changes_at_once_one_is_refused_and_no_key_is_lost() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Stopped::new());
    let before = server.key(MASTER_KEY);
    let held = server.hold();
    let mut both = vec![server.change()];
    let new = is_postgres().then(|| server.key("master.key.new"));
    both.push(server.change());
    let mut ended = None;
    until("the end of one", || {
        ended = both.iter_mut().position(|child| child.try_wait().expect("a state").is_some());
        ended.is_some()
    });
    let second = refused(&both.remove(ended.expect("one")).wait_with_output().expect("ended"));
    assert!(second.contains("another `rotate-master-key` is at work"), "{second}");
    assert!(new == is_postgres().then(|| server.key("master.key.new")), "the first one's key is as it was");
    held.let_go();
    json(&both.remove(0).wait_with_output().expect("ends"));
    assert!(
        server.key("master.key.old") == before && server.key(MASTER_KEY) != before && !server.has("master.key.new")
    );
    json(&server.run(&["operator", "check"]));

    // One that is killed at work: the next one finds out whether it was done, and removes no key.
    let (current, old) = (server.key(MASTER_KEY), server.folder.path().join("master.key.old"));
    std::fs::remove_file(&old).expect("removed");
    let held = server.hold();
    let mut killed = server.change();
    let new = is_postgres().then(|| server.key("master.key.new"));
    killed.kill().expect("killed");
    killed.wait().expect("ends");
    held.let_go();
    json(&server.run(&["rotate-master-key"]));
    let keys: Vec<Vec<u8>> = std::fs::read_dir(server.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.starts_with("master.key"))
        .map(|name| server.key(&name))
        .collect();
    assert!(keys.contains(&current) && server.key("master.key.old") == current);
    assert!(new.is_none_or(|new| keys.contains(&new)), "the one that was never used is there, too");
    json(&server.run(&["operator", "check"]));

    // A file of before is never written over.
    std::fs::copy(server.folder.path().join(MASTER_KEY), server.folder.path().join("master.key.new")).expect("copied");
    let refusal = refused(&server.run(&["rotate-master-key"]));
    assert!(refusal.contains("master.key.old is still there"), "{refusal}");
    assert!(server.key("master.key.old") == current && server.has(MASTER_KEY));
}

/// An operator's command that waits for a password holds no lease. What it wrote with the old key opened for nobody.
#[tokio::test]
async fn a_process_that_opened_before_a_change_writes_nothing_after_it() {
    let server = Stopped::new().await;
    let open =
        async || portcullis_server::open(&server.config, server.origin.clone(), Parts::default()).await.expect("opens");
    let early = open().await;
    let act = || Act::of_server(&early, "test", "");
    // The control: until then it writes.
    act().scope(early.store.create_account(new_account(&early, "first@example.org"))).await.expect("written");
    json(&server.run(&["rotate-master-key"]));
    let rows = server.place.number("SELECT count(*) FROM audit", &[]);

    let added = act().scope(early.store.create_account(new_account(&early, "late@example.org"))).await;
    assert_eq!(added.expect_err("refused"), StoreError::KeyChanged);
    let added = early.store.create_account(new_account(&early, "late@example.org")).await;
    assert_eq!(added.expect_err("nor without an act"), StoreError::KeyChanged);
    assert_eq!(early.store.record_act(act()).await.expect_err("nor a row alone"), StoreError::KeyChanged);
    let signer = early.keys.root().thumbprint();
    let kept = early.store.keep_audit_head(9, "a head".into(), signer).await;
    assert_eq!(kept.expect_err("refused"), StoreError::KeyChanged);
    assert_eq!(early.store.hold_lease().await.expect_err("nor does it serve"), StoreError::KeyChanged);
    assert_eq!(early.store.sweep().await.expect_err("nor clear away"), StoreError::KeyChanged);
    let rotated = act().scope(keys::rotate_signing_key(&*early.store, &early.secrets, Rotation::Stolen)).await;
    assert!(matches!(rotated, Err(KeysError::Store(StoreError::KeyChanged))), "{rotated:?}");
    early.store.close().await.expect("closed");

    assert_eq!(server.place.number("SELECT count(*) FROM audit", &[]), rows);
    assert_eq!(server.place.number("SELECT count(*) FROM accounts", &[]), 2);
    json(&server.run(&["operator", "account", "list"]));
    json(&server.run(&["operator", "check"]));
    server.exported();
    // The control: one that opens afterwards writes.
    let late = open().await;
    let act = Act::of_server(&late, "test", "");
    act.scope(late.store.create_account(new_account(&late, "late@example.org"))).await.expect("written");
    crate::audit::is_whole(&late, u64::try_from(rows).expect("few") + 1).await;
    late.store.close().await.expect("closed");
}
