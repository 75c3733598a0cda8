//! The wire form of rights models: what an offer sells.
//!
//! How each is decided is the server's business (`server/src/billing/rights/`); this is what is signed, shown and stored.

use crate::money::Money;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an offer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rights {
    /// Everyone may, without an order.
    Free {},
    /// For good, as often as wanted.
    Perpetual {},
    /// `count` uses; each authorisation draws its quantity.
    Uses {
        /// How many uses one order buys, at least 1.
        count: u32,
    },
    /// By the unit: the offer's price is that of one, and each draw takes quantity times price from the account's
    /// prepaid balance.
    Metered {},
}

impl Rights {
    /// The model's name: `free`, `perpetual`, `uses`, `metered`.
    #[must_use]
    pub const fn model(&self) -> &'static str {
        match self {
            Self::Free {} => "free",
            Self::Perpetual {} => "perpetual",
            Self::Uses { .. } => "uses",
            Self::Metered {} => "metered",
        }
    }

    /// How much one order buys, where the model counts.
    #[must_use]
    pub fn quantity(&self) -> Option<u64> {
        match self {
            Self::Uses { count } => Some(u64::from(*count)),
            Self::Free {} | Self::Perpetual {} | Self::Metered {} => None,
        }
    }

    /// Whether nobody has to pay.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Free {})
    }

    /// Whether nobody has to pay, at this price: by the model, or since the price is zero.
    #[must_use]
    pub const fn is_free_at(&self, price: Money) -> bool {
        self.is_free() || price.is_zero()
    }

    /// Whether it is paid for by the unit, from the prepaid balance.
    #[must_use]
    pub const fn is_metered(&self) -> bool {
        matches!(self, Self::Metered {})
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free {} => f.write_str("free"),
            Self::Perpetual {} => f.write_str("for good"),
            Self::Uses { count: 1 } => f.write_str("1 use"),
            Self::Uses { count } => write!(f, "{count} uses"),
            Self::Metered {} => f.write_str("per unit"),
        }
    }
}
