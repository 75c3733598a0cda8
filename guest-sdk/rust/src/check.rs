//! A check of grant documents inside the resource, with keys that its publisher compiled in (feature `check-grant`).
//!
//! Without it a resource believes its host: `verify` gives a handle, and that is that. With it, the resource asks for a
//! grant with a nonce of its own and reads the signed document itself: is it signed by the billing server, for this
//! operation of this resource, with this nonce? A host that was patched to say yes is found out.
//!
//! ```no_run
//! use portcullis_guest::check::{GrantCheck, RootKeys};
//! use portcullis_guest::{Grant, Refusal, paid};
//!
//! const ROOTS: RootKeys = portcullis_guest::roots!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
//! # const KEYS: &str = "";
//!
//! fn check() -> Result<GrantCheck, Refusal> {
//!     // The server's key document, as it was when this version was built: `portcullis-server` serves it to everybody.
//!     // (In a resource: `include_str!("keys.jwt")`.)
//!     Ok(GrantCheck::new(&ROOTS, KEYS)?.of("lumen", "picos-de-europa"))
//! }
//!
//! #[paid(operation = "view", check = check()?)]
//! fn view(grant: &Grant) -> Result<Vec<u8>, Refusal> {
//!     Ok(grant.open("full").expect("`view` releases `full`").read_all(16 << 20).expect("at most 16 MiB"))
//! }
//! ```
//!
//! # What it is worth
//!
//! It raises the work of whoever patches a host, and no more. What protects a resource is that nobody without a grant
//! has its keys; whoever runs this code has them already, and can take the check out of the body that he decrypted.
//! The nonce comes from the host's randomness too: whoever recorded one paid run, random bytes included, can play it
//! again to the same body. Use it where a patched host, shared by many, is the worry, and not where the body itself is.
//!
//! - A resource cannot know its own digest, which is taken over the sealed file that it is in. It knows its publisher's
//!   name and its own, so these are compared. It is not told `cnf`'s nonce or the terminal, so these are not.
//! - It has no clock. That the document ends after it begins, and when its host says, is checked; whether it has ended
//!   only where the resource has a time to give ([`GrantCheck::at`]).
//! - What is compiled in are root keys and a key document under them, since WIT has no way to hand over a newer one. A
//!   server that changes its signing key is not believed until the resource is published again with the new key
//!   document, or is handed it by whoever calls it ([`GrantCheck::learn`]). A key signs for up to a year; the server's
//!   operator announces the next one with `rotate-key --starts-in`.
//! - Each check is a cycle of its own: it draws, and the user is asked.

use crate::billing::{Nonce, Request};
use crate::{Grant, Refusal};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// `typ` of a grant.
const TYP_GRANT: &str = "portcullis-grant+jwt";
/// `typ` of a key document.
const TYP_KEYS: &str = "portcullis-keys+jwt";
/// A signed document is no longer than this.
const MAX_DOCUMENT: usize = 65_536;
/// How far two honest clocks may differ, in seconds.
const GRACE: u64 = 300;
/// Random bytes of a nonce: nobody meets the same 128 bits twice.
const NONCE: u64 = 16;

/// The root keys of the billing servers that sell a resource, compiled in. Made by [`roots!`](crate::roots).
#[derive(Debug, Clone, Copy)]
pub struct RootKeys(&'static [&'static str]);

impl RootKeys {
    /// Keys as in a JWK's member `x` (RFC 8037): what `/.well-known/portcullis` shows under `root`.
    #[must_use]
    pub const fn new(keys: &'static [&'static str]) -> Self {
        Self(keys)
    }
}

/// Root keys, compiled in: `roots!("x of the first", "x of the second")`.
#[macro_export]
macro_rules! roots {
    ($($key:literal),+ $(,)?) => { $crate::check::RootKeys::new(&[$($key),+]) };
}

/// Why a grant's document was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckError {
    /// What was compiled in is no key.
    BadRoot,
    /// Not a JWS in the form that Portcullis signs.
    Form,
    /// Signed by a key that is not among those known: forged, or the server has changed its key since.
    UnknownKey,
    /// The signature does not verify.
    Forged,
    /// Signed while the key did not sign, or a time that makes no sense.
    Time,
    /// For another nonce: a document that was used before.
    OtherNonce,
    /// For another operation.
    OtherOperation,
    /// For another resource.
    OtherResource,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRoot => "a key that was compiled in is not an Ed25519 public key",
            Self::Form => "the document is not one that a billing server signs",
            Self::UnknownKey => "the document is signed by a key that this version of the resource does not know",
            Self::Forged => "the document's signature does not verify",
            Self::Time => "the document is out of its time",
            Self::OtherNonce => "the grant is for another request",
            Self::OtherOperation => "the grant is for another operation",
            Self::OtherResource => "the grant is for another resource",
        })
    }
}

impl std::error::Error for CheckError {}

