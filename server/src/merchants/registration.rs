//! How a merchant comes to be one: a name is claimed by a key, the endpoint shows that it is the merchant's, and the
//! operator approves.
//!
//! An endpoint proves itself by what only the merchant's key can sign: the challenge, its own address and this
//! platform. One that repeats what it is sent, or passes it on to somebody else's endpoint, proves nothing.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::crypto::secrets::random;
use crate::notices::outbound::{self, OutboundError};
use crate::notices::webhooks::{self, keys};
use crate::store::{
    Endpoint, EndpointId, Merchant, MerchantId, MerchantOutcome, MerchantState, MerchantVouchOutcome, NewMerchant,
    NewMerchantEndpoint, NewMerchantVouch,
};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::{MAX_MERCHANTS, MAX_VOUCHES};
use portcullis_protocol::wire::{
    MerchantAnswer, MerchantEntry, MerchantStatus, MerchantVouchRequest, OwnershipProof, WebhookKeys,
};
use portcullis_protocol::{
    AccountId, MerchantClaim, MerchantName, MerchantVouch, Ownership, SelfSigned as _, Unverified,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// The message that an endpoint answers with its proof.
const CHALLENGE: &str = "endpoint.challenge";
/// The longest answer to it, in bytes: a document has some hundred.
const PROOF: usize = 16 * 1024;
/// How long an endpoint is waited for, and after how long it is said that it cannot be reached: longer than a
/// connection may take to come about. Whoever names hosts of the network that this server stands in learns neither from
/// the words nor from the time which there are.
const UNREACHED: Duration = Duration::from_secs(6);
/// What is said then, whatever the cause is.
const UNREACHABLE: &str = "this server could not reach it. Its name leads to no public address, nothing answers there, \
                           or its certificate is not one that is trusted: `portcullis merchant check` looks which. \
                           (Networks that are not public are reached if the server's operator has listed them: \
                           `webhooks.networks_of_others`)";

/// Claims a name for an account, or changes title and webhook of one that it has.
///
/// # Errors
/// [`ServiceError::Unacceptable`] if the claim is not one, or the name is taken.
pub async fn claim(core: &Core, account: &AccountId, compact: &str) -> Result<MerchantAnswer, ServiceError> {
    let claim = held_key(core, compact)?;
    let id = MerchantId(Octets(random()));
    outbound::WebhookUrl::parse(claim.webhook.as_str(), core.outbound.of(&id.receiver()).networks())
        .map_err(|error| ServiceError::Unacceptable(format!("the webhook is not accepted: {error}").into()))?;
    let endpoint = EndpointId(Octets(random()));
    let (keys, _) = keys::new(&core.secrets, &endpoint);
    let new = NewMerchant {
        id,
        endpoint: NewMerchantEndpoint { id: endpoint, keys },
        name: claim.name,
        title: claim.title,
        key: claim.jwk,
        owner: *account,
        webhook: claim.webhook,
    };
    let merchant = match core.store.claim_merchant(new).await? {
        MerchantOutcome::Claimed(merchant) => *merchant,
        MerchantOutcome::Taken => {
            let why = "the name is another account's or has another key, or the key is another merchant's";
            return Err(ServiceError::Unacceptable(why.into()));
        }
        MerchantOutcome::TooMany => {
            let why =
                format!("this account has {MAX_MERCHANTS} merchants, as many as one may have: sell as one of them");
            return Err(ServiceError::Unacceptable(why.into()));
        }
    };
    Ok(answer(&merchant))
}

/// A claim signed by the key that it names, for this platform.
fn held_key(core: &Core, compact: &str) -> Result<MerchantClaim, ServiceError> {
    let claim = Unverified::<MerchantClaim>::parse(compact)
        .and_then(Unverified::verify_self_signed)
        .map_err(|error| ServiceError::Unacceptable(format!("the claim is not accepted: {error}").into()))?;
    let claim = claim.into_document();
    if claim.origin == core.origin {
        Ok(claim)
    } else {
        Err(ServiceError::Unacceptable("the claim is for another server".into()))
    }
}

/// The endpoint of a merchant's address, which was made with the claim.
async fn endpoint(core: &Core, merchant: &Merchant) -> Result<Endpoint, ServiceError> {
    let endpoints = core.store.endpoints_of(&merchant.id.receiver()).await?;
    let found = endpoints.into_iter().find(|endpoint| endpoint.url == merchant.webhook.as_str());
    found.ok_or_else(|| ServiceError::Failed("the endpoint of a merchant's address is gone".into()))
}

/// Has the endpoint show that it is the merchant's.
///
/// # Errors
/// [`ServiceError::Unacceptable`] says what was wrong with its answer.
pub async fn prove(core: &Core, merchant: &Merchant) -> Result<MerchantAnswer, ServiceError> {
    let unproven =
        |why: String| ServiceError::Unacceptable(format!("the endpoint is not proven to be yours: {why}").into());
    let endpoint = endpoint(core, merchant).await?;
    let challenge = Octets(random::<32>());
    let begun = Instant::now();
    let question = json!({ "challenge": challenge });
    // One that takes the connection and says nothing is not told apart from one that there is not.
    let asked = tokio::time::timeout_at(begun + UNREACHED, webhooks::ask(core, &endpoint, CHALLENGE, &question)).await;
    let said = match asked.ok().transpose()? {
        Some(Ok(said)) => said,
        Some(Err(error @ OutboundError::TooLong)) => return Err(unproven(error.to_string())),
        unreached => {
            let cause =
                unreached.and_then(Result::err).map_or_else(|| "no answer".to_owned(), |error| error.to_string());
            tracing::info!(merchant = %merchant.name, cause, "an endpoint was not reached");
            tokio::time::sleep_until(begun + UNREACHED).await;
            return Err(unproven(UNREACHABLE.into()));
        }
    };
    if said.status != 200 {
        return Err(unproven(format!("it answered the challenge with status {}, not 200", said.status)));
    }
    if said.body.len() > PROOF {
        return Err(unproven("its answer is longer than 16 KiB".into()));
    }
    let form = "its answer is not {\"ownership\": \"<compact document>\"}";
    let proof: OwnershipProof = serde_json::from_slice(&said.body).map_err(|_| unproven(form.into()))?;
    let proof = Unverified::<Ownership>::parse(&proof.ownership)
        .and_then(|ownership| ownership.verify(&merchant.key))
        .map_err(|error| unproven(error.to_string()))?
        .into_document();
    let is_this = proof.merchant == merchant.name
        && proof.challenge == challenge
        && proof.url == merchant.webhook
        && proof.platform == core.origin;
    if !is_this {
        return Err(unproven("it signed for another merchant, challenge, address or platform".into()));
    }
    if !core.store.prove_merchant(&merchant.id, &merchant.webhook).await? {
        return Err(unproven("the address was changed meanwhile".into()));
    }
    let merchant = core.store.merchant(&merchant.name).await?.ok_or(ServiceError::NotFound)?;
    Ok(answer(&merchant))
}

/// What a merchant needs to know of itself: the keys of its webhooks, too.
///
/// # Errors
/// [`ServiceError::Failed`].
pub async fn status(core: &Core, merchant: &Merchant) -> Result<MerchantStatus, ServiceError> {
    let mut published = Vec::new();
    // Also of the address before, which is told of orders until another one is proven.
    for endpoint in core.store.endpoints_of(&merchant.id.receiver()).await? {
        for stored in core.store.endpoint_keys(&endpoint.id).await? {
            let opened = keys::open(&core.secrets, &endpoint.id, &stored)?;
            published.push(WebhookKeys {
                v1: opened.shared().to_string(),
                v1a: opened.public(),
                from: stored.not_before.seconds(),
                until: stored.ends.map(crate::ops::clock::Timestamp::seconds),
            });
        }
    }
    let health = core.store.merchant_health(&merchant.id).await?;
    Ok(MerchantStatus {
        merchant: merchant.name.clone(),
        state: merchant.state.word().to_owned(),
        webhook: merchant.webhook.clone(),
        keys: published.into(),
        orders: health.decided,
        in_time: health.in_time,
    })
}

/// A merchant as everybody sees it, once it was approved. One that sells nothing, since it is suspended or has another
/// address that is not proven, is still shown: those who have bought from it follow its keys.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn show(core: &Core, name: &MerchantName) -> Result<MerchantEntry, ServiceError> {
    let merchant = core.store.merchant(name).await?.filter(|merchant| merchant.was_approved);
    let merchant = merchant.ok_or(ServiceError::NotFound)?;
    let (sells, suspended) = (merchant.state == MerchantState::Approved, merchant.state == MerchantState::Suspended);
    let (former, vouches) =
        core.store.merchant_vouches(&merchant.id).await?.into_iter().map(|vouch| (vouch.by, vouch.compact)).unzip();
    let sold = if sells { core.store.products(&merchant.id).await? } else { Vec::new() };
    let products = sold.into_iter().map(|revision| revision.compact).collect();
    let Merchant { name, title, key, .. } = merchant;
    Ok(MerchantEntry { name, title, key, former, suspended, vouches, products })
}

