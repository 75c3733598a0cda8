//! The act *codes*: a merchant with a server and a database of its own opens, sells and delivers; then it cheats, and
//! the store does.

use crate::Demo;
use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::codes::{CodeContext, Codes, Generation, Quantity, SealedBytes, open};
use portcullis_protocol::encoding::{BoundedOctets, Octets, from_base64url};
use portcullis_protocol::{Digest, OrderId, ReleaseSecretKey};
use portcullis_tests::demo::Expect;
use portcullis_tests::{ExampleMerchant, Rogue, Terminal};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const GAME: &str = "games/game-key";
const PATIENCE: Duration = Duration::from_secs(30);

impl Demo {
    /// From an empty folder to a code in a buyer's hands.
    pub(crate) async fn codes(&mut self, user: &Terminal) -> Result<()> {
        println!("\nNow a merchant, whose codes are fetched while their buyer waits.\n");
        let began = Instant::now();
        let mut shop = ExampleMerchant::open(&self.server, &self.folder.join("shop"), "games").await?;
        let what = "example-merchant init, serve, register; portcullis-server operator merchant approve games";
        self.report.did("shop-opened", what, None, true, began);
        let began = Instant::now();
        shop.run(&["sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR"])?;
        shop.stock("game-key", &["ALPINE-0001", "ALPINE-0002", "ALPINE-0003", "ALPINE-0004"].map(str::to_owned))?;
        let what = "example-merchant sell game-key --price 20.00EUR; example-merchant stock game-key < codes.txt";
        self.report.did("shop-sells", what, None, true, began);

        let paid = self.step("code-paid", user, &["--json", "pay", GAME, "--yes"], &Expect::Success)?.json()?;
        ensure!(paid["codes"][0] == "ALPINE-0001", "another code: {paid}");
        println!("       {} for {}: {}", paid["product"], paid["amount"], paid["codes"][0]);
        let url = shop.run(&["request", "game-key", "--amount", "15.00EUR"])?;
        let pay = ["--json", "pay", url.trim(), "--yes"];
        let asked = self.step("payment-request-paid", user, &pay, &Expect::Success)?.json()?;
        ensure!(asked["codes"][0] == "ALPINE-0002" && asked["amount"] == "15.00 EUR", "another purchase: {asked}");

        // The merchant dies with the code sealed and not sent, and begins again.
        let began = Instant::now();
        shop.serve(Some("sealing.after-commit"))?;
        let ran = user.run_in(&self.folder, &["--json", "pay", GAME, "--yes", "--again", "--no-wait"])?.done()?;
        shop.wait_for_end()?;
        shop.serve(None)?;
        let order = ran.json()?["order"].as_str().context("an order")?.to_owned();
        let code = self.fetched(user, &order)?;
        let ok = code == "ALPINE-0003" && shop.run(&["ledger"])?.contains("1 left of game-key");
        let what = "kill -9 example-merchant between sealing and sending; it begins again: one code";
        self.report.did("shop-killed-while-it-delivers", what, None, ok, began);
        self.step("codes-listed", user, &["codes"], &Expect::Success)?;
        let began = Instant::now();
        let reconciled = shop.run(&["reconcile"])?;
        let ok = reconciled.contains(" 0 to look at") && shop.run(&["ledger"])?.contains("total 55.00 EUR");
        self.report.did("shop-reconciled", "example-merchant reconcile; example-merchant ledger", None, ok, began);

        println!("\nThe merchant cheats, and the store.\n");
        self.second_code(user).await?;
        self.code_in_the_database()?;
        self.substituted_key(user, &mut shop)
    }

