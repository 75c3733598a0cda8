//! The server's own keys: root, signing keys, age identity, and the keys of status codes and nonces.
//!
//! All of them lie in the store, wrapped by the master key, so that every process of a server has the same. The root
//! signs the key document; the signing keys, which change, sign everything else. A key that stopped signing stays in
//! the document, so that what it signed while it did can be verified: a countersignature is checked at its own time.

use crate::audit::Act;
use crate::billing::offers::SignedOffers;
use crate::crypto::ephemerals::Ephemerals;
use crate::crypto::known_keys::KnownKeys;
use crate::crypto::secrets::{SecretError, Secrets, random, rng};
use crate::ops::clock::Timestamp;
use crate::ops::directory::moment;
use crate::store::{KeyRecord, KeyRole, Keyring, SigningRecord, Store, StoreError};
use parking_lot::RwLock;
use portcullis_protocol::age::{Identity, Recipient};
use portcullis_protocol::limits::MAX_KEY_DOCUMENT_LIFE;
use portcullis_protocol::paths;
use portcullis_protocol::proof::NonceKey;
use portcullis_protocol::release::Ephemeral;
use portcullis_protocol::{
    CodeKey, Document as SignedDocument, KeyDocument, Origin, PublicKey, SecretKey, ServerKey, Thumbprint, Unverified,
    Verified, WellKnown,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the server's keys are sealed as.
pub(crate) const SERVER_KEY: &str = "server key";
/// What the seeds of signing keys are sealed as.
pub(crate) const SIGNING_KEY: &str = "signing key";
/// By how much clocks of one server's machines differ, in seconds.
pub(crate) const CLOCKS: u64 = 300;
/// How long a signing key signs unless it is rotated before: a year.
const SIGNING_KEY_LIFE: u64 = 365 * 24 * 3600;
/// How long before its end a signing key gets a successor by itself: two months.
const RENEWAL: u64 = 60 * 24 * 3600;
/// How long a successor is known before it signs: twice as long as a terminal may go without a new key document.
pub const NOTICE: u64 = 2 * DOCUMENT_LIFE;
/// How long a key goes on signing beside its successor: as long as a key document that does not name the successor can
/// be valid.
const OVERLAP: u64 = MAX_KEY_DOCUMENT_LIFE;
/// How long a key document is valid. Shorter than it may be, so that a stolen signing key is forgotten sooner.
const DOCUMENT_LIFE: u64 = 24 * 3600;
/// How old a key document may be before a new one is signed.
const DOCUMENT_AGE: u64 = 3600;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There are keys already.
    #[error("this server has keys already: `init` makes them once")]
    Exist,
    /// There are no keys.
    #[error("this server has no keys: run `portcullis-server init`")]
    Missing,
    /// A new key would begin after all others have ended.
    #[error(
        "the keys that there are sign until {}, and a new one has to begin before that: `--starts-in` is at most {most} \
         seconds now", moment(*until)
    )]
    StartsTooLate {
        /// When the last of them ends.
        until: Timestamp,
        /// Seconds from now till then.
        most: u64,
    },
    /// No signing key signs at this time.
    #[error("no signing key is in force: run `portcullis-server operator rotate-key`")]
    NoSigningKey,
}

/// A signing key in force at some time.
#[derive(Debug)]
struct Signing {
    key: Arc<SecretKey>,
    not_before: Timestamp,
    expires: Timestamp,
}

#[derive(Debug)]
struct SigningSet {
    version: u64,
    /// Oldest first.
    keys: Vec<Signing>,
}

#[derive(Debug)]
struct Document {
    version: u64,
    at: Timestamp,
    compact: String,
}

/// The server's keys, open.
pub struct Keys {
    origin: Origin,
    root: SecretKey,
    identity: Identity,
    code: CodeKey,
    nonce: NonceKey,
    signing: RwLock<Arc<SigningSet>>,
    document: RwLock<Option<Document>>,
    offers: SignedOffers,
    ephemerals: Ephemerals,
    known: KnownKeys,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys(root {})", self.root.public().thumbprint())
    }
}

