//! The registry of refusals: one table, from which everything that names a refusal is made or checked, and one
//! catch-all for reasons that a later version has added.

use crate::code::OtherCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

macro_rules! registry {
    ($($variant:ident, $code:literal, $status:literal, $exit:literal, $who:ident, $title:literal, $advice:literal;)*) => {
        /// Why the answer is no. `Refuse` has no other form: there is no default that lets anything pass.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $title] $variant,)*
            /// A reason that this version does not know, in a signed refusal: a no like every other.
            Other(OtherCode),
        }

        impl Reason {
            /// All that this version knows, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The machine-readable code, as it stands in documents, in WIT and in `docs/refusals.md`.
            #[must_use]
            pub fn code(&self) -> &str {
                match self { $(Self::$variant => $code,)* Self::Other(other) => other.code() }
            }

            /// The HTTP status under which a server sends it; for those made on the terminal, the nearest one.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* Self::Other(_) => 403 }
            }

            /// The exit code of the command line.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)* Self::Other(_) => Self::OTHER_EXIT_CODE }
            }

            /// Who makes it.
            #[must_use]
            pub const fn origin(self) -> ReasonOrigin {
                match self { $(Self::$variant => ReasonOrigin::$who,)* Self::Other(_) => ReasonOrigin::Server }
            }

            /// What happened, for a person.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* Self::Other(_) => Self::OTHER_TITLE }
            }

            /// What to do now, for a person.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* Self::Other(_) => Self::OTHER_ADVICE }
            }
        }
    };
}

/// Where a refusal is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonOrigin {
    /// By the billing server, signed.
    Server,
    /// On the terminal. A server that sends one of these is not believed.
    Terminal,
}

