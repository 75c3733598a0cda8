//! Which keys a merchant signs with: pinned when its user first buys, followed only by the word of the key before.

use crate::client_error::ClientError;
use crate::state::folder::{StateDir, StateError, file_name};
use crate::store::publisher_pin::Standing;
use portcullis_protocol::limits::MAX_VOUCHES;
use portcullis_protocol::{Document, JwsError, MerchantName, MerchantVouch, Origin, PublicKey, Unverified, Verified};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

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

/// A merchant's keys, as far as anybody knew when they were judged.
#[derive(Debug, Clone)]
pub(crate) struct JudgedMerchant {
    pub(crate) standing: Standing,
    /// The keys to pin: those that are believed.
    pub(crate) keys: MerchantKeys,
    /// Those that were pinned.
    before: Option<MerchantKeys>,
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

    /// The key in use.
    fn last(&self) -> Option<&PublicKey> {
        self.keys.last()
    }

    /// Believes a document that one of the keys signed.
    pub(crate) fn verify<D: Document>(&self, compact: &str) -> Result<Verified<D>, JwsError> {
        let document = Unverified::<D>::parse(compact)?;
        let key = self.keys.iter().find(|key| key.thumbprint() == document.kid()).ok_or(JwsError::Key)?;
        document.verify(key)
    }
}

/// Judges the key that a store says is the merchant's. `vouches` are believed only as far as the pinned key's
/// signature reaches; `former` are the keys that signed them. With the words of a key that the user was `told` by the
/// merchant itself, that key is believed and no other, whether or not the pinned one vouches for it.
///
/// # Errors
/// [`ClientError::MerchantChanged`]; [`ClientError::KeyNotAsTold`].
pub(crate) fn judge(
    state: &StateDir,
    store: &Origin,
    name: &MerchantName,
    key: &PublicKey,
    former: &[PublicKey],
    vouches: &[String],
    told: Option<&str>,
) -> Result<JudgedMerchant, ClientError> {
    let before = read(state, store, name)?;
    let found = key.thumbprint();
    if !told.is_none_or(|told| found.is_said_as(told)) {
        return Err(ClientError::KeyNotAsTold { whose: name.to_string(), found });
    }
    let Some(pinned) = &before else {
        let keys = MerchantKeys::new(name, key, former, vouches);
        return Ok(JudgedMerchant { standing: Standing::New, keys, before });
    };
    let mut keys = pinned.clone();
    for compact in vouches.iter().take(MAX_VOUCHES) {
        let Some(last) = keys.last() else { break };
        let vouch = Unverified::<MerchantVouch>::parse(compact).and_then(|vouch| vouch.verify(last));
        if let Ok(vouch) = vouch.map(Verified::into_document)
            && vouch.merchant == *name
            && vouch.seq > keys.seq
        {
            keys.seq = vouch.seq;
            keys.keys.push(vouch.jwk);
        }
    }
    let standing = match keys.last() {
        Some(last) if last == key => {
            if keys == *pinned {
                Standing::Known
            } else {
                Standing::Vouched
            }
        }
        // It stands beside those that were pinned: what they signed stays good.
        _ if told.is_some() => {
            keys = pinned.clone();
            keys.keys.push(key.clone());
            keys.seq = u64::try_from(vouches.len()).unwrap_or(u64::MAX);
            Standing::Accepted
        }
        last => return Err(changed(name, last.unwrap_or(key), key)),
    };
    Ok(JudgedMerchant { standing, keys, before })
}

/// Pins what was judged. Between judging and here somebody may have been asked, and another process may have followed
/// the merchant to another key, which nothing but that key's own word takes back.
///
/// # Errors
/// [`ClientError::MerchantChanged`]; [`ClientError::MerchantNew`] if the pin is gone.
pub(crate) async fn remember(
    state: &Arc<StateDir>,
    store: &Origin,
    name: &MerchantName,
    judged: &JudgedMerchant,
) -> Result<(), ClientError> {
    let _lock = state.lock().await?;
    let JudgedMerchant { keys, before, .. } = judged;
    let Some(key) = keys.last() else { return Err(StateError::damaged(&state.path(&record(store, name))).into()) };
    match read(state, store, name)? {
        now if now == *before => Ok(write(state, store, name, keys)?),
        Some(now) => match now.last() {
            Some(last) if last != key => Err(changed(name, last, key)),
            _ => Ok(()),
        },
        None => Err(ClientError::MerchantNew { merchant: name.clone(), found: key.thumbprint() }),
    }
}

fn write(state: &StateDir, store: &Origin, name: &MerchantName, keys: &MerchantKeys) -> Result<(), StateError> {
    let record = record(store, name);
    let bytes = serde_json::to_vec(keys).map_err(|_| StateError::damaged(&state.path(&record)))?;
    state.write(&record, &bytes)
}

