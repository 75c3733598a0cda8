//! The cycle: what the terminal believes, and that a lost answer costs nothing.

use super::test_store::{PLAIN, TestStore, body_of, op, origin, plain, request, rng, run};
use portcullis_host::{Client, Exchanged, Gatekeeper as _, Nonce, Refused, TransportError};
use portcullis_protocol::wire::{AuthorisationAnswer, Problem, Signed};
use portcullis_protocol::{
    Answer, Digest, More, PartName, Reason, RefusalAnswer, ReleaseSecretKey, Rights, SecretKey, SignedManifest,
    Verified,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A store that sells one resource, and a terminal that is signed in and has 5 uses of `view`.
async fn world() -> (Arc<TestStore>, TempDir, Client, Arc<SignedManifest>) {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    store.world().rights.insert("view".into(), Some(5));
    let client = store.signed_in(home.path()).await;
    (store, home, client, resource)
}

fn reason<T>(answer: Result<T, Refused>) -> Reason {
    answer.map(|_| ()).expect_err("refused").reason
}

/// The control of all that follows.
async fn works(store: &TestStore, client: &Client, resource: &Arc<SignedManifest>) {
    store.honest();
    run(client, resource, "view").await.expect("the honest case works");
}

#[tokio::test]
async fn the_honest_cycle_opens_the_keys_and_is_acknowledged() {
    let (store, _home, client, resource) = world().await;
    let released = run(&client, &resource, "view").await.expect("granted");
    let grant = released.grant.document();
    assert_eq!((grant.operation.as_str(), grant.resource), ("view", resource.digest()));
    assert_eq!(grant.limits.uses, Some(1));
    let file = store.world().resources[&resource.digest()].file.clone();
    let sealed = portcullis_protocol::sealed::Sealed::open(file).expect("opens");
    let (name, key) = &released.keys[0];
    assert_eq!(*name, PartName::new("full").expect("name"));
    assert_eq!(*sealed.read_code(name, key).expect("opens"), PLAIN);
    client.cycle().settle(Duration::from_secs(5)).await;
    assert!(store.world().acknowledged.contains(&grant.jti));
    assert_eq!(store.world().debits, 1);
    assert_eq!(client.grants().expect("grants")[0].grant, grant.jti);
    assert_eq!(std::fs::read_dir(_home.path().join("journal")).expect("journal").count(), 0);
}

#[tokio::test]
async fn a_signed_no_comes_with_verified_offers() {
    let (store, _home, client, resource) = world().await;
    let offer = store.world().offer("pixels", Rights::Perpetual {}, 199);
    let refused = run(&client, &resource, "pixels").await.expect_err("unpaid");
    assert_eq!((refused.reason, refused.offers), (Reason::PaymentRequired, vec![offer.clone()]));
    assert_eq!(client.cycle().offers(&resource, &op("pixels")).await.expect("offers"), vec![offer]);
    assert!(client.cycle().offers(&resource, &op("view")).await.expect("none").is_empty());
    // One that somebody else signed is not shown.
    let mut forged = store.world().offers[0].document().clone();
    forged.title = "Nearly free".into();
    store.world().offers = vec![Verified::sign(forged, &SecretKey::generate(&mut rng()))];
    let refused = run(&client, &resource, "pixels").await.expect_err("unpaid");
    assert_eq!((refused.reason, refused.offers.len()), (Reason::PaymentRequired, 0));
    assert_eq!(reason(client.cycle().offers(&resource, &op("pixels")).await), Reason::Offline);
}

#[tokio::test]
async fn an_unsigned_refusal_is_no_answer() {
    let (store, _home, client, resource) = world().await;
    // Each attempt holds a use until its code expires.
    store.world().rights.insert("view".into(), Some(50));
    for status in [200, 402, 403, 404, 410, 500, 503] {
        store.after(move |exchange, answer| {
            let cycle = exchange.path_and_query.contains("authorizations");
            Ok(if cycle { plain(status, &serde_json::json!({ "reason": "payment-required" })) } else { answer })
        });
        assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline, "status {status}");
        // In the form of a server's own words it is none either.
        store.after(move |exchange, answer| {
            let problem = Problem {
                instance: None,
                kind: "urn:portcullis:refusal:payment-required".into(),
                title: "Payment required".into(),
                status,
                detail: "pay".into(),
                reason: Some(Reason::PaymentRequired),
                signed: None,
            };
            let cycle = exchange.path_and_query.contains("authorizations");
            Ok(if cycle { plain(status, &problem) } else { answer })
        });
        assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline, "problem {status}");
    }
    works(&store, &client, &resource).await;
}

