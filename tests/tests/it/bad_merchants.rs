//! Merchants that lie, say things twice and in another order, are slow, die, answer for orders of others, send another
//! code the second time, redirect, or live at a private address: what becomes of the order, of the buyer's money and of
//! the merchant's, each beside an order of the same merchant that goes as it should.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, now};
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{CodeAckAnswer, CodeAckRequest, CodeSubmission, MerchantAnswer, OwnershipRequest};
use portcullis_protocol::{
    CodeAccepted, Document, MerchantClaim, MerchantName, OrderId, OrderRefunded, SealedCode, SecretKey, Unverified,
    Verified, WebhookUrl, paths,
};
use portcullis_tests::{Buyer, Inbox, Manner, Ordered, Rogue, Server};
use serde_json::json;
use tempfile::TempDir;

struct Stage {
    _folder: TempDir,
    server: Server,
    rogue: Rogue,
    buyer: Buyer,
}

impl Stage {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::fresh_with_local_endpoints(&folder.path().join("server"))?;
        let rogue = Rogue::open(&server, "games").await?;
        let buyer = Buyer::sign_up(&server, "ada").await?;
        Ok(Self { _folder: folder, server, rogue, buyer })
    }

    async fn order(&mut self) -> Result<Ordered> {
        self.buyer.order(self.rogue.product, 1, None).await
    }

    /// What an account of the books has, in cents.
    fn booked(&self, account: &str) -> Result<i64> {
        let ledger = self.server.operator(&["ledger"])?;
        let rows = ledger["balances"].as_array().with_context(|| ledger.to_string())?;
        let of = |row: &&serde_json::Value| row["account"] == account && row["commodity"] == "EUR";
        Ok(rows.iter().filter(of).filter_map(|row| row["amount"].as_i64()).sum())
    }

    /// What the merchant has earned, and that the books are even.
    fn earned(&self) -> Result<i64> {
        self.server.operator(&["check"])?;
        self.booked("merchant:games")
    }

    /// An order of the same merchant that goes as it should.
    async fn control(&mut self, code: &str) -> Result<()> {
        let before = self.earned()?;
        let ordered = self.order().await?;
        self.rogue.deliver(&ordered.id, code).await?;
        let key = self.rogue.key.public().clone();
        ensure!(self.buyer.collect(&ordered, &key).await? == [code], "the control");
        ensure!(self.earned()? == before + 2000, "the control is paid for");
        Ok(())
    }

    /// The buyer cannot read what came.
    async fn complain(&mut self, ordered: &Ordered) -> Result<()> {
        let there = [CodeState::Delivered];
        let delivery = self.buyer.wait_for(&ordered.id, &there).await?.delivery.context("a delivery")?;
        let code = Unverified::<SealedCode>::parse(&delivery.code)?.verify(self.rogue.key.public())?.into_document();
        let ack = CodeAckRequest { generation: code.generation, ciphertext: code.ciphertext, readable: false };
        let path = paths::fill(paths::CODE_ACK, &[&ordered.id]);
        let said: CodeAckAnswer = self.buyer.terminal.ask(&Draft::post(path, &ack)).await?;
        ensure!(said.state.known() == Some(CodeState::Disputed), "{said:?}");
        Ok(())
    }
}

fn refused<T>(result: Result<T>, reason: &str) -> Result<()> {
    match result {
        Ok(_) => anyhow::bail!("it was not refused with {reason}"),
        Err(error) => {
            ensure!(error.to_string() == reason, "{error:#} instead of {reason}");
            Ok(())
        }
    }
}

