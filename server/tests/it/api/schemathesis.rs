//! Schemathesis, a fuzzer of others, tries every operation of the document: no answer is a failure of the server, every
//! answer is one that the document names, and good requests get through on nearly all operations.

use crate::codes::Shop as Merchant;
use crate::stage::{Stage, claim, order, picture, terms, upload};
use crate::terminal::{Draft, Terminal, rng};
use portcullis_fixtures::proxy::Proxy;
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::{Octets, base64url};
use portcullis_protocol::wire::{
    AccountAnswer, AdoptionRequest, AuthorisationAnswer, CodeOrderRequest, Done, GiftsRequest, OffersRequest,
    OrderAnswer, PublishAnswer, SessionsAnswer, VerificationAnswer, VerificationRequest, VouchRequest, WithdrawRequest,
};
use portcullis_protocol::{
    AdoptedVersions, Adoption, MerchantClaim, MerchantVouch, PaymentRequest, PublisherClaim, ReleaseSecretKey, Rights,
    SecretKey, Unverified, Verified, Vouch, paths,
};
use portcullis_server::crypto::secrets::random;
use portcullis_server::merchants::redemption;
use portcullis_server::notices::webhooks::keys;
use portcullis_server::store::{EndpointId, EndpointState, NewEndpoint, Receiver};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use tokio::net::TcpListener;

/// Examples per operation in the phase that makes requests up.
const EXAMPLES: &str = "10";
/// Of a hundred operations so many have to take a good request.
const TAKEN: usize = 80;
/// So many are reached with nothing but what the fuzzer makes up.
const WHOLE: usize = 15;

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

/// A server with something of everything, and for each operation what of a good request cannot be guessed.
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
    // The grant is of another request than those that are tried: a newer one of the same would end it.
    let (preview, print) = (shop.request("preview"), shop.request("print"));
    let code: AuthorisationAnswer = user.get_yes(&Draft::post(paths::AUTHORIZATIONS, &print)).await;
    let verification = VerificationRequest { code: code.code, request: print };
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
    let adoption = Adoption {
        publisher: "lumen".parse().expect("a name"),
        name: "alpine-lake".parse().expect("a name"),
        jwk: shop.key.public().clone(),
        versions: AdoptedVersions::new(versions.clone()).expect("few"),
        iat,
    };
    let adoption = AdoptionRequest { adoption: Verified::sign(adoption, &shop.key).compact().to_owned() };
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

    let core = &stage.running.app().core;
    let endpoint = EndpointId(Octets(random()));
    let url = "https://merchant.example/hooks".to_owned();
    let (keys, _) = keys::new(&core.secrets, &endpoint);
    let new = NewEndpoint { id: endpoint, owner: Receiver::Store, url, keys };
    assert!(core.store.add_endpoint(new).await.expect("added"));
    // It is listed, and nothing is sent to it.
    assert!(core.store.set_endpoint(&endpoint, EndpointState::Disabled).await.expect("disabled"));
    let codes = codes(stage, &mut user, &shop).await;
    let picture = json!({"publisher": "lumen", "name": "alpine-lake"});
    let top_up = json!({"amount": {"minor_units": 500, "currency": "EUR"},
        "payment": {"provider": "sandbox", "token": "ok"}});
    let renewal = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    // Lists, pages of lists, a search, sign-out and the like are made up whole.
    let mut known = json!({
        "GET /v1/catalogue/{publisher}/{name}": {"path": picture},
        "GET /v1/publishers/{name}": {"path": {"name": "lumen"}},
        "GET /v1/files/{digest}": {"path": {"digest": shop.resource}},
        "GET /v1/webhook-keys/{endpoint}": {"path": {"endpoint": endpoint.0}},
        "POST /oauth/device_authorization": {"form": {"client_id": "portcullis", "label": "a terminal"}},
        "POST /oauth/token": {"form": renewal, "as": "spare"},
        "POST /v1/terminals": {"body": of(&fresh.enrolment("another")), "as": "fresh"},
        "POST /v1/authorizations": {"body": preview},
        "POST /v1/verifications": {"code_for": preview},
        "GET /v1/grants/{id}": {"path": {"id": grant}},
        "POST /v1/grants/{id}/ack": {"path": {"id": grant}, "body": {"grant": grant}},
        "POST /v1/orders": {"body": buying},
        "GET /v1/orders/{id}": {"path": {"id": bought.order}},
        "POST /v1/orders/{id}/cancel": {"path": {"id": bought.order}},
        "POST /v1/account/top-ups": {"body": top_up},
        "DELETE /v1/account/sessions/{id}": {"path": {"id": session}},
        "DELETE /v1/account/terminals/{id}": {"path": {"id": other}},
        "POST /v1/publishers": {"body": of(&claim(&stage.origin, "another", &key)), "as": "publisher"},
        "POST /v1/publishers/{name}/vouches": {"path": {"name": "changer"}, "body": vouch, "as": "publisher"},
        "PUT /v1/resources": {"file": file, "as": "publisher"},
        "PUT /v1/catalogue/{publisher}/{name}/offers": {"path": picture, "body": prices, "as": "publisher"},
        "PUT /v1/catalogue/{publisher}/{name}/adoption": {"path": picture, "body": adoption, "as": "publisher"},
        "POST /v1/resources/{digest}/withdraw": {"path": {"digest": versions[0]}, "as": "publisher"},
        "POST /v1/resources/{digest}/restore": {"path": {"digest": versions[1]}, "as": "publisher"},
        "POST /webhooks/{provider}": {"path": {"provider": "sandbox"}, "body": {}},
    });
    let mut terminals = json!({"user": identity(&user), "fresh": identity(&fresh), "spare": identity(&spare),
        "leaver": identity(&leaver), "publisher": identity(&shop.terminal)});
    terminals["spare"]["token"] = Value::Null;
    for (name, key) in [("merchant", &codes.merchant), ("changer", &codes.changer)] {
        terminals[name] = json!({"seed": base64url(&*key.to_seed()), "token": Value::Null});
    }
    known.as_object_mut().expect("an object").extend(codes.known);
    json!({"origin": stage.origin.as_str(), "terminals": terminals, "known": known})
}

