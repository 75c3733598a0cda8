//! `POST /oauth/device_authorization` (RFC 8628 section 3.1)

use super::{CLIENT_ID, Code, Denied, ProvenForm, UserCode};
use crate::crypto::secrets::{self, TokenRole};
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::NewDevice;
use axum::extract::State;
use axum::response::Response;
use portcullis_protocol::limits::MAX_TITLE;
use portcullis_protocol::paths;
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::DeviceAuthorisation;
use serde::Deserialize;

/// Seconds that a device code is good for: to open a browser, sign up and compare words.
const LIFE: u32 = 600;
/// Draws of a user code that is in use before giving up. At a million open codes one draw in 25,000 is.
const DRAWS: usize = 8;

/// The form as sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceForm {
    client_id: String,
    label: String,
}

/// Makes a pair of codes, bound to the key that proved itself (RFC 8628 section 3.1).
#[utoipa::path(
    post,
    path = paths::DEVICE_AUTHORIZATION,
    tag = "signing in",
    request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Done", body = DeviceAuthorisation)),
)]
pub(crate) async fn create(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    asked: ProvenForm<DeviceForm>,
) -> Response {
    let answer = match app.gates.device_code.take(address) {
        Ok(()) => make(&app, &asked).await,
        Err(too_many) => Err(too_many.into()),
    };
    asked.answer(answer)
}

async fn make(app: &App, asked: &ProvenForm<DeviceForm>) -> Result<DeviceAuthorisation, Denied> {
    let DeviceForm { client_id, label } = &asked.form;
    if client_id != CLIENT_ID {
        return Err(Code::InvalidClient.into());
    }
    if label.len() > MAX_TITLE || label.chars().any(disturbs) {
        return Err(Code::InvalidRequest.into());
    }
    let device_code = secrets::new_token();
    for _ in 0..DRAWS {
        let user_code = UserCode::draw();
        let device = NewDevice {
            device: app.core.secrets.hash_token(TokenRole::Device, &device_code),
            user: app.core.secrets.hash_token(TokenRole::User, user_code.letters()),
            key: asked.stranger.key.thumbprint(),
            label: label.clone(),
            life: LIFE.into(),
            interval: app.config.limits.poll_seconds,
        };
        if app.core.store.create_device(device).await.map_err(ApiError::internal)? {
            let verification_uri = format!("{}/device", app.origin());
            return Ok(DeviceAuthorisation {
                device_code: device_code.to_string(),
                verification_uri_complete: format!("{verification_uri}?code={user_code}"),
                user_code: user_code.to_string(),
                verification_uri,
                expires_in: LIFE,
                interval: app.config.limits.poll_seconds,
            });
        }
    }
    Err(ApiError::internal("no user code is free").into())
}
