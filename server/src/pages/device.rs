//! Approving a terminal (RFC 8628 section 3.3). The page shows the fingerprint words of the key that asks: who was lured
//! here by somebody else sees words that stand on no screen of his own.

use super::layout::{notice, page, see_other};
use super::session::Visitor;
use super::{Form, Onward, onward};
use crate::app::App;
use crate::oauth::UserCode;
use crate::problem::Fault;
use crate::secrets::{TokenHash, TokenRole};
use crate::store::{DecideOutcome, Device, DeviceState};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::AccountId;
use serde::Deserialize;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Decision {
    csrf: String,
    code: String,
    decision: Verdict,
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
    Query(to): Query<Onward>,
) -> Result<Response, Fault> {
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, see_other(&onward("/sign-in", to.code().as_ref()))));
    };
    if to.code.is_empty() {
        return Ok(ask_code(StatusCode::OK, None));
    }
    let Some(code) = to.code() else {
        return Ok(unknown_code());
    };
    match pending(&app, account, &code).await? {
        Some(device) => {
            let name = app.name_of(account).await.map_err(Fault::internal)?;
            Ok(ask(&app, &visitor, &name, &device, &code))
        }
        None => Ok(unknown_code()),
    }
}

/// `POST /device`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Decision>,
) -> Result<Response, Fault> {
    let code: Option<UserCode> = sent.code.parse().ok();
    let Some(account) = visitor.account() else {
        return Ok(see_other(&onward("/sign-in", code.as_ref())));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let Some(code) = code else {
        return Ok(unknown_code());
    };
    app.gates.user_code.take(*account)?;
    let approved_by = (sent.decision == Verdict::Approve).then_some(*account);
    let decided = app.core.store.decide_device(&user_hash(&app, &code), approved_by).await.map_err(Fault::internal)?;
    Ok(match (decided, sent.decision) {
        (DecideOutcome::Decided, Verdict::Approve) => {
            done("Approved", "The terminal is signed in. You can close this page.")
        }
        (DecideOutcome::Decided, Verdict::Deny) => {
            done("Denied", "The terminal was not signed in. You can close this page.")
        }
        (DecideOutcome::Gone, _) => unknown_code(),
    })
}

async fn pending(app: &App, account: &AccountId, code: &UserCode) -> Result<Option<Device>, Fault> {
    app.gates.user_code.take(*account)?;
    let device = app.core.store.device(&user_hash(app, code)).await.map_err(Fault::internal)?;
    Ok(device.filter(|device| device.state == DeviceState::Pending && device.expires > app.core.clock.now()))
}

fn user_hash(app: &App, code: &UserCode) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::User, code.letters())
}

fn ask(app: &App, visitor: &Visitor, name: &str, device: &Device, code: &UserCode) -> Response {
    let content = html! {
        p { "A terminal asks to be signed in to your account." }
        dl {
            dt { "Account" } dd { (name) }
            dt { "Terminal" } dd { (device.label) }
            dt { "Code" } dd { (code) }
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
            button name="decision" value="approve" { "The words are the same: approve" }
            button.plain name="decision" value="deny" { "Deny" }
        }
    };
    page(StatusCode::OK, "Sign this terminal in?", &content)
}

fn ask_code(status: StatusCode, text: Option<&str>) -> Response {
    let content = html! {
        (notice(text))
        form method="get" action="/device" {
            label for="code" { "The code that the terminal shows" }
            input id="code" name="code" required maxlength="20" autocomplete="off" autocapitalize="characters"
                spellcheck="false" placeholder="WDJB-MJHT" autofocus;
            button { "Go on" }
        }
    };
    page(status, "Sign a terminal in", &content)
}

fn unknown_code() -> Response {
    let text = "This code is unknown, has ended, or was used. The terminal shows a new one when it asks again.";
    ask_code(StatusCode::NOT_FOUND, Some(text))
}

fn done(title: &str, text: &str) -> Response {
    page(StatusCode::OK, title, &html! { p role="status" { (text) } })
}
