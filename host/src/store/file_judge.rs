//! Sealed files that came from no store: mailed, copied, fetched by other means. Before a store is asked to grant
//! anything for one, it is judged as a stream of it would be, as far as this terminal has met its publisher.

use crate::client_error::ClientError;
use crate::server::session::Sessions;
use crate::store::publisher_pin::{self, Standing};
use crate::store::replacement;
use crate::store::storefront::{self, Listing};
use crate::store::taken_from::TakenFrom;
use parking_lot::Mutex;
use portcullis_protocol::{Digest, Origin, SignedManifest};
use std::collections::HashSet;
use std::sync::Arc;

/// Judges files. Clones are one.
#[derive(Clone)]
pub(crate) struct FileJudge {
    sessions: Arc<Sessions>,
    taken_from: TakenFrom,
    /// What this process has found to be right, each at the store that sells it.
    judged: Arc<Mutex<HashSet<(Digest, Origin)>>>,
}

impl FileJudge {
    pub(crate) fn new(sessions: Arc<Sessions>, taken_from: TakenFrom) -> Self {
        Self { sessions, taken_from, judged: Arc::default() }
    }

    /// Judges a resource before `seller` is asked for it: the key that is believed for its publisher there stands for
    /// it, and nothing newer was used here. What was installed or streamed was judged then. Of a publisher who is not
    /// pinned at that store nothing is known, and nothing is judged.
    ///
    /// If the catalogue cannot be read, the pinned key alone decides.
    ///
    /// # Errors
    /// [`ClientError::PublisherChanged`], [`ClientError::Rollback`], [`ClientError::VersionReused`],
    /// [`ClientError::State`].
    pub(crate) async fn judge(&self, signed: &SignedManifest, seller: &Origin) -> Result<(), ClientError> {
        let file = (signed.digest(), seller.clone());
        if self.taken_from.is_from_a_store(signed) || self.judged.lock().contains(&file) {
            return Ok(());
        }
        let (sessions, manifest) = (&self.sessions, signed.manifest());
        let (state, publisher) = (&sessions.state, &manifest.publisher.name);
        if publisher_pin::at(state, seller, publisher)?.is_none() {
            return Ok(());
        }
        let listing = storefront::find(sessions, seller, publisher, &manifest.name).await.ok().flatten();
        let said = listing.as_ref().map(Listing::of_publisher).unwrap_or_default();
        let judged = publisher_pin::judge(state, seller, signed, said, None)?;
        let _lock = state.lock().await?;
        replacement::judge(state, seller, signed, judged.standing, false)?;
        let pin = judged.confirm(state)?;
        // Once followed, a publisher is not left again for a key before, whatever the store says next time.
        if judged.standing == Standing::Vouched {
            pin.remember(state)?;
        }
        self.judged.lock().insert(file);
        Ok(())
    }
}