/// Re-signs every answer of the cycle with another key, and with the honest key under a false header.
#[tokio::test]
async fn a_forged_signature_is_no_answer() {
    let (store, _home, client, resource) = world().await;
    let thief = SecretKey::generate(&mut rng());
    store.after(move |exchange, answer| {
        if !exchange.path_and_query.contains("/v1/authorizations") {
            return Ok(answer);
        }
        let req = Digest::of(exchange.proof.as_deref().unwrap_or_default().as_bytes());
        let refusal = RefusalAnswer {
            req,
            iat: super::test_store::START,
            reason: Reason::EntitlementRevoked,
            detail: None,
            offers: vec![],
            retry_after: None,
            more: More::new(),
        };
        let signed = Verified::sign(refusal, &thief).compact().to_owned();
        Ok(Exchanged { nonce: answer.nonce, ..plain(403, &Signed { signed }) })
    });
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    // A flipped byte in each third of the honest document: header, payload, signature.
    for segment in 0..3 {
        store.after(move |exchange, answer| {
            if !exchange.path_and_query.contains("/v1/authorizations") {
                return Ok(answer);
            }
            let envelope: Signed = serde_json::from_slice(&answer.body).expect("signed");
            let mut segments: Vec<String> = envelope.signed.split('.').map(str::to_owned).collect();
            let at = segments[segment].len() / 2;
            let flipped = if segments[segment].as_bytes()[at] == b'A' { "B" } else { "A" };
            segments[segment].replace_range(at..=at, flipped);
            let signed = segments.join(".");
            Ok(Exchanged { nonce: answer.nonce, ..plain(answer.status, &Signed { signed }) })
        });
        assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline, "segment {segment}");
    }
    works(&store, &client, &resource).await;
}

#[tokio::test]
async fn an_old_answer_to_another_request_is_no_answer() {
    let (store, _home, client, resource) = world().await;
    let recorded: Arc<Mutex<Option<Exchanged>>> = Arc::default();
    let tape = Arc::clone(&recorded);
    store.after(move |exchange, answer| {
        if exchange.path_and_query == "/v1/verifications" {
            tape.lock().expect("tape").get_or_insert(answer.clone());
        }
        Ok(answer)
    });
    run(&client, &resource, "view").await.expect("recorded");
    client.cycle().settle(Duration::from_secs(5)).await;
    let debits = store.world().debits;
    // The recorded "paid" is played again, before the server hears of anything.
    let tape = recorded.lock().expect("tape").clone().expect("recorded");
    store.before(move |exchange| (exchange.path_and_query == "/v1/verifications").then(|| Ok(tape.clone())));
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    assert_eq!(store.world().debits, debits, "the server never saw it");
    works(&store, &client, &resource).await;
}

#[tokio::test]
async fn an_answer_with_a_reason_only_terminals_have_is_no_answer() {
    let (store, _home, client, resource) = world().await;
    let signing = store.world().signing.clone();
    store.after(move |exchange, answer| {
        if !exchange.path_and_query.contains("/v1/authorizations") {
            return Ok(answer);
        }
        let req = Digest::of(exchange.proof.as_deref().unwrap_or_default().as_bytes());
        let (iat, reason) = (super::test_store::START, Reason::PackageInvalid);
        let refusal =
            RefusalAnswer { req, iat, reason, detail: None, offers: vec![], retry_after: None, more: More::new() };
        let signed = Verified::sign(refusal, &signing).compact().to_owned();
        Ok(Exchanged { nonce: answer.nonce, ..plain(422, &Signed { signed }) })
    });
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    works(&store, &client, &resource).await;
}

#[tokio::test]
async fn a_grant_for_anything_else_yields_no_keys() {
    type Forge = fn(&mut portcullis_protocol::Grant);
    let forgeries: [(&str, Forge); 7] = [
        ("server", |grant| grant.iss = "https://other.example".parse().expect("origin")),
        ("resource", |grant| grant.resource = Digest::of(b"another")),
        ("operation", |grant| grant.operation = op("pixels")),
        ("nonce", |grant| grant.nonce = Nonce::new(vec![9]).expect("nonce")),
        ("terminal", |grant| grant.cnf = Digest::of(b"another terminal")),
        ("parts", |grant| grant.parts = vec![PartName::new("full").expect("name")]),
        ("time", |grant| grant.exp = grant.iat - 1),
    ];
    for (what, forge) in forgeries {
        let (store, _home, client, resource) = world().await;
        store.world().forge_grant = Some(Box::new(forge));
        let refused = run(&client, &resource, "view").await.expect_err(what);
        assert_eq!(refused.reason, Reason::Offline, "{what}");
        store.honest();
        // The signed answer to that code never gets better; after its time it is forgotten, and all is well again.
        store.world().clock.advance(2 * 3600);
        run(&client, &resource, "view").await.expect("honest again");
    }
}

