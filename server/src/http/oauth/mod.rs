//! Signing a terminal in: the device authorization grant (RFC 8628) with tokens bound to the terminal's key (RFC 9449).

pub(crate) mod device_authorization;
pub(crate) mod revoke;
pub(crate) mod token;
mod user_code;

pub(crate) use user_code::UserCode;

use crate::crypto::secrets::{self, TokenRole};
use crate::http::app::App;
use crate::http::auth::ProvenStranger;
use crate::http::form;
use crate::http::problem::{ApiError, no_store, set_nonce};
use crate::http::rate::TooMany;
use crate::store::NewTokens;
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_protocol::wire::OAuthError;
use portcullis_protocol::wire::TokenAnswer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The one public client: a terminal of Portcullis.
pub(crate) const CLIENT_ID: &str = "portcullis";
/// Seconds that an access token is good for. It can be renewed, and its session ended at any time.
const ACCESS_LIFE: u32 = 3600;
/// Seconds that a refresh token is good for: a terminal that was not used for so long signs in again.
const REFRESH_LIFE: u64 = 90 * 24 * 3600;

/// An error as RFC 6749 section 5.2 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
}

impl Code {
    const fn text(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
        }
    }
}

/// Why a sign-in does not go on.
#[derive(Debug)]
pub(crate) enum Denied {
    Code(Code),
    Fault(ApiError),
}

impl From<Code> for Denied {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl From<ApiError> for Denied {
    fn from(fault: ApiError) -> Self {
        Self::Fault(fault)
    }
}

impl From<TooMany> for Denied {
    fn from(too_many: TooMany) -> Self {
        Self::Fault(too_many.into())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let fault = match self {
            Self::Code(code) => return error(StatusCode::BAD_REQUEST, code.text(), None),
            Self::Fault(fault) => fault,
        };
        let (status, description) = (fault.status(), Some(fault.to_string()));
        match fault {
            ApiError::Nonce(nonce) => {
                let mut response = error(status, "use_dpop_nonce", description);
                set_nonce(&mut response, &nonce);
                response
            }
            ApiError::Unproven => error(status, "invalid_dpop_proof", description),
            ApiError::Malformed(_) | ApiError::TooLarge(_) => error(status, "invalid_request", description),
            ApiError::TooMany(TooMany { retry_after }) => {
                let mut response = error(status, "slow_down", description);
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
                response
            }
            _ => error(status, "server_error", description),
        }
    }
}

fn error(status: StatusCode, error: &str, error_description: Option<String>) -> Response {
    (status, no_store(), Json(OAuthError { error: error.into(), error_description })).into_response()
}

/// A form, from the holder of a key.
pub(crate) struct ProvenForm<T> {
    pub(crate) stranger: ProvenStranger,
    pub(crate) form: T,
}

impl<T: DeserializeOwned + Send> FromRequest<App> for ProvenForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let stranger =
            ProvenStranger::from_request(request, app).await.map_err(|fault| Denied::from(fault).into_response())?;
        match form::read(&stranger.body) {
            Some(form) if is_form => Ok(Self { stranger, form }),
            _ => Err(with_nonce(Denied::from(Code::InvalidRequest).into_response(), &stranger.nonce)),
        }
    }
}

impl<T> ProvenForm<T> {
    /// An answer with the nonce for the next proof.
    fn answer(&self, answer: Result<impl Serialize, Denied>) -> Response {
        let response = match answer {
            Ok(body) => (no_store(), Json(body)).into_response(),
            Err(denied) => denied.into_response(),
        };
        with_nonce(response, &self.stranger.nonce)
    }
}

fn with_nonce(mut response: Response, nonce: &str) -> Response {
    set_nonce(&mut response, nonce);
    response
}

/// Draws a pair of tokens: as they are stored, and as they travel.
fn draw_tokens(app: &App) -> (NewTokens, TokenAnswer) {
    pair(app, &secrets::new_token(), &secrets::new_token())
}

/// The pair of tokens that a device code becomes, the same each time: a terminal that lost the answer asks again.
fn derive_tokens(app: &App, device_code: &str) -> (NewTokens, TokenAnswer) {
    let derive = |role| app.core.secrets.derive_token(role, device_code);
    pair(app, &derive(TokenRole::Access), &derive(TokenRole::Refresh))
}

fn pair(app: &App, access: &str, refresh: &str) -> (NewTokens, TokenAnswer) {
    let stored = NewTokens {
        access: app.core.secrets.hash_token(TokenRole::Access, access),
        access_life: ACCESS_LIFE.into(),
        refresh: app.core.secrets.hash_token(TokenRole::Refresh, refresh),
        refresh_life: REFRESH_LIFE,
    };
    let answer = TokenAnswer {
        access_token: access.to_string(),
        token_type: "DPoP".into(),
        expires_in: ACCESS_LIFE,
        refresh_token: refresh.to_string(),
    };
    (stored, answer)
}
