//! Which billing servers this terminal trusts, and with which keys they sign now.
//!
//! The user trusts a server once, by signing in to it after seeing its fingerprint words. From then on its root key is
//! pinned: whatever a name service, a certificate authority or a manifest says, that root alone speaks for that origin.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{BillingServer, Exchange, TransportError};
use crate::server::revocation_mark;
use crate::state::clock::{Clock as _, Jumped, ServerClocks, in_words};
use crate::state::folder::{StateDir, StateError, file_name};
use parking_lot::Mutex;
use portcullis_protocol::limits::MAX_TITLE;
use portcullis_protocol::paths;
use portcullis_protocol::text::{TextError, disturbs};
use portcullis_protocol::{
    CodeReceipt, Countersignature, Document, JwsError, KeyDocument, KeyDocumentError, ListedEntry, Offer, Origin,
    PublicKey, Reason, Receipt, RefundReceipt, SignedManifest, TopUpReceipt, UnknownEntry, Unverified, Verification,
    Verified, WellKnown,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

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

    /// Whether a countersignature was made with a key that this server had in force at that time, as far as the newest
    /// key document that was seen says.
    #[must_use]
    pub fn signed(&self, by: &Countersignature) -> bool {
        let keys = Unverified::<KeyDocument>::parse(&self.document).and_then(|keys| keys.verify(&self.root));
        by.iss == self.origin
            && keys.is_ok_and(|keys| keys.document().signing_key(by.key.thumbprint(), by.iat).is_some())
    }
}

/// What a server says about itself. Believed by nobody until the user says so, or a pin confirms it.
#[derive(Debug, Clone)]
pub(crate) struct Discovered {
    pub(crate) root: PublicKey,
    pub(crate) keys: Verified<KeyDocument>,
}

/// Why a server was not found to be what it was asked for as.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It calls itself otherwise, and its root key says so too.
    #[error("the server at {asked} names itself {named}: use that address")]
    Elsewhere { asked: Origin, named: Origin },
}

impl From<DiscoveryError> for Refused {
    fn from(why: DiscoveryError) -> Self {
        match why {
            DiscoveryError::Refused(refused) => refused,
            DiscoveryError::Elsewhere { .. } => untrusted(why.to_string()),
        }
    }
}

impl From<DiscoveryError> for ClientError {
    fn from(why: DiscoveryError) -> Self {
        match why {
            DiscoveryError::Refused(refused) => refused.into(),
            DiscoveryError::Elsewhere { asked, named } => Self::OtherAddress { asked, named },
        }
    }
}

/// The pins of a terminal and the key documents under them.
pub(crate) struct Trust {
    state: Arc<StateDir>,
    server: Arc<dyn BillingServer>,
    clocks: Arc<ServerClocks>,
    known: Mutex<HashMap<Origin, Arc<KeyDocument>>>,
}

impl Trust {
    pub(crate) fn new(state: Arc<StateDir>, server: Arc<dyn BillingServer>, clocks: Arc<ServerClocks>) -> Self {
        Self { state, server, clocks, known: Mutex::default() }
    }

    /// The servers that the user trusts.
    pub(crate) fn pins(&self) -> Result<Vec<Pin>, StateError> {
        pins(&self.state)
    }

    /// The pin of a server, if the user trusts it.
    pub(crate) fn pin(&self, origin: &Origin) -> Result<Option<Pin>, StateError> {
        Ok(read_pin(&self.state, &pin_record(origin))?.filter(|pin| pin.origin == *origin))
    }

    /// Asks a server who it is, because the user asks to sign in: if its clock was wrong when it was last heard, that
    /// is not held against it. Its keys are then judged by the machine's clock.
    ///
    /// # Errors
    /// As [`Trust::discover`].
    pub(crate) async fn discover_anew(&self, origin: &Origin) -> Result<Discovered, DiscoveryError> {
        match self.discover(origin).await {
            Err(DiscoveryError::Refused(refused)) if refused.reason != Reason::Offline => {
                let clock = self.clocks.of(origin);
                if !clock.is_apart() {
                    return Err(refused.into());
                }
                clock.begin_anew();
                self.discover(origin).await
            }
            found => found,
        }
    }

