//! The merchant in Python, written from `docs/protocol.md` and `docs/codes.md` alone, against the real server: from its
//! registration to a code in a buyer's hands, killed on the way.

use super::tools::{json, python};
use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::codes::CodeState;
use portcullis_tests::{Browser, Buyer, Server, checkout};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Short enough to read.
const MOST_LINES: usize = 250;

struct Merchant {
    home: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Merchant {
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = python("merchant.py")?;
        command.arg(&self.home).args(arguments);
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<Value> {
        json(&mut self.command(arguments)?)
    }

    fn webhook(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    async fn register(&self, server: &Server) -> Result<Value> {
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up("shop@example.org", "correct horse battery staple").await?;
        let webhook = self.webhook();
        let register = ["register", server.origin(), server.words(), "games", "The Games Shop", &webhook];
        let mut child = self.command(&register)?.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let shown: Value = serde_json::from_str(&lines.next().context("nothing was shown")??)?;
        let word = |member: &str| shown[member].as_str().with_context(|| format!("no {member}: {shown}"));
        let approved = browser.approve(word("user_code")?, word("words")?).await;
        if approved.is_err() {
            child.kill()?;
        }
        let last = lines.last().context("nothing was said")??;
        ensure!(child.wait()?.success(), "not registered: {last}");
        approved?;
        Ok(serde_json::from_str(&last)?)
    }

    fn serve(&mut self) -> Result<()> {
        self.child = Some(self.command(&["serve"])?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(30), "the merchant does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Merchant {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_written_from_the_pages_registers_sells_and_delivers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::init(&folder.path().join("server"))?;
    server.configure("webhooks", "networks_of_others", vec!["127.0.0.0/8"])?;
    server.start(&[])?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut merchant = Merchant { home: folder.path().join("merchant"), port, child: None };

    let registered = merchant.register(&server).await?;
    ensure!(registered == json!({"merchant": "games", "state": "proven"}), "{registered}");
    server.operator(&["merchant", "approve", "games"])?;
    merchant.run(&["sell", "game-key", "Alpine Racer", "2000", "EUR", "600"])?;
    merchant.run(&["stock", "game-key", "ONE", "TWO", "THREE"])?;
    merchant.serve()?;

    let mut buyer = Buyer::sign_up(&server, "ada").await?;
    let (product, key) = buyer.product("games").await?;
    let ordered = buyer.order(product, 1, None).await?;
    ensure!(buyer.collect(&ordered, &key).await? == ["ONE"]);

    // Killed with an order on its way, and begun again: one code, and not another one.
    merchant.kill();
    let ordered = buyer.order(product, 2, None).await?;
    merchant.serve()?;
    ensure!(buyer.collect(&ordered, &key).await? == ["TWO", "THREE"]);

    // Sold out: declined, and paid back.
    let ordered = buyer.order(product, 1, None).await?;
    buyer.wait_for(&ordered.id, &[CodeState::Refunded]).await?;
    let orders = merchant.run(&["orders"])?;
    let states: Vec<&Value> = orders.as_array().context("orders")?.iter().map(|order| &order[1]).collect();
    ensure!(states[..2] == ["accepted", "accepted"], "{orders}");

    // Nobody can read its key, and nobody else speaks for the store.
    ensure!(is_private(&merchant.home.join("merchant.key"))?, "the key can be read by others");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let forged = http
        .post(merchant.webhook())
        .header("webhook-id", "m1")
        .header("webhook-timestamp", portcullis_fixtures::now().to_string())
        .header("webhook-signature", "v1a,AAAA")
        .body("{}")
        .send()
        .await?;
    ensure!(forged.status() == 401, "{forged:?}");
    Ok(())
}

#[cfg(unix)]
fn is_private(file: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(file)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(file: &Path) -> Result<bool> {
    Ok(file.exists())
}

#[test]
fn the_merchant_is_short() -> Result<()> {
    let file = checkout::root().join("tests/clients/python/merchant.py");
    let lines = std::fs::read_to_string(&file)?.lines().count();
    ensure!(lines < MOST_LINES, "{} has {lines} lines", file.display());
    Ok(())
}
