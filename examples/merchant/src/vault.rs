//! Codes at rest. A copy of the database, or a backup of it, holds none that can be read: the key lies in a file
//! beside.

use anyhow::{Context as _, Result};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use portcullis_protocol::ProductName;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a nonce: long enough to be drawn at random.
const NONCE: usize = 24;

/// Seals and opens codes.
#[derive(Clone)]
pub(crate) struct Vault(Zeroizing<[u8; 32]>);

impl Vault {
    pub(crate) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// Seals a code. What is sealed for one product opens for no other.
    pub(crate) fn seal(&self, product: &ProductName, code: &str) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = crate::random();
        let payload = Payload { msg: code.as_bytes(), aad: product.as_str().as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).ok().context("a code cannot be sealed")?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What finds a code again without opening any: a copy of the database is no dictionary of codes.
    pub(crate) fn lookup(&self, code: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length is a key");
        mac.update(b"example-merchant stock v1");
        mac.update(code.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// Opens a code of the stock.
    pub(crate) fn open(&self, product: &ProductName, sealed: &[u8]) -> Result<Zeroizing<String>> {
        let damaged = "a code of the stock does not open: stock.key belongs to another database, or one was changed";
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().context(damaged)?;
        let payload = Payload { msg: sealed, aad: product.as_str().as_bytes() };
        let code = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok().context(damaged)?;
        let code = Zeroizing::new(code);
        Ok(Zeroizing::new(std::str::from_utf8(&code).ok().context(damaged)?.to_owned()))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

#[test]
fn a_code_opens_with_its_key_for_its_product() {
    let vault = Vault::new(Zeroizing::new([7; 32]));
    let (game, film): (ProductName, ProductName) = ("game".parse().expect("a name"), "film".parse().expect("a name"));
    let sealed = vault.seal(&game, "ALPINE-RACER").expect("sealed");
    assert!(!sealed.windows(6).any(|window| window == b"ALPINE"), "nothing of it can be read");
    assert_eq!(vault.open(&game, &sealed).expect("opened").as_str(), "ALPINE-RACER");
    assert!(vault.open(&film, &sealed).is_err(), "another product");
    assert!(Vault::new(Zeroizing::new([8; 32])).open(&game, &sealed).is_err(), "another key");
    let mut changed = sealed;
    *changed.last_mut().expect("a byte") ^= 1;
    assert!(vault.open(&game, &changed).is_err(), "changed");
    assert!(vault.open(&game, b"short").is_err());
    let found = vault.lookup("ALPINE-RACER");
    assert_eq!(found, vault.lookup("ALPINE-RACER"));
    assert_ne!(found, Vault::new(Zeroizing::new([8; 32])).lookup("ALPINE-RACER"), "another key");
}