/// Makes the first keys of a server, in one transaction.
///
/// # Errors
/// [`KeysError::Exist`] if there are keys.
pub async fn init(store: &dyn Store, secrets: &Secrets) -> Result<(), KeysError> {
    let now = store.now().await?;
    let wrap =
        |role: KeyRole, key: &[u8]| KeyRecord { role, key: secrets.seal(SERVER_KEY, role.name().as_bytes(), key) };
    let records = vec![
        wrap(KeyRole::Root, &*SecretKey::generate(&mut rng()).to_seed()),
        wrap(KeyRole::Age, Identity::generate(&mut rng()).expose()),
        wrap(KeyRole::Code, &*Zeroizing::new(random::<32>())),
        wrap(KeyRole::Nonce, &*Zeroizing::new(random::<32>())),
    ];
    if store.create_keys(records, new_signing_key(secrets, now)).await? { Ok(()) } else { Err(KeysError::Exist) }
}

/// Why the signing key changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// In good time: the new key signs from so many seconds on, those before it for a week beside it. Terminals learn
    /// of it from the next key document they fetch, so a key that starts later than now is known before it is used.
    Planned {
        /// Seconds until the new key signs.
        starts_in: u64,
    },
    /// Somebody else has the key: the new one signs at once, and nothing of a date from now on that an older one signs
    /// is believed by a terminal that has the new key document. One that does not reach this server has it in a day.
    Stolen,
    /// The database came back from a backup, and what was added since is gone: the new key signs at once, and the
    /// version of the set is higher than any that a terminal may have seen.
    Restored,
}

/// Adds a signing key and ends those before it.
///
/// # Errors
/// [`KeysError::Missing`] if there are no keys at all; [`KeysError::StartsTooLate`].
pub async fn rotate_signing_key(
    store: &dyn Store,
    secrets: &Secrets,
    rotation: Rotation,
) -> Result<PublicKey, KeysError> {
    let (_, keys) = store.signing_keys().await?;
    if keys.is_empty() {
        return Err(KeysError::Missing);
    }
    let now = store.now().await?;
    if let Rotation::Planned { starts_in } = rotation {
        let until = sign_until(keys.iter().map(SigningRecord::span), now);
        if starts_in > 0 && now.plus(starts_in) > until {
            return Err(KeysError::StartsTooLate { until, most: until.seconds().saturating_sub(now.seconds()) });
        }
    }
    let (starts, others_end) = match rotation {
        Rotation::Planned { starts_in } => (now.plus(starts_in), now.plus(starts_in).plus(OVERLAP)),
        Rotation::Stolen => (now, now),
        Rotation::Restored => (now, now.plus(OVERLAP)),
    };
    // Versions count up by one; so a moment, in seconds, is higher than all that were there before it.
    let at_least = if rotation == Rotation::Restored { now.seconds() } else { 0 };
    let key = new_signing_key(secrets, starts);
    let public = key.public.clone();
    Act::makes(public.thumbprint());
    store.add_signing_key(key, others_end, at_least).await?;
    Ok(public)
}

/// Gives the last signing key a successor where its end is near. Gives the new key. Two processes that do it at once
/// add two, and the later one signs.
///
/// # Errors
/// [`KeysError`].
pub async fn renew_signing_key(store: &dyn Store, secrets: &Secrets) -> Result<Option<PublicKey>, KeysError> {
    let now = store.now().await?;
    let (_, keys) = store.signing_keys().await?;
    if keys.is_empty() {
        return Err(KeysError::Missing);
    }
    let end = sign_until(keys.iter().map(SigningRecord::span), now);
    if !is_near(end, now) {
        return Ok(None);
    }
    let starts_in = if end > now.plus(NOTICE) { NOTICE } else { 0 };
    rotate_signing_key(store, secrets, Rotation::Planned { starts_in }).await.map(Some)
}

/// Until when there always is a key that signs, by when each begins and ends.
fn sign_until(spans: impl Iterator<Item = (Timestamp, Timestamp)> + Clone, now: Timestamp) -> Timestamp {
    let mut until = now;
    while let Some(end) = spans.clone().filter(|(from, end)| *from <= until && *end > until).map(|(_, end)| end).max() {
        until = end;
    }
    until
}

/// Whether keys that sign until then want a successor.
fn is_near(end: Timestamp, now: Timestamp) -> bool {
    end <= now.plus(RENEWAL)
}

