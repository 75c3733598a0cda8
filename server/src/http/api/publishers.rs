//! `/v1/publishers`: a name is claimed for a key, and changes its key.

use super::{DONE, Segments, segment};
use crate::audit::Act;
use crate::crypto::secrets;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::ops::config::Publishers;
use crate::store::{ClaimOutcome, CountedPage, NewVouch, Page, Publisher, PublisherId, StoreError, VouchOutcome};
use axum::Json;
use axum::extract::State;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::{MAX_PUBLISHERS, MAX_VOUCHES};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{Done, PublishedAnswer, PublisherAnswer, PublisherRequest, VouchRequest};
use portcullis_protocol::{AccountId, PublisherClaim, PublisherName, Unverified, Vouch};

/// Resources of one page. With names of full length they take 26 KiB in the answer's base64url.
const RESOURCES: u32 = 300;

/// Claims a publisher's name for the account and the claim's key.
#[utoipa::path(
    post,
    path = paths::PUBLISHERS,
    tag = "publishing",
    request_body = PublisherRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn claim(app: App, caller: ProvenTerminal, (): ()) -> Result<Done, Refused> {
    let PublisherRequest { claim } = caller.json()?;
    let claim = held_key(&app, &claim)?;
    let by_operator = is_operator(&app, caller.account()).await?;
    if app.config.publishers == Publishers::Approve
        && !by_operator
        && !app.core.store.ask_approval(caller.account(), &claim.name).await.map_err(ApiError::internal)?
    {
        let text = format!(
            "this store approves its publishers, and its operator can now see that you ask for `{}`: repeat this once you \
             are approved",
            claim.name
        );
        return Err(ApiError::Forbidden(text).into());
    }
    let publisher = Publisher {
        id: PublisherId(Octets(secrets::random())),
        name: claim.name.clone(),
        key: claim.jwk.clone(),
        owner: *caller.account(),
        created: app.core.clock.now(),
    };
    let claimed = app.core.store.claim_publisher(publisher);
    let claimed = match by_operator {
        true => Act::of_account(&app.core, caller.account(), "publisher claim", &claim.name).scope(claimed).await,
        false => claimed.await,
    };
    match claimed.map_err(ApiError::internal)? {
        ClaimOutcome::Claimed => Ok(DONE),
        ClaimOutcome::Taken => {
            Err(ApiError::Conflict(format!("the name `{}` is another account's, or has another key", claim.name))
                .into())
        }
        ClaimOutcome::TooMany => {
            let text = format!(
                "this account has {MAX_PUBLISHERS} publishers' names, as many as one may have: publish under one of them"
            );
            Err(ApiError::Conflict(text).into())
        }
    }
}

/// A claim signed by the key that it names, for this store. Nobody claims a name for a key that he does not hold: its
/// owner would find the name taken, and his resources sold by somebody else.
fn held_key(app: &App, claim: &str) -> Result<PublisherClaim, ApiError> {
    let claim = Unverified::<PublisherClaim>::parse(claim)
        .and_then(Unverified::verify_self_signed)
        .map_err(|error| ApiError::Unacceptable(format!("the claim is not accepted: {error}")))?;
    let claim = claim.into_document();
    if claim.origin == *app.origin() {
        Ok(claim)
    } else {
        Err(ApiError::Unacceptable("the claim is for another server".into()))
    }
}

/// A publisher: the key in use, and how it came to be.
#[utoipa::path(
    get,
    path = paths::PUBLISHER,
    tag = "store",
    params(("name" = PublisherName, Path, description = "The publisher")),
    responses((status = 200, description = "Done", body = PublisherAnswer)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<PublisherAnswer>, ApiError> {
    let name: PublisherName = segment(&name)?;
    let publisher = app.core.store.publisher(&name).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    let vouches = app.core.store.vouches(&name).await.map_err(ApiError::internal)?;
    Ok(Json(PublisherAnswer { name, publisher_key: publisher.key, vouches }))
}

/// What a publisher of this account has published, by name, on sale or not.
#[utoipa::path(
    get,
    path = paths::PUBLISHED,
    tag = "publishing",
    params(("name" = PublisherName, Path, description = "The publisher")),
    responses((status = 200, description = "Done", body = PublishedAnswer)),
)]
pub(crate) async fn resources(app: App, caller: ProvenTerminal, name: String) -> Result<PublishedAnswer, Refused> {
    resources_from(&app, &caller, &name, 0).await
}

