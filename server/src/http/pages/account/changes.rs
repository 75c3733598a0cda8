//! Another password, another e-mail address: with the current password, so that a browser that was left open is not
//! enough to take an account away.

use super::super::Form;
use super::super::kit::flash::Flash;
use super::super::problem::wait;
use super::super::session::{SignedInBrowser, Visitor};
use super::{Wrong, after, owner, render, to_sign_in};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::http::rate::TooMany;
use crate::identity::email::Email;
use crate::identity::passwords::Password;
use crate::store::{ChangedBy, RenameOutcome};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
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

/// Why a change was not made.
pub(super) struct Unconfirmed {
    pub(super) text: String,
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<u32>,
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
    let changed = app.accounts().set_password(session.account, new, by).await.map_err(ApiError::internal)?;
    Ok(if changed { after(&app, &visitor, Flash::Password) } else { to_sign_in() })
}

/// `POST /account/email`
pub(crate) async fn change_email(
    State(app): State<App>,
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
    match app.accounts().rename(session.account, &email, by).await.map_err(ApiError::internal)? {
        RenameOutcome::Renamed => Ok(after(&app, &visitor, Flash::Email)),
        RenameOutcome::Gone => Ok(to_sign_in()),
        RenameOutcome::NameTaken => {
            let wrong = Wrong { new_email: Some("Another account has this e-mail address."), ..typed };
            render(&app, &visitor, session, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await
        }
    }
}

/// Checks the current password, a few times per browser session.
pub(super) async fn confirm(
    app: &App,
    session: &SignedInBrowser,
    typed: String,
) -> Result<Result<ChangedBy, Unconfirmed>, ApiError> {
    if let Err(TooMany { retry_after }) = app.gates.confirmation.take(session.token) {
        let text = format!("Too many attempts. {}", wait(Some(retry_after)));
        return Ok(Err(Unconfirmed { text, status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(retry_after) }));
    }
    let wrong = || Unconfirmed {
        text: "That is not your current password.".to_owned(),
        status: StatusCode::UNPROCESSABLE_ENTITY,
        retry_after: None,
    };
    let Ok(typed) = Password::typed(typed) else { return Ok(Err(wrong())) };
    let confirmed = app.accounts().confirm(&session.account, typed, session.token).await;
    let Some(by) = confirmed.map_err(ApiError::internal)? else { return Ok(Err(wrong())) };
    app.gates.right_password.take(session.account)?;
    app.gates.confirmation.give_back(&session.token, 1);
    Ok(Ok(by))
}

async fn refuse(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    no: &Unconfirmed,
    wrong: &Wrong<'_>,
) -> Result<Response, ApiError> {
    let mut page = render(app, visitor, session, no.status, wrong).await?;
    if let Some(seconds) = no.retry_after {
        page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(page)
}
