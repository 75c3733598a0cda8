//! The command, as an operator types it.

use crate::browser::Browser;
use crate::database::{Place, choose, is_postgres};
use crate::stage::PASSWORD;
use crate::terminal::{Terminal, rng};
use portcullis_protocol::age::Identity;
use portcullis_protocol::{Origin, SecretKey};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const COMMAND: &str = env!("CARGO_BIN_EXE_portcullis-server");

/// The program in a folder, with no environment but the address of the database that was chosen for it.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(COMMAND);
    command.current_dir(dir).env_clear();
    if let Place::Address(address) = Place::of(dir, "") {
        command.env("PORTCULLIS_SERVER_DATABASE", address);
    }
    command
}

pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    run_with(dir, arguments, "")
}

pub(crate) fn run_with(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = command(dir);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("ends")
}

pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address on this machine where nobody listens.
pub(crate) fn free_address() -> String {
    portcullis_fixtures::ports::free().to_string()
}

/// A server process, ended with the test.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) origin: Origin,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

pub(crate) fn serve(dir: &Path) -> Served {
    serve_with(dir, &[])
}

/// Starts the server in `store`, whose log goes to `log`.
pub(crate) fn serve_with(dir: &Path, environment: &[(&str, &str)]) -> Served {
    let ready = dir.join("ready");
    let _ = std::fs::remove_file(&ready);
    let log = std::fs::File::create(dir.join("log")).expect("a log");
    let mut child = command(dir);
    child.args(["serve", "--dir", "store", "--ready-file", "ready"]).envs(environment.iter().copied());
    let child = child.stdout(Stdio::null()).stderr(log).spawn().expect("starts");
    let begun = Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    let origin = std::fs::read_to_string(&ready).expect("read").trim().parse().expect("an origin");
    Served { child, origin }
}

#[cfg(unix)]
pub(crate) fn terminate(served: &mut Served) -> bool {
    let pid = served.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    served.child.wait().expect("ends").success()
}

