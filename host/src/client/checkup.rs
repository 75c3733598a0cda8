//! What a terminal can find out about itself when something does not work. Looking changes nothing but what every use
//! changes: the newest key document of a server is remembered.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::server::session::Sessions;
use crate::server::terminal::Terminal;
use crate::server::tokens::Tokens;
use crate::server::trust::Pin;
use crate::state::clock::COUNTS_SUSPEND;
use crate::state::folder::StateError;
use crate::state::journal::{Journal, PendingEntry, PendingRequestKind};
use crate::state::key_store::KeyStoreError;
use crate::state::temp_file::TempFile;
use portcullis_protocol::paths;
use portcullis_protocol::wire::AccountAnswer;
use portcullis_protocol::{KeyDocument, Origin, Reason};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files and folders that are looked at: no terminal has so many, and a home that is `/` by mistake has.
const MAX_ENTRIES: usize = 20_000;

/// A state directory as it lies on the disk, before anything opens it: opening repairs some of it, and makes it where
/// there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateCheckup {
    /// Whether there is one.
    pub exists: bool,
    /// What others than its owner can reach.
    pub exposed: Vec<Exposed>,
    /// What cannot be read or written, and what the operating system says.
    pub unusable: Vec<(PathBuf, String)>,
    /// Whether something is sealed under a key that is gone.
    pub key_lost: bool,
    /// More entries than a terminal has: not all were looked at.
    pub too_many: bool,
}

/// A file or folder with a wider mode than the terminal gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Which.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Those that it should have: 0700 for a folder, 0600 for a file.
    pub wanted: u32,
}

impl StateCheckup {
    /// Looks at the directory `root` and what is below it. Opens no secret.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let mut found = Self { exists: root.is_dir(), ..Self::default() };
        if !found.exists {
            if let Ok(data) = fs::metadata(root) {
                found.unusable.push((root.to_owned(), format!("it is not a folder but {:?}", data.file_type())));
            }
            return found;
        }
        let mut folders = vec![root.to_owned()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            found.look_at(&folder, true);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    found.unusable.push((folder, error.to_string()));
                    continue;
                }
            };
            for entry in entries.flatten() {
                seen += 1;
                if seen > MAX_ENTRIES {
                    found.too_many = true;
                    return found;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => found.look_at(&entry.path(), false),
                    _ => {}
                }
            }
        }
        // Made and gone again.
        if let Err(error) = TempFile::new(root) {
            found.unusable.push((root.to_owned(), error.to_string()));
        }
        let journal = fs::read_dir(root.join("journal")).is_ok_and(|mut entries| entries.next().is_some());
        found.key_lost = journal && !root.join("keys/state").exists();
        found
    }

    fn look_at(&mut self, path: &Path, folder: bool) {
        if !folder && let Err(error) = fs::File::open(path) {
            self.unusable.push((path.to_owned(), error.to_string()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::symlink_metadata(path).map_or(0, |data| data.permissions().mode()) & 0o777;
            if mode & 0o077 != 0 {
                let wanted = if folder { 0o700 } else { 0o600 };
                self.exposed.push(Exposed { path: path.to_owned(), mode, wanted });
            }
        }
    }
}

/// What the journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalCheckup {
    /// What is open: at which server, and since when (Unix seconds).
    pub open: Vec<(PendingRequestKind, Origin, u64)>,
    /// Records that this terminal's state key does not open.
    pub unreadable: Vec<PathBuf>,
}

/// The machine's clock and that of a billing server, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockCheckup {
    /// The machine's.
    pub machine: u64,
    /// The server's, if it gave a signed answer to this very process.
    pub server: Option<u64>,
    /// The last that it gave earlier; 0 if it gave none.
    pub last_heard: u64,
    /// Whether the clock that measures grants goes on while the machine sleeps.
    pub counts_suspend: bool,
}

/// How a trusted server stands with this terminal.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerCheckup {
    /// Its keys as it gives them now; or why it could not be asked, or not be believed.
    pub keys: Result<Arc<KeyDocument>, Refused>,
    /// Whether this terminal has its own keys for that server.
    pub terminal: Result<bool, KeyStoreError>,
    /// Whether somebody is signed in, as far as this terminal knows.
    pub signed_in: Result<bool, KeyStoreError>,
    /// What the server says of the account, if somebody is signed in: a signed answer, so tokens, terminal and server
    /// keys are all good. Also what it said earlier if it has revoked this terminal.
    pub account: Option<Result<AccountAnswer, ClientError>>,
}

impl ServerCheckup {
    /// Asks the server.
    pub(crate) async fn of(sessions: &Arc<Sessions>, pin: &Pin) -> Self {
        let origin = &pin.origin;
        let terminal = Terminal::load(&*sessions.keys, origin).map(|terminal| terminal.is_some());
        let signed_in = Tokens::exist(&*sessions.keys, origin);
        // First, because a signed answer sets the clock by which the key document is judged.
        let account = match sessions.of(origin) {
            Ok(session) if matches!((&terminal, &signed_in), (Ok(true), Ok(true))) => {
                Some(session.get(paths::ACCOUNT).await.map_err(ClientError::from))
            }
            Err(refused) if refused.reason == Reason::TerminalRevoked => Some(Err(refused.into())),
            _ => None,
        };
        let keys = sessions.trust.refresh(origin).await;
        Self { keys, terminal, signed_in, account }
    }
}

/// Reads the clocks.
pub(crate) fn clocks(sessions: &Sessions, server: &Origin) -> ClockCheckup {
    let machine = sessions.clocks.machine().now();
    let (server, last_heard) = sessions.clocks.of(server).heard();
    ClockCheckup { machine, server, last_heard, counts_suspend: COUNTS_SUSPEND }
}

/// Reads the journal.
pub(crate) fn journal(journal: &Journal) -> Result<JournalCheckup, StateError> {
    let mut found = JournalCheckup::default();
    for (path, open) in journal.survey()? {
        match open {
            Some(PendingEntry { kind, origin, at }) => found.open.push((kind, origin, at)),
            None => found.unreadable.push(path),
        }
    }
    Ok(found)
}
