//! A secret key as a private JSON Web Key (RFC 8037 section 2), as it stands in a file of its owner's.

use crate::encoding::Octets;
use crate::keys::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Why a text is not taken for a secret key. Any 32 bytes would do as one, so the text has to say that it is one, and
/// which public key belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateJwkError {
    /// No object of exactly `crv`, `kty`, `x` and `d`, the last two of 32 bytes in base64url.
    #[error("not a private JWK")]
    Form,
    /// A key of another curve, or for another algorithm.
    #[error("not an Ed25519 key")]
    Curve,
    /// `x` is no usable public key.
    #[error("its public half is not a valid key")]
    PublicHalf,
    /// `x` is the public half of another key than `d`.
    #[error("its halves do not belong together")]
    Halves,
}

/// As it is written. The secret half is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateJwk {
    crv: String,
    kty: String,
    x: Octets<32>,
    d: Octets<32>,
}

impl Drop for PrivateJwk {
    fn drop(&mut self) {
        self.d.0.zeroize();
    }
}

impl SecretKey {
    /// The key as a private JWK in one line of JSON, some 140 bytes, without an end of the line.
    #[must_use]
    pub fn to_private_jwk(&self) -> Zeroizing<Vec<u8>> {
        let x = Octets(self.public().to_bytes());
        let jwk = PrivateJwk { crv: "Ed25519".into(), kty: "OKP".into(), x, d: Octets(*self.to_seed()) };
        Zeroizing::new(serde_json::to_vec(&jwk).unwrap_or_default())
    }

    /// Reads a private JWK. White space around it does not matter.
    ///
    /// # Errors
    /// [`PrivateJwkError`] if it is not exactly one, is of another kind, or its halves do not belong together.
    pub fn from_private_jwk(text: &[u8]) -> Result<Self, PrivateJwkError> {
        let jwk: PrivateJwk = serde_json::from_slice(text).map_err(|_| PrivateJwkError::Form)?;
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return Err(PrivateJwkError::Curve);
        }
        let public = PublicKey::from_bytes(&jwk.x.0).map_err(|_| PrivateJwkError::PublicHalf)?;
        let key = Self::from_seed(&jwk.d.0);
        if *key.public() == public { Ok(key) } else { Err(PrivateJwkError::Halves) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.1.
    const RFC_8037: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn the_key_of_the_rfc_is_read_and_written_back() {
        let key = SecretKey::from_private_jwk(format!(" {RFC_8037}\n").as_bytes()).expect("a key");
        let again = SecretKey::from_private_jwk(&key.to_private_jwk()).expect("a key");
        assert_eq!(again.to_seed(), key.to_seed());
    }

    #[test]
    fn what_is_no_key_is_refused_and_said_to_be() {
        let other = Octets(SecretKey::from_seed(&[1; 32]).public().to_bytes()).to_string();
        for (text, why) in [
            (String::new(), PrivateJwkError::Form),
            (RFC_8037.replace(r#""d""#, r#""e""#), PrivateJwkError::Form),
            (RFC_8037.replace('}', r#","use":"sig"}"#), PrivateJwkError::Form),
            (RFC_8037.replace("Ed25519", "X25519"), PrivateJwkError::Curve),
            (RFC_8037.replace("OKP", "EC"), PrivateJwkError::Curve),
            (
                RFC_8037.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", &Octets([0; 32]).to_string()),
                PrivateJwkError::PublicHalf,
            ),
            (RFC_8037.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", &other), PrivateJwkError::Halves),
        ] {
            assert_eq!(SecretKey::from_private_jwk(text.as_bytes()).err(), Some(why), "{text}");
        }
    }
}
