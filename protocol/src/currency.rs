//! Currencies: the active codes of ISO 4217 that have a minor unit.

use crate::money::MoneyError;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// The active codes, each with the number of digits after the decimal point (ISO 4217 list one, with funds codes).
/// Codes without a minor unit (metals, XDR, XTS, XXX) are no money that anything is sold for.
#[rustfmt::skip]
const ACTIVE: &[(&str, u32)] = &[
    ("AED", 2), ("AFN", 2), ("ALL", 2), ("AMD", 2), ("AOA", 2), ("ARS", 2), ("AUD", 2), ("AWG", 2), ("AZN", 2),
    ("BAM", 2), ("BBD", 2), ("BDT", 2), ("BHD", 3), ("BIF", 0), ("BMD", 2), ("BND", 2), ("BOB", 2), ("BOV", 2),
    ("BRL", 2), ("BSD", 2), ("BTN", 2), ("BWP", 2), ("BYN", 2), ("BZD", 2), ("CAD", 2), ("CDF", 2), ("CHE", 2),
    ("CHF", 2), ("CHW", 2), ("CLF", 4), ("CLP", 0), ("CNY", 2), ("COP", 2), ("COU", 2), ("CRC", 2), ("CUP", 2),
    ("CVE", 2), ("CZK", 2), ("DJF", 0), ("DKK", 2), ("DOP", 2), ("DZD", 2), ("EGP", 2), ("ERN", 2), ("ETB", 2),
    ("EUR", 2), ("FJD", 2), ("FKP", 2), ("GBP", 2), ("GEL", 2), ("GHS", 2), ("GIP", 2), ("GMD", 2), ("GNF", 0),
    ("GTQ", 2), ("GYD", 2), ("HKD", 2), ("HNL", 2), ("HTG", 2), ("HUF", 2), ("IDR", 2), ("ILS", 2), ("INR", 2),
    ("IQD", 3), ("IRR", 2), ("ISK", 0), ("JMD", 2), ("JOD", 3), ("JPY", 0), ("KES", 2), ("KGS", 2), ("KHR", 2),
    ("KMF", 0), ("KPW", 2), ("KRW", 0), ("KWD", 3), ("KYD", 2), ("KZT", 2), ("LAK", 2), ("LBP", 2), ("LKR", 2),
    ("LRD", 2), ("LSL", 2), ("LYD", 3), ("MAD", 2), ("MDL", 2), ("MGA", 2), ("MKD", 2), ("MMK", 2), ("MNT", 2),
    ("MOP", 2), ("MRU", 2), ("MUR", 2), ("MVR", 2), ("MWK", 2), ("MXN", 2), ("MXV", 2), ("MYR", 2), ("MZN", 2),
    ("NAD", 2), ("NGN", 2), ("NIO", 2), ("NOK", 2), ("NPR", 2), ("NZD", 2), ("OMR", 3), ("PAB", 2), ("PEN", 2),
    ("PGK", 2), ("PHP", 2), ("PKR", 2), ("PLN", 2), ("PYG", 0), ("QAR", 2), ("RON", 2), ("RSD", 2), ("RUB", 2),
    ("RWF", 0), ("SAR", 2), ("SBD", 2), ("SCR", 2), ("SDG", 2), ("SEK", 2), ("SGD", 2), ("SHP", 2), ("SLE", 2),
    ("SOS", 2), ("SRD", 2), ("SSP", 2), ("STN", 2), ("SVC", 2), ("SYP", 2), ("SZL", 2), ("THB", 2), ("TJS", 2),
    ("TMT", 2), ("TND", 3), ("TOP", 2), ("TRY", 2), ("TTD", 2), ("TWD", 2), ("TZS", 2), ("UAH", 2), ("UGX", 0),
    ("USD", 2), ("USN", 2), ("UYI", 0), ("UYU", 2), ("UYW", 4), ("UZS", 2), ("VED", 2), ("VES", 2), ("VND", 0),
    ("VUV", 0), ("WST", 2), ("XAD", 2), ("XAF", 0), ("XCD", 2), ("XCG", 2), ("XOF", 0), ("XPF", 0), ("YER", 2),
    ("ZAR", 2), ("ZMW", 2), ("ZWG", 2),
];

/// A currency code. What a person or a publisher writes is read with [`FromStr`], which takes the active codes of ISO
/// 4217 and nothing else. A signed document may be older or younger than this list: there, three capital letters are
/// read, and an amount in a code that is not listed is shown in minor units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// All active currencies, by code.
    pub fn active() -> impl Iterator<Item = Self> {
        ACTIVE.iter().filter_map(|(code, _)| Self::recorded(code).ok())
    }

    /// A code on record, in a document or a database: three capital letters, listed or not.
    ///
    /// # Errors
    /// [`MoneyError::Currency`].
    pub fn recorded(code: &str) -> Result<Self, MoneyError> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(MoneyError::Currency),
        }
    }

    /// The code's letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// How many digits stand after the decimal point: 2 for most, 0 for JPY, 3 for KWD, 4 for CLF. `None` if ISO 4217
    /// has no such active currency.
    #[must_use]
    pub fn exponent(&self) -> Option<u32> {
        let found = ACTIVE.binary_search_by(|(code, _)| code.cmp(&self.as_str()));
        found.ok().and_then(|index| ACTIVE.get(index)).map(|(_, exponent)| *exponent)
    }
}

impl Currency {
    /// Minor units as people write them, with the currency's decimals: `-5.00 EUR`. Also for sums, which may be
    /// negative.
    #[must_use]
    pub fn amount(self, minor_units: i128) -> String {
        let (sign, units) = (if minor_units < 0 { "-" } else { "" }, minor_units.unsigned_abs());
        match self.exponent() {
            Some(0) => format!("{sign}{units} {self}"),
            Some(decimals) => {
                let (scale, width) = (10_u128.pow(decimals), decimals as usize);
                format!("{sign}{}.{:0width$} {self}", units / scale, units % scale)
            }
            // Where the point stands is not known, so none is shown.
            None => format!("{sign}{units} minor units of {self}"),
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let currency = Self::recorded(text)?;
        if currency.exponent().is_some() { Ok(currency) } else { Err(MoneyError::NotListed(currency)) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::recorded(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(ACTIVE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(Currency::active().count(), ACTIVE.len());
    }

    #[test]
    fn only_active_codes_with_a_minor_unit_are_read_from_people() {
        for code in ["EUR", "JPY", "KWD", "CLF", "UYW", "XCG", "ZWG", "SLE", "VED"] {
            assert_eq!(code.parse::<Currency>().expect(code).as_str(), code);
        }
        // A slip, invented ones, withdrawn ones, and those that are no money.
        for code in ["EUE", "AAA", "ZZZ", "BGN", "HRK", "ANG", "DEM", "XAU", "XDR", "XTS", "XXX"] {
            let refused = code.parse::<Currency>().expect_err(code);
            assert!(refused.to_string().contains(code), "{refused}");
        }
        for code in ["eur", "EU", "EURO", "", "€", "E1R"] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::Currency), "{code}");
        }
    }

    #[test]
    fn what_is_on_record_stays_readable() {
        let withdrawn: Currency = serde_json::from_str("\"BGN\"").expect("three capital letters");
        assert_eq!((withdrawn.as_str(), withdrawn.exponent()), ("BGN", None));
        assert!(serde_json::from_str::<Currency>("\"bgn\"").is_err());
    }
}