#[tokio::test]
async fn an_operator_sets_up_and_runs_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    choose(dir);
    let made = json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    assert!(made["words"].as_str().is_some_and(|words| words.split('-').count() == 8));
    assert!(refused(&run(dir, &["init", "--dir", "store"])).contains("already"), "keys are made once");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &str| std::fs::metadata(dir.join(path)).expect("made").permissions().mode() & 0o777;
        assert_eq!((mode("store"), mode("store/master.key")), (0o700, 0o600));
        assert!(is_postgres() || mode("store/portcullis.sqlite") == 0o600);
    }

    let mut served = serve(dir);
    let mut terminal = Terminal::new(&served.origin).await;
    assert_eq!(terminal.root.thumbprint().words(), made["words"].as_str().expect("words"));

    // The invitation makes the operator's account, once.
    let invitation = made["invitation"].as_str().expect("a URL");
    let path = invitation.split_once("/invite/").map(|(_, token)| format!("/invite/{token}")).expect("a path");
    let mut operator = Browser::new(&served.origin);
    let csrf = operator.get(&path).await.csrf();
    let fields = [("csrf", csrf.as_str()), ("email", "operator@example.org"), ("password", PASSWORD)];
    assert_eq!(operator.post(&path, &fields).await.status, 303);
    assert_eq!(operator.get(&path).await.status, 404, "used up");

    let operator_runs = |arguments: &[&str]| {
        let mut all = vec!["operator", "--dir", "store", "--json"];
        all.extend_from_slice(arguments);
        run(dir, &all)
    };
    let add = ["operator", "--dir", "store", "--json", "account", "add", "ada@example.org"];
    let added = json(&run_with(dir, &add, &format!("{PASSWORD}\n")));
    assert_eq!(added["password"], Value::Null, "a password that was given is not repeated");
    let generated = json(&operator_runs(&["account", "add", "bob@example.org"]));
    assert!(generated["password"].as_str().is_some_and(|password| password.len() > 40));
    assert!(refused(&operator_runs(&["account", "add", "Ada@example.org"])).contains("there is an account"));
    let accounts = json(&operator_runs(&["account", "list"]));
    let emails: Vec<&str> =
        accounts["accounts"].as_array().expect("rows").iter().filter_map(|row| row["email"].as_str()).collect();
    assert_eq!(emails, ["operator@example.org", "ada@example.org", "bob@example.org"]);
    assert_eq!(accounts["accounts"][0]["operator"], true);

    // Ada signs a terminal in; the operator sees it, and suspends her.
    let mut ada = Browser::new(&served.origin);
    ada.sign_in("ada@example.org", PASSWORD).await;
    let code = terminal.device_code("workshop").await;
    ada.decide(&code.user_code, "approve").await;
    terminal.poll(&code.device_code).await.expect("tokens");
    let enrolled = terminal.enrol("workshop").await;
    let terminals = json(&operator_runs(&["terminal", "list", "ada@example.org"]));
    assert_eq!(terminals["terminals"][0]["terminal"], enrolled.terminal.to_string());
    json(&operator_runs(&["account", "suspend", "ada@example.org"]));
    let asked = crate::terminal::Draft::get("/v1/account");
    assert_eq!(terminal.get_no(&asked).await.reason, portcullis_protocol::Reason::AccountSuspended);
    json(&operator_runs(&["account", "restore", "ada@example.org"]));
    assert_eq!(terminal.get_no(&asked).await.reason, portcullis_protocol::Reason::NotSignedIn, "everything has ended");
    assert_eq!(ada.get("/device").await.status, 303, "her browser too");
    ada.sign_in("ada@example.org", PASSWORD).await;
    let code = terminal.device_code("workshop").await;
    ada.decide(&code.user_code, "approve").await;
    terminal.poll(&code.device_code).await.expect("tokens");
    assert_eq!(terminal.send(&asked).await.status, 200, "the terminal is enrolled still");
    let sessions = json(&operator_runs(&["account", "sessions", "ada@example.org"]));
    assert_eq!(sessions["sessions"][0]["terminal"], enrolled.terminal.to_string());
    assert_eq!(sessions["browsers"].as_array().map(Vec::len), Some(1));

    // The operator gives her another password, and signs her out.
    let change = ["operator", "--dir", "store", "--json", "account", "password", "Ada@example.org"];
    let changed = json(&run_with(dir, &change, "another long password\n"));
    assert_eq!(changed["password"], Value::Null, "what was given is not repeated");
    assert_eq!(terminal.get_no(&asked).await.reason, portcullis_protocol::Reason::NotSignedIn);
    assert_eq!(ada.get("/device").await.status, 303);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 422, "the old password is none any more");
    assert_eq!(ada.sign_in("ada@example.org", "another long password").await.status, 303);
    assert!(refused(&run_with(dir, &change, "short\n")).contains("at least"));
    assert!(refused(&operator_runs(&["account", "password", "nobody@example.org"])).contains("no account"));
    let generated = json(&operator_runs(&["account", "password", "ada@example.org"]));
    let generated = generated["password"].as_str().expect("a password").to_owned();
    assert_eq!(ada.sign_in("ada@example.org", &generated).await.status, 303);
    let out = json(&operator_runs(&["account", "sign-out", "ada@example.org"]));
    assert_eq!(out["browsers"], 1);
    assert_eq!(ada.get("/account").await.location(), Some("/sign-in?to=account"));
    json(&operator_runs(&["terminal", "revoke", "ada@example.org", &enrolled.terminal.to_string()]));
    assert_eq!(terminal.get_no(&asked).await.reason, portcullis_protocol::Reason::TerminalRevoked);

    // An invitation that went to the wrong person is taken back.
    let lost = json(&operator_runs(&["invite"]));
    let path = lost["invitation"].as_str().and_then(|url| url.split_once("/invite/")).expect("a URL").1.to_owned();
    let listed = json(&operator_runs(&["invitation", "list"]));
    let id = listed["invitations"][0]["invitation"].as_str().expect("an identifier").to_owned();
    assert!(!path.contains(&id), "the token cannot be had from the list");
    let mut invited = Browser::new(&served.origin);
    assert_eq!(invited.get(&format!("/invite/{path}")).await.status, 200);
    json(&operator_runs(&["invitation", "revoke", &id]));
    assert_eq!(invited.get(&format!("/invite/{path}")).await.status, 404);
    assert!(refused(&operator_runs(&["invitation", "revoke", &id])).contains("no such invitation"));

    for arguments in [&["publisher", "list"][..], &["order", "list"], &["reconcile"], &["ledger"], &["invite"]] {
        json(&operator_runs(arguments));
    }
    json(&operator_runs(&["rotate-key", "--starts-in", "60"]));
    assert_eq!(json(&operator_runs(&["rotate-key", "--stolen"]))["stolen"], true);
    let exported = json(&operator_runs(&["export-identity", "-o", "identity.txt"]));
    let identity = std::fs::read_to_string(dir.join("identity.txt")).expect("written");
    let identity: Identity = identity.lines().last().expect("a line").parse().expect("an age identity");
    assert_eq!(exported["recipient"], identity.recipient().to_string());
    assert_eq!(terminal.keys.recipient, identity.recipient().to_string());
    assert!(
        refused(&operator_runs(&["export-identity", "-o", "identity.txt"])).contains("identity.txt"),
        "never overwritten"
    );
    let refund = refused(&operator_runs(&["order", "refund", "AAAAAAAAAAAAAAAAAAAAAA"]));
    assert!(
        refund.contains("no such order: AAAAAAAAAAAAAAAAAAAAAA. `portcullis-server operator order list`"),
        "{refund}"
    );
    #[cfg(unix)]
    assert!(terminate(&mut served), "a clean end");
}

