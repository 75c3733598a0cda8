//! What is being streamed in this process, so that the same file read twice at once is fetched once.

use crate::store::range_reader::RangeReader;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The files, by the name under which each is kept. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct OpenStreams(Arc<Mutex<HashMap<String, Weak<RangeReader>>>>);

impl OpenStreams {
    /// The file of this name, if it is being streamed.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<RangeReader>> {
        self.0.lock().get(name)?.upgrade()
    }

    /// Adds a file, and forgets those that nobody reads any more.
    pub(crate) fn insert(&self, name: String, remote: &Arc<RangeReader>) {
        let mut streams = self.0.lock();
        streams.retain(|_, remote| remote.strong_count() > 0);
        streams.insert(name, Arc::downgrade(remote));
    }
}
