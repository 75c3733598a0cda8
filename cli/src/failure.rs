//! Why a command did not do what was asked: the cause and the fix, both in words, and an exit code.
//!
//! There is no way to make a [`Failure`] without a fix, and none to turn another error into one in passing: each
//! place where something can go wrong says what to do about it.

use portcullis_host::Refused;
use portcullis_protocol::{Offer, OrderId, Reason, Span, Verified};
use serde_json::{Value, json};
use std::fmt::{self, Display, Write as _};

use crate::payment::offer_line::{OfferLine, UNKNOWN, UnknownLine};
use crate::screen::hint;
use crate::screen::style;

/// What every verb returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// What to do about terms that this version does not know.
const UPDATE: &str = "update Portcullis, then run the same command again";
/// The exit code of an ordinary error.
const ERROR: u8 = 1;
/// The exit code of a command line that cannot be understood.
const USAGE: u8 = 2;
/// The exit code of a command that nobody reads any more: what a shell shows for one that SIGPIPE (13) has ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Cause, fix, exit code; and where a billing server or this terminal refused, the reason.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    fix: String,
    refused: Option<Box<Refused>>,
    code: u8,
}

impl Failure {
    /// An error: what happened, and what to do now.
    pub(crate) fn new(message: impl Display, fix: impl Display) -> Self {
        Self { message: message.to_string(), fix: fix.to_string(), refused: None, code: ERROR }
    }

    /// The command line asks for something that does not exist, or contradicts itself.
    pub(crate) fn usage(message: impl Display, fix: impl Display) -> Self {
        Self { code: USAGE, ..Self::new(message, fix) }
    }

    /// Output that could not be written. A pipe that its reader has closed is no matter to speak of.
    pub(crate) fn not_written(what: impl Display, error: &std::io::Error, fix: impl Display) -> Self {
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { BROKEN_PIPE } else { ERROR };
        Self { code, ..Self::new(format!("cannot {what}: {error}"), fix) }
    }

    /// Whether nobody is there to be told.
    pub(crate) const fn is_silent(&self) -> bool {
        self.code == BROKEN_PIPE
    }

    /// A refusal on this terminal.
    pub(crate) fn refusal(reason: Reason, detail: impl Into<String>) -> Self {
        Refused::because(reason, detail).into()
    }

    /// What has to be confirmed was not done, since nobody can be asked. `command`: what was typed, without `--yes`.
    pub(crate) fn nobody_to_ask(not_done: impl Display, command: impl Display) -> Self {
        Self::new(format!("{not_done}: nobody can be asked to confirm it"), format!("agree to it: `{command} --yes`"))
    }

    /// The same failure with a better fix than the general one.
    pub(crate) fn with_fix(mut self, fix: impl Display) -> Self {
        self.fix = fix.to_string();
        self
    }

    /// The same failure in the store's own words, where the reason's do not fit what was asked.
    pub(crate) fn in_detail(mut self) -> Self {
        if let Some(detail) = self.refused.as_ref().and_then(|refused| refused.detail.clone()) {
            self.message = detail;
        }
        self
    }

    /// What to do now.
    pub(crate) fn fix(&self) -> &str {
        &self.fix
    }

    /// The exit code: 1 for errors, 2 for usage, and the registry's for refusals.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }

    /// The reason, if it is a refusal.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.refused.as_ref().map(|refused| refused.reason)
    }

    /// The order that is in the way, if the store names one.
    pub(crate) fn order(&self) -> Option<OrderId> {
        self.refused.as_ref().and_then(|refused| refused.order())
    }

    /// The offers that would turn the answer.
    pub(crate) fn offers(&self) -> &[Verified<Offer>] {
        self.refused.as_ref().map_or(&[], |refused| &refused.offers)
    }

    /// Something is sold under terms that this version does not know, so that `what` is impossible.
    pub(crate) fn unknown_terms(what: impl Display) -> Self {
        Self::new(format!("{what}: it is {UNKNOWN}"), UPDATE)
    }

    /// Whether all that would turn the answer is sold under terms that this version does not know.
    pub(crate) fn is_for_unknown_terms(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| {
            refused.reason.turns_on_payment() && refused.offers.is_empty() && !refused.unknown_offers().is_empty()
        })
    }

    /// `{"error": {"reason"?, "message", "fix", "offers"?, "unknown_offers"?, "retry_after"?, "more"?}}`.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "message": self.message, "fix": hint::typed(&self.fix) });
        if let Some(refused) = &self.refused {
            error["reason"] = json!(refused.reason.code());
            if !refused.offers.is_empty() {
                error["offers"] = json!(refused.offers.iter().map(OfferLine::of).collect::<Vec<_>>());
            }
            if let Some(beyond) = &refused.beyond {
                if !beyond.unknown_offers.is_empty() {
                    let lines: Vec<UnknownLine> = beyond.unknown_offers.iter().map(UnknownLine::of).collect();
                    error["unknown_offers"] = json!(lines);
                }
                if !beyond.more.is_empty() {
                    error["more"] = json!(beyond.more);
                }
            }
            if let Some(seconds) = refused.retry_after {
                error["retry_after"] = json!(seconds);
            }
        }
        json!({ "error": error })
    }

    /// What a person reads.
    pub(crate) fn to_text(&self) -> String {
        let (bad, strong, dim) = (style::BAD, style::STRONG, style::DIM);
        // Indented, so that no line of somebody else's words passes for the command's own.
        let message = self.message.trim_end().replace('\n', "\n  ");
        let mut text = match &self.refused {
            Some(refused) => format!("{bad}refused{bad:#} {strong}{}{strong:#}: {message}\n", refused.reason),
            None => format!("{bad}error{bad:#}: {message}\n"),
        };
        for offer in self.offers() {
            let _ = writeln!(text, "  {dim}offer{dim:#} {}", OfferLine::of(offer));
        }
        for offer in self.refused.iter().flat_map(|refused| refused.unknown_offers()) {
            let _ = writeln!(text, "  {dim}offer{dim:#} {}", UnknownLine::of(offer));
        }
        if let Some(seconds) = self.refused.as_ref().and_then(|refused| refused.retry_after) {
            let _ = writeln!(text, "  {dim}wait{dim:#}  {}", Span(seconds.into()));
        }
        let _ = writeln!(text, "  {dim}fix{dim:#}   {}", hint::typed(&self.fix).replace('\n', "\n        "));
        text
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        // Nothing was decided because of the terminal's own folder: the connection has nothing to do with it.
        if let Some(state) = refused.state {
            return (*state).into();
        }
        let reason = refused.reason;
        // The registry's advice has a placeholder where the address belongs.
        let fix = match &refused.server {
            Some(server) => reason.advice().replace("login URL", &format!("login {server}")),
            None => reason.advice().to_owned(),
        };
        let failure =
            Self { message: refused.to_string(), fix, code: reason.exit_code(), refused: Some(Box::new(refused)) };
        if failure.is_for_unknown_terms() { failure.with_fix(UPDATE) } else { failure }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Adds what a library's error lacks: what was being done, and the fix.
pub(crate) trait OrFail<T> {
    /// `cannot {what}: {error}`, and what to do.
    fn or_fail(self, what: impl Display, fix: impl Display) -> Outcome<T>;
}

impl<T, E: std::error::Error> OrFail<T> for Result<T, E> {
    fn or_fail(self, what: impl Display, fix: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure::new(format!("cannot {what}: {}", chain(&error)), fix))
    }
}

/// An error and its causes in one line; a cause that repeats what is said already is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_code_of_the_registry_and_its_advice() {
        let later = Reason::from_code("gift-card-needed").expect("a code");
        for reason in Reason::ALL.iter().chain([&later]) {
            let failure = Failure::from(Refused::new(*reason));
            assert_eq!(failure.code(), reason.exit_code());
            assert_eq!(failure.to_json()["error"]["reason"], reason.code());
            assert_eq!(failure.to_json()["error"]["fix"], reason.advice());
        }
    }

    #[test]
    fn whoever_is_not_signed_in_is_told_where() {
        let server = Some(Box::new("https://store.example".parse().expect("an origin")));
        let refused = Refused { server, ..Refused::new(Reason::NotSignedIn) };
        assert!(Failure::from(refused).fix().contains("`portcullis login https://store.example`"));
    }

    #[test]
    fn an_error_names_what_was_being_done() {
        let error: Outcome<()> =
            Err(std::io::Error::from(std::io::ErrorKind::NotFound)).or_fail("read `x`", "check it");
        let error = error.expect_err("an error");
        assert_eq!(error.code(), 1);
        assert_eq!(error.to_json()["error"]["message"], "cannot read `x`: entity not found");
        assert!(error.to_json()["error"].get("reason").is_none());
    }
}
