//! `/v1/grants/{id}`: a grant again, to the terminal that has it.

use super::segment;
use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use portcullis_protocol::GrantId;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{Acknowledged, Acknowledgement, VerificationAnswer};

/// The answer of step 3 again, to the terminal that has the grant, until the grant ends.
#[utoipa::path(
    get,
    path = paths::GRANT,
    tag = "cycle",
    params(("id" = GrantId, Path, description = "The grant")),
    responses((status = 200, description = "Done", body = VerificationAnswer), (status = 409, description = "The grant has ended or is another terminal's"), (status = 410, description = "The resource was withdrawn")),
)]
pub(crate) async fn show(app: App, caller: ProvenTerminal, grant: String) -> Result<VerificationAnswer, Refused> {
    Ok(cycle::redeliver(&app.core, &caller.asker, &segment(&grant)?).await?)
}

/// Says that the keys of a grant arrived.
#[utoipa::path(
    post,
    path = paths::GRANT_ACK,
    tag = "cycle",
    params(("id" = GrantId, Path, description = "The grant")),
    request_body = Acknowledgement,
    responses((status = 200, description = "Done", body = Acknowledged)),
)]
pub(crate) async fn acknowledge(app: App, caller: ProvenTerminal, grant: String) -> Result<Acknowledged, Refused> {
    let grant: GrantId = segment(&grant)?;
    let Acknowledgement { grant: named } = caller.json()?;
    if named != grant {
        return Err(ApiError::Unacceptable("path and body name different grants".into()).into());
    }
    cycle::acknowledge(&app.core, &caller.asker, &grant).await?;
    Ok(Acknowledged {})
}
