//! The proof, and what happens to requests that do not keep to the protocol.

use crate::stage::{Stage, order, upload};
use crate::terminal::{Draft, fresh_key, now};
use portcullis_protocol::cycle::read_reply;
use portcullis_protocol::wire::{AccountAnswer, Done, OrderAnswer};
use portcullis_protocol::{Digest, Reason, SecretKey};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn a_proof_is_good_for_its_own_request_only() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let good = order(Digest::of(b"no such offer"), "ok");
    // The control: the request as it was meant reaches the shop, which knows no such offer.
    assert_eq!(terminal.get_no(&good).await.reason, Reason::PaymentRequired);
    let nonce = terminal.nonce.clone();

    let other_path = Draft { path: "/v1/orders/other".into(), ..good.clone() };
    let other_method = Draft { method: Method::PUT, ..good.clone() };
    let other_body = Draft { body: b"{}".to_vec(), ..good.clone() };
    let other_key = good.clone().once(&fresh_key());
    let without_key = Draft { idempotency_key: None, ..good.clone() };
    let without_token = Draft { with_token: false, ..good.clone() };
    for (name, claimed) in [
        ("htu", other_path),
        ("htm", other_method),
        ("body", other_body),
        ("idempotency key", other_key),
        ("no idempotency key", without_key),
        ("ath", without_token),
    ] {
        let proof = terminal.prove(&claimed, nonce.as_deref());
        let answer = terminal.send_with(&good, &proof).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(
            answer.problem().expect("a problem").signed.is_none(),
            "{name}: nothing is signed for a request that was not proven"
        );
        assert!(answer.nonce.is_none(), "{name}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_body_altered_under_a_valid_proof_is_refused() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let _: AccountAnswer = customer.get_yes(&Draft::get("/v1/account")).await;
    let meant = order(shop.offer("view").digest(), "ok");
    let proof = customer.prove(&meant, customer.nonce.as_deref());
    let altered = Draft { body: order(shop.offer("print").digest(), "ok").body, ..meant.clone() };
    assert_eq!(customer.send_with(&altered, &proof).await.status, StatusCode::UNAUTHORIZED);
    let entitlements: portcullis_protocol::wire::EntitlementsAnswer =
        customer.get_yes(&Draft::get("/v1/account/entitlements")).await;
    assert!(entitlements.entitlements.is_empty(), "nothing was bought");
    assert_eq!(customer.send_with(&meant, &proof).await.status, StatusCode::OK, "the control");
    stage.stop().await;
}

#[tokio::test]
async fn a_proof_made_in_advance_is_refused() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let draft = Draft::get("/v1/account");
    let _: AccountAnswer = terminal.get_yes(&draft).await;
    let made_in_advance = terminal.prove(&draft, terminal.nonce.as_deref());
    assert_eq!(terminal.send_with(&draft, &made_in_advance).await.status, StatusCode::OK, "the control: in time");
    stage.clock.advance(121);
    let answer = terminal.send_with(&draft, &made_in_advance).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.nonce.is_some(), "its holder is told the new nonce");
    let unproven = terminal.prove(&draft, None);
    assert_eq!(terminal.send_with(&draft, &unproven).await.status, StatusCode::UNAUTHORIZED);
    // Another key's nonce is none.
    let nonce = terminal.send_with(&draft, &unproven).await.nonce.expect("a nonce");
    terminal.key = SecretKey::generate(&mut crate::terminal::rng());
    let proof = terminal.prove(&draft, Some(&nonce));
    assert_eq!(terminal.send_with(&draft, &proof).await.problem().expect("a problem").title, "use_dpop_nonce");
    stage.stop().await;
}

