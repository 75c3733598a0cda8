//! A server with the example resources on sale, and a client in Python beside it.

use super::tools::{json, last_line, output, python};
use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{Browser, Ran, Server, Terminal, checkout};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PASSWORD: &str = "a password for tests";

/// The picture, as it is sold.
pub(super) const PICTURE: &str = "lumen/picos-de-europa";
/// The software, as it is sold.
pub(super) const SOFTWARE: &str = "pixelforge/resize";

/// The music, as it is sold.
pub(super) const MUSIC: &str = "tidewater/harbour-at-dusk";
/// The theme, as it is sold.
pub(super) const THEME: &str = "hearth/pine-and-ember";
/// The video, as it is sold.
pub(super) const VIDEO: &str = "ridgeline/first-light";

/// A running server that sells one of the examples.
pub(super) struct Stage {
    /// The server.
    pub(super) server: Server,
    /// The publisher's terminal.
    pub(super) publisher: Terminal,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Makes keys, seals and publishes the example in `example-resources/NAME`.
    pub(super) async fn selling(example: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::fresh(&folder.path().join("server"))?;
        let publisher = Terminal::new(folder.path().join("publisher"));
        let stage = Self { server, publisher, folder };
        let mut browser = Browser::new(stage.server.origin())?;
        browser.sign_up("publisher@example.com", PASSWORD).await?;
        let publisher = &stage.publisher;
        publisher.login(&stage.server, &mut browser).await?.done()?;
        let project = checkout::root().join("example-resources").join(example);
        let project = super::tools::text(&project)?;
        let run = |arguments: &[&str]| publisher.run_in(stage.folder.path(), arguments)?.done();
        run(&["keygen", "-o", "publisher.key"])?;
        let origin = stage.server.origin();
        let seal = ["seal", project, "--server", origin, "--key", "publisher.key", "--advisory-metering"];
        run(&[&seal[..], &["-o", "sealed.wasm"]].concat())?;
        run(&["publish", "sealed.wasm", "--project", project, "--key", "publisher.key"])?;
        Ok(stage)
    }

    /// A file of this test.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of this test's files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A terminal of `portcullis`, signed in to an account of its own.
    pub(super) async fn user(&self) -> Result<Terminal> {
        let mut browser = Browser::new(self.server.origin())?;
        browser.sign_up("user@example.com", PASSWORD).await?;
        let user = Terminal::new(self.path("user"));
        user.login(&self.server, &mut browser).await?.done()?;
        Ok(user)
    }

    /// Runs `portcullis` as that user, in the folder of this test's files. It has to succeed.
    pub(super) fn run(&self, user: &Terminal, arguments: &[&str]) -> Result<Ran> {
        user.run_in(self.folder(), arguments)?.done()
    }

    /// Runs `portcullis` as that user, who has to be refused for want of payment.
    pub(super) fn unpaid(&self, user: &Terminal, arguments: &[&str]) -> Result<()> {
        let ran = user.run_in(self.folder(), &[&["--json"], arguments].concat())?;
        let error = ran.json()?["error"].take();
        ensure!(ran.exit != 0 && error["reason"] == "payment-required", "{}: {error}", ran.line);
        ensure!(error["offers"].as_array().is_some_and(|offers| offers.len() == 1), "{}: {error}", ran.line);
        Ok(())
    }

    /// Shows that the free operation `preview` releases the keys of these two parts alone, code and asset: the client
    /// in Python, which has no rights but what is free, counts the keys.
    pub(super) async fn preview_releases(&self, resource: &str, code: &str, asset: &str) -> Result<()> {
        self.login_python().await?;
        self.ask(&["install", resource, "installed.wasm"])?;
        let granted = self.ask(&["open", "installed.wasm", "preview", asset, "previewed"])?;
        ensure!(granted["grant"]["parts"] == serde_json::json!([code, asset]), "{granted}");
        Ok(())
    }

    /// The client in Python, with these arguments. Every signed document it sees is added to the file `documents`.
    pub(super) fn client(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = python("recorded.py")?;
        command.arg(self.path("documents")).arg(self.path("python")).args(arguments).current_dir(self.folder());
        Ok(command)
    }

    /// Runs the client, which has to succeed.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Value> {
        json(&mut self.client(arguments)?)
    }

    /// Runs the client, which has to be refused: the reason, and the number of offers.
    pub(super) fn refused(&self, arguments: &[&str]) -> Result<(String, usize)> {
        let output = output(&mut self.client(arguments)?)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2), "not refused, but {}:\n{said}", output.status);
        let refusal = last_line(&output.stdout)?["refusal"].take();
        let reason = refusal["reason"].as_str().context("a refusal without a reason")?.to_owned();
        Ok((reason, refusal["offers"].as_array().map_or(0, Vec::len)))
    }

    /// Signs the client in to a new account: it shows a code and its words, and a browser approves.
    pub(super) async fn login_python(&self) -> Result<Value> {
        let mut browser = Browser::new(self.server.origin())?;
        browser.sign_up("python@example.com", PASSWORD).await?;
        let mut command = self.client(&["login", self.server.origin(), self.server.words(), "a client in Python"])?;
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start Python")?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let shown: Value = serde_json::from_str(&lines.next().context("the client showed nothing")??)?;
        let word = |member: &str| shown[member].as_str().with_context(|| format!("no {member}: {shown}"));
        let approved = browser.approve(word("user_code")?, word("words")?).await;
        if approved.is_err() {
            child.kill()?;
        }
        let last = lines.last().context("the client said nothing more")??;
        ensure!(child.wait()?.success(), "the client did not sign in: {last}");
        approved?;
        Ok(serde_json::from_str(&last)?)
    }
}
