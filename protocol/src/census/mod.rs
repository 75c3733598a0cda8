//! What a body consists of, counted before anything is built from it.
//!
//! Bytes alone do not bound what a body costs: a few hundred kilobytes of empty functions or wide types take a compiler
//! gigabytes. So everything that costs is counted while the body is scanned, and refused beyond the bounds of
//! [`limits`](crate::limits), by `seal`, by the store and by every host alike.
//!
//! ```text
//!  body ─ scan: sections, functions ─▶ tally, bounded ─▶ program: validated types ─▶ needs: what its instances take
//! ```
//!
//! Each step has memory for what the steps before it have bounded.

mod function;
mod needs;
mod program;
mod scan;
mod tally;

pub use needs::{Need, Needs, TooMuch};
pub use tally::Counted;

use tally::Tally;

/// A body that is within every bound on what it consists of: evidence that it may be read, validated and compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    tally: Tally,
    needs: Needs,
}

/// Why a body is not accepted for what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CensusError {
    /// There is more of something than any host compiles.
    #[error("it has {count} {what}{}, and at most {most} are compiled: {}", .what.unit(), .what.fix())]
    TooMany {
        /// Of what.
        what: Counted,
        /// How many were found before the scan ended; there may be more.
        count: u64,
        /// The bound.
        most: u64,
    },
    /// It cannot be read, or is not valid.
    #[error("{0}")]
    Invalid(String),
}

impl Census {
    /// Counts what a component consists of, and works out what its instances take. Function bodies are counted, not
    /// validated.
    ///
    /// # Errors
    /// [`CensusError::TooMany`] at the first bound that is passed, [`CensusError::Invalid`].
    pub fn of(component: &[u8]) -> Result<Self, CensusError> {
        let tally = scan::component(component)?;
        let needs = program::needs(component)?;
        Ok(Self { tally, needs })
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self, what: Counted) -> u64 {
        self.tally.get(what)
    }

    /// What its instances take.
    #[must_use]
    pub const fn needs(&self) -> &Needs {
        &self.needs
    }
}

/// Counts what a component or a core module consists of, as far as a publisher's tools are concerned: custom sections,
/// which sealing leaves out, may be of any size.
///
/// # Errors
/// As [`Census::of`].
pub(crate) fn scan(bytes: &[u8]) -> Result<(), CensusError> {
    scan::any(bytes).map(drop)
}

/// Validates a component as the runtime will, function bodies included.
///
/// # Errors
/// [`CensusError::Invalid`] says what the engine would say.
pub fn validate(component: &[u8]) -> Result<(), CensusError> {
    let mut validator = wasmparser::Validator::new_with_features(program::features());
    validator.validate_all(component).map(drop).map_err(CensusError::from)
}

impl From<wasmparser::BinaryReaderError> for CensusError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(error.to_string())
    }
}