    /// Waits until an order's code is on the terminal, and returns it.
    fn fetched(&self, user: &Terminal, order: &str) -> Result<String> {
        let begun = Instant::now();
        loop {
            let ran = user.run_in(&self.folder, &["codes", order])?;
            if ran.exit == 0 {
                return Ok(String::from_utf8(ran.stdout)?.trim().to_owned());
            }
            ensure!(begun.elapsed() < PATIENCE, "no code came: {}", ran.stderr);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A merchant that sends another code, asks about an order of another one, and delivers after the refund.
    async fn second_code(&mut self, user: &Terminal) -> Result<()> {
        let mut rogue = Rogue::open(&self.server, "films").await?;
        let buy = ["--json", "pay", "films/game-key", "--yes", "--no-wait"];
        let order = |ran: portcullis_tests::Ran| -> Result<OrderId> {
            Ok(ran.done()?.json()?["order"].as_str().context("an order")?.parse()?)
        };
        let first = order(user.run_in(&self.folder, &buy)?)?;
        rogue.deliver(&first, "PREMIERE").await?;
        let began = Instant::now();
        let verification = rogue.verify(&first, rogue.nonce(&first).await?).await?;
        let second = rogue.seal(&verification, &["RERUN"])?;
        let reason = reason(rogue.submit(&second).await);
        let kept = self.fetched(user, &first.to_string())? == "PREMIERE";
        let what = "the merchant submits another code for an order that has one: the buyer keeps the first";
        let ok = kept && reason == "code-differs";
        self.report.did("cheat-second-code", what, Some(&reason), ok, began);

        let began = Instant::now();
        let mut thief = Rogue::open(&self.server, "thief").await?;
        let again = [&buy[..], &["--again"]].concat();
        let next = order(user.run_in(&self.folder, &again)?)?;
        let nonce = rogue.nonce(&next).await?;
        let refused = self::reason(thief.verify(&next, nonce).await);
        let what = "another merchant asks about the order, and even knows its nonce";
        self.report.did("cheat-verify-an-order-of-another", what, Some(&refused), refused == "order-unknown", began);

        let began = Instant::now();
        let verification = rogue.verify(&next, nonce).await?;
        let late = rogue.seal(&verification, &["LATE"])?;
        rogue.decline(&next).await?;
        let refused = self::reason(rogue.submit(&late).await);
        let what = "the merchant declines, the buyer is paid back, and the merchant delivers all the same";
        self.report.did("cheat-code-after-the-refund", what, Some(&refused), refused == "order-closed", began);
        Ok(())
    }

    /// Whoever has the store's disk has ciphertext.
    fn code_in_the_database(&mut self) -> Result<()> {
        let began = Instant::now();
        let dir = self.server.dir().to_owned();
        let codes = ["ALPINE-0001", "ALPINE-0002", "ALPINE-0003", "PREMIERE"];
        let clear = codes.iter().filter(|code| holds(&dir, code.as_bytes()).unwrap_or(true)).count();
        // The search finds what is there: the names of products are no secret.
        let control = holds(&dir, b"game-key")?;
        let sealed: i64 =
            self.database()?
                .query_row("SELECT count(*) FROM code_orders WHERE ciphertext IS NOT NULL", [], |row| row.get(0))?;
        let what = format!("search the store's database and logs for the codes: {sealed} ciphertexts, {clear} codes");
        self.report.did(
            "cheat-read-the-code-in-the-database",
            &what,
            None,
            clear == 0 && control && sealed >= 4,
            began,
        );
        Ok(())
    }

    /// The store puts its own key in the place of the order's. It reads the code, and the terminal finds it out.
    fn substituted_key(&mut self, user: &Terminal, shop: &mut ExampleMerchant) -> Result<()> {
        let began = Instant::now();
        shop.kill()?;
        let pay = ["--json", "pay", GAME, "--yes", "--again", "--no-wait"];
        let paid = user.run_in(&self.folder, &pay)?.done()?.json()?;
        let order: OrderId = paid["order"].as_str().context("an order")?.parse()?;
        let own = ReleaseSecretKey::generate(&mut portcullis_fixtures::rng());
        let database = self.database()?;
        let sql = "UPDATE code_orders SET recipient = ?2 WHERE id = ?1";
        let changed = database.execute(sql, params![order.as_bytes(), own.public().as_bytes()])?;
        ensure!(changed == 1, "no such order in the database");
        shop.serve(None)?;
        let shown = order.to_string();
        let begun = Instant::now();
        let ran = loop {
            let ran = user.run_in(&self.folder, &["codes", &shown])?;
            let found_out = ran.stderr.contains("not what was bought");
            if found_out || begun.elapsed() > PATIENCE {
                break ran;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        // It is a real attack: the store has the code.
        let read = stolen(&database, &order, &own)?;
        let disputed = self.server.operator(&["codes", "list"])?;
        let is_disputed = |row: &Value| row["order"] == shown && row["state"] == "disputed";
        let ok = ran.exit != 0
            && ran.stderr.contains("not what was bought")
            && read == "ALPINE-0004"
            && disputed["orders"].as_array().is_some_and(|rows| rows.iter().any(is_disputed));
        let what = format!("{} (the store has put its own key in the order's place, and reads the code)", ran.line);
        self.report.did("cheat-store-substitutes-the-key", &what, Some("not what was bought"), ok, began);
        self.server.operator(&["codes", "reverse", &shown])?;
        Ok(())
    }

    fn database(&self) -> Result<Connection> {
        let database = Connection::open(self.server.dir().join(portcullis_server::DATABASE))?;
        database.busy_timeout(PATIENCE)?;
        Ok(database)
    }
}

/// The reason of a refusal; `none` if there was none.
fn reason<T>(result: Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "none".into())
}

/// What the store reads with a key of its own.
fn stolen(database: &Connection, order: &OrderId, own: &ReleaseSecretKey) -> Result<String> {
    let sql = "SELECT enc, ciphertext, sealed_under FROM code_orders WHERE id = ?1";
    let (enc, ciphertext, verification): (Vec<u8>, Vec<u8>, String) =
        database.query_row(sql, [order.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let payload = from_base64url(verification.split('.').nth(1).context("a document")?)?;
    let enc: [u8; 32] = enc.try_into().ok().context("32 bytes")?;
    let sealed = SealedBytes { enc: Octets(enc), ciphertext: BoundedOctets::new(ciphertext)? };
    let (merchant, digest) = ("games".parse()?, Digest::of(&payload));
    let context = CodeContext { order, merchant: &merchant, generation: Generation::FIRST, verification: &digest };
    let codes: Codes = open(own, &context, Quantity::ONE, &sealed)?;
    codes.iter().next().map(str::to_owned).context("a code")
}

/// Whether a file of a folder holds these bytes: the database, its log, and what the server has logged. What is sold as
/// files lies below it.
fn holds(folder: &Path, bytes: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && portcullis_fixtures::holds(&std::fs::read(&path)?, bytes) {
            return Ok(true);
        }
    }
    Ok(false)
}
