//! The lines of an age header.

use super::error::{AgeError, HeaderDefect};
use crate::limits::MAX_AGE_HEADER;

/// Gives out the lines of a header, each ended by LF, while they stay within the limit.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    consumed: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, consumed: 0, number: 0 }
    }

    /// The next line, without its LF.
    pub(super) fn next(&mut self) -> Result<&'a [u8], AgeError> {
        self.number += 1;
        let within = &self.bytes[self.consumed..self.bytes.len().min(MAX_AGE_HEADER)];
        let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
            return Err(if self.bytes.len() < MAX_AGE_HEADER {
                AgeError::HeaderTruncated
            } else {
                AgeError::HeaderTooLong
            });
        };
        self.consumed += end + 1;
        Ok(&within[..end])
    }

    /// The line given out last, from 1.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Bytes of the lines given out, their LFs included.
    pub(super) const fn consumed(&self) -> usize {
        self.consumed
    }

    /// The error that names the line given out last.
    pub(super) const fn malformed(&self, defect: HeaderDefect) -> AgeError {
        AgeError::MalformedHeader { line: self.number, defect }
    }
}
