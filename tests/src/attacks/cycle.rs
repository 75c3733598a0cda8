//! Attacks on what passes between a terminal and its server: other servers, altered requests, lies in answers.

use super::cheater::Cheater;
use super::impostor::Impostor;
use super::shop::Shop;
use super::{Arena, Outcome, Trial, attacks};
use crate::Server;
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Answered, Draft, api, now, rng};
use portcullis_host::{Client, Error, Exchange, Exchanged, Resource, Runtime};
use portcullis_protocol::wire::{AuthorisationAnswer, Problem};
use portcullis_protocol::{Digest, More, Reason, RefusalAnswer, SecretKey, Verified};
use std::sync::{Arc, Mutex};

attacks! {
    "fake-server" => fake_server,
    "body-altered-under-a-valid-proof" => body_altered_under_a_valid_proof,
    "unsigned-and-forged-refusals" => unsigned_and_forged_refusals,
    "old-answer-replayed" => old_answer_replayed,
    "pre-generated-proof" => pre_generated_proof,
}

/// The shop's resource in a runtime of this client.
async fn loaded(shop: &Shop, client: &Client) -> Result<Resource> {
    let runtime = Runtime::builder().gatekeeper(client.cycle()).clock(client.clock()).build()?;
    Ok(runtime.load(shop.publisher.fetch(&shop.resource).await?)?)
}

/// Authorises the free operation and calls it.
async fn preview(resource: &Resource) -> Result<u32, Error> {
    let authorised = resource.authorize("preview").await?;
    authorised.call_typed::<(), (u32,)>(&api("other"), ()).await.map(|(seven,)| seven)
}

/// A refusal by its code, anything else by its text.
fn reason<T>(outcome: Result<T, Error>) -> Result<T> {
    outcome.map_err(|error| error.reason().map_or_else(|| anyhow!("{error}"), |reason| anyhow!("{reason}")))
}

/// Another server takes the address: with a certificate that the system trusts it could.
async fn fake_server(arena: &mut Arena) -> Result<Outcome> {
    let folder = arena.fresh_path();
    let shop = arena.shop().await?;
    let (client, meddler, _) = shop.client().await?;
    let resource = loaded(shop, &client).await?;
    let before = preview(&resource).await;
    let mut trial = Trial::new();

    let impostor = Arc::new(Impostor::of(&shop.origin, &shop.publisher.keys.recipient));
    let answers = Arc::clone(&impostor);
    meddler.begin(move |exchange, answer| answers.answer(exchange, answer));
    trial.attack("a yes of its own", "server-untrusted", reason(preview(&resource).await));
    trial.attack_fails("being sent the code of that yes", "not believed", !impostor.was_believed());
    meddler.stop();
    trial.control("a terminal that trusted its root would believe it", impostor.would_be_believed()?);

    shop.kill()?;
    let mut fake = Server::init_at(&folder, shop.origin.as_str().trim_start_matches("http://"))?;
    fake.start(&[])?;
    let again = client.sign_in(&shop.origin, "again").await.map(|_| ());
    trial.attack("signing in to another real server there", "another root key than the one you trusted", again);
    let refused = reason(preview(&resource).await);
    let unmoved =
        ["server-untrusted", "offline"].map(|reason| refused.as_ref().is_err_and(|e| e.to_string() == reason));
    trial.attack_fails("a grant or a refusal from that", "not believed", unmoved.contains(&true));
    fake.kill()?;
    shop.restart(&[])?;
    trial.control("before, the real server gave the grant", before.is_ok());
    trial.control("afterwards too, to the same terminal", preview(&resource).await.is_ok());
    Ok(trial.finish())
}

/// Proves one request and sends another.
async fn body_altered_under_a_valid_proof(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let mut more = request.clone();
    more.quantity = 5;
    let (honest, altered) = (Draft::post("/v1/authorizations", &request), Draft::post("/v1/authorizations", &more));
    // A nonce, so that only what was altered can be in the way.
    let _ = cheater.remaining("print").await?;
    let nonce = cheater.nonce.clone();
    let proof = cheater.prove(&honest, nonce.as_deref());
    let mut trial = Trial::new();
    let unproven = |answer: Answered| {
        if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
    };
    const UNPROVEN: &str = "a valid proof of possession is required";
    let body = Draft { body: altered.body, ..honest.clone() };
    trial.attack("another body", UNPROVEN, unproven(cheater.send_with(&body, &proof).await?));
    let key = Draft { idempotency_key: altered.idempotency_key, ..honest.clone() };
    trial.attack("another Idempotency-Key", UNPROVEN, unproven(cheater.send_with(&key, &proof).await?));
    let path = Draft { path: "/v1/verifications".into(), ..honest.clone() };
    trial.attack("another path", UNPROVEN, unproven(cheater.send_with(&path, &proof).await?));
    let token = Draft { with_token: false, ..honest.clone() };
    trial.attack("without the token", UNPROVEN, unproven(cheater.send_with(&token, &proof).await?));
    let (input, _) = proof.rsplit_once('.').context("a proof")?;
    let thief = SecretKey::generate(&mut rng());
    let forged = format!("{input}.{}", thief.sign(input.as_bytes()));
    trial.attack("a signature of another key", UNPROVEN, unproven(cheater.send_with(&honest, &forged).await?));
    trial.control("nothing was held meanwhile", cheater.remaining("print").await? == 5);
    let sent = cheater.send_with(&honest, &proof).await?;
    trial.control(
        "unaltered, with the same proof, it is answered",
        sent.read::<AuthorisationAnswer>(&cheater.keys).is_ok(),
    );
    Ok(trial.finish())
}

