//! Keys and documents that several tests use. All deterministic: a vector that changes is a format that changed.

use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::wire::AuthorisationRequest;
use portcullis_protocol::{
    Capabilities, Digest, Grant, GrantId, GrantLimits, KeyDocument, Manifest, OperationEntry, Origin, PairwiseId,
    PartEntry, PartKind, PublisherEntry, SecretKey, ServerEntry, ServerKey, confirmation,
};

/// 2026-01-01 00:00:00 UTC.
pub(crate) const NOW: u64 = 1_767_225_600;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(crate) fn origin() -> Origin {
    Origin::new("https://store.example").expect("origin")
}

pub(crate) fn key_document(signer: &SecretKey) -> KeyDocument {
    KeyDocument {
        iss: origin(),
        version: 3,
        iat: NOW - 10,
        exp: NOW + 3600,
        signing: vec![ServerKey { jwk: signer.public().clone(), nbf: NOW - 100, exp: NOW + 7200 }],
        recipient: "age1example".into(),
    }
}

pub(crate) fn request() -> AuthorisationRequest {
    AuthorisationRequest {
        resource: Digest::of(b"resource"),
        operation: "view".parse().expect("operation"),
        quantity: 1,
        offer: None,
        nonce: BoundedOctets::new(b"nonce".to_vec()).expect("nonce"),
    }
}

pub(crate) fn grant(terminal: &SecretKey, grant_nonce: &Octets<16>) -> Grant {
    Grant {
        iss: origin(),
        jti: GrantId::from_bytes([1; 16]),
        sub: PairwiseId::from_bytes([2; 16]),
        cnf: confirmation(grant_nonce, &terminal.public().thumbprint()),
        resource: Digest::of(b"resource"),
        publisher: "lumen".parse().expect("publisher"),
        name: "alpine-lake".parse().expect("name"),
        version: "1.0.0".parse().expect("version"),
        operation: "view".parse().expect("operation"),
        parts: vec!["full".parse().expect("part")],
        model: "perpetual".into(),
        limits: GrantLimits::default(),
        nonce: BoundedOctets::new(b"nonce".to_vec()).expect("nonce"),
        iat: NOW,
        exp: NOW + 30,
        run_max: 300,
    }
}

pub(crate) fn manifest(publisher: &SecretKey) -> Manifest {
    let part = |name: &str, kind, public| PartEntry {
        name: name.parse().expect("part"),
        kind,
        media_type: "application/octet-stream".into(),
        size: 10,
        commitment: Octets([3; 32]),
        binding: Octets([4; 32]),
        public,
    };
    let operation = |name: &str, exports: &[&str], parts: &[&str]| OperationEntry {
        name: name.parse().expect("operation"),
        title: name.into(),
        exports: exports.iter().map(|e| e.parse().expect("export")).collect(),
        parts: parts.iter().map(|p| p.parse().expect("part")).collect(),
    };
    Manifest {
        v: 1,
        publisher: PublisherEntry { name: "lumen".parse().expect("publisher"), jwk: publisher.public().clone() },
        name: "alpine-lake".parse().expect("name"),
        version: "1.0.0".parse().expect("version"),
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: String::new(),
        stub_digest: Digest::of(b"stub"),
        imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
        exports: vec!["lumen:picture/picture#preview".into(), "lumen:picture/picture#view".into()],
        parts: vec![part("code", PartKind::Code, true), part("full", PartKind::Asset, false)],
        operations: vec![
            operation("preview", &["lumen:picture/picture#preview"], &["code"]),
            operation("view", &["lumen:picture/picture#view"], &["code", "full"]),
        ],
        limits: Default::default(),
        capabilities: Capabilities::default(),
        advisory_metering: false,
        servers: vec![ServerEntry { origin: origin(), root: key(9).public().thumbprint() }],
    }
}
