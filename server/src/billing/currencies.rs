//! The currencies that a store sells in.

use portcullis_protocol::{Currency, Money};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeSet;
use std::fmt;

/// What a store sells in unless its operator says otherwise: the most traded currencies, and as many as one account can
/// have balances in ([`MAX_BALANCES`](portcullis_protocol::limits::MAX_BALANCES)).
const DEFAULT: [&str; 16] =
    ["AUD", "CAD", "CHF", "CNY", "DKK", "EUR", "GBP", "HKD", "JPY", "KRW", "NOK", "NZD", "PLN", "SEK", "SGD", "USD"];

/// At least one active currency of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currencies(BTreeSet<Currency>);

impl Currencies {
    /// All of them, by code.
    pub fn all(&self) -> impl Iterator<Item = &Currency> {
        self.0.iter()
    }

    /// Whether the store takes money in this currency. An amount of zero is no money: any active currency will do.
    ///
    /// # Errors
    /// Says what the store does sell in.
    pub fn check(&self, amount: Money) -> Result<(), NotSoldIn> {
        let currency = amount.currency();
        let taken = if amount.is_zero() { currency.exponent().is_some() } else { self.0.contains(&currency) };
        if taken { Ok(()) } else { Err(NotSoldIn { currency, sold: self.clone() }) }
    }
}

/// Nothing is sold in this currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this store does not sell in {currency}; it sells in {sold}. Its operator chooses: `currencies` in server.toml"
)]
pub struct NotSoldIn {
    currency: Currency,
    sold: Currencies,
}

impl Default for Currencies {
    fn default() -> Self {
        Self(DEFAULT.iter().map(|code| code.parse().expect("active codes, as a test checks")).collect())
    }
}

impl fmt::Display for Currencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, currency) in self.0.iter().enumerate() {
            write!(f, "{}{currency}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Currencies {
    /// As an operator writes them: each code has to be an active one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let codes = Vec::<String>::deserialize(deserializer)?;
        if codes.is_empty() {
            return Err(D::Error::custom("`currencies` is empty: name at least one, as in [\"EUR\"]"));
        }
        let currencies = codes.iter().map(|code| code.parse().map_err(D::Error::custom));
        currencies.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(minor_units: i64, code: &str) -> Money {
        Money::new(minor_units, Currency::recorded(code).expect("three letters")).expect("in range")
    }

    #[test]
    fn a_store_sells_in_the_currencies_it_names_and_no_others() {
        let currencies: Currencies = serde_json::from_str(r#"["USD", "CLF"]"#).expect("active ones");
        currencies.check(amount(1, "CLF")).expect("named");
        let refused = currencies.check(amount(1, "EUR")).expect_err("not named").to_string();
        assert!(refused.contains("does not sell in EUR") && refused.contains("CLF, USD"), "{refused}");
        currencies.check(amount(0, "EUR")).expect("nothing costs nothing in every currency");
        assert!(currencies.check(amount(0, "EUE")).is_err(), "that there is");
        Currencies::default().check(amount(1, "EUR")).expect("among the most traded ones");
    }

    #[test]
    fn what_is_no_currency_is_refused_by_name() {
        for (written, expected) in [(r#"["EUE"]"#, "EUE"), ("[]", "empty"), (r#"["eur"]"#, "not a currency")] {
            let refused = serde_json::from_str::<Currencies>(written).expect_err(written).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
