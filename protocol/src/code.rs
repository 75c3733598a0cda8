//! A code that this version does not know, of a list that later versions make longer.

use crate::limits::MAX_CODE;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A code that this version does not know: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter. It can be shown
/// as it is; nothing follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherCode {
    /// Padded with zeros.
    code: [u8; MAX_CODE],
}

impl OtherCode {
    /// `None` if the text cannot be a code.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let is_code = code.starts_with(|c: char| c.is_ascii_lowercase())
            && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let mut padded = [0; MAX_CODE];
        padded.get_mut(..code.len()).filter(|_| is_code)?.copy_from_slice(code.as_bytes());
        Some(Self { code: padded })
    }

    /// The code, as the server wrote it.
    #[must_use]
    pub fn code(&self) -> &str {
        let end = self.code.iter().position(|byte| *byte == 0).unwrap_or(MAX_CODE);
        // Nothing but ASCII is taken.
        std::str::from_utf8(&self.code[..end]).unwrap_or_default()
    }
}

impl fmt::Debug for OtherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for OtherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for OtherCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for OtherCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::new(&code).ok_or_else(|| D::Error::custom("not a code"))
    }
}
