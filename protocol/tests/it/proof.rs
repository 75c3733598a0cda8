//! Proofs of possession: one fits exactly one request of one key for one or two minutes.

use crate::fixtures::{NOW, key};
use portcullis_protocol::encoding::{Octets, base64url, from_base64url};
use portcullis_protocol::proof::{NonceKey, ProofError, ProofTarget, check, claimed_key, prove};
use portcullis_protocol::{Digest, IdempotencyKey};

struct Case {
    idempotency_key: IdempotencyKey,
}

impl Case {
    fn target(&self) -> ProofTarget<'_> {
        ProofTarget {
            method: "POST",
            url: "https://store.example/v1/authorizations",
            token: Some("token"),
            body: Digest::of(b"{}"),
            idempotency_key: Some(&self.idempotency_key),
        }
    }
}

fn case() -> Case {
    Case { idempotency_key: "key-1".parse().expect("key") }
}

#[test]
fn an_honest_proof_names_its_key() {
    let (case, nonces, terminal) = (case(), NonceKey::new([1; 32]), key(5));
    let nonce = nonces.issue(&terminal.public().thumbprint(), NOW);
    let proof = prove(&terminal, &case.target(), Octets([0; 16]), NOW, Some(&nonce));
    let proven = check(&proof, &case.target(), &nonces, NOW).expect("fits");
    assert_eq!(proven.key(), terminal.public());
    assert_eq!(proven.digest(), Digest::of(proof.as_bytes()));
    assert_eq!(claimed_key(&proof), Ok(terminal.public().thumbprint()));
    // A nonce outlives its window by one, and no more.
    assert!(check(&proof, &case.target(), &nonces, NOW + 60).is_ok());
    assert_eq!(check(&proof, &case.target(), &nonces, NOW + 120), Err(ProofError::Nonce));
}

#[test]
fn a_proof_for_anything_else_is_refused() {
    let (case, nonces, terminal) = (case(), NonceKey::new([1; 32]), key(5));
    let nonce = nonces.issue(&terminal.public().thumbprint(), NOW);
    let proof = prove(&terminal, &case.target(), Octets([0; 16]), NOW, Some(&nonce));
    let other_key: IdempotencyKey = "key-2".parse().expect("key");
    let honest = case.target();
    for (what, target) in [
        ("method", ProofTarget { method: "PUT", ..honest }),
        ("url", ProofTarget { url: "https://store.example/v1/orders", ..honest }),
        ("host", ProofTarget { url: "https://evil.example/v1/authorizations", ..honest }),
        ("token", ProofTarget { token: Some("other"), ..honest }),
        ("no token", ProofTarget { token: None, ..honest }),
        ("body", ProofTarget { body: Digest::of(b"{ }"), ..honest }),
        ("idempotency key", ProofTarget { idempotency_key: Some(&other_key), ..honest }),
        ("no idempotency key", ProofTarget { idempotency_key: None, ..honest }),
    ] {
        assert_eq!(check(&proof, &target, &nonces, NOW), Err(ProofError::Target), "{what}");
    }
    assert!(check(&proof, &honest, &nonces, NOW).is_ok(), "control");
}

#[test]
fn a_proof_without_a_nonce_or_with_another_terminals_is_refused() {
    let (case, nonces, terminal) = (case(), NonceKey::new([1; 32]), key(5));
    let other = nonces.issue(&key(6).public().thumbprint(), NOW);
    let foreign = NonceKey::new([2; 32]).issue(&terminal.public().thumbprint(), NOW);
    for nonce in [None, Some(other.as_str()), Some(foreign.as_str()), Some("")] {
        let proof = prove(&terminal, &case.target(), Octets([0; 16]), NOW, nonce);
        assert_eq!(check(&proof, &case.target(), &nonces, NOW), Err(ProofError::Nonce));
    }
}

#[test]
fn a_proof_signed_by_another_key_or_altered_is_refused() {
    let (case, nonces, terminal) = (case(), NonceKey::new([1; 32]), key(5));
    let nonce = nonces.issue(&terminal.public().thumbprint(), NOW);
    let proof = prove(&terminal, &case.target(), Octets([0; 16]), NOW, Some(&nonce));
    // The thief puts the victim's key into the header and signs with his own.
    let (input, _) = proof.rsplit_once('.').expect("segments");
    let forged = format!("{input}.{}", key(6).sign(input.as_bytes()));
    assert_eq!(check(&forged, &case.target(), &nonces, NOW), Err(ProofError::Invalid));
    for index in 0..proof.len() {
        let mut changed = proof.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ascii");
        assert!(check(&changed, &case.target(), &nonces, NOW).is_err(), "changed at {index}");
    }
    // `alg` none, with and without a signature.
    let (header, payload) = input.split_once('.').expect("segments");
    let header = String::from_utf8(from_base64url(header).expect("header")).expect("text").replace("EdDSA", "none");
    let none = format!("{}.{payload}", base64url(header.as_bytes()));
    for compact in [format!("{none}."), format!("{none}.{}", terminal.sign(none.as_bytes()))] {
        assert_eq!(check(&compact, &case.target(), &nonces, NOW), Err(ProofError::Invalid));
    }
}

#[test]
fn a_clock_more_than_a_day_off_is_refused() {
    let (case, nonces, terminal) = (case(), NonceKey::new([1; 32]), key(5));
    let nonce = nonces.issue(&terminal.public().thumbprint(), NOW);
    for (iat, expected) in [(NOW - 3600, true), (NOW - 90_000, false), (NOW + 90_000, false)] {
        let proof = prove(&terminal, &case.target(), Octets([0; 16]), iat, Some(&nonce));
        assert_eq!(check(&proof, &case.target(), &nonces, NOW).is_ok(), expected);
    }
}

/// The access token of RFC 9449 section 7.1 and the `ath` that belongs to it.
#[test]
fn rfc_9449_section_7_1_access_token_hash() {
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    assert_eq!(Digest::of(token.as_bytes()).to_string(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

/// The proof of RFC 9449 section 4.1 is well made, with another algorithm: here only Ed25519 counts.
#[test]
fn rfc_9449_section_4_1_proof_with_es256_is_refused() {
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs\
                 cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2\
                 In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2V\
                 uIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37x\
                 RZT3Lg";
    let target = ProofTarget {
        method: "POST",
        url: "https://server.example.com/token",
        token: None,
        body: Digest::of(b""),
        idempotency_key: None,
    };
    assert_eq!(check(proof, &target, &NonceKey::new([1; 32]), 1_562_262_616), Err(ProofError::Invalid));
    assert_eq!(claimed_key(proof), Err(ProofError::Invalid));
}
