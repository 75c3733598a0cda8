//! A publisher's key as every command that takes a resource from a store shows it.

use portcullis_host::Standing;
use portcullis_protocol::Thumbprint;
use serde::Serialize;
use std::fmt::{self, Display};

use crate::screen::output::{KeyName, Screen, style};

/// The key of a publisher that is believed from now on, and how it stands with this terminal.
#[derive(Debug, Serialize)]
pub(crate) struct PublisherKey {
    publisher_key: KeyName,
    /// `new`, `known`, `vouched` or `accepted`.
    publisher_standing: &'static str,
}

impl PublisherKey {
    pub(crate) fn of(key: Thumbprint, standing: Standing) -> Self {
        let publisher_standing = match standing {
            Standing::New => "new",
            Standing::Known => "known",
            Standing::Accepted => "accepted",
            _ => "vouched",
        };
        Self { publisher_key: key.into(), publisher_standing }
    }

    /// Whether it was pinned before, so that nobody has to look at it.
    pub(crate) fn is_known(&self) -> bool {
        self.publisher_standing == "known"
    }

    /// Shows it to a person, unless it was pinned before.
    pub(crate) fn note(&self, screen: Screen) {
        if !self.is_known() {
            screen.note(format_args!("publisher key {self}"));
        }
    }
}

impl Display for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warn = style::WARN;
        let standing = match self.publisher_standing {
            "new" => "new: pinned from now on",
            "vouched" => "a new key, for which the old one vouches",
            "accepted" => "a new key, whose words you were told: pinned from now on",
            _ => return f.write_str(&self.publisher_key.words),
        };
        write!(f, "{}  {warn}{standing}{warn:#}", self.publisher_key.words)
    }
}
