//! Sign-in with e-mail address and password, and sign-out.

use super::layout::{notice, page, see_other};
use super::session::Visitor;
use super::{Bare, Form, Onward, onward};
use crate::address::ClientAddress;
use crate::app::App;
use crate::email::Email;
use crate::oauth::UserCode;
use crate::passwords::Password;
use crate::problem::Fault;
use crate::rate::TooMany;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::AccountId;
use serde::Deserialize;
use std::net::IpAddr;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    csrf: String,
    email: String,
    password: String,
    #[serde(default)]
    code: String,
}

/// `GET /sign-in`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, Query(to): Query<Onward>) -> Response {
    visitor.keep(&app, form(&app, &visitor, StatusCode::OK, None, to.code().as_ref()))
}

/// `POST /sign-in`
pub(crate) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<SignIn>,
) -> Result<Response, Fault> {
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let code: Option<UserCode> = sent.code.parse().ok();
    let again = |status, text: &str| form(&app, &visitor, status, Some(text), code.as_ref());
    match attempt(&app, address, &sent.email, sent.password).await? {
        Attempt::Passed(account) => {
            let to = if code.is_some() { onward("/device", code.as_ref()) } else { "/".to_owned() };
            visitor.sign_in(&app, account, see_other(&to)).await
        }
        Attempt::Failed => {
            Ok(again(StatusCode::UNPROCESSABLE_ENTITY, "That is no e-mail address and password known here."))
        }
        Attempt::TooMany(TooMany { retry_after }) => {
            let text = format!("Too many attempts. Try again in {} minutes.", retry_after.div_ceil(60));
            Ok(again(StatusCode::TOO_MANY_REQUESTS, &text))
        }
    }
}

/// `POST /sign-out`
pub(crate) async fn leave(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Bare>,
) -> Result<Response, Fault> {
    match visitor.sent(&app, &sent.csrf, &headers) {
        Ok(()) => visitor.sign_out(&app, see_other("/")).await,
        Err(forged) => Ok(forged.page()),
    }
}

enum Attempt {
    Passed(AccountId),
    Failed,
    TooMany(TooMany),
}

/// Checks a password. Unknown, suspended and mistyped look the same from outside and take the same time.
async fn attempt(app: &App, address: IpAddr, email: &str, password: String) -> Result<Attempt, Fault> {
    // Counted before anything is checked, and whatever comes of it.
    if let Err(too_many) = app.gates.sign_in_address.take(address) {
        return Ok(Attempt::TooMany(too_many));
    }
    let (Ok(email), Ok(password)) = (Email::new(email), Password::typed(password)) else {
        return Ok(Attempt::Failed);
    };
    let lookup = app.core.secrets.lookup_name(email.as_str());
    if let Err(too_many) = app.gates.sign_in.take(email) {
        return Ok(Attempt::TooMany(too_many));
    }
    let account = app.core.store.account_by_name(&lookup).await.map_err(Fault::internal)?;
    let stored = account.as_ref().map(|account| account.password.as_str());
    let matches = app.passwords.matches(password, stored).await.map_err(Fault::internal)?;
    Ok(match account {
        Some(account) if matches && account.suspended.is_none() => Attempt::Passed(account.id),
        _ => Attempt::Failed,
    })
}

fn form(app: &App, visitor: &Visitor, status: StatusCode, text: Option<&str>, code: Option<&UserCode>) -> Response {
    let content = html! {
        (notice(text))
        form method="post" action="/sign-in" {
            (visitor.field(app))
            @if let Some(code) = code { input type="hidden" name="code" value=(code); }
            label for="email" { "E-mail address" }
            input id="email" name="email" type="email" autocomplete="username" required maxlength="254" autofocus;
            label for="password" { "Password" }
            input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256";
            button { "Sign in" }
        }
        @if app.sign_up_is_open() { p.quiet { "No account yet? " a href=(onward("/sign-up", code)) { "Sign up" } } }
    };
    page(status, "Sign in", &content)
}
