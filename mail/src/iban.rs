//! Where a biller wants its money: an IBAN (ISO 13616).

use portcullis_protocol::Currency;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An IBAN whose check digits are right, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Iban(String);

/// Not an IBAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IBAN: its form or its check digits are wrong")]
pub struct BadIban;

impl FromStr for Iban {
    type Err = BadIban;
    fn from_str(text: &str) -> Result<Self, BadIban> {
        let iban: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let good = (15..=34).contains(&iban.len())
            && iban.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            && iban.bytes().take(2).all(|c| c.is_ascii_uppercase())
            && iban.bytes().skip(2).take(2).all(|c| c.is_ascii_digit());
        if !good {
            return Err(BadIban);
        }
        // ISO 7064 MOD 97-10 over the number with letters as 10 to 35, the first four characters moved to the end.
        let rest = iban.bytes().cycle().skip(4).take(iban.len()).fold(0_u32, |rest, c| match c {
            b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
            _ => (rest * 100 + u32::from(c - b'A') + 10) % 97,
        });
        if rest == 1 { Ok(Self(iban)) } else { Err(BadIban) }
    }
}

/// Countries of the euro area, whose accounts are paid to in euros.
const EURO_AREA: [&str; 21] = [
    "AT", "BE", "BG", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PT",
    "SI", "SK",
];

impl Iban {
    /// What is paid to it if nothing else is said: euros in the euro area. Elsewhere accounts are held in several.
    pub(crate) fn currency(&self) -> Option<Currency> {
        EURO_AREA.iter().any(|country| self.0.starts_with(country)).then(|| "EUR".parse().ok()).flatten()
    }
}

impl TryFrom<String> for Iban {
    type Error = BadIban;
    fn try_from(text: String) -> Result<Self, BadIban> {
        text.parse()
    }
}

impl From<Iban> for String {
    fn from(iban: Iban) -> Self {
        iban.0
    }
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_digit_is_found() {
        let good = "DE89 3704 0044 0532 0130 00";
        assert_eq!(good.parse::<Iban>().expect("good").to_string(), "DE89370400440532013000");
        assert!("GB82WEST12345698765432".parse::<Iban>().is_ok());
        for bad in ["DE89370400440532013001", "DE98370400440532013000", "de89370400440532013000", "DE89", "", "ÄÖ89"]
        {
            assert!(bad.parse::<Iban>().is_err(), "{bad}");
        }
    }
}
