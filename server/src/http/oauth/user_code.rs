//! The code that a user types (RFC 8628 section 6.1).

use crate::crypto::secrets;
use std::fmt;
use std::str::FromStr;

/// Letters without vowels and without look-alikes: no words, no slips.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 20⁸ codes: with thirty tries in ten minutes nobody guesses one that lives as long.
const LEN: usize = 8;

/// Eight letters, written `WDJB-MJHT`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserCode(String);

/// Not a user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadUserCode;

impl UserCode {
    /// Draws one, each letter equally likely.
    pub(crate) fn draw() -> Self {
        let mut text = String::with_capacity(LEN);
        while text.len() < LEN {
            // 240 is the largest multiple of 20 in a byte; the rest is thrown away.
            let drawn = secrets::random::<16>();
            let letters =
                drawn.iter().filter(|byte| **byte < 240).map(|byte| char::from(LETTERS[usize::from(byte % 20)]));
            text.extend(letters.take(LEN - text.len()));
        }
        Self(text)
    }

    /// The letters alone, as their keyed hash is taken.
    pub(crate) fn letters(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserCode {
    type Err = BadUserCode;

    /// Reads a code as people type it: any case, with or without the hyphen.
    fn from_str(text: &str) -> Result<Self, BadUserCode> {
        let letters: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .take(LEN + 1)
            .collect();
        if letters.len() == LEN && letters.bytes().all(|letter| LETTERS.contains(&letter)) {
            Ok(Self(letters))
        } else {
            Err(BadUserCode)
        }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", &self.0[..LEN / 2], &self.0[LEN / 2..])
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_as_it_was_drawn_however_it_is_typed() {
        for _ in 0..100 {
            let code = UserCode::draw();
            assert_eq!(code.to_string().parse(), Ok(code.clone()));
            assert_eq!(format!(" {} ", code.letters().to_lowercase()).parse(), Ok(code));
        }
        for bad in ["", "WDJB", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "ÄDJB-MJHT"] {
            assert_eq!(bad.parse::<UserCode>(), Err(BadUserCode), "{bad}");
        }
    }
}
