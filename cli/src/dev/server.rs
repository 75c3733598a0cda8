//! A billing server for a minute: `portcullis-server` as a child process on a free loopback port, its data in a
//! temporary folder. Dropped, it is stopped and gone.

use portcullis_protocol::{Currency, Origin};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, OrFail as _, Outcome};

/// Names the server's program, if it does not lie beside this one.
const VARIABLE: &str = "PORTCULLIS_SERVER_BIN";
/// The setting of a server that says in what it sells.
const CURRENCIES: &str = "PORTCULLIS_SERVER_CURRENCIES";
/// How long it may take to listen: it opens a database and makes a few keys.
const START: Duration = Duration::from_secs(30);

/// The running server.
pub(crate) struct Server {
    child: Child,
    /// What terminals call it.
    pub(crate) origin: Origin,
}

#[derive(Deserialize)]
struct Made {
    origin: Origin,
}

impl Server {
    /// Makes one in `dir` and starts it. It sells in these currencies.
    pub(crate) fn start(dir: &Path, currencies: &BTreeSet<Currency>) -> Outcome<Self> {
        let Program { path: program, is_named } = Program::find()?;
        let mut fix = format!("run `{} init` by hand and see what it says", program.display());
        if is_named {
            fix = format!("{VARIABLE} names it: correct that, or leave it out; if it is right, {fix}");
        }
        // The port is free now; nobody else asks for it in the blink until the server listens.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.or_fail("find a free port", "end other programs")?.port();
        let listen = format!("127.0.0.1:{port}");
        let init = clean(&program).args(["init", "--json", "--listen", &listen, "--dir"]).arg(dir).output();
        let init = init.or_fail(format_args!("run `{}`", program.display()), &fix)?;
        let made: Option<Made> = serde_json::from_slice(&init.stdout).ok().filter(|_| init.status.success());
        let Some(made) = made else {
            let said = String::from_utf8_lossy(&init.stderr).trim().to_owned();
            return Err(Failure::new(format!("the throw-away server cannot be made: {said}"), fix));
        };
        let ready = dir.join("ready");
        let log = std::fs::File::create(dir.join("log"))
            .or_fail("write the server's log", "free some space in the folder for temporary files")?;
        let mut serve = clean(&program);
        // A pipe that ends with this process, however it ends.
        serve.args(["serve", "--stop-with-input", "--dir"]).arg(dir).arg("--ready-file").arg(&ready);
        if !currencies.is_empty() {
            let codes: Vec<&str> = currencies.iter().map(Currency::as_str).collect();
            serve.env(CURRENCIES, codes.join(","));
        }
        let child = serve.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        let mut server = Self { child: child.or_fail("start the server", &fix)?, origin: made.origin };
        let begun = Instant::now();
        while !ready.is_file() {
            let ended = server.child.try_wait().ok().flatten().is_some();
            if ended || begun.elapsed() > START {
                let said = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
                return Err(Failure::new(format!("the throw-away server does not start: {}", said.trim()), fix));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's settings come from its own configuration, not from variables meant for another one.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PORTCULLIS_SERVER_") {
            command.env_remove(name);
        }
    }
    command
}

/// The server's program.
struct Program {
    path: PathBuf,
    /// Whether the variable names it.
    is_named: bool,
}

impl Program {
    fn find() -> Outcome<Self> {
        if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
            return Ok(Self { path: named.into(), is_named: true });
        }
        let name = format!("portcullis-server{}", std::env::consts::EXE_SUFFIX);
        let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name)).filter(|file| file.is_file());
        let path = beside.ok_or_else(|| {
            Failure::new(
                format!("`{name}` does not lie beside this program"),
                format!(
                    "install it there (`cargo build -p portcullis-server` in a checkout), or name it: {VARIABLE}=FILE"
                ),
            )
        })?;
        Ok(Self { path, is_named: false })
    }
}
