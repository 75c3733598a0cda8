//! The numbers of an order, each of which only a valid value inhabits.

use crate::limits::{MAX_CODES, MAX_DEADLINE, MAX_GENERATION, MIN_DEADLINE};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A number that is not within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {least} to {most}")]
pub struct OutOfBounds {
    what: &'static str,
    least: u32,
    most: u32,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $what:literal, $least:expr, $most:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u32", into = "u32")]
        pub struct $name(u32);

        impl $name {
            /// Takes a number within the bounds.
            ///
            /// # Errors
            /// [`OutOfBounds`] says them.
            pub const fn new(number: u32) -> Result<Self, OutOfBounds> {
                if number < $least || number > $most {
                    return Err(OutOfBounds { what: $what, least: $least, most: $most });
                }
                Ok(Self(number))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl TryFrom<u32> for $name {
            type Error = OutOfBounds;
            fn try_from(number: u32) -> Result<Self, OutOfBounds> {
                Self::new(number)
            }
        }

        impl From<$name> for u32 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// How many codes an order is for.
    Quantity, "the quantity", 1, MAX_CODES
);
number!(
    /// Which sealing of an order's code: 1, and one more for each terminal that was lost before it acknowledged.
    Generation, "the generation", 1, MAX_GENERATION
);
number!(
    /// How long a merchant has from payment to code, in seconds.
    TimeToDeliver, "the deadline", MIN_DEADLINE, MAX_DEADLINE
);

impl Quantity {
    /// One code.
    pub const ONE: Self = Self(1);
}

impl Generation {
    /// The first sealing.
    pub const FIRST: Self = Self(1);

    /// The one after, if there may be another.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1).ok()
    }
}

#[test]
fn numbers_keep_their_bounds() {
    assert!(Quantity::new(0).is_err() && Quantity::new(101).is_err());
    assert_eq!(serde_json::from_str::<Quantity>("100").expect("fits").get(), 100);
    assert!(serde_json::from_str::<Quantity>("0").is_err());
    assert_eq!(TimeToDeliver::new(9).expect_err("too short").to_string(), "the deadline must be 10 to 86400");
    assert_eq!(Generation::FIRST.next().expect("second").get(), 2);
    assert_eq!(Generation::new(MAX_GENERATION).expect("last").next(), None);
}
