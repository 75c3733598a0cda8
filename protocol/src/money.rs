//! Money: integer minor units and an ISO 4217 code. No floating point anywhere.

use crate::currency::Currency;
use crate::limits::MAX_MINOR_UNITS;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// Why an amount was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not the form of a currency code.
    #[error("not a currency: write its ISO 4217 code, three capital letters, as in EUR")]
    Currency,
    /// No active currency of ISO 4217 has this code.
    #[error("`{0}` is not an active currency of ISO 4217: write a code such as EUR")]
    NotListed(Currency),
    /// Not an amount.
    #[error("not an amount: write it as `1.99 EUR`, with as many decimals as the currency has")]
    Amount,
    /// Not the currency's number of decimals. The example is of its form alone: whoever wrote another amount than it
    /// shows means his own.
    #[error("not an amount of {currency}, which has {decimals} decimals: write as many, as in `{}`", example(*.currency))]
    Decimals {
        /// The currency.
        currency: Currency,
        /// How many it has.
        decimals: u32,
    },
    /// Below zero where that has no meaning, or beyond the bound.
    #[error(
        "the amount is out of range: from 0.00 EUR to 10000000000.00 EUR, or as many of another currency's smallest units"
    )]
    Range,
    /// Two currencies in one sum.
    #[error("amounts of different currencies cannot be added")]
    Mixed,
}

/// An amount of a currency, well written.
fn example(currency: Currency) -> String {
    match currency.exponent() {
        Some(decimals) if decimals > 0 => format!("1.{:0width$} {currency}", 0, width = decimals as usize),
        _ => format!("1 {currency}"),
    }
}

/// A price or an amount charged: never negative, at most 10^12 minor units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

impl Money {
    /// An amount in minor units.
    ///
    /// # Errors
    /// [`MoneyError::Range`] below zero or above the bound.
    pub fn new(minor_units: i64, currency: Currency) -> Result<Self, MoneyError> {
        if (0..=MAX_MINOR_UNITS).contains(&minor_units) {
            Ok(Self { minor_units, currency })
        } else {
            Err(MoneyError::Range)
        }
    }

    /// The amount in the currency's minor unit.
    #[must_use]
    pub const fn minor_units(&self) -> i64 {
        self.minor_units
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether nothing is owed.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.minor_units == 0
    }

    /// The sum, where both are of one currency and it stays in range.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Range`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed);
        }
        Self::new(self.minor_units.checked_add(other.minor_units).ok_or(MoneyError::Range)?, self.currency)
    }

    /// The amount `times` over.
    ///
    /// # Errors
    /// [`MoneyError::Range`].
    pub fn checked_mul(self, times: u32) -> Result<Self, MoneyError> {
        Self::new(self.minor_units.checked_mul(i64::from(times)).ok_or(MoneyError::Range)?, self.currency)
    }
}

impl FromStr for Money {
    type Err = MoneyError;
    /// Reads `1.99 EUR` or `1.99EUR`. Exactly the currency's number of decimals, or none.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let text = text.trim();
        let end = text.find(|c: char| c.is_whitespace() || c.is_ascii_uppercase()).ok_or(MoneyError::Amount)?;
        let (amount, currency) = text.split_at(end);
        let currency: Currency = currency.trim().parse()?;
        let decimals = currency.exponent().ok_or(MoneyError::NotListed(currency))?;
        let (whole, fraction) = amount.split_once('.').map_or((amount, None), |(w, f)| (w, Some(f)));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        // What is below zero is out of range, not malformed.
        let (whole, is_negative) = whole.strip_prefix('-').map_or((whole, false), |whole| (whole, true));
        if !digits(whole) || fraction.is_some_and(|f| !digits(f)) {
            return Err(MoneyError::Amount);
        }
        if fraction.is_some_and(|f| f.len() != decimals as usize) {
            return Err(MoneyError::Decimals { currency, decimals });
        }
        if is_negative {
            return Err(MoneyError::Range);
        }
        let scale = 10_i64.pow(decimals);
        let whole: i64 = whole.parse().map_err(|_| MoneyError::Range)?;
        let fraction: i64 = fraction.unwrap_or("0").parse().map_err(|_| MoneyError::Range)?;
        let minor = whole.checked_mul(scale).and_then(|w| w.checked_add(fraction)).ok_or(MoneyError::Range)?;
        Self::new(minor, currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.currency.amount(i128::from(self.minor_units)))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            minor_units: i64,
            currency: Currency,
        }
        let raw = Raw::deserialize(deserializer)?;
        Self::new(raw.minor_units, raw.currency).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for text in [
            "1.99 EUR",
            "0.00 EUR",
            "199 JPY",
            "0.001 KWD",
            "0.0001 CLF",
            "1.0500 UYW",
            "0 JPY",
            "10000000000.00 EUR",
            "100000000.0000 CLF",
        ] {
            assert_eq!(text.parse::<Money>().expect(text).to_string(), text);
        }
        let of = |code: &str| code.parse::<Currency>().expect(code);
        assert_eq!(of("EUR").amount(-500), "-5.00 EUR");
        assert_eq!(of("EUR").amount(-7), "-0.07 EUR");
        assert_eq!(of("JPY").amount(-500), "-500 JPY");
        assert_eq!(of("KWD").amount(1), "0.001 KWD");
        assert_eq!("5.00EUR".parse::<Money>().expect("without a space").to_string(), "5.00 EUR");
        assert_eq!("2 EUR".parse::<Money>().expect("whole").minor_units(), 200);
    }

    #[test]
    fn amounts_that_round_overflow_or_go_negative_are_refused() {
        for text in [
            "1.9 EUR",
            "1.999 EUR",
            "1.5 JPY",
            "1. EUR",
            "1.00 CLF",
            "1.0000 KWD",
            "1.00 EUE",
            "5.00 XAU",
            "-1.00 EUR",
            "1e3 EUR",
            "99999999999999999 EUR",
            "1.99 eur",
            "1.99",
            "1,99 EUR",
            ". EUR",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        for text in
            ["-1.00 EUR", "-0 JPY", "10000000000.01EUR", "92233720368547758.07 EUR", "99999999999999999999999 EUR"]
        {
            let error = text.parse::<Money>().expect_err(text);
            assert_eq!(error, MoneyError::Range, "{text}");
            // What the message says is the bound.
            assert!(error.to_string().contains("to 10000000000.00 EUR"), "{error}");
        }
        for text in ["--1 EUR", "-.5 EUR", "- EUR", "1-0 EUR"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::Amount), "{text}");
        }
        let decimals = "1.00 CLF".parse::<Money>().expect_err("four decimals").to_string();
        assert!(decimals.contains("has 4 decimals") && decimals.contains("1.0000 CLF"), "{decimals}");
        let most = Money::new(MAX_MINOR_UNITS, "EUR".parse().expect("code")).expect("bound");
        assert_eq!(most.checked_add(most), Err(MoneyError::Range));
        assert_eq!(most.checked_mul(u32::MAX), Err(MoneyError::Range));
        assert!(serde_json::from_str::<Money>(r#"{"minor_units":-1,"currency":"EUR"}"#).is_err());
    }

    #[test]
    fn an_amount_whose_decimals_nobody_knows_is_shown_without_a_point() {
        let recorded = serde_json::from_str::<Money>(r#"{"minor_units":199,"currency":"EUE"}"#).expect("a document's");
        assert_eq!(recorded.to_string(), "199 minor units of EUE");
    }
}