/// What the user of a paid function hears: the host, or whoever answers in the server's place, is not to be believed.
impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::OtherNonce | CheckError::OtherOperation | CheckError::OtherResource => Self::BindingMismatch,
            _ => Self::ServerUntrusted,
        }
    }
}

/// Checks grants by their documents.
#[derive(Debug, Clone)]
pub struct GrantCheck {
    roots: Vec<Key>,
    signing: Vec<SigningKey>,
    resource: Option<(String, String)>,
    now: Option<u64>,
}

#[derive(Debug, Clone)]
struct Key {
    key: VerifyingKey,
    /// RFC 7638, as headers have it.
    thumbprint: String,
}

#[derive(Debug, Clone)]
struct SigningKey {
    key: Key,
    iss: String,
    nbf: u64,
    exp: u64,
    /// Of the key document that names it.
    version: u64,
}

#[derive(Deserialize)]
struct KeyDocument {
    iss: String,
    version: u64,
    signing: Vec<ServerKey>,
}

#[derive(Deserialize)]
struct ServerKey {
    jwk: Jwk,
    nbf: u64,
    exp: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    crv: String,
    kty: String,
    x: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    iss: String,
    publisher: String,
    name: String,
    operation: String,
    nonce: String,
    iat: u64,
    exp: u64,
    // The rest is the host's business. It is named, so that a document of another form is not taken for a grant.
    #[serde(rename = "jti")]
    _jti: IgnoredAny,
    #[serde(rename = "sub")]
    _sub: IgnoredAny,
    #[serde(rename = "cnf")]
    _cnf: IgnoredAny,
    #[serde(rename = "resource")]
    _resource: IgnoredAny,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    #[serde(rename = "parts")]
    _parts: IgnoredAny,
    #[serde(rename = "model")]
    _model: IgnoredAny,
    #[serde(rename = "limits")]
    _limits: IgnoredAny,
    #[serde(rename = "run_max")]
    _run_max: IgnoredAny,
}

impl GrantCheck {
    /// A check under these roots, with a key document of one of them.
    ///
    /// # Errors
    /// [`CheckError::BadRoot`]; else as [`GrantCheck::learn`].
    pub fn new(roots: &RootKeys, keys: &str) -> Result<Self, CheckError> {
        let roots = roots.0.iter().map(|x| Key::of(x).ok_or(CheckError::BadRoot)).collect::<Result<_, _>>()?;
        let mut check = Self { roots, signing: Vec::new(), resource: None, now: None };
        check.learn(keys)?;
        Ok(check)
    }

    /// Takes in a key document: a second server's, or a newer one, from whatever source. It is believed for its root's
    /// signature; its own end is not looked at, since what its keys sign is held against each key's own time. Of one
    /// server the newest document counts, so that a key that was ended early stays ended.
    ///
    /// # Errors
    /// [`CheckError`] if no root signed it.
    pub fn learn(&mut self, document: &str) -> Result<(), CheckError> {
        let roots = |kid: &str| self.roots.iter().find(|root| root.thumbprint == kid);
        let document: KeyDocument = verified(document, TYP_KEYS, roots)?.0;
        if self.signing.iter().any(|known| known.iss == document.iss && known.version > document.version) {
            return Ok(());
        }
        let mut signing = Vec::with_capacity(document.signing.len());
        for ServerKey { jwk, nbf, exp } in document.signing {
            if jwk.crv != "Ed25519" || jwk.kty != "OKP" {
                return Err(CheckError::Form);
            }
            let key = Key::of(&jwk.x).ok_or(CheckError::Form)?;
            signing.push(SigningKey { key, iss: document.iss.clone(), nbf, exp, version: document.version });
        }
        self.signing.retain(|known| known.iss != document.iss);
        self.signing.extend(signing);
        Ok(())
    }

    /// Only for this resource, by the names in its manifest.
    #[must_use]
    pub fn of(mut self, publisher: &str, name: &str) -> Self {
        self.resource = Some((publisher.to_owned(), name.to_owned()));
        self
    }

    /// At this time, Unix seconds: for a resource that has a clock which it believes.
    #[must_use]
    pub const fn at(mut self, now: u64) -> Self {
        self.now = Some(now);
        self
    }

    /// Runs the cycle for an operation with a new random nonce and checks what comes of it. What `check = …` of
    /// [`paid`](crate::paid) does before a body.
    ///
    /// # Errors
    /// The refusal of the cycle; [`Refusal::ServerUntrusted`] or [`Refusal::BindingMismatch`] if the document is not
    /// to be believed.
    pub fn grant_for(&self, operation: &str) -> Result<Grant, Refusal> {
        let bytes = random::bytes(NONCE);
        let nonce = Nonce::try_from(bytes.as_slice()).map_err(|_| Refusal::ServerUntrusted)?;
        let grant = Request::new(operation).nonce(nonce).send()?.verify()?;
        self.check(&grant, operation, &bytes)?;
        Ok(grant)
    }

