//! Which keys a merchant signs with: pinned when its user first buys, followed only by the word of the key before.

use crate::client_error::ClientError;
use crate::state::folder::{StateDir, StateError, file_name};
use crate::store::publisher_pin::Standing;
use portcullis_protocol::limits::MAX_VOUCHES;
use portcullis_protocol::{Document, JwsError, MerchantName, MerchantVouch, Origin, PublicKey, Unverified, Verified};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

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
    /// The keys of a merchant that nothing was bought from yet. Those before the one in use are believed as far back
    /// as each has vouched for the one after it: what they signed stays good.
    fn new(name: &MerchantName, key: &PublicKey, former: &[PublicKey], vouches: &[String]) -> Self {
        let mut keys = VecDeque::from([key.clone()]);
        let seq = u64::try_from(vouches.len()).unwrap_or(u64::MAX);
        for compact in vouches.iter().rev().take(MAX_VOUCHES) {
            let Ok(vouch) = Unverified::<MerchantVouch>::parse(compact) else { break };
            let Some(by) = former.iter().find(|former| former.thumbprint() == vouch.kid()) else { break };
            let Ok(vouch) = vouch.verify(by).map(Verified::into_document) else { break };
            if vouch.merchant != *name || keys.front() != Some(&vouch.jwk) {
                break;
            }
            keys.push_front(by.clone());
        }
        Self { keys: keys.into(), seq }
    }

    /// Believes a document that one of the keys signed.
    pub(crate) fn verify<D: Document>(&self, compact: &str) -> Result<Verified<D>, JwsError> {
        let document = Unverified::<D>::parse(compact)?;
        let key = self.keys.iter().find(|key| key.thumbprint() == document.kid()).ok_or(JwsError::Key)?;
        document.verify(key)
    }
}

/// Judges the key that a store says is the merchant's. `vouches` are believed only as far as the pinned key's
/// signature reaches; `former` are the keys that signed them.
///
/// # Errors
/// [`ClientError::MerchantChanged`].
pub(crate) fn judge(
    state: &StateDir,
    store: &Origin,
    name: &MerchantName,
    key: &PublicKey,
    former: &[PublicKey],
    vouches: &[String],
) -> Result<(Standing, MerchantKeys), ClientError> {
    let Some(pinned) = read(state, store, name)? else {
        return Ok((Standing::New, MerchantKeys::new(name, key, former, vouches)));
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

/// Pins another key beside those that are pinned: its user was told of it otherwise than by the store. What the others
/// signed stays good. `vouches`: how many the store lists by now.
pub(crate) fn accept(
    state: &StateDir,
    store: &Origin,
    name: &MerchantName,
    key: &PublicKey,
    vouches: usize,
) -> Result<(), StateError> {
    let seq = u64::try_from(vouches).unwrap_or(u64::MAX);
    let mut keys = read(state, store, name)?.unwrap_or(MerchantKeys { keys: Vec::new(), seq });
    keys.keys.push(key.clone());
    keys.seq = seq;
    remember(state, store, name, &keys)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use portcullis_protocol::SecretKey;

    /// A key's word for another one.
    fn vouch(by: &SecretKey, to: &SecretKey, merchant: &str, seq: u64) -> String {
        let (merchant, jwk) = (merchant.parse().expect("a name"), to.public().clone());
        Verified::sign(MerchantVouch { merchant, jwk, seq, iat: 1 }, by).compact().to_owned()
    }

    #[test]
    fn a_key_that_its_user_compared_stands_beside_those_that_were_pinned() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("a folder of state");
        let keys = [(); 3].map(|()| SecretKey::generate(&mut random::system()));
        let [old, new, thief] = &keys;
        let (store, name): (Origin, MerchantName) =
            ("https://store.example".parse().expect("an origin"), "games".parse().expect("a name"));
        let pin = MerchantKeys { keys: vec![old.public().clone()], seq: 3 };
        remember(&state, &store, &name, &pin).expect("pinned");
        let judged = |key: &SecretKey| judge(&state, &store, &name, key.public(), &[], &[]);
        assert!(matches!(judged(new), Err(ClientError::MerchantChanged { .. })), "not by the store's word");
        accept(&state, &store, &name, new.public(), 0).expect("accepted");
        let (standing, pinned) = judged(new).expect("the control");
        assert_eq!((standing, pinned.keys), (Standing::Known, vec![old.public().clone(), new.public().clone()]));
        assert!(matches!(judged(thief), Err(ClientError::MerchantChanged { .. })));
        assert!(matches!(judged(old), Err(ClientError::MerchantChanged { .. })), "the old one does not come back");
        // The new key's own vouches are followed from their first one on.
        let next = vouch(new, thief, "games", 1);
        let (standing, _) = judge(&state, &store, &name, thief.public(), &[], &[next]).expect("vouched");
        assert_eq!(standing, Standing::Vouched);
    }

    #[test]
    fn former_keys_are_believed_as_far_back_as_each_vouched_for_the_next() {
        let keys = [(); 3].map(|()| SecretKey::generate(&mut random::system()));
        let stranger = SecretKey::generate(&mut random::system());
        let [first, second, third] = &keys;
        let name: MerchantName = "games".parse().expect("a name");
        let chain = [vouch(first, second, "games", 1), vouch(second, third, "games", 2)];
        let public = |key: &SecretKey| key.public().clone();
        let believed =
            |former: &[PublicKey], vouches: &[String]| MerchantKeys::new(&name, third.public(), former, vouches).keys;
        let both = [public(first), public(second)];
        assert_eq!(believed(&both, &chain), [public(first), public(second), public(third)], "the control");
        assert_eq!(believed(&[public(second)], &chain), [public(second), public(third)], "the first is not listed");
        assert_eq!(believed(&[public(first)], &chain), [public(third)], "a key is missing between them");
        assert_eq!(believed(&[public(&stranger)], &[]), [public(third)], "a key that nobody was vouched by");
        let others = [vouch(first, second, "other", 1), vouch(second, third, "games", 2)];
        assert_eq!(believed(&both, &others), [public(second), public(third)], "of another merchant");
        let forged = [vouch(&stranger, second, "games", 1), vouch(second, third, "games", 2)];
        assert_eq!(believed(&both, &forged), [public(second), public(third)], "by another key");
        let elsewhere = [chain[0].clone(), vouch(second, &stranger, "games", 2)];
        assert_eq!(believed(&both, &elsewhere), [public(third)], "a chain that ends in another key");
    }
}
