//! Proof of possession: DPoP (RFC 9449) with Ed25519, bound to the exact body and the Idempotency-Key.

use crate::encoding::{Octets, base64url, from_base64url};
use crate::ids::{Digest, IdempotencyKey};
use crate::keys::Thumbprint;
use crate::keys::{Jwk, PublicKey, SecretKey};
use crate::labels::{SERVER_NONCE, TYP_PROOF};
use crate::limits::{PROOF_SKEW, SERVER_NONCE_WINDOW};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The longest proof: a URL, a nonce and four digests.
const MAX_PROOF: usize = 4096;

/// What a proof claims (RFC 9449 section 4.2), and the two claims of our own, `bd` and `ik`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofClaims {
    /// A random identifier.
    pub jti: Octets<16>,
    /// The HTTP method.
    pub htm: String,
    /// The URL, without query and fragment.
    pub htu: String,
    /// The terminal's time, Unix seconds.
    pub iat: u64,
    /// The server's nonce, once it has given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// SHA-256 of the access token, where one is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ath: Option<Digest>,
    /// SHA-256 of the exact body; of nothing where there is none.
    pub bd: Digest,
    /// The Idempotency-Key, where one is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ik: Option<IdempotencyKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofHeader {
    alg: String,
    jwk: PublicKey,
    typ: String,
}

/// The same before it is known whether its key is one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnparsedHeader {
    alg: String,
    jwk: Jwk,
    typ: String,
}

/// The request that a proof has to fit. The server fills it from what arrived, the terminal from what it sends.
#[derive(Debug, Clone, Copy)]
pub struct ProofTarget<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The absolute URL without query and fragment.
    pub url: &'a str,
    /// The access token, where one is sent.
    pub token: Option<&'a str>,
    /// SHA-256 of the exact body.
    pub body: Digest,
    /// The Idempotency-Key, where one is sent.
    pub idempotency_key: Option<&'a IdempotencyKey>,
}

/// Why a proof was not accepted. A stranger is told nothing more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not a proof, or not signed by the key in it.
    #[error("not a valid proof of possession (RFC 9449)")]
    Invalid,
    /// For another method, URL, token, body or Idempotency-Key.
    #[error("the proof is for another request")]
    Target,
    /// No nonce, one of another key, or one too old. The answer carries a new one.
    #[error("the proof needs a fresh server nonce (RFC 9449 section 8)")]
    Nonce,
    /// The terminal's clock is more than a day off.
    #[error("the proof's time is more than a day off")]
    Time,
}

/// A proof that fits its request: evidence that the key's holder made exactly this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    key: PublicKey,
    digest: Digest,
}

