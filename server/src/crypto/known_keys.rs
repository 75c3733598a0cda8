//! Public keys that were parsed: those of terminals that proved themselves lately. To find the point of a curve that 32
//! bytes name costs as much as looking a thousand of them up.

use hashlink::LruCache;
use parking_lot::Mutex;
use portcullis_protocol::PublicKey;

/// Keys that are kept, at most: with about 300 bytes each, 2.5 MB. Those that nobody has used longest go first.
const MOST: usize = 8 * 1024;

/// Public keys by their bytes. Only a key that has just proved itself is taken up, so that nobody who has none can push
/// others out.
pub(crate) struct KnownKeys(Mutex<LruCache<[u8; 32], PublicKey>>);

impl Default for KnownKeys {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl KnownKeys {
    /// What these bytes were parsed into.
    pub(crate) fn find(&self, bytes: &[u8; 32]) -> Option<PublicKey> {
        self.0.lock().get(bytes).cloned()
    }

    /// Keeps the key of somebody who proved to have it.
    pub(crate) fn keep(&self, key: &PublicKey) {
        let bytes = key.to_bytes();
        let mut kept = self.0.lock();
        if !kept.contains_key(&bytes) {
            kept.insert(bytes, key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secrets::rng;
    use portcullis_protocol::SecretKey;

    #[test]
    fn keys_are_found_again_and_bounded() {
        let keys = KnownKeys(Mutex::new(LruCache::new(2)));
        let made: Vec<PublicKey> = (0..3).map(|_| SecretKey::generate(&mut rng()).public().clone()).collect();
        assert_eq!(keys.find(&made[0].to_bytes()), None);
        keys.keep(&made[0]);
        keys.keep(&made[1]);
        // The one that was used last stays.
        assert_eq!(keys.find(&made[0].to_bytes()).as_ref(), Some(&made[0]));
        keys.keep(&made[2]);
        assert_eq!(keys.find(&made[1].to_bytes()), None);
        assert_eq!(keys.find(&made[0].to_bytes()).as_ref(), Some(&made[0]));
        assert_eq!(keys.find(&made[2].to_bytes()).as_ref(), Some(&made[2]));
    }
}
