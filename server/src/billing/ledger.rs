//! The ledger: double entry by construction. A transfer moves an amount from one account to another, so every
//! commodity sums to zero, always; transfers are appended by the transaction that does what they record, and neither
//! changed nor deleted (the database refuses it).
//!
//! ```text
//! paid      provider:sandbox  ──4.00 EUR──▶ publisher:lumen
//! of uses   issued            ──10 uses───▶ entitlement:<id>
//! verified  entitlement:<id>  ───1 use────▶ used
//! top-up    provider:sandbox  ──5.00 EUR──▶ prepaid:<account>
//! metered   prepaid:<account> ──0.02 EUR──▶ publisher:lumen
//! refund    publisher:lumen   ──4.00 EUR──▶ provider:sandbox
//!           entitlement:<id>  ──9 uses────▶ withdrawn
//! of money  prepaid:<account> ──4.98 EUR──▶ refunds ──4.98 EUR──▶ provider:sandbox
//! too late  provider:sandbox  ──4.00 EUR──▶ refunds ──4.00 EUR──▶ provider:sandbox
//! disputed  publisher:lumen   ──4.00 EUR──▶ disputes, and back if it is won
//! charged   disputes          ──4.00 EUR──▶ provider:sandbox
//!   back    losses            ──0.02 EUR──▶ provider:sandbox        what was drawn of a top-up
//! by the    publisher:lumen   ──4.00 EUR──▶ refunds ──4.00 EUR──▶ provider:sandbox
//!  provider losses            ──0.02 EUR──▶ provider:sandbox        what was drawn of a top-up
//! codes     provider:sandbox  ──9.00 EUR──▶ undelivered
//!  received undelivered       ──9.00 EUR──▶ merchant:games           never before
//!  failed   undelivered       ──9.00 EUR──▶ refunds ──9.00 EUR──▶ provider:sandbox
//! ```

use crate::billing::entitlement::EntitlementId;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{AccountId, Currency, MerchantName, PublisherName};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What is counted: money of a currency, in minor units, or uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Commodity {
    /// Money.
    Money(Currency),
    /// Uses of an operation.
    Uses,
}

impl Commodity {
    /// An amount of it, as people write it: `5.00 EUR`, `3 uses`.
    #[must_use]
    pub fn amount(self, amount: i128) -> String {
        match self {
            Self::Money(currency) => currency.amount(amount),
            Self::Uses => format!("{amount} uses"),
        }
    }
}

impl fmt::Display for Commodity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(currency) => currency.fmt(f),
            Self::Uses => f.write_str("uses"),
        }
    }
}

/// The text names nothing that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a commodity of the ledger")]
pub struct UnknownCommodity;

impl FromStr for Commodity {
    type Err = UnknownCommodity;
    fn from_str(text: &str) -> Result<Self, UnknownCommodity> {
        if text == "uses" {
            return Ok(Self::Uses);
        }
        Currency::recorded(text).map(Self::Money).map_err(|_| UnknownCommodity)
    }
}

/// An account of the ledger: where something is, or came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerAccount(String);

impl LedgerAccount {
    /// What a payment provider owes.
    #[must_use]
    pub fn provider(name: &str) -> Self {
        Self(format!("provider:{name}"))
    }

    /// What is owed to a publisher.
    #[must_use]
    pub fn publisher(name: &PublisherName) -> Self {
        Self(format!("publisher:{name}"))
    }

    /// What is owed to an account: its prepaid money.
    #[must_use]
    pub fn prepaid(account: &AccountId) -> Self {
        Self(format!("prepaid:{account}"))
    }

    /// Money on its way back, until its provider confirms: prepaid, or paid for an order that counts as declined.
    #[must_use]
    pub fn refunds() -> Self {
        Self("refunds".into())
    }

    /// Money that a payer disputes, until it is decided.
    #[must_use]
    pub fn disputes() -> Self {
        Self("disputes".into())
    }

    /// What was paid for codes that no merchant has delivered yet.
    #[must_use]
    pub fn undelivered() -> Self {
        Self("undelivered".into())
    }

    /// What is owed to a merchant.
    #[must_use]
    pub fn merchant(name: &MerchantName) -> Self {
        Self(format!("merchant:{name}"))
    }

    /// What the store lost: prepaid money that was drawn, and then charged back or paid back by the provider itself.
    #[must_use]
    pub fn losses() -> Self {
        Self("losses".into())
    }

    /// The uses left in an entitlement.
    #[must_use]
    pub fn entitlement(id: &EntitlementId) -> Self {
        Self(format!("entitlement:{}", id.0))
    }

    /// Where uses come from.
    #[must_use]
    pub fn issued() -> Self {
        Self("issued".into())
    }

    /// Where uses go.
    #[must_use]
    pub fn used() -> Self {
        Self("used".into())
    }

    /// Where uses go that were paid back.
    #[must_use]
    pub fn withdrawn() -> Self {
        Self("withdrawn".into())
    }

    /// An account read from storage.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A transfer to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    /// The account that gives.
    pub from: LedgerAccount,
    /// The account that takes.
    pub to: LedgerAccount,
    /// How much, above zero.
    pub amount: i64,
    /// Of what.
    pub commodity: Commodity,
    /// What it belongs to: an order or a grant.
    pub subject: [u8; 16],
}

/// A transfer on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its place in the ledger, from 1.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// The account that gave.
    pub from: LedgerAccount,
    /// The account that took.
    pub to: LedgerAccount,
    /// How much.
    pub amount: i64,
    /// Of what.
    pub commodity: Commodity,
}

/// What an account of the ledger holds of a commodity: below zero if it gave more than it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: LedgerAccount,
    /// Of what.
    pub commodity: Commodity,
    /// How much.
    pub amount: i64,
}

/// What the balances of each commodity add up to: zero, if the books are right.
#[must_use]
pub fn sums(balances: &[Balance]) -> BTreeMap<Commodity, i128> {
    let mut sums = BTreeMap::new();
    for balance in balances {
        *sums.entry(balance.commodity).or_default() += i128::from(balance.amount);
    }
    sums
}
