//! The keys of an endpoint: a shared secret for `v1`, and a key pair for `v1a`.

use crate::crypto::secrets::{SecretError, Secrets, random};
use crate::store::{EndpointId, EndpointKeys, NewEndpointKeys};
use base64ct::{Base64, Encoding as _};
use portcullis_protocol::SecretKey;
use zeroize::Zeroizing;

/// What they are sealed as.
pub(crate) const SECRET: &str = "webhook secret";
pub(crate) const SEED: &str = "webhook key";

/// Keys that were opened.
pub struct OpenKeys {
    pub(super) secret: Zeroizing<Vec<u8>>,
    pub(super) key: SecretKey,
}

impl std::fmt::Debug for OpenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenKeys(redacted)")
    }
}

impl OpenKeys {
    /// The secret as its owner is told it: `whsec_` and base64.
    #[must_use]
    pub fn shared(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", *Zeroizing::new(Base64::encode_string(&self.secret))))
    }

    /// The public half as it is published: `whpk_` and base64.
    #[must_use]
    pub fn public(&self) -> String {
        public(&self.key.public().to_bytes())
    }
}

/// A public key as it is published.
#[must_use]
pub fn public(key: &[u8; 32]) -> String {
    format!("whpk_{}", Base64::encode_string(key))
}

/// Draws keys for an endpoint.
#[must_use]
pub fn new(secrets: &Secrets, endpoint: &EndpointId) -> (NewEndpointKeys, OpenKeys) {
    let (secret, seed) = (Zeroizing::new(random::<32>().to_vec()), Zeroizing::new(random::<32>()));
    let key = SecretKey::from_seed(&seed);
    let public = key.public().to_bytes();
    let sealed = NewEndpointKeys {
        secret: secrets.seal(SECRET, &row(endpoint, &public), &secret),
        seed: secrets.seal(SEED, &row(endpoint, &public), &*seed),
        public,
    };
    (sealed, OpenKeys { secret, key })
}

/// Opens the keys of an endpoint.
///
/// # Errors
/// [`SecretError::DoesNotOpen`].
pub fn open(secrets: &Secrets, endpoint: &EndpointId, keys: &EndpointKeys) -> Result<OpenKeys, SecretError> {
    let row = row(endpoint, &keys.public);
    let seed = secrets.unseal(SEED, &row, &keys.seed)?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(seed.as_slice().try_into().map_err(|_| SecretError::DoesNotOpen(SEED))?);
    Ok(OpenKeys { secret: secrets.unseal(SECRET, &row, &keys.secret)?, key: SecretKey::from_seed(&seed) })
}

/// The row that they are sealed to.
pub(crate) fn row(endpoint: &EndpointId, public: &[u8; 32]) -> Vec<u8> {
    [&endpoint.0.0[..], public].concat()
}
