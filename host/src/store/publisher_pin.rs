//! Which key a publisher signs with: pinned at the first install, changed only by the old key's word. What earlier keys
//! signed is the publisher's if the key that is believed has adopted its very digest.

use crate::client_error::ClientError;
use crate::state::folder::{StateDir, StateError, file_name};
use crate::store::version_marks;
use portcullis_protocol::limits::MAX_VOUCHES;
use portcullis_protocol::{Adoption, Origin, PublicKey, PublisherName, SignedManifest, Thumbprint, Unverified, Vouch};
use serde::{Deserialize, Serialize};

/// Where pins are kept: a folder per store.
const PINS: &str = "publishers";
/// A key and a number.
const MAX_PIN: u64 = 4096;

/// A publisher's key at one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pinned {
    key: PublicKey,
    /// The number of the last vouch that was followed, or that led back to this key before it was pinned.
    seq: u64,
}

/// How a publisher's key stands with this terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The first resource of this publisher: the user sees the key, and it is pinned.
    New,
    /// The pinned key.
    Known,
    /// Another key, for which the pinned one vouched.
    Vouched,
    /// Another key, for which the pinned one did not vouch: its user was told its words otherwise than by the store.
    Accepted,
}

/// How a publisher's key stands, as far as anybody knew when it was judged.
#[derive(Debug, Clone)]
pub(crate) struct JudgedPublisher {
    pub(crate) standing: Standing,
    publisher: PublisherName,
    record: String,
    /// The pin that it was judged by.
    before: Option<Pinned>,
    /// The pin that is to come.
    pinned: Pinned,
}

/// What was judged holds still, and will as long as the state is locked: the pin to write down.
pub(crate) struct Confirmed {
    record: String,
    pinned: Pinned,
    /// The key that is the publisher's no more at any store, since its user accepted another one.
    given_up: Option<(PublisherName, PublicKey)>,
}

/// What a store says of a publisher. None of it is believed by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoreWord<'s> {
    /// The key in use.
    pub(crate) key: Option<&'s PublicKey>,
    /// Compact vouches, oldest first.
    pub(crate) vouches: &'s [String],
    /// What that key has adopted of the resource, compact.
    pub(crate) adoption: Option<&'s str>,
}

impl StoreWord<'_> {
    /// Whether a key stands for a resource: it signed it, or it signed that it adopts it.
    fn stands(&self, key: &PublicKey, signed: &SignedManifest) -> bool {
        let manifest = signed.manifest();
        let adopts = |compact: &str| {
            let adoption = Unverified::<Adoption>::parse(compact).and_then(|adoption| adoption.verify(key));
            adoption.is_ok_and(|adoption| {
                let adoption = adoption.document();
                adoption.jwk == *key && adoption.names(&manifest.publisher.name, &manifest.name, &signed.digest())
            })
        };
        manifest.publisher.jwk == *key || self.adoption.is_some_and(adopts)
    }
}

/// Judges the key that a resource rests on. Vouches are believed only as far as the pinned key's signature reaches, and
/// an adoption by the key that is believed then. With the words of a key that the user was `told`, that key is believed
/// and no other, whether or not the pinned one vouches for it.
///
/// # Errors
/// [`ClientError::PublisherChanged`]; [`ClientError::KeyNotAsTold`].
pub(crate) fn judge(
    state: &StateDir,
    store: &Origin,
    signed: &SignedManifest,
    said: StoreWord<'_>,
    told: Option<&str>,
) -> Result<JudgedPublisher, ClientError> {
    let publisher = &signed.manifest().publisher;
    let record = record(store, &publisher.name);
    let before = read(state, &record)?;
    // Whoever meets the publisher here meets the key that is in use. If the store names one that does not stand for this,
    // the key that signed it was replaced, perhaps since it was stolen.
    let found = said.key.unwrap_or(&publisher.jwk);
    let first = || Pinned { key: found.clone(), seq: history(found, &publisher.name, said.vouches) };
    let (standing, believed) = match &before {
        None => (Standing::New, first()),
        Some(pinned) => {
            let last = current(pinned, &publisher.name, said.vouches);
            (if last.key == pinned.key { Standing::Known } else { Standing::Vouched }, last)
        }
    };
    let is_told = |key: &PublicKey| told.is_none_or(|told| key.thumbprint().is_said_as(told));
    let is_right = |key: &PublicKey| is_told(key) && said.stands(key, signed);
    let (standing, pinned) = if is_right(&believed.key) {
        (standing, believed)
    } else if told.is_some() && is_right(found) {
        (Standing::Accepted, first())
    } else {
        let under = said.key.filter(|key| said.stands(key, signed)).unwrap_or(&publisher.jwk);
        if !is_told(under) {
            return Err(ClientError::KeyNotAsTold { whose: publisher.name.to_string(), found: under.thumbprint() });
        }
        return Err(changed(&publisher.name, before.as_ref().unwrap_or(&believed), under));
    };
    Ok(JudgedPublisher { standing, publisher: publisher.name.clone(), record, before, pinned })
}

/// Judges the key that a store sells a publisher's resources under, before anything is paid for. What it sells, that
/// key stands for, or terminals refuse it.
///
/// # Errors
/// [`ClientError::PublisherChanged`].
pub(crate) fn judge_seller(
    state: &StateDir,
    store: &Origin,
    name: &PublisherName,
    key: &PublicKey,
    vouches: &[String],
) -> Result<(), ClientError> {
    match read(state, &record(store, name))? {
        Some(pinned) if !pinned.leads_to(key, name, vouches) => Err(changed(name, &pinned, key)),
        _ => Ok(()),
    }
}

