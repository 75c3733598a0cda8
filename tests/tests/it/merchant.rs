//! The example of a merchant against the real server: from its first command to a code in a buyer's hands, killed at
//! every step of a delivery, and what it does about orders that it cannot serve.

use anyhow::{Context as _, Result, ensure};
use example_merchant::STEPS;
use portcullis_protocol::codes::CodeState;
use portcullis_tests::seller::allow;
use portcullis_tests::{Browser, Buyer, ExampleMerchant, Manner, Rogue, Server, Terminal, checkout};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// A server that may reach this machine.
fn server(folder: &Path) -> Result<Server> {
    Server::fresh_with_local_endpoints(&folder.join("server"))
}

const SELL: [&str; 6] = ["sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR"];

fn codes(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("ALPINE-{number:04}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_opens_sells_and_delivers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let mut shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    let early = shop.output(&["stock", "game-key"])?;
    ensure!(String::from_utf8_lossy(&early.stderr).contains("Sell it first"), "{early:?}");
    shop.run(&SELL)?;
    shop.stock("game-key", &codes(0..6))?;
    ensure!(shop.stock("game-key", &codes(5..7)).is_err(), "a code is not sold twice");
    let mistyped = shop.output(&["hold", "nosuchproduct"])?;
    let said = String::from_utf8_lossy(&mistyped.stderr).into_owned();
    ensure!(!mistyped.status.success() && said.contains("It has: game-key"), "{mistyped:?}");
    let held = shop.run(&["hold", "game-key"])?;
    ensure!(held.contains("6 codes of game-key") && held.contains("release --product game-key"), "{held}");
    ensure!(shop.run(&["release", "--product", "game-key"])?.contains("6 codes in stock again"));

    let mut buyer = Buyer::sign_up(&server, "ada").await?;
    let (product, key) = buyer.product("games").await?;
    let one = buyer.order(product, 1, None).await?;
    ensure!(buyer.collect(&one, &key).await? == codes(0..1));
    let two = buyer.order(product, 2, None).await?;
    ensure!(buyer.collect(&two, &key).await? == codes(1..3), "two codes of one order");

    // A customer presses the button of the shop's page, and pays what that asks.
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let page = http.get(shop.page()).send().await?.text().await?;
    ensure!(page.contains("Alpine Racer") && page.contains("Buy for 20.00 EUR"), "{page}");
    let buy = format!("{}buy/game-key", shop.page());
    let pressed = http.post(&buy).header("sec-fetch-site", "same-origin").send().await?;
    let url = pressed.headers().get("location").context("a place to pay")?.to_str()?.to_owned();
    let asked = url.strip_prefix(&format!("{}/pay/", server.origin())).with_context(|| url.clone())?.parse()?;
    let elsewhere = http.post(&buy).header("sec-fetch-site", "cross-site").send().await?;
    ensure!(elsewhere.status() == 403, "a page of somebody else pressed the button");
    let paid = buyer.order(product, 1, Some(asked)).await?;
    ensure!(buyer.collect(&paid, &key).await? == codes(3..4), "a request is delivered for");
    let cheap = shop.run(&["request", "game-key", "--amount", "5.00EUR"])?;
    let asked = cheap.trim().rsplit('/').next().context("a digest")?.parse()?;
    let paid = buyer.order(product, 1, Some(asked)).await?;
    ensure!(buyer.collect(&paid, &key).await? == codes(4..5), "a request has its own amount");

    // One code is left: an order for two is declined, and its buyer is paid back.
    let many = buyer.order(product, 2, None).await?;
    buyer.wait_for(&many.id, &[CodeState::Refunded]).await?;
    let last = buyer.order(product, 1, None).await?;
    ensure!(buyer.collect(&last, &key).await? == codes(5..6), "what was not delivered is sold to the next");

    // Another key, vouched for: what is on sale is signed by it.
    shop.kill()?;
    shop.stock("game-key", &codes(6..7))?;
    shop.run(&["rekey"])?;
    shop.serve(None)?;
    // Its digest is another one only if it is signed in another second.
    let (anew, next) = buyer.product("games").await?;
    ensure!(next != key, "the product is signed by another key");
    let after = buyer.order(anew, 1, None).await?;
    ensure!(buyer.collect(&after, &next).await? == codes(6..7), "the new key seals");

    let ledger = shop.run(&["ledger"])?;
    ensure!(ledger.contains("total 125.00 EUR") && ledger.contains("0 left of game-key"), "{ledger}");
    ensure!(ledger.matches("sale").count() == 6, "{ledger}");
    let reconciled = shop.run(&["reconcile"])?;
    ensure!(reconciled.contains("6 orders compared, 0 to look at"), "{reconciled}");
    ensure!(reconciled.contains("1 order more is over"), "the one that was declined: {reconciled}");

    // Neither logs nor files have a code or a nonce in the clear.
    let log = shop.log();
    ensure!(log.contains("a code was accepted") && !log.contains("ALPINE") && !log.contains("nonce"), "{log}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(shop.folder())? {
        let path = entry?.path();
        files.push((std::fs::read(&path)?, path));
    }
    let holders = |text: &[u8]| -> Vec<&Path> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        files.iter().filter(|(bytes, _)| holds(bytes)).map(|(_, path)| path.as_path()).collect()
    };
    ensure!(!holders(b"game-key").is_empty(), "the control: what is not secret is found");
    ensure!(holders(b"ALPINE-").is_empty(), "codes lie in {:?}", holders(b"ALPINE-"));
    Ok(())
}

