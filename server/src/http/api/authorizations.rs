//! `POST /v1/authorizations`: steps 1 and 2 of the cycle.

use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::wire::{AuthorisationAnswer, AuthorisationRequest};

/// Judges a request, and answers with a status code. Its own transaction remembers the answer.
pub(crate) async fn authorise(app: App, caller: ProvenTerminal, (): ()) -> Result<AuthorisationAnswer, Refused> {
    let request: AuthorisationRequest = caller.json()?;
    Ok(cycle::authorise(&app.core, &caller.asker, &request, caller.request()?).await?)
}
