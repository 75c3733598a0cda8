//! The example of a merchant, `example-merchant`, as its owner runs it: a folder, commands, and a process that serves.

use crate::{Browser, Server, checkout};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::ports;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A shop and, while it serves, its process. Dropped, the process is killed.
pub struct ExampleMerchant {
    folder: PathBuf,
    name: String,
    address: String,
    child: Option<Child>,
    starts: u32,
}

impl ExampleMerchant {
    /// Makes a shop that sells at a server, and has it registered and approved. It serves.
    ///
    /// # Errors
    /// If a command fails: with what it says.
    pub async fn open(server: &Server, folder: &Path, name: &str) -> Result<Self> {
        let mut shop = Self::init(server, folder, name)?;
        shop.serve(None)?;
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up(&format!("{name}@example.org"), "correct horse battery staple").await?;
        let said = shop.register(&mut browser).await?;
        ensure!(said.contains(&format!("{name} is proven")), "{said}");
        server.operator(&["merchant", "approve", name])?;
        Ok(shop)
    }

    /// Makes its folder, and no more.
    ///
    /// # Errors
    /// As [`ExampleMerchant::open`].
    pub fn init(server: &Server, folder: &Path, name: &str) -> Result<Self> {
        let address = ports::free().to_string();
        let shop = Self { folder: folder.to_owned(), name: name.to_owned(), address, child: None, starts: 0 };
        let store = ["--store", server.origin(), "--fingerprint", server.words()];
        let webhook = shop.webhook();
        let own = ["--name", name, "--title", "The Games Shop", "--webhook", &webhook];
        shop.run(&[&["init"][..], &store, &own].concat())?;
        Ok(shop)
    }

    /// Registers, with a browser whose user is signed in.
    ///
    /// # Errors
    /// As [`ExampleMerchant::open`].
    pub async fn register(&self, browser: &mut Browser) -> Result<String> {
        let mut child = self.command(&["register"])?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let mut approve = String::new();
        for line in lines.by_ref() {
            approve = line?;
            if approve.starts_with("and approve the code") {
                break;
            }
        }
        let code = approve.split(' ').nth(4).context("a code")?.to_owned();
        let words = approve.rsplit(' ').next().context("words")?.to_owned();
        let approved = browser.approve(&code, &words).await;
        if approved.is_err() {
            child.kill()?;
        }
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let output = child.wait_with_output()?;
        approved?;
        ensure!(output.status.success(), "register: {}", String::from_utf8_lossy(&output.stderr));
        Ok(said.join("\n"))
    }

    /// Where the store reaches it.
    #[must_use]
    pub fn webhook(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Where customers reach it.
    #[must_use]
    pub fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name at the store.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let log = |start| fs::read_to_string(self.folder.join(format!("log-{start}.txt"))).ok();
        (1..=self.starts).filter_map(log).collect()
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(checkout::program("example-merchant")?);
        command.arg("--dir").arg(&self.folder).args(arguments).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command, whatever comes of it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)?.output().context("cannot start example-merchant")
    }

    /// Runs a command that has to succeed. Returns what it printed.
    ///
    /// # Errors
    /// If it fails: with what it says.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?} ended with {}:\n{said}{error}", output.status);
        Ok(said.into_owned())
    }

    /// Puts codes into stock.
    ///
    /// # Errors
    /// As [`ExampleMerchant::run`].
    pub fn stock(&self, product: &str, codes: &[String]) -> Result<()> {
        let mut child = self.command(&["stock", product])?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("standard input")?.write_all(codes.join("\n").as_bytes())?;
        ensure!(child.wait()?.success(), "stock {product}");
        Ok(())
    }

    /// Starts the process that serves, and waits until it listens. With a fault, it ends at that step.
    ///
    /// # Errors
    /// If it does not listen in time: with its log.
    pub fn serve(&mut self, fault: Option<&str>) -> Result<()> {
        self.kill()?;
        self.starts += 1;
        let program = if fault.is_some() { "example-merchant-faulty" } else { "example-merchant" };
        let mut command = Command::new(checkout::program(program)?);
        command.arg("--dir").arg(&self.folder).args(["serve", "--listen", &self.address]).stdin(Stdio::null());
        if let Some(step) = fault {
            command.env("PORTCULLIS_FAULT", format!("{step}:kill"));
        }
        let log = File::create(self.folder.join(format!("log-{}.txt", self.starts)))?;
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().context("cannot start example-merchant")?;
        let begun = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            // It may have begun where it ended before, and died there.
            if child.try_wait()?.is_some() && fault.is_some() {
                break;
            }
            if begun.elapsed() > PATIENCE || child.try_wait()?.is_some() {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the shop does not listen:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = Some(child);
        Ok(())
    }

    /// Kills the process, as `kill -9` does.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the shop does not serve")?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the shop did not end:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for ExampleMerchant {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
