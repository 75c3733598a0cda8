//! What can be wrong with an age file.

use std::io;

/// Why an age file, or a key for one, is refused. Never repeats what it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgeError {
    /// The first line is not that of version 1.
    #[error("not an age v1 file: its first line must be `age-encryption.org/v1`")]
    NotAge,
    /// The header ends before its MAC line does.
    #[error("the age header is cut short: fetch the file again")]
    HeaderTruncated,
    /// The header is larger than [`MAX_AGE_HEADER`](crate::limits::MAX_AGE_HEADER).
    #[error("the age header is longer than 8 KiB: encrypt for fewer recipients")]
    HeaderTooLong,
    /// More stanzas than [`MAX_AGE_RECIPIENTS`](crate::limits::MAX_AGE_RECIPIENTS).
    #[error("more than 20 recipients in an age header: encrypt for fewer")]
    TooManyRecipients,
    /// A header must have at least one recipient.
    #[error("an age file needs a recipient: name at least one")]
    NoRecipients,
    /// A line of the header breaks the format.
    #[error("malformed age header, line {line}: {defect}")]
    MalformedHeader {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        defect: HeaderDefect,
    },
    /// The file is encrypted with a passphrase.
    #[error("this age file is encrypted with a passphrase: encrypt it for an X25519 recipient (`age1…`)")]
    Passphrase,
    /// A public key is a low-order point, with which every secret agrees on zero.
    #[error(
        "an X25519 key in the age file is a low-order point: the file or the recipient was made to be opened by anyone"
    )]
    LowOrderPoint,
    /// None of the stanzas opens with the identities given.
    #[error("the age file is not encrypted for this identity: add it as a recipient")]
    NoMatch,
    /// The header MAC does not verify: the header was changed, or the file key is another file's.
    #[error(
        "the age header's MAC does not match the file key: the header was changed or the key belongs to another file"
    )]
    HeaderMac,
    /// No payload has this length: it is shorter than its nonce and one chunk, or ends in an empty or cut chunk.
    #[error("the age payload has an impossible length: it is cut short or has bytes appended")]
    PayloadLength,
    /// A chunk is not authentic in its place.
    #[error("chunk {index} of the age payload is damaged, moved or under another key")]
    Chunk {
        /// The chunk, from 0.
        index: u64,
    },
    /// A text is not a recipient.
    #[error("not an age X25519 recipient: expected `age1` and 58 lower-case characters with a valid checksum")]
    BadRecipient,
    /// A text is not an identity. Says nothing about the text, which may be a secret with a typing error.
    #[error(
        "not an age X25519 identity: expected `AGE-SECRET-KEY-1` and 58 upper-case characters with a valid checksum"
    )]
    BadIdentity,
}

/// What is wrong with a line of an age header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderDefect {
    /// Neither `-> ` nor `--- ` begins the line.
    #[error("neither a stanza (`-> `) nor the MAC line (`--- `)")]
    Mark,
    /// A stanza's argument is missing, empty or not visible ASCII.
    #[error("a stanza needs arguments of visible ASCII, one space between them")]
    Argument,
    /// A body line is not canonical base64 without padding.
    #[error("a stanza's body must be canonical base64 without padding")]
    Body,
    /// A body line is longer than 64 characters.
    #[error("a stanza's body must be wrapped at 64 characters and end in a shorter line")]
    Wrapping,
    /// An X25519 stanza has not exactly one 32-byte share and a 32-byte body.
    #[error("an X25519 stanza needs one canonical 32-byte share and a 32-byte body")]
    X25519,
    /// The MAC is not 32 bytes of canonical base64.
    #[error("the MAC must be 32 bytes in canonical base64 without padding")]
    Mac,
}

/// An age file could not be read: the reader failed, or the file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader underneath failed.
    #[error("reading the age file failed")]
    Io(#[from] io::Error),
    /// What was read is refused.
    #[error(transparent)]
    Age(#[from] AgeError),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::Age(error) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
