//! What a mail program hands a terminal: bill records by pages, and nothing else of a mailbox.
//!
//! One JSON value a line, a request and its answer in turn, over a pipe or a local socket. Records are made here and
//! read here, so what a terminal takes is bounded whoever answers. Answers are open: a member that comes later is
//! ignored, and a level that comes later is [`BillLevel::Unverified`].

use crate::date::Date;
use crate::ids::{Digest, MailboxName};
use crate::limits::{MAX_BILL_REMARKS, MAX_BILL_TEXT, MAX_BILLS_PAGE};
use crate::money::Money;
use crate::text::disturbs;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A text of a record: at most [`MAX_BILL_TEXT`] bytes, and none of its characters disturbs what stands around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BillText(String);

/// Not a text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a text of a bill record: at most {MAX_BILL_TEXT} bytes, without control, direction or invisible characters"
)]
pub struct BadBillText;

impl BillText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as far as a record holds it: what disturbs is left out, what is too long is cut off.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let mut kept: String = text.chars().filter(|c| !disturbs(*c)).collect();
        kept.truncate(kept.floor_char_boundary(MAX_BILL_TEXT));
        Self(kept)
    }
}

impl TryFrom<String> for BillText {
    type Error = BadBillText;
    fn try_from(text: String) -> Result<Self, BadBillText> {
        if text.len() <= MAX_BILL_TEXT && !text.chars().any(disturbs) { Ok(Self(text)) } else { Err(BadBillText) }
    }
}

impl From<BillText> for String {
    fn from(text: BillText) -> Self {
        text.0
    }
}

impl fmt::Display for BillText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a bill is known to come from its biller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a level that comes later reads as `Unverified`")]
pub enum BillLevel {
    /// Signed by a registered biller, for this user, under a key from a trusted source.
    Verified,
    /// Somebody trusted says so.
    Vouched,
    /// Shown, never to be paid.
    #[serde(other)]
    Unverified,
}

/// Something that was found out about a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// For programs.
    pub code: BillText,
    /// For people.
    pub text: BillText,
}

/// One bill. Its members are those of `bill` in `wit/bills.wit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The registered biller's identifier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub biller: Option<BillText>,
    /// The registered name, else the sender's domain.
    pub biller_name: BillText,
    /// The customer's account, masked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<BillText>,
    /// What is due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amount: Option<Money>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Date>,
    /// For which days, both included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub period: Option<(Date, Date)>,
    /// How far it is known to be true.
    pub level: BillLevel,
    /// Why the level is not higher.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub doubts: Vec<Remark>,
    /// Why there is no amount.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unread: Option<Remark>,
    /// SHA-256 of the mail.
    pub evidence: Digest,
}

/// Some bills of a mailbox, in the order in which they were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillsPage {
    /// At most [`MAX_BILLS_PAGE`].
    pub bills: Vec<Bill>,
    /// What to ask with for the next page.
    pub next: BillText,
    /// Whether there are more.
    pub more: bool,
    /// The cursor was of other records.
    pub reset: bool,
    /// The day on which the page was handed out (UTC).
    pub today: Date,
}

impl BillsPage {
    /// Whether it is no more than a page may be.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.bills.len() <= MAX_BILLS_PAGE && self.bills.iter().all(|bill| bill.doubts.len() <= MAX_BILL_REMARKS)
    }
}

/// What a terminal asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BillsRequest {
    /// For the mailboxes' names.
    Mailboxes {},
    /// For bills of a mailbox.
    Read {
        /// Which.
        mailbox: MailboxName,
        /// After which cursor; from the beginning if there is none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        after: Option<BillText>,
        /// How many at most.
        at_most: u32,
    },
}

/// What a mail program answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BillsAnswer {
    /// The mailboxes' names.
    Mailboxes(Vec<MailboxName>),
    /// Bills.
    Page(BillsPage),
    /// There is no mailbox of this name.
    NoSuchMailbox,
    /// Why nothing can be handed out, for a person.
    Unavailable(BillText),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_bounded_and_open() {
        let page = r#"{"page":{"bills":[{"biller_name":"power.example","level":"LEVEL","evidence":"DIGEST","new":1}],
            "next":"1.1","more":false,"reset":false,"today":"2026-11-29","later":true}}"#;
        let page = page.replace("DIGEST", &Digest::of(b"mail").to_string());
        for (level, read) in [
            ("verified", BillLevel::Verified),
            ("vouched", BillLevel::Vouched),
            ("unverified", BillLevel::Unverified),
            ("notarised", BillLevel::Unverified),
        ] {
            let answer: BillsAnswer = serde_json::from_str(&page.replace("LEVEL", level)).expect("it reads");
            let BillsAnswer::Page(page) = &answer else { panic!("{answer:?}") };
            assert_eq!((page.bills[0].level, page.is_bounded()), (read, true), "{level}");
            let written = serde_json::to_string(&answer).expect("it is written");
            assert_eq!(serde_json::from_str::<BillsAnswer>(&written).expect("again"), answer);
        }
        for bad in ["power\u{202e}example", "a\nb", &"x".repeat(MAX_BILL_TEXT + 1)] {
            assert!(BillText::try_from(bad.to_owned()).is_err(), "{bad}");
            assert!(BillText::try_from(BillText::cut(bad).to_string()).is_ok());
        }
        assert_eq!(BillText::cut(&"é".repeat(MAX_BILL_TEXT)).as_str().len(), MAX_BILL_TEXT);
        let known = r#"{"ask":"read","mailbox":"home","at_most":5}"#;
        assert!(serde_json::from_str::<BillsRequest>(known).is_ok());
        assert!(serde_json::from_str::<BillsRequest>(&known.replace("at_most", "most")).is_err());
        assert!(serde_json::from_str::<BillsRequest>(&known.replace("home", "../home")).is_err());
    }
}