#[tokio::test]
async fn an_operator_approves_publishers_without_making_them_operators() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    choose(dir);
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let served = serve_with(dir, &[("PORTCULLIS_SERVER_PUBLISHERS", "approve")]);
    let operator = |arguments: &[&str]| run(dir, &[&["operator", "--dir", "store", "--json"], arguments].concat());
    let mut terminals = Vec::new();
    for email in ["ada@example.org", "bob@example.org"] {
        let add = ["operator", "--dir", "store", "--json", "account", "add", email];
        json(&run_with(dir, &add, &format!("{PASSWORD}\n")));
        let mut browser = Browser::new(&served.origin);
        browser.sign_in(email, PASSWORD).await;
        let mut terminal = Terminal::new(&served.origin).await;
        let code = terminal.device_code("workshop").await;
        browser.decide(&code.user_code, "approve").await;
        terminal.poll(&code.device_code).await.expect("tokens");
        terminal.enrol("workshop").await;
        terminals.push(terminal);
    }
    let key = SecretKey::generate(&mut rng());
    let claims = ["lumen", "umbra"].map(|name| crate::stage::claim(&served.origin, name, &key));
    for (terminal, claim) in terminals.iter_mut().zip(&claims) {
        let answer = terminal.send(claim).await;
        assert_eq!(answer.status, reqwest::StatusCode::FORBIDDEN);
        assert!(answer.problem().expect("a problem").detail.contains("approves its publishers"));
    }
    let listed = json(&operator(&["publisher", "list"]));
    let waiting: Vec<&str> =
        listed["waiting"].as_array().expect("a list").iter().filter_map(|one| one["email"].as_str()).collect();
    assert_eq!((waiting.len(), waiting.contains(&"ada@example.org")), (2, true), "{listed}");
    assert!(refused(&operator(&["publisher", "approve", "nobody"])).contains("no one is waiting"));
    json(&operator(&["publisher", "approve", "lumen"]));
    json(&operator(&["publisher", "approve", "bob@example.org"]));
    for (terminal, claim) in terminals.iter_mut().zip(&claims) {
        let portcullis_protocol::wire::Done {} = terminal.get_yes(claim).await;
    }
    let accounts = json(&operator(&["account", "list"]));
    let operators = accounts["accounts"].as_array().expect("rows").iter().filter(|row| row["operator"] == true);
    assert_eq!(operators.count(), 0, "{accounts}");
    let listed = json(&operator(&["publisher", "list"]));
    assert_eq!(listed["waiting"].as_array().map(Vec::len), Some(0), "{listed}");
}

