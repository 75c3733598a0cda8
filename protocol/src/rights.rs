//! The wire form of rights models: what an offer sells.
//!
//! How each is decided is the server's business (`server/src/billing/rights/`); this is what is signed, shown and
//! stored. Nothing but this file, the server's rules and the command line's words knows a model: everybody else asks a
//! question that every model answers, such as [`Rights::sale`] or [`Rights::is_bought`].

use crate::money::Money;
use crate::span::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How rights come to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sale {
    /// They are not sold: everyone has them, without an order.
    None,
    /// By an order, whose price is paid once.
    Once,
    /// By the unit: the offer's price is that of one, taken from the account's prepaid balance at each draw.
    PerUnit,
    /// By an order whose price is paid again for each period.
    PerPeriod,
}

macro_rules! models {
    ($(
        $(#[$doc:meta])*
        $model:literal, $variant:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }, $sale:ident;
    )*) => {
        /// What an offer gives.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(tag = "model", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum Rights {
            $($(#[$doc])* #[serde(rename = $model)] $variant { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl Rights {
            /// Every model that this version knows, by name, and how it is sold.
            pub const MODELS: &'static [(&'static str, Sale)] = &[$(($model, Sale::$sale),)*];

            /// The model's name, as documents have it.
            #[must_use]
            pub const fn model(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $model,)* }
            }

            /// How they are sold.
            #[must_use]
            pub const fn sale(&self) -> Sale {
                match self { $(Self::$variant { .. } => Sale::$sale,)* }
            }
        }
    };
}

models! {
    /// Everyone may, without an order.
    "free", Free {}, None;
    /// For good, as often as wanted.
    "perpetual", Perpetual {}, Once;
    /// `count` uses; each authorisation draws its quantity.
    "uses", Uses {
        /// How many uses one order buys, at least 1.
        count: u32,
    }, Once;
    /// By the unit: the offer's price is that of one, and each draw takes quantity times price from the account's
    /// prepaid balance.
    "metered", Metered {}, PerUnit;
    /// For a time: the first use begins within one of buying, every other within another of the first.
    "rental", Rental {
        /// Seconds from buying until the first use, at least 1.
        start_within: u32,
        /// Seconds from the first use until the last one begins, at least 1.
        use_within: u32,
    }, Once;
}

impl Rights {
    /// How many uses one order buys, if they are counted. A host that is not patched holds to the count.
    #[must_use]
    pub fn quantity(&self) -> Option<u64> {
        match self {
            Self::Uses { count } => Some(u64::from(*count)),
            Self::Free {} | Self::Perpetual {} | Self::Metered {} | Self::Rental { .. } => None,
        }
    }

    /// Whether an order is placed for them.
    #[must_use]
    pub const fn is_bought(&self) -> bool {
        matches!(self.sale(), Sale::Once | Sale::PerPeriod)
    }

    /// Whether everyone has them, without an order.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        matches!(self.sale(), Sale::None)
    }

    /// Whether each use costs money of the prepaid balance.
    #[must_use]
    pub const fn is_paid_per_unit(&self) -> bool {
        matches!(self.sale(), Sale::PerUnit)
    }

    /// Whether they cost nothing at this price: since they are not sold, or since the price is zero.
    #[must_use]
    pub const fn cost_nothing_at(&self, price: Money) -> bool {
        self.is_given() || price.is_zero()
    }

    /// How a model of this name is sold; `None` if this version does not know it.
    #[must_use]
    pub fn sale_of(model: &str) -> Option<Sale> {
        Self::MODELS.iter().find(|(name, _)| *name == model).map(|(_, sale)| *sale)
    }
}

/// For a person, in a few words.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free {} => f.write_str("free"),
            Self::Perpetual {} => f.write_str("for good"),
            Self::Uses { count: 1 } => f.write_str("1 use"),
            Self::Uses { count } => write!(f, "{count} uses"),
            Self::Metered {} => f.write_str("per unit"),
            Self::Rental { start_within, use_within } => {
                write!(f, "for {}, to be started within {}", Span((*use_within).into()), Span((*start_within).into()))
            }
        }
    }
}
