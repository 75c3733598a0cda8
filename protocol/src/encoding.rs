//! Bytes as text: base64url without padding (RFC 4648 section 5), canonical only.

use base64::Engine as _;
use base64::display::Base64Display;
// Without padding, and with trailing bits refused: one value has one spelling.
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Encodes bytes as base64url without padding. For what may be seen: its time depends on the bytes.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url without padding. Trailing bits must be zero, so that one value has one spelling. For what may be
/// seen: its time depends on the text.
///
/// # Errors
/// [`BadEncoding`] if the text is anything else.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, BadEncoding> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadEncoding)
}

/// The text is not canonical base64url of the expected length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64url without padding of the expected length (RFC 4648 section 5)")]
pub struct BadEncoding;

/// Exactly `N` bytes, written as base64url. Not for secrets: it prints what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Octets<const N: usize>(pub [u8; N]);

impl<const N: usize> Octets<N> {
    /// Reads the base64url form.
    ///
    /// # Errors
    /// [`BadEncoding`] if the text is not canonical or not `N` bytes.
    pub fn parse(text: &str) -> Result<Self, BadEncoding> {
        let mut octets = [0; N];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut octets) {
            Ok(length) if length == N => Ok(Self(octets)),
            _ => Err(BadEncoding),
        }
    }
}

impl<const N: usize> fmt::Display for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Base64Display::new(&self.0, &URL_SAFE_NO_PAD), f)
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> std::str::FromStr for Octets<N> {
    type Err = BadEncoding;
    fn from_str(text: &str) -> Result<Self, BadEncoding> {
        Self::parse(text)
    }
}

impl<const N: usize> Serialize for Octets<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Octets<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// At most `MAX` bytes, written as base64url.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct BoundedOctets<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> BoundedOctets<MAX> {
    /// Takes the bytes where they fit.
    ///
    /// # Errors
    /// [`BadEncoding`] if there are more than `MAX`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadEncoding> {
        if bytes.len() <= MAX { Ok(Self(bytes)) } else { Err(BadEncoding) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> Serialize for BoundedOctets<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url(&self.0))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for BoundedOctets<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        from_base64url(&text).and_then(Self::new).map_err(D::Error::custom)
    }
}
