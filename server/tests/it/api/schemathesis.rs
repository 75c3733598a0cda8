//! Schemathesis, a fuzzer of others, tries every operation of the document: no answer is a failure of the server, every
//! answer is one that the document names, and good requests get through on nearly all operations.

use crate::stage::{Stage, claim, order, picture, terms, upload};
use crate::terminal::{Draft, Terminal, rng};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::wire::{
    AccountAnswer, AuthorisationAnswer, Done, OffersRequest, OrderAnswer, PublishAnswer, SessionsAnswer,
    VerificationAnswer, VerificationRequest, VouchRequest, WithdrawRequest,
};
use portcullis_protocol::{PublisherClaim, Rights, SecretKey, Unverified, Verified, Vouch, paths};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// Examples per operation in the phase that makes requests up.
const EXAMPLES: &str = "10";
/// Of a hundred operations so many have to take a good request.
const TAKEN: usize = 80;

fn installed(below: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign").join(below);
    assert!(path.exists(), "{} is missing: run `cargo xtask foreign`", path.display());
    path
}

fn of(draft: &Draft) -> Value {
    serde_json::from_slice(&draft.body).expect("JSON")
}

fn identity(terminal: &Terminal) -> Value {
    json!({"seed": base64url(&*terminal.key.to_seed()), "token": terminal.token})
}