registry! {
    PaymentRequired, "payment-required", 402, 20, Server, "The account holds no rights for this operation.", "Buy one of the offers: `portcullis buy NAME`.";
    RateLimited, "rate-limited", 429, 21, Server, "Too many requests.", "Wait as long as the answer says, then try again.";
    TerminalUnknown, "terminal-unknown", 401, 22, Server, "The billing server does not know this terminal.", "Sign in again: `portcullis login URL`.";
    TerminalRevoked, "terminal-revoked", 403, 23, Server, "This terminal was revoked.", "Its account's owner or the store's operator did it; if you do not know why, ask them. Then sign in again: `portcullis login URL`.";
    NotSignedIn, "not-signed-in", 401, 24, Server, "Nobody is signed in on this terminal, or the sign-in has ended.", "Sign in: `portcullis login URL`.";
    AccountSuspended, "account-suspended", 403, 25, Server, "The account is suspended.", "Ask the store why; nothing on this terminal can change it.";
    StatusCodeUnknown, "status-code-unknown", 404, 26, Server, "The billing status code is not this server's, or belongs to another terminal.", "Run the operation again; it requests a new code.";
    StatusCodeExpired, "status-code-expired", 410, 27, Server, "The billing status code was not verified in time. What it held was released.", "Run the operation again; nothing was charged.";
    StatusCodeSpent, "status-code-spent", 409, 28, Server, "The billing status code was verified already.", "Run the operation again; it requests a new code.";
    BindingMismatch, "binding-mismatch", 409, 29, Server, "The request differs from what its code, proof or key is bound to.", "Run the operation again. If it repeats, something between this terminal and the server alters requests.";
    ResourceUnknown, "resource-unknown", 404, 30, Server, "The billing server does not sell this resource.", "Check the name with `portcullis search`, or install the resource from the store that sells it.";
    ResourceWithdrawn, "resource-withdrawn", 410, 31, Server, "The resource was withdrawn.", "Look for a newer version: `portcullis update NAME`.";
    OperationUnknown, "operation-unknown", 404, 32, Server, "The resource has no such operation.", "See its operations: `portcullis inspect NAME`.";
    BalanceTooLow, "balance-too-low", 402, 33, Server, "The prepaid balance does not cover the quantity.", "Add to the balance: `portcullis top-up 5.00EUR`; or ask for less.";
    EntitlementExpired, "entitlement-expired", 402, 34, Server, "The rights have ended.", "Renew them: `portcullis buy NAME`.";
    EntitlementExhausted, "entitlement-exhausted", 402, 35, Server, "The rights are used up.", "Buy more: `portcullis buy NAME`.";
    EntitlementRevoked, "entitlement-revoked", 403, 36, Server, "The rights were taken back.", "See `portcullis receipts`; a refund takes rights back.";
    SeatsTaken, "seats-taken", 409, 37, Server, "Every seat is taken.", "Close the resource elsewhere, or wait until a seat is free.";
    ConfirmationRequired, "confirmation-required", 403, 38, Server, "The user was asked and did not agree, or has to agree elsewhere first.", "Run it again and agree, or confirm at the store.";
    LeaseExhausted, "lease-exhausted", 403, 39, Server, "The lease is used up.", "Connect to the billing server to renew it.";
    ClockSuspect, "clock-suspect", 403, 40, Server, "The clock cannot be relied on.", "Set the clock of this machine; if it is right, sign in to the store again.";
    MerchantUnknown, "merchant-unknown", 404, 45, Server, "The store has no such merchant, or has not approved it.", "Check the merchant's name; a merchant that is new waits for the store's approval.";
    MerchantUnavailable, "merchant-unavailable", 403, 46, Server, "The merchant does not deliver at present, so that no orders are taken for it.", "Wait as long as the answer says, then try again. Nothing was charged.";
    ProductUnknown, "product-unknown", 404, 47, Server, "The product is not sold, or not on these terms any more.", "Look at the merchant's products again. Nothing was charged.";
    RequestEnded, "request-ended", 410, 48, Server, "The payment request has expired, or was paid already.", "Ask the merchant for a new one. Nothing was charged.";
    OrderUnknown, "order-unknown", 404, 49, Server, "The merchant has no such order, or what was said of it does not fit.", "If the order was in a webhook, check its signature: it may be forged. Otherwise check nonce and request.";
    OrderClosed, "order-closed", 410, 50, Server, "The order takes no code any more.", "Read the document in the answer: it says whether the code may be sold again.";
    CodeDiffers, "code-differs", 409, 51, Server, "Another code was accepted for this order.", "Keep to the code that was accepted. After a lost answer, send the same bytes again.";
    CodeUnknown, "code-unknown", 404, 52, Server, "The store has no such code.", "Check the code for typing errors, and that it is for this store.";
    CodeSpent, "code-spent", 409, 53, Server, "Another account has redeemed the code.", "Ask whoever gave you the code.";
    CodeVoid, "code-void", 410, 54, Server, "The code was taken back, or has expired.", "Ask whoever gave you the code.";
    Offline, "offline", 503, 41, Terminal, "The billing server could not be reached, or its answer was not signed by it.", "Check the connection and try again. Nothing is charged twice.";
    ServerUntrusted, "server-untrusted", 403, 42, Terminal, "The resource names no server that you trust, or the server is not the one you trusted.", "If you trust the store, sign in to it: `portcullis login URL`.";
    PackageInvalid, "package-invalid", 422, 43, Terminal, "The sealed resource is damaged, or not what its manifest says.", "Install it again. If it repeats, tell the store.";
}

impl Reason {
    /// The exit code of every reason that this version does not know.
    pub const OTHER_EXIT_CODE: u8 = 44;
    /// What happened, if only the store knows.
    pub const OTHER_TITLE: &'static str = "The store says no, for a reason that this version does not know.";
    /// What to do then.
    pub const OTHER_ADVICE: &'static str =
        "Read the store's own words, if there are any; then update Portcullis and try again.";

    /// Whether whoever pays, once or by the unit, may be answered otherwise: nothing is held, or what was held is used
    /// up, has ended or was taken back, as after a refund.
    #[must_use]
    pub const fn turns_on_payment(self) -> bool {
        matches!(
            self,
            Self::PaymentRequired | Self::EntitlementExpired | Self::EntitlementExhausted | Self::EntitlementRevoked
        )
    }

    /// The reason of a code in a signed refusal: one of the registry, or [`Reason::Other`]. `None` if the text cannot
    /// be a code: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        code.parse().ok().or_else(|| OtherCode::new(code).map(Self::Other))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| D::Error::custom("not the code of a refusal"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is not a code of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code of the registry of refusals")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == text).ok_or(UnknownReason)
    }
}
