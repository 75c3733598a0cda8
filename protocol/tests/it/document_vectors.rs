//! `tests/vectors/documents.json`: signed documents that every implementation accepts, and named ones that none may.
//!
//! Keys are derived from seeds, signatures are deterministic (RFC 8032), so the bytes are stable. A vector that changes
//! is a format that changed. Written anew by `PORTCULLIS_WRITE_VECTORS=1`.

use crate::fixtures::{NOW, grant, key, key_document, manifest, origin};
use crate::seeded::SeededRng;
use portcullis_protocol::codes::{CodeContext, Codes, Generation, Quantity, TimeToDeliver, open, seal};
use portcullis_protocol::encoding::{Octets, base64url};
use portcullis_protocol::labels::{TYP_BILLERS, TYP_GRANT, TYP_OFFER};
use portcullis_protocol::proof::{NonceKey, ProofTarget, check, prove};
use portcullis_protocol::wire::Done;
use portcullis_protocol::{
    AdoptedVersions, Adoption, Answer, AuditHead, CodeAccepted, CodeReceipt, CodeSerial, Digest, Document, Enrolment,
    EpochId, Event, EventBody, Grant, KeyDocument, MerchantClaim, MerchantName, MerchantVouch, More, Offer, OfferId,
    OrderId, OrderRefunded, Ownership, PaymentRequest, Product, PublisherClaim, Reason, Receipt, RefundReceipt,
    RefusalAnswer, ReleaseSecretKey, Rights, SealedCode, SignedManifest, TopUpReceipt, Unverified, Verification,
    Verified, Vouch, WebhookKey, WebhookKeys, WebhookUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/documents.json")
}

fn offer() -> Offer {
    Offer {
        iss: origin(),
        id: OfferId::from_bytes([3; 16]),
        publisher: "lumen".parse().expect("publisher"),
        name: "alpine-lake".parse().expect("name"),
        operation: "view".parse().expect("operation"),
        title: "Full picture, for good".into(),
        rights: Rights::Perpetual {},
        price: "1.99 EUR".parse().expect("price"),
        iat: NOW,
    }
}

fn receipt() -> Receipt {
    Receipt {
        iss: origin(),
        order: OrderId::from_bytes([4; 16]),
        offer: Verified::sign(offer(), &key(1)).digest(),
        publisher: "lumen".parse().expect("publisher"),
        name: "alpine-lake".parse().expect("name"),
        operation: "view".parse().expect("operation"),
        rights: Rights::Uses { count: 10 },
        price: "4.99 EUR".parse().expect("price"),
        iat: NOW,
    }
}

fn rental() -> Receipt {
    let rights = Rights::Rental { start_within: 30 * 24 * 3600, use_within: 48 * 3600 };
    Receipt { rights, price: "3.99 EUR".parse().expect("price"), ..receipt() }
}

/// A registry of billers. What it says is `portcullis-mail`'s, which reads this vector too.
#[derive(Serialize, Deserialize)]
struct Billers {
    iat: u64,
    billers: Vec<Box<RawValue>>,
}

impl Document for Billers {
    const TYP: &'static str = TYP_BILLERS;
}

/// One vector: the document, who signed it, and what it says.
fn positive<D: Document>(name: &str, document: D, seed: u8) -> Value {
    let payload = serde_json::to_value(&document).expect("json");
    let signed = Verified::sign(document, &key(seed));
    json!({
        "name": name, "typ": D::TYP, "seed": seed, "key": key(seed).public(),
        "compact": signed.compact(), "digest": signed.digest(), "payload": payload,
    })
}

/// A compact serialisation with this very header and payload, signed by the key of a seed.
fn raw(header: &str, payload: &str, seed: u8) -> String {
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let signature = key(seed).sign(input.as_bytes());
    format!("{input}.{signature}")
}

fn header(typ: &str, seed: u8) -> String {
    format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, key(seed).public().thumbprint())
}