/// Changes a merchant's key: the one in use names its successor, which has signed that it is held. What the old one
/// has signed is not sold any more.
///
/// # Errors
/// [`ServiceError::Unacceptable`].
pub async fn vouch(core: &Core, merchant: &Merchant, asked: &MerchantVouchRequest) -> Result<(), ServiceError> {
    let unacceptable = |why: String| ServiceError::Unacceptable(format!("the vouch is not accepted: {why}").into());
    let vouch = Unverified::<MerchantVouch>::parse(&asked.vouch)
        .and_then(|vouch| vouch.verify(&merchant.key))
        .map_err(|error| unacceptable(error.to_string()))?
        .into_document();
    if vouch.merchant != merchant.name {
        return Err(unacceptable("it is for another merchant".into()));
    }
    if vouch.jwk == merchant.key {
        return Err(unacceptable("it names the key that is in use already".into()));
    }
    let claim = held_key(core, &asked.claim)?;
    if claim.name != merchant.name || *claim.key() != vouch.jwk {
        return Err(unacceptable("the claim that comes with it is for another name or key".into()));
    }
    let new = NewMerchantVouch {
        merchant: merchant.id,
        by: merchant.key.clone(),
        key: vouch.jwk,
        seq: vouch.seq,
        compact: asked.vouch.clone(),
    };
    match core.store.vouch_merchant(new).await? {
        MerchantVouchOutcome::Vouched => Ok(()),
        MerchantVouchOutcome::Stale => {
            Err(unacceptable("`seq` is not one more than the number of vouches there are, or the key is taken".into()))
        }
        MerchantVouchOutcome::TooMany => {
            Err(unacceptable(format!("the key was changed {MAX_VOUCHES} times, and no terminal follows once more")))
        }
    }
}

fn answer(merchant: &Merchant) -> MerchantAnswer {
    MerchantAnswer { merchant: merchant.name.clone(), state: merchant.state.word().to_owned() }
}
