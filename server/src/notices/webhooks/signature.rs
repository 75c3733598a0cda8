//! The signatures of an attempt, as Standard Webhooks 1.0 has them.

use super::keys::OpenKeys;
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Signs identifier, time and body, once with each key: `v1,…` and `v1a,…`.
#[must_use]
pub fn sign(keys: &OpenKeys, id: &str, timestamp: u64, body: &[u8]) -> [String; 2] {
    let message = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys.secret).expect("any length is a key");
    mac.update(&message);
    let signed = keys.key.sign(&message);
    [
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes())),
        format!("v1a,{}", Base64::encode_string(&signed.0)),
    ]
}
