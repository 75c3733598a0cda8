//! The states of an order of codes, from the money to the code in the buyer's hands or the money back.
//!
//! ```text
//! paid ─▶ notified ─▶ verified ─▶ code-received ─▶ delivered ─▶ acknowledged
//!   └───────┴────────────┤             └───────────────┴──────────────┤
//!                        ├▶ failed ─▶ refunding ─▶ refunded           └▶ disputed ─▶ kept | reversed
//!                        └▶ charged-back
//!
//! code-received, delivered ─▶ kept      nobody has acknowledged it for very long
//! ```
//!
//! [`CodeState::ARROWS`] is the only place that says which state follows which. A server makes each arrow one
//! conditional write, and its statements are made from the table; tests stop servers before and after every arrow of
//! it.

use super::Generation;
use crate::code::OtherCode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an order that was paid stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeState {
    /// The platform has the money.
    Paid,
    /// The merchant was told.
    Notified,
    /// The merchant has asked what was ordered, and knows.
    Verified,
    /// A sealed code was accepted, and the merchant credited.
    CodeReceived,
    /// It was sent to the terminal.
    Delivered,
    /// The terminal has opened and stored it.
    Acknowledged,
    /// No code came in time, or the merchant declined. None is accepted any more.
    Failed,
    /// The money is on its way back.
    Refunding,
    /// The money is back.
    Refunded,
    /// The payer took the money back before there was a code. None is accepted any more.
    ChargedBack,
    /// Somebody says that the code is not what was paid for, or disputes the payment.
    Disputed,
    /// Decided for the merchant, or settled for it since no terminal has acknowledged the code for very long.
    Kept,
    /// Decided for the buyer: the money goes back, and what the code gave is void.
    Reversed,
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeEvent {
    /// The webhook was answered.
    Notified,
    /// The second interface answered.
    Verified,
    /// A sealed code was accepted.
    CodeReceived,
    /// It was handed to the terminal.
    Delivered,
    /// The terminal has stored it.
    Acknowledged,
    /// The deadline passed, or the merchant declined. Of an order made in a browser also: no key in time, its buyer
    /// cancelled it, the product is not sold any more, or the merchant is suspended when the key comes.
    Failed,
    /// The refund has begun.
    RefundBegun,
    /// The provider has paid back.
    PaidBack,
    /// The payer took the money back before there was a code.
    ChargedBack,
    /// The code or the payment is disputed.
    Disputed,
    /// The dispute was decided for the merchant.
    Kept,
    /// The dispute was decided for the buyer.
    Reversed,
    /// No terminal has acknowledged the code for very long.
    Lapsed,
}

/// Who has to take the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The platform, by itself.
    Platform,
    /// The merchant.
    Merchant,
    /// The buyer, or his terminal.
    Buyer,
    /// The platform's operator, a person.
    Operator,
}

/// One kind of step: what happens, in which states it may, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrow {
    /// What happens.
    pub event: CodeEvent,
    /// Where it may.
    pub from: &'static [CodeState],
    /// What follows.
    pub to: CodeState,
}

use CodeState::{
    Acknowledged, ChargedBack, CodeReceived, Delivered, Disputed, Failed, Kept, Notified, Paid, Refunded, Refunding,
    Reversed, Verified,
};

/// Before a code was accepted.
const BEFORE: &[CodeState] = &[Paid, Notified, Verified];
/// After it.
const AFTER: &[CodeState] = &[CodeReceived, Delivered, Acknowledged, Kept];

impl CodeState {
    /// Every state, in the order in which databases number them.
    pub const ALL: [Self; 13] = [
        Paid,
        Notified,
        Verified,
        CodeReceived,
        Delivered,
        Acknowledged,
        Failed,
        Refunding,
        Refunded,
        ChargedBack,
        Disputed,
        Kept,
        Reversed,
    ];

