//! How a shop becomes a merchant of a store. The account that answers for it signs in once, as a terminal with a key of
//! its own, claims the name for the merchant's key, and is signed out again.

use crate::shop::Shop;
use crate::store::{Store, StoreError};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::text::shown_line;
use portcullis_protocol::wire::{
    DeviceAuthorisation, MerchantAnswer, MerchantRequest, MerchantStatus, OAuthError, OwnershipRequest, TerminalAnswer,
    TerminalRequest, TokenAnswer,
};
use portcullis_protocol::{Enrolment, MerchantClaim, ReleaseSecretKey, SecretKey, Verified, paths};
use reqwest::{Method, StatusCode};
use std::time::{Duration, Instant};

/// What the account's list of terminals shows while this runs.
const LABEL: &str = "example-merchant, registering";

/// Claims the name, learns the keys of the webhooks, and has the endpoint challenged: `serve` has to run. Returns where
/// the merchant stands.
pub(crate) async fn register(shop: &Shop, show: impl Fn(&str)) -> Result<String> {
    let settings = &shop.settings;
    let terminal = SecretKey::generate(&mut crate::rng());
    let session = Store::new(settings, &terminal, &shop.database)?;
    let tokens = sign_in(&session, &terminal, &show).await?;
    let claimed = claim(shop, &session, &terminal, &tokens).await;
    // Whatever came of it, nobody stays signed in.
    let _ = session.form(paths::REVOKE, &[("token", &tokens.refresh_token)]).await;
    claimed?;

    let store = Store::new(settings, &shop.key, &shop.database)?;
    let status: MerchantStatus = store.get(paths::OWN_MERCHANT).await?;
    shop.database.learn_keys(status.keys.into_iter().collect()).await?;
    let proven: Result<MerchantAnswer, StoreError> =
        store.say(Method::POST, paths::OWNERSHIP, &OwnershipRequest {}, None).await;
    let proven = proven.context(
        "the name is claimed, and the endpoint is not proven yet. Let `example-merchant serve` run, have the webhook's \
         address lead to it, and register again",
    )?;
    Ok(proven.state)
}

/// The device authorization grant (RFC 8628).
async fn sign_in(session: &Store, terminal: &SecretKey, show: &impl Fn(&str)) -> Result<TokenAnswer> {
    let fields = [("client_id", "portcullis"), ("label", LABEL)];
    let device: DeviceAuthorisation = plain(session.form(paths::DEVICE_AUTHORIZATION, &fields).await?)?;
    show(&format!(
        "Open {}\nand approve the code {} for the key {}",
        shown_line(&device.verification_uri_complete),
        shown_line(&device.user_code),
        terminal.public().thumbprint().words()
    ));
    let until = Instant::now() + Duration::from_secs(device.expires_in.into());
    let mut interval = Duration::from_secs(device.interval.into());
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    while Instant::now() < until {
        tokio::time::sleep(interval).await;
        let fields = [("grant_type", grant), ("device_code", &device.device_code), ("client_id", "portcullis")];
        let (status, body) = session.form(paths::TOKEN, &fields).await?;
        if status == StatusCode::OK {
            return plain((status, body));
        }
        let error: OAuthError =
            serde_json::from_slice(&body).context("the store did not say whether it was approved")?;
        match error.error.as_str() {
            "authorization_pending" => {}
            "slow_down" => interval += Duration::from_secs(5),
            other => bail!("the sign-in was not approved: {other}"),
        }
    }
    bail!("nobody approved the sign-in in time. Register again")
}

fn plain<T: serde::de::DeserializeOwned>((status, body): (StatusCode, Vec<u8>)) -> Result<T> {
    ensure!(status == StatusCode::OK, "the store answered {status}: {}", shown_line(&String::from_utf8_lossy(&body)));
    serde_json::from_slice(&body).context("the store's answer is not what the protocol says")
}

async fn claim(shop: &Shop, session: &Store, terminal: &SecretKey, tokens: &TokenAnswer) -> Result<()> {
    let settings = &shop.settings;
    let token = Some(tokens.access_token.as_str());
    // A terminal has a key that keys of parts are released to. This one never opens any.
    let release = ReleaseSecretKey::generate(&mut crate::rng());
    let enrolment = Enrolment {
        jwk: terminal.public().clone(),
        x25519: Octets(*release.public().as_bytes()),
        origin: settings.store.clone(),
        root: settings.root.thumbprint(),
        label: LABEL.into(),
        iat: crate::now(),
    };
    let body = TerminalRequest { statement: Verified::sign(enrolment, terminal).compact().to_owned() };
    let enrolled: TerminalAnswer = session.say(Method::POST, paths::TERMINALS, &body, token).await?;
    let claim = MerchantClaim {
        name: settings.name.clone(),
        title: settings.title.clone(),
        jwk: shop.key.public().clone(),
        origin: settings.store.clone(),
        webhook: settings.webhook.clone(),
        iat: crate::now(),
    };
    let body = MerchantRequest { claim: Verified::sign(claim, &shop.key).compact().to_owned() };
    let claimed: Result<MerchantAnswer, StoreError> = session.say(Method::POST, paths::MERCHANTS, &body, token).await;
    claimed.map(drop).with_context(|| format!("`{}` cannot be claimed for {}", settings.name, enrolled.account))
}
