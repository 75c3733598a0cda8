//! Which keys a merchant signs with: pinned when its user first buys, followed only by the word of the key before.

use crate::client_error::ClientError;
use crate::state::folder::{StateDir, StateError, file_name};
use crate::store::publisher_pin::Standing;
use portcullis_protocol::limits::MAX_VOUCHES;
use portcullis_protocol::{Document, JwsError, MerchantName, MerchantVouch, Origin, PublicKey, Unverified, Verified};
use serde::{Deserialize, Serialize};

/// Where pins are kept: a folder per store.
const PINS: &str = "merchants";
/// As many keys as there can be vouches.
const MAX_PIN: u64 = 16 * 1024;

/// The keys of a merchant at one store, as far as they were followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MerchantKeys {
    /// Oldest first; the last one is in use. What the others signed while they were stays good.
    keys: Vec<PublicKey>,
    /// The number of the last vouch that was followed.
    seq: u64,
}

impl MerchantKeys {
    /// Believes a document that one of the keys signed.
    pub(crate) fn verify<D: Document>(&self, compact: &str) -> Result<Verified<D>, JwsError> {
        let document = Unverified::<D>::parse(compact)?;
        let key = self.keys.iter().find(|key| key.thumbprint() == document.kid()).ok_or(JwsError::Key)?;
        document.verify(key)
    }
}

/// Judges the key that a store says is the merchant's. `vouches` are believed only as far as the pinned key's signature
/// reaches.
///
/// # Errors
/// [`ClientError::MerchantChanged`].
pub(crate) fn judge(
    state: &StateDir,
    store: &Origin,
    name: &MerchantName,
    key: &PublicKey,
    vouches: &[String],
) -> Result<(Standing, MerchantKeys), ClientError> {
    let Some(pinned) = read(state, store, name)? else {
        let seq = u64::try_from(vouches.len()).unwrap_or(u64::MAX);
        return Ok((Standing::New, MerchantKeys { keys: vec![key.clone()], seq }));
    };
    let mut keys = pinned.clone();
    for compact in vouches.iter().take(MAX_VOUCHES) {
        let Some(last) = keys.keys.last() else { break };
        let vouch = Unverified::<MerchantVouch>::parse(compact).and_then(|vouch| vouch.verify(last));
        if let Ok(vouch) = vouch.map(Verified::into_document)
            && vouch.merchant == *name
            && vouch.seq > keys.seq
        {
            keys.seq = vouch.seq;
            keys.keys.push(vouch.jwk);
        }
    }
    match keys.keys.last() {
        Some(last) if last == key => {
            let standing = if keys == pinned { Standing::Known } else { Standing::Vouched };
            Ok((standing, keys))
        }
        last => Err(ClientError::MerchantChanged {
            merchant: name.clone(),
            pinned: last.unwrap_or(key).thumbprint(),
            found: key.thumbprint(),
        }),
    }
}

/// Pins what was judged.
pub(crate) fn remember(
    state: &StateDir,
    store: &Origin,
    name: &MerchantName,
    keys: &MerchantKeys,
) -> Result<(), StateError> {
    let record = record(store, name);
    let bytes = serde_json::to_vec(keys).map_err(|_| StateError::damaged(&state.path(&record)))?;
    state.write(&record, &bytes)
}

/// The keys that are pinned for a merchant.
pub(crate) fn read(state: &StateDir, store: &Origin, name: &MerchantName) -> Result<Option<MerchantKeys>, StateError> {
    let record = record(store, name);
    let Some(bytes) = state.read(&record, MAX_PIN)? else { return Ok(None) };
    let keys: MerchantKeys = serde_json::from_slice(&bytes).map_err(|_| StateError::damaged(&state.path(&record)))?;
    if keys.keys.is_empty() { Err(StateError::damaged(&state.path(&record))) } else { Ok(Some(keys)) }
}

fn record(store: &Origin, name: &MerchantName) -> String {
    format!("{PINS}/{}/{name}.json", file_name(store))
}
