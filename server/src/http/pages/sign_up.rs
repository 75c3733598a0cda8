//! A new account: for everyone if sign-up is open, otherwise with an invitation.

use super::Form;
use super::kit::field::Field;
use super::kit::layout::{page, see_other};
use super::onward::Onward;
use super::session::Visitor;
use super::sign_in::sign_in_again;
use crate::audit::Act;
use crate::crypto::secrets::{TokenHash, TokenRole};
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::identity::accounts::{Made, Wanted as Account};
use crate::identity::email::Email;
use crate::identity::passwords::Password;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    csrf: String,
    email: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    to: String,
}

/// What is wrong with a form, by field.
#[derive(Default)]
struct Wrong {
    email: Option<String>,
    password: Option<String>,
}

/// `GET /sign-up`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, to: Onward) -> Response {
    if !app.sign_up_is_open() {
        return closed();
    }
    visitor.keep(&app, form(&app, &visitor, "/sign-up", "", &Wrong::default(), &to))
}

/// `POST /sign-up`
pub(crate) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Wanted>,
) -> Result<Response, ApiError> {
    if !app.sign_up_is_open() {
        return Ok(closed());
    }
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    app.gates.sign_up.take(address)?;
    create(&app, &visitor, address, sent, "/sign-up", None).await
}

/// `GET /invite/{token}`
pub(crate) async fn show_invited(
    State(app): State<App>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let invitation = app.core.store.invitation(&invitation_hash(&app, &token)).await.map_err(ApiError::internal)?;
    let action = format!("/invite/{token}");
    Ok(match invitation {
        Some(_) => visitor.keep(&app, form(&app, &visitor, &action, "", &Wrong::default(), &Onward::Home)),
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
) -> Result<Response, ApiError> {
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let hash = invitation_hash(&app, &token);
    // Before a password is hashed for nothing; the transaction looks again.
    let Some(invitation) = app.core.store.invitation(&hash).await.map_err(ApiError::internal)? else {
        let to = Onward::read(&sent.code, &sent.to);
        let back = sign_in_again(&app, &visitor, address, (&sent.email, sent.password), &to).await?;
        return Ok(back.unwrap_or_else(not_invited));
    };
    app.gates.invitation.take(hash)?;
    let action = format!("/invite/{token}");
    let made = create(&app, &visitor, address, sent, &action, Some(hash));
    if invitation.operator {
        return Act::of_server(&app.core, "account add", "").with("by", "an operator's invitation").scope(made).await;
    }
    made.await
}

async fn create(
    app: &App,
    visitor: &Visitor,
    address: IpAddr,
    mut sent: Wanted,
    action: &str,
    invitation: Option<TokenHash>,
) -> Result<Response, ApiError> {
    let to = Onward::read(&sent.code, &sent.to);
    let again = |wrong: &Wrong| {
        let mut page = form(app, visitor, action, &sent.email, wrong, &to);
        *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        page
    };
    let typed = Zeroizing::new(std::mem::take(&mut sent.password));
    let (email, password) = match (Email::new(&sent.email), Password::chosen(typed.to_string())) {
        (Ok(email), Ok(password)) => (email, password),
        (email, password) => {
            let email = email.err().map(|bad| format!("That is {bad}."));
            let password = password.err().map(|bad| format!("Not accepted: {bad}."));
            return Ok(again(&Wrong { email, password }));
        }
    };
    let account = Account { email, password, operator: false, invitation };
    match app.accounts().create(account).await.map_err(ApiError::internal)? {
        Made::Account(id) => {
            tracing::info!("an account was made");
            let made = app.core.store.account(&id).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
            visitor.sign_in(app, id, made.password, see_other(&to.path())).await
        }
        // Used a moment ago, by the same form: a double click is answered as a click.
        Made::InvitationInvalid => {
            let typed = (sent.email.as_str(), typed.to_string());
            Ok(sign_in_again(app, visitor, address, typed, &to).await?.unwrap_or_else(not_invited))
        }
        // Without mail there is no way to say this to the owner of the address alone.
        Made::NameTaken => {
            let email = Some("There is an account of this e-mail address. Sign in instead.".to_owned());
            Ok(again(&Wrong { email, password: None }))
        }
    }
}

fn invitation_hash(app: &App, token: &str) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::Invitation, token)
}

fn form(app: &App, visitor: &Visitor, action: &str, email: &str, wrong: &Wrong, to: &Onward) -> Response {
    let only_password = wrong.email.is_none() && wrong.password.is_some();
    let content = html! {
        form method="post" action=(action) {
            (visitor.field(app))
            (to.field())
            (Field::email("email", "E-mail address", "username")
                .value(email).error(wrong.email.as_deref()).focus(!only_password))
            (Field::new_password("password", "Password").error(wrong.password.as_deref()).focus(only_password))
            button { "Create account" }
        }
        p.quiet { "Already have an account? " a href=(to.by("/sign-in")) { "Sign in" } }
    };
    page(StatusCode::OK, "Sign up", &content)
}

fn closed() -> Response {
    let content = html! {
        p { "This store does not accept sign-ups. Ask its operator for an invitation." }
        p { a href="/sign-in" { "Sign in" } }
    };
    page(StatusCode::FORBIDDEN, "Sign-up is closed", &content)
}

fn not_invited() -> Response {
    let content = html! {
        p { "This invitation is unknown, was used, or has ended. Ask the operator for another one." }
        p { "If you have just made your account with it: " a href="/sign-in" { "sign in" } "." }
    };
    page(StatusCode::NOT_FOUND, "No such invitation", &content)
}
