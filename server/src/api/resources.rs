//! `PUT /v1/resources`, `POST /v1/resources/{digest}/withdraw` and `…/restore`

use super::{DONE, remembered, segment};
use crate::app::App;
use crate::auth::{Caller as _, ProvenTerminal, ProvenUpload};
use crate::problem::{Fault, Refused};
use crate::rate::TooMany;
use crate::store::{RestoreOutcome, WithdrawOutcome};
use crate::{offers, publish};
use axum::extract::State;
use axum::response::Response;
use portcullis_protocol::Digest;
use portcullis_protocol::limits::MAX_DESCRIPTION;
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::{Done, RestoreRequest, WithdrawRequest};

/// Seconds after which an upload may be tried again where too many are under way.
const RETRY_UPLOAD: u32 = 10;

/// Publishes the sealed file in the body.
pub(crate) async fn put(State(app): State<App>, upload: ProvenUpload) -> Response {
    let reply = upload.caller.reply().clone();
    let Ok(slot) = app.uploads.clone().try_acquire_owned() else {
        return reply.no(TooMany { retry_after: RETRY_UPLOAD });
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

/// Withdraws a resource of a publisher of the caller's.
pub(crate) async fn withdraw(app: App, caller: ProvenTerminal, digest: String) -> Result<Done, Refused> {
    let digest: Digest = segment(&digest)?;
    let WithdrawRequest { reason } = caller.json()?;
    if reason.len() > MAX_DESCRIPTION || reason.chars().any(|c| disturbs(c) && c != '\n') {
        return Err(Fault::Unacceptable(format!("a reason has at most {MAX_DESCRIPTION} bytes")).into());
    }
    match app.core.store.withdraw(caller.account(), &digest, reason).await.map_err(Fault::internal)? {
        WithdrawOutcome::Withdrawn => Ok(DONE),
        WithdrawOutcome::NotFound => {
            Err(Fault::Forbidden("there is no such resource of a publisher of this account".into()).into())
        }
    }
}

/// Restores a resource that a publisher of the caller's withdrew.
pub(crate) async fn restore(app: App, caller: ProvenTerminal, digest: String) -> Result<Done, Refused> {
    let digest: Digest = segment(&digest)?;
    let RestoreRequest {} = caller.json()?;
    match app.core.store.restore(Some(caller.account()), &digest).await.map_err(Fault::internal)? {
        RestoreOutcome::Restored => Ok(DONE),
        RestoreOutcome::NotFound => {
            Err(Fault::Forbidden("there is no such resource of a publisher of this account".into()).into())
        }
        RestoreOutcome::TakenDown => {
            Err(Fault::Forbidden("the operator of this store took it down: ask the store".into()).into())
        }
        RestoreOutcome::OpensPart(opened) => Err(Fault::Conflict(offers::stays_withdrawn(&opened)).into()),
    }
}