fn new_signing_key(secrets: &Secrets, not_before: Timestamp) -> SigningRecord {
    let key = SecretKey::generate(&mut rng());
    SigningRecord {
        public: key.public().clone(),
        seed: secrets.seal(SIGNING_KEY, key.public().thumbprint().as_bytes(), &*key.to_seed()),
        not_before,
        expires: not_before.plus(SIGNING_KEY_LIFE),
    }
}

impl Keys {
    /// Opens the keys of a server.
    ///
    /// # Errors
    /// [`KeysError::Missing`] before [`init`]; [`KeysError::Secret`] under another master key.
    pub async fn open(store: &dyn Store, secrets: &Secrets, origin: Origin) -> Result<Self, KeysError> {
        let records = store.keys().await?;
        let open = |role: KeyRole| -> Result<Zeroizing<[u8; 32]>, KeysError> {
            let record = records.iter().find(|record| record.role == role).ok_or(KeysError::Missing)?;
            Ok(open_32(secrets, SERVER_KEY, role.name().as_bytes(), &record.key)?)
        };
        let keys = Self {
            origin,
            root: SecretKey::from_seed(&*open(KeyRole::Root)?),
            identity: Identity::from_bytes(*open(KeyRole::Age)?),
            code: CodeKey::new(*open(KeyRole::Code)?),
            nonce: NonceKey::new(*open(KeyRole::Nonce)?),
            signing: RwLock::new(Arc::new(SigningSet { version: 0, keys: Vec::new() })),
            document: RwLock::new(None),
            offers: SignedOffers::default(),
            ephemerals: Ephemerals::default(),
            known: KnownKeys::default(),
        };
        keys.refresh(store, secrets).await?;
        Ok(keys)
    }

    /// Takes up signing keys that another process has added. To be called every few seconds.
    ///
    /// # Errors
    /// [`KeysError`].
    pub async fn refresh(&self, store: &(impl Keyring + ?Sized), secrets: &Secrets) -> Result<(), KeysError> {
        let (version, records) = store.signing_keys().await?;
        if version == self.set().version {
            return Ok(());
        }
        let keys = records
            .into_iter()
            .map(|record| {
                let thumbprint = record.public.thumbprint();
                let seed = open_32(secrets, SIGNING_KEY, thumbprint.as_bytes(), &record.seed)?;
                let key = Arc::new(SecretKey::from_seed(&seed));
                if *key.public() != record.public {
                    return Err(SecretError::DoesNotOpen(SIGNING_KEY).into());
                }
                Ok(Signing { key, not_before: record.not_before, expires: record.expires })
            })
            .collect::<Result<_, KeysError>>()?;
        *self.signing.write() = Arc::new(SigningSet { version, keys });
        Ok(())
    }

    fn set(&self) -> Arc<SigningSet> {
        Arc::clone(&self.signing.read())
    }

    /// Whether [`renew_signing_key`] has anything to do, as far as this process knows.
    #[must_use]
    pub fn want_renewal(&self, now: Timestamp) -> bool {
        is_near(sign_until(self.set().keys.iter().map(|key| (key.not_before, key.expires)), now), now)
    }

    /// How the server is called.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The root key, which terminals pin.
    #[must_use]
    pub const fn root(&self) -> &PublicKey {
        self.root.public()
    }

    /// Whom publishers encrypt parts for.
    #[must_use]
    pub const fn recipient(&self) -> &Recipient {
        self.identity.recipient()
    }

    /// Opens parts at publish.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key of status codes.
    #[must_use]
    pub const fn code_key(&self) -> &CodeKey {
        &self.code
    }

    /// The key of nonces.
    #[must_use]
    pub const fn nonce_key(&self) -> &NonceKey {
        &self.nonce
    }

    /// The keys of terminals that proved themselves lately.
    pub(crate) const fn known(&self) -> &KnownKeys {
        &self.known
    }

    /// A key for one release.
    pub(crate) fn ephemeral(&self) -> Ephemeral {
        self.ephemerals.take()
    }

    /// The offers that were signed.
    pub(crate) const fn offers(&self) -> &SignedOffers {
        &self.offers
    }

    /// The newest signing key in force.
    ///
    /// # Errors
    /// [`KeysError::NoSigningKey`].
    pub fn signing_key(&self, now: Timestamp) -> Result<Arc<SecretKey>, KeysError> {
        self.signing_key_since(now).map(|(key, _)| key)
    }