#[tokio::test]
async fn answers_are_bound_to_their_request() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let answer = terminal.send(&Draft::get("/v1/account")).await;
    let signed = answer.signed().expect("signed");
    let mine = Digest::of(answer.proof.as_bytes());
    read_reply::<AccountAnswer>(&signed, &terminal.keys, &mine, now()).expect("the control");
    read_reply::<AccountAnswer>(&signed, &terminal.keys, &Digest::of(b"another proof"), now()).expect_err("another's");
    stage.stop().await;
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let stage = Stage::open().await;
    let terminal = stage.customer("ada@example.org").await;
    for path in ["/v1/account", "/v1/account/receipts", "/v1/orders/AAAAAAAAAAAAAAAAAAAAAA"] {
        for authorization in [None, Some("DPoP nonsense"), Some("Bearer x"), Some("DPoP")] {
            let mut request = terminal.http.get(format!("{}{path}", stage.origin));
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = request.send().await.expect("answers");
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            let text = answer.text().await.expect("text");
            assert!(!text.contains("signed") && !text.contains("reason"), "{text}");
        }
    }
    for proof in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(5000)] {
        let answer = terminal.send_with(&Draft::get("/v1/account"), proof).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{proof:.20}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_header_that_stands_twice_is_refused() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;
    let proof = terminal.prove(&Draft::get("/v1/account"), terminal.nonce.as_deref());
    let token = format!("DPoP {}", terminal.token.as_deref().expect("a token"));
    let request = terminal.http.get(format!("{}/v1/account", stage.origin)).header("DPoP", &proof);
    let request = request.header(AUTHORIZATION, &token).header(AUTHORIZATION, "DPoP another");
    assert_eq!(request.send().await.expect("answers").status(), StatusCode::BAD_REQUEST);
    stage.stop().await;
}

#[tokio::test]
async fn sizes_forms_and_paths_are_checked() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let post = |body: &[u8]| Draft { body: body.to_vec(), ..Draft::post("/v1/orders", &()) };
    assert_eq!(terminal.send(&post(&vec![b' '; 70_000])).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for body in [&b"{"[..], b"[]", b"{}", b"\xff", br#"{"offer":1}"#] {
        let answer = terminal.send(&post(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:?}");
        assert!(!answer.problem().expect("a problem").detail.contains("offer"), "what was sent is not repeated");
    }
    let twice = br#"{"offer":"x","offer":"y","payment":{"provider":"sandbox","token":"ok"}}"#;
    assert_eq!(terminal.send(&post(twice)).await.status, StatusCode::BAD_REQUEST);
    let keyless = Draft { idempotency_key: None, ..post(b"{}") };
    assert_eq!(terminal.send(&keyless).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(terminal.send(&Draft::get("/v1/orders/nonsense")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(terminal.send(&Draft::get("/v1/nothing")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(terminal.send(&Draft::get("/v1/redemptions")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let oversize = upload(&vec![0; 1024 * 1024 + 1]);
    assert_eq!(terminal.send(&oversize).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    stage.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_request() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let key = fresh_key();
    let draft = order(shop.offer("view").digest(), "ok").once(&key);
    let first: OrderAnswer = customer.get_yes(&draft).await;
    let again: OrderAnswer = customer.get_yes(&draft).await;
    assert_eq!(first.order, again.order, "the same answer, in a fresh envelope");
    let other = order(shop.offer("print").digest(), "ok").once(&key);
    assert_eq!(customer.send(&other).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let claimed = crate::stage::claim(&stage.origin, "another", &shop.key).once(&key);
    assert_eq!(customer.send(&claimed).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut other_terminal = stage.customer("bob@example.org").await;
    let own: OrderAnswer = other_terminal.get_yes(&draft).await;
    assert_ne!(own.order, first.order, "keys of different terminals never meet");

    // What is no order and no part of the cycle is remembered as well.
    let key = fresh_key();
    let claim = crate::stage::claim(&stage.origin, "another", &shop.key).once(&key);
    let Done {} = customer.get_yes(&claim).await;
    let Done {} = customer.get_yes(&claim).await;
    let different = crate::stage::claim(&stage.origin, "a-third", &shop.key).once(&key);
    assert_eq!(customer.send(&different).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    stage.stop().await;
}

#[tokio::test]
async fn floods_are_refused_by_address_and_by_terminal() {
    let stage = Stage::with(|config| {
        config.limits.terminal_burst = 12;
        config.limits.terminal_rate = 1;
    })
    .await;
    let mut terminal = stage.customer("ada@example.org").await;
    let mut refusal = None;
    for _ in 0..20 {
        if let portcullis_protocol::cycle::Reply::No(no) =
            terminal.ask::<AccountAnswer>(&Draft::get("/v1/account")).await
        {
            refusal = Some(no);
            break;
        }
    }
    let refusal = refusal.expect("refused in the end");
    assert_eq!(refusal.reason, Reason::RateLimited);
    assert!(refusal.retry_after.is_some_and(|seconds| seconds >= 1));
    stage.stop().await;

    let stage = Stage::with(|config| {
        config.limits.address_burst = 5;
        config.limits.address_rate = 1;
    })
    .await;
    let http = reqwest::Client::new();
    let mut last = StatusCode::OK;
    for _ in 0..10 {
        last = http.get(format!("{}/v1/search", stage.origin)).send().await.expect("answers").status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    stage.stop().await;
}
