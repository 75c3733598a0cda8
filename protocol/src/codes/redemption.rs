//! A code that redeems to rights in a resource of the same platform: 80 random bits, and 20 that find slips.

use crate::labels::REDEMPTION_CODE;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Crockford's base 32: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, without the lines between its groups.
const CHARACTERS: usize = 20;
/// Characters of a group.
const GROUP: usize = 5;

/// A redemption code. Wiped when it is dropped, printed as redacted; [`RedemptionCode::text`] is what its owner
/// types.
#[derive(Clone, PartialEq, Eq)]
pub struct RedemptionCode(Zeroizing<[u8; 10]>);

/// The text is not a redemption code: a slip of the pen, found before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a redemption code: a code has 20 letters and digits, the last four of which fit the others. Check for typing errors"
)]
pub struct BadRedemptionCode;

impl RedemptionCode {
    /// The code of these 80 bits.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 80 bits.
    #[must_use]
    pub fn expose(&self) -> &[u8; 10] {
        &self.0
    }

    /// What its owner types: `XXXXX-XXXXX-XXXXX-XXXXX`.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        // Made in its length: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / GROUP));
        let bits = whole(&self.0);
        for at in 0..CHARACTERS {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            let shift = 5 * (CHARACTERS - 1 - at);
            text.push(char::from(ALPHABET[usize::from((*bits >> shift) as u8 & 31)]));
        }
        text
    }
}

/// All 100 bits: the 80 of the code, then the 20 that check them.
fn whole(bytes: &[u8; 10]) -> Zeroizing<u128> {
    let mut hash = Sha256::new_with_prefix(REDEMPTION_CODE);
    hash.update(bytes);
    let digest = hash.finalize();
    let check = u128::from(digest[0]) << 12 | u128::from(digest[1]) << 4 | u128::from(digest[2]) >> 4;
    let secret = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    Zeroizing::new(secret << 20 | check)
}

impl FromStr for RedemptionCode {
    type Err = BadRedemptionCode;

    fn from_str(text: &str) -> Result<Self, BadRedemptionCode> {
        let (mut bits, mut characters) = (Zeroizing::new(0_u128), 0);
        for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let value = match c.to_ascii_uppercase() {
                'O' => 0,
                'I' | 'L' => 1,
                c => {
                    let at = ALPHABET.iter().position(|known| char::from(*known) == c).ok_or(BadRedemptionCode)?;
                    at as u128
                }
            };
            characters += 1;
            if characters > CHARACTERS {
                return Err(BadRedemptionCode);
            }
            *bits = *bits << 5 | value;
        }
        let mut bytes = Zeroizing::new([0; 10]);
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (*bits >> (20 + 8 * (9 - at))) as u8;
        }
        if characters == CHARACTERS && *whole(&bytes) == *bits { Ok(Self(bytes)) } else { Err(BadRedemptionCode) }
    }
}

impl fmt::Debug for RedemptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedemptionCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_written_and_as_people_write_it() {
        let code = RedemptionCode::from_bytes([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11, 0x22]);
        let text = code.text();
        assert_eq!(text.len(), 23);
        assert_eq!(text.matches('-').count(), 3);
        let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for spelling in [text.to_string(), sloppy, text.replace('-', ""), text.replace('1', "I")] {
            assert!(spelling.parse::<RedemptionCode>().expect("a code") == code, "{spelling}");
        }
        assert_eq!(format!("{code:?}"), "RedemptionCode(redacted)");
    }

    #[test]
    fn slips_are_found() {
        let text = RedemptionCode::from_bytes([7; 10]).text();
        let plain = text.replace('-', "");
        let mut slips = 0;
        for at in 0..plain.len() {
            for other in ALPHABET {
                let mut slip = plain.clone().into_bytes();
                if slip[at] == *other {
                    continue;
                }
                slip[at] = *other;
                slips += 1;
                assert!(String::from_utf8(slip).expect("ASCII").parse::<RedemptionCode>().is_err());
            }
        }
        assert_eq!(slips, 20 * 31);
        for bad in ["", "x", &plain[1..], &format!("{plain}0"), &plain.replace(&plain[..1], "U"), &"0".repeat(200)] {
            assert!(bad.parse::<RedemptionCode>().is_err(), "{bad}");
        }
    }
}
