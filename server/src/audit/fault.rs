//! What is wrong with an audit log, with the first row that is not right.

use crate::ops::clock::Timestamp;
use crate::ops::directory::moment;

/// What is wrong with an audit log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// The digest of a row is not its own.
    #[error("row {number} is not as it was written: it was changed, or belongs to another log")]
    Changed {
        /// Which.
        number: u64,
    },
    /// The rows are not one after the other.
    #[error("row {found} stands where row {expected} belongs: rows were removed, added, or put into another order")]
    NotNext {
        /// What is there.
        found: u64,
        /// What belongs there.
        expected: u64,
    },
    /// A row was made for another one before it.
    #[error(
        "row {number} does not follow the row before it: one of the two was replaced, or rows of another log were put in"
    )]
    DoesNotFollow {
        /// Which.
        number: u64,
    },
    /// The first row is another server's.
    #[error("row 1 does not begin the log of {server}: this is the log of another server")]
    OtherServer {
        /// Whose log was expected.
        server: String,
    },
    /// A row was not written by a server that has the master key.
    #[error("row {number} was not written by this server: somebody who has no master key wrote it into the database")]
    Forged {
        /// Which.
        number: u64,
    },
    /// A head was signed over another row.
    #[error(
        "row {number} is not the row that the head of {} was signed for: the log was rewritten in that row or before",
        moment(*signed)
    )]
    OtherThanHead {
        /// Which.
        number: u64,
        /// When the head was signed.
        signed: Timestamp,
    },
    /// A head was signed over more rows.
    #[error(
        "the log ends with row {last}, but the head of {} covers {number} rows: row {} and those after it were cut off, or \
         this export is older than that head",
        moment(*signed), last + 1
    )]
    CutOff {
        /// The last row that is there.
        last: u64,
        /// The rows that the head covers.
        number: u64,
        /// When the head was signed.
        signed: Timestamp,
    },
    /// There are rows that the head of an export does not cover.
    #[error("row {number} and those after it are not covered by the head of the export: they were added to it")]
    Added {
        /// The first of them.
        number: u64,
    },
    /// A head in the database is not this server's.
    #[error("the head for row {number} in the database was not signed by this server")]
    ForeignHead {
        /// Which.
        number: u64,
    },
}
