//! `PUT /v1/resources`, `POST /v1/resources/{digest}/withdraw` and `…/restore`

use super::{DONE, remembered, segment};
use crate::billing::offers;
use crate::catalogue::publish;
use crate::http::app::App;
use crate::http::auth::{Caller as _, ProvenTerminal, ProvenUpload};
use crate::http::body::drain;
use crate::http::places::Place;
use crate::http::problem::{ApiError, Refused};
use crate::store::{RestoreOutcome, WithdrawOutcome};
use axum::extract::State;
use axum::response::Response;
use portcullis_protocol::limits::MAX_DESCRIPTION;
use portcullis_protocol::paths;
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::{Done, RestoreRequest, WithdrawRequest};
use portcullis_protocol::{AccountId, Digest};

/// Publishes the sealed file in the body.
///
/// The proof covers the whole file by its digest.
#[utoipa::path(
    put,
    path = paths::RESOURCES,
    tag = "publishing",
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, description = "Done", body = portcullis_protocol::wire::PublishAnswer)),
)]
pub(crate) async fn put(State(app): State<App>, upload: ProvenUpload) -> Response {
    let reply = upload.caller.reply().clone();
    let slot = match may_upload(&app, upload.caller.account()).await {
        Ok(slot) => slot,
        Err(refused) => {
            drain(upload.unverified_body, upload.is_held_back);
            return reply.no(refused);
        }
    };
    let (incoming, caller) = match publish::receive_proven(&app, upload).await {
        Ok(received) => received,
        Err(fault) => return reply.no(fault),
    };
    let account = *caller.account();
    let answer = remembered(app.clone(), caller, |_| async move {
        let _slot = slot;
        publish::publish(&app, account, incoming).await
    });
    reply.answer(answer.await)
}

/// The right to publish comes first, then a slot.
async fn may_upload(app: &App, account: &AccountId) -> Result<Place<AccountId>, Refused> {
    if app.core.store.publishers_of(account, None, 1).await.map_err(ApiError::internal)?.is_empty() {
        let text = "this account has no publisher's name: claim one with its key first, as `portcullis publish` does";
        return Err(ApiError::Forbidden(text.into()).into());
    }
    Ok(app.uploads.begin(account)?)
}

/// Withdraws a resource.
#[utoipa::path(
    post,
    path = paths::WITHDRAW,
    tag = "publishing",
    params(("digest" = Digest, Path, description = "The resource digest")),
    request_body = WithdrawRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn withdraw(app: App, caller: ProvenTerminal, digest: String) -> Result<Done, Refused> {
    let digest: Digest = segment(&digest)?;
    let WithdrawRequest { reason } = caller.json()?;
    if reason.len() > MAX_DESCRIPTION || reason.chars().any(|c| disturbs(c) && c != '\n') {
        return Err(ApiError::Unacceptable(format!("a reason has at most {MAX_DESCRIPTION} bytes")).into());
    }
    match app.core.store.withdraw(caller.account(), &digest, reason).await.map_err(ApiError::internal)? {
        WithdrawOutcome::Withdrawn => Ok(DONE),
        WithdrawOutcome::NotFound => {
            Err(ApiError::Forbidden("this account's publishers have no such resource".into()).into())
        }
    }
}

/// Restores a resource that its publisher withdrew.
#[utoipa::path(
    post,
    path = paths::RESTORE,
    tag = "publishing",
    params(("digest" = Digest, Path, description = "The resource digest")),
    request_body = RestoreRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn restore(app: App, caller: ProvenTerminal, digest: String) -> Result<Done, Refused> {
    let digest: Digest = segment(&digest)?;
    let RestoreRequest {} = caller.json()?;
    match app.core.store.restore(Some(caller.account()), &digest).await.map_err(ApiError::internal)? {
        RestoreOutcome::Restored => Ok(DONE),
        RestoreOutcome::NotFound => {
            Err(ApiError::Forbidden("this account's publishers have no such resource".into()).into())
        }
        RestoreOutcome::TakenDown => {
            Err(ApiError::Forbidden("the operator of this store took it down: ask the store".into()).into())
        }
        RestoreOutcome::OpensPart(opened) => Err(ApiError::Conflict(offers::stays_withdrawn(&opened)).into()),
    }
}
