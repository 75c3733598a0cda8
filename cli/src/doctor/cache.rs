//! Compiled code between runs: how much is kept.

use portcullis_host::Client;

use super::{Finding, quoted};
use crate::output::size;

const AREA: &str = "cache";

/// What is kept. Without it everything works, and starts slowly.
pub(super) fn examine(client: &Client) -> Finding {
    match client.cache().list() {
        Ok(kept) => {
            let bytes = kept.iter().map(|code| code.size).sum();
            let what = format!("{} pieces of compiled code, {}", kept.len(), size(bytes));
            Finding::ok(AREA, "size", what)
        }
        Err(error) => {
            let what = format!("compiled code cannot be kept, so every start compiles: {error}");
            let mend = format!("rm -r {}", quoted(&client.state_dir().path("cache")));
            Finding::warning(AREA, "size", what, mend)
        }
    }
}
