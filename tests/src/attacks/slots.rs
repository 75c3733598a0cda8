//! Attacks with patience: requests and uploads that are held, by whoever makes them or by a server that stood still.

use super::cheater::Cheater;
use super::shop::{Shop, price_list};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, fresh_key};
use portcullis_protocol::wire::{OfferTerms, OffersAnswer, OffersRequest, PublishAnswer};
use portcullis_protocol::{Money, Rights};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

attacks! {
    "upload-slots-held-by-strangers" => upload_slots_held_by_strangers,
    "answer-written-under-an-ended-lease" => answer_written_under_an_ended_lease,
}

/// Uploads that are begun and not gone on with: more than there are slots.
const HELD: usize = 12;
/// How long a request of a process that stands still may wait for another process: three seconds by the database, and
/// what a busy machine adds.
const TAKE_OVER: Duration = Duration::from_secs(20);

/// The head of an upload and its first bytes, on a connection that then says nothing more.
async fn hold(cheater: &mut Cheater) -> Result<TcpStream> {
    let draft = Draft::upload(&[b' '; 100_000]);
    let proof = cheater.prove(&draft, cheater.nonce.as_deref());
    let host = cheater.origin.as_str().strip_prefix("http://").context("a plain address")?.to_owned();
    let mut stream = TcpStream::connect(&host).await?;
    let head = format!(
        "PUT /v1/resources HTTP/1.1\r\nhost: {host}\r\ndpop: {proof}\r\nauthorization: DPoP {}\r\nidempotency-key: {}\r\n\
         content-type: application/wasm\r\ncontent-length: 100000\r\n\r\nabc",
        cheater.token.as_deref().context("a token")?,
        draft.idempotency_key.as_ref().context("a key")?.as_str(),
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Somebody begins a dozen uploads and sends a byte now and then; a publisher wants to publish.
async fn upload_slots_held_by_strangers(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut trial = Trial::new();
    let mut stranger = shop.customer().await?;
    stranger.send(&Draft::get("/v1/account")).await?;
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(hold(&mut stranger).await?);
    }
    let mut text = [0; 512];
    let read = tokio::time::timeout(Duration::from_secs(10), held[0].read(&mut text)).await.context("no answer")??;
    let refused = String::from_utf8_lossy(&text[..read]).starts_with("HTTP/1.1 403");
    trial.attack_fails("uploads of an account that publishes nothing", "refused before its body", refused);
    let (mut publisher, key) = shop.publisher("tenant").await?;
    let file = shop.seal("tenant", &key, "1.0.0")?;
    let published = publisher.ask::<PublishAnswer>(&Draft::upload(&file)).await;
    trial.attack_fails("a publisher publishes meanwhile", "a slot was free", published.is_ok());

    // Somebody who may publish, and holds what he is given.
    let (mut rival, _) = shop.publisher("rival").await?;
    rival.send(&Draft::get("/v1/account")).await?;
    for _ in 0..HELD {
        held.push(hold(&mut rival).await?);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = rival.send(&Draft::upload(&file)).await?;
    trial.control("slots are held as long as an upload is under way", busy.status.as_u16() == 429);
    let published = publisher.ask::<PublishAnswer>(&Draft::upload(&file)).await;
    trial.attack_fails("another publisher meanwhile", "no account has all the slots", published.is_ok());
    Ok(trial.finish())
}

fn list(price: &str) -> Result<OffersRequest> {
    let terms = OfferTerms {
        id: None,
        operation: "view".parse()?,
        title: "To have it".into(),
        rights: Rights::Perpetual {},
        price: price.parse()?,
    };
    Ok(OffersRequest { offers: vec![terms] })
}

/// A server process stands still between beginning a request and doing it, wakes up after another process has done it
/// and more, and goes on as if nothing had been.
async fn answer_written_under_an_ended_lease(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match slept_through(shop).await {
            // It was stopped in the middle of another write, so that nobody else could write, or too late.
            Err(_) if tries < 4 => {}
            outcome => return outcome,
        }
    }
}

async fn slept_through(shop: &mut Shop) -> Result<Outcome> {
    shop.restart_to_stop("answer.begin.after-commit").await?;
    let twin = shop.server.start_twin()?;
    let mut trial = Trial::new();
    let first = price_list(&list("7.77 EUR")?).once(&fresh_key());
    shop.publisher.send(&Draft::get("/v1/account")).await?;
    let sleeper = {
        let (publisher, draft) = (shop.publisher.clone(), first.clone());
        let proof = publisher.prove(&draft, publisher.nonce.as_deref());
        tokio::spawn(async move { publisher.send_with(&draft, &proof).await })
    };
    tokio::task::block_in_place(|| shop.server.wait_for_stop())?;
    // The same request at the other process: in progress, until the lease of the first is over.
    let (begun, mut waited) = (Instant::now(), 0_u32);
    loop {
        ensure!(begun.elapsed() < TAKE_OVER, "the request was never taken over");
        let proof = shop.publisher.prove(&first, shop.publisher.nonce.as_deref());
        let answer = shop.publisher.send_to(&twin, &first, &proof).await?;
        if answer.status.as_u16() == 409 {
            waited += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let _: OffersAnswer = answer.read(&shop.publisher.keys)?;
        break;
    }
    // Else it did not stand still while it was at it: it had stopped elsewhere, or its lease was over by then.
    ensure!(waited > 0, "nobody had to wait for the process that stands still");
    trial.note(format!("taken over after {:.1} s", begun.elapsed().as_secs_f64()));
    let second = price_list(&list("3.33 EUR")?);
    let proof = shop.publisher.prove(&second, shop.publisher.nonce.as_deref());
    let _: OffersAnswer = shop.publisher.send_to(&twin, &second, &proof).await?.read(&shop.publisher.keys)?;
    shop.server.resume()?;
    let late = tokio::time::timeout(TAKE_OVER, sleeper).await.context("the sleeper does not answer")???;
    let stored = late.read::<OffersAnswer>(&shop.publisher.keys);
    trial.attack("the process that slept does and answers it", "unsigned: 500", stored);
    let price = shop.price_of("view").await?;
    trial.attack_fails(
        "its price list takes the place of a newer one",
        "the newer one stands",
        price == "3.33 EUR".parse::<Money>()?,
    );
    shop.restart(&[])?;
    shop.price("1.99 EUR").await?;
    trial.control("awake, the same process sets a price", shop.price_of("view").await? == "1.99 EUR".parse::<Money>()?);
    Ok(trial.finish())
}
