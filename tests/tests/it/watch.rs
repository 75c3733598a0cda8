//! `portcullis codes --watch` at a real store: what it shows while an order moves, when it ends, and that it outlives
//! the store's restart.

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{Browser, Rogue, Server, Terminal};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// How long a line may take to come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    _folder: TempDir,
    server: Server,
    rogue: Rogue,
    user: Terminal,
    other: Terminal,
}

impl Stage {
    /// A store with a merchant, and a user with two terminals.
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::fresh_with_local_endpoints(&folder.path().join("server"))?;
        let rogue = Rogue::open(&server, "games").await?;
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up("user@example.org", "correct horse battery staple").await?;
        let (user, other) = (Terminal::new(folder.path().join("user")), Terminal::new(folder.path().join("other")));
        user.login(&server, &mut browser).await?.done()?;
        other.login(&server, &mut browser).await?.done()?;
        Ok(Self { _folder: folder, server, rogue, user, other })
    }

    /// Orders a code at the user's terminal, and does not wait for it.
    fn order(&self) -> Result<String> {
        let pay = ["--json", "pay", "games/game-key", "--yes", "--again", "--no-wait"];
        let paid = self.user.run(&pay)?.done()?.json()?;
        Ok(paid["order"].as_str().context("an order")?.to_owned())
    }
}

