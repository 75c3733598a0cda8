//! `POST /v1/verifications`: step 3 of the cycle.

use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{VerificationAnswer, VerificationRequest};

/// Step 3: consumes the status code; answers with grant and sealed part keys.
///
/// One transaction consumes, debits and grants. Repeated under its Idempotency-Key it gets the same answer.
#[utoipa::path(
    post,
    path = paths::VERIFICATIONS,
    tag = "cycle",
    request_body = VerificationRequest,
    responses((status = 200, description = "Done", body = VerificationAnswer), (status = 402, description = "The rights are used up"), (status = 404, description = "Unknown code, resource or operation"), (status = 410, description = "The code has expired, or the resource was withdrawn")),
)]
pub(crate) async fn verify(app: App, caller: ProvenTerminal, (): ()) -> Result<VerificationAnswer, Refused> {
    let request: VerificationRequest = caller.json()?;
    Ok(cycle::verify(&app.core, &caller.asker, &request, caller.request()?).await?)
}
