//! Signed documents: JSON Web Signatures (RFC 7515) with `EdDSA` (RFC 8037), compact serialisation, and nothing else.
//!
//! A document that was not verified and one that was are different types, and only the verified one can be read:
//!
//! ```compile_fail
//! use portcullis_protocol::{Grant, Unverified};
//! fn read(grant: Unverified<Grant>) -> u64 { grant.document().exp }
//! ```
//!
//! ```
//! use portcullis_protocol::{Grant, PublicKey, Unverified, JwsError};
//! fn read(grant: Unverified<Grant>, key: &PublicKey) -> Result<u64, JwsError> { Ok(grant.verify(key)?.document().exp) }
//! ```

use crate::encoding::{Octets, base64url, from_base64url};
use crate::ids::Digest;
use crate::keys::{PublicKey, SecretKey, Thumbprint};
use crate::limits::MAX_DOCUMENT;
use crate::listed::UnknownEntry;
use crate::text::{TextError, check_json, shown_line};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

/// A kind of signed document. Its type stands in the protected header, so no document can pass for another.
pub trait Document: Serialize + DeserializeOwned {
    /// The header's `typ`, from [`crate::labels`].
    const TYP: &'static str;
    /// Whether people decide by its texts: then it is refused if one of them, or the name of a member, holds a
    /// character that [`crate::text::disturbs`]. Other documents come from a server that is trusted already, often for
    /// money that is paid; an old name in one of them must not make it worthless, and is escaped where it is shown.
    const CHECKS_TEXTS: bool = false;
}

/// A document that names the key it is signed with, as a first statement of a new key has to.
pub trait SelfSigned: Document {
    /// The key the document speaks for.
    fn key(&self) -> &PublicKey;
}

/// Why a signed document was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than a document of this kind may be.
    #[error("the document is longer than allowed")]
    TooLong,
    /// Not three canonical base64url segments.
    #[error("not a JWS in compact serialisation (RFC 7515 section 7.1)")]
    Form,
    /// The header is not exactly `alg`, `kid`, `typ`, with `EdDSA`.
    #[error("the header must be exactly alg (EdDSA), kid and typ")]
    Header,
    /// A document of another type.
    #[error("a document of another type: expected {expected}")]
    Type {
        /// The `typ` that belongs here.
        expected: &'static str,
    },
    /// Signed by another key than the one expected.
    #[error("signed by another key than expected")]
    Key,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// Signed well, but a text in it disturbs whoever reads it.
    #[error("signed, but {0}")]
    Text(TextError),
    /// Signed well, but not a document of its type as this version knows it.
    #[error("signed, but not a well-formed document of its type: {cause}")]
    Payload {
        /// What is wrong with it.
        cause: String,
        /// What it says, as far as it is an object.
        entry: Box<UnknownEntry>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Thumbprint,
    pub(crate) typ: String,
}

/// The base64url form of the protected header of a document of type `typ`, signed by `kid`.
pub(crate) fn protected(typ: &str, kid: Thumbprint) -> String {
    base64url(format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#).as_bytes())
}

/// Reads a protected header that has exactly the form [`protected`] writes.
pub(crate) fn read_protected(text: &str, typ: &'static str) -> Result<Thumbprint, JwsError> {
    let bytes = from_base64url(text).map_err(|_| JwsError::Form)?;
    if let Some(kid) = kid_of(&bytes, typ) {
        return Ok(kid);
    }
    // It is not accepted; what is left to say is why.
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| JwsError::Header)?;
    if header.alg == "EdDSA" && header.typ != typ {
        Err(JwsError::Type { expected: typ })
    } else {
        Err(JwsError::Header)
    }
}

