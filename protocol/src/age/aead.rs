//! ChaCha20-Poly1305 (RFC 8439) on one chunk: in portable code, and, with the feature `fast`, in that of AWS-LC.
//!
//! Both give the same bytes. Either wipes its key when it is dropped: `chacha20poly1305` by `zeroize`; AWS-LC keeps the
//! key inside a context that it allocates itself, and `OPENSSL_free` overwrites all of it before it gives it back.

use super::layout::TAG_LEN;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use zeroize::Zeroize;

/// The key of a payload, ready to be used. One lives behind an `Arc` per payload, so the sizes may differ.
pub(super) enum Aead {
    Portable(Box<ChaCha20Poly1305>),
    #[cfg(feature = "fast")]
    Fast(aws_lc_rs::aead::LessSafeKey),
}

/// A chunk is not authentic.
#[derive(Debug)]
pub(super) struct NotAuthentic;

impl Aead {
    /// In portable code, whatever this build has.
    pub(super) fn portable(key: &[u8; 32]) -> Self {
        Self::Portable(Box::new(ChaCha20Poly1305::new(key.into())))
    }

    /// The fastest of this build.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        #[cfg(feature = "fast")]
        {
            use aws_lc_rs::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
            let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the length of this algorithm");
            Self::Fast(LessSafeKey::new(key))
        }
        #[cfg(not(feature = "fast"))]
        Self::portable(key)
    }

    /// Opens `sealed` into `out`, which has the same length. On failure no plaintext is left in `out`.
    pub(super) fn open(
        &self,
        nonce: [u8; 12],
        sealed: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        let opened = match self {
            Self::Portable(key) => InOutBuf::new(sealed, out).map_err(|_| NotAuthentic).and_then(|text| {
                key.decrypt_inout_detached(&nonce.into(), b"", text, &Tag::from(*tag)).map_err(|_| NotAuthentic)
            }),
            #[cfg(feature = "fast")]
            Self::Fast(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, Aad::empty(), sealed, tag, out).map_err(|_| NotAuthentic)
            }
        };
        // AWS-LC decrypts and authenticates at once, and wipes what it wrote where the tag is wrong. So does this.
        opened.inspect_err(|_| out.zeroize())
    }

    /// As [`Self::open`], in place.
    pub(super) fn open_in_place(
        &self,
        nonce: [u8; 12],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), NotAuthentic> {
        let opened = match self {
            Self::Portable(key) => {
                let text = InOutBuf::from(&mut *text);
                key.decrypt_inout_detached(&nonce.into(), b"", text, &Tag::from(*tag)).map_err(|_| NotAuthentic)
            }
            #[cfg(feature = "fast")]
            Self::Fast(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, Aad::empty(), tag, text).map(|_| ()).map_err(|_| NotAuthentic)
            }
        };
        opened.inspect_err(|_| text.zeroize())
    }

    /// Seals `plain` into `out`, which is longer by a tag.
    pub(super) fn seal(&self, nonce: [u8; 12], plain: &[u8], out: &mut [u8]) {
        const LENGTHS: &str = "a chunk is sealed into its own length and a tag, far below the cipher's limit";
        let (text, tag) = out.split_at_mut(plain.len());
        match self {
            Self::Portable(key) => {
                let text = InOutBuf::new(plain, text).expect(LENGTHS);
                tag.copy_from_slice(&key.encrypt_inout_detached(&nonce.into(), b"", text).expect(LENGTHS));
            }
            #[cfg(feature = "fast")]
            Self::Fast(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_out_of_place_scatter(nonce, Aad::empty(), plain, text, b"", tag).expect(LENGTHS);
            }
        }
    }
}