/// Nothing is sold before the store's operator approves it, and nothing is written down before the shop registers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sells_too_early_is_told_what_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let mut shop = ExampleMerchant::init(&server, &folder.path().join("shop"), "games")?;
    for early in [&SELL[..], &["reconcile"]] {
        let refused = shop.output(early)?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(!refused.status.success() && said.contains("`example-merchant register`"), "{early:?}: {said}");
    }
    let unsold = shop.output(&["stock", "game-key"])?;
    ensure!(String::from_utf8_lossy(&unsold.stderr).contains("Sell it first"), "nothing was written: {unsold:?}");

    shop.serve(None)?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up("games@example.org", "correct horse battery staple").await?;
    shop.register(&mut browser).await?;
    let waits = shop.run(&SELL)?;
    ensure!(waits.contains("Nobody can buy it yet: `games` is proven"), "{waits}");
    server.operator(&["merchant", "approve", "games"])?;
    let sold = shop.run(&SELL)?;
    ensure!(!sold.contains("Nobody can buy"), "the control: {sold}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_is_killed_at_any_step_gives_each_order_one_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let mut shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    shop.run(&SELL)?;
    let orders = u32::try_from(STEPS.len())? + 1;
    shop.stock("game-key", &codes(0..orders + 3))?;
    let mut buyer = Buyer::sign_up(&server, "ada").await?;
    let (product, key) = buyer.product("games").await?;

    let mut delivered = BTreeSet::new();
    for step in STEPS {
        shop.serve(Some(step))?;
        let ordered = buyer.order(product, 1, None).await?;
        // It died there, and not elsewhere.
        shop.wait_for_end().with_context(|| format!("at {step}"))?;
        shop.serve(None)?;
        let codes = buyer.collect(&ordered, &key).await.with_context(|| format!("killed at {step}"))?;
        ensure!(codes.len() == 1 && delivered.insert(codes[0].clone()), "{step}: {codes:?} was given before");
    }
    // The control: an order like these, of a shop that nobody kills.
    let ordered = buyer.order(product, 1, None).await?;
    ensure!(delivered.insert(buyer.collect(&ordered, &key).await?.remove(0)));
    println!("killed at {} steps, one code each", STEPS.len());

    let ledger = shop.run(&["ledger"])?;
    ensure!(ledger.contains(&format!("total {}.00 EUR", 20 * orders)), "{ledger}");
    ensure!(ledger.contains("3 left of game-key"), "nothing was lost on the way: {ledger}");
    ensure!(shop.run(&["reconcile"])?.contains(" 0 to look at"));
    // The merchant has as much at the store as in its own books.
    ensure!(server.operator(&["codes", "list"])?["orders"] == serde_json::json!([]), "an order is open");
    Ok(())
}

