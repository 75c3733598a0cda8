//! `POST /v1/verifications`: step 3 of the cycle.

use crate::billing::cycle;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::wire::{VerificationAnswer, VerificationRequest};

/// Consumes a status code, and answers with grant and keys. Its own transaction remembers the answer.
pub(crate) async fn verify(app: App, caller: ProvenTerminal, (): ()) -> Result<VerificationAnswer, Refused> {
    let request: VerificationRequest = caller.json()?;
    Ok(cycle::verify(&app.core, &caller.asker, &request, caller.request()?).await?)
}
