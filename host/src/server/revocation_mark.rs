//! That this terminal was revoked at a server. Its keys are gone by then, and without this mark it would look like a
//! terminal on which nobody has ever signed in.

use crate::state::folder::{StateDir, StateError, file_name};
use portcullis_protocol::Origin;

/// Kept from the server's signed word until somebody signs in there again, or the server is forgotten.
pub(crate) fn keep(state: &StateDir, origin: &Origin) -> Result<(), StateError> {
    state.write(&record(origin), b"")
}

/// Whether it is kept.
pub(crate) fn is_kept(state: &StateDir, origin: &Origin) -> Result<bool, StateError> {
    Ok(state.read(&record(origin), 0)?.is_some())
}

/// There is a new terminal, or none is wanted.
pub(crate) fn remove(state: &StateDir, origin: &Origin) -> Result<(), StateError> {
    state.remove(&record(origin))
}

fn record(origin: &Origin) -> String {
    format!("servers/{}/revoked", file_name(origin))
}