    /// Every arrow, in the order of [`CodeEvent`]. What is not here does not happen.
    pub const ARROWS: [Arrow; 13] = [
        Arrow { event: CodeEvent::Notified, from: &[Paid], to: Notified },
        // A verification may overtake the answer to the webhook, which then changes nothing.
        Arrow { event: CodeEvent::Verified, from: &[Paid, Notified], to: Verified },
        Arrow { event: CodeEvent::CodeReceived, from: &[Verified], to: CodeReceived },
        Arrow { event: CodeEvent::Delivered, from: &[CodeReceived], to: Delivered },
        Arrow { event: CodeEvent::Acknowledged, from: &[CodeReceived, Delivered], to: Acknowledged },
        Arrow { event: CodeEvent::Failed, from: BEFORE, to: Failed },
        Arrow { event: CodeEvent::RefundBegun, from: &[Failed], to: Refunding },
        Arrow { event: CodeEvent::PaidBack, from: &[Refunding], to: Refunded },
        Arrow { event: CodeEvent::ChargedBack, from: BEFORE, to: ChargedBack },
        Arrow { event: CodeEvent::Disputed, from: AFTER, to: Disputed },
        Arrow { event: CodeEvent::Kept, from: &[Disputed], to: Kept },
        Arrow { event: CodeEvent::Reversed, from: &[Disputed], to: Reversed },
        Arrow { event: CodeEvent::Lapsed, from: &[Delivered], to: Kept },
    ];

    /// Whether a code may still be accepted for the first time.
    #[must_use]
    pub const fn waits_for_code(self) -> bool {
        matches!(self, Paid | Notified | Verified)
    }

    /// Whether a code was accepted.
    #[must_use]
    pub const fn has_code(self) -> bool {
        matches!(self, CodeReceived | Delivered | Acknowledged | Disputed | Kept | Reversed)
    }

    /// Whether the same code may be sealed once more: it was accepted, and nobody has said that it arrived.
    #[must_use]
    pub const fn may_be_sealed_again(self) -> bool {
        matches!(self, CodeReceived | Delivered)
    }

    /// The same of an order whose code may be wanted once more: `sealed` is the sealing that was accepted last,
    /// `wanted` the one that is wanted.
    #[must_use]
    pub fn next_of(self, sealed: Option<Generation>, wanted: Generation) -> Option<(Party, &'static str)> {
        if self.may_be_sealed_again() && sealed.is_some_and(|sealed| sealed != wanted) {
            return Some((Party::Merchant, "seal the code once more, for the terminal that took the order over"));
        }
        self.next()
    }

    /// What has to happen next, and who has to see to it; `None`: nothing, the order is final.
    #[must_use]
    pub const fn next(self) -> Option<(Party, &'static str)> {
        match self {
            Paid => Some((Party::Platform, "the webhook is sent until the merchant answers, or the deadline passes")),
            Notified => Some((Party::Merchant, "ask the second interface what was ordered")),
            Verified => Some((Party::Merchant, "submit the sealed code")),
            CodeReceived => Some((Party::Buyer, "fetch the code: `portcullis codes`")),
            Delivered => Some((Party::Buyer, "the terminal acknowledges the code: `portcullis codes`")),
            Failed => Some((Party::Platform, "the refund begins by itself")),
            Refunding => Some((Party::Platform, "the payment provider pays back")),
            Disputed => Some((Party::Operator, "decide the dispute")),
            Acknowledged | Refunded | ChargedBack | Kept | Reversed => None,
        }
    }

    /// Its name in documents and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Paid => "paid",
            Notified => "notified",
            Verified => "verified",
            CodeReceived => "code-received",
            Delivered => "delivered",
            Acknowledged => "acknowledged",
            Failed => "failed",
            Refunding => "refunding",
            Refunded => "refunded",
            ChargedBack => "charged-back",
            Disputed => "disputed",
            Kept => "kept",
            Reversed => "reversed",
        }
    }
}

impl CodeEvent {
    /// What it does.
    #[must_use]
    pub const fn arrow(self) -> Arrow {
        CodeState::ARROWS[self as usize]
    }
}

