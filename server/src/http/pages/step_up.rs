//! Re-authentication (OWASP ASVS; a step-up): what a browser that somebody finds open, or whose cookie was stolen, must
//! not do by itself takes the password, typed in that browser at most [`FRESH_SECONDS`] ago. Whoever has just signed in
//! is not asked twice.
//!
//! | act | proof |
//! | --- | --- |
//! | approving a terminal | of that age |
//! | choosing the terminal that codes go to | of that age |
//! | letting another terminal take an order over | of that age |
//! | paying with means that the account has saved | of that age |
//! | another password, another e-mail address | the password in the form itself, always |
//!
//! What only takes something away (signing out, revoking, denying) takes no proof.

use super::kit::field::Field;
use super::problem::wait;
use super::session::SignedInBrowser;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::http::rate::TooMany;
use crate::identity::passwords::Password;
use crate::ops::clock::Timestamp;
use crate::store::{ChangedBy, Holder};
use axum::http::{StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};

/// For how long the password stands for whoever typed it, in seconds: longer than it takes to sign in, compare a
/// terminal's words and choose where codes go, and short beside the working day that a browser stays signed in.
const FRESH_SECONDS: u64 = 10 * 60;
/// The field of a form that takes the password.
const FIELD: &str = "current-password";

/// The account's password was typed in this browser a moment ago. Nothing but this module makes one.
pub(super) struct Proven {
    /// By whom.
    pub(super) holder: Holder,
}

/// Why nothing was done: the password is wanted, or is another one.
pub(super) struct Unconfirmed {
    pub(super) text: String,
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<u32>,
}

impl Unconfirmed {
    fn with(text: &str) -> Self {
        Self { text: text.to_owned(), status: StatusCode::UNPROCESSABLE_ENTITY, retry_after: None }
    }

    /// The page that says so.
    pub(super) fn on(&self, mut page: Response) -> Response {
        *page.status_mut() = self.status;
        if let Some(seconds) = self.retry_after {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        page
    }
}

/// The field of a form about a sensitive act: nothing, as long as the proof is of that age.
pub(super) fn field(app: &App, session: &SignedInBrowser, wrong: Option<&Unconfirmed>) -> Markup {
    let error = wrong.map(|wrong| wrong.text.as_str());
    html! {
        @if error.is_some() || !is_fresh(session.proven, app.core.clock.now()) {
            (Field::current_password(FIELD, "Current password").error(error).focus(error.is_some()))
        }
    }
}

/// Whether somebody may do what is sensitive: who types the password now, or has done so a moment ago.
pub(super) async fn prove(
    app: &App,
    session: &SignedInBrowser,
    typed: String,
) -> Result<Result<Proven, Unconfirmed>, ApiError> {
    let proven = Proven { holder: session.holder() };
    if !typed.is_empty() {
        return Ok(confirm(app, session, typed).await?.map(|_| proven));
    }
    if is_fresh(session.proven, app.core.clock.now()) {
        return Ok(Ok(proven));
    }
    Ok(Err(Unconfirmed::with("Type your password for this: it is some time since you did.")))
}

/// Checks the current password, a few times per browser session. From then on the proof is new.
pub(super) async fn confirm(
    app: &App,
    session: &SignedInBrowser,
    typed: String,
) -> Result<Result<ChangedBy, Unconfirmed>, ApiError> {
    if let Err(TooMany { retry_after }) = app.gates.confirmation.take(session.token) {
        let text = format!("Too many attempts. {}", wait(Some(retry_after)));
        return Ok(Err(Unconfirmed { text, status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(retry_after) }));
    }
    let wrong = || Unconfirmed::with("That is not your current password.");
    let Ok(typed) = Password::typed(typed) else { return Ok(Err(wrong())) };
    let confirmed = app.accounts().confirm(&session.account, typed, session.token).await;
    let Some(by) = confirmed.map_err(ApiError::internal)? else { return Ok(Err(wrong())) };
    app.gates.right_password.take(session.account)?;
    app.gates.confirmation.give_back(&session.token, 1);
    Ok(Ok(by))
}

/// Whether a proof of one moment counts at another. Clocks of two processes may differ a little, in either direction.
fn is_fresh(proven: Timestamp, now: Timestamp) -> bool {
    now < proven.plus(FRESH_SECONDS) && proven < now.plus(FRESH_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::{FRESH_SECONDS, is_fresh};
    use crate::ops::clock::Timestamp;

    #[test]
    fn a_proof_counts_until_its_bound_and_no_longer() {
        let proven = Timestamp::from_millis(1_800_000_000_000);
        assert!(is_fresh(proven, proven) && is_fresh(proven, proven.plus(FRESH_SECONDS - 1)));
        assert!(!is_fresh(proven, proven.plus(FRESH_SECONDS)));
        assert!(!is_fresh(Timestamp::from_millis(0), proven), "of a session from before proofs were kept");
        assert!(!is_fresh(proven.plus(FRESH_SECONDS), proven), "from the future");
    }
}