    /// Asks a server who it is. Where it is pinned already, it has to be the same one, and not have gone back.
    ///
    /// # Errors
    /// `offline`, `server-untrusted`, `clock-suspect`; [`DiscoveryError::Elsewhere`].
    pub(crate) async fn discover(&self, origin: &Origin) -> Result<Discovered, DiscoveryError> {
        let exchange = Exchange::get(origin.clone(), paths::WELL_KNOWN.into());
        let answer = self.server.exchange(exchange).await.map_err(Refused::from)?;
        let known: Option<WellKnown> =
            (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok()).flatten();
        let known = known.ok_or_else(|| offline(format!("there is no billing server at {origin}")))?;
        // The pin is read after the answer came: another process may have seen a newer document meanwhile.
        let pin = self.pin(origin).map_err(Refused::from)?;
        if let Some(pin) = pin.as_ref().filter(|pin| pin.root.thumbprint() != known.root.thumbprint()) {
            let (found, pinned) = (known.root.thumbprint().words(), pin.words());
            let changed =
                format!("{origin} shows another root key than the one you trusted: {found} instead of {pinned}");
            return Err(untrusted(changed).into());
        }
        if known.api != format!("{origin}/v1") {
            return Err(self.elsewhere(origin, &known));
        }
        let seen = pin.map_or(0, |pin| pin.version);
        let clock = self.clocks.of(origin);
        let keys = KeyDocument::verify(&known.keys, &known.root, origin, clock.now(), seen);
        let keys = keys.map_err(|error| match error {
            // The server itself said what time it is: these keys are old, and so is perhaps the answer.
            error if clock.is_told() => untrusted(format!("{origin}: {error}")),
            KeyDocumentError::Early { by } => by_this_clock(origin, "are not valid yet, not for another", by),
            KeyDocumentError::Late { by } => by_this_clock(origin, "have not been valid any more for", by),
            error => untrusted(format!("{origin}: {error}")),
        })?;
        Ok(Discovered { root: known.root, keys })
    }

    /// The server calls itself otherwise than it was asked for. That is worth repeating only if its root key says the
    /// same; the rest is somebody's word on the line.
    fn elsewhere(&self, asked: &Origin, known: &WellKnown) -> DiscoveryError {
        let named = known.api.strip_suffix(paths::API).and_then(|named| named.parse::<Origin>().ok());
        let signed = |named: &Origin| {
            let now = self.clocks.of(asked).now();
            let keys = KeyDocument::verify(&known.keys, &known.root, named, now, 0);
            matches!(keys, Ok(_) | Err(KeyDocumentError::Early { .. } | KeyDocumentError::Late { .. }))
        };
        match named.filter(signed) {
            Some(named) => DiscoveryError::Elsewhere { asked: asked.clone(), named },
            None => untrusted(format!("{asked} names another address as its interface")).into(),
        }
    }

    /// Trusts a server from now on, since the user has signed in to it, or remembers its newer key document.
    pub(crate) async fn remember(&self, origin: &Origin, found: &Discovered) -> Result<Arc<KeyDocument>, Refused> {
        self.keep_found(origin, found, true).await
    }

