//! Approving a terminal (RFC 8628 section 3.3). The page shows the fingerprint words of the key that asks: who was
//! lured here by somebody else sees words that stand on no screen of his own. It takes the password ([`step_up`]): a
//! terminal that was approved buys, and has what is bought.

use super::Form;
use super::kit::layout::{NOTICE, notice, page, see_other};
use super::onward::{Onward, query_value};
use super::session::{SignedInBrowser, Visitor};
use super::step_up::{self, Unconfirmed};
use crate::crypto::secrets::{TokenHash, TokenRole};
use crate::http::app::App;
use crate::http::oauth::UserCode;
use crate::http::problem::ApiError;
use crate::store::{DecideOutcome, Decision, Device, DeviceState};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::AccountId;
use serde::Deserialize;

/// Characters that a code takes, with room for spaces and hyphens of the user's own.
const MOST_TYPED: usize = 20;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Decided {
    csrf: String,
    code: String,
    decision: Verdict,
    #[serde(rename = "current-password", default)]
    password: String,
}

/// What the user says.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Approve,
    Deny,
}

/// `GET /device`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    to: Onward,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&on_the_way(to).by("/sign-in"))));
    };
    let typed = query_value(&request.into_parts().0, "code").unwrap_or_default();
    let Onward::Device(code) = to else {
        return Ok(if typed.trim().is_empty() { ask_code(StatusCode::OK, None, "") } else { unknown_code(&typed) });
    };
    match pending(&app, &session.account, &code).await? {
        Some(device) => ask(&app, (&visitor, session), &device, &code, None).await,
        None => Ok(unknown_code(&typed)),
    }
}

/// `POST /device`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Decided>,
) -> Result<Response, ApiError> {
    let to = Onward::read(&sent.code, "");
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&on_the_way(to).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let Onward::Device(code) = &to else {
        return Ok(unknown_code(&sent.code));
    };
    let decision = match sent.decision {
        Verdict::Approve => match step_up::prove(&app, session, sent.password).await? {
            Ok(proven) => Decision::Approve(proven.holder),
            Err(no) => {
                return match pending(&app, &session.account, code).await? {
                    Some(device) => Ok(no.on(ask(&app, (&visitor, session), &device, code, Some(&no)).await?)),
                    None => Ok(unknown_code(&sent.code)),
                };
            }
        },
        Verdict::Deny => Decision::Deny,
    };
    app.gates.user_code.take(session.account)?;
    let decided = app.core.store.decide_device(&user_hash(&app, code), decision).await.map_err(ApiError::internal)?;
    if decided == DecideOutcome::Decided {
        app.gates.user_code.give_back(&session.account, 1);
    }
    Ok(match (decided, sent.decision) {
        (DecideOutcome::Decided, Verdict::Approve) => {
            done("Approved", "The terminal is signed in. You can close this page.")
        }
        (DecideOutcome::Decided, Verdict::Deny) => {
            done("Denied", "The terminal was not signed in. You can close this page.")
        }
        (DecideOutcome::Gone, _) => unknown_code(&sent.code),
        (DecideOutcome::SignedOut, _) => see_other(&to.by("/sign-in")),
    })
}

/// Back to the code, or to where one is typed.
fn on_the_way(to: Onward) -> Onward {
    if matches!(to, Onward::Device(_)) { to } else { Onward::Terminal }
}

async fn pending(app: &App, account: &AccountId, code: &UserCode) -> Result<Option<Device>, ApiError> {
    app.gates.user_code.take(*account)?;
    let device = app.core.store.device(&user_hash(app, code)).await.map_err(ApiError::internal)?;
    let pending = device.filter(|device| device.state == DeviceState::Pending && device.expires > app.core.clock.now());
    // Only guesses count.
    if pending.is_some() {
        app.gates.user_code.give_back(account, 1);
    }
    Ok(pending)
}

fn user_hash(app: &App, code: &UserCode) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::User, code.letters())
}

async fn ask(
    app: &App,
    (visitor, session): (&Visitor, &SignedInBrowser),
    device: &Device,
    code: &UserCode,
    wrong: Option<&Unconfirmed>,
) -> Result<Response, ApiError> {
    let name = app.accounts().name_of(&session.account).await.map_err(ApiError::internal)?;
    let content = html! {
        p { "A terminal asks to be signed in to your account." }
        dl {
            dt { "Account" } dd { (name) }
            dt { "Terminal" } dd { (device.label) }
            dt { "Code" } dd { (code) }
        }
        p.quiet {
            "Do you mean another account? Then sign out here first, or open this address in a private window."
        }
        p { "Its screen has to show exactly these words:" }
        p.words { (device.key.words()) }
        p.notice {
            "Did somebody send you this link or this code? Then deny: you would sign in a terminal of theirs, "
            "and they would use what you pay for."
        }
        form method="post" action="/device" {
            (visitor.field(app))
            input type="hidden" name="code" value=(code);
            (step_up::field(app, session, wrong))
            button name="decision" value="approve" { "The words are the same: approve" }
            button.plain name="decision" value="deny" formnovalidate { "Deny" }
        }
    };
    Ok(page(StatusCode::OK, "Sign this terminal in?", &content))
}

fn ask_code(status: StatusCode, text: Option<&str>, typed: &str) -> Response {
    // No more of it than anybody types: a link may say anything.
    let typed: String = typed.chars().take(MOST_TYPED).collect();
    let typed = Some(typed).filter(|typed| !typed.is_empty());
    let content = html! {
        (notice(text))
        form method="get" action="/device" {
            label for="code" { "The code that the terminal shows" }
            input id="code" name="code" required maxlength=(MOST_TYPED) autocomplete="off" autocapitalize="characters"
                spellcheck="false" placeholder="WDJB-MJHT" value=[typed] aria-invalid=[text.map(|_| "true")]
                aria-describedby=[text.map(|_| NOTICE)] autofocus;
            button { "Go on" }
        }
    };
    page(status, "Sign a terminal in", &content)
}

fn unknown_code(typed: &str) -> Response {
    let text = "This code is unknown, has ended, or was used. The terminal shows a new one when it asks again.";
    ask_code(StatusCode::NOT_FOUND, Some(text), typed)
}

fn done(title: &str, text: &str) -> Response {
    page(StatusCode::OK, title, &html! { p role="status" { (text) } })
}
