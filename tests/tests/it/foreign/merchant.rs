//! The merchant in Python, written from `docs/protocol.md` and `docs/codes.md` alone, against the real server: from its
//! registration to a code in a buyer's hands, killed on the way.

use super::tools::{json, python};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::ports;
use portcullis_protocol::codes::CodeState;
use portcullis_tests::{Browser, Buyer, Server, Terminal, checkout};
use serde_json::Value;
use std::net::TcpStream;
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

    /// Keys and claim are made by the command line, as the page says; everything else is the merchant's own.
    async fn register(&mut self, server: &Server, folder: &Path) -> Result<Value> {
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up("shop@example.org", "correct horse battery staple").await?;
        let owner = Terminal::new(folder.join("owner"));
        owner.login(server, &mut browser).await?.done()?;
        let key = self.home.join("merchant.jwk");
        let key = key.to_str().context("a path")?;
        owner.run(&["merchant", "keygen", "-o", key])?.done()?;
        let webhook = self.webhook();
        let wrong = self.run(&["init", server.origin(), "another-store", "games", &webhook]);
        ensure!(wrong.is_err(), "the root key has other words");
        self.run(&["init", server.origin(), server.words(), "games", &webhook])?;
        self.serve()?;
        let register = ["--json", "merchant", "register", "games", "--title", "The Games Shop", "--webhook", &webhook];
        let registered = owner.run(&[&register[..], &["--key", key]].concat())?.done()?.json()?;
        server.operator(&["merchant", "approve", "games"])?;
        // As the store would try it, before the first customer.
        self.run(&["sell", "game-key", "Alpine Racer", "2000", "EUR", "600"])?;
        let checked = owner.run(&["--json", "merchant", "check", "--key", key])?.done()?.json()?;
        ensure!(checked["state"] == "warning", "{checked}");
        Ok(registered)
    }

    fn stock(&self, codes: &str) -> Result<()> {
        let mut child = self.command(&["stock", "game-key"])?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().context("a pipe")?, codes.as_bytes())?;
        ensure!(child.wait()?.success(), "the stock was not taken");
        Ok(())
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
    let server = Server::fresh_with_local_endpoints(&folder.path().join("server"))?;
    let port = ports::free().port();
    let mut merchant = Merchant { home: private_folder(&folder.path().join("merchant"))?, port, child: None };

    let registered = merchant.register(&server, folder.path()).await?;
    ensure!(registered["state"] == "proven", "{registered}");
    merchant.stock("ONE\nTWO\nTHREE\n")?;

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
    // The merchant asks for what became of it every few seconds.
    let begun = Instant::now();
    loop {
        let orders = merchant.run(&["orders"])?;
        let states: Vec<&Value> = orders.as_array().context("orders")?.iter().map(|order| &order[1]).collect();
        if states == ["accepted", "accepted", "refunded"] {
            break;
        }
        ensure!(states[..] == ["accepted", "accepted", "open"] && begun.elapsed().as_secs() < 30, "{orders}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Nobody can read its key, and nobody else speaks for the store.
    ensure!(is_private(&merchant.home.join("shop.db"))?, "the database can be read by others");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let forged = http
        .post(merchant.webhook())
        .header("webhook-id", "m1")
        .header("webhook-timestamp", portcullis_fixtures::now().to_string())
        .header("webhook-signature", "v1,AAAA v1a,AAAA")
        .body("{}")
        .send()
        .await?;
    ensure!(forged.status() == 400, "{forged:?}");
    // One that connects and says nothing keeps nobody else away.
    let _silent = TcpStream::connect(("127.0.0.1", port))?;
    let answered = http.post(merchant.webhook()).body("{}").send().await?;
    ensure!(answered.status() == 400, "{answered:?}");
    Ok(())
}

/// A folder that only its owner looks into.
fn private_folder(folder: &Path) -> Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    Ok(folder.to_owned())
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
fn a_store_that_lies_gets_no_second_code_out_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let home = private_folder(&folder.path().join("merchant"))?;
    let told = json(python("lying_store.py")?.arg(home))?;
    ensure!(told["lies"] == 9 && told["controls"] == 6, "{told}");
    Ok(())
}

#[test]
fn the_merchant_is_short() -> Result<()> {
    let file = checkout::root().join("tests/clients/python/merchant.py");
    let lines = std::fs::read_to_string(&file)?.lines().count();
    ensure!(lines < MOST_LINES, "{} has {lines} lines", file.display());
    Ok(())
}
