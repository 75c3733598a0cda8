//! Electronic codes on this terminal, and the keys that open them. Sealed; written to the disk before they are relied
//! on.
//!
//! ```text
//! codes/<origin>/<recipient>.key    before the order goes out: the secret half of its key, and what is ordered
//! codes/<origin>/<order>.terms      once the order is answered, or before a key that is wanted goes out: its terms
//! codes/<origin>/<order>.codes      before the code is acknowledged: the code. The key goes then
//! codes/<origin>/<order>.shown      once it was shown and removed: what is delivered again is not opened again
//! ```

use crate::random;
use crate::state::folder::{StateDir, StateError, file_name, off_thread};
use crate::state::journal::Journal;
use crate::state::sealing_key::StateKey;
use portcullis_protocol::codes::{Codes, Quantity};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::labels::TERMINAL_CODES;
use portcullis_protocol::{Digest, Money, OrderId, Origin, ReleaseSecretKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

const FOLDER: &str = "codes";
/// The codes of one order, sealed, with room.
const MAX_RECORD: u64 = 64 * 1024;

/// What was ordered under a key: what is delivered has to fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderTerms {
    pub(crate) product: Digest,
    pub(crate) quantity: Quantity,
    pub(crate) amount: Money,
}

/// The key of an order, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    secret: Octets<32>,
    terms: OrderTerms,
}

/// What an order is for, whatever is said of it later; and the key that this terminal made because it was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoundOrder {
    pub(crate) terms: OrderTerms,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<Octets<32>>,
}

/// The codes of a terminal.
#[derive(Clone)]
pub(crate) struct CodeVault {
    state: Arc<StateDir>,
    key: StateKey,
    origin: Origin,
}

impl CodeVault {
    /// Those of one server, beside the journal.
    pub(crate) fn of(journal: &Journal, origin: &Origin) -> Self {
        let (state, key) = journal.parts();
        Self { state, key, origin: origin.clone() }
    }

    /// Makes a key for an order of these terms. When this returns, it outlives a crash.
    pub(crate) async fn make_key(&self, terms: OrderTerms) -> Result<Octets<32>, StateError> {
        let vault = self.clone();
        off_thread(move || {
            let key = ReleaseSecretKey::generate(&mut random::system());
            let recipient = Octets(*key.public().as_bytes());
            let stored = StoredKey { secret: Octets(*key.to_bytes()), terms };
            let name = format!("{recipient}.key");
            let plain = serde_json::to_vec(&stored).map_err(|_| vault.damaged(&name))?;
            vault.write(&name, &Zeroizing::new(plain))?;
            Ok(recipient)
        })
        .await?
    }

    /// The key of an order, and what was ordered under it.
    pub(crate) fn key(&self, recipient: &Octets<32>) -> Result<Option<(ReleaseSecretKey, OrderTerms)>, StateError> {
        let name = format!("{recipient}.key");
        let Some(plain) = self.read(&name)? else { return Ok(None) };
        let stored: StoredKey = serde_json::from_slice(&plain).map_err(|_| self.damaged(&name))?;
        Ok(Some((ReleaseSecretKey::from_bytes(stored.secret.0), stored.terms)))
    }

    /// Keeps what an order is for. When this returns, it outlives a crash.
    pub(crate) async fn bind(&self, order: OrderId, bound: BoundOrder) -> Result<(), StateError> {
        let vault = self.clone();
        off_thread(move || {
            let name = format!("{order}.terms");
            let plain = serde_json::to_vec(&bound).map_err(|_| vault.damaged(&name))?;
            vault.write(&name, &plain)
        })
        .await?
    }

    /// What an order is for, if this terminal has ordered it or made a key for it.
    pub(crate) fn bound(&self, order: &OrderId) -> Result<Option<BoundOrder>, StateError> {
        let name = format!("{order}.terms");
        let Some(plain) = self.read(&name)? else { return Ok(None) };
        serde_json::from_slice(&plain).map(Some).map_err(|_| self.damaged(&name))
    }

    /// Stores the codes of an order, and removes the key that opened them. When this returns, they outlive a crash.
    pub(crate) async fn store(&self, order: OrderId, recipient: Octets<32>, codes: &Codes) -> Result<(), StateError> {
        let (vault, text) = (self.clone(), codes.to_json());
        off_thread(move || {
            vault.write(&format!("{order}.codes"), &text)?;
            vault.remove(&format!("{recipient}.key"))
        })
        .await?
    }

    /// Whether the codes of an order were shown for the last time.
    pub(crate) fn was_shown(&self, order: &OrderId) -> Result<bool, StateError> {
        let shown = self.read(&format!("{order}.shown"))?.is_some();
        if shown {
            // Left by whoever was killed while forgetting them.
            self.remove(&format!("{order}.codes"))?;
        }
        Ok(shown)
    }

    /// The codes of an order, if they are here.
    pub(crate) fn codes(&self, order: &OrderId) -> Result<Option<Codes>, StateError> {
        if self.was_shown(order)? {
            return Ok(None);
        }
        let name = format!("{order}.codes");
        let Some(plain) = self.read(&name)? else { return Ok(None) };
        Codes::from_json(&plain).map(Some).map_err(|_| self.damaged(&name))
    }

    /// Forgets the codes of an order for good: also those that are delivered again.
    pub(crate) fn forget(&self, order: &OrderId) -> Result<(), StateError> {
        self.write(&format!("{order}.shown"), &[])?;
        self.remove(&format!("{order}.codes"))
    }

    fn remove(&self, name: &str) -> Result<(), StateError> {
        self.state.remove(&self.path(name))
    }

    fn path(&self, name: &str) -> String {
        format!("{FOLDER}/{}/{name}", file_name(&self.origin))
    }

    fn damaged(&self, name: &str) -> StateError {
        StateError::damaged(&self.state.path(&self.path(name)))
    }

    fn write(&self, name: &str, plain: &[u8]) -> Result<(), StateError> {
        let path = self.path(name);
        self.state.write(&path, &self.key.seal(TERMINAL_CODES, &path, plain))
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        let path = self.path(name);
        let Some(sealed) = self.state.read(&path, MAX_RECORD)? else { return Ok(None) };
        self.key.open(TERMINAL_CODES, &path, &sealed).map(Some).ok_or_else(|| self.damaged(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// Killed between the two steps of forgetting: the codes go with the next look.
    #[test]
    fn codes_that_were_shown_for_the_last_time_do_not_stay() {
        let home = tempfile::tempdir().expect("home");
        let state = Arc::new(StateDir::open(home.path()).expect("opened"));
        let key = StateKey::from_bytes(Zeroizing::new([7; 32]));
        let vault = CodeVault { state, key, origin: "https://store.example".parse().expect("an origin") };
        let order = OrderId::from_bytes([3; 16]);
        let name = format!("{order}.codes");
        let file = vault.state.path(&vault.path(&name));
        for asks in [
            |vault: &CodeVault, order: &OrderId| vault.codes(order).expect("read").is_none(),
            CodeVault::is_over as fn(&CodeVault, &OrderId) -> bool,
        ] {
            vault.write(&name, b"[]").expect("written");
            vault.write(&format!("{order}.shown"), &[]).expect("written");
            assert!(file.exists() && asks(&vault, &order));
            assert!(!file.exists(), "they are gone");
        }
    }

    impl CodeVault {
        fn is_over(&self, order: &OrderId) -> bool {
            self.was_shown(order).expect("read")
        }
    }
}