    /// Checks a grant by its document: signed by a key of the server while that key signed, for this operation, with
    /// this nonce (empty: requested without one), and what its handle says of it.
    ///
    /// # Errors
    /// [`CheckError`] says the first thing that is wrong.
    pub fn check(&self, grant: &Grant, operation: &str, nonce: &[u8]) -> Result<(), CheckError> {
        let expires = self.check_document(&grant.document(), operation, nonce)?;
        // The handle is the host's word; that it says something else is reason enough.
        if grant.operation() != operation {
            return Err(CheckError::OtherOperation);
        }
        if grant.expires() != expires {
            return Err(CheckError::Time);
        }
        Ok(())
    }

    /// The same for a document alone. Gives its end, in Unix seconds.
    ///
    /// # Errors
    /// As [`GrantCheck::check`].
    pub fn check_document(&self, document: &str, operation: &str, nonce: &[u8]) -> Result<u64, CheckError> {
        let signing = |kid: &str| self.signing.iter().map(|signing| &signing.key).find(|key| key.thumbprint == kid);
        let (document, kid): (Document, &str) = verified(document, TYP_GRANT, signing)?;
        let in_time = |key: &&SigningKey| key.nbf <= document.iat.saturating_add(GRACE) && document.iat < key.exp;
        let mut keys = self.signing.iter().filter(|key| key.key.thumbprint == kid && key.iss == document.iss);
        if keys.find(in_time).is_none() || document.exp < document.iat {
            return Err(CheckError::Time);
        }
        if self.now.is_some_and(|now| now >= document.exp || now.saturating_add(GRACE) < document.iat) {
            return Err(CheckError::Time);
        }
        if let Some((publisher, name)) = &self.resource
            && (*publisher != document.publisher || *name != document.name)
        {
            return Err(CheckError::OtherResource);
        }
        if document.operation != operation {
            return Err(CheckError::OtherOperation);
        }
        if document.nonce != Base64UrlUnpadded::encode_string(nonce) {
            return Err(CheckError::OtherNonce);
        }
        Ok(document.exp)
    }
}

impl Key {
    fn of(x: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if Base64UrlUnpadded::decode(x, &mut bytes).ok()?.len() != bytes.len() {
            return None;
        }
        let key = VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())?;
        // RFC 7638: this text, byte for byte.
        let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let thumbprint = Base64UrlUnpadded::encode_string(Sha256::digest(text.as_bytes()).as_slice());
        Some(Self { key, thumbprint })
    }
}

/// Verifies a compact JWS of this type under the key that its header names, then reads it. Gives that key's name too.
fn verified<'d, 'k, D: DeserializeOwned>(
    compact: &'d str,
    typ: &str,
    key: impl Fn(&str) -> Option<&'k Key>,
) -> Result<(D, &'k str), CheckError> {
    if compact.len() > MAX_DOCUMENT {
        return Err(CheckError::Form);
    }
    let (input, signature): (&'d str, _) = compact.rsplit_once('.').ok_or(CheckError::Form)?;
    let (header, payload) = input.split_once('.').ok_or(CheckError::Form)?;
    let decode = |text| Base64UrlUnpadded::decode_vec(text).map_err(|_| CheckError::Form);
    let header = String::from_utf8(decode(header)?).map_err(|_| CheckError::Form)?;
    // The header is exactly this, byte for byte.
    let kid = header.strip_prefix(r#"{"alg":"EdDSA","kid":""#).and_then(|rest| {
        let (kid, rest) = rest.split_once('"')?;
        (rest.strip_prefix(r#","typ":""#)?.strip_suffix(r#""}"#)? == typ).then_some(kid)
    });
    let key = key(kid.ok_or(CheckError::Form)?).ok_or(CheckError::UnknownKey)?;
    let signature = Signature::from_slice(&decode(signature)?).map_err(|_| CheckError::Form)?;
    key.key.verify_strict(input.as_bytes(), &signature).map_err(|_| CheckError::Forged)?;
    let document = serde_json::from_slice(&decode(payload)?).map_err(|_| CheckError::Form)?;
    Ok((document, &key.thumbprint))
}

/// Random bytes of the host.
#[cfg(target_family = "wasm")]
mod random {
    wit_bindgen::generate!({
        inline: "package portcullis:check@0.1.0;
            world randomness { import wasi:random/random@0.2.0; }
            package wasi:random@0.2.0 { interface random { get-random-bytes: func(len: u64) -> list<u8>; } }",
        generate_all,
    });

    pub(super) fn bytes(length: u64) -> Vec<u8> {
        wasi::random::random::get_random_bytes(length)
    }
}

/// Outside wasm there are tests alone: what is not repeated is enough.
#[cfg(not(target_family = "wasm"))]
mod random {
    use std::hash::{BuildHasher as _, RandomState};

    pub(super) fn bytes(length: u64) -> Vec<u8> {
        (0..length).map(|place| RandomState::new().hash_one(place).to_le_bytes()[0]).collect()
    }
}
