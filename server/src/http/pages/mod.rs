//! The pages that people see: the store, buying, the account, sign-in, sign-up, the approval of a terminal. No scripts.

pub(crate) mod account;
pub(crate) mod buying;
mod device;
mod kit;
mod known;
mod onward;
mod problem;
mod reference;
mod sandbox;
mod session;
mod sign_in;
mod sign_up;
mod step_up;
pub(crate) mod store;

pub(crate) use account::{
    change_email, change_password, end_session, revoke_terminal, show as show_account, sign_out_everywhere,
};
pub(crate) use device::{show as show_device, submit as submit_device};
pub(crate) use problem::{ForPrograms, instead_of_problems};
pub(crate) use reference::show as show_reference;
pub(crate) use sandbox::{play as play_sandbox, show as show_sandbox};
pub(crate) use sign_in::{leave as sign_out, show as show_sign_in, submit as submit_sign_in};
pub(crate) use sign_up::{show as show_sign_up, show_invited, submit as submit_sign_up, submit_invited};

use crate::http::form;
use crate::http::problem::ApiError;
use axum::extract::rejection::RawFormRejection;
use axum::extract::{FromRequest, RawForm, Request};
use axum::http::StatusCode;
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A form as a browser sends it.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let other = || ApiError::Malformed("not the form that this page sends".into());
        match RawForm::from_request(request, state).await {
            Ok(RawForm(encoded)) => form::read(&encoded).map(Self).ok_or_else(other),
            Err(RawFormRejection::InvalidFormContentType(_)) => Err(ApiError::UnsupportedMediaType),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::TooLarge(MAX_REQUEST_BODY as u64))
            }
            Err(_) => Err(other()),
        }
    }
}

/// A form with nothing but a button.
#[derive(Deserialize)]
pub(crate) struct Bare {
    csrf: String,
}
