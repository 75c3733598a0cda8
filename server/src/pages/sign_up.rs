//! A new account: for everyone where sign-up is open, otherwise with an invitation.

use super::layout::{notice, page, see_other};
use super::session::Visitor;
use super::{Form, Onward, onward};
use crate::address::ClientAddress;
use crate::app::App;
use crate::email::Email;
use crate::oauth::UserCode;
use crate::passwords::{MAX_PASSWORD, MIN_PASSWORD, Password};
use crate::problem::Fault;
use crate::secrets::{self, TokenHash, TokenRole};
use crate::store::{NewAccount, SignUp};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::AccountId;
use serde::Deserialize;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    csrf: String,
    email: String,
    password: String,
    #[serde(default)]
    code: String,
}

/// `GET /sign-up`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, Query(to): Query<Onward>) -> Response {
    if !app.sign_up_is_open() {
        return closed();
    }
    visitor.keep(&app, form(&app, &visitor, StatusCode::OK, "/sign-up", None, to.code().as_ref()))
}

/// `POST /sign-up`
pub(crate) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Wanted>,
) -> Result<Response, Fault> {
    if !app.sign_up_is_open() {
        return Ok(closed());
    }
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    app.gates.sign_in_address.take(address)?;
    create(&app, &visitor, sent, "/sign-up", None).await
}

/// `GET /invite/{token}`
pub(crate) async fn show_invited(
    State(app): State<App>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, Fault> {
    let invitation = app.core.store.invitation(&invitation_hash(&app, &token)).await.map_err(Fault::internal)?;
    Ok(match invitation {
        Some(_) => visitor.keep(&app, form(&app, &visitor, StatusCode::OK, &format!("/invite/{token}"), None, None)),
        None => not_invited(),
    })
}

/// `POST /invite/{token}`
pub(crate) async fn submit_invited(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Wanted>,
) -> Result<Response, Fault> {
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    app.gates.sign_in_address.take(address)?;
    let hash = invitation_hash(&app, &token);
    // Before a password is hashed for nothing; the transaction looks again.
    if app.core.store.invitation(&hash).await.map_err(Fault::internal)?.is_none() {
        return Ok(not_invited());
    }
    create(&app, &visitor, sent, &format!("/invite/{token}"), Some(hash)).await
}

async fn create(
    app: &App,
    visitor: &Visitor,
    sent: Wanted,
    action: &str,
    invitation: Option<TokenHash>,
) -> Result<Response, Fault> {
    let code: Option<UserCode> = sent.code.parse().ok();
    let again =
        |text: &str| Ok(form(app, visitor, StatusCode::UNPROCESSABLE_ENTITY, action, Some(text), code.as_ref()));
    let email = match Email::new(&sent.email) {
        Ok(email) => email,
        Err(bad) => return again(&format!("That is {bad}.")),
    };
    let password = match Password::chosen(sent.password) {
        Ok(password) => password,
        Err(bad) => return again(&format!("Not accepted: {bad}.")),
    };
    let id = AccountId::generate(app.core.clock.now().id_millis(), &mut secrets::rng());
    let account = NewAccount {
        id,
        lookup: app.core.secrets.lookup_name(email.as_str()),
        name: app.core.secrets.seal_name(&id, email.as_str()),
        password: app.passwords.hash(password).await.map_err(Fault::internal)?,
        operator: false,
        invitation,
    };
    match app.core.store.create_account(account).await.map_err(Fault::internal)? {
        SignUp::Made => {
            tracing::info!("an account was made");
            let to = if code.is_some() { onward("/device", code.as_ref()) } else { "/".to_owned() };
            visitor.sign_in(app, id, see_other(&to)).await
        }
        // Without mail there is no way to say this to the owner of the address alone.
        SignUp::NameTaken => again("There is an account of this e-mail address. Sign in instead."),
        SignUp::InvitationInvalid => Ok(not_invited()),
    }
}

fn invitation_hash(app: &App, token: &str) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::Invitation, token)
}

fn form(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    action: &str,
    text: Option<&str>,
    code: Option<&UserCode>,
) -> Response {
    let content = html! {
        (notice(text))
        form method="post" action=(action) {
            (visitor.field(app))
            @if let Some(code) = code { input type="hidden" name="code" value=(code); }
            label for="email" { "E-mail address" }
            input id="email" name="email" type="email" autocomplete="username" required maxlength="254" autofocus;
            label for="password" { "Password, at least " (MIN_PASSWORD) " characters" }
            input id="password" name="password" type="password" autocomplete="new-password" required
                minlength=(MIN_PASSWORD) maxlength=(MAX_PASSWORD);
            button { "Make the account" }
        }
        p.quiet { "You have one? " a href=(onward("/sign-in", code)) { "Sign in" } }
    };
    page(status, "Sign up", &content)
}

fn closed() -> Response {
    let content = html! {
        p { "This store takes no sign-ups. Ask its operator for an invitation." }
        p { a href="/sign-in" { "Sign in" } }
    };
    page(StatusCode::FORBIDDEN, "Sign-up is closed", &content)
}

fn not_invited() -> Response {
    let content =
        html! { p { "This invitation is unknown, was used, or has ended. Ask the operator for another one." } };
    page(StatusCode::NOT_FOUND, "No such invitation", &content)
}
