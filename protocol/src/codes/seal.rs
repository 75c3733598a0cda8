//! How a code travels from its merchant to its buyer: HPKE (RFC 9180) as in [`crate::release`], to the key of the
//! order.
//!
//! `info` = [`CODE`] ‖ suite byte `0x01` ‖ lp(order) ‖ lp(merchant) ‖ generation ‖ digest of the verification. So
//! what is sealed for one order, merchant, generation or verification opens for no other. It does not say who sealed
//! it: the merchant's [`SealedCode`](crate::SealedCode) beside it does.

use crate::codes::{Generation, Quantity};
use crate::encoding::{BoundedOctets, Octets};
use crate::ids::{Digest, MerchantName, OrderId};
use crate::labels::CODE;
use crate::limits::{MAX_CODE_TEXT, MAX_CODES_TEXT};
use crate::release::{ReleaseError, ReleasePublicKey, ReleaseSecretKey, SUITE, open_once, seal_once};
use crate::text::disturbs;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The longest ciphertext: the codes and their tag.
pub const MAX_CIPHERTEXT: usize = MAX_CODES_TEXT + 16;

/// Why codes cannot be sealed, or what was sealed is not taken for codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// A code is empty, too long, or holds what nobody can read.
    #[error("a code has 1 to 512 bytes, without control, direction or invisible characters")]
    Code,
    /// The codes together are too long.
    #[error("the codes of an order have at most 16384 bytes together")]
    TooLong,
    /// The recipient is a low-order point, which would let anyone open it.
    #[error("the key of the order is a low-order point")]
    LowOrderKey,
    /// Sealed for another order, merchant, generation, verification or key, or changed on the way.
    #[error("it does not open: it is sealed for another order, generation or key, or was changed")]
    DoesNotOpen,
    /// Opened, and not the canonical text of so many codes.
    #[error("it opens, and is not the codes that were paid for")]
    NotTheCodes,
}

/// What a sealing belongs to.
#[derive(Debug, Clone, Copy)]
pub struct CodeContext<'a> {
    /// The order.
    pub order: &'a OrderId,
    /// The merchant.
    pub merchant: &'a MerchantName,
    /// Which sealing.
    pub generation: Generation,
    /// The digest of the verification.
    pub verification: &'a Digest,
}

impl CodeContext<'_> {
    fn info(&self) -> Vec<u8> {
        let mut info = CODE.to_vec();
        info.push(SUITE);
        length_prefixed(&mut info, self.order.as_bytes());
        length_prefixed(&mut info, self.merchant.as_str().as_bytes());
        info.extend_from_slice(&self.generation.get().to_be_bytes());
        info.extend_from_slice(self.verification.as_bytes());
        info
    }
}

fn length_prefixed(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    to.extend_from_slice(bytes);
}

/// The codes of an order, in the clear. Wiped when dropped, printed as redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Codes(Vec<Zeroizing<String>>);

#[derive(Serialize)]
struct Written<'a> {
    codes: Vec<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    codes: Vec<String>,
}

impl Codes {
    /// Takes codes that can be sealed.
    ///
    /// # Errors
    /// [`CodeError::Code`], [`CodeError::TooLong`].
    pub fn new(codes: Vec<Zeroizing<String>>) -> Result<Self, CodeError> {
        let fits = |code: &Zeroizing<String>| (1..=MAX_CODE_TEXT).contains(&code.len()) && !code.chars().any(disturbs);
        if codes.is_empty() || !codes.iter().all(fits) {
            return Err(CodeError::Code);
        }
        let codes = Self(codes);
        if codes.to_json().len() > MAX_CODES_TEXT { Err(CodeError::TooLong) } else { Ok(codes) }
    }

    /// The codes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is one at least")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The one text that says them: what is sealed, and what a terminal stores.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let written = Written { codes: self.iter().collect() };
        // Texts of letters serialise. In its length, so that growing leaves no copies: a quotation mark takes two.
        let room = self.0.iter().map(|code| 2 * code.len() + 3).sum::<usize>() + 16;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        if serde_json::to_writer(&mut *text, &written).is_err() {
            text.clear();
        }
        text
    }

    /// Reads that text, in that one spelling.
    ///
    /// # Errors
    /// [`CodeError::NotTheCodes`].
    pub fn from_json(text: &[u8]) -> Result<Self, CodeError> {
        let read: Read = serde_json::from_slice(text).map_err(|_| CodeError::NotTheCodes)?;
        let codes =
            Self::new(read.codes.into_iter().map(Zeroizing::new).collect()).map_err(|_| CodeError::NotTheCodes)?;
        if codes.to_json().as_slice() == text { Ok(codes) } else { Err(CodeError::NotTheCodes) }
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codes({} redacted)", self.0.len())
    }
}

/// Codes as they travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBytes {
    /// The encapsulated key.
    pub enc: Octets<32>,
    /// The codes and their tag.
    pub ciphertext: BoundedOctets<MAX_CIPHERTEXT>,
}

impl SealedBytes {
    /// The digest that the merchant signs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        ciphertext_digest(&self.enc, self.ciphertext.as_bytes())
    }
}

/// SHA-256(enc ‖ ciphertext): names what was sealed.
#[must_use]
pub fn ciphertext_digest(enc: &Octets<32>, ciphertext: &[u8]) -> Digest {
    let mut hash = Sha256::new_with_prefix(enc.0);
    hash.update(ciphertext);
    Digest::from_bytes(hash.finalize().into())
}

/// Seals the codes of an order to its key.
///
/// # Errors
/// [`CodeError::LowOrderKey`], [`CodeError::TooLong`].
pub fn seal(
    recipient: &Octets<32>,
    context: &CodeContext<'_>,
    codes: &Codes,
    rng: &mut impl CryptoRng,
) -> Result<SealedBytes, CodeError> {
    let recipient = ReleasePublicKey::from_bytes(recipient.0).map_err(|_| CodeError::LowOrderKey)?;
    let (enc, ciphertext) = seal_once(&recipient, &context.info(), &codes.to_json(), rng)?;
    Ok(SealedBytes { enc, ciphertext: BoundedOctets::new(ciphertext).map_err(|_| CodeError::TooLong)? })
}

/// Opens the codes of an order with its key.
///
/// # Errors
/// [`CodeError::DoesNotOpen`], [`CodeError::NotTheCodes`].
pub fn open(
    key: &ReleaseSecretKey,
    context: &CodeContext<'_>,
    quantity: Quantity,
    sealed: &SealedBytes,
) -> Result<Codes, CodeError> {
    let text = open_once(key, &context.info(), &sealed.enc, sealed.ciphertext.as_bytes())?;
    let codes = Codes::from_json(&text)?;
    if codes.len() == quantity.get() as usize { Ok(codes) } else { Err(CodeError::NotTheCodes) }
}

impl From<ReleaseError> for CodeError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::LowOrderKey => Self::LowOrderKey,
            _ => Self::DoesNotOpen,
        }
    }
}