/// Each is refused as a grant signed by seed 1, for the reason in its name.
fn negative() -> Vec<Value> {
    let good = serde_json::to_string(&grant(&key(5), &Octets([6; 16]))).expect("json");
    let signed = raw(&header(TYP_GRANT, 1), &good, 1);
    let (input, signature) = signed.rsplit_once('.').expect("segments");
    let member = |text: &str| good.replacen('{', &format!("{{{text},"), 1);
    let cases = [
        ("signed-by-another-key", raw(&header(TYP_GRANT, 1), &good, 2)),
        ("names-another-key", raw(&header(TYP_GRANT, 2), &good, 2)),
        ("another-type", raw(&header(TYP_OFFER, 1), &good, 1)),
        (
            "alg-none",
            format!(
                "{}.{}.",
                base64url(header(TYP_GRANT, 1).replace("EdDSA", "none").as_bytes()),
                base64url(good.as_bytes())
            ),
        ),
        ("alg-hs256", raw(&header(TYP_GRANT, 1).replace("EdDSA", "HS256"), &good, 1)),
        (
            "header-in-another-order",
            raw(&header(TYP_GRANT, 1).replace(r#""alg":"EdDSA","#, "").replace('}', r#","alg":"EdDSA"}"#), &good, 1),
        ),
        ("header-with-crit", raw(&header(TYP_GRANT, 1).replace('}', r#","crit":["b64"]}"#), &good, 1)),
        ("header-with-a-key", raw(&header(TYP_GRANT, 1).replace('}', r#","jku":"https://store.example"}"#), &good, 1)),
        ("header-with-spaces", raw(&header(TYP_GRANT, 1).replace(',', ", "), &good, 1)),
        ("unknown-member", raw(&header(TYP_GRANT, 1), &member(r#""admin":true"#), 1)),
        ("repeated-member", raw(&header(TYP_GRANT, 1), &member(r#""run_max":1"#), 1)),
        ("missing-member", raw(&header(TYP_GRANT, 1), &good.replace(r#""run_max":300"#, r#""run_ma":300"#), 1)),
        ("negative-time", raw(&header(TYP_GRANT, 1), &good.replace(r#""run_max":300"#, r#""run_max":-1"#), 1)),
        ("fractional-time", raw(&header(TYP_GRANT, 1), &good.replace(r#""run_max":300"#, r#""run_max":1.5"#), 1)),
        ("not-json", raw(&header(TYP_GRANT, 1), "paid", 1)),
        ("padded-signature", format!("{signed}==")),
        ("four-segments", format!("{signed}.")),
        ("two-segments", input.to_owned()),
        ("signature-cut", format!("{input}.{}", &signature[..signature.len() - 2])),
        ("empty", String::new()),
    ];
    cases.into_iter().map(|(name, compact)| json!({ "name": name, "compact": compact })).collect()
}

fn product() -> Product {
    Product {
        merchant: "games-shop".parse().expect("name"),
        aud: origin(),
        name: "game-key".parse().expect("name"),
        title: "Alpine Racer, licence code".parse().expect("title"),
        description: "For one player.".parse().expect("description"),
        price: "20.00 EUR".parse().expect("price"),
        deadline: TimeToDeliver::new(600).expect("seconds"),
        iat: NOW,
    }
}

/// An order of codes from the request to its end: what the merchant signs (seed 10) and what the platform does (seed 1).
fn codes() -> Vec<Value> {
    let merchant: MerchantName = "games-shop".parse().expect("name");
    let order = OrderId::from_bytes([11; 16]);
    let (aud, iss) = (origin(), origin());
    let quantity = Quantity::new(2).expect("two");
    let amount = "39.00 EUR".parse().expect("amount");
    let webhook: WebhookUrl = "https://games.example/hooks/portcullis".parse().expect("webhook");
    let signed_product = Verified::sign(product(), &key(10));
    let request = PaymentRequest {
        merchant: merchant.clone(),
        aud: aud.clone(),
        jti: Octets([12; 16]),
        product: signed_product.digest(),
        quantity,
        amount,
        iat: NOW,
        exp: NOW + 3600,
    };
    let order_key = ReleaseSecretKey::from_bytes([13; 32]);
    let recipient = Octets(*order_key.public().as_bytes());
    let verification = Verification {
        iss: iss.clone(),
        merchant: merchant.clone(),
        order,
        product: signed_product.digest(),
        quantity,
        amount,
        recipient,
        generation: Generation::FIRST,
        deadline: NOW + 600,
        request: Some(Verified::sign(request.clone(), &key(10)).digest()),
        iat: NOW,
    };
    let digest = Verified::sign(verification.clone(), &key(1)).digest();
    let context =
        CodeContext { order: &order, merchant: &merchant, generation: Generation::FIRST, verification: &digest };
    let texts = ["AAAA-BBBB-CCCC", "DDDD-\"EEEE\"-FFFF"].map(|code| Zeroizing::new(code.to_owned()));
    let plain = Codes::new(texts.to_vec()).expect("codes");
    let sealed = seal(&recipient, &context, &plain, &mut SeededRng::new("electronic codes")).expect("seals");
    assert_eq!(open(&order_key, &context, quantity, &sealed), Ok(plain.clone()));
    let code = SealedCode {
        merchant: merchant.clone(),
        aud: aud.clone(),
        order,
        generation: Generation::FIRST,
        verification: digest,
        recipient,
        ciphertext: sealed.digest(),
        serials: Vec::new(),
        iat: NOW,
    };
    let serials = vec![CodeSerial::from_bytes([15; 16]), CodeSerial::from_bytes([16; 16])];
    let accepted = CodeAccepted {
        iss: iss.clone(),
        merchant: merchant.clone(),
        order,
        generation: Generation::FIRST,
        ciphertext: sealed.digest(),
        at: NOW + 2,
        reversed: false,
        iat: NOW + 3,
    };
    let plaintext = "{\"codes\":[\"AAAA-BBBB-CCCC\",\"DDDD-\\\"EEEE\\\"-FFFF\"]}";
    assert_eq!(plain.to_json().as_slice(), plaintext.as_bytes());
    let mut with_bytes = positive("sealed-code", code.clone(), 10);
    with_bytes["opens"] = json!({
        "recipient_secret": Octets(*order_key.to_bytes()), "enc": sealed.enc, "ciphertext": sealed.ciphertext,
        "plaintext": plaintext,
    });
    let (name, title, challenge) = (merchant.clone(), "The Games Shop".parse().expect("title"), Octets([17; 32]));
    let claim = MerchantClaim {
        name,
        title,
        jwk: key(10).public().clone(),
        origin: origin(),
        webhook: webhook.clone(),
        iat: NOW,
    };
    let ownership = Ownership { merchant: merchant.clone(), challenge, url: webhook, platform: origin(), iat: NOW };
    let vouch = MerchantVouch { merchant: merchant.clone(), jwk: key(18).public().clone(), seq: 1, iat: NOW };
    let refunded = OrderRefunded {
        iss: iss.clone(),
        merchant: merchant.clone(),
        order,
        request: verification.request,
        at: NOW + 600,
        iat: NOW + 601,
    };
    let receipt = CodeReceipt { iss, order, merchant, product: signed_product.digest(), quantity, amount, iat: NOW };
    vec![
        positive("merchant-claim", claim, 10),
        positive("ownership", ownership, 10),
        positive("merchant-vouch", vouch, 10),
        positive("product", product(), 10),
        positive("payment-request", request, 10),
        positive("verification", verification.clone(), 1),
        positive("verification-without-request", Verification { request: None, ..verification }, 1),
        with_bytes,
        positive("sealed-code-with-serials", SealedCode { serials, ..code }, 10),
        positive("code-accepted", accepted.clone(), 1),
        positive("code-reversed", CodeAccepted { reversed: true, ..accepted }, 1),
        positive("order-refunded", refunded, 1),
        positive("code-receipt", receipt, 1),
    ]
}

fn vectors() -> Value {
    let terminal = key(5);
    let refusal = RefusalAnswer {
        req: Digest::of(b"proof"),
        iat: NOW,
        reason: Reason::PaymentRequired,
        detail: Some("Nothing was bought.".into()),
        offers: vec![Verified::sign(offer(), &key(1)).compact().to_owned()],
        retry_after: None,
        more: More::new(),
    };
    let later = RefusalAnswer {
        reason: Reason::from_code("gift-card-needed").expect("a code"),
        detail: Some("Only gift cards are taken for this.".into()),
        offers: Vec::new(),
        more: More::from_iter([("cards".to_owned(), json!(["lumen"]))]),
        ..refusal.clone()
    };
    let top_up = TopUpReceipt {
        iss: origin(),
        order: OrderId::from_bytes([5; 16]),
        amount: "5.00 EUR".parse().expect("amount"),
        iat: NOW,
    };
    let refund = RefundReceipt {
        iss: origin(),
        order: OrderId::from_bytes([5; 16]),
        amount: "3.20 EUR".parse().expect("amount"),
        at: NOW - 60,
        iat: NOW,
    };
    let head = AuditHead { iss: origin(), number: 57, digest: Digest::of(b"row 57"), iat: NOW };
    let heartbeat =
        Event { req: Digest::of(b"proof"), epoch: EpochId::from_bytes([6; 16]), seq: 7, iat: NOW, body: None };
    let data = More::from_iter([("order".to_owned(), json!(OrderId::from_bytes([5; 16])))]);
    let event = Event { body: Some(EventBody { kind: "order.paid".into(), at: NOW - 1, data }), ..heartbeat.clone() };
    let webhook_keys = WebhookKeys {
        iss: origin(),
        endpoint: Octets([9; 16]),
        keys: vec![
            WebhookKey {
                key: "whpk_iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=".into(),
                from: NOW - 100,
                until: Some(NOW + 259_200),
            },
            WebhookKey {
                key: "whpk_gTl3DpyIn1OUGgY0Y2YHc/ozZ4c+q+Ih3s5ic1sD7So=".into(),
                from: NOW + 86_400,
                until: None,
            },
        ],
        iat: NOW,
    };
    let enrolment = Enrolment {
        jwk: terminal.public().clone(),
        x25519: Octets([7; 32]),
        origin: origin(),
        root: key(9).public().thumbprint(),
        label: "a terminal".into(),
        iat: NOW,
    };
    let publisher = key(7);
    let claim = PublisherClaim {
        name: "lumen".parse().expect("name"),
        jwk: publisher.public().clone(),
        origin: origin(),
        iat: NOW,
    };
    let vouch = Vouch { name: "lumen".parse().expect("name"), jwk: key(8).public().clone(), seq: 1, iat: NOW };
    let versions = AdoptedVersions::new([Digest::of(b"one"), Digest::of(b"two")]).expect("few");
    let adoption = Adoption {
        publisher: "lumen".parse().expect("name"),
        name: "alpine-lake".parse().expect("name"),
        jwk: key(8).public().clone(),
        versions,
        iat: NOW,
    };
    let billers = Billers {
        iat: NOW,
        billers: vec![
            RawValue::from_string(r#"{"id":"power","name":"Power","domains":["power.example"]}"#.into()).expect("json"),
            RawValue::from_string(
                r#"{"id":"water","name":"Water","domains":["water.example","water.test"],"ibans":["DE89370400440532013000"],"currency":"EUR"}"#
                    .into(),
            )
            .expect("json"),
        ],
    };
    let mut signed = SignedManifest::sign(manifest(&publisher), &publisher).expect("signs");
    signed.countersign(origin(), &key(1), NOW).expect("countersigns");
    let (url, idempotency_key) = ("https://store.example/v1/orders", "order-1".parse().expect("key"));
    let target = ProofTarget {
        method: "POST",
        url,
        token: Some("token"),
        body: Digest::of(b"{}"),
        idempotency_key: Some(&idempotency_key),
    };
    let nonce = NonceKey::new([1; 32]).issue(&terminal.public().thumbprint(), NOW);
    let proof = prove(&terminal, &target, Octets([8; 16]), NOW, Some(&nonce));
    check(&proof, &target, &NonceKey::new([1; 32]), NOW).expect("fits");
    let mut all = json!({
        "comment": "Keys are Ed25519 of a seed of 32 equal bytes. `negative` are refused as a grant signed by seed 1.",
        "positive": [
            positive("offer", offer(), 1),
            positive("grant", grant(&terminal, &Octets([6; 16])), 1),
            positive("receipt", receipt(), 1),
            positive("rental-receipt", rental(), 1),
            positive("top-up", top_up, 1),
            positive("refund", refund, 1),
            positive("answer", Answer { req: Digest::of(b"proof"), iat: NOW, body: Done {} }, 1),
            positive("refusal", refusal, 1),
            positive("later-refusal", later, 1),
            positive("audit-head", head, 1),
            positive("key-document", key_document(&key(1)), 9),
            positive("enrolment", enrolment, 5),
            positive("publisher-claim", claim, 7),
            positive("vouch", vouch, 7),
            positive("adoption", adoption, 8),
            positive("billers", billers, 8),
            positive("event", event, 1),
            positive("heartbeat", heartbeat, 1),
            positive("webhook-keys", webhook_keys, 1),
        ],
        "manifest": {
            "text": String::from_utf8(signed.to_bytes()).expect("json"),
            "digest": signed.digest(),
        },
        "proof": {
            "compact": proof, "seed": 5, "method": "POST", "url": url, "token": "token", "body": "{}",
            "idempotency_key": "order-1", "nonce": nonce, "digest": Digest::of(proof.as_bytes()),
        },
        "negative": negative(),
    });
    all["positive"].as_array_mut().expect("list").extend(codes());
    all
}

#[test]
fn the_vectors_are_stable_and_hold() {
    let text = serde_json::to_string_pretty(&vectors()).expect("json") + "\n";
    if std::env::var_os("PORTCULLIS_WRITE_VECTORS").is_some() {
        std::fs::write(file(), &text).expect("write the vectors");
    }
    assert_eq!(std::fs::read_to_string(file()).unwrap_or_default(), text, "the bytes of signed documents changed");

    let vectors: Value = serde_json::from_str(&text).expect("json");
    let read = |name: &str| {
        let found = vectors["positive"].as_array().expect("list").iter().find(|vector| vector["name"] == name);
        found.expect("vector")["compact"].as_str().expect("text").to_owned()
    };
    Unverified::<Grant>::parse(&read("grant")).expect("form").verify(key(1).public()).expect("grant");
    Unverified::<Offer>::parse(&read("offer")).expect("form").verify(key(1).public()).expect("offer");
    Unverified::<Enrolment>::parse(&read("enrolment")).expect("form").verify_self_signed().expect("enrolment");
    KeyDocument::verify(&read("key-document"), key(9).public(), &origin(), NOW, 3).expect("key document");
    SignedManifest::verify(vectors["manifest"]["text"].as_str().expect("text").as_bytes()).expect("manifest");

    let negative = vectors["negative"].as_array().expect("list");
    assert!(negative.len() >= 20);
    for vector in negative {
        let compact = vector["compact"].as_str().expect("text");
        let read = Unverified::<Grant>::parse(compact).and_then(|grant| grant.verify(key(1).public()));
        assert!(read.is_err(), "{} was accepted", vector["name"]);
    }
}
