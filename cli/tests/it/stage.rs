//! A folder with nothing in it, the command, and where needed a store.

use portcullis_fixtures::ports;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::{browser, json};

const COMMAND: &str = env!("CARGO_BIN_EXE_portcullis");

/// A folder outside the checkout.
pub(crate) struct Stage {
    folder: TempDir,
    store: Option<Store>,
}

struct Store {
    child: Child,
    origin: String,
    words: String,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stage {
    /// Without a store.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), store: None }
    }

    /// With a store on a free loopback port.
    pub(crate) fn with_store() -> Self {
        Self::with_store_at(ports::free(), None)
    }

    /// With a store that listens there, and that terminals reach as `origin` says.
    pub(crate) fn with_store_at(listen: SocketAddr, origin: Option<&str>) -> Self {
        let mut stage = Self::new();
        let dir = stage.path("store");
        let mut init = Command::new(server());
        init.args(["init", "--json", "--listen", &listen.to_string(), "--dir"]).arg(&dir);
        if let Some(origin) = origin {
            init.args(["--origin", origin]);
        }
        let made = init.output().expect("init runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("init prints JSON");
        if origin.is_some() {
            // As on a store that is only this machine's.
            let config = std::fs::read_to_string(dir.join("server.toml")).expect("the configuration");
            let open = config.replace("\"invite\"", "\"open\"").replace("\"approve\"", "\"open\"");
            std::fs::write(dir.join("server.toml"), open.replace("sandbox = false", "sandbox = true"))
                .expect("written");
        }
        let text = |member: &str| made[member].as_str().expect("a text").to_owned();
        let child = serve(&dir, &[]);
        stage.store = Some(Store { child, origin: text("origin"), words: text("words") });
        stage
    }

    /// The store comes back, its clock ahead by so many seconds.
    pub(crate) fn restart_store(&mut self, ahead: i64) {
        self.stop_store();
        let child = serve(&self.path("store"), &[("PORTCULLIS_CLOCK_SHIFT", &ahead.to_string())]);
        self.store.as_mut().expect("a store").child = child;
    }

    /// Runs the command while the store dies at a fault point, and comes back as soon as it is dead.
    pub(crate) fn run_killing_the_store(&mut self, who: &str, arguments: &[&str], point: &str) -> Output {
        self.stop_store();
        let dir = self.path("store");
        let mut dying = serve(&dir, &[("PORTCULLIS_FAULT", &format!("{point}:kill"))]);
        let coming_back = std::thread::spawn(move || {
            let begun = Instant::now();
            while dying.try_wait().expect("wait").is_none() {
                if begun.elapsed() > Duration::from_secs(60) {
                    let _ = dying.kill();
                    let _ = dying.wait();
                    return None;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Some(serve(&dir, &[]))
        });
        let output = self.run(who, arguments);
        let child = coming_back.join().expect("comes back");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        self.store.as_mut().expect("a store").child =
            child.unwrap_or_else(|| panic!("{point} was not passed by {said}"));
        output
    }

    /// What the store's operator is told.
    pub(crate) fn operator(&self, arguments: &[&str]) -> String {
        let output = self.operator_command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the store's operator is told when it goes wrong.
    pub(crate) fn operator_fails(&self, arguments: &[&str]) -> String {
        let output = self.operator_command(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn operator_command(&self, arguments: &[&str]) -> Output {
        let mut operator = Command::new(server());
        operator.args(["operator", "--dir"]).arg(self.path("store")).args(arguments).stdin(Stdio::null());
        operator.output().expect("the operator's command runs")
    }

    /// The store's address.
    pub(crate) fn origin(&self) -> &str {
        &self.store.as_ref().expect("a store").origin
    }

    /// The store's fingerprint.
    pub(crate) fn words(&self) -> &str {
        &self.store.as_ref().expect("a store").words
    }

    /// The store is gone.
    pub(crate) fn stop_store(&mut self) {
        let store = self.store.as_mut().expect("a store");
        store.child.kill().expect("kill");
        store.child.wait().expect("wait");
    }

    /// Below the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command as the user `who` types it, in the folder.
    pub(crate) fn command(&self, who: &str) -> Command {
        let mut command = Command::new(COMMAND);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("PORTCULLIS_HOME", self.path(who)).env("PORTCULLIS_SERVER_BIN", server());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, who: &str, arguments: &[&str]) -> Output {
        let output = self.command(who).args(arguments).output().expect("the command runs");
        if arguments.contains(&"--json") {
            json::check(arguments, &output.stdout);
        }
        output
    }

    /// Runs it. Returns its exit code, and everything that it said.
    pub(crate) fn said(&self, who: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(who, arguments);
        (output.status.code(), everything(&output))
    }

    /// Runs it; it has to succeed.
    pub(crate) fn succeed(&self, who: &str, arguments: &[&str]) -> Output {
        let output = self.run(who, arguments);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}{}", said(&output.stdout), said(&output.stderr));
        output
    }

    /// Signs a user in, with somebody at a browser.
    pub(crate) fn login(&self, who: &str) -> Output {
        self.login_with(who, &[])
    }

    /// The same with further options.
    pub(crate) fn login_with(&self, who: &str, options: &[&str]) -> Output {
        let arguments = [options, &["login", self.origin(), "--fingerprint", self.words(), "--label", "desk"]].concat();
        let mut child = self
            .command(who)
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("login runs");
        let mut stderr = child.stderr.take().expect("standard error");
        let mut shown = Vec::new();
        let (mut code, mut words) = (None, None);
        while code.is_none() || words.is_none() {
            let mut byte = [0];
            assert_eq!(
                stderr.read(&mut byte).expect("login goes on"),
                1,
                "login ended: {}",
                String::from_utf8_lossy(&shown)
            );
            shown.push(byte[0]);
            if byte[0] != b'\n' {
                continue;
            }
            let text = String::from_utf8_lossy(&shown).into_owned();
            let mut tokens = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            code = tokens.clone().find(|token| token.len() == 9 && token.as_bytes()[4] == b'-').map(str::to_owned);
            words = tokens.find(|token| token.matches('-').count() == 7 && *token != self.words()).map(str::to_owned);
        }
        let email = format!("{who}@example.com");
        let (code, words) = (code.expect("a code"), words.expect("words"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(browser::approve(self.origin(), &email, &code, &words));
        stderr.read_to_end(&mut shown).expect("the rest");
        let mut output = child.wait_with_output().expect("login ends");
        output.stderr = shown;
        if options.contains(&"--json") {
            json::check(&arguments, &output.stdout);
        }
        output
    }

    /// A publisher who is signed in, has a key, and has published version 1.0.0 of `acme/sketch`.
    pub(crate) fn with_sketch() -> Self {
        let stage = Self::with_store();
        stage.login("publisher");
        stage.succeed("publisher", &["keygen"]);
        stage.publish("1.0.0");
        stage
    }

    /// Seals and publishes a version.
    pub(crate) fn publish(&self, version: &str) {
        crate::guest::project(&self.path("sketch"), version);
        let file = format!("sketch-{version}.sealed.wasm");
        self.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", &file]);
        self.succeed("publisher", &["publish", &file, "--project", "sketch"]);
    }
}

/// Starts a store that was made in `dir`, and waits until it listens.
fn serve(dir: &Path, environment: &[(&str, &str)]) -> Child {
    let ready = dir.join("ready");
    let _ = std::fs::remove_file(&ready);
    let log = std::fs::File::create(dir.join("log")).expect("log");
    let mut serve = Command::new(match environment.iter().any(|(name, _)| *name == "PORTCULLIS_FAULT") {
        true => program("portcullis-server-faulty"),
        false => server(),
    });
    serve.args(["serve", "--dir"]).arg(dir).arg("--ready-file").arg(&ready).stdout(Stdio::null()).stderr(log);
    // Tests set the clock forth and back.
    serve.arg("--accept-clock").envs(environment.iter().copied());
    let child = serve.stdin(Stdio::null()).spawn().expect("the server starts");
    let begun = Instant::now();
    while !ready.is_file() {
        let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(30), "the server does not listen: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn server() -> PathBuf {
    program("portcullis-server")
}

fn program(name: &str) -> PathBuf {
    let file = Path::new(COMMAND).with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(file.is_file(), "{} is missing: cargo build --workspace --bins", file.display());
    file
}

/// What a command said, on standard output and then on standard error.
pub(crate) fn everything(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
