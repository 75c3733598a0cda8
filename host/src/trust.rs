//! Which billing servers this terminal trusts, and with which keys they sign now.
//!
//! The user trusts a server once, by signing in to it after seeing its fingerprint words. From then on its root key is
//! pinned: whatever a name service, a certificate authority or a manifest says, that root alone speaks for that origin.

use crate::billing_server::{BillingServer, Body, Exchange, Method};
use crate::clock::{Clock as _, ServerClock};
use crate::gatekeeper::Refused;
use crate::state_dir::{StateDir, StateError, file_name};
use portcullis_protocol::text::disturbs;
use portcullis_protocol::{
    Document, JwsError, KeyDocument, KeyDocumentError, Offer, Origin, PublicKey, Reason, Receipt, SignedManifest,
    TopUpReceipt, Unverified, Verified, WellKnown,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A pin and its key document; the latter is at most 64 KiB.
const MAX_PIN: u64 = 128 * 1024;
/// How far two honest clocks may differ, in seconds.
const GRACE: u64 = 300;

/// A server that the user trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pin {
    /// The server.
    pub origin: Origin,
    /// Its root key.
    pub root: PublicKey,
    /// The highest version of its key document that was seen. Lower ones are refused.
    pub version: u64,
    /// When the user trusted it, Unix seconds.
    pub since: u64,
    /// The newest key document, compact.
    document: String,
}

impl Pin {
    /// The words that people compare.
    #[must_use]
    pub fn words(&self) -> String {
        self.root.thumbprint().words()
    }
}

/// What a server says about itself. Believed by nobody until the user says so, or a pin confirms it.
#[derive(Debug, Clone)]
pub(crate) struct Discovered {
    pub(crate) root: PublicKey,
    pub(crate) keys: Verified<KeyDocument>,
}

/// The pins of a terminal and the key documents under them.
pub(crate) struct Trust {
    state: Arc<StateDir>,
    server: Arc<dyn BillingServer>,
    clock: Arc<ServerClock>,
    known: Mutex<HashMap<Origin, Arc<KeyDocument>>>,
}

impl Trust {
    pub(crate) fn new(state: Arc<StateDir>, server: Arc<dyn BillingServer>, clock: Arc<ServerClock>) -> Self {
        Self { state, server, clock, known: Mutex::default() }
    }

    /// The servers that the user trusts.
    pub(crate) fn pins(&self) -> Result<Vec<Pin>, StateError> {
        let records = self.state.list("servers")?;
        let pins = records.iter().filter_map(|name| self.read_pin(&format!("servers/{name}/pin.json")).transpose());
        pins.collect()
    }

    /// The pin of a server, where the user trusts it.
    pub(crate) fn pin(&self, origin: &Origin) -> Result<Option<Pin>, StateError> {
        Ok(self.read_pin(&pin_record(origin))?.filter(|pin| pin.origin == *origin))
    }