impl fmt::Display for CodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "platform",
            Self::Merchant => "merchant",
            Self::Buyer => "buyer",
            Self::Operator => "operator",
        })
    }
}

/// A state as a reader is told it: one that this version does not know is shown as it is, and nothing follows from
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReportedState {
    /// One of the table.
    Known(CodeState),
    /// One that came later.
    Other(OtherCode),
}

impl ReportedState {
    /// The state, if this version knows it.
    #[must_use]
    pub const fn known(self) -> Option<CodeState> {
        match self {
            Self::Known(state) => Some(state),
            Self::Other(_) => None,
        }
    }
}

impl From<CodeState> for ReportedState {
    fn from(state: CodeState) -> Self {
        Self::Known(state)
    }
}

impl fmt::Display for ReportedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(state) => state.fmt(f),
            Self::Other(code) => code.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_has_its_own_arrow_and_every_state_its_place() {
        for arrow in CodeState::ARROWS {
            assert_eq!(arrow.event.arrow(), arrow, "{:?} finds its own row", arrow.event);
            assert!(!arrow.from.contains(&arrow.to), "{:?} goes somewhere", arrow.event);
        }
        let all: BTreeSet<_> = CodeState::ALL.into_iter().collect();
        assert_eq!(all.len(), CodeState::ALL.len());
        for state in CodeState::ALL {
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.name());
            assert!(state == Paid || CodeState::ARROWS.iter().any(|arrow| arrow.to == state), "{state} is reached");
        }
    }

    #[test]
    fn what_is_not_final_says_who_goes_on_and_can_go_on() {
        for state in CodeState::ALL {
            let goes_on = CodeState::ARROWS.iter().any(|arrow| arrow.from.contains(&state));
            let (one, two) = (Generation::FIRST, Generation::new(2).expect("two"));
            let (has_next, may_be_disputed) =
                (state.next_of(None, one).is_some(), matches!(state, Acknowledged | Kept));
            assert_eq!(goes_on, has_next || may_be_disputed, "{state}");
            let again = state.next_of(Some(one), two);
            assert_eq!(again.is_some(), has_next, "{state}");
            let is_merchants = again.is_some_and(|(who, _)| who == Party::Merchant);
            assert_eq!(is_merchants, state.may_be_sealed_again() || matches!(state, Notified | Verified), "{state}");
        }
    }

    #[test]
    fn once_failed_or_charged_back_no_code_is_ever_accepted() {
        let mut closed = BTreeSet::from([Failed, ChargedBack]);
        loop {
            let reached: BTreeSet<_> =
                CodeState::ARROWS.iter().filter(|a| a.from.iter().any(|s| closed.contains(s))).map(|a| a.to).collect();
            if !reached.iter().any(|state| closed.insert(*state)) {
                break;
            }
        }
        assert_eq!(closed, BTreeSet::from([Failed, Refunding, Refunded, ChargedBack]));
        assert!(closed.iter().all(|state| !state.has_code() && !state.waits_for_code()));
    }

    #[test]
    fn there_is_a_code_exactly_behind_its_arrow() {
        let mut with_code = BTreeSet::from([CodeReceived]);
        loop {
            let reached: Vec<_> = CodeState::ARROWS
                .iter()
                .filter(|a| a.from.iter().any(|s| with_code.contains(s)))
                .map(|a| a.to)
                .collect();
            if !reached.into_iter().any(|state| with_code.insert(state)) {
                break;
            }
        }
        for state in CodeState::ALL {
            assert_eq!(state.has_code(), with_code.contains(&state), "{state}");
        }
    }

    #[test]
    fn a_state_that_came_later_is_shown_and_nothing_else() {
        let later: ReportedState = serde_json::from_str("\"on-the-moon\"").expect("a code");
        assert_eq!((later.known(), later.to_string().as_str()), (None, "on-the-moon"));
        let known: ReportedState = serde_json::from_str("\"code-received\"").expect("a state");
        assert_eq!(known.known(), Some(CodeReceived));
        assert!(serde_json::from_str::<ReportedState>("\"Not A Code\"").is_err());
    }
}