/// The key that is pinned for a publisher at a store.
pub(crate) fn at(
    state: &StateDir,
    store: &Origin,
    name: &PublisherName,
) -> Result<Option<(Origin, Pinned)>, StateError> {
    Ok(read(state, &record(store, name))?.map(|pinned| (store.clone(), pinned)))
}

/// Whether a publisher's key is pinned at a store, and is this one.
pub(crate) fn is_known(
    state: &StateDir,
    store: &Origin,
    name: &PublisherName,
    key: &PublicKey,
) -> Result<bool, StateError> {
    Ok(read(state, &record(store, name))?.is_some_and(|pinned| pinned.key == *key))
}

impl Pinned {
    /// A key that was never followed.
    pub(crate) fn first(key: &PublicKey) -> Self {
        Self { key: key.clone(), seq: 0 }
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// Whether it is this key, or these vouches lead from it to this key.
    pub(crate) fn leads_to(&self, key: &PublicKey, name: &PublisherName, vouches: &[String]) -> bool {
        self.key == *key || current(self, name, vouches).key == *key
    }
}

impl JudgedPublisher {
    /// The key that is believed from now on.
    pub(crate) fn key(&self) -> Thumbprint {
        self.pinned.thumbprint()
    }

    /// Looks once more, while the state is locked: between judging and here somebody was asked, and another process may
    /// have followed the publisher to another key, which nothing but that key's own word takes back.
    ///
    /// # Errors
    /// [`ClientError::PublisherChanged`]; [`ClientError::PublisherForgotten`] if the pin is gone.
    pub(crate) fn confirm(&self, state: &StateDir) -> Result<Confirmed, ClientError> {
        let Self { standing, publisher, record, before, pinned } = self;
        let seq = match read(state, record)? {
            now if now == *before => pinned.seq,
            Some(now) if now.key == pinned.key => now.seq.max(pinned.seq),
            Some(now) => return Err(changed(publisher, &now, &pinned.key)),
            None => return Err(ClientError::PublisherForgotten { publisher: publisher.clone() }),
        };
        let replaced = before.as_ref().filter(|_| *standing == Standing::Accepted);
        let given_up = replaced.map(|replaced| (publisher.clone(), replaced.key.clone()));
        Ok(Confirmed { record: record.clone(), pinned: Pinned { key: pinned.key.clone(), seq }, given_up })
    }
}

impl Confirmed {
    /// Pins the key; one that the user accepted, at every store at which the publisher had the key before.
    pub(crate) fn remember(&self, state: &StateDir) -> Result<(), StateError> {
        if let Some((publisher, key)) = &self.given_up {
            give_up(state, publisher, key, &self.pinned.key)?;
        }
        write(state, &self.record, &self.pinned)
    }
}

fn record(store: &Origin, publisher: &PublisherName) -> String {
    format!("{PINS}/{}/{publisher}.json", file_name(store))
}

fn read(state: &StateDir, record: &str) -> Result<Option<Pinned>, StateError> {
    let Some(bytes) = state.read(record, MAX_PIN)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| StateError::damaged(&state.path(record)))
}

fn write(state: &StateDir, record: &str, pinned: &Pinned) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(pinned).map_err(|_| StateError::damaged(&state.path(record)))?;
    state.write(record, &bytes)
}

fn changed(publisher: &PublisherName, pinned: &Pinned, found: &PublicKey) -> ClientError {
    let (pinned, found) = (pinned.key.thumbprint(), found.thumbprint());
    ClientError::PublisherChanged { publisher: publisher.clone(), pinned, found }
}

/// Pins another key of a publisher at every store where `key` was pinned, and forgets the versions that were streamed
/// of him there: whoever has the old key may have made up some that no later one is newer than.
fn give_up(state: &StateDir, publisher: &PublisherName, key: &PublicKey, new: &PublicKey) -> Result<(), StateError> {
    for store in state.list(PINS)? {
        let record = format!("{PINS}/{store}/{publisher}.json");
        let pinned = state.read(&record, MAX_PIN)?.and_then(|bytes| serde_json::from_slice::<Pinned>(&bytes).ok());
        if let Some(Pinned { seq, .. }) = pinned.filter(|pinned| pinned.key == *key) {
            version_marks::forget(state, &store, publisher)?;
            write(state, &record, &Pinned { key: new.clone(), seq })?;
        }
    }
    Ok(())
}

/// The last key that vouches lead to from a pinned one.
fn current(pinned: &Pinned, name: &PublisherName, vouches: &[String]) -> Pinned {
    chain(pinned, name, vouches).pop().unwrap_or_else(|| pinned.clone())
}

/// The keys that follow on a first one, each by the word of the one before.
fn chain(first: &Pinned, name: &PublisherName, vouches: &[String]) -> Vec<Pinned> {
    let mut chain: Vec<Pinned> = Vec::new();
    for compact in vouches.iter().take(MAX_VOUCHES) {
        chain.extend(follow(chain.last().unwrap_or(first), name, compact));
    }
    chain
}

/// The successor that the current key names in a vouch newer than the last one.
fn follow(current: &Pinned, name: &PublisherName, compact: &str) -> Option<Pinned> {
    let vouch = Unverified::<Vouch>::parse(compact).ok()?.verify(&current.key).ok()?.into_document();
    (vouch.name == *name && vouch.seq > current.seq).then_some(Pinned { key: vouch.jwk, seq: vouch.seq })
}

/// The number of the last vouch by which the publisher came back to this key: it left the key once, and what was said
/// before that is not said again. Only vouches count that begin with this very key's signature; anybody can write
/// others.
fn history(key: &PublicKey, name: &PublisherName, vouches: &[String]) -> u64 {
    let chain = chain(&Pinned::first(key), name, vouches);
    chain.iter().rev().find(|pinned| pinned.key == *key).map_or(0, |pinned| pinned.seq)
}