    /// Remembers what a server says about itself. If it is trusted no more, only a sign-in may pin it.
    async fn keep_found(
        &self,
        origin: &Origin,
        found: &Discovered,
        may_pin: bool,
    ) -> Result<Arc<KeyDocument>, Refused> {
        let _lock = self.state.lock().await?;
        let pin = self.pin(origin)?;
        if pin.is_none() && !may_pin {
            return Err(not_signed_in(origin));
        }
        let now = self.clocks.of(origin).now();
        let (since, seen) = pin.as_ref().map_or((now, 0), |pin| (pin.since, pin.version));
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
    pub(crate) async fn forget(&self, origin: &Origin) -> Result<(), StateError> {
        let _lock = self.state.lock().await?;
        self.known.lock().remove(origin);
        self.state.remove(&pin_record(origin))?;
        self.clocks.forget(origin)?;
        revocation_mark::remove(&self.state, origin)?;
        self.state.remove_lock_of(origin)?;
        self.state.remove(&format!("servers/{}", file_name(origin)))
    }

    /// The keys with which a trusted server signs now. Asks the server if the document at hand is half past its
    /// time.
    ///
    /// # Errors
    /// `server-untrusted` if the user does not trust it, or it is not the one he trusted; `offline`.
    pub(crate) async fn keys(&self, origin: &Origin) -> Result<Arc<KeyDocument>, Refused> {
        let now = self.clocks.of(origin).now();
        let known = self.known.lock().get(origin).cloned();
        let at_hand = match known {
            Some(keys) => Some(keys).filter(|keys| now < keys.exp),
            None => {
                let pin = self.pin(origin)?.ok_or_else(|| not_signed_in(origin))?;
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
            return Err(not_signed_in(origin));
        }
        let found = self.discover(origin).await?;
        self.keep_found(origin, &found, false).await
    }

    fn keep(&self, keys: KeyDocument) -> Arc<KeyDocument> {
        let keys = Arc::new(keys);
        self.known.lock().insert(keys.iss.clone(), Arc::clone(&keys));
        keys
    }

    /// The trusted servers that sell a resource: named in its manifest with the pinned root, and countersigned by a key
    /// that was theirs at that time. In the manifest's order. No other server is ever contacted.
    ///
    /// # Errors
    /// `server-untrusted` if there is none, `offline` if it cannot be told; also of `wanted`, in whose place no other
    /// one is taken because it does not answer.
    pub(crate) async fn sellers(
        &self,
        resource: &SignedManifest,
        wanted: Option<&Origin>,
    ) -> Result<Vec<Origin>, Refused> {
        let mut sellers = Vec::new();
        let mut failure = None;
        for entry in &resource.manifest().servers {
            let Some(pin) = self.pin(&entry.origin)?.filter(|pin| pin.root.thumbprint() == entry.root) else {
                continue;
            };
            let Some(by) = resource.countersignatures().iter().find(|by| by.iss == entry.origin) else { continue };
            match self.keys(&pin.origin).await {
                Ok(keys) if by.iat <= self.clocks.of(&pin.origin).now().saturating_add(GRACE) => {
                    if keys.signing_key(by.key.thumbprint(), by.iat).is_some() {
                        sellers.push(pin.origin);
                    }
                }
                Ok(_) => {}
                Err(refused) if wanted == Some(&entry.origin) => return Err(refused),
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
        let offer = own(keys, compact, |offer: &Offer| (&offer.iss, offer.iat))?;
        // It is shown beside a price: a server that was taken over writes nothing there that moves the cursor, or fills
        // the screen.
        if offer.document().title.len() > MAX_TITLE {
            return Err(JwsError::TooLong);
        }
        if let Some(disturbing) = offer.document().title.chars().find(|c| disturbs(*c)) {
            return Err(JwsError::Text(TextError::Disturbing(disturbing)));
        }
        Ok(offer)
    }

    /// A receipt that this server signed.
    pub(crate) fn receipt(keys: &KeyDocument, compact: &str) -> Result<Verified<Receipt>, JwsError> {
        own(keys, compact, |receipt: &Receipt| (&receipt.iss, receipt.iat))
    }

    /// The receipt of a top-up that this server signed.
    pub(crate) fn top_up_receipt(keys: &KeyDocument, compact: &str) -> Result<Verified<TopUpReceipt>, JwsError> {
        own(keys, compact, |receipt: &TopUpReceipt| (&receipt.iss, receipt.iat))
    }

    /// The receipt of an order of codes that this server signed.
    pub(crate) fn code_receipt(keys: &KeyDocument, compact: &str) -> Result<Verified<CodeReceipt>, JwsError> {
        own(keys, compact, |receipt: &CodeReceipt| (&receipt.iss, receipt.iat))
    }

    /// What this server told a merchant to deliver.
    pub(crate) fn verification(keys: &KeyDocument, compact: &str) -> Result<Verified<Verification>, JwsError> {
        own(keys, compact, |verification: &Verification| (&verification.iss, verification.iat))
    }

    /// The receipt of a refund that this server signed.
    pub(crate) fn refund(keys: &KeyDocument, compact: &str) -> Result<Verified<RefundReceipt>, JwsError> {
        own(keys, compact, |receipt: &RefundReceipt| (&receipt.iss, receipt.iat))
    }
}

/// A document in a list: one that the server signed and this version does not know spoils nothing beside it. That
/// holds for another type of document too, of which nobody can say what it is.
pub(crate) fn listed<D>(document: Result<Verified<D>, JwsError>) -> Result<ListedEntry<Verified<D>>, JwsError> {
    match document {
        Ok(document) => Ok(ListedEntry::Known(document)),
        Err(JwsError::Payload { entry, .. }) => Ok(ListedEntry::Unknown(*entry)),
        Err(JwsError::Type { .. }) => Ok(ListedEntry::Unknown(UnknownEntry::blank())),
        Err(error) => Err(error),
    }
}

/// Verifies a document that names this server as its issuer, and says when it was signed.
fn own<D: Document>(
    keys: &KeyDocument,
    compact: &str,
    says: fn(&D) -> (&Origin, u64),
) -> Result<Verified<D>, JwsError> {
    let document = signed_in_time(keys, compact, |document| says(document).1)?;
    if *says(document.document()).0 == keys.iss { Ok(document) } else { Err(JwsError::Key) }
}

/// Verifies a document that outlives the key it was signed with: the key has to have been in force when it was signed.
fn signed_in_time<D: Document>(
    keys: &KeyDocument,
    compact: &str,
    signed: impl Fn(&D) -> u64,
) -> Result<Verified<D>, JwsError> {
    let document = Unverified::<D>::parse(compact)?;
    let kid = document.kid();
    let key = keys.signing.iter().find(|key| key.jwk.thumbprint() == kid).ok_or(JwsError::Key)?;
    let document = document.verify(&key.jwk)?;
    keys.signing_key(kid, signed(document.document())).ok_or(JwsError::Key)?;
    Ok(document)
}

/// The servers that the user trusts, as they are pinned in a state directory.
pub(crate) fn pins(state: &StateDir) -> Result<Vec<Pin>, StateError> {
    let records = state.list("servers")?;
    records.iter().filter_map(|name| read_pin(state, &format!("servers/{name}/pin.json")).transpose()).collect()
}

fn read_pin(state: &StateDir, record: &str) -> Result<Option<Pin>, StateError> {
    let Some(bytes) = state.read(record, MAX_PIN)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| StateError::damaged(&state.path(record)))
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

fn not_signed_in(origin: &Origin) -> Refused {
    untrusted(format!("you are not signed in to {origin}"))
}

fn by_this_clock(origin: &Origin, what: &str, by: u64) -> Refused {
    let by = in_words(Duration::from_secs(by));
    let detail = format!("by this machine's clock the keys of {origin} {what} {by}");
    Refused::because(Reason::ClockSuspect, detail)
}

/// A server whose time has jumped.
pub(crate) fn jumped(origin: &Origin, jumped: Jumped) -> Refused {
    let (by, side) = (in_words(jumped.by), if jumped.ahead { "ahead of" } else { "behind" });
    let detail = format!(
        "{origin} dates its answer {by} {side} its earlier ones: it is not believed until its answers have agreed for ten minutes, or you sign in to it again"
    );
    Refused::because(Reason::ClockSuspect, detail)
}

/// What cannot be kept is not begun: nothing is decided, as if the server had not been reached.
impl From<StateError> for Refused {
    fn from(error: StateError) -> Self {
        Self { state: Some(Box::new(error.clone())), ..offline(error.to_string()) }
    }
}

/// Nothing was decided.
impl From<TransportError> for Refused {
    fn from(error: TransportError) -> Self {
        let reason =
            if matches!(error, TransportError::CertificateTime(_)) { Reason::ClockSuspect } else { Reason::Offline };
        Self::because(reason, error.to_string())
    }
}
