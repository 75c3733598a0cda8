//! The key document: which keys a server signs with now, under its pinned root.

use crate::ids::Origin;
use crate::jws::{Document, JwsError, Unverified, Verified};
use crate::keys::{PublicKey, Thumbprint};
use crate::labels::TYP_KEYS;
use crate::limits::MAX_KEY_DOCUMENT_LIFE;
use serde::{Deserialize, Serialize};

/// What `GET /.well-known/portcullis` answers. It is open; the key document in it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WellKnown {
    /// The root key. A terminal believes it once, at `login`, and pins its thumbprint.
    pub root: PublicKey,
    /// The key document, compact, signed by the root.
    pub keys: String,
    /// The base of the API, an absolute URL of the same origin: `https://store.example/v1`.
    pub api: String,
}

/// The keys of a server, signed by its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDocument {
    /// The server's origin.
    pub iss: Origin,
    /// Grows with every change. A terminal never goes back to a lower one.
    pub version: u64,
    /// When it was signed, Unix seconds.
    pub iat: u64,
    /// Until when it holds, at most 7 days after `iat`.
    pub exp: u64,
    /// The keys that sign answers, grants, offers, receipts and countersignatures.
    pub signing: Vec<ServerKey>,
    /// The age recipient (`age1…`) to which publishers encrypt.
    pub recipient: String,
}

impl Document for KeyDocument {
    const TYP: &'static str = TYP_KEYS;
    const CHECKS_TEXTS: bool = true;
}

/// A signing key and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerKey {
    /// The key.
    pub jwk: PublicKey,
    /// From when it signs, Unix seconds.
    pub nbf: u64,
    /// Until when it signs; what it signed before stays valid.
    pub exp: u64,
}

/// Why a key document was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyDocumentError {
    /// The signature or the form.
    #[error("the key document does not verify: {0}")]
    Document(#[from] JwsError),
    /// Another server's.
    #[error("the key document belongs to another origin")]
    Origin,
    /// Valid for longer than 7 days, or for less than nothing.
    #[error("the key document claims to be valid for too long")]
    Life,
    /// Before its time, beyond what honest clocks differ by.
    #[error("the key document is not valid for another {by} s; check the clock of this machine")]
    Early {
        /// By so many seconds.
        by: u64,
    },
    /// Past its time.
    #[error("the key document ended {by} s ago; check the clock of this machine")]
    Late {
        /// By so many seconds.
        by: u64,
    },
    /// Older than one seen before.
    #[error("the key document is older than one this terminal has seen")]
    Rollback,
}

impl KeyDocument {
    /// Verifies a key document under the pinned root, for this origin, at this time, not older than `seen`.
    ///
    /// # Errors
    /// [`KeyDocumentError`].
    pub fn verify(
        compact: &str,
        root: &PublicKey,
        origin: &Origin,
        now: u64,
        seen: u64,
    ) -> Result<Verified<Self>, KeyDocumentError> {
        let verified = Unverified::<Self>::parse(compact)?.verify(root)?;
        let document = verified.document();
        if document.iss != *origin {
            return Err(KeyDocumentError::Origin);
        }
        let life = document.exp.checked_sub(document.iat).ok_or(KeyDocumentError::Life)?;
        if life > MAX_KEY_DOCUMENT_LIFE {
            return Err(KeyDocumentError::Life);
        }
        if now >= document.exp {
            return Err(KeyDocumentError::Late { by: now - document.exp });
        }
        // Five minutes of grace for clocks that differ.
        if now.saturating_add(300) < document.iat {
            return Err(KeyDocumentError::Early { by: document.iat - now });
        }
        if document.version < seen {
            return Err(KeyDocumentError::Rollback);
        }
        Ok(verified)
    }

    /// The key named `kid`, where it may sign at `at`.
    #[must_use]
    pub fn signing_key(&self, kid: Thumbprint, at: u64) -> Option<&PublicKey> {
        self.signing
            .iter()
            .find(|key| key.jwk.thumbprint() == kid && key.nbf <= at.saturating_add(300) && at < key.exp)
            .map(|key| &key.jwk)
    }
}
