//! `portcullis cache`: what is kept between runs: compiled code, and what has arrived of resources that were streamed.

use clap::{Args, ValueEnum};
use portcullis_host::{CachedCode, SealedBlobs as _};
use portcullis_protocol::text::counted;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::context::Context;
use crate::failure::{OrFail as _, Outcome};
use crate::screen::output::{Report, date, size, style};
use crate::screen::table::Table;

/// Show what is kept between runs, compiled code and streams, or clear it
#[derive(Debug, Args)]
#[command(after_help = "Compiled code is sealed, and opens only on this machine and with a grant in force. \
    PORTCULLIS_CACHE_SIZE says how much is kept at most: 512M unless set, 0 for none. Of resources that `run` \
    streamed it keeps what has arrived, as ciphertext.")]
pub(crate) struct Cache {
    /// What to do
    action: Option<Action>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Forget all of it; the next runs compile again, the next streams fetch again
    Clear,
}

#[derive(Serialize)]
struct State {
    folder: PathBuf,
    pieces: usize,
    bytes: u64,
    most: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<usize>,
    streams: Streams,
}

/// What has arrived of resources that are not installed.
#[derive(Serialize)]
struct Streams {
    folder: PathBuf,
    count: usize,
    bytes: u64,
    most: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<usize>,
}

/// A piece of compiled code, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct CodeLine {
    name: String,
    version: String,
    part: String,
    digest: String,
    bytes: u64,
    used: u64,
}

impl From<&CachedCode> for CodeLine {
    fn from(code: &CachedCode) -> Self {
        Self {
            name: format!("{}/{}", code.publisher, code.name),
            version: code.version.to_string(),
            part: code.part.to_string(),
            digest: code.resource.to_string(),
            bytes: code.size,
            used: seconds(code.used),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl CodeLine {
    /// All of them.
    pub(crate) fn table(lines: &[Self]) -> Table {
        let mut table = Table::new(&["name", "version", "part", "size", "last used"]);
        for line in lines {
            table.row([line.name.clone(), line.version.clone(), line.part.clone(), size(line.bytes), date(line.used)]);
        }
        table
    }
}

impl Cache {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let blobs = context.blobs()?;
        let failing = || format!("read `{}`", blobs.path().display());
        let client = context.client()?;
        let fix = "see that it belongs to you, or delete it";
        let (removed, removed_streams) = match self.action {
            Some(Action::Clear) => {
                (Some(client.cache().clear().or_fail(failing(), fix)?), Some(client.library().clear_streams()?))
            }
            None => (None, None),
        };
        let (kept, streams) = (blobs.list().or_fail(failing(), fix)?, client.library().streams()?);
        context.screen.report(&State {
            folder: blobs.path().to_owned(),
            pieces: kept.len(),
            bytes: kept.iter().map(|blob| blob.size).sum(),
            most: blobs.most(),
            removed,
            streams: Streams {
                folder: client.state_dir().path("streams"),
                count: streams.count,
                bytes: streams.bytes,
                most: streams.most,
                removed: removed_streams,
            },
        });
        Ok(())
    }
}

impl Report for State {
    fn text(&self) -> String {
        let (good, dim) = (style::GOOD, style::DIM);
        let folder = self.folder.display();
        if let Some(removed) = self.removed {
            return format!(
                "{good}cleared{good:#} {} of compiled code {dim}in {folder}{dim:#}\n\
                 {good}cleared{good:#} {} {dim}in {}{dim:#}\n",
                counted(removed, "piece"),
                counted(self.streams.removed.unwrap_or_default(), "stream"),
                self.streams.folder.display()
            );
        }
        let most = match self.most {
            0 => "none is kept: PORTCULLIS_CACHE_SIZE is 0".to_owned(),
            most => format!("at most {} are kept", size(most)),
        };
        format!(
            "{} of compiled code, {}; {most}  {dim}{folder}{dim:#}\n\
             {}, {}; at most {} are kept  {dim}{}{dim:#}\n",
            counted(self.pieces, "piece"),
            size(self.bytes),
            counted(self.streams.count, "stream"),
            size(self.streams.bytes),
            size(self.streams.most),
            self.streams.folder.display()
        )
    }
}
