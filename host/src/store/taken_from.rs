//! The store that each resource was taken from: there it is paid for, whoever else sells it.

use crate::state::folder::StateDir;
use crate::store::installed::{self, Installed};
use parking_lot::Mutex;
use portcullis_protocol::{Digest, Origin, SignedManifest};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Remembers the stores of this process's resources; those of installed ones stand in their records. Clones are one.
#[derive(Clone)]
pub(crate) struct TakenFrom {
    state: Arc<StateDir>,
    chosen: Arc<Mutex<HashMap<Digest, Origin>>>,
    /// What was installed when it was looked up: whoever opened it then goes on with it after an update.
    looked_up: Arc<Mutex<HashSet<Digest>>>,
}

impl TakenFrom {
    pub(crate) fn new(state: Arc<StateDir>) -> Self {
        Self { state, chosen: Arc::default(), looked_up: Arc::default() }
    }

    /// A resource is taken from this store from now on.
    pub(crate) fn choose(&self, resource: Digest, store: &Origin) {
        self.chosen.lock().insert(resource, store.clone());
    }

    /// The store that a resource was taken from, in this process or when it was installed; `None` if from none.
    pub(crate) fn store_of(&self, resource: &SignedManifest) -> Option<Origin> {
        let chosen = self.chosen.lock().get(&resource.digest()).cloned();
        chosen.or_else(|| installed::taken_from(&self.state, resource))
    }

    /// An installed resource was looked up in this process.
    pub(crate) fn look_up(&self, installed: &Installed) {
        self.looked_up.lock().insert(installed.digest);
    }

    /// Whether a resource was installed or streamed, and judged when it was; if not, it is a file from elsewhere.
    pub(crate) fn is_from_a_store(&self, resource: &SignedManifest) -> bool {
        self.looked_up.lock().contains(&resource.digest()) || self.store_of(resource).is_some()
    }
}