fn problem(reason: Reason, signed: Option<String>) -> Exchanged {
    let problem = Problem {
        instance: None,
        kind: format!("urn:portcullis:refusal:{reason}"),
        title: reason.title().into(),
        status: reason.http_status(),
        detail: reason.advice().into(),
        reason: Some(reason),
        signed,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default().into();
    Exchanged { status: reason.http_status(), nonce: None, retry_after: None, body }
}

fn is_cycle(exchange: &Exchange) -> bool {
    exchange.path_and_query.starts_with("/v1/authorizations")
        || exchange.path_and_query.starts_with("/v1/verifications")
}

/// A refusal by one who cannot sign in the server's name: to have the terminal give up its keys, or live on grace.
async fn unsigned_and_forged_refusals(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, meddler, _) = shop.client().await?;
    let resource = loaded(shop, &client).await?;
    let mut trial = Trial::new();
    for reason_of_the_liar in [Reason::TerminalRevoked, Reason::PaymentRequired, Reason::SeatsTaken] {
        meddler
            .begin(move |exchange, answer| if is_cycle(exchange) { problem(reason_of_the_liar, None) } else { answer });
        trial.attack(&format!("unsigned {reason_of_the_liar}"), "offline", reason(preview(&resource).await));
        let thief = SecretKey::generate(&mut rng());
        meddler.begin(move |exchange, answer| {
            let Some(proof) = exchange.proof.as_ref().filter(|_| is_cycle(exchange)) else { return answer };
            let forged = RefusalAnswer {
                req: Digest::of(proof.as_bytes()),
                iat: now(),
                reason: reason_of_the_liar,
                detail: None,
                offers: Vec::new(),
                retry_after: None,
                more: More::new(),
            };
            problem(reason_of_the_liar, Some(Verified::sign(forged, &thief).compact().to_owned()))
        });
        trial.attack(
            &format!("{reason_of_the_liar} signed by a stranger"),
            "offline",
            reason(preview(&resource).await),
        );
    }
    meddler.stop();
    trial
        .control("left alone, the same terminal, with the same keys, gets its grant", preview(&resource).await.is_ok());
    let refused = reason(resource.authorize("view").await).err().map(|error| error.to_string());
    trial.control("a refusal that the server signed is believed", refused.as_deref() == Some("payment-required"));
    Ok(trial.finish())
}

/// Keeps the answers of a time when everything was granted, and gives them again.
async fn old_answer_replayed(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, meddler, _) = shop.client().await?;
    let resource = loaded(shop, &client).await?;
    let kept: Arc<Mutex<Vec<(String, Exchanged)>>> = Arc::default();
    let keep = Arc::clone(&kept);
    meddler.begin(move |exchange, answer| {
        if is_cycle(exchange) && answer.status == 200 {
            keep.lock().expect("no panic while it is held").push((exchange.path_and_query.clone(), answer.clone()));
        }
        answer
    });
    let recorded = preview(&resource).await.is_ok();
    let mut trial = Trial::new();
    let replay = |only: Option<&'static str>| {
        let kept = Arc::clone(&kept);
        move |exchange: &Exchange, answer: Exchanged| {
            if only.is_some_and(|only| exchange.path_and_query != only) {
                return answer;
            }
            let kept = kept.lock().expect("no panic while it is held");
            kept.iter().find(|(path, _)| *path == exchange.path_and_query).map_or(answer, |(_, old)| old.clone())
        }
    };
    meddler.begin(replay(None));
    trial.attack("both answers again", "offline", reason(preview(&resource).await));
    meddler.begin(replay(Some("/v1/verifications")));
    trial.attack("the grant again, for a new code", "offline", reason(preview(&resource).await));
    meddler.stop();
    trial.control(
        "the answers were kept from a cycle that went through",
        recorded && kept.lock().is_ok_and(|kept| kept.len() >= 2),
    );
    trial.control("without the replay it goes through again", preview(&resource).await.is_ok());
    Ok(trial.finish())
}

/// Uses a terminal's key for a moment and makes proofs to be used later, elsewhere.
async fn pre_generated_proof(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater: Cheater = shop.buyer("view").await?;
    let _ = cheater.remaining("view").await?;
    let nonce = cheater.nonce.clone().context("every answer to a proof carries a nonce")?;
    let draft = Draft::post("/v1/authorizations", &shop.request("view"));
    let made_then = cheater.prove(&draft, Some(&nonce));
    let mut trial = Trial::new();
    let refused = |answer: Answered| {
        if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
    };
    let none = cheater.prove(&draft, None);
    trial.attack("without a nonce", "use_dpop_nonce", refused(cheater.send_with(&draft, &none).await?));
    let invented = cheater.prove(&draft, Some("AAAAAAAAAAAAAAAAAAAAAA"));
    trial.attack("with an invented one", "use_dpop_nonce", refused(cheater.send_with(&draft, &invented).await?));
    let mut other = shop.customer().await?;
    let _ = other.remaining("view").await?;
    let anothers = cheater.prove(&draft, other.nonce.as_deref());
    trial.attack("with another terminal's", "use_dpop_nonce", refused(cheater.send_with(&draft, &anothers).await?));
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "130")])?;
    trial.attack("130 seconds later", "use_dpop_nonce", refused(cheater.send_with(&draft, &made_then).await?));
    shop.restart(&[])?;
    let at_once = cheater.send_with(&draft, &made_then).await?;
    trial.control(
        "used at once, the same proof is accepted",
        at_once.read::<AuthorisationAnswer>(&cheater.keys).is_ok(),
    );
    Ok(trial.finish())
}
