//! `POST /v1/publishers`: a name is claimed for a key.

use super::DONE;
use crate::app::App;
use crate::auth::ProvenTerminal;
use crate::config::Publishers;
use crate::problem::{Fault, Refused};
use crate::secrets;
use crate::store::{ClaimOutcome, Publisher, PublisherId};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{Done, PublisherRequest};
use portcullis_protocol::{AccountId, PublisherClaim, Unverified};

/// Claims a name, which then belongs to the caller's account and the claim's key.
pub(crate) async fn claim(app: App, caller: ProvenTerminal, (): ()) -> Result<Done, Refused> {
    if app.config.publishers == Publishers::Approve && !is_operator(&app, caller.account()).await? {
        return Err(Fault::Forbidden("this store approves its publishers: ask its operator".into()).into());
    }
    let PublisherRequest { claim } = caller.json()?;
    let claim = Unverified::<PublisherClaim>::parse(&claim)
        .and_then(Unverified::verify_self_signed)
        .map_err(|error| Fault::Unacceptable(format!("the claim is not accepted: {error}")))?;
    let claim = claim.document();
    if claim.origin != *app.origin() {
        return Err(Fault::Unacceptable("the claim is for another server".into()).into());
    }
    let publisher = Publisher {
        id: PublisherId(Octets(secrets::random())),
        name: claim.name.clone(),
        key: claim.jwk.clone(),
        owner: *caller.account(),
        created: app.core.clock.now(),
    };
    match app.core.store.claim_publisher(publisher).await.map_err(Fault::internal)? {
        ClaimOutcome::Claimed => Ok(DONE),
        ClaimOutcome::Taken => {
            Err(Fault::Conflict(format!("the name `{}` is another account's, or has another key", claim.name)).into())
        }
    }
}

async fn is_operator(app: &App, account: &AccountId) -> Result<bool, Refused> {
    let account = app.core.store.account(account).await.map_err(Fault::internal)?;
    Ok(account.is_some_and(|account| account.operator))
}