/// The key that a header names, where it is what [`protected`] writes, byte for byte.
fn kid_of(header: &[u8], typ: &str) -> Option<Thumbprint> {
    let rest = std::str::from_utf8(header).ok()?.strip_prefix(r#"{"alg":"EdDSA","kid":""#)?;
    let (kid, rest) = rest.split_once('"')?;
    let same = rest.strip_prefix(r#","typ":""#)?.strip_suffix(r#""}"#)? == typ;
    if same { kid.parse().ok() } else { None }
}

/// A document as it arrived. Nothing in it can be read but the name of the key it claims.
#[derive(Debug, Clone)]
pub struct Unverified<D> {
    compact: String,
    kid: Thumbprint,
    _document: PhantomData<fn() -> D>,
}

impl<D: Document> Unverified<D> {
    /// Splits a compact serialisation and checks its header.
    ///
    /// # Errors
    /// [`JwsError`] for anything but a bounded, canonical JWS of this type.
    pub fn parse(compact: &str) -> Result<Self, JwsError> {
        if compact.len() > MAX_DOCUMENT {
            return Err(JwsError::TooLong);
        }
        let mut segments = compact.split('.');
        let (Some(header), Some(_), Some(_), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(JwsError::Form);
        };
        Ok(Self { kid: read_protected(header, D::TYP)?, compact: compact.to_owned(), _document: PhantomData })
    }

    /// The key it says it is signed with: a hint for choosing among trusted keys, worth nothing by itself.
    #[must_use]
    pub const fn kid(&self) -> Thumbprint {
        self.kid
    }

    /// Verifies the signature under `key`, then reads the document.
    ///
    /// # Errors
    /// [`JwsError`] if another key is named, the signature does not verify, or the payload is malformed.
    pub fn verify(self, key: &PublicKey) -> Result<Verified<D>, JwsError> {
        if self.kid != key.thumbprint() {
            return Err(JwsError::Key);
        }
        let (input, signature) = self.compact.rsplit_once('.').ok_or(JwsError::Form)?;
        let signature: Octets<64> = signature.parse().map_err(|_| JwsError::Form)?;
        key.verify(input.as_bytes(), &signature).map_err(|_| JwsError::Signature)?;
        let (document, payload) = self.payload()?;
        Ok(Verified { document, payload: Digest::of(&payload), signer: self.kid, compact: self.compact })
    }

    fn payload(&self) -> Result<(D, Vec<u8>), JwsError> {
        let payload = self.compact.split('.').nth(1).ok_or(JwsError::Form)?;
        let payload = from_base64url(payload).map_err(|_| JwsError::Form)?;
        // First: the errors of what reads it repeat the names of its members.
        if D::CHECKS_TEXTS {
            check_json(&payload, &[]).map_err(JwsError::Text)?;
        }
        let unread = |error: serde_json::Error| JwsError::Payload {
            cause: shown_line(&error.to_string()).into_owned(),
            entry: Box::new(UnknownEntry::read(&payload)),
        };
        let document = serde_json::from_slice(&payload).map_err(unread)?;
        Ok((document, payload))
    }
}

impl<D: SelfSigned> Unverified<D> {
    /// Verifies a document under the key it names itself: proves possession of that key and nothing more.
    ///
    /// # Errors
    /// As [`Unverified::verify`].
    pub fn verify_self_signed(self) -> Result<Verified<D>, JwsError> {
        let key = self.payload()?.0.key().clone();
        self.verify(&key)
    }
}

/// A document whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<D> {
    document: D,
    payload: Digest,
    signer: Thumbprint,
    compact: String,
}

impl<D: Document> Verified<D> {
    /// Signs a document. What one signs oneself is verified.
    ///
    /// # Panics
    /// Never for the documents of this crate: they all serialise to JSON.
    #[must_use]
    pub fn sign(document: D, key: &SecretKey) -> Self {
        let payload = serde_json::to_vec(&document).expect("documents serialise");
        let signer = key.public().thumbprint();
        let mut compact = protected(D::TYP, signer);
        compact.push('.');
        compact.push_str(&base64url(&payload));
        let signature = key.sign(compact.as_bytes());
        compact.push('.');
        compact.push_str(&base64url(&signature.0));
        Self { document, payload: Digest::of(&payload), signer, compact }
    }

    /// What it says.
    #[must_use]
    pub const fn document(&self) -> &D {
        &self.document
    }

    /// What it says, without the envelope.
    #[must_use]
    pub fn into_document(self) -> D {
        self.document
    }

    /// SHA-256 of the payload bytes: names the content, whoever signed it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.payload
    }

    /// The key that signed it.
    #[must_use]
    pub const fn signer(&self) -> Thumbprint {
        self.signer
    }

    /// The compact serialisation, as it travels.
    #[must_use]
    pub fn compact(&self) -> &str {
        &self.compact
    }
}
