//! Ephemeral keys of key releases, made before they are needed: half of what a release costs is done when nobody waits.
//!
//! A key is handed out once, and used up by the release that it is for. Those that wait are in memory alone, and are
//! overwritten when the process lets go of them.

use crate::crypto::secrets::rng;
use parking_lot::Mutex;
use portcullis_protocol::release::Ephemeral;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// Keys that wait, at most: for two groups of commits. More would only lie about.
const MOST: usize = 128;
/// With fewer than these more are made.
const LOW: usize = MOST / 2;

/// Keys that wait. When there are none, they are made as they are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ephemerals(Arc<Pool>);

#[derive(Debug, Default)]
struct Pool {
    ready: Mutex<Vec<Ephemeral>>,
    filling: AtomicBool,
}

impl Ephemerals {
    /// A key that nobody had before.
    pub(crate) fn take(&self) -> Ephemeral {
        let (taken, left) = {
            let mut ready = self.0.ready.lock();
            (ready.pop(), ready.len())
        };
        if left < LOW {
            self.fill();
        }
        taken.unwrap_or_else(|| Ephemeral::generate(&mut rng()))
    }

    /// Has more made, once at a time, on a thread that answers nobody.
    fn fill(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.0.filling.swap(true, Ordering::AcqRel) {
            let pool = Arc::clone(&self.0);
            runtime.spawn_blocking(move || pool.fill());
        }
    }
}

impl Pool {
    fn fill(&self) {
        loop {
            while self.ready.lock().len() < MOST {
                let made = Ephemeral::generate(&mut rng());
                self.ready.lock().push(made);
            }
            self.filling.store(false, Ordering::Release);
            // Whoever took some just now may have seen that more were being made.
            if self.ready.lock().len() >= LOW || self.filling.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::age::FileKey;
    use portcullis_protocol::{KeyRelease, ReleaseSecretKey};
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    /// What travels of an ephemeral key: its public half.
    fn public(release: &KeyRelease) -> String {
        serde_json::to_value(release).expect("JSON")["enc"].as_str().expect("a key").to_owned()
    }

    async fn filled(keys: &Ephemerals) {
        let begun = Instant::now();
        while keys.0.filling.load(Ordering::Acquire) || keys.0.ready.lock().len() < LOW {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing was made");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn no_key_is_handed_out_twice_and_more_are_made() {
        let (keys, terminal) = (Ephemerals::default(), ReleaseSecretKey::generate(&mut rng()));
        let file_key = FileKey::generate(&mut rng());
        let mut seen = HashSet::new();
        for round in 0..3 {
            // The first round begins with none.
            if round > 0 {
                filled(&keys).await;
            }
            for _ in 0..MOST + 10 {
                let release = keys.take().seal(&terminal.public(), "grant", &[("full", &file_key)]).expect("sealed");
                assert!(seen.insert(public(&release)), "a key was handed out twice");
                let opened = portcullis_protocol::release::open(&terminal, "grant", &release).expect("opened");
                assert_eq!(opened, [("full".to_owned(), file_key.clone())]);
            }
        }
        assert_eq!(seen.len(), 3 * (MOST + 10));
    }

    #[test]
    fn outside_a_runtime_keys_are_made_as_they_are_asked_for() {
        let keys = Ephemerals::default();
        let (one, other) = (keys.take(), keys.take());
        assert!(keys.0.ready.lock().is_empty());
        drop((one, other));
    }
}
