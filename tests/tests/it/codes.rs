//! A merchant of its own, with no code of the server, and a user at the command line: from the registration to the code,
//! and what the terminal says of a code that is not what was bought.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, Terminal as Prover, now};
use portcullis_protocol::codes::Codes;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, DeclineRequest, MerchantOrder, OrderVerificationAnswer,
    OrderVerificationRequest,
};
use portcullis_protocol::{
    MerchantName, Origin, Ownership, SecretKey, Unverified, Verification, Verified, WebhookUrl, paths,
};
use portcullis_tests::future::{Future, Passing};
use portcullis_tests::seller::{buy_in_browser, preset};
use portcullis_tests::{Browser, Server, Terminal, read_body};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

const PASSWORD: &str = "correct horse battery staple";
const NAME: &str = "games";

/// How the merchant delivers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// It seals two codes for one.
    TwoForOne,
    /// It has none, and says so.
    SoldOut,
}

#[derive(Clone)]
struct Merchant {
    origin: Origin,
    url: WebhookUrl,
    key: SecretKey,
    manner: Arc<Mutex<Manner>>,
}

impl Merchant {
    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let merchant = self.clone();
            tokio::spawn(async move {
                if let Err(error) = merchant.answer(stream).await {
                    eprintln!("the merchant failed: {error:#}");
                }
            });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> Result<()> {
        let body = read_body(&mut stream).await?;
        let said: Value = serde_json::from_slice(&body)?;
        ensure!(said["aud"] == self.url.as_str() && said["iss"] == self.origin.as_str(), "for somebody else: {said}");
        let answer = match said["type"].as_str() {
            Some("endpoint.challenge") => {
                let ownership = Ownership {
                    merchant: NAME.parse()?,
                    challenge: serde_json::from_value(said["data"]["challenge"].clone())?,
                    url: self.url.clone(),
                    platform: self.origin.clone(),
                    iat: now(),
                };
                json!({ "ownership": Verified::sign(ownership, &self.key).compact() }).to_string()
            }
            _ => String::new(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        stream.write_all((head + &answer).as_bytes()).await?;
        stream.shutdown().await?;
        // Answered first: the code is made afterwards.
        if matches!(said["type"].as_str(), Some("order.paid" | "order.reseal")) {
            self.deliver(&said["data"]).await?;
        }
        Ok(())
    }

    async fn deliver(&self, data: &Value) -> Result<()> {
        let mut prover = Prover::new(&self.origin).await?;
        prover.key = self.key.clone();
        let (order, nonce) =
            (serde_json::from_value(data["order"].clone())?, serde_json::from_value(data["nonce"].clone())?);
        let asked = OrderVerificationRequest { order, nonce, request: None };
        let answer: OrderVerificationAnswer = prover.ask(&Draft::post(paths::ORDER_VERIFICATIONS, &asked)).await?;
        let verification = Unverified::<Verification>::parse(&answer.verification)?;
        let signer = prover.keys.signing_key(verification.kid(), now()).context("a key of the server")?;
        let verification = verification.verify(signer)?;
        let said = verification.document();
        let manner = *self.manner.lock().expect("a lock");
        if manner == Manner::SoldOut {
            let path = paths::fill(paths::DECLINE, &[&said.order]);
            let body = DeclineRequest { reason: "Sold out.".into() };
            let _: MerchantOrder = prover.ask(&Draft::post(&path, &body)).await?;
            return Ok(());
        }
        let texts = if manner == Manner::Honest { vec!["ALPINE-RACER-1"] } else { vec!["ONE", "TWO"] };
        let codes = Codes::new(texts.into_iter().map(|text| Zeroizing::new(text.to_owned())).collect())?;
        let (digest, mut rng) = (verification.digest(), portcullis_fixtures::rng());
        let body = CodeSubmission::seal(said, digest, &codes, Vec::new(), now(), &self.key, &mut rng)?;
        let _: CodeSubmissionAnswer = prover.ask(&Draft::post(paths::SUBMISSIONS, &body)).await?;
        Ok(())
    }
}

/// A terminal of a new account, in a folder of this name.
async fn terminal(server: &Server, folder: &Path, name: &str) -> Result<Terminal> {
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up(&format!("{name}@example.org"), PASSWORD).await?;
    let terminal = Terminal::new(folder.join(name));
    terminal.login(server, &mut browser).await?.done()?;
    Ok(terminal)
}

/// Makes a key, and registers a merchant that delivers under it. Returns the key's file.
async fn register(server: &Server, shop: &Terminal, folder: &Path, manner: &Arc<Mutex<Manner>>) -> Result<String> {
    let key_file = folder.join("merchant.jwk");
    let file = key_file.to_str().context("a path")?;
    shop.run(&["merchant", "keygen", "-o", file])?.done()?;
    let jwk: Value = serde_json::from_slice(&std::fs::read(&key_file)?)?;
    let seed: Octets<32> = serde_json::from_value(jwk["d"].clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = WebhookUrl::new(format!("http://{}/hook", listener.local_addr()?))?;
    let merchant = Merchant {
        origin: server.origin().parse()?,
        url: url.clone(),
        key: SecretKey::from_seed(&seed.0),
        manner: Arc::clone(manner),
    };
    tokio::spawn(merchant.serve(listener));
    let register =
        ["--json", "merchant", "register", NAME, "--title", "The Games Shop", "--webhook", url.as_str(), "--key", file];
    let registered = shop.run(&register)?.done()?.json()?;
    ensure!(registered["state"] == "proven", "{registered}");
    Ok(file.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_pays_a_merchant_and_has_the_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::fresh_with_local_endpoints(&folder.path().join("server"))?;
    let origin: Origin = server.origin().parse()?;
    let (shop, user) =
        (terminal(&server, folder.path(), "shop").await?, terminal(&server, folder.path(), "user").await?);
    let manner = Arc::new(Mutex::new(Manner::Honest));
    let key_file = register(&server, &shop, folder.path(), &manner).await?;
    let (file, name) = (key_file.as_str(), NAME.parse::<MerchantName>()?);
    let early = user.run(&["pay", "games/game-key", "--yes"])?;
    ensure!(early.exit == 1 && early.stderr.contains("no merchant"), "not approved yet: {}", early.stderr);
    ensure!(early.stderr.contains("`portcullis search --kind code`"), "what lists products: {}", early.stderr);
    server.operator(&["merchant", "approve", name.as_str()])?;
    let sell = ["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR", "--key", file];
    shop.run(&sell)?.done()?;

    let unasked = user.run(&["pay", "games/game-key"])?;
    ensure!(unasked.exit == 1 && unasked.stderr.contains("not confirmed"), "nobody agreed: {}", unasked.stderr);
    let paid = user.run(&["--json", "pay", "games/game-key", "--yes"])?.done()?.json()?;
    ensure!(paid["codes"] == json!(["ALPINE-RACER-1"]), "{paid}");
    let order = paid["order"].as_str().context("an order")?;
    let listed = user.run(&["--json", "codes"])?.done()?.json()?;
    ensure!(
        listed["codes"][0]["state"] == "acknowledged" && listed["codes"][0]["product"] == "Alpine Racer",
        "{listed}"
    );
    let shown = user.run(&["codes", order])?.done()?;
    ensure!(shown.stdout == b"ALPINE-RACER-1\n", "{shown:?}");
    // Nothing of the terminal's folder has it in the clear.
    ensure!(holds(user.home(), server.origin().as_bytes())?, "the control: what is not secret is found");
    ensure!(!holds(user.home(), b"ALPINE-RACER-1")?, "the code is on the disk");
    // Codes that nobody could see are not forgotten: on a full disk, or in a pipe that nobody reads.
    for json in [&[][..], &["--json"]] {
        let (reader, closed) = std::io::pipe()?;
        drop(reader);
        for (output, code) in [(Stdio::from(File::options().write(true).open("/dev/full")?), 1), (closed.into(), 141)] {
            let mut once = user.command()?;
            once.args(json).args(["codes", order, "--once"]).stdout(output).stderr(Stdio::piped());
            let ended = once.spawn()?.wait_with_output()?;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            ensure!(ended.status.code() == Some(code) && said.contains("stay on this terminal"), "{json:?}: {said}");
            ensure!(!said.contains("what was asked for is done"), "{said}");
        }
    }
    ensure!(user.run(&["codes", order])?.done()?.stdout == b"ALPINE-RACER-1\n", "they are still there");
    let copied = user.run(&["codes", order, "--once", "--copy"])?;
    ensure!(copied.exit == 2, "not every clipboard takes it: {}", copied.stderr);
    let once = user.run(&["codes", order, "--once"])?.done()?;
    ensure!(once.stdout == b"ALPINE-RACER-1\n", "{once:?}");
    let gone = user.run(&["codes", order])?;
    ensure!(gone.exit == 1 && gone.stderr.contains("shown once"), "the control: {}", gone.stderr);
    let open = shop.run(&["--json", "merchant", "orders", "--key", file])?.done()?.json()?;
    ensure!(open["orders"] == json!([]) && open["in_time"] == 1, "{open}");

    // Bought in a browser: nobody has a key until this terminal makes it.
    let mut browser = Browser::new(server.origin())?;
    browser.sign_in("user@example.org", PASSWORD).await?;
    preset(&mut browser, PASSWORD, "").await?;
    let order = buy_in_browser(&mut browser, "/merchants/games/game-key").await?.to_string();
    let page = format!("/account/orders/{order}");
    ensure!(browser.page(&page).await?.contains("makes the key"), "the page says what is next");
    let listed = user.run(&["--json", "codes"])?.done()?.json()?;
    let line = listed["codes"].as_array().context("codes")?.iter().find(|line| line["order"] == order.as_str());
    ensure!(line.is_some_and(|line| line["state"] == "acknowledged" && line["amount"] == "20.00 EUR"), "{listed}");
    ensure!(user.run(&["codes", &order])?.done()?.stdout == b"ALPINE-RACER-1\n", "the code is here");
    ensure!(browser.page(&page).await?.contains("The code is on your terminal"), "and the page says so");
    let found = user.run(&["--json", "search", "racer", "--kind", "code"])?.done()?.json()?;
    ensure!(found["products"][0]["name"] == "games/game-key" && found["results"] == json!([]), "{found}");

    // A merchant that seals what was not paid for: the terminal finds it out, and a person decides.
    *manner.lock().expect("a lock") = Manner::TwoForOne;
    let cheated = user.run(&["pay", "games/game-key", "--yes", "--again"])?;
    ensure!(cheated.exit == 1 && cheated.stderr.contains("not what was bought"), "{}", cheated.stderr);
    let open = server.operator(&["codes", "list"])?;
    let disputed = open["orders"].as_array().context("orders")?;
    ensure!(disputed.len() == 1 && disputed[0]["state"] == "disputed" && disputed[0]["who"] == "operator", "{open}");
    let order = disputed[0]["order"].as_str().context("an order")?;
    server.operator(&["codes", "reverse", order])?;
    let listed = user.run(&["--json", "codes"])?.done()?.json()?;
    let reversed = listed["codes"].as_array().context("codes")?.iter().find(|line| line["order"] == order);
    ensure!(reversed.context("the order")?["state"] == "reversed", "{listed}");

    // Its key was stolen: the operator ends it, the merchant's account puts another one in, and its customers compare.
    let safe = folder.path().join("safe.jwk");
    let file = safe.to_str().context("a path")?;
    let made = shop.run(&["--json", "merchant", "keygen", "-o", file])?.done()?.json()?;
    let (thumbprint, words) =
        (made["thumbprint"].as_str().context("a thumbprint")?, made["words"].as_str().context("words")?);
    server.operator(&["merchant", "rekey", NAME, thumbprint])?;
    let jwk: Value = serde_json::from_slice(&std::fs::read(&safe)?)?;
    let seed: Octets<32> = serde_json::from_value(jwk["d"].clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = WebhookUrl::new(format!("http://{}/hook", listener.local_addr()?))?;
    let honest = Arc::new(Mutex::new(Manner::Honest));
    let key = SecretKey::from_seed(&seed.0);
    tokio::spawn(Merchant { origin, url: url.clone(), key, manner: honest }.serve(listener));
    let title = "The Games Shop";
    let register = ["merchant", "register", NAME, "--title", title, "--webhook", url.as_str(), "--key", file];
    shop.run(&register)?.done()?;
    let sell = ["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR", "--key", file];
    shop.run(&sell)?.done()?;
    let pay = ["--json", "pay", "games/game-key", "--yes", "--again"];
    let changed = user.run(&pay[1..])?;
    ensure!(changed.exit == 1 && changed.stderr.contains("--accept-key"), "{}", changed.stderr);
    let wrong = user.run(&[&pay[..], &["--accept-key", "other words"]].concat())?;
    ensure!(wrong.exit == 1, "words of another key");
    let paid = user.run(&[&pay[..], &["--accept-key", words]].concat())?.done()?.json()?;
    ensure!(paid["codes"] == json!(["ALPINE-RACER-1"]), "{paid}");
    // Words are compared with every key: with one that is pinned, and with one that nobody has met.
    let other = ["--accept-key", "other words"];
    let stranger = terminal(&server, folder.path(), "stranger").await?;
    for terminal in [&user, &stranger] {
        let before = terminal.run(&["--json", "codes"])?.done()?.json()?;
        let wrong = terminal.run(&[&pay[1..], &other].concat())?;
        ensure!(wrong.exit == 1 && wrong.stderr.contains("other words were given"), "{}", wrong.stderr);
        ensure!(terminal.run(&["--json", "codes"])?.done()?.json()? == before, "nothing was ordered");
    }
    let paid = stranger.run(&[&pay[..], &["--accept-key", words]].concat())?.done()?.json()?;
    let order = paid["order"].as_str().context("an order")?;
    let wrong = stranger.run(&[&["codes", order][..], &other].concat())?;
    ensure!(wrong.exit == 1 && wrong.stderr.contains("other words were given"), "{}", wrong.stderr);
    stranger.run(&["codes", order, "--accept-key", words])?.done()?;
    Ok(())
}

/// What came of an order is said in words, with what to do, also of one whose code is here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_came_of_an_order_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::fresh_with_local_endpoints(&folder.path().join("server"))?;
    let (shop, user) =
        (terminal(&server, folder.path(), "shop").await?, terminal(&server, folder.path(), "user").await?);
    let manner = Arc::new(Mutex::new(Manner::Honest));
    let file = register(&server, &shop, folder.path(), &manner).await?;
    server.operator(&["merchant", "approve", NAME])?;
    let sell = ["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR", "--key", &file];
    shop.run(&sell)?.done()?;
    let nobody = user.run(&["pay", "nobody/x"])?;
    ensure!(nobody.exit == 1 && nobody.stderr.contains("`portcullis search --kind code`"), "{}", nobody.stderr);

    // On order already: said once, and that the means of payment of today count for nothing.
    let later = ["pay", "games/game-key", "--yes", "--payment", "sandbox:pending"];
    user.run(&later)?.done()?;
    let joined = user.run(&later)?.done()?;
    let said = format!("{}{}", String::from_utf8_lossy(&joined.stdout), joined.stderr);
    ensure!(said.matches("--again").count() == 1 && said.contains("whatever `--payment` says now"), "{said}");

    let paid = user.run(&["--json", "pay", "games/game-key", "--yes", "--again"])?.done()?.json()?;
    let order = paid["order"].as_str().context("an order")?;
    let shown = user.run(&["codes", order])?.done()?;
    ensure!(shown.stderr.is_empty(), "the control: nothing is doubtful about it: {}", shown.stderr);
    // At another terminal of the account it is said where the code is.
    let second = Terminal::new(folder.path().join("second"));
    let mut browser = Browser::new(server.origin())?;
    browser.sign_in("user@example.org", PASSWORD).await?;
    second.login(&server, &mut browser).await?.done()?;
    let elsewhere = second.run(&["codes", order])?;
    ensure!(elsewhere.exit == 1 && elsewhere.stderr.contains("is on the terminal `"), "{}", elsewhere.stderr);
    ensure!(elsewhere.stderr.contains("--claim") && elsewhere.stderr.contains("show it there"), "{}", elsewhere.stderr);

    // Disputed, then paid back: the code is shown, and may be void.
    server.operator(&["codes", "dispute", order])?;
    let disputed = user.run(&["codes", order])?.done()?;
    ensure!(disputed.stdout == b"ALPINE-RACER-1\n" && disputed.stderr.contains("disputed"), "{}", disputed.stderr);
    server.operator(&["codes", "reverse", order])?;
    let reversed = user.run(&["codes", order])?.done()?;
    ensure!(reversed.stdout == b"ALPINE-RACER-1\n", "{reversed:?}");
    ensure!(reversed.stderr.contains("paid back") && reversed.stderr.contains("void"), "{}", reversed.stderr);
    let json = user.run(&["--json", "codes", order])?.done()?.json()?;
    ensure!(json["doubt"].as_str().is_some_and(|doubt| doubt.contains("paid back")), "{json}");
    let listed = user.run(&["codes"])?.done()?;
    ensure!(String::from_utf8_lossy(&listed.stdout).contains("it may be void"), "{listed:?}");

    *manner.lock().expect("a lock") = Manner::SoldOut;
    let out = user.run(&["pay", "games/game-key", "--yes", "--again"])?;
    ensure!(out.exit == 1 && out.stderr.contains("paid back; the merchant says: Sold out."), "{}", out.stderr);
    ensure!(!out.stderr.contains("for this terminal"), "{}", out.stderr);
    Ok(())
}

/// What was paid for is not called a failure because of what is asked afterwards: whoever reads that tries again, and
/// pays again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_paid_is_no_failure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let future = Future::open(&folder.path().join("server")).await?;
    let server = &future.server;
    let (shop, user) = (terminal(server, folder.path(), "shop").await?, terminal(server, folder.path(), "user").await?);
    let file = register(server, &shop, folder.path(), &Arc::new(Mutex::new(Manner::Honest))).await?;
    server.operator(&["merchant", "approve", NAME])?;
    let sell = ["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR", "--key", &file];
    shop.run(&sell)?.done()?;

    // The order of a top-up is answered, and what comes next is not.
    future.change(|_, passing| {
        let is_lost = passing.is_to("GET", paths::BALANCES);
        lose(passing, is_lost);
    });
    let paid = user.run(&["--json", "top-up", "5.00EUR", "--yes"])?.done()?.json()?;
    ensure!(paid["state"] == "paid" && paid["order"].is_string() && paid.get("balances").is_none(), "{paid}");
    let said = user.run(&["top-up", "6.00EUR", "--yes"])?.done()?;
    ensure!(String::from_utf8_lossy(&said.stdout).contains("the store does not answer"), "{said:?}");
    future.change_nothing();
    let paid = user.run(&["--json", "top-up", "5.00EUR", "--yes"])?.done()?.json()?;
    ensure!(paid["balances"][0]["balance"] == "16.00 EUR", "the control: {paid}");

    // The order of a code is answered, and then nothing for some time.
    let lost = AtomicUsize::new(0);
    future.change(move |_, passing| {
        let is_lost = passing.is_to("GET", "/v1/codes/") && lost.fetch_add(1, Ordering::Relaxed) < 8;
        lose(passing, is_lost);
    });
    let paid = user.run(&["--json", "pay", "games/game-key", "--yes"])?.done()?.json()?;
    ensure!(paid["state"] == "paid" && paid["codes"] == json!(["ALPINE-RACER-1"]), "{paid}");
    // Or what is said is no answer to wait for: the order is told, and how to go on.
    future.change(|_, passing| {
        if passing.is_to("GET", "/v1/codes/")
            && let Some(body) = passing.body().and_then(Value::as_object_mut)
        {
            body.remove("delivery");
            body.insert("state".into(), json!("delivered"));
            body.insert("recipient".into(), json!(Octets([7; 32])));
        }
    });
    let paid = user.run(&["--json", "pay", "games/game-key", "--yes", "--again"])?.done()?.json()?;
    ensure!(paid["problem"].as_str().is_some_and(|why| why.contains("another terminal")), "{paid}");
    let order = paid["order"].as_str().context("an order")?;
    let said = user.run(&["pay", "games/game-key", "--yes", "--again"])?.done()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("The code has not come") && said.contains("Fetch the code: `portcullis codes "), "{said}");
    future.change_nothing();
    let fetched = || user.run(&["codes", order]);
    let mut found = fetched()?;
    for _ in 0..100 {
        if found.exit == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = fetched()?;
    }
    ensure!(found.done()?.stdout == b"ALPINE-RACER-1\n", "as it is advised");
    Ok(())
}

/// An answer of which nothing arrives that can be believed.
fn lose(passing: &mut Passing, is_lost: bool) {
    if is_lost {
        (passing.answer, passing.signed) = (json!({}), None);
    }
}

/// Whether a file below a folder holds these bytes.
fn holds(folder: &std::path::Path, bytes: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            holds(&path, bytes)?
        } else {
            std::fs::read(&path)?.windows(bytes.len()).any(|window| window == bytes)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