/// Merchants and orders in every state that is asked about.
struct CodesKnown {
    merchant: SecretKey,
    changer: SecretKey,
    known: serde_json::Map<String, Value>,
}

async fn codes(stage: &Stage, user: &mut Terminal, shop: &crate::stage::Shop) -> CodesKnown {
    let core = &stage.running.app().core;
    let (games, changer) = (Merchant::new(core, "games").await, Merchant::new(core, "changer-shop").await);
    games.sell(core, "ending", "1.00 EUR", 600).await;
    let iat = core.clock.now().seconds();
    let recipient = Octets(*ReleaseSecretKey::generate(&mut rng()).public().as_bytes());
    let wanted = CodeOrderRequest {
        product: games.product,
        quantity: Quantity::ONE,
        recipient,
        request: None,
        payment: portcullis_protocol::wire::PaymentMethod { provider: "sandbox".into(), token: "ok".into() },
        again: true,
    };
    let mut orders = Vec::new();
    for _ in 0..5 {
        let ordered: OrderAnswer = user.get_yes(&Draft::post(paths::CODES, &wanted)).await;
        orders.push(core.store.code_order(&ordered.order).await.expect("read").expect("an order"));
    }
    let nonce = orders[0].nonce.expect("it is paid");
    let verification = games.verify(core, &orders[1]).await.expect("verified");
    let submission = games.seal(&verification, &["CODE"], Vec::new());
    games.deliver(core, &orders[2].id).await.expect("delivered");
    let delivered = core.store.code_order(&orders[2].id).await.expect("read").expect("an order");
    let accepted = delivered.accepted.expect("a code");
    let request = |jti: u8| {
        let request = PaymentRequest {
            merchant: games.merchant.name.clone(),
            aud: core.origin.clone(),
            jti: Octets([jti; 16]),
            product: games.product,
            quantity: Quantity::ONE,
            amount: "5.00 EUR".parse().expect("an amount"),
            iat,
            exp: iat + 3600,
        };
        Verified::sign(request, &games.key)
    };
    let asked = request(1);
    portcullis_server::merchants::products::request(core, &games.merchant, asked.compact()).await.expect("taken");
    let (successor, fresh) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    let claim = |name: &str, key: &SecretKey| {
        let claim = MerchantClaim {
            name: name.parse().expect("a name"),
            title: "A shop".parse().expect("a title"),
            jwk: key.public().clone(),
            origin: core.origin.clone(),
            webhook: "https://shop.example/hook".parse().expect("an address"),
            iat,
        };
        Verified::sign(claim, key).compact().to_owned()
    };
    let name = changer.merchant.name.clone();
    let vouch = MerchantVouch { merchant: name, jwk: successor.public().clone(), seq: 1, iat };
    let (publisher, resource) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let gifts = GiftsRequest { offer: shop.offer("print").digest(), count: 2, note: String::new(), expires: None };
    let owner = core.store.publisher(&publisher).await.expect("read").expect("a publisher").owner;
    let make = crate::world::fresh(&gifts);
    let made = redemption::make(core, &owner, &publisher, &resource, &gifts, &make).await.expect("made");
    let picture = json!({"publisher": "lumen", "name": "alpine-lake"});
    let known = json!({
        "GET /v1/merchants/{name}": {"path": {"name": "games"}},
        "POST /v1/merchants": {"body": {"claim": claim("another-shop", &fresh)}},
        "GET /v1/payment-requests/{digest}": {"path": {"digest": asked.digest()}},
        "GET /v1/merchant": {"as": "merchant"},
        "PUT /v1/merchant/products": {"body": {"product": games.product(core, "further", "2.00 EUR", 60)}, "as": "merchant"},
        "DELETE /v1/merchant/products/{name}": {"path": {"name": "ending"}, "as": "merchant"},
        "POST /v1/merchant/requests": {"body": {"request": request(2).compact()}, "as": "merchant"},
        "POST /v1/merchant/verifications": {"body": {"order": orders[0].id, "nonce": nonce}, "as": "merchant"},
        "POST /v1/merchant/codes": {"body": submission, "as": "merchant"},
        "GET /v1/merchant/orders/{id}": {"path": {"id": orders[0].id}, "as": "merchant"},
        "POST /v1/merchant/orders/{id}/decline": {"path": {"id": orders[3].id}, "body": {"reason": ""}, "as": "merchant"},
        "POST /v1/merchant/vouches": {
            "body": {"vouch": changer.sign(vouch), "claim": claim("changer-shop", &successor)}, "as": "changer"},
        "POST /v1/codes": {"body": wanted},
        "GET /v1/codes/{order}": {"path": {"order": orders[2].id}},
        "POST /v1/codes/{order}/ack": {"path": {"order": orders[2].id}, "body": {
            "generation": accepted.generation, "ciphertext": accepted.digest, "readable": true}},
        "POST /v1/codes/{order}/recipient": {"path": {"order": orders[4].id}, "body": {"recipient": recipient}},
        "POST /v1/redemptions": {"body": {"code": made.codes[0].code}},
        "POST /v1/catalogue/{publisher}/{name}/gifts": {"path": picture, "body": gifts, "as": "publisher"},
        "GET /v1/catalogue/{publisher}/{name}/gifts": {"path": picture, "as": "publisher"},
        "GET /v1/catalogue/{publisher}/{name}/gifts/{page}": {
            "path": {"publisher": "lumen", "name": "alpine-lake", "page": 0}, "as": "publisher"},
        "DELETE /v1/catalogue/{publisher}/{name}/gifts/batches/{batch}": {
            "path": {"publisher": "lumen", "name": "alpine-lake", "batch": made.batch}, "as": "publisher"},
    });
    let Value::Object(known) = known else { panic!("an object") };
    CodesKnown { merchant: games.key, changer: changer.key, known }
}

