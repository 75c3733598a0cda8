//! The newest version of each resource that was streamed, or the one that was installed last, so that no store goes
//! back to an older one without a word, also when it is not installed any more.

use crate::client_error::ClientError;
use crate::state::folder::{StateDir, StateError, file_name};
use portcullis_protocol::{Origin, PublisherName, ResourceName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the records are kept: a folder per store, a record per publisher.
const FOLDER: &str = "streamed";
/// Resources of one publisher that are remembered; the one that was used least lately goes first.
const MOST: usize = 256;
/// A record at most: so many names and versions take 64 KiB.
const MAX_RECORD: u64 = 1024 * 1024;

/// What was used of a publisher from a store.
pub(crate) struct VersionMarks<'a> {
    state: &'a StateDir,
    publisher: &'a PublisherName,
    record: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    version: Version,
    /// When the resource was last streamed or installed, Unix seconds.
    at: u64,
}

impl<'a> VersionMarks<'a> {
    pub(crate) fn of(state: &'a StateDir, store: &Origin, publisher: &'a PublisherName) -> Self {
        Self { state, publisher, record: record(&file_name(store), publisher) }
    }

    /// Refuses a version older than one that was used.
    ///
    /// # Errors
    /// [`ClientError::Rollback`].
    pub(crate) fn check(&self, name: &ResourceName, offered: &Version) -> Result<(), ClientError> {
        match self.read()?.remove(name) {
            Some(Newest { version: installed, .. }) if installed.is_newer_than(offered) => {
                let resource = format!("{}/{name}", self.publisher);
                Err(ClientError::Rollback { resource, installed, offered: offered.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Remembers that a version is streamed. The state is locked meanwhile.
    pub(crate) fn remember(&self, name: &ResourceName, version: &Version, at: u64) -> Result<(), StateError> {
        let mut seen = self.read()?;
        let newest = seen.entry(name.clone()).or_insert_with(|| Newest { version: version.clone(), at });
        newest.at = at;
        if version.is_newer_than(&newest.version) {
            newest.version = version.clone();
        }
        self.write(seen, name)
    }

    /// Remembers that a version is installed. An older one was asked for: what comes after that is newer. The state is
    /// locked meanwhile.
    pub(crate) fn choose(&self, name: &ResourceName, version: &Version, at: u64) -> Result<(), StateError> {
        let mut seen = self.read()?;
        seen.insert(name.clone(), Newest { version: version.clone(), at });
        self.write(seen, name)
    }

    /// Writes the record down, in which `name` stays.
    fn write(&self, mut seen: BTreeMap<ResourceName, Newest>, name: &ResourceName) -> Result<(), StateError> {
        while seen.len() > MOST {
            let others = seen.iter().filter(|(other, _)| *other != name);
            let Some((oldest, _)) = others.min_by_key(|(_, newest)| newest.at) else { break };
            let oldest = oldest.clone();
            seen.remove(&oldest);
        }
        let bytes = serde_json::to_vec(&seen).map_err(|_| self.damaged())?;
        self.state.write(&self.record, &bytes)
    }

    fn read(&self) -> Result<BTreeMap<ResourceName, Newest>, StateError> {
        let Some(bytes) = self.state.read(&self.record, MAX_RECORD)? else { return Ok(BTreeMap::new()) };
        serde_json::from_slice(&bytes).map_err(|_| self.damaged())
    }

    fn damaged(&self) -> StateError {
        StateError::damaged(&self.state.path(&self.record))
    }
}

/// Forgets what was used of a publisher, whose key is known no more, from a store by the name of its file.
pub(crate) fn forget(state: &StateDir, store: &str, publisher: &PublisherName) -> Result<(), StateError> {
    state.remove(&record(store, publisher))
}

fn record(store: &str, publisher: &PublisherName) -> String {
    format!("{FOLDER}/{store}/{publisher}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_bounded_and_keeps_what_was_used_lately() {
        let home = tempfile::tempdir().expect("home");
        let state = StateDir::open(home.path()).expect("opened");
        let (store, publisher) = ("https://store.example".parse().expect("origin"), "lumen".parse().expect("a name"));
        let seen = VersionMarks::of(&state, &store, &publisher);
        let name = |number: usize| format!("lake-{number}").parse::<ResourceName>().expect("a name");
        let (old, new) = (Version::new(1, 9, 0), Version::new(1, 10, 0));
        for number in 0..MOST {
            seen.remember(&name(number), &new, number as u64).expect("written");
        }
        // The first is used again, by an old version too, and then one more comes.
        seen.remember(&name(0), &old, 1000).expect("written");
        seen.remember(&name(MOST), &new, 1001).expect("written");
        assert_eq!(seen.read().expect("read").len(), MOST);
        assert!(matches!(seen.check(&name(0), &old), Err(ClientError::Rollback { installed, .. }) if installed == new));
        seen.check(&name(0), &"1.10.0+built.again".parse().expect("a version")).expect("neither older nor newer");
        seen.check(&name(1), &old).expect("long ago");
        // Going back on purpose is remembered if it is to stay so.
        seen.choose(&name(0), &old, 1002).expect("written");
        seen.check(&name(0), &old).expect("it was asked for");
        forget(&state, &file_name(&store), &publisher).expect("forgotten");
        assert!(seen.read().expect("read").is_empty());
    }
}