#[test]
fn errors_say_cause_and_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    assert!(refused(&run(dir, &["serve", "--dir", "nowhere"])).contains("portcullis-server init"));
    let nowhere = refused(&run(dir, &["serve", "--config", "nowhere.toml"]));
    assert!(nowhere.contains("nowhere.toml") && nowhere.matches("os error").count() == 1, "{nowhere}");
    // Whoever looks for a server is not told to make one.
    let nowhere = refused(&run(dir, &["operator", "--dir", "stroe", "account", "list"]));
    assert!(nowhere.contains("--dir or PORTCULLIS_SERVER_DIR") && !nowhere.contains("init"), "{nowhere}");
    assert!(refused(&run(dir, &["init", "--dir", "store", "--listen", "0.0.0.0:80"])).contains("origin"));
    assert!(!dir.join("store").exists(), "nothing was made");
    std::fs::write(dir.join("own.toml"), "sing_up = \"open\"\n").expect("written");
    assert!(refused(&run(dir, &["serve", "--config", "own.toml"])).contains("sing_up"));
    assert!(refused(&run(dir, &["init", "--dir", "store", "--listen", "18441"])).contains("write 127.0.0.1:18441"));
    assert!(!dir.join("store").exists(), "nothing was made");
    // A database that does not answer: nothing is left of the try.
    refused(&run(dir, &["init", "--dir", "store", "--database", "postgres://nobody@127.0.0.1:1/x"]));
    assert!(!dir.join("store").exists(), "nothing is left");
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    #[cfg(unix)]
    for name in ["server.toml", "master.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(dir.join("store").join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is its owner's alone");
    }
    // Of the networks for documentation (RFC 5737), so of no machine; and a port that somebody has.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address.to_string(), taken)).expect("an address");
    let store = std::fs::read_to_string(dir.join("store/server.toml")).expect("the configuration");
    let listening = |address: &str| {
        let line = store.lines().find(|line| line.starts_with("listen = ")).expect("such a line");
        let origin = line.replace("listen = \"", "origin = \"http://");
        let changed = store.replace(line, &format!("listen = \"{address}\"\n{origin}"));
        std::fs::write(dir.join("store/server.toml"), changed).expect("written");
        refused(&run(dir, &["serve", "--dir", "store"]))
    };
    assert!(listening("192.0.2.1:18441").contains("no address of this machine"));
    assert!(listening(&taken.0).contains("another server running there"));
    // The address for monitoring is another one, which each process has to have for itself.
    let metrics = [("PORTCULLIS_SERVER_METRICS_LISTEN", taken.0.as_str())];
    std::fs::write(dir.join("store/server.toml"), &store).expect("written");
    let mut second = command(dir);
    let said = refused(&second.args(["serve", "--dir", "store"]).envs(metrics).output().expect("ends"));
    assert!(
        said.contains("(`metrics.listen`)") && said.contains("PORTCULLIS_SERVER_METRICS_LISTEN for each"),
        "{said}"
    );
    // A number that cannot be meant, in words for people.
    for (arguments, words) in [
        (["rotate-key", "--starts-in", "-5"], "-5 is not in 0.."),
        (["invite", "--days", "-3"], "-3 is not in 1..=90"),
        (["invite", "--days", "soon"], "not a whole number"),
    ] {
        let said = refused(&run(dir, &[&["operator", "--dir", "store"][..], &arguments].concat()));
        assert!(said.contains(words) && !said.contains("invalid digit"), "{said}");
    }
}

/// What is not there is named, with the task that lists what there is; a list of nothing says so.
#[test]
fn an_operator_is_told_where_to_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let operator = |arguments: &[&str]| run(dir, &[&["operator", "--dir", "store"], arguments].concat());
    let (short, long) = ("AaIpVF9W86DoTpGWcEelrQ", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg");
    for (arguments, said) in [
        (&["order", "refund", "AAAA"][..], ["identifier of an order: 22 letters", "operator order list` lists them"]),
        (&["order", "settle", "AaIpVF9W86DoTpGWcEelrX", "paid"], ["22 letters", "operator order list` lists them"]),
        (&["order", "refund", short], ["no such order: AaIpVF9W86DoTpGWcEelrQ", "operator order list`"]),
        (&["order", "play", short, "settled"], ["no such order: AaIpVF9W86DoTpGWcEelrQ", "operator find"]),
        (&["codes", "keep", short], ["no such order of codes: AaIp", "operator order list`"]),
        (&["codes", "reverse", "x"], ["22 letters", "operator order list`"]),
        (&["withdraw", "x"], ["not a valid digest: 43 letters", "operator resource list` lists them"]),
        (&["withdraw", long], ["no such resource: n4bQ", "operator resource list`"]),
        (&["invitation", "revoke", "xx"], ["22 letters", "operator invitation list` lists them"]),
        (&["invitation", "revoke", short], ["AaIpVF9W86DoTpGWcEelrQ was used", "operator invitation list`"]),
        (&["webhook", "remove", "xx"], ["22 letters", "operator webhook list` lists them"]),
        (&["webhook", "remove", short], ["no such endpoint: AaIp", "operator webhook list`"]),
        (&["terminal", "revoke", "a@b.example", "xx"], ["22 letters", "operator terminal list EMAIL` lists them"]),
        (&["merchant", "rekey", "games", "x"], ["not a valid thumbprint", "43 letters"]),
    ] {
        let error = refused(&operator(arguments));
        for said in said {
            assert!(error.contains(said), "{arguments:?}: {error}");
        }
    }
    for (arguments, said) in [
        (&["order", "list"][..], "No orders."),
        (&["reconcile"], "Every order is final."),
        (&["ledger"], "Nothing is booked yet."),
        (&["publisher", "list"], "No publishers, and nobody waits"),
        (&["merchant", "list"], "No merchants."),
        (&["codes", "list"], "Every order of codes is final."),
        (&["resource", "list"], "No resources are published."),
        (&["account", "list"], "No accounts."),
        (&["webhook", "list"], "No endpoints."),
    ] {
        let output = operator(arguments);
        assert!(output.status.success(), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with(said), "{arguments:?}: {text}");
        // A program gets an empty list.
        let list = json(&operator(&[&["--json"], arguments].concat()));
        let lists = list.as_object().map_or_else(|| vec![&list], |lists| lists.values().collect());
        assert!(lists.iter().all(|list| list.as_array().is_none_or(Vec::is_empty)), "{arguments:?}: {list}");
    }
}

