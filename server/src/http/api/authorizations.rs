//! `POST /v1/authorizations`: steps 1 and 2 of the cycle.

use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{AuthorisationAnswer, AuthorisationRequest};

/// Steps 1 and 2: judges a request and answers with a billing status code.
///
/// The code holds what the request costs until it expires. Its own transaction remembers the answer.
#[utoipa::path(
    post,
    path = paths::AUTHORIZATIONS,
    tag = "cycle",
    request_body = AuthorisationRequest,
    responses((status = 200, description = "Done", body = AuthorisationAnswer), (status = 402, description = "To be paid for; the refusal carries offers"), (status = 404, description = "Unknown resource or operation"), (status = 410, description = "The resource was withdrawn")),
)]
pub(crate) async fn authorise(app: App, caller: ProvenTerminal, (): ()) -> Result<AuthorisationAnswer, Refused> {
    let request: AuthorisationRequest = caller.json()?;
    Ok(cycle::authorise(&app.core, &caller.asker, &request, caller.request()?).await?)
}