impl Proven {
    /// The key that made the request.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the compact proof: the answer repeats it as `req`.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Makes the proof for a request: the value of the `DPoP` header.
///
/// # Panics
/// Never: claims serialise.
#[must_use]
pub fn prove(key: &SecretKey, target: &ProofTarget<'_>, jti: Octets<16>, now: u64, nonce: Option<&str>) -> String {
    let header = ProofHeader { alg: "EdDSA".into(), jwk: key.public().clone(), typ: TYP_PROOF.into() };
    let claims = ProofClaims {
        jti,
        htm: target.method.to_owned(),
        htu: target.url.to_owned(),
        iat: now,
        nonce: nonce.map(str::to_owned),
        ath: target.token.map(|token| Digest::of(token.as_bytes())),
        bd: target.body,
        ik: target.idempotency_key.cloned(),
    };
    let mut compact = base64url(&serde_json::to_vec(&header).expect("headers serialise"));
    compact.push('.');
    compact.push_str(&base64url(&serde_json::to_vec(&claims).expect("claims serialise")));
    let signature = key.sign(compact.as_bytes());
    compact.push('.');
    compact.push_str(&base64url(&signature.0));
    compact
}

/// Checks a proof against the request it came with and the server's nonces, cheapest first: form, target, nonce, time,
/// and the signature last.
///
/// # Errors
/// [`ProofError`].
pub fn check(compact: &str, target: &ProofTarget<'_>, nonces: &NonceKey, now: u64) -> Result<Proven, ProofError> {
    check_knowing(compact, target, nonces, now, |_| None)
}

/// The same, by somebody who has parsed keys before: `known` is asked for the key of 32 bytes. What it returns has to
/// be what [`PublicKey::from_bytes`] made of them.
///
/// # Errors
/// As [`check`].
pub fn check_knowing(
    compact: &str,
    target: &ProofTarget<'_>,
    nonces: &NonceKey,
    now: u64,
    known: impl FnOnce(&[u8; 32]) -> Option<PublicKey>,
) -> Result<Proven, ProofError> {
    if compact.len() > MAX_PROOF {
        return Err(ProofError::Invalid);
    }
    let (input, signature) = compact.rsplit_once('.').ok_or(ProofError::Invalid)?;
    let (header, payload) = input.split_once('.').ok_or(ProofError::Invalid)?;
    let header: UnparsedHeader = from_json(header)?;
    let claims: ProofClaims = from_json(payload)?;
    let signature: Octets<64> = signature.parse().map_err(|_| ProofError::Invalid)?;
    if header.alg != "EdDSA" || header.typ != TYP_PROOF {
        return Err(ProofError::Invalid);
    }
    let fits = claims.htm == target.method
        && claims.htu == target.url
        && claims.ath == target.token.map(|token| Digest::of(token.as_bytes()))
        && claims.bd == target.body
        && claims.ik.as_ref() == target.idempotency_key;
    if !fits {
        return Err(ProofError::Target);
    }
    let bytes = header.jwk.bytes().map_err(|_| ProofError::Invalid)?;
    let key = match known(&bytes) {
        Some(key) => key,
        None => PublicKey::from_bytes(&bytes).map_err(|_| ProofError::Invalid)?,
    };
    let thumbprint = key.thumbprint();
    if !claims.nonce.as_deref().is_some_and(|nonce| nonces.accepts(nonce, &thumbprint, now)) {
        return Err(ProofError::Nonce);
    }
    if claims.iat.abs_diff(now) > PROOF_SKEW {
        return Err(ProofError::Time);
    }
    key.verify(input.as_bytes(), &signature).map_err(|_| ProofError::Invalid)?;
    Ok(Proven { key, digest: Digest::of(compact.as_bytes()) })
}

/// The key that a proof names, unverified: the one to make a nonce for when the proof has none.
///
/// # Errors
/// [`ProofError::Invalid`] if it is no proof at all.
pub fn claimed_key(compact: &str) -> Result<Thumbprint, ProofError> {
    if compact.len() > MAX_PROOF {
        return Err(ProofError::Invalid);
    }
    let header: ProofHeader = from_json(compact.split('.').next().unwrap_or_default())?;
    Ok(header.jwk.thumbprint())
}

fn from_json<T: serde::de::DeserializeOwned>(segment: &str) -> Result<T, ProofError> {
    let bytes = from_base64url(segment).map_err(|_| ProofError::Invalid)?;
    serde_json::from_slice(&bytes).map_err(|_| ProofError::Invalid)
}

/// The key of the server's nonces. Nonces are stateless, HMAC-SHA-256 over the time window and the terminal's key, so
/// several server processes that share the key need no shared table.
#[derive(Clone)]
pub struct NonceKey(Zeroizing<[u8; 32]>);

impl NonceKey {
    /// Takes the 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The nonce for a key at a time.
    #[must_use]
    pub fn issue(&self, key: &Thumbprint, now: u64) -> String {
        self.of_window(key, now / SERVER_NONCE_WINDOW)
    }

    /// Whether a nonce is of this window or the one before.
    #[must_use]
    pub fn accepts(&self, nonce: &str, key: &Thumbprint, now: u64) -> bool {
        let window = now / SERVER_NONCE_WINDOW;
        [window, window.saturating_sub(1)]
            .iter()
            .any(|window| self.of_window(key, *window).as_bytes().ct_eq(nonce.as_bytes()).into())
    }

    fn of_window(&self, key: &Thumbprint, window: u64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length is a key");
        mac.update(SERVER_NONCE);
        mac.update(&window.to_be_bytes());
        mac.update(key.as_bytes());
        base64url(&mac.finalize().into_bytes()[..16])
    }
}

impl std::fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NonceKey")
    }
}