/// What a run of Schemathesis found.
struct Run {
    /// Whether it is content.
    is_content: bool,
    /// What it printed.
    said: String,
    /// By operation, what was answered, and whether the request was proven.
    answered: BTreeMap<String, Vec<(u64, bool)>>,
}

/// Lets Schemathesis try the server that answers at `url`: these operations, or all of them.
async fn run(stage: &Stage, known: &Value, url: &str, only: &[&str]) -> Run {
    let (made, statuses) = (stage.folder.path().join("stage.json"), stage.folder.path().join("statuses"));
    std::fs::write(&made, known.to_string()).expect("written");
    std::fs::write(&statuses, "").expect("written");
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/schemathesis");
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let output = tokio::process::Command::new(installed("schemathesis/bin/schemathesis"))
        .args(["run", &format!("{url}{}", paths::OPENAPI), "--url", url, "--checks", checks])
        .args(only.iter().flat_map(|path| ["--include-path", path]))
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
    let mut answered: BTreeMap<String, Vec<(u64, bool)>> = BTreeMap::new();
    for line in std::fs::read_to_string(&statuses).expect("statuses").lines() {
        let (label, method, status, is_proven): (String, String, u64, bool) =
            serde_json::from_str(line).expect("a line of the hook");
        if label.starts_with(&format!("{method} ")) {
            answered.entry(label).or_default().push((status, is_proven));
        }
    }
    Run { is_content: output.status.success(), said, answered }
}

