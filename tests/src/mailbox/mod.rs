//! A mailbox on this machine: mails that were signed beforehand, a server that has them, and name servers that know the
//! signers' keys. What `mail/tests/python/vectors.py` wrote.

mod imap;
mod name_server;

pub use imap::ImapServer;
pub use name_server::NameServer;

use crate::checkout;
use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::fs;

/// Whose mail it is.
pub const USER: &str = "kim@user.example";

/// A signed mail of `tests/vectors/mail/`, by its name.
///
/// # Errors
/// If it is not there.
pub fn mail(name: &str) -> Result<Vec<u8>> {
    let path = checkout::root().join("tests/vectors/mail").join(name).with_extension("eml");
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the name servers say: TXT records by name.
///
/// # Errors
/// If they are not there.
pub fn names() -> Result<HashMap<String, String>> {
    let path = checkout::root().join("tests/vectors/mail/names.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}
