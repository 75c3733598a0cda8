//! The grants that this terminal was given lately.

use crate::server::session::printable;
use crate::state::folder::{StateDir, StateError};
use portcullis_folders::private_file;
use portcullis_protocol::{Grant, GrantId, GrantLimits, OperationName, Origin, PublisherName, ResourceName, Version};
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::sync::Arc;

const RECORD: &str = "grants";
/// Grants that are remembered.
const KEPT: usize = 100;
/// The record at most: past half of it, all but the last grants are dropped. A line is about 400 bytes.
const MAX_RECORD: u64 = 1024 * 1024;

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
        let path = self.state.path(RECORD);
        // A line that a killed process left unfinished takes no other with it.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, &GrantRecord::from(grant)).map_err(|_| StateError::damaged(&path))?;
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

    fn lines(&self) -> Result<Vec<Vec<u8>>, StateError> {
        let text = self.state.read(RECORD, MAX_RECORD)?.unwrap_or_default();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(KEPT)..].iter().map(|line| line.to_vec()).collect())
    }
}