/// A server with something of everything, and a good request for each operation.
async fn prepare(stage: &Stage) -> Value {
    let mut shop = stage.shop().await;
    let mut browser = stage.person("user@example.org").await;
    let mut user = stage.terminal_of(&mut browser).await;
    let mut spare = stage.terminal_of(&mut browser).await;
    let fresh = stage.signed_in(&mut browser).await;
    let leaver = stage.customer("leaver@example.org").await;

    // A grant, an order, and what is signed in.
    let buying = of(&order(shop.offer("print").digest(), "ok"));
    let bought: OrderAnswer = user.get_yes(&order(shop.offer("print").digest(), "ok")).await;
    let preview = shop.request("preview");
    let code: AuthorisationAnswer = user.get_yes(&Draft::post(paths::AUTHORIZATIONS, &preview)).await;
    let verification = VerificationRequest { code: code.code, request: preview.clone() };
    let granted: VerificationAnswer = user.get_yes(&Draft::post(paths::VERIFICATIONS, &verification)).await;
    let grant = Unverified::<portcullis_protocol::Grant>::parse(&granted.grant).expect("a grant");
    let signer = user.keys.signing_key(grant.kid(), crate::terminal::now()).expect("a key");
    let grant = grant.verify(signer);
    let grant = grant.expect("signed by the server").into_document().jti;
    let AccountAnswer { terminals, .. } = user.get_yes(&Draft::get(paths::ACCOUNT)).await;
    let other = terminals.iter().find(|terminal| !terminal.current).expect("the spare one").terminal;
    let refresh = spare.refresh.clone().expect("a refresh token");
    let mut ending = stage.signed_in(&mut browser).await;
    ending.enrol("soon gone").await;
    let SessionsAnswer { sessions, .. } = ending.get_yes(&Draft::get(paths::SESSIONS)).await;
    let session = sessions.iter().find(|session| session.current).expect("its own").session;

    // A second publisher, who changes its key; versions to publish, to withdraw and to restore.
    let key = SecretKey::generate(&mut rng());
    let Done {} = shop.terminal.get_yes(&claim(&stage.origin, "changer", &key)).await;
    let successor = SecretKey::generate(&mut rng());
    let iat = stage.clock.now().seconds();
    let name: portcullis_protocol::PublisherName = "changer".parse().expect("a name");
    let vouch = Vouch { name: name.clone(), jwk: successor.public().clone(), seq: 1, iat };
    let held = PublisherClaim { name, jwk: successor.public().clone(), origin: stage.origin.clone(), iat };
    let vouch = VouchRequest {
        vouch: Verified::sign(vouch, &key).compact().to_owned(),
        claim: Some(Verified::sign(held, &successor).compact().to_owned()),
    };
    let mut versions = Vec::new();
    for version in ["1.0.1", "1.0.2"] {
        let file = picture(&shop.terminal, &shop.key, "lumen", version);
        let PublishAnswer { resource, .. } = shop.terminal.get_yes(&upload(&file)).await;
        versions.push(resource);
    }
    let reason = WithdrawRequest { reason: "too dark".into() };
    let path = paths::fill(paths::WITHDRAW, &[&versions[1]]);
    let Done {} = shop.terminal.get_yes(&Draft::post(path, &reason)).await;
    let file = stage.folder.path().join("1.0.3.wasm");
    std::fs::write(&file, picture(&shop.terminal, &shop.key, "lumen", "1.0.3")).expect("written");
    let prices = OffersRequest {
        offers: vec![
            terms("preview", Rights::Free {}, "0.00 EUR"),
            terms("view", Rights::Perpetual {}, "1.99 EUR"),
            terms("print", Rights::Uses { count: 3 }, "5.00 EUR"),
        ],
    };
    spare.token = None;

    let picture = json!({"publisher": "lumen", "name": "alpine-lake"});
    let page = json!([{"path": {"page": 1}}]);
    let plain = json!([{}]);
    let top_up = json!({"amount": {"minor_units": 500, "currency": "EUR"},
        "payment": {"provider": "sandbox", "token": "ok"}});
    let device = json!({"client_id": "portcullis", "label": "a terminal"});
    let renewal = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    let good = json!({
        "GET /.well-known/portcullis": plain, "GET /openapi.json": plain, "GET /v1/search": [{"query": {"q": "lake"}}],
        "GET /v1/catalogue/{publisher}/{name}": [{"path": picture}],
        "GET /v1/publishers/{name}": [{"path": {"name": "lumen"}}],
        "GET /v1/files/{digest}": [{"path": {"digest": shop.resource}}],
        "POST /oauth/device_authorization": [{"form": device}],
        "POST /oauth/token": [{"form": renewal, "as": "spare"}],
        "POST /oauth/revoke": [{"form": {"token": "long gone"}}],
        "POST /v1/terminals": [{"body": of(&fresh.enrolment("another")), "as": "fresh"}],
        "POST /v1/authorizations": [{"body": preview}],
        "POST /v1/verifications": [{"code_for": preview}],
        "GET /v1/grants/{id}": [{"path": {"id": grant}}],
        "POST /v1/grants/{id}/ack": [{"path": {"id": grant}, "body": {"grant": grant}}],
        "POST /v1/orders": [{"body": buying}],
        "GET /v1/orders/{id}": [{"path": {"id": bought.order}}],
        "GET /v1/account": plain, "GET /v1/account/entitlements": plain, "GET /v1/account/entitlements/{page}": page,
        "GET /v1/account/receipts": plain, "GET /v1/account/receipts/{page}": page,
        "GET /v1/account/refunds": plain, "GET /v1/account/refunds/{page}": page,
        "GET /v1/account/balances": plain, "POST /v1/account/top-ups": [{"body": top_up}],
        "GET /v1/account/top-ups": plain, "GET /v1/account/top-ups/{page}": page,
        "GET /v1/account/sessions": plain, "DELETE /v1/account/sessions/{id}": [{"path": {"id": session}}],
        "POST /v1/account/sign-out": [{"as": "leaver"}],
        "DELETE /v1/account/terminals/{id}": [{"path": {"id": other}}],
        "POST /v1/publishers": [{"body": of(&claim(&stage.origin, "another", &key)), "as": "publisher"}],
        "POST /v1/publishers/{name}/vouches": [{"path": {"name": "changer"}, "body": vouch, "as": "publisher"}],
        "PUT /v1/resources": [{"file": file, "as": "publisher"}],
        "PUT /v1/catalogue/{publisher}/{name}/offers": [{"path": picture, "body": prices, "as": "publisher"}],
        "POST /v1/resources/{digest}/withdraw":
            [{"path": {"digest": versions[0]}, "body": reason, "as": "publisher"}],
        "POST /v1/resources/{digest}/restore": [{"path": {"digest": versions[1]}, "body": {}, "as": "publisher"}],
    });
    let mut terminals = json!({"user": identity(&user), "fresh": identity(&fresh), "spare": identity(&spare),
        "leaver": identity(&leaver), "publisher": identity(&shop.terminal)});
    terminals["spare"]["token"] = Value::Null;
    json!({"origin": stage.origin.as_str(), "terminals": terminals, "good": good})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fuzzer_finds_no_failure_and_gets_through_on_most_operations() {
    let stage = Stage::with(|config| {
        let limits = &mut config.limits;
        (limits.address_burst, limits.address_rate) = (1_000_000, 1_000_000);
        (limits.terminal_burst, limits.terminal_rate) = (1_000_000, 1_000_000);
        (limits.device_codes, limits.terminals_per_day) = (1_000_000, 1_000);
    })
    .await;
    let prepared = prepare(&stage).await;
    let (made, statuses) = (stage.folder.path().join("stage.json"), stage.folder.path().join("statuses"));
    std::fs::write(&made, prepared.to_string()).expect("written");
    std::fs::write(&statuses, "").expect("written");
    let document = super::document(&stage).await;
    let operations: BTreeSet<String> =
        super::operations(&document).map(|(method, path, _)| format!("{method} {path}")).collect();

    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/schemathesis");
    let begun = Instant::now();
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let output = tokio::process::Command::new(installed("schemathesis/bin/schemathesis"))
        .args(["run", &format!("{}{}", stage.origin, paths::OPENAPI), "--checks", checks])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "1", "--workers", "1"])
        .args(["--no-shrink", "--continue-on-failure", "--generation-database", "none", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &hooks)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PORTCULLIS_STAGE", &made)
        .env("PORTCULLIS_STATUSES", &statuses)
        .current_dir(stage.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);

    let mut answered: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in std::fs::read_to_string(&statuses).expect("statuses").lines() {
        let (label, method, status): (String, String, u64) = serde_json::from_str(line).expect("a line of the hook");
        if label.starts_with(&format!("{method} ")) {
            answered.entry(label).or_default().push(status);
        }
    }
    let requests: usize = answered.values().map(Vec::len).sum();
    let failed: Vec<_> = answered.iter().filter(|(_, all)| all.iter().any(|status| *status >= 500)).collect();
    let taken = |label: &&String| answered.get(*label).is_some_and(|all| all.iter().any(|s| (200..300).contains(s)));
    let through: Vec<&String> = operations.iter().filter(taken).collect();
    // With the statuses that they answered instead.
    let missing = operations.iter().filter(|label| !taken(label));
    let missing: BTreeMap<_, _> = missing.map(|label| (label, answered.get(label))).collect();
    println!(
        "schemathesis: {requests} requests in {:.0} s; 2xx on {} of {} operations ({} %), 5xx on {}; not taken: {missing:?}",
        begun.elapsed().as_secs_f32(),
        through.len(),
        operations.len(),
        through.len() * 100 / operations.len(),
        failed.len(),
    );
    assert!(requests > 500, "{said}");
    assert!(failed.is_empty(), "{failed:?}\n{said}");
    assert!(through.len() * 100 >= operations.len() * TAKEN, "not taken: {missing:?}\n{said}");
    assert!(output.status.success(), "{said}");
    stage.stop().await;
}
