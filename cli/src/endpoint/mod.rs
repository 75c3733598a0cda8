//! What `portcullis merchant check` looks at: whether a merchant's key, address and server would serve a first
//! customer.
//!
//! The store tells a merchant the secret that it signs webhooks with, so that the merchant's owner can send what the
//! store would send, and what it never would. Nothing that is sent names an order: an endpoint that works has nothing
//! to do afterwards.

mod address;
mod answers;
mod probe;
mod store;

use portcullis_host::{Client, MerchantDesk};
use portcullis_protocol::wire::{MerchantStatus, WebhookKeys};
use portcullis_protocol::{Origin, Reason, SecretKey};

use crate::doctor::{Finding, clock};
use crate::failure::{Failure, Outcome};

/// What is looked at.
pub(crate) struct Endpoint<'a> {
    pub(crate) client: &'a Client,
    pub(crate) server: &'a Origin,
    pub(crate) desk: &'a MerchantDesk,
    pub(crate) key: &'a SecretKey,
}

impl Endpoint<'_> {
    /// Looks at everything that can be looked at: without an answer of the store there is nothing to send.
    pub(crate) async fn examine(&self) -> Vec<Finding> {
        let status = match status(self.desk).await {
            Ok(status) => status,
            Err(failure) => return vec![Finding::failed("key", "known", &failure)],
        };
        let mut findings = store::standing(&status);
        // Against what the store has just signed.
        findings.push(clock::of_store(self.client, self.server));
        findings.extend(store::products(self, &status).await);
        findings.extend(address::examine(&status.webhook).await);
        findings.extend(answers::examine(self, &status).await);
        findings.push(store::challenge(self.desk).await);
        findings.extend(store::orders(self.desk, &status).await);
        findings
    }
}

/// How the merchant stands. One whose key the store does not know has not registered with it.
pub(crate) async fn status(desk: &MerchantDesk) -> Outcome<MerchantStatus> {
    desk.status().await.map_err(|error| {
        let failure = Failure::from(error);
        match failure.reason() {
            Some(Reason::MerchantUnknown) => {
                Failure::refusal(Reason::MerchantUnknown, "the store knows no merchant with this key")
                    .in_detail()
                    .with_fix("register first: `portcullis merchant register NAME --title TEXT --webhook URL`")
            }
            _ => failure,
        }
    })
}

/// The secret that the store signs with now.
fn secret(status: &MerchantStatus, now: u64) -> Option<&str> {
    let in_force = |key: &&WebhookKeys| key.from <= now && key.until.is_none_or(|until| now < until);
    status.keys.iter().find(in_force).map(|key| key.v1.as_str())
}
