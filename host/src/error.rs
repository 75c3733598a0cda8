//! What can go wrong between a file and a result. Never holds a secret, nor anything that a body wrote.

use crate::ports::bills::BillsError;
use crate::ports::gatekeeper::Refused;
use crate::state::folder::StateError;
use portcullis_protocol::census::{CensusError, TooMuch};
use portcullis_protocol::sealed::SealedError;
use portcullis_protocol::surface::SurfaceError;
use portcullis_protocol::{OperationName, Reason, nearest};
use std::fmt;

/// Why a resource was not loaded, authorised or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened.
    #[error("the resource cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not a sealed resource, or one that was changed.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The body is not what its stub and manifest say.
    #[error("the body is not what its stub and manifest say: {0}")]
    Surface(#[from] SurfaceError),
    /// The body is larger than the operator compiles.
    #[error("the body of {size} bytes is larger than the {most} that may be compiled; raise `Limits::body`")]
    BodyTooLarge {
        /// Bytes of the body.
        size: u64,
        /// [`crate::Limits::body`].
        most: u64,
    },
    /// The body consists of more than is ever compiled.
    #[error("the body exceeds what is compiled: {0}")]
    Census(#[from] CensusError),
    /// The body's instances take more from the start than the operator or the manifest gives.
    #[error("the body cannot be instantiated here: {0}; the operator can raise `Limits`")]
    Needs(#[from] TooMuch),
    /// The engine refuses the body: not valid, or it needs what is not linked.
    #[error("the engine refuses the body: {0}")]
    Body(String),
    /// The engine could not be set up.
    #[error("the engine cannot be set up: {0}")]
    Engine(String),
    /// No: the billing server's refusal, or one made here.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// The terminal's own state is in the way.
    #[error(transparent)]
    State(#[from] StateError),
    /// The resource has no such operation.
    #[error("the resource has no operation {0}")]
    UnknownOperation(UnknownName),
    /// The operation has no exports: only the resource itself can use it, from inside.
    #[error("operation `{0}` has no exports to call; the resource requests it from inside")]
    NothingToCall(OperationName),
    /// The resource has no such export.
    #[error("the resource has no export {0}")]
    UnknownExport(UnknownName),
    /// Several exports have this short name.
    #[error("`{name}` is the name of several exports: write one of {}", candidates.join(", "))]
    AmbiguousExport {
        /// What was to be called.
        name: String,
        /// The exports that are called so, whole.
        candidates: Vec<String>,
    },

    /// The export belongs to no operation, so nothing could authorise it.
    #[error("export `{0}` belongs to no operation, so it cannot be called")]
    UnmappedExport(String),
    /// The export belongs to another operation than the one authorised.
    #[error("export `{export}` belongs to operation `{needs}`; the grant is for `{held}`")]
    OtherOperation {
        /// What was to be called.
        export: String,
        /// Its operation.
        needs: OperationName,
        /// What was authorised.
        held: OperationName,
    },
    /// The grant is over.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The arguments, or the Rust types of a typed call, do not fit the export. No use was drawn.
    #[error("the arguments do not fit: {0}")]
    Arguments(String),
    /// What the operator lends cannot be opened. Nothing was asked of a server.
    #[error("the directory `{path}`, which is lent to resources, cannot be opened: {cause}")]
    Lent {
        /// The directory.
        path: String,
        /// What the operating system said.
        cause: String,
    },
    /// The resource reads bills, and the operator lends none. Nothing was asked of a server.
    #[error("the resource reads records of your bills, and is lent none")]
    NoBills,
    /// Bills are lent, and cannot be read. Nothing was asked of a server.
    #[error(transparent)]
    Bills(#[from] BillsError),
    /// All of [`crate::Pool`] is in use: as many instances run, or are kept between calls. Nothing ran, and if the
    /// instance was still to be made, no use was drawn.
    #[error(
        "the pool of instances is full: wait until another call has ended, give back what is kept with \
         `Authorised::reset`, or raise `Pool::stores`"
    )]
    PoolFull,
    /// A bound ended the call.
    #[error("the resource was stopped: it reached its bound on {0}")]
    Limit(Bound),
    /// The resource trapped: it gave up, or did what no component may.
    #[error("the resource failed: {0}")]
    Trap(String),
    /// What a command wrote could not be passed on: the disk is full, or nobody reads it any more.
    #[error("what the resource wrote could not be passed on: {0}")]
    Output(#[source] std::io::Error),
    /// The resource ended its run with this code, from inside a call.
    #[error("the resource exited with code {0}")]
    Exit(i32),
}

impl Error {
    /// The reason of the closed registry, if it is one: the refusal's own, or that the package is invalid.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refused) => Some(refused.reason),
            Self::Sealed(SealedError::Io(_)) => None,
            Self::Sealed(_) | Self::Surface(_) | Self::Census(_) | Self::Body(_) => Some(Reason::PackageInvalid),
            Self::UnknownOperation(_) => Some(Reason::OperationUnknown),
            Self::Ended(Ended::Expired) => Some(Reason::EntitlementExpired),
            Self::Ended(Ended::Spent) => Some(Reason::EntitlementExhausted),
            _ => None,
        }
    }

    pub(crate) fn engine(error: &wasmtime::Error) -> Self {
        Self::Engine(error.root_cause().to_string())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused.state {
            Some(state) => Self::State(*state),
            None => Self::Refused(Box::new(refused)),
        }
    }
}

/// Why no further call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// Its time is over.
    #[error("the grant has expired; authorise the operation again")]
    Expired,
    /// Its uses are used up.
    #[error("the grant is used up; authorise the operation again")]
    Spent,
}

/// Which bound ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// [`crate::Limits::run_max`], or the grant's.
    Time,
    /// [`crate::Limits::memory`].
    Memory,
    /// [`crate::Limits::table_elements`].
    Tables,
    /// [`crate::Limits::stack`].
    Stack,
    /// [`crate::Limits::result`], [`crate::Limits::hostcall`] or [`crate::Limits::random`].
    Data,
    /// [`crate::Limits::handles`] or [`crate::Limits::objects`].
    Handles,
    /// [`crate::Limits::instances`], [`crate::Limits::memories`] or [`crate::Limits::tables`].
    Instances,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Tables => "table size",
            Self::Stack => "stack",
            Self::Data => "the size of results and arguments",
            Self::Handles => "handles",
            Self::Instances => "the number of instances, memories and tables",
        })
    }
}

/// A name that nothing has, and those that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The names that would have been understood.
    pub known: Vec<String>,
}

impl UnknownName {
    pub(crate) fn new(name: &str, known: Vec<String>) -> Self {
        Self { name: name.to_owned(), known }
    }

    /// The one that was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        nearest(&self.name, self.known.iter().map(String::as_str))
    }

    /// What to write instead: `did you mean …?`, or what there is.
    #[must_use]
    pub fn suggestion(&self) -> String {
        /// Names that one line has room for.
        const SHOWN: usize = 20;
        match self.nearest() {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "it has none".to_owned(),
            None => {
                let more = if self.known.len() > SHOWN { ", …" } else { "" };
                let shown: Vec<&str> = self.known.iter().take(SHOWN).map(String::as_str).collect();
                format!("it has: {}{more}", shown.join(", "))
            }
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`; {}", self.name, self.suggestion())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_says_what_there_is() {
        let known = || vec!["view".to_owned(), "preview".to_owned()];
        assert_eq!(UnknownName::new("vieww", known()).to_string(), "`vieww`; did you mean `view`?");
        assert_eq!(UnknownName::new("buy", known()).to_string(), "`buy`; it has: view, preview");
    }
}
