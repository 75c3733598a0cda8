//! The sender's half of HPKE (RFC 9180) in base mode, with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20Poly1305. What it makes the `hpke` crate opens; that crate's own sender draws its ephemeral key only when it
//! seals, and this one may be made before.

use crate::agreement::OneTimeSecret;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::{Hkdf, HkdfExtract};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

/// Begins everything that is hashed.
const VERSION: &[u8] = b"HPKE-v1";
/// DHKEM(X25519, HKDF-SHA256), inside the key encapsulation.
const KEM: &[u8] = b"KEM\x00\x20";
/// The suite: that one, HKDF-SHA256, ChaCha20Poly1305.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";
/// The mode without a pre-shared key and without a sender's identity.
const BASE: u8 = 0;
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// An ephemeral key of a sender: it may be made at any time, and encapsulates once.
pub(crate) struct EphemeralSecret(OneTimeSecret);

impl EphemeralSecret {
    /// `DeriveKeyPair` of 32 random bytes (section 7.1.3).
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut material = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *material);
        let mut secret = Zeroizing::new([0; 32]);
        expand(&extract(KEM, b"", b"dkp_prk", &*material), KEM, b"sk", b"", &mut *secret);
        Self(OneTimeSecret::new(&secret))
    }

    /// `SetupBaseS` (section 5.1.1): what travels, and what seals. `None` if the recipient's key is of low order.
    pub(crate) fn encapsulate(self, recipient: &[u8; 32], info: &[u8]) -> Option<([u8; 32], Sender)> {
        let sent = *self.0.public();
        let agreed = self.0.agree(recipient)?;
        let mut both = [0; 64];
        both[..32].copy_from_slice(&sent);
        both[32..].copy_from_slice(recipient);
        let mut shared = Zeroizing::new([0; 32]);
        expand(&extract(KEM, b"", b"eae_prk", &*agreed), KEM, b"shared_secret", &both, &mut *shared);
        Some((sent, Sender::new(&shared, info)))
    }
}

/// What seals message after message.
pub(crate) struct Sender {
    cipher: ChaCha20Poly1305,
    base_nonce: [u8; 12],
    next: u64,
}

impl Sender {
    /// `KeySchedule` (section 5.1) without a pre-shared key.
    fn new(shared: &[u8; 32], info: &[u8]) -> Self {
        let mut context = [BASE; 65];
        hashed(b"psk_id_hash", b"", &mut context[1..33]);
        hashed(b"info_hash", info, &mut context[33..]);
        let secret = extract(SUITE, shared, b"secret", b"");
        let (mut key, mut base_nonce) = (Zeroizing::new([0; 32]), [0; 12]);
        expand(&secret, SUITE, b"key", &context, &mut *key);
        expand(&secret, SUITE, b"base_nonce", &context, &mut base_nonce);
        Self { cipher: ChaCha20Poly1305::new((&*key).into()), base_nonce, next: 0 }
    }

    /// Seals the next message: its bytes, then the tag.
    pub(crate) fn seal(&mut self, message: &[u8], associated: &[u8]) -> Vec<u8> {
        let mut nonce = self.base_nonce;
        nonce[4..].iter_mut().zip(self.next.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        // 2^64 messages of one release are out of reach.
        self.next += 1;
        let mut sealed = Vec::with_capacity(message.len() + TAG);
        sealed.extend_from_slice(message);
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), associated, sealed.as_mut_slice().into())
            .expect("a message is far below the cipher's limit");
        sealed.extend_from_slice(&tag);
        sealed
    }
}

/// `LabeledExtract` (section 4).
fn extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Hkdf<Sha256> {
    let (mut key, hkdf) = extraction(suite, salt, label, secret).finalize();
    key.as_mut_slice().zeroize();
    hkdf
}

/// The same of something that is no secret.
fn hashed(label: &[u8], text: &[u8], to: &mut [u8]) {
    to.copy_from_slice(&extraction(SUITE, b"", label, text).finalize().0);
}

fn extraction(suite: &[u8], salt: &[u8], label: &[u8], material: &[u8]) -> HkdfExtract<Sha256> {
    let mut extraction = HkdfExtract::<Sha256>::new(Some(salt));
    [VERSION, suite, label, material].iter().for_each(|part| extraction.input_ikm(part));
    extraction
}

/// `LabeledExpand` (section 4).
fn expand(key: &Hkdf<Sha256>, suite: &[u8], label: &[u8], info: &[u8], to: &mut [u8]) {
    let length = u16::try_from(to.len()).expect("keys and nonces are short").to_be_bytes();
    key.expand_multi_info(&[&length, VERSION, suite, label, info], to).expect("far below HKDF's limit of 255 hashes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::{Infallible, TryCryptoRng, TryRng};

    /// Gives out exactly the bytes it was given: the RFC states them.
    struct Scripted(Vec<u8>);

    impl TryRng for Scripted {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("only whole keys are drawn")
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("only whole keys are drawn")
        }
        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
            to.copy_from_slice(&self.0.drain(..to.len()).collect::<Vec<_>>());
            Ok(())
        }
    }

    impl TryCryptoRng for Scripted {}

    #[test]
    fn rfc_9180_appendix_a_2_1() {
        let vector = include_str!("../../tests/vectors/hpke-rfc9180-a2.json");
        let vector: serde_json::Value = serde_json::from_str(vector).expect("JSON");
        let hex = |value: &serde_json::Value| -> Vec<u8> {
            let text = value.as_str().expect("hex");
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
        };
        let ephemeral = EphemeralSecret::generate(&mut Scripted(hex(&vector["ikmE"])));
        let recipient: [u8; 32] = hex(&vector["pkRm"]).try_into().expect("32 bytes");
        let (sent, mut sender) = ephemeral.encapsulate(&recipient, &hex(&vector["info"])).expect("encapsulated");
        assert_eq!(sent.as_slice(), hex(&vector["enc"]));
        let mut messages = 0;
        for message in vector["encryptions"].as_array().expect("messages") {
            while sender.next < message["sequence"].as_u64().expect("a number") {
                sender.seal(b"skipped", b"");
            }
            assert_eq!(sender.seal(&hex(&message["pt"]), &hex(&message["aad"])), hex(&message["ct"]));
            messages += 1;
        }
        assert!(messages >= 5 && sender.next == 257, "{messages} messages");
    }
}