/// A command that goes on.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Watching {
    fn of(terminal: &Terminal, arguments: &[&str]) -> Result<Self> {
        let mut child = terminal.command()?.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (send, lines) = channel();
        let stderr = child.stderr.take().context("standard error")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, heard: Vec::new() })
    }

    /// Waits for a line that says all of this.
    fn wait_for(&mut self, words: &[&str]) -> Result<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.with_context(|| format!("no line with {words:?} in {:?}", self.heard))?;
            self.heard.push(line.clone());
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
        }
    }

    /// Waits for its end. Returns what it printed.
    fn end(mut self) -> Result<String> {
        let mut said = String::new();
        self.child.stdout.take().context("standard output")?.read_to_string(&mut said)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {:?}", self.lines.iter().collect::<Vec<_>>());
        Ok(said)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_shows_each_move_fetches_the_code_and_outlives_a_restart() -> Result<()> {
    let mut stage = Stage::open().await?;
    let order = stage.order()?;
    let id = order.parse()?;
    let mut watch = Watching::of(&stage.user, &["codes", "--watch"])?;
    watch.wait_for(&[&order, "Alpine Racer"])?;
    // Another window of the same terminal: neither takes the other's work for a lie of the merchant.
    let mut twin = Watching::of(&stage.user, &["codes", "--watch"])?;
    twin.wait_for(&[&order, "Alpine Racer"])?;
    // Nothing of another terminal's comes here: it says where it goes, and ends.
    let elsewhere = stage.other.run(&["codes", "--watch"])?.done()?;
    let said = String::from_utf8_lossy(&elsewhere.stdout).into_owned();
    ensure!(said.contains("comes to the terminal") && said.contains("--claim"), "{said}");
    ensure!(!said.contains("webhook"), "{said}");
    let shown = stage.other.run(&["codes", &order])?;
    ensure!(shown.exit == 1 && shown.stderr.contains("--claim"), "{}", shown.stderr);

    let nonce = stage.rogue.nonce(&id).await?;
    let verification = stage.rogue.verify(&id, nonce).await?;
    watch.wait_for(&[&order, "verified", "seals the code"])?;
    stage.server.kill()?;
    stage.server.start(&[])?;
    let sealed = stage.rogue.seal(&verification, &["AFTER-THE-RESTART"])?;
    stage.rogue.submit(&sealed).await?;
    watch.wait_for(&[&order, "acknowledged"])?;
    twin.end()?;
    let table = watch.end()?;
    ensure!(table.contains(&order) && table.contains("acknowledged"), "{table}");
    let listed = stage.user.run(&["--json", "codes"])?.done()?.json()?;
    ensure!(listed["codes"][0]["state"] == "acknowledged", "{listed}");
    // Nobody's clipboard: a pipe is no terminal.
    let copied = stage.user.run(&["codes", &order, "--copy"])?;
    ensure!(copied.exit == 2 && !copied.stderr.contains("52;c"), "{}", copied.stderr);
    let code = stage.user.run(&["codes", &order])?.done()?;
    ensure!(code.stdout == b"AFTER-THE-RESTART\n", "{code:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_says_that_a_merchant_declined_and_why() -> Result<()> {
    let mut stage = Stage::open().await?;
    let order = stage.order()?;
    let id = order.parse()?;
    let mut watch = Watching::of(&stage.user, &["--json", "codes", "--watch"])?;
    watch.wait_for(&[&order])?;
    stage.rogue.nonce(&id).await?;
    stage.rogue.decline(&id).await?;
    let line = watch.wait_for(&[&order, "refund"])?;
    let said: Value = serde_json::from_str(&line)?;
    ensure!(said["merchant"] == "games" && said["here"] == false, "a line is a JSON value: {line}");
    let listed: Value = serde_json::from_str(&watch.end()?)?;
    ensure!(listed["codes"][0]["reason"] == "no" && listed["codes"][0]["here"] == false, "{listed}");
    let said = stage.user.run(&["codes", &order])?;
    ensure!(said.exit == 1 && said.stderr.contains("the merchant says: no"), "{}", said.stderr);
    // One order that is over keeps nobody: there is nothing to be waited for.
    stage.user.run(&["codes", "--watch"])?.done()?;
    Ok(())
}

/// An order that is not paid is listed with how it is paid and given up, and watched at the terminal that it would come
/// to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_not_paid_is_listed_and_waited_for_where_it_comes_to() -> Result<()> {
    let mut stage = Stage::open().await?;
    let pay = ["--json", "pay", "games/game-key", "--yes", "--again", "--no-wait", "--payment", "sandbox:redirect"];
    let ordered = stage.user.run(&pay)?.json()?;
    let order = ordered["order"].as_str().context("an order")?.to_owned();
    let address = ordered["next"]["url"].as_str().context("an address")?.to_owned();
    for verb in ["codes", "receipts"] {
        for terminal in [&stage.user, &stage.other] {
            let listed = terminal.run(&[verb])?.done()?;
            let said = String::from_utf8_lossy(&listed.stdout).into_owned();
            for wanted in [&order, &address, "paid", "portcullis cancel"] {
                ensure!(said.contains(wanted), "`{wanted}` is not in what {verb} says: {said}");
            }
        }
    }
    let shown = stage.user.run(&["codes", &order])?;
    ensure!(
        shown.exit == 1 && shown.stderr.contains("is not paid") && shown.stderr.contains(&address),
        "{}",
        shown.stderr
    );
    // Nothing can come to the other one.
    stage.other.run(&["codes", "--watch"])?.done()?;
    let mut watch = Watching::of(&stage.user, &["codes", "--watch"])?;
    watch.wait_for(&[&order, "unpaid", &address])?;
    stage.server.operator(&["order", "settle", &order, "paid"])?;
    watch.wait_for(&[&order, "Alpine Racer"])?;
    let id = order.parse()?;
    let nonce = stage.rogue.nonce(&id).await?;
    let verification = stage.rogue.verify(&id, nonce).await?;
    let sealed = stage.rogue.seal(&verification, &["PAID-LATER"])?;
    stage.rogue.submit(&sealed).await?;
    ensure!(watch.end()?.contains("acknowledged"), "the code has come");
    // One that is given up is waited for no longer.
    let ordered = stage.user.run(&pay)?.json()?;
    let order = ordered["order"].as_str().context("an order")?.to_owned();
    let mut watch = Watching::of(&stage.user, &["codes", "--watch"])?;
    watch.wait_for(&[&order, "unpaid"])?;
    stage.user.run(&["cancel", &order])?.done()?;
    let table = watch.end()?;
    ensure!(!table.contains("unpaid"), "{table}");
    Ok(())
}