#[tokio::test]
async fn keys_sealed_to_another_terminal_do_not_open() {
    let (store, _home, client, resource) = world().await;
    store.world().release_to = Some(ReleaseSecretKey::generate(&mut rng()).public());
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    store.honest();
    store.world().clock.advance(2 * 3600);
    works(&store, &client, &resource).await;
}

/// The proof is made again with every new nonce, so a stale one costs a round trip and nothing else.
#[tokio::test]
async fn a_stale_nonce_is_renewed_once() {
    let (store, _home, client, resource) = world().await;
    run(&client, &resource, "view").await.expect("granted");
    client.cycle().settle(Duration::from_secs(5)).await;
    let before = store.count("POST /v1/authorizations");
    store.world().clock.advance(200);
    run(&client, &resource, "view").await.expect("granted with a new nonce");
    assert_eq!(store.count("POST /v1/authorizations"), before + 2);
    // A server that is never content is asked twice each time, not for ever.
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    store.before(move |exchange| {
        if !exchange.path_and_query.contains("authorizations") {
            return None;
        }
        let mut asked = count.lock().expect("count");
        *asked += 1;
        let error = serde_json::json!({ "error": "use_dpop_nonce" });
        Some(Ok(Exchanged { nonce: Some(format!("nonce-{asked}")), ..plain(401, &error) }))
    });
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    assert!(*asked.lock().expect("count") <= 8);
    works(&store, &client, &resource).await;
}

#[tokio::test]
async fn a_network_that_fails_at_any_step_costs_nothing() {
    // (path, whether the server gets the request) and how often in a row it fails.
    for path in ["/v1/authorizations", "/v1/verifications", "/v1/grants/"] {
        for arrives in [false, true] {
            for times in [1, 2] {
                let (store, _home, client, resource) = world().await;
                fail(&store, path, arrives, times);
                let what = format!("{path}, arrives: {arrives}, {times} times");
                let first = run(&client, &resource, "view").await;
                if first.is_err() {
                    assert_eq!((path, times), ("/v1/authorizations", 2), "{what}");
                    run(&client, &resource, "view").await.expect("the user tries again");
                }
                client.cycle().settle(Duration::from_secs(5)).await;
                assert_eq!(store.world().debits, 1, "{what}");
            }
        }
    }
}

fn fail(store: &TestStore, path: &'static str, arrives: bool, times: u32) {
    let mut left = times;
    let mut failing = move |asked: &str| {
        let fails = asked.starts_with(path) && left > 0;
        left -= u32::from(fails);
        fails
    };
    if arrives {
        store.after(move |exchange, answer| match failing(&exchange.path_and_query) {
            true => Err(TransportError::Timeout),
            false => Ok(answer),
        });
    } else {
        store.before(move |exchange| failing(&exchange.path_and_query).then_some(Err(TransportError::Timeout)));
    }
}

/// The answer to step 3 never arrives, however often it is asked for; then the user runs the operation again.
#[tokio::test]
async fn a_grant_whose_answer_was_lost_is_fetched_again_and_not_paid_again() {
    let (store, home, client, resource) = world().await;
    fail(&store, "/v1/verifications", true, 1000);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    assert_eq!(store.world().debits, 1, "the server has committed");
    drop(client);
    store.honest();
    let authorised = store.count("POST /v1/authorizations");
    // Another process, some time later, while the grant is good.
    store.world().clock.advance(120);
    let client = store.client(home.path());
    let released = run(&client, &resource, "view").await.expect("delivered");
    assert_eq!(released.keys.len(), 2);
    assert_eq!(store.world().debits, 1);
    assert_eq!(store.count("POST /v1/authorizations"), authorised, "no new code was asked for");
    // The control: it is delivered once. The next run is a cycle of its own.
    client.cycle().settle(Duration::from_secs(5)).await;
    run(&client, &resource, "view").await.expect("granted");
    assert_eq!(store.world().debits, 2);
}

