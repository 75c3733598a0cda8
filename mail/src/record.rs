//! What is handed out of a mailbox: bill records, and nothing else.

use crate::authenticity::Doubt;
use crate::extract::Refusal;
use portcullis_protocol::Date;
use portcullis_protocol::{Digest, Money};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a bill is known to come from its biller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// Shown, never payable.
    Unverified,
    /// Somebody trusted says so: the domain's DMARC policy for a biller that is not registered, or a forwarder's seal.
    Vouched,
    /// Signed by a registered biller, for this user, under a key from a trusted source.
    Verified,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unverified => "unverified",
            Self::Vouched => "vouched",
            Self::Verified => "verified",
        })
    }
}

/// A bill that was found in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillRecord {
    /// The registered biller's id, if the mail provably comes from it or from a forwarder that says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub biller: Option<String>,
    /// What to show: the registered name, else the sender's domain in its ASCII form. Never what the mail calls itself.
    pub biller_name: String,
    /// The customer's account with the biller, all but its last four characters hidden.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// What is due. `None` if it could not be read without a doubt; then `refusal` says why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amount: Option<Money>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Date>,
    /// For which days, both included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub period: Option<(Date, Date)>,
    /// How far it is known to be true.
    pub level: Level,
    /// Why the level is not higher.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub doubts: Vec<Doubt>,
    /// Rules of EN 16931 that the invoice in it breaks, such as `BR-CO-15`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rules: Vec<String>,
    /// Why no amount could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<Refusal>,
    /// SHA-256 of the mail: shows later which mail it was, and tells nothing about it.
    pub evidence: Digest,
}

impl BillRecord {
    /// A doubt for people, with what is known about it.
    #[must_use]
    pub fn explained(&self, doubt: Doubt) -> String {
        match doubt {
            Doubt::InvoiceRules => format!("{doubt}: {}", self.rules.join(", ")),
            other => other.to_string(),
        }
    }
}

/// An account number as it is shown: its last four characters, or less of a short one.
pub(crate) fn masked(account: &str) -> Option<String> {
    let characters: Vec<char> = account.chars().filter(|c| c.is_alphanumeric()).take(64).collect();
    let shown = (characters.len() / 2).min(4);
    let last: String = characters.iter().skip(characters.len() - shown).collect();
    (!characters.is_empty()).then(|| format!("…{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_four_characters_and_at_most_half_are_shown() {
        let shown = |account| masked(account).unwrap_or_default();
        assert_eq!(shown("DE-4711-0815-77"), "…1577");
        assert_eq!(shown("12"), "…2");
        assert_eq!(shown("1"), "…");
        assert_eq!(masked(" \u{202e}-"), None);
        assert!(Level::Verified > Level::Vouched && Level::Vouched > Level::Unverified);
    }
}
