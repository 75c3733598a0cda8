//! Plain values of the contract: what things cost and what bounds a grant.

use std::fmt;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in the currency's minor unit (ISO 4217): 199 is 1.99 EUR, and 199 JPY.
    pub minor_units: i64,
    /// The ISO 4217 code: three capital letters.
    pub currency: String,
}

impl Money {
    /// An amount in minor units.
    ///
    /// ```
    /// use portcullis_guest::Money;
    ///
    /// assert_eq!(Money::new(199, "EUR").to_string(), "1.99 EUR");
    /// assert_eq!(Money::new(199, "JPY").to_string(), "199 JPY");
    /// assert_eq!(Money::new(199, "KWD").to_string(), "0.199 KWD");
    /// ```
    #[must_use]
    pub fn new(minor_units: i64, currency: &str) -> Self {
        Self { minor_units, currency: currency.to_owned() }
    }

    /// How many digits stand after the decimal point (ISO 4217).
    fn decimals(&self) -> usize {
        match self.currency.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor_units < 0 { "-" } else { "" };
        let amount = self.minor_units.unsigned_abs();
        match self.decimals() {
            0 => write!(f, "{sign}{amount} {}", self.currency),
            decimals => {
                let digits = format!("{amount:0width$}", width = decimals + 1);
                let (whole, fraction) = digits.split_at(digits.len() - decimals);
                write!(f, "{sign}{whole}.{fraction} {}", self.currency)
            }
        }
    }
}

/// How an operation can be paid for, from the billing server's signed catalogue. A guest shows it; it cannot set it.
///
/// ```
/// use portcullis_guest::{Money, Offer};
///
/// let offer = |title: &str, model: &str| Offer {
///     id: "o1".into(),
///     title: title.into(),
///     price: Money::new(2, "EUR"),
///     model: model.into(),
///     quantity: None,
/// };
/// assert_eq!(offer("For good", "perpetual").to_string(), "For good for 0.02 EUR");
/// assert_eq!(offer("One page", "metered").to_string(), "One page for 0.02 EUR a unit");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Names the offer at the billing server.
    pub id: String,
    /// What a person reads: "Full picture, for good".
    pub title: String,
    /// What it costs, once; under `metered`, one unit of as many as are asked for.
    pub price: Money,
    /// The rights model: `free`, `perpetual`, `uses`, `metered`; later servers may know more.
    pub model: String,
    /// How much is bought, where the model counts: 10 for ten uses.
    pub quantity: Option<u64>,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.title, self.price)?;
        if self.model == "metered" { f.write_str(" a unit") } else { Ok(()) }
    }
}

/// What bounds a grant. A bound that is absent does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many calls may begin under the grant.
    pub uses: Option<u32>,
    /// How many units may be drawn under the grant.
    pub units: Option<u64>,
    /// How many seconds after its issue new calls may begin.
    pub seconds: Option<u32>,
}