/// A server on which no limit of rate stops anybody.
async fn unlimited() -> Stage {
    Stage::with(|config| {
        let limits = &mut config.limits;
        (limits.address_burst, limits.address_rate) = (1_000_000, 1_000_000);
        (limits.terminal_burst, limits.terminal_rate) = (1_000_000, 1_000_000);
        (limits.device_codes, limits.terminals_per_day) = (1_000_000, 1_000);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fuzzer_finds_no_failure_and_gets_through_on_most_operations() {
    let stage = unlimited().await;
    let known = prepare(&stage).await;
    let document = super::document(&stage).await;
    let operations: BTreeSet<String> =
        super::operations(&document).map(|(method, path, _)| format!("{method} {path}")).collect();
    let begun = Instant::now();
    let Run { is_content, said, answered } = run(&stage, &known, stage.origin.as_str(), &[]).await;

    let requests: usize = answered.values().map(Vec::len).sum();
    let failed: Vec<_> = answered.iter().filter(|(_, all)| all.iter().any(|(status, _)| *status >= 500)).collect();
    let is_yes = |(status, _): &(u64, bool)| (200..300).contains(status);
    let taken = |label: &&String| answered.get(*label).is_some_and(|all| all.iter().any(is_yes));
    let through: Vec<&String> = operations.iter().filter(taken).collect();
    let whole = through.iter().filter(|label| known["known"].get(label.as_str()).is_none()).count();
    // With what they answered instead.
    let missing = operations.iter().filter(|label| !taken(label));
    let missing: BTreeMap<_, _> = missing.map(|label| (label, answered.get(label))).collect();
    println!(
        "schemathesis: {requests} requests in {:.0} s; 2xx on {} of {} operations ({} %), on {whole} with nothing but what \
         it made up; 5xx on {}; not taken: {missing:?}",
        begun.elapsed().as_secs_f32(),
        through.len(),
        operations.len(),
        through.len() * 100 / operations.len(),
        failed.len(),
    );
    assert!(requests > 500, "{said}");
    assert!(failed.is_empty(), "{failed:?}\n{said}");
    assert!(through.len() * 100 >= operations.len() * TAKEN, "not taken: {missing:?}\n{said}");
    assert!(whole >= WHOLE, "{whole} operations were reached without help: {through:?}");
    assert!(is_content, "{said}");
    stage.stop().await;
}

/// The control of the checks: each kind of fault, put in from outside, is found, and nothing is if none is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fuzzer_finds_each_kind_of_fault_that_is_put_in() {
    let stage = unlimited().await;
    let known = prepare(&stage).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = Proxy::open(listener, stage.origin.as_str()).expect("a proxy");
    let paths = ["/v1/search", "/v1/publishers/{name}", "/v1/catalogue/{publisher}/{name}", paths::WELL_KNOWN];
    let Run { is_content, said, .. } = run(&stage, &known, &proxy.url(), &paths).await;
    assert!(is_content, "without a fault: {said}");

    proxy.change(|answer| {
        if answer.status != 200 {
            return;
        }
        let path = answer.path.as_str();
        if path == paths::SEARCH {
            answer.status = StatusCode::INTERNAL_SERVER_ERROR;
            answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            answer.body = r#"{"type":"about:blank","title":"x","status":500,"detail":"x"}"#.into();
        } else if path == paths::WELL_KNOWN {
            answer.status = StatusCode::ACCEPTED;
        } else if path.starts_with("/v1/publishers/") {
            answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        } else if path.starts_with("/v1/catalogue/") {
            let mut body: Value = serde_json::from_slice(&answer.body).expect("JSON");
            body["versions"] = "none".into();
            answer.body = body.to_string().into();
        }
    });
    let Run { is_content, said, .. } = run(&stage, &known, &proxy.url(), &paths).await;
    assert!(!is_content, "{said}");
    let found = |operation: &str, fault: &str| {
        let sections = said.split("\n____").filter(|section| section.contains(operation));
        sections.map(str::to_lowercase).any(|section| section.contains(fault))
    };
    for (operation, fault) in [
        ("GET /v1/search", "server error"),
        ("GET /.well-known/portcullis", "undocumented status code"),
        ("GET /v1/publishers/{name}", "undocumented content-type"),
        ("GET /v1/catalogue/{publisher}/{name}", "violates schema"),
    ] {
        assert!(found(operation, fault), "{operation}: {fault}\n{said}");
    }
    drop(proxy);
    stage.stop().await;
}