/// A further page of it.
#[utoipa::path(
    get,
    path = paths::PUBLISHED_PAGE,
    tag = "publishing",
    params(
        ("name" = PublisherName, Path, description = "The publisher"),
        ("page" = u32, Path, description = "What `next` of the page before named"),
    ),
    responses((status = 200, description = "Done", body = PublishedAnswer)),
)]
pub(crate) async fn resources_page(
    app: App,
    caller: ProvenTerminal,
    (name, page): (String, String),
) -> Result<PublishedAnswer, Refused> {
    resources_from(&app, &caller, &name, segment(&page)?).await
}

async fn resources_from(app: &App, caller: &ProvenTerminal, name: &str, page: u32) -> Result<PublishedAnswer, Refused> {
    let (name, page): (PublisherName, _) = (segment(name)?, CountedPage::new(page, RESOURCES));
    // The names of what is not on sale yet are nobody else's to list.
    let names = app.core.store.resource_names(caller.account(), &name, page.skip(), page.limit());
    let Page { rows, next } = page.of(names.await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?);
    Ok(PublishedAnswer { resources: rows.into(), next })
}

/// Changes a publisher's key: the key in use names its successor.
#[utoipa::path(
    post,
    path = paths::VOUCHES,
    tag = "publishing",
    params(("name" = PublisherName, Path, description = "The publisher")),
    request_body = VouchRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn vouch(app: App, caller: ProvenTerminal, name: String) -> Result<Done, Refused> {
    let name: PublisherName = segment(&name)?;
    let VouchRequest { vouch: compact, claim } = caller.json()?;
    let publisher = app.core.store.publisher(&name).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    let unacceptable = |error| ApiError::Unacceptable(format!("the vouch is not accepted: {error}"));
    let vouch = Unverified::<Vouch>::parse(&compact).map_err(|error| unacceptable(error.to_string()))?;
    // Said again after an answer got lost: then the key in use is already the successor, and the store knows the vouch.
    let known = app.core.store.vouches(&name).await.map_err(ApiError::internal)?.last() == Some(&compact);
    if known && publisher.owner == *caller.account() {
        unlist(&app, name).await?;
        return Ok(DONE);
    }
    let vouch = vouch.verify(&publisher.key).map_err(|error| unacceptable(error.to_string()))?.into_document();
    if vouch.name != name {
        return Err(unacceptable("it is for another publisher".into()).into());
    }
    if vouch.jwk == publisher.key {
        return Err(unacceptable("it names the key that is in use already".into()).into());
    }
    let claim =
        claim.ok_or_else(|| unacceptable("the new key has to sign that it is held: update portcullis".into()))?;
    let claim = held_key(&app, &claim)?;
    if claim.name != name || claim.jwk != vouch.jwk {
        return Err(unacceptable("the claim that comes with it is for another name or key".into()).into());
    }
    let new = NewVouch {
        account: *caller.account(),
        name: vouch.name,
        by: publisher.key,
        key: vouch.jwk,
        seq: vouch.seq,
        compact,
    };
    match app.core.store.vouch(new).await.map_err(ApiError::internal)? {
        VouchOutcome::Vouched => {
            unlist(&app, name).await?;
            Ok(DONE)
        }
        VouchOutcome::NotOwner => Err(ApiError::Forbidden(format!("`{name}` is another account's")).into()),
        VouchOutcome::TooMany => {
            let text = format!(
                "`{name}` has changed its key {MAX_VOUCHES} times, and no terminal would follow once more: keep this key, or claim another name"
            );
            Err(ApiError::Conflict(text).into())
        }
        VouchOutcome::Stale => Err(ApiError::Conflict(format!("`{name}` has changed its key meanwhile")).into()),
    }
}

/// Has the index forget what the new key does not stand for, some at a time, so that others are served in between. A
/// publisher that goes away does not break it off.
async fn unlist(app: &App, name: PublisherName) -> Result<(), ApiError> {
    let core = app.core.clone();
    let unlisted = tokio::spawn(async move {
        while core.store.unlist(&name).await? {}
        Ok::<(), StoreError>(())
    });
    unlisted.await.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

async fn is_operator(app: &App, account: &AccountId) -> Result<bool, Refused> {
    let account = app.core.store.account(account).await.map_err(ApiError::internal)?;
    Ok(account.is_some_and(|account| account.operator))
}
