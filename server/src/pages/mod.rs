//! The pages that people see: sign-in, sign-up, invitation, and the approval of a terminal. No scripts.

mod device;
mod home;
mod layout;
mod session;
mod sign_in;
mod sign_up;

pub(crate) use device::{show as show_device, submit as submit_device};
pub(crate) use home::show as show_home;
pub(crate) use sign_in::{leave as sign_out, show as show_sign_in, submit as submit_sign_in};
pub(crate) use sign_up::{show as show_sign_up, show_invited, submit as submit_sign_up, submit_invited};

use crate::oauth::UserCode;
use crate::problem::Fault;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A form as a browser sends it. What is none of ours gets no page.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        match axum::extract::Form::from_request(request, state).await {
            Ok(axum::extract::Form(form)) => Ok(Self(form)),
            Err(_) => Err(Fault::Malformed("not the form that this page sends".into())),
        }
    }
}

/// A form with nothing but a button.
#[derive(Deserialize)]
pub(crate) struct Bare {
    csrf: String,
}

/// Where the visitor is on the way to: only ever to the approval of a terminal, so that no link leads elsewhere.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Onward {
    #[serde(default)]
    code: String,
}

impl Onward {
    /// The user code, where it is one.
    fn code(&self) -> Option<UserCode> {
        self.code.parse().ok()
    }
}

/// A page, on the way to the approval of a terminal.
fn onward(path: &str, code: Option<&UserCode>) -> String {
    code.map_or_else(|| path.to_owned(), |code| format!("{path}?code={code}"))
}