fn changed(merchant: &MerchantName, pinned: &PublicKey, found: &PublicKey) -> ClientError {
    let (pinned, found) = (pinned.thumbprint(), found.thumbprint());
    ClientError::MerchantChanged { merchant: merchant.clone(), pinned, found }
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

    /// A terminal that has pinned these keys of a merchant.
    struct Pinned {
        _folder: tempfile::TempDir,
        state: Arc<StateDir>,
        store: Origin,
        name: MerchantName,
    }

    impl Pinned {
        fn new(pins: &[&SecretKey], seq: u64) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let state = Arc::new(StateDir::open(folder.path()).expect("a folder of state"));
            let (store, name) = ("https://store.example".parse().expect("an origin"), "games".parse().expect("a name"));
            if !pins.is_empty() {
                let keys = pins.iter().map(|key| key.public().clone()).collect();
                write(&state, &store, &name, &MerchantKeys { keys, seq }).expect("pinned");
            }
            Self { _folder: folder, state, store, name }
        }

        /// Judges a key that the store names.
        fn judged(
            &self,
            key: &SecretKey,
            vouches: &[String],
            told: Option<&str>,
        ) -> Result<JudgedMerchant, ClientError> {
            judge(&self.state, &self.store, &self.name, key.public(), &[], vouches, told)
        }

        async fn remember(&self, judged: &JudgedMerchant) -> Result<(), ClientError> {
            remember(&self.state, &self.store, &self.name, judged).await
        }

        fn keys(&self) -> Vec<PublicKey> {
            read(&self.state, &self.store, &self.name).expect("read").expect("pinned").keys
        }
    }

    fn words(key: &SecretKey) -> String {
        key.public().thumbprint().words()
    }

    #[tokio::test]
    async fn a_key_that_its_user_compared_stands_beside_those_that_were_pinned() {
        let keys = [(); 3].map(|()| SecretKey::generate(&mut random::system()));
        let [old, new, thief] = &keys;
        let pins = Pinned::new(&[old], 3);
        assert!(matches!(pins.judged(new, &[], None), Err(ClientError::MerchantChanged { .. })), "the store's word");
        let judged = pins.judged(new, &[], Some(&words(new))).expect("accepted");
        assert_eq!(judged.standing, Standing::Accepted);
        pins.remember(&judged).await.expect("pinned");
        let judged = pins.judged(new, &[], None).expect("the control");
        assert_eq!(judged.standing, Standing::Known);
        assert_eq!(judged.keys.keys, [old.public().clone(), new.public().clone()]);
        assert!(matches!(pins.judged(thief, &[], None), Err(ClientError::MerchantChanged { .. })));
        let back = pins.judged(old, &[], None);
        assert!(matches!(back, Err(ClientError::MerchantChanged { .. })), "the old one does not come back");
        // The new key's own vouches are followed from their first one on.
        let next = vouch(new, thief, "games", 1);
        assert_eq!(pins.judged(thief, &[next], None).expect("vouched").standing, Standing::Vouched);
    }

    /// Whoever passes the words of a key wants them compared, however the key stands here.
    #[test]
    fn words_that_were_told_are_compared_with_every_key() {
        let keys = [(); 3].map(|()| SecretKey::generate(&mut random::system()));
        let [key, next, of_store] = &keys;
        let vouches = [vouch(key, next, "games", 1)];
        for (pins, found, vouches, standing) in [
            (&[][..], key, &[][..], Standing::New),
            (&[key][..], key, &[][..], Standing::Known),
            (&[key][..], next, &vouches[..], Standing::Vouched),
            (&[of_store][..], key, &[][..], Standing::Accepted),
        ] {
            let pins = Pinned::new(pins, 0);
            assert_eq!(pins.judged(found, vouches, Some(&words(found))).expect("the control").standing, standing);
            for told in [&words(of_store), "", "other words"] {
                let error = pins.judged(found, vouches, Some(told)).expect_err("other words");
                let ClientError::KeyNotAsTold { found: named, .. } = error else { panic!("{standing:?}: {error}") };
                assert_eq!(named, found.public().thumbprint(), "{standing:?}");
            }
        }
    }

    /// Two processes: while the user thinks about what one shows him, he accepts another key in the other.
    #[tokio::test]
    async fn a_yes_that_comes_late_takes_no_key_back() {
        let keys = [(); 3].map(|()| SecretKey::generate(&mut random::system()));
        let [stolen, new, third] = &keys;
        let pins = Pinned::new(&[stolen], 0);
        let shown = pins.judged(stolen, &[], None).expect("judged");
        let accepted = pins.judged(new, &[], Some(&words(new))).expect("accepted");
        pins.remember(&accepted).await.expect("pinned");
        let both = [stolen.public().clone(), new.public().clone()];
        let late = pins.remember(&shown).await.expect_err("late");
        let ClientError::MerchantChanged { pinned, found, .. } = late else { panic!("{late}") };
        assert_eq!((pinned, found), (new.public().thumbprint(), stolen.public().thumbprint()));
        assert_eq!(pins.keys(), both, "the stolen key is not the one in use again");
        // Nor does a vouch of the key that was given up, or a pin that is gone.
        let pins = Pinned::new(&[stolen], 0);
        let led = pins.judged(third, &[vouch(stolen, third, "games", 1)], None).expect("vouched");
        let accepted = pins.judged(new, &[], Some(&words(new))).expect("accepted");
        pins.remember(&accepted).await.expect("pinned");
        assert!(matches!(pins.remember(&led).await, Err(ClientError::MerchantChanged { .. })));
        assert_eq!(pins.keys(), both);
        pins.state.remove(&record(&pins.store, &pins.name)).expect("removed");
        assert!(matches!(pins.remember(&led).await, Err(ClientError::MerchantNew { .. })));
        // The control: two at once who find the same, met for the first time.
        let pins = Pinned::new(&[], 0);
        let (one, two) = (pins.judged(new, &[], None).expect("new"), pins.judged(new, &[], None).expect("new"));
        pins.remember(&one).await.expect("pinned");
        pins.remember(&two).await.expect("the same key");
        assert_eq!(pins.keys(), [new.public().clone()]);
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
