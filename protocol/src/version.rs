//! Versions of resources, and the one order in which they stand.
//!
//! SemVer knows two orders: equality of texts, and precedence, which ignores build metadata. A program that mixes them
//! calls `1.0.0+fix2` newer in one place and the same in another. So [`Version`] has no `Ord`: who compares says
//! [`Version::precedence`].

use crate::limits::MAX_VERSION;
use crate::text::disturbs;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version by SemVer 2.0, of at most [`MAX_VERSION`] bytes. Two are equal if their texts are.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(semver::Version);

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version: {rule}")]
pub struct BadVersion {
    text: String,
    rule: &'static str,
}

const FORM: &str = "write three numbers, as in 1.0.0, each without leading zeros and below 2^64 (SemVer)";
const LENGTH: &str = "it is longer than 128 bytes";

impl Version {
    /// A release.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// Whether it is a pre-release, as `2.0.0-beta.1`.
    #[must_use]
    pub fn is_pre_release(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Compares by SemVer precedence (SemVer 2.0, section 11): build metadata does not count.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }

    /// Whether it has higher precedence than another one.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.precedence(other).is_gt()
    }
}

/// Sorts newest first. Versions of equal precedence keep their order.
pub fn sort_newest_first<T>(items: &mut [T], version: impl Fn(&T) -> &Version) {
    items.sort_by(|one, other| version(other).precedence(version(one)));
}

/// The version to take unless another is asked for: the newest that is not a pre-release, else the newest. Of several
/// with equal precedence it is the first.
pub fn newest<T>(items: impl IntoIterator<Item = T>, version: impl Fn(&T) -> &Version) -> Option<T> {
    let goes_before = |one: &Version, other: &Version| {
        other.is_pre_release().cmp(&one.is_pre_release()).then_with(|| one.precedence(other)).is_gt()
    };
    items.into_iter().reduce(|best, next| if goes_before(version(&next), version(&best)) { next } else { best })
}

impl FromStr for Version {
    type Err = BadVersion;
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        // What was written may be of any length, and not fit for a screen.
        let bad = |rule| BadVersion { text: text.chars().filter(|c| !disturbs(*c)).take(64).collect(), rule };
        if text.len() > MAX_VERSION {
            return Err(bad(LENGTH));
        }
        semver::Version::parse(text).map(Self).map_err(|_| bad(FORM))
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn the_order_is_that_of_the_standard() {
        // The example of SemVer 2.0, section 11.
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2.0",
            "1.10.0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[1]).is_newer_than(&version(pair[0])), "{pair:?}");
            assert!(!version(pair[0]).is_newer_than(&version(pair[1])), "{pair:?}");
        }
    }

    /// It stands in catalogues, grants and records, each of which has a bound of its own.
    #[test]
    fn no_version_is_endless() {
        assert!(LENGTH.contains(&format!("{MAX_VERSION} bytes")));
        let of_length = |bytes: usize| format!("1.0.0-{}", "x".repeat(bytes - 6));
        for text in [of_length(MAX_VERSION + 1), of_length(20_000), format!("1.0.0+{}", "7".repeat(MAX_VERSION))] {
            let refused = text.parse::<Version>().expect_err("too long").to_string();
            assert!(refused.contains("128 bytes") && refused.len() < 300, "{refused}");
            serde_json::from_value::<Version>(text.into()).expect_err("too long");
        }
        let longest = version(&of_length(MAX_VERSION));
        let read: Version = serde_json::from_value(longest.to_string().into()).expect("the control");
        assert_eq!(read, longest);
    }

    #[test]
    fn build_metadata_does_not_count() {
        for other in ["1.0.0", "1.0.0+fix1", "1.0.0+fix2", "1.0.0+fix10"] {
            assert_eq!(version("1.0.0+fix2").precedence(&version(other)), Ordering::Equal, "{other}");
        }
        assert_ne!(version("1.0.0"), version("1.0.0+fix1"), "they are two texts");
    }

    #[test]
    fn the_newest_is_no_pre_release_if_there_is_a_release() {
        let chosen = |texts: &[&str]| {
            let versions: Vec<Version> = texts.iter().copied().map(version).collect();
            newest(versions, |version| version).map(|version| version.to_string())
        };
        assert_eq!(chosen(&["1.2.0", "1.10.0", "2.0.0-rc.1", "1.9.0"]).as_deref(), Some("1.10.0"));
        assert_eq!(chosen(&["2.0.0-rc.1", "2.0.0-rc.2"]).as_deref(), Some("2.0.0-rc.2"));
        assert_eq!(chosen(&["1.0.0+b", "1.0.0+a"]).as_deref(), Some("1.0.0+b"), "the first of equals");
        assert_eq!(chosen(&[]), None);
        let mut sorted = ["1.0.0", "1.0.0+later", "2.0.0-rc.1", "1.10.0"].map(version);
        sort_newest_first(&mut sorted, |version| version);
        assert_eq!(sorted.map(|version| version.to_string()), ["2.0.0-rc.1", "1.10.0", "1.0.0", "1.0.0+later"]);
    }
}
