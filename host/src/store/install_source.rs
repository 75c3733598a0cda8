//! Where a resource is installed from, as a user writes it.

use crate::client_error::ClientError;
use portcullis_protocol::{Origin, PublisherName, ResourceName, Version};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a resource comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallSource {
    /// `publisher/name[@version]`, from a store that the user trusts.
    Store {
        /// The store; absent: whichever of the trusted ones has it.
        server: Option<Origin>,
        /// The publisher.
        publisher: PublisherName,
        /// The name.
        name: ResourceName,
        /// The version; absent: the newest.
        version: Option<Version>,
    },
    /// A sealed resource on this machine.
    File(PathBuf),
    /// A sealed resource at an `https` address.
    Url(String),
}

impl FromStr for InstallSource {
    type Err = ClientError;

    /// An address is what has a scheme; a path is what begins with `.` or `/`, or ends with `.wasm`; the rest is a
    /// name.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self::Url(text.to_owned()));
        }
        let path = PathBuf::from(text);
        if text.starts_with('.') || path.is_absolute() || text.ends_with(".wasm") {
            return Ok(Self::File(path));
        }
        let bad = |why: &dyn fmt::Display| ClientError::Name(why.to_string());
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.parse().map_err(|error| bad(&error))?)),
            None => (text, None),
        };
        let (publisher, name) = name.split_once('/').ok_or_else(|| bad(&"the publisher is missing"))?;
        let publisher = publisher.parse().map_err(|error| bad(&error))?;
        Ok(Self::Store { server: None, publisher, name: name.parse().map_err(|error| bad(&error))?, version })
    }
}