/// Killed with the acceptance on its way, and down while the buyer is paid back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_of_what_it_never_heard_of_leaves_the_books_even() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let mut shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    shop.run(&SELL)?;
    shop.stock("game-key", &codes(0..2))?;
    let mut buyer = Buyer::sign_up(&server, "ada").await?;
    let (product, _) = buyer.product("games").await?;
    shop.serve(Some("acceptance.before-commit"))?;
    let ordered = buyer.order(product, 1, None).await?;
    shop.wait_for_end()?;
    let order = ordered.id.to_string();
    server.operator(&["codes", "dispute", &order])?;
    server.operator(&["codes", "reverse", &order])?;
    shop.serve(None)?;
    let begun = std::time::Instant::now();
    let ledger = loop {
        let ledger = shop.run(&["ledger"])?;
        if ledger.contains("reversal") || begun.elapsed() > std::time::Duration::from_secs(30) {
            break ledger;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    ensure!(ledger.contains("sale") && ledger.contains("total 0.00 EUR"), "{ledger}");
    ensure!(ledger.contains("1 left of game-key"), "the buyer has the code: {ledger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_is_lost_gets_the_same_code_sealed_again_elsewhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    shop.run(&SELL)?;
    shop.stock("game-key", &codes(0..2))?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up("ada@example.org", "correct horse battery staple").await?;
    let (mut lost, mut found) = (Buyer::of(&server, &mut browser).await?, Buyer::of(&server, &mut browser).await?);
    let (product, key) = lost.product("games").await?;
    let ordered = lost.order(product, 1, None).await?;
    // The code is there, and the terminal goes before it has stored it.
    lost.wait_for(&ordered.id, &[CodeState::CodeReceived, CodeState::Delivered]).await?;
    let refused = found.take_over(&ordered.id).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(refused.contains("confirmation-required"), "nobody has said so yet: {refused}");
    let words = found.terminal.key.public().thumbprint().words();
    allow(&mut browser, ordered.id, &words, "").await?;
    let taken_over = found.take_over(&ordered.id).await?;
    ensure!(found.collect(&taken_over, &key).await? == codes(0..1), "the same code");
    let ledger = shop.run(&["ledger"])?;
    ensure!(ledger.contains("total 20.00 EUR") && ledger.contains("1 left of game-key"), "sold once: {ledger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stands_in_the_way_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    // Another store at the address: the words of its root key are others.
    let (origin, words) = (server.origin(), server.words().replace('-', "-x"));
    let other = folder.path().join("other");
    let init = |more: &[&str]| -> Result<String> {
        let mut command = std::process::Command::new(checkout::program("example-merchant")?);
        command.arg("--dir").arg(&other).args(["init", "--store", origin, "--name", "films", "--title", "Films"]);
        let output = command.args(["--webhook", &shop.webhook()]).args(more).output()?;
        ensure!(!output.status.success(), "{output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = init(&["--fingerprint", &words])?;
    ensure!(refused.contains("has other words"), "{refused}");
    let untold = init(&[])?;
    ensure!(untold.contains("say them: --fingerprint"), "{untold}");
    ensure!(!other.exists(), "nothing was made");

    // What is not signed by the store is not taken for a webhook.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let body = r#"{"type":"order.paid","timestamp":"","iss":"x","aud":"y","data":{}}"#;
    let plain = http.post(shop.webhook()).body(body).send().await?;
    ensure!(plain.status() == 400, "{plain:?}");
    let forged = http
        .post(shop.webhook())
        .header("webhook-id", "m1")
        .header("webhook-timestamp", portcullis_fixtures::now().to_string())
        .header("webhook-signature", "v1,AAAA v1a,AAAA")
        .body(body)
        .send()
        .await?;
    ensure!(forged.status() == 401, "{forged:?}");
    // Nobody listens at the address: it stays unproven.
    let mut browser = Browser::new(origin)?;
    browser.sign_up("other@example.org", "correct horse battery staple").await?;
    let stranger = ExampleMerchant::init(&server, &other, "films")?;
    let refused = stranger.register(&mut browser).await.map(drop);
    let said = format!("{:#}", refused.err().context("it does not serve")?);
    ensure!(said.contains("the endpoint is not proven yet"), "{said}");
    Ok(())
}

/// What `portcullis merchant check` finds, by check, and its exit code.
fn check(terminal: &Terminal, key: &Path) -> Result<(i32, Vec<(String, String)>)> {
    let ran = terminal.run(&["--json", "merchant", "check", "--key", key.to_str().context("a path")?])?;
    let found = ran.json()?;
    let findings = found["findings"].as_array().with_context(|| found.to_string())?;
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    for finding in findings {
        // Whatever is not well says how to mend it.
        ensure!(finding["state"] == "ok" || !text(finding, "mend").is_empty(), "{finding}");
    }
    Ok((ran.exit, findings.iter().map(|finding| (text(finding, "check"), text(finding, "state"))).collect()))
}

fn in_state(findings: &[(String, String)], state: &str) -> Vec<String> {
    findings.iter().filter(|(_, found)| found == state).map(|(check, _)| check.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_finds_nothing_wrong_here_and_all_that_is_wrong_elsewhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path())?;
    let mut shop = ExampleMerchant::open(&server, &folder.path().join("shop"), "games").await?;
    shop.run(&SELL)?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up("owner@example.org", "correct horse battery staple").await?;
    let terminal = Terminal::new(folder.path().join("terminal"));
    terminal.login(&server, &mut browser).await?.done()?;
    let key = shop.folder().join("merchant.jwk");
    let (exit, found) = check(&terminal, &key)?;
    // It lives on this machine, which is no place for customers of a store elsewhere.
    ensure!(exit == 0 && in_state(&found, "wrong").is_empty(), "{found:?}");
    ensure!(in_state(&found, "warning") == ["https", "public"], "{found:?}");
    ensure!(found.len() >= 24, "{} checks", found.len());
    ensure!(!shop.log().contains("a person has to look"), "the check left something to do: {}", shop.log());

    // Nobody is there.
    shop.kill()?;
    let (exit, found) = check(&terminal, &key)?;
    ensure!(exit == 3 && in_state(&found, "wrong") == ["reached", "reaches"], "{found:?}");

    // One that believes whatever it is sent.
    let rogue = Rogue::open(&server, "rogue").await?;
    let file = folder.path().join("rogue.jwk");
    let octets = |bytes: [u8; 32]| portcullis_protocol::encoding::Octets(bytes);
    let jwk = json!({
        "crv": "Ed25519", "kty": "OKP",
        "x": octets(rogue.key.public().to_bytes()), "d": octets(*rogue.key.to_seed()),
    });
    private_file(&file, &jwk.to_string())?;
    let (exit, found) = check(&terminal, &file)?;
    let wrong = in_state(&found, "wrong");
    let believed = ["unsigned", "body-changed", "identifier-changed", "time-changed", "signature-forged"];
    let believed = [&believed[..], &["signature-empty", "time-long-ago", "time-to-come"]].concat();
    let believed = [&believed[..], &["for-another-endpoint", "from-another-store"]].concat();
    ensure!(exit == 3 && wrong == believed, "{wrong:?}");
    // One that redirects is not reached by the store either.
    rogue.behave(Manner::Redirecting(shop.webhook()));
    let (exit, found) = check(&terminal, &file)?;
    let wrong = in_state(&found, "wrong");
    let has = |check: &str| wrong.iter().any(|found| found == check);
    ensure!(exit == 3 && has("no-redirect") && has("challenge") && has("reaches"), "{wrong:?}");

    // A key that is no merchant's.
    let stranger = folder.path().join("stranger.jwk");
    terminal.run(&["merchant", "keygen", "-o", stranger.to_str().context("a path")?])?.done()?;
    let (exit, found) = check(&terminal, &stranger)?;
    ensure!(exit == 3 && in_state(&found, "wrong") == ["known"] && found.len() == 1, "{found:?}");
    Ok(())
}

/// A file that only its owner reads.
fn private_file(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path)?, text.as_bytes())?;
    Ok(())
}
