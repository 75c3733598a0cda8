//! What can be wrong with a sealed resource.

use crate::age::AgeError;
use crate::documents::ManifestError;
use crate::ids::PartName;
use std::io;

/// Why a sealed resource, or a part of it, is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The file could not be read or written.
    #[error("reading or writing the sealed resource failed: {0}")]
    Io(#[from] io::Error),
    /// The file is not built as a sealed resource is.
    #[error("not a sealed resource, at byte {offset}: {defect}")]
    Structure {
        /// Where the section at fault begins.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The stub is not the one that the publisher signed.
    #[error("the stub is not the one that the publisher signed")]
    StubDigest,
    /// The block list of a part is not the one that the publisher signed.
    #[error("the block list of part `{part}` is not the one that the publisher signed")]
    Commitment {
        /// The part.
        part: PartName,
    },
    /// A block of a part is not the one that the publisher signed.
    #[error("block {index} of part `{part}` is damaged, moved or forged")]
    Block {
        /// The part.
        part: PartName,
        /// The block, from 0; each has 1 MiB.
        index: u64,
    },
    /// The age file of a part is refused, or the key is not its key.
    #[error("part `{part}`: {error}")]
    Age {
        /// The part.
        part: PartName,
        /// Why.
        error: AgeError,
    },
    /// A part was encrypted for something else than X25519 recipients.
    #[error("part `{part}` has a recipient that is not X25519: seal it again for `age1…` recipients")]
    Recipient {
        /// The part.
        part: PartName,
    },
    /// The key opens the part, but the part was made for another publisher, name, version or part.
    #[error("part `{part}` is bound to another publisher, name, version or part: it was lifted from elsewhere")]
    Binding {
        /// The part.
        part: PartName,
    },
    /// The resource has no such part.
    #[error("the resource has no part `{0}`")]
    NoSuchPart(PartName),
    /// The part is not code.
    #[error("part `{0}` is an asset, not code: read it as a part")]
    NotCode(PartName),
}

/// What is wrong with the sections of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The file does not begin as a component does.
    #[error("it does not begin as a WebAssembly component does")]
    NotAComponent,
    /// The file ends inside a section.
    #[error("the file is cut short")]
    CutShort,
    /// A length is written with more bytes than it needs.
    #[error("a length is not in its shortest form")]
    LengthOverlong,
    /// A length does not fit in 32 bits.
    #[error("a length is larger than 32 bits hold")]
    LengthTooLarge,
    /// A custom section's name is longer than [`MAX_SECTION_NAME`](crate::limits::MAX_SECTION_NAME).
    #[error("a section's name is longer than allowed")]
    NameTooLong,
    /// A custom section's name is not UTF-8.
    #[error("a section's name is not text")]
    NameNotText,
    /// The stub is longer than [`MAX_STUB`](crate::limits::MAX_STUB).
    #[error("the stub is longer than 4 MiB")]
    StubTooLong,
    /// The stub has more sections than [`MAX_STUB_SECTIONS`](crate::limits::MAX_STUB_SECTIONS).
    #[error("the stub has too many sections")]
    TooManySections,
    /// A component without a manifest.
    #[error("a component without a `portcullis:manifest` section: it is not sealed")]
    NotSealed,
    /// A section that has to stand here does not.
    #[error("`{expected}` is expected here, not {found}")]
    OutOfPlace {
        /// The name of the section that belongs here.
        expected: String,
        /// What stands here: a section's name, or `another section`.
        found: String,
    },
    /// The manifest's section is longer than [`MAX_MANIFEST`](crate::limits::MAX_MANIFEST).
    #[error("the manifest is longer than allowed")]
    ManifestTooLong,
    /// A block list has not one digest for each MiB of its part.
    #[error("a block list does not have one digest for each MiB of its part")]
    BlockListLength,
    /// A part's section does not have the length that its size in the manifest gives.
    #[error("a part's length differs from the manifest")]
    PartLength,
    /// Bytes after the last part.
    #[error("bytes follow after the last part")]
    Trailing,
}

impl SealedError {
    /// The error inside an [`io::Error`] that a reader of this module gave, if there is one.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Io(error),
        }
    }

    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
