//! Every type of signed document, verified by two JOSE libraries of others, and rejected with any bit flipped.

use super::stage::{PICTURE, Stage};
use super::tools::{json, python};
use anyhow::{Context as _, Result};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{
    Digest, Document, Enrolment, IdempotencyKey, PublisherClaim, SecretKey, Verified, Vouch, labels, proof,
};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Every type of `docs/protocol.md` section 3.
const TYPES: [&str; 12] = [
    labels::TYP_MANIFEST,
    labels::TYP_COUNTERSIGNATURE,
    labels::TYP_OFFER,
    labels::TYP_GRANT,
    labels::TYP_RECEIPT,
    labels::TYP_ANSWER,
    labels::TYP_REFUSAL,
    labels::TYP_KEYS,
    labels::TYP_ENROLMENT,
    labels::TYP_PUBLISHER,
    labels::TYP_VOUCH,
    labels::TYP_PROOF,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jose_libraries_verify_every_document() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    // What the server signs, as the client in Python met it.
    stage.login_python().await?;
    stage.ask(&["install", PICTURE, "installed.wasm"])?;
    let open = ["open", "installed.wasm", "view", "full", "full.jpg"];
    assert_eq!(stage.refused(&open)?.0, "payment-required");
    stage.ask(&["buy", PICTURE, "view"])?;
    stage.ask(&open)?;
    let documents = stage.path("documents");
    own_documents(&documents, stage.server.origin())?;

    let tried = json(python("jose.py")?.arg(&documents))?;
    for typ in TYPES {
        assert!(tried["documents"][typ].as_u64() > Some(0), "no {typ} was tried: {tried}");
    }
    assert!(tried["flipped"].as_u64() > Some(10_000), "{tried}");
    Ok(())
}

/// What terminals and publishers sign, made by this project's own code.
fn own_documents(file: &Path, origin: &str) -> Result<()> {
    let (key, successor) = (SecretKey::from_seed(&[7; 32]), SecretKey::from_seed(&[8; 32]));
    let origin = portcullis_protocol::Origin::new(origin.to_owned())?;
    let name: portcullis_protocol::PublisherName = "lumen".parse()?;
    let iat = 1_700_000_000;
    let enrolment = Enrolment {
        jwk: key.public().clone(),
        x25519: Octets([9; 32]),
        origin: origin.clone(),
        root: successor.public().thumbprint(),
        label: "Küche \"links\"".into(),
        iat,
    };
    let claim = PublisherClaim { name: name.clone(), jwk: key.public().clone(), origin: origin.clone(), iat };
    let vouch = Vouch { name, jwk: successor.public().clone(), seq: 1, iat };
    let idempotency_key = IdempotencyKey::new("once")?;
    let target = proof::ProofTarget {
        method: "POST",
        url: &format!("{origin}/v1/orders"),
        token: Some("token"),
        body: Digest::of(b"{}"),
        idempotency_key: Some(&idempotency_key),
    };
    let proof = proof::prove(&key, &target, Octets([1; 16]), iat, Some("nonce"));
    let lines = [
        (labels::TYP_ENROLMENT, signed(enrolment, &key)),
        (labels::TYP_PUBLISHER, signed(claim, &key)),
        (labels::TYP_VOUCH, signed(vouch, &key)),
        (labels::TYP_PROOF, proof),
    ];
    let mut out = OpenOptions::new().append(true).open(file).context("the client kept no documents")?;
    for (typ, document) in lines {
        writeln!(out, "{}", json!({"typ": typ, "document": document, "jwk": key.public()}))?;
    }
    Ok(())
}

fn signed<D: Document>(document: D, key: &SecretKey) -> String {
    Verified::sign(document, key).compact().to_owned()
}