    fn read_pin(&self, record: &str) -> Result<Option<Pin>, StateError> {
        let Some(bytes) = self.state.read(record, MAX_PIN)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| StateError::damaged(&self.state.path(record)))
    }

    /// Asks a server who it is. Where it is pinned already, it has to be the same one, and not have gone back.
    ///
    /// # Errors
    /// `offline`, `server-untrusted`.
    pub(crate) async fn discover(&self, origin: &Origin) -> Result<Discovered, Refused> {
        let exchange = Exchange {
            method: Method::Get,
            origin: origin.clone(),
            path_and_query: "/.well-known/portcullis".into(),
            token: None,
            proof: None,
            idempotency_key: None,
            body: Body::Empty,
        };
        let answer = self.server.exchange(exchange).await.map_err(|error| offline(error.to_string()))?;
        let known: Option<WellKnown> =
            (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok()).flatten();
        let known = known.ok_or_else(|| offline(format!("there is no billing server at {origin}")))?;
        if known.api != format!("{origin}/v1") {
            return Err(untrusted(format!("{origin} names another address as its interface")));
        }
        // The pin is read after the answer came: another process may have seen a newer document meanwhile.
        let pin = self.pin(origin)?;
        if let Some(pin) = pin.as_ref().filter(|pin| pin.root.thumbprint() != known.root.thumbprint()) {
            return Err(untrusted(format!(
                "{origin} shows another root key than the one you trusted: {} instead of {}",
                known.root.thumbprint().words(),
                pin.words()
            )));
        }
        let seen = pin.map_or(0, |pin| pin.version);
        let keys = KeyDocument::verify(&known.keys, &known.root, origin, self.clock.now(), seen)
            .map_err(|error: KeyDocumentError| untrusted(format!("{origin}: {error}")))?;
        Ok(Discovered { root: known.root, keys })
    }

    /// Trusts a server from now on, or remembers its newer key document.
    pub(crate) async fn remember(&self, origin: &Origin, found: &Discovered) -> Result<Arc<KeyDocument>, Refused> {
        let _lock = self.state.lock().await?;
        let pin = self.pin(origin)?;
        let (since, seen) = pin.as_ref().map_or((self.clock.now(), 0), |pin| (pin.since, pin.version));
        let document = found.keys.document();
        if pin.is_some_and(|pin| pin.root != found.root) {
            return Err(untrusted(format!("{origin} shows another root key than the one you trusted")));
        }
        if document.version < seen {
            return Err(untrusted(format!("{origin}: {}", KeyDocumentError::Rollback)));
        }
        let pin = Pin {
            origin: origin.clone(),
            root: found.root.clone(),
            version: document.version,
            since,
            document: found.keys.compact().to_owned(),
        };
        let bytes = serde_json::to_vec(&pin).map_err(|_| StateError::damaged(&self.state.path(&pin_record(origin))))?;
        self.state.write(&pin_record(origin), &bytes)?;
        Ok(self.keep(document.clone()))
    }

    /// No longer trusts a server.
    pub(crate) fn forget(&self, origin: &Origin) -> Result<(), StateError> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(origin);
        self.state.remove(&pin_record(origin))?;
        self.state.remove(&format!("servers/{}", file_name(origin)))
    }

    /// The keys with which a trusted server signs now. Asks the server where the document at hand is half past its time.
    ///
    /// # Errors
    /// `server-untrusted` where the user does not trust it, or it is not the one he trusted; `offline`.
    pub(crate) async fn keys(&self, origin: &Origin) -> Result<Arc<KeyDocument>, Refused> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned();
        let at_hand = match known {
            Some(keys) => Some(keys).filter(|keys| now < keys.exp),
            None => {
                let pin = self.pin(origin)?.ok_or_else(|| untrusted(format!("you are not signed in to {origin}")))?;
                KeyDocument::verify(&pin.document, &pin.root, origin, now, pin.version)
                    .ok()
                    .map(|keys| self.keep(keys.into_document()))
            }
        };
        let Some(keys) = at_hand else { return self.refresh(origin).await };
        if now < keys.iat.saturating_add((keys.exp - keys.iat) / 2) {
            return Ok(keys);
        }
        match self.refresh(origin).await {
            // What it signed before is still valid for a while.
            Err(refused) if refused.reason == Reason::Offline => Ok(keys),
            refreshed => refreshed,
        }
    }

    /// Asks a trusted server for its newest key document.
    ///
    /// # Errors
    /// As [`Trust::keys`].
    pub(crate) async fn refresh(&self, origin: &Origin) -> Result<Arc<KeyDocument>, Refused> {
        if self.pin(origin)?.is_none() {
            return Err(untrusted(format!("you are not signed in to {origin}")));
        }
        let found = self.discover(origin).await?;
        self.remember(origin, &found).await
    }

    fn keep(&self, keys: KeyDocument) -> Arc<KeyDocument> {
        let keys = Arc::new(keys);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(keys.iss.clone(), Arc::clone(&keys));
        keys
    }

    /// The trusted servers that sell a resource: named in its manifest with the pinned root, and countersigned by a key
    /// that was theirs at that time. In the manifest's order. No other server is ever contacted.
    ///
    /// # Errors
    /// `server-untrusted` where there is none, `offline` where it cannot be told.
    pub(crate) async fn sellers(&self, resource: &SignedManifest) -> Result<Vec<Origin>, Refused> {
        let mut sellers = Vec::new();
        let mut failure = None;
        for entry in &resource.manifest().servers {
            let Some(pin) = self.pin(&entry.origin)?.filter(|pin| pin.root.thumbprint() == entry.root) else {
                continue;
            };
            let Some(by) = resource.countersignatures().iter().find(|by| by.iss == entry.origin) else { continue };
            match self.keys(&pin.origin).await {
                Ok(keys) if by.iat <= self.clock.now().saturating_add(GRACE) => {
                    if keys.signing_key(by.key.thumbprint(), by.iat).is_some() {
                        sellers.push(pin.origin);
                    }
                }
                Ok(_) => {}
                Err(refused) => failure = Some(refused),
            }
        }
        if sellers.is_empty() {
            let named: Vec<&str> = resource.manifest().servers.iter().map(|server| server.origin.as_str()).collect();
            return Err(failure.unwrap_or_else(|| untrusted(format!("the resource names {}", named.join(", ")))));
        }
        Ok(sellers)
    }

    /// An offer that this server signed.
    pub(crate) fn offer(keys: &KeyDocument, compact: &str) -> Result<Verified<Offer>, JwsError> {
        let offer: Verified<Offer> = signed_in_time(keys, compact, |offer: &Offer| offer.iat)?;
        if offer.document().iss != keys.iss {
            return Err(JwsError::Key);
        }
        // It is shown beside a price: a server that was taken over writes nothing there that moves the cursor.
        if offer.document().title.chars().any(disturbs) {
            return Err(JwsError::Payload("its title holds control, direction or invisible characters".into()));
        }
        Ok(offer)
    }

    /// A receipt that this server signed.
    pub(crate) fn receipt(keys: &KeyDocument, compact: &str) -> Result<Verified<Receipt>, JwsError> {
        let receipt: Verified<Receipt> = signed_in_time(keys, compact, |receipt: &Receipt| receipt.iat)?;
        if receipt.document().iss == keys.iss { Ok(receipt) } else { Err(JwsError::Key) }
    }

    /// The receipt of a top-up that this server signed.
    pub(crate) fn top_up_receipt(keys: &KeyDocument, compact: &str) -> Result<Verified<TopUpReceipt>, JwsError> {
        let receipt: Verified<TopUpReceipt> = signed_in_time(keys, compact, |receipt: &TopUpReceipt| receipt.iat)?;
        if receipt.document().iss == keys.iss { Ok(receipt) } else { Err(JwsError::Key) }
    }
}

/// Verifies a document that outlives the key it was signed with: the key has to have been in force when it was signed.
fn signed_in_time<D: Document>(
    keys: &KeyDocument,
    compact: &str,
    signed: fn(&D) -> u64,
) -> Result<Verified<D>, JwsError> {
    let document = Unverified::<D>::parse(compact)?;
    let kid = document.kid();
    let key = keys.signing.iter().find(|key| key.jwk.thumbprint() == kid).ok_or(JwsError::Key)?;
    let document = document.verify(&key.jwk)?;
    keys.signing_key(kid, signed(document.document())).ok_or(JwsError::Key)?;
    Ok(document)
}

fn pin_record(origin: &Origin) -> String {
    format!("servers/{}/pin.json", file_name(origin))
}

/// Nothing was decided.
pub(crate) fn offline(detail: impl Into<String>) -> Refused {
    Refused::because(Reason::Offline, detail)
}

fn untrusted(detail: String) -> Refused {
    Refused::because(Reason::ServerUntrusted, detail)
}

/// What cannot be kept is not begun: it counts as a server that was not reached.
impl From<StateError> for Refused {
    fn from(error: StateError) -> Self {
        offline(error.to_string())
    }
}