/// A process that dies between delivery and acknowledgement does not get its one use twice.
#[tokio::test]
async fn a_delivered_grant_is_never_delivered_again() {
    let (store, home, client, resource) = world().await;
    fail(&store, "/v1/grants/", false, 1000);
    let first = run(&client, &resource, "view").await.expect("granted");
    client.cycle().settle(Duration::from_secs(5)).await;
    drop(client);
    let client = store.client(home.path());
    let second = run(&client, &resource, "view").await.expect("granted");
    assert_ne!(first.grant.document().jti, second.grant.document().jti);
    assert_eq!(store.world().debits, 2);
    // Both are acknowledged when the server can be told.
    store.honest();
    client.cycle().settle(Duration::from_secs(5)).await;
    client.cycle().resume().await.expect("resumed");
    client.cycle().settle(Duration::from_secs(5)).await;
    assert!(store.world().acknowledged.contains(&first.grant.document().jti));
}

#[tokio::test]
async fn a_code_that_expired_unverified_costs_nothing_and_is_replaced() {
    let (store, home, client, resource) = world().await;
    fail(&store, "/v1/verifications", false, 1000);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    drop(client);
    store.honest();
    store.world().clock.advance(60);
    let client = store.client(home.path());
    run(&client, &resource, "view").await.expect("a new cycle");
    let world = store.world();
    assert_eq!((world.debits, world.rights["view"]), (1, Some(4)));
}

/// `rotate-key --stolen` between the debit and the answer: the server repeats the grant as it was, under a key that has
/// ended and that nobody believes any more.
#[tokio::test]
async fn a_grant_under_a_key_that_has_ended_does_not_bar_its_operation() {
    let (store, _home, client, resource) = world().await;
    fail(&store, "/v1/verifications", true, 1000);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    store.honest();
    {
        let mut world = store.world();
        let stolen = std::mem::replace(&mut world.signing, SecretKey::generate(&mut rng()));
        world.former.push(stolen);
        world.key_version += 1;
        world.clock.advance(20);
    }
    // While the grant could still be used it is not paid for again.
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    store.world().clock.advance(300);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    assert_eq!(store.world().debits, 1);
    // Then it is over, whoever signed it. Where there is no answer at all, nothing is concluded.
    store.world().clock.advance(11);
    fail(&store, "/v1/verifications", false, 1000);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    let asked = store.count("POST /v1/authorizations");
    store.honest();
    let released = run(&client, &resource, "view").await.expect("a new cycle");
    assert_eq!(store.count("POST /v1/authorizations"), asked + 1);
    let world = store.world();
    assert_eq!((world.debits, released.grant.signer()), (2, world.signing.public().thumbprint()));
}

#[tokio::test]
async fn requests_that_differ_in_anything_do_not_take_up_each_others_codes() {
    let (store, _home, client, resource) = world().await;
    fail(&store, "/v1/verifications", true, 1000);
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    store.honest();
    let mut other = request(&resource, "view");
    other.nonce = Nonce::new(vec![1, 2, 3]).expect("nonce");
    let released = client.cycle().run(other).await.expect("granted");
    assert_eq!(released.grant.document().nonce.as_bytes(), [1, 2, 3]);
    assert_eq!(store.world().debits, 2);
}

/// The future of a verification is dropped while the server works on it.
#[tokio::test]
async fn a_dropped_verification_is_taken_up_by_the_next_run() {
    let (store, _home, client, resource) = world().await;
    let held = client.cycle().request(request(&resource, "view")).await.expect("authorised");
    // The answer is never there in time.
    fail(&store, "/v1/verifications", true, 1000);
    let dropped = tokio::time::timeout(Duration::from_millis(3), held.verify()).await;
    assert!(!matches!(dropped, Ok(Ok(_))));
    store.honest();
    run(&client, &resource, "view").await.expect("granted");
    assert_eq!(store.world().debits, 1);
}

#[tokio::test]
async fn two_at_once_are_two_cycles() {
    let (store, _home, client, resource) = world().await;
    let (one, two) = tokio::join!(run(&client, &resource, "view"), run(&client, &resource, "view"));
    let (one, two) = (one.expect("granted"), two.expect("granted"));
    assert_ne!(one.grant.document().jti, two.grant.document().jti);
    assert_eq!(store.world().debits, 2);
}