/// Of 64 identifiers one begins with a hyphen.
#[test]
fn an_identifier_may_begin_with_a_hyphen() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let (short, long) = (format!("-{}", "A".repeat(21)), format!("-{}", "A".repeat(42)));
    for (arguments, said) in [
        (&["withdraw", &long][..], "no such resource"),
        (&["restore", &long], "no such resource"),
        (&["invitation", "revoke", &short], "no such invitation"),
        (&["webhook", "remove", &short], "no such endpoint"),
        (&["webhook", "rotate", &short, "--json"], "no such endpoint"),
        (&["merchant", "rekey", "games", &long], "no merchant"),
    ] {
        let error = refused(&run(dir, &[&["operator", "--dir", "store"], arguments].concat()));
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    // What is no identifier is still a flag that there is not.
    let error = refused(&run(dir, &["operator", "--dir", "store", "account", "suspend", "--hard", "ada@example.org"]));
    assert!(error.contains("unexpected argument '--hard'"), "{error}");
}

#[test]
fn the_configuration_that_init_writes_is_read_again() {
    for arguments in [&["--origin", "https://store.example"][..], &[]] {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let mut all = vec!["init", "--dir", "store"];
        all.extend_from_slice(arguments);
        let output = run(dir, &all);
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("/invite/"), "{text}");
        let config = std::fs::read_to_string(dir.join("store/server.toml")).expect("written");
        let behind_proxy = config.contains("\nbehind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\", \"::1/128\"]\n");
        assert_eq!(behind_proxy, !arguments.is_empty(), "with a public name it stands behind a proxy: {config}");
        json(&run(dir, &["operator", "--dir", "store", "--json", "ledger"]));
    }
}

/// Whoever starts a store for a while may be killed, and the store with it.
#[test]
fn a_store_that_shall_stop_with_its_input_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]);
    let mut child = command(dir);
    child.args(["serve", "--dir", "store", "--ready-file", "ready", "--stop-with-input"]);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let mut served = Served { child, origin: "http://127.0.0.1:1".parse().expect("origin") };
    let begun = Instant::now();
    let ready = dir.join("ready");
    while !ready.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(served.child.try_wait().expect("asked").is_none(), "it runs while its input is open");
    drop(served.child.stdin.take());
    assert!(served.child.wait().expect("ends").success());
}

/// Uploads that a crash left are cleared at the next start, those of another process that runs are not.
#[test]
fn what_a_crash_left_of_uploads_is_cleared_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]);
    let uploads = dir.join("store/uploads");
    std::fs::create_dir_all(&uploads).expect("made");
    let (left, owned) = (uploads.join("left.part"), uploads.join("owned.part"));
    std::fs::write(&left, "half of a file").expect("written");
    std::fs::write(&owned, "half of a file").expect("written");
    let lock = std::fs::File::open(&owned).expect("opened");
    lock.lock().expect("locked");
    let served = serve(dir);
    assert!(!left.exists() && owned.exists());
    // Another process ends, and the sweep finds what it left.
    drop(lock);
    let begun = Instant::now();
    while owned.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the sweep clears it");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(served);
}
