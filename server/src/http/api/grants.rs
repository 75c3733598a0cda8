//! `/v1/grants/{id}`: a grant again, to the terminal that has it.

use super::{DONE, segment};
use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use portcullis_protocol::GrantId;
use portcullis_protocol::wire::{Acknowledgement, Done, VerificationAnswer};

/// `GET /v1/grants/{id}`
pub(crate) async fn show(app: App, caller: ProvenTerminal, grant: String) -> Result<VerificationAnswer, Refused> {
    Ok(cycle::redeliver(&app.core, &caller.asker, &segment(&grant)?).await?)
}

/// `POST /v1/grants/{id}/ack`
pub(crate) async fn acknowledge(app: App, caller: ProvenTerminal, grant: String) -> Result<Done, Refused> {
    let grant: GrantId = segment(&grant)?;
    let Acknowledgement { grant: named } = caller.json()?;
    if named != grant {
        return Err(ApiError::Unacceptable("path and body name different grants".into()).into());
    }
    cycle::acknowledge(&app.core, &caller.asker, &grant).await?;
    Ok(DONE)
}