fn signed<D: Document + Clone>(stage: &Stage, compact: &str) -> Result<D> {
    let document = Unverified::<D>::parse(compact)?;
    let key = stage.rogue.terminal.keys.signing_key(document.kid(), now()).context("a key of the server")?;
    Ok(document.verify(key)?.into_document())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_lies_about_what_it_sealed_is_paid_nothing_in_the_end() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.control("HONEST").await?;
    // Two codes for one that was paid.
    let ordered = stage.order().await?;
    let nonce = stage.rogue.nonce(&ordered.id).await?;
    let verification = stage.rogue.verify(&ordered.id, nonce).await?;
    let lie = stage.rogue.seal(&verification, &["ONE", "TWO"])?;
    stage.rogue.submit(&lie).await?;
    let key = stage.rogue.key.public().clone();
    let found = stage.buyer.collect(&ordered, &key).await.map(drop).err().context("the terminal found nothing out")?;
    ensure!(found.to_string().contains("not the codes that were paid for"), "{found:#}");
    stage.complain(&ordered).await?;
    stage.server.operator(&["codes", "reverse", &ordered.id.to_string()])?;
    let seen = stage.buyer.wait_for(&ordered.id, &[CodeState::Reversed]).await?;
    ensure!(seen.delivery.is_none(), "and the code is not handed out any more");
    ensure!(stage.earned()? == 2000, "the honest order alone");
    // It signs for another key or a later generation than it was told.
    let ordered = stage.order().await?;
    let nonce = stage.rogue.nonce(&ordered.id).await?;
    let verification = stage.rogue.verify(&ordered.id, nonce).await?;
    let mut said = verification.document().clone();
    said.recipient =
        Octets(*portcullis_protocol::ReleaseSecretKey::generate(&mut portcullis_fixtures::rng()).public().as_bytes());
    let other_key = stage.rogue.seal_as(&verification, &said, &["ONE"])?;
    refused(stage.rogue.submit(&other_key).await, "binding-mismatch")?;
    let mut said = verification.document().clone();
    said.generation = said.generation.next().context("a generation")?;
    let later = stage.rogue.seal_as(&verification, &said, &["ONE"])?;
    refused(stage.rogue.submit(&later).await, "binding-mismatch")?;
    // What it signed is not what it sends.
    let good = stage.rogue.seal(&verification, &["ONE"])?;
    let swapped = CodeSubmission { enc: other_key.enc, ..good.clone() };
    refused(stage.rogue.submit(&swapped).await, "binding-mismatch")?;
    stage.rogue.submit(&good).await?;
    ensure!(stage.earned()? == 4000, "the control: what fits is taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_says_things_twice_and_in_another_order_is_paid_once() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.control("CONTROL").await?;
    let ordered = stage.order().await?;
    let nonce = stage.rogue.nonce(&ordered.id).await?;
    // A code before anything was asked, sealed for a verification of another order.
    let other = stage.order().await?;
    let others_nonce = stage.rogue.nonce(&other.id).await?;
    let others = stage.rogue.verify(&other.id, others_nonce).await?;
    let mut said = others.document().clone();
    said.order = ordered.id;
    let early = stage.rogue.seal_as(&others, &said, &["EARLY"])?;
    refused(stage.rogue.submit(&early).await, "binding-mismatch")?;
    let verification = stage.rogue.verify(&ordered.id, nonce).await?;
    ensure!(stage.rogue.verify(&ordered.id, nonce).await?.compact() == verification.compact(), "the same again");
    // The same submission ten times at once, each under an Idempotency-Key of its own.
    let code = stage.rogue.seal(&verification, &["ONCE"])?;
    let sent = (0..10).map(|_| {
        let (mut terminal, code) = (stage.rogue.terminal.clone(), code.clone());
        async move {
            let draft = Draft::post(paths::SUBMISSIONS, &code);
            terminal.ask::<portcullis_protocol::wire::CodeSubmissionAnswer>(&draft).await
        }
    });
    let answers: Vec<String> = futures::future::try_join_all(sent).await?.into_iter().map(|a| a.accepted).collect();
    ensure!(answers.iter().all(|answer| *answer == answers[0]), "ten answers, and not one");
    ensure!(stage.earned()? == 4000, "paid once for it");
    // Afterwards: the code is not to be had back, and the buyer is not paid twice.
    refused(stage.rogue.decline(&ordered.id).await, "order-closed")?;
    let key = stage.rogue.key.public().clone();
    ensure!(stage.buyer.collect(&ordered, &key).await? == ["ONCE"]);
    refused(stage.rogue.decline(&ordered.id).await, "order-closed")?;
    ensure!(stage.rogue.submit(&code).await? == answers[0], "the same answer, after the end as well");
    ensure!(stage.earned()? == 4000);
    // Declined twice: paid back once, and nothing is taken afterwards.
    for _ in 0..2 {
        let compact = stage.rogue.decline(&other.id).await?.document.context("a document")?;
        let refunded: OrderRefunded = signed(&stage, &compact)?;
        ensure!(refunded.order == other.id, "the same no");
    }
    stage.buyer.wait_for(&other.id, &[CodeState::Refunded]).await?;
    let late = stage.rogue.seal(&others, &["LATE"])?;
    refused(stage.rogue.submit(&late).await, "order-closed")?;
    ensure!(stage.earned()? == 4000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_sends_another_code_the_second_time_is_held_to_the_first() -> Result<()> {
    let mut stage = Stage::open().await?;
    let ordered = stage.order().await?;
    let first = stage.rogue.deliver(&ordered.id, "FIRST").await?;
    let nonce = stage.rogue.nonce(&ordered.id).await?;
    let verification = stage.rogue.verify(&ordered.id, nonce).await?;
    let second = stage.rogue.seal(&verification, &["SECOND"])?;
    refused(stage.rogue.submit(&second).await, "code-differs")?;
    // Even the same code, sealed anew, is another ciphertext.
    let again = stage.rogue.seal(&verification, &["FIRST"])?;
    refused(stage.rogue.submit(&again).await, "code-differs")?;
    let key = stage.rogue.key.public().clone();
    ensure!(stage.buyer.collect(&ordered, &key).await? == ["FIRST"]);
    ensure!(stage.earned()? == 2000);
    let compact = stage.rogue.look(&ordered.id).await?.document.context("a document")?;
    let accepted: CodeAccepted = signed(&stage, &compact)?;
    let own = Unverified::<SealedCode>::parse(&first.code)?.verify(&key)?.into_document();
    ensure!(accepted.ciphertext == own.ciphertext && !accepted.reversed, "the store's word for the first");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_answers_for_orders_of_others_finds_none() -> Result<()> {
    let mut stage = Stage::open().await?;
    let mut thief = Rogue::open(&stage.server, "thief").await?;
    let ordered = stage.order().await?;
    let nonce = stage.rogue.nonce(&ordered.id).await?;
    // It knows the order, and even its nonce.
    refused(thief.verify(&ordered.id, nonce).await, "order-unknown")?;
    refused(thief.look(&ordered.id).await, "order-unknown")?;
    refused(thief.decline(&ordered.id).await, "order-unknown")?;
    let verification = stage.rogue.verify(&ordered.id, nonce).await?;
    let stolen = thief.seal(&verification, &["STOLEN"])?;
    refused(thief.submit(&stolen).await, "order-unknown")?;
    // What the other merchant signed, sent on by the thief.
    let theirs = stage.rogue.seal(&verification, &["THEIRS"])?;
    let sent_on = thief.submit(&theirs).await.map(drop).err().context("a code of another merchant was taken")?;
    ensure!(sent_on.to_string().contains("the code is not accepted"), "{sent_on:#}");
    ensure!(stage.booked("merchant:thief")? == 0 && stage.earned()? == 0, "nobody was paid");
    // A nonce that was guessed, or is that of another order of the same merchant.
    let second = stage.order().await?;
    stage.rogue.nonce(&second.id).await?;
    refused(stage.rogue.verify(&second.id, nonce).await, "order-unknown")?;
    refused(stage.rogue.verify(&second.id, Octets([7; 32])).await, "order-unknown")?;
    stage.rogue.submit(&theirs).await?;
    let key = stage.rogue.key.public().clone();
    ensure!(stage.buyer.collect(&ordered, &key).await? == ["THEIRS"], "the control");
    ensure!(stage.earned()? == 2000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_dies_or_redirects_loses_the_order_at_its_deadline() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.control("CONTROL").await?;
    let inner = Inbox::open().await?;
    let elsewhere = format!("http://127.0.0.1:{}/inner", inner.port());
    let mut orders = Vec::new();
    for manner in [Manner::Dead, Manner::Hanging, Manner::Redirecting(elsewhere)] {
        stage.rogue.behave(manner.clone());
        let ordered = stage.order().await?;
        // It was told, and did not say that it was.
        let nonce = stage.rogue.nonce(&ordered.id).await?;
        orders.push((manner, ordered, nonce));
    }
    // One of them asks in time, although it never answered: it may deliver.
    let (_, ordered, nonce) = &orders[0];
    let verification = stage.rogue.verify(&ordered.id, *nonce).await?;
    let in_time = stage.rogue.seal(&verification, &["IN-TIME"])?;
    stage.rogue.submit(&in_time).await?;
    let key = stage.rogue.key.public().clone();
    ensure!(stage.buyer.collect(ordered, &key).await? == ["IN-TIME"]);
    ensure!(stage.earned()? == 4000);

    // Eleven minutes later. What the others were paid goes back, and no code is taken.
    stage.server.kill()?;
    stage.server.start(&[("PORTCULLIS_CLOCK_SHIFT", "660")])?;
    for (manner, ordered, nonce) in &orders[1..] {
        let seen = stage.buyer.wait_for(&ordered.id, &[CodeState::Refunded]).await?;
        ensure!(seen.delivery.is_none(), "{manner:?}");
        refused(stage.rogue.verify(&ordered.id, *nonce).await, "order-closed")?;
        let compact = stage.rogue.look(&ordered.id).await?.document.context("a document")?;
        let refunded: OrderRefunded = signed(&stage, &compact)?;
        ensure!(refunded.order == ordered.id, "it may sell the code again");
    }
    ensure!(inner.connections() == 0, "nobody followed the redirect");
    // Operators' commands keep to the clock of the machine.
    stage.server.kill()?;
    stage.server.start(&[])?;
    ensure!(stage.earned()? == 4000, "paid for what it delivered");
    stage.rogue.behave(Manner::Prompt);
    stage.control("BACK").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_private_address_is_not_reached_in_any_spelling() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::init(&folder.path().join("server"))?;
    server.start(&[])?;
    let inner = Inbox::open().await?;
    let port = inner.port();
    let mut owner = Buyer::sign_up(&server, "owner").await?;
    let claim = |name: &str, key: &SecretKey, webhook: &str| -> Result<Draft> {
        let name: MerchantName = name.parse()?;
        let claim = MerchantClaim {
            title: name.as_str().parse()?,
            name,
            jwk: key.public().clone(),
            origin: server.origin().parse()?,
            webhook: WebhookUrl::new(webhook)?,
            iat: now(),
        };
        Ok(Draft::post(paths::MERCHANTS, &json!({ "claim": Verified::sign(claim, key).compact() })))
    };
    let key = SecretKey::generate(&mut portcullis_fixtures::rng());
    for webhook in [
        format!("https://127.0.0.1:{port}/hook"),
        format!("http://127.0.0.1:{port}/hook"),
        format!("https://2130706433:{port}/hook"),
        format!("https://0x7f000001:{port}/hook"),
        format!("https://017700000001:{port}/hook"),
        format!("https://127.1:{port}/hook"),
        format!("https://0:{port}/hook"),
        format!("https://[::1]:{port}/hook"),
        format!("https://[::ffff:127.0.0.1]:{port}/hook"),
        format!("https://[64:ff9b::7f00:1]:{port}/hook"),
        format!("https://[fd00::1]:{port}/hook"),
        format!("https://[fe80::1]:{port}/hook"),
        format!("https://10.0.0.1:{port}/hook"),
        format!("https://169.254.169.254:{port}/latest/meta-data"),
    ] {
        let answer = owner.terminal.send(&claim("inner", &key, &webhook)?).await?;
        ensure!(answer.status == 422, "{webhook}: {}", answer.text());
    }
    // A name is judged by where it leads when it is connected to: today to this machine, whatever it led to before.
    let named = format!("https://localhost:{port}/hook");
    let _: MerchantAnswer = owner.terminal.ask(&claim("inner", &key, &named)?).await?;
    let mut merchant = portcullis_fixtures::Terminal::new(&server.origin().parse()?).await?;
    merchant.key = key.clone();
    let asked = merchant.send(&Draft::post(paths::OWNERSHIP, &OwnershipRequest {})).await?;
    ensure!(asked.status == 422 && asked.text().contains("could not reach it"), "{}", asked.text());
    ensure!(inner.connections() == 0, "somebody knocked");
    drop(owner);

    // The control: a network that the operator listed is reached.
    let open = Stage::open().await?;
    let state = open.server.operator(&["merchant", "list"])?;
    ensure!(state["merchants"][0]["state"] == "approved", "{state}");
    Ok(())
}

/// An order that nobody told of is none that a webhook can be made up for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_makes_orders_up_is_told_nothing() -> Result<()> {
    let mut stage = Stage::open().await?;
    let made_up = OrderId::from_bytes([9; 16]);
    refused(stage.rogue.verify(&made_up, Octets([1; 32])).await, "order-unknown")?;
    refused(stage.rogue.look(&made_up).await, "order-unknown")?;
    refused(stage.rogue.decline(&made_up).await, "order-unknown")?;
    ensure!(stage.rogue.heard(&made_up) == 0 && stage.earned()? == 0);
    stage.control("CONTROL").await
}