    /// The newest signing key in force, and since when it signs: nothing that it signs is dated earlier.
    ///
    /// # Errors
    /// [`KeysError::NoSigningKey`].
    pub fn signing_key_since(&self, now: Timestamp) -> Result<(Arc<SecretKey>, Timestamp), KeysError> {
        let set = self.set();
        let mut newest_first = set.keys.iter().rev();
        let found = newest_first.find(|key| key.not_before <= now && now < key.expires);
        found.map(|found| (Arc::clone(&found.key), found.not_before)).ok_or(KeysError::NoSigningKey)
    }

    /// Whether a key that signed once has ended: terminals believe it no more. Of one that this process has not heard
    /// of, since another has just added it, it is not known.
    #[must_use]
    pub fn has_ended(&self, kid: &Thumbprint, now: Timestamp) -> bool {
        self.set().keys.iter().any(|key| key.key.public().thumbprint() == *kid && key.expires <= now)
    }

    /// A document that one of this server's signing keys has signed, whenever that was. `None` if none did.
    #[must_use]
    pub fn own_document<D: SignedDocument>(&self, compact: &str) -> Option<Verified<D>> {
        let document = Unverified::<D>::parse(compact).ok()?;
        let (set, kid) = (self.set(), document.kid());
        let signer = set.keys.iter().find(|key| key.key.public().thumbprint() == kid)?;
        document.verify(signer.key.public()).ok()
    }

    /// Whether one of this server's keys signed at that time. Within the second of its end it may have.
    pub(crate) fn was_in_force(&self, kid: &Thumbprint, at: Timestamp) -> bool {
        let fits = |key: &Signing| {
            key.not_before.seconds() <= at.seconds().saturating_add(CLOCKS) && at.seconds() <= key.expires.seconds()
        };
        self.set().keys.iter().any(|key| key.key.public().thumbprint() == *kid && fits(key))
    }

    /// The compact key document: signed when asked for, and again once an hour or when the keys change.
    #[must_use]
    pub fn document(&self, now: Timestamp) -> String {
        let set = self.set();
        let fresh = |document: &Document| {
            document.version == set.version && document.at <= now && now < document.at.plus(DOCUMENT_AGE)
        };
        if let Some(document) = &*self.document.read()
            && fresh(document)
        {
            return document.compact.clone();
        }
        let document = KeyDocument {
            iss: self.origin.clone(),
            version: set.version,
            iat: now.seconds(),
            exp: now.plus(DOCUMENT_LIFE).seconds(),
            signing: set.keys.iter().map(Signing::public).collect(),
            recipient: self.recipient().to_string(),
        };
        let compact = Verified::sign(document, &self.root).compact().to_owned();
        *self.document.write() = Some(Document { version: set.version, at: now, compact: compact.clone() });
        compact
    }

    /// What `GET /.well-known/portcullis` answers.
    #[must_use]
    pub fn well_known(&self, now: Timestamp) -> WellKnown {
        WellKnown { root: self.root().clone(), keys: self.document(now), api: format!("{}{}", self.origin, paths::API) }
    }
}

impl Signing {
    fn public(&self) -> ServerKey {
        ServerKey { jwk: self.key.public().clone(), nbf: self.not_before.seconds(), exp: self.expires.seconds() }
    }
}

fn open_32(
    secrets: &Secrets,
    place: &'static str,
    row: &[u8],
    sealed: &crate::crypto::secrets::Sealed,
) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let opened = secrets.unseal(place, row, sealed)?;
    Ok(Zeroizing::new(opened.as_slice().try_into().map_err(|_| SecretError::DoesNotOpen(place))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sign_until_the_first_gap() {
        let at = |seconds: u64| Timestamp::from_millis(0).plus(seconds);
        let until =
            |spans: &[(u64, u64)]| sign_until(spans.iter().map(|(from, end)| (at(*from), at(*end))), at(5)).seconds();
        assert_eq!(until(&[]), 5);
        assert_eq!(until(&[(0, 10)]), 10);
        assert_eq!(until(&[(0, 10), (8, 20), (20, 25)]), 25);
        assert_eq!(until(&[(0, 10), (900, 1000)]), 10, "one that begins after a gap");
        assert_eq!(until(&[(0, 3), (6, 9)]), 5, "none signs now");
    }
}
