//! Prepaid money, as rights that are paid for by the unit see it.

use portcullis_protocol::Currency;

/// The prepaid balance of an account in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepaid {
    /// The currency.
    pub currency: Currency,
    /// What is left, in minor units, holds not taken off.
    pub amount: i64,
    /// What codes hold that can still be verified, in minor units.
    pub held: i64,
}

impl Prepaid {
    /// What is neither drawn nor held, in minor units.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.amount.saturating_sub(self.held)
    }
}