#[tokio::test]
async fn the_code_is_on_the_disk_before_step_3_and_sealed() {
    let (store, home, client, resource) = world().await;
    let journal = home.path().join("journal");
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (files, folder) = (Arc::clone(&seen), journal.clone());
    store.before(move |exchange| {
        if exchange.path_and_query == "/v1/verifications" {
            for entry in std::fs::read_dir(&folder).expect("journal") {
                files.lock().expect("files").push(std::fs::read(entry.expect("entry").path()).expect("bytes"));
            }
        }
        None
    });
    run(&client, &resource, "view").await.expect("granted");
    let seen = seen.lock().expect("files");
    assert_eq!(seen.len(), 1, "durable before it is sent");
    let code = store.world().secrets.last().expect("a code").clone();
    assert!(!String::from_utf8_lossy(&seen[0]).contains(&code));
}

#[tokio::test]
async fn a_resource_of_an_untrusted_server_makes_nobody_be_contacted() {
    let (store, _home, client, _resource) = world().await;
    let publisher = SecretKey::generate(&mut rng());
    // Names a server of its own; the test server panics where another origin is asked.
    let elsewhere = "https://evil.example".parse().expect("origin");
    let (_, other) = store.world().seal(&publisher, (1, 0, 0), |manifest| manifest.servers[0].origin = elsewhere);
    assert_eq!(reason(run(&client, &other, "view").await), Reason::ServerUntrusted);
    // Names the trusted origin, with another root.
    let root = SecretKey::generate(&mut rng()).public().thumbprint();
    let (_, other) = store.world().seal(&publisher, (1, 0, 0), |manifest| manifest.servers[0].root = root);
    assert_eq!(reason(run(&client, &other, "view").await), Reason::ServerUntrusted);
    // Names the trusted server, which never countersigned it.
    let (_, sold) = store.world().seal(&publisher, (1, 0, 0), |_| {});
    let unsold = SignedManifest::sign(sold.manifest().clone(), &publisher).expect("signed");
    assert_eq!(reason(run(&client, &Arc::new(unsold), "view").await), Reason::ServerUntrusted);
    // Countersigned in its name by a key that was never its own.
    let mut forged = SignedManifest::sign(sold.manifest().clone(), &publisher).expect("signed");
    forged.countersign(origin(), &SecretKey::generate(&mut rng()), store.world().now()).expect("countersigned");
    assert_eq!(reason(run(&client, &Arc::new(forged), "view").await), Reason::ServerUntrusted);
    // Countersigned by its own key, in the future.
    let mut early = SignedManifest::sign(sold.manifest().clone(), &publisher).expect("signed");
    {
        let world = store.world();
        early.countersign(origin(), &world.signing, world.now() + 3600).expect("countersigned");
    }
    assert_eq!(reason(run(&client, &Arc::new(early), "view").await), Reason::ServerUntrusted);
    works(&store, &client, &sold).await;
}

#[tokio::test]
async fn a_body_changed_on_the_way_is_not_accepted_by_the_server() {
    let (store, _home, client, resource) = world().await;
    let store_too = Arc::downgrade(&store);
    store.before(move |exchange| {
        if exchange.path_and_query != "/v1/authorizations" {
            return None;
        }
        // The man in the middle orders five times as much.
        let mut changed = exchange.clone();
        let body = String::from_utf8(body_of(exchange)).expect("json").replace("\"quantity\":1", "\"quantity\":5");
        changed.body = portcullis_host::Body::Text("application/json", body.into());
        Some(Ok(store_too.upgrade()?.world().answer(&changed)))
    });
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    assert_eq!(store.world().debits, 0);
    works(&store, &client, &resource).await;
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_answer() {
    let (store, _home, client, resource) = world().await;
    // Honestly signed, to this request, but the body of another kind.
    let signing = store.world().signing.clone();
    let clock = Arc::clone(&store.world().clock);
    store.after(move |exchange, answer| {
        if exchange.path_and_query != "/v1/verifications" {
            return Ok(answer);
        }
        let req = Digest::of(exchange.proof.as_deref().unwrap_or_default().as_bytes());
        let request: portcullis_protocol::wire::VerificationRequest =
            serde_json::from_slice(&body_of(exchange)).expect("json");
        let body = AuthorisationAnswer { code: request.code, expires: portcullis_host::Clock::now(&*clock) };
        let signed = Verified::sign(Answer { req, iat: body.expires, body }, &signing).compact().to_owned();
        Ok(Exchanged { nonce: answer.nonce, ..plain(200, &Signed { signed }) })
    });
    assert_eq!(reason(run(&client, &resource, "view").await), Reason::Offline);
    works(&store, &client, &resource).await;
}
