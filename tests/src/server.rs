//! A real billing server as a child process.

use crate::checkout;
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::postgres;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen. Opening a database and its keys takes a fraction of a second.
const START: Duration = Duration::from_secs(30);

/// A server's directory and, while it runs, its process. Dropped, the process is killed.
pub struct Server {
    dir: PathBuf,
    origin: String,
    root: String,
    words: String,
    children: Vec<Child>,
    starts: u32,
}

impl Server {
    /// Makes a server in `dir`, on a loopback port that is free, with `portcullis-server init`. Its database is a file
    /// there, or of a cluster of this process's own ([`postgres::is_chosen`]).
    ///
    /// # Errors
    /// If the program is missing or fails.
    pub fn init(dir: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Self::init_at(dir, &format!("127.0.0.1:{port}"))
    }

    /// Makes a server in `dir` for `address`.
    ///
    /// # Errors
    /// As [`Server::init`].
    pub fn init_at(dir: &Path, address: &str) -> Result<Self> {
        Self::make(dir, address, &[])
    }

    /// Makes a server in `dir` that people reach at `origin`, by way of a proxy. Returns the address where the proxy
    /// reaches it.
    ///
    /// # Errors
    /// As [`Server::init`].
    pub fn init_behind_proxy(dir: &Path, origin: &str) -> Result<(Self, String)> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Ok((Self::make(dir, &address, &["--origin", origin])?, format!("http://{address}")))
    }

    fn make(dir: &Path, address: &str, more: &[&str]) -> Result<Self> {
        let output = Command::new(checkout::program("portcullis-server")?)
            .args(["init", "--json", "--listen", address])
            .args(
                postgres::is_chosen()
                    .then(|| ["--database".to_owned(), postgres::cluster().database()])
                    .iter()
                    .flatten(),
            )
            .args(more)
            .arg("--dir")
            .arg(dir)
            .output()?;
        ensure!(output.status.success(), "init failed: {}", String::from_utf8_lossy(&output.stderr));
        let made: serde_json::Value = serde_json::from_slice(&output.stdout).context("init prints JSON")?;
        let text = |member: &str| made[member].as_str().map(str::to_owned).context(format!("init prints no {member}"));
        Ok(Self {
            dir: dir.to_owned(),
            origin: text("origin")?,
            root: text("root")?,
            words: text("words")?,
            children: Vec::new(),
            starts: 0,
        })
    }

    /// Changes its configuration, which it reads when it starts. `section` is empty for what is in none.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn configure(&self, section: &str, key: &str, value: impl Into<toml::Value>) -> Result<()> {
        let file = self.dir.join("server.toml");
        let mut config: toml::Table = toml::from_str(&fs::read_to_string(&file)?)?;
        let table = match section {
            "" => &mut config,
            section => config
                .entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .context("a section is a table")?,
        };
        table.insert(key.to_owned(), value.into());
        fs::write(&file, toml::to_string(&config)?).context("cannot write server.toml")
    }

    /// `init` and `start`.
    ///
    /// # Errors
    /// As these.
    pub fn fresh(dir: &Path) -> Result<Self> {
        let mut server = Self::init(dir)?;
        server.start(&[])?;
        Ok(server)
    }

    /// Starts the process, with further environment variables, and waits until it listens.
    ///
    /// # Errors
    /// If it ends or does not listen in time: with its log.
    pub fn start(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        // The product has no faults: they are put into it from outside.
        let has_faults = environment.iter().any(|(name, _)| *name == "PORTCULLIS_FAULT");
        let mut command = self.serve(if has_faults { "portcullis-server-faulty" } else { "portcullis-server" })?;
        command.envs(environment.iter().copied());
        let child = self.spawn(command)?;
        self.children.push(child);
        Ok(())
    }

    /// Starts a second process on the same directory and database, listening at another port under the same origin.
    /// What it answers is what the first would: terminals are told its address by a proxy. Returns that address.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_twin(&mut self) -> Result<String> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = self.serve("portcullis-server")?;
        command.args(["--listen", &address]).env("PORTCULLIS_SERVER_ORIGIN", &self.origin);
        let child = self.spawn(command)?;
        self.children.push(child);
        Ok(format!("http://{address}"))
    }

    /// The most memory that its process ever held, in KiB.
    ///
    /// # Errors
    /// If it does not run, or the system does not say.
    pub fn peak_memory(&self) -> Result<u64> {
        let child = self.children.last().context("the server does not run")?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn serve(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(checkout::program(program)?);
        // Attacks set the clock forth and back.
        command.args(["serve", "--accept-clock", "--dir"]).arg(&self.dir);
        Ok(command)
    }

    fn spawn(&mut self, mut command: Command) -> Result<Child> {
        self.starts += 1;
        let ready = self.dir.join(format!("ready-{}", self.starts));
        let log = File::create(self.dir.join(format!("log-{}.txt", self.starts)))?;
        command.arg("--ready-file").arg(&ready).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().context("cannot start portcullis-server")?;
        let begun = Instant::now();
        while !ready.is_file() {
            if child.try_wait()?.is_some() || begun.elapsed() > START {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the server did not start:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(child)
    }

    /// Kills every process of it, as `kill -9` does, and waits for their end.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn kill(&mut self) -> Result<()> {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }

    /// Waits until the first process has ended by itself, at a fault point for one, and forgets it.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let mut child = self.children.remove(0);
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < START, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Lets every process of it go on that stands still, at a fault point for one (`SIGCONT`).
    ///
    /// # Errors
    /// If the system cannot.
    pub fn resume(&self) -> Result<()> {
        for child in &self.children {
            let resumed = Command::new("kill").args(["-CONT", &child.id().to_string()]).status()?;
            ensure!(resumed.success(), "a process cannot be resumed");
        }
        Ok(())
    }

    /// Runs `portcullis-server operator …` beside it and reads what it prints as JSON.
    ///
    /// # Errors
    /// If it fails: with what it says.
    pub fn operator(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output = Command::new(checkout::program("portcullis-server")?)
            .arg("operator")
            .args(arguments)
            .args(["--json", "--dir"])
            .arg(&self.dir)
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "operator {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("operator prints JSON")
    }

    /// Its origin, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The thumbprint of its root key.
    #[must_use]
    pub fn root_key(&self) -> &str {
        &self.root
    }

    /// The fingerprint words of its root key.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything its processes have logged.
    #[must_use]
    pub fn log(&self) -> String {
        (1..=self.starts)
            .filter_map(|start| fs::read_to_string(self.dir.join(format!("log-{start}.txt"))).ok())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
