//! Another password, another e-mail address: with the current password, so that a browser that was left open is not
//! enough to take an account away.

use super::super::Form;
use super::super::kit::flash::Flash;
use super::super::session::{SignedInBrowser, Visitor};
use super::super::step_up::{Unconfirmed, confirm};
use super::{Wrong, after, owner, render, to_account, to_sign_in};
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::identity::email::Email;
use crate::identity::passwords::Password;
use crate::store::RenameOutcome;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

/// The password form as sent.
#[derive(Deserialize)]
pub(crate) struct PasswordChange {
    csrf: String,
    #[serde(rename = "current-password")]
    current: String,
    #[serde(rename = "new-password")]
    new: String,
}

/// The e-mail form as sent.
#[derive(Deserialize)]
pub(crate) struct EmailChange {
    csrf: String,
    #[serde(rename = "new-email")]
    new: String,
    #[serde(rename = "password-for-email")]
    password: String,
}

/// `POST /account/password`
pub(crate) async fn change_password(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<PasswordChange>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    let new = match Password::chosen(sent.new) {
        Ok(new) => new,
        Err(bad) => {
            let text = format!("Not accepted: {bad}.");
            let wrong = Wrong { new_password: Some(&text), ..Wrong::default() };
            return render(&app, &visitor, session, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await;
        }
    };
    let by = match confirm(&app, session, sent.current).await? {
        Ok(by) => by,
        Err(no) => {
            let wrong = Wrong { current_password: Some(&no.text), ..Wrong::default() };
            return refuse(&app, &visitor, session, &no, &wrong).await;
        }
    };
    let account = session.account;
    match app.accounts().set_password(account, new, by).await.map_err(ApiError::internal)? {
        Some(stored) => visitor.sign_in_again(&app, account, stored, Flash::Password, to_account()).await,
        None => Ok(to_sign_in()),
    }
}

/// `POST /account/email`
pub(crate) async fn change_email(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<EmailChange>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    let typed = Wrong { typed_email: &sent.new, ..Wrong::default() };
    let email = match Email::new(&sent.new) {
        Ok(email) => email,
        Err(bad) => {
            let text = format!("That is {bad}.");
            let wrong = Wrong { new_email: Some(&text), ..typed };
            return render(&app, &visitor, session, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await;
        }
    };
    let by = match confirm(&app, session, sent.password).await? {
        Ok(by) => by,
        Err(no) => {
            let wrong = Wrong { password: Some(&no.text), ..typed };
            return refuse(&app, &visitor, session, &no, &wrong).await;
        }
    };
    // As a sign-up, it tells whether there is an account of this name.
    app.gates.sign_up.take(address)?;
    match app.accounts().rename(session.account, &email, by).await.map_err(ApiError::internal)? {
        RenameOutcome::Renamed => Ok(after(&app, &visitor, Flash::Email)),
        RenameOutcome::Gone => Ok(to_sign_in()),
        RenameOutcome::NameTaken => {
            let wrong = Wrong { new_email: Some("Another account has this e-mail address."), ..typed };
            render(&app, &visitor, session, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await
        }
    }
}

async fn refuse(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    no: &Unconfirmed,
    wrong: &Wrong<'_>,
) -> Result<Response, ApiError> {
    Ok(no.on(render(app, visitor, session, no.status, wrong).await?))
}
