//! What is kept between runs, and how much: compiled code, and streams.

use portcullis_host::Client;
use portcullis_protocol::text::counted;

use super::Finding;
use crate::screen::output::size;
use crate::screen::shell::quoted;

const AREA: &str = "cache";

/// Without it everything works, and starts slowly.
pub(super) fn examine(client: &Client) -> [Finding; 2] {
    [code(client), streams(client)]
}

fn streams(client: &Client) -> Finding {
    match client.library().streams() {
        Ok(kept) => Finding::ok(AREA, "streams", format!("{}, {}", counted(kept.count, "stream"), size(kept.bytes))),
        Err(error) => {
            let what = format!("what is streamed cannot be kept, so every run fetches it again: {error}");
            let mend = format!("rm -r {}", quoted(client.state_dir().path("streams").display()));
            Finding::warning(AREA, "streams", what, mend)
        }
    }
}

fn code(client: &Client) -> Finding {
    match client.cache().list() {
        Ok(kept) => {
            let bytes = kept.iter().map(|code| code.size).sum();
            let what = format!("{} of compiled code, {}", counted(kept.len(), "piece"), size(bytes));
            Finding::ok(AREA, "size", what)
        }
        Err(error) => {
            let what = format!("compiled code cannot be kept, so every start compiles: {error}");
            let mend = format!("rm -r {}", quoted(client.state_dir().path("cache").display()));
            Finding::warning(AREA, "size", what, mend)
        }
    }
}
