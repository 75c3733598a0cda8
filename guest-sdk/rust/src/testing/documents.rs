//! A billing server's signature for the double, and hosts that lie about it.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::testing::Double;

/// When the double's grants are issued: 2026-01-01 UTC.
const ISSUED: u64 = 1_767_225_600;
/// Its origin.
const ORIGIN: &str = "https://store.example";

/// A billing server that signs what the double grants, with keys made from a seed.
#[derive(Debug, Clone)]
pub struct ServerDouble {
    root: SigningKey,
    signing: SigningKey,
    publisher: String,
    name: String,
    tampering: Option<Tampering>,
}

/// How a patched host lies about a grant's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tampering {
    /// It shows a genuine document of an earlier request.
    OldNonce,
    /// It shows a genuine document for another operation.
    OtherOperation,
    /// It shows a genuine document for another resource.
    OtherResource,
    /// It signs the document with a key of its own.
    OwnKey,
    /// It signs with a key of its own and names the server's.
    Forged,
    /// It shows no document at all.
    None,
}

impl ServerDouble {
    /// A server for the resource `publisher/name`.
    #[must_use]
    pub fn new(seed: u8, publisher: &str, name: &str) -> Self {
        Self {
            root: SigningKey::from_bytes(&[seed; 32]),
            signing: SigningKey::from_bytes(&[seed ^ 0xff; 32]),
            publisher: publisher.to_owned(),
            name: name.to_owned(),
            tampering: None,
        }
    }

    /// The same behind a host that lies.
    #[must_use]
    pub fn tampered(mut self, how: Tampering) -> Self {
        self.tampering = Some(how);
        self
    }

    /// What [`roots!`](crate::roots) takes for this server.
    #[must_use]
    pub fn root(&self) -> String {
        x(&self.root)
    }

    /// Its key document, compact. Its signing key signs from 2025 to 2100.
    #[must_use]
    pub fn key_document(&self) -> String {
        self.key_document_until(1, 4_102_444_800)
    }

    /// The key document of this version, where its signing key stops at `exp`, Unix seconds.
    #[must_use]
    pub fn key_document_until(&self, version: u64, exp: u64) -> String {
        let payload = format!(
            r#"{{"iss":"{ORIGIN}","version":{version},"iat":{ISSUED},"exp":{},"signing":[{{"jwk":{},"nbf":1735689600,"exp":{exp}}}],"recipient":"age1"}}"#,
            ISSUED + 86_400,
            jwk(&self.signing)
        );
        sign(&self.root, &thumbprint(&self.root), "portcullis-keys+jwt", &payload)
    }

    /// The document of a grant.
    pub(super) fn grant(&self, operation: &str, nonce: &[u8], exp: u64) -> String {
        let nonce = if self.tampering == Some(Tampering::OldNonce) { b"an earlier one" } else { nonce };
        let operation = if self.tampering == Some(Tampering::OtherOperation) { "other" } else { operation };
        let name = if self.tampering == Some(Tampering::OtherResource) { "other" } else { &self.name };
        let payload = format!(
            r#"{{"iss":"{ORIGIN}","jti":"AAAAAAAAAAAAAAAAAAAAAA","sub":"AAAAAAAAAAAAAAAAAAAAAA","cnf":"{0}","resource":"{0}","publisher":"{1}","name":"{name}","version":"1.0.0","operation":"{operation}","parts":[],"model":"perpetual","limits":{{}},"nonce":"{2}","iat":{ISSUED},"exp":{exp},"run_max":300}}"#,
            Base64UrlUnpadded::encode_string(&[0; 32]),
            self.publisher,
            Base64UrlUnpadded::encode_string(nonce)
        );
        let own = SigningKey::from_bytes(&[0x55; 32]);
        let (key, kid) = match self.tampering {
            Some(Tampering::OwnKey) => (&own, thumbprint(&own)),
            Some(Tampering::Forged) => (&own, thumbprint(&self.signing)),
            Some(Tampering::None) => return String::new(),
            _ => (&self.signing, thumbprint(&self.signing)),
        };
        sign(key, &kid, "portcullis-grant+jwt", &payload)
    }
}

impl Double {
    /// Has a server sign the documents of grants, so that a guest that checks them can be tested.
    #[must_use]
    pub fn signed_by(self, server: ServerDouble) -> Self {
        self.state.borrow_mut().server = Some(server);
        self
    }
}

fn x(key: &SigningKey) -> String {
    Base64UrlUnpadded::encode_string(key.verifying_key().as_bytes())
}

fn jwk(key: &SigningKey) -> String {
    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, x(key))
}

fn thumbprint(key: &SigningKey) -> String {
    Base64UrlUnpadded::encode_string(Sha256::digest(jwk(key).as_bytes()).as_slice())
}

fn sign(key: &SigningKey, kid: &str, typ: &str, payload: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let input = format!("{}.{}", encode(&format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#)), encode(payload));
    let signature = key.sign(input.as_bytes());
    format!("{input}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
}
