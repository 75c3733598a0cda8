//! Why the answer is no.

use std::fmt;

use crate::Offer;

/// Why the answer is no: the registry of refusals, in the order of the contract.
///
/// Its text tells a person what happened and what to do now.
///
/// ```
/// use portcullis_guest::{Money, Offer, Refusal};
///
/// let refusal = Refusal::PaymentRequired(vec![Offer {
///     id: "o1".into(),
///     title: "Full picture, for good".into(),
///     price: Money::new(199, "EUR"),
///     model: "perpetual".into(),
///     quantity: None,
/// }]);
/// assert_eq!(refusal.name(), "payment-required");
/// assert_eq!(refusal.to_string(), "it has to be paid for: Full picture, for good for 1.99 EUR");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The account holds no rights for this operation. The offers that would give them, possibly none.
    PaymentRequired(Vec<Offer>),
    /// Too many requests; ask again later.
    RateLimited,
    /// The billing server does not know this terminal.
    TerminalUnknown,
    /// This terminal was revoked.
    TerminalRevoked,
    /// Nobody is signed in on this terminal.
    NotSignedIn,
    /// The account is suspended.
    AccountSuspended,
    /// The billing status code is not one of this server's, or belongs to another terminal.
    StatusCodeUnknown,
    /// The billing status code was not verified in time. What it held was released.
    StatusCodeExpired,
    /// The billing status code was verified already.
    StatusCodeSpent,
    /// The request differs from what the code, proof or key is bound to.
    BindingMismatch,
    /// The billing server does not sell this resource.
    ResourceUnknown,
    /// The resource was withdrawn.
    ResourceWithdrawn,
    /// The resource has no such operation.
    OperationUnknown,
    /// The prepaid balance does not cover the quantity.
    BalanceTooLow,
    /// The rights have ended.
    EntitlementExpired,
    /// The rights are used up.
    EntitlementExhausted,
    /// The rights were taken back, by a refund for one.
    EntitlementRevoked,
    /// Every seat is taken.
    SeatsTaken,
    /// The user was asked and did not agree, or has to agree elsewhere first.
    ConfirmationRequired,
    /// The lease is used up.
    LeaseExhausted,
    /// The terminal's clock cannot be relied on.
    ClockSuspect,
    /// The billing server could not be reached, or its answer was not signed by it.
    Offline,
    /// The resource names no server that this terminal's user has trusted.
    ServerUntrusted,
    /// The sealed resource is damaged, or not what its manifest says.
    PackageInvalid,
    /// A reason that came after these, by its code in the registry.
    Other(String),
}

impl Refusal {
    /// The name in the registry, as the contract spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.entry().0
    }

    /// The offers that would turn the answer into a yes. Empty for every refusal but `payment-required`.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        match self {
            Self::PaymentRequired(offers) => offers,
            _ => &[],
        }
    }

    /// The name, and what a person reads.
    fn entry(&self) -> (&str, &'static str) {
        match self {
            Self::PaymentRequired(_) => ("payment-required", "it has to be paid for"),
            Self::RateLimited => ("rate-limited", "too many requests: wait a moment, then try again"),
            Self::TerminalUnknown => {
                ("terminal-unknown", "the billing server does not know this terminal: sign in again")
            }
            Self::TerminalRevoked => ("terminal-revoked", "this terminal was revoked: sign in again"),
            Self::NotSignedIn => ("not-signed-in", "nobody is signed in on this terminal: sign in"),
            Self::AccountSuspended => ("account-suspended", "the account is suspended: ask the store"),
            Self::StatusCodeUnknown => {
                ("status-code-unknown", "the billing status code is not known to the server: try again")
            }
            Self::StatusCodeExpired => (
                "status-code-expired",
                "the billing status code was not verified in time, and nothing was drawn: try again",
            ),
            Self::StatusCodeSpent => ("status-code-spent", "the billing status code was verified before: try again"),
            Self::BindingMismatch => ("binding-mismatch", "the request is not the one that was authorised: try again"),
            Self::ResourceUnknown => {
                ("resource-unknown", "the billing server does not sell this resource: install it from its store")
            }
            Self::ResourceWithdrawn => ("resource-withdrawn", "the resource was withdrawn: ask the store"),
            Self::OperationUnknown => ("operation-unknown", "the resource has no such operation: update the resource"),
            Self::BalanceTooLow => ("balance-too-low", "the balance is too low: top it up"),
            Self::EntitlementExpired => ("entitlement-expired", "the rights have ended: renew them"),
            Self::EntitlementExhausted => ("entitlement-exhausted", "the rights are used up: buy more"),
            Self::EntitlementRevoked => {
                ("entitlement-revoked", "the rights were taken back, by a refund for one: buy again or ask the store")
            }
            Self::SeatsTaken => ("seats-taken", "every seat is taken: wait until somebody leaves"),
            Self::ConfirmationRequired => {
                ("confirmation-required", "the user has not agreed: agree on the terminal or in the account")
            }
            Self::LeaseExhausted => ("lease-exhausted", "what could be used offline is used up: go online"),
            Self::ClockSuspect => ("clock-suspect", "the clock is not right: set it, then try again"),
            Self::Offline => ("offline", "the billing server cannot be reached: check the connection, then try again"),
            Self::ServerUntrusted => {
                ("server-untrusted", "the resource names no server that is trusted here: sign in at its store")
            }
            Self::PackageInvalid => ("package-invalid", "the resource is damaged: install it again"),
            Self::Other(code) => (code.as_str(), "the store says no, for a reason that the resource does not know"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().1)?;
        if let Self::Other(code) = self {
            write!(f, " ({code})")?;
        }
        for (index, offer) in self.offers().iter().enumerate() {
            write!(f, "{} {offer}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
