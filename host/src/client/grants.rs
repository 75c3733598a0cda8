//! The grants that this terminal was given lately.

use crate::server::session::printable;
use crate::state::folder::{StateDir, StateError};
use portcullis_folders::private_file;
use portcullis_protocol::{Grant, GrantId, GrantLimits, OperationName, Origin, PublisherName, ResourceName, Version};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::Arc;

const RECORD: &str = "grants";
/// Grants that are remembered.
const KEPT: usize = 100;
/// What is read of the record, from its end: past half of it, all but the last grants are dropped. A line is about 400
/// bytes.
const MAX_RECORD: u64 = 1024 * 1024;
/// What the last grants may take. Lines are as long as stores make them; then it is fewer grants.
const MAX_KEPT: usize = 256 * 1024;

/// A grant, for people: what was granted, not the means to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GrantRecord {
    /// The billing server.
    pub server: Origin,
    /// Names the grant.
    pub grant: GrantId,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// The operation.
    pub operation: OperationName,
    /// The rights model under which it was given.
    pub model: String,
    /// What bounds it.
    pub limits: GrantLimits,
    /// When it was issued, Unix seconds of the server.
    pub issued: u64,
    /// Until when new calls may begin, Unix seconds of the server.
    pub expires: u64,
}

impl From<&Grant> for GrantRecord {
    fn from(grant: &Grant) -> Self {
        Self {
            server: grant.iss.clone(),
            grant: grant.jti,
            publisher: grant.publisher.clone(),
            name: grant.name.clone(),
            version: grant.version.clone(),
            operation: grant.operation.clone(),
            model: printable(grant.model.clone()),
            limits: grant.limits,
            issued: grant.iat,
            expires: grant.exp,
        }
    }
}

/// The record of grants, a line for each.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    state: Arc<StateDir>,
}

impl Grants {
    pub(crate) const fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }

    /// Adds a grant. Short appends of several processes do not mix.
    pub(crate) fn add(&self, grant: &Grant) -> Result<(), StateError> {
        self.put_down(&grant.into())
    }

    fn put_down(&self, grant: &GrantRecord) -> Result<(), StateError> {
        let path = self.state.path(RECORD);
        // A line that a killed process left unfinished takes no other with it.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, grant).map_err(|_| StateError::damaged(&path))?;
        line.push(b'\n');
        let added = || -> io::Result<u64> {
            let mut file = private_file().append(true).create(true).open(&path)?;
            file.write_all(&line)?;
            Ok(file.metadata()?.len())
        };
        let length = added().map_err(|error| StateError::io("write", &path, &error))?;
        if length > MAX_RECORD / 2 {
            // A line that another process adds just now may be lost: the record is for reading, nothing rests on it.
            let mut text = self.lines()?.join(&b'\n');
            text.push(b'\n');
            self.state.write_lazily(RECORD, &text)?;
        }
        Ok(())
    }

    /// The last grants, newest first. Lines that do not read are passed over.
    pub(crate) fn recent(&self) -> Result<Vec<GrantRecord>, StateError> {
        Ok(self.lines()?.iter().rev().filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// The last lines, oldest first. A record that is too long for whatever reason is read from where it is not.
    fn lines(&self) -> Result<Vec<Vec<u8>>, StateError> {
        let path = self.state.path(RECORD);
        let end = || -> io::Result<Vec<u8>> {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                file => file?,
            };
            let from = file.metadata()?.len().saturating_sub(MAX_RECORD);
            file.seek(io::SeekFrom::Start(from))?;
            let mut text = Vec::new();
            file.take(MAX_RECORD).read_to_end(&mut text)?;
            Ok(text)
        };
        let text = end().map_err(|error| StateError::io("read", &path, &error))?;
        let mut room = MAX_KEPT;
        let last = text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(KEPT);
        let fitting = last.take_while(|line| {
            let fits = line.len() <= room;
            room = room.saturating_sub(line.len());
            fits
        });
        let mut lines: Vec<Vec<u8>> = fitting.map(<[u8]>::to_vec).collect();
        lines.reverse();
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, model: &str) -> GrantRecord {
        GrantRecord {
            server: "https://store.example".parse().expect("an origin"),
            grant: GrantId::from_bytes([7; 16]),
            publisher: "lumen".parse().expect("a name"),
            name: name.parse().expect("a name"),
            version: Version::new(1, 0, 0),
            operation: "view".parse().expect("a name"),
            model: model.into(),
            limits: GrantLimits::default(),
            issued: 1,
            expires: 2,
        }
    }

    /// One store's long lines do not end the list of all stores.
    #[test]
    fn the_list_is_read_and_stays_small_whatever_a_store_puts_into_it() {
        let home = tempfile::tempdir().expect("home");
        let grants = Grants::new(Arc::new(StateDir::open(home.path()).expect("opened")));
        let path = home.path().join(RECORD);
        std::fs::write(&path, vec![b'x'; 3 << 20]).expect("written");
        assert_eq!(grants.recent().expect("read"), [], "a line that is none is passed over");
        for number in 0..300 {
            grants.put_down(&grant(&format!("lake-{number}"), &"m".repeat(40_000))).expect("added");
            let length = std::fs::metadata(&path).expect("a file").len();
            assert!(length <= MAX_RECORD, "{number}: {length}");
        }
        grants.put_down(&grant("sea", "perpetual")).expect("added");
        let recent = grants.recent().expect("read");
        assert_eq!((recent[0].name.as_str(), recent[1].name.as_str()), ("sea", "lake-299"));
        // Short ones are remembered in their full number.
        for number in 0..3 * KEPT {
            grants.put_down(&grant(&format!("lake-{number}"), "perpetual")).expect("added");
        }
        let recent = grants.recent().expect("read");
        assert_eq!((recent.len(), recent[0].name.as_str()), (KEPT, "lake-299"));
    }
}
