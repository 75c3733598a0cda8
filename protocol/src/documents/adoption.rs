//! What earlier keys of a publisher signed and a later one stands for.

use crate::ids::{Digest, PublisherName, ResourceName};
use crate::jws::{Document, SelfSigned};
use crate::keys::PublicKey;
use crate::labels::TYP_ADOPTION;
use crate::limits::MAX_VERSIONS;
use serde::{Deserialize, Serialize};

/// The versions of a resource that a publisher key stands for, although earlier keys of the publisher signed them.
/// Signed by the key that stands for them.
///
/// A key that is followed by another is believed no longer, since it may have been stolen. What it signed before is
/// believed if a key that is believed names its very digest: whoever has the old key adds nothing to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The key that stands for them, which signs this.
    pub jwk: PublicKey,
    /// The versions, by their resource digests.
    pub versions: AdoptedVersions,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Adoption {
    /// Whether it names this version of this resource.
    #[must_use]
    pub fn names(&self, publisher: &PublisherName, name: &ResourceName, version: &Digest) -> bool {
        self.publisher == *publisher && self.name == *name && self.versions.contains(version)
    }
}

impl Document for Adoption {
    const TYP: &'static str = TYP_ADOPTION;
    const CHECKS_TEXTS: bool = true;
}

impl SelfSigned for Adoption {
    fn key(&self) -> &PublicKey {
        &self.jwk
    }
}

/// Resource digests, each once and in ascending order, at most [`MAX_VERSIONS`]: as many as a resource has versions.
/// So many fit into a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Digest>", into = "Vec<Digest>")]
pub struct AdoptedVersions(Vec<Digest>);

/// Why a list of digests is not one of adopted versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptionError {
    /// There are more than a resource has versions.
    #[error("more than {MAX_VERSIONS} versions are adopted")]
    TooMany,
    /// They are not in ascending order, or one stands twice.
    #[error("adopted versions stand once each, in ascending order of their digests")]
    Order,
}

impl AdoptedVersions {
    /// Of these, in whatever order.
    ///
    /// # Errors
    /// [`AdoptionError::TooMany`].
    pub fn new(versions: impl IntoIterator<Item = Digest>) -> Result<Self, AdoptionError> {
        let mut versions: Vec<Digest> = versions.into_iter().collect();
        versions.sort_unstable();
        versions.dedup();
        Self::try_from(versions)
    }

    /// Whether this version is one of them.
    #[must_use]
    pub fn contains(&self, version: &Digest) -> bool {
        self.0.binary_search(version).is_ok()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Digest> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Digest>> for AdoptedVersions {
    type Error = AdoptionError;
    fn try_from(versions: Vec<Digest>) -> Result<Self, AdoptionError> {
        if versions.len() > MAX_VERSIONS {
            return Err(AdoptionError::TooMany);
        }
        if !versions.is_sorted_by(|one, next| one < next) {
            return Err(AdoptionError::Order);
        }
        Ok(Self(versions))
    }
}

impl From<AdoptedVersions> for Vec<Digest> {
    fn from(versions: AdoptedVersions) -> Self {
        versions.0
    }
}
