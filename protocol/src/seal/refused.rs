//! Why something is not sealed.

use crate::census::{CensusError, TooMuch};
use crate::documents::{LimitsRefused, ManifestError};
use crate::ids::{OperationName, PartName};
use crate::limits::MAX_EXPORTS;
use crate::sealed::WriteError;
use crate::surface::{ImportRefused, SurfaceError};

/// What is wrong with a resource that is to be sealed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealRefused {
    /// Not a component, nor a core module that can become one.
    #[error("part `{part}` is neither a component nor a core module with its WIT inside: {reason}")]
    NotAComponent {
        /// The part.
        part: PartName,
        /// What the tool said.
        reason: String,
    },
    /// A component that the engine would refuse.
    #[error(
        "part `{part}` is not a component that the runtime accepts: {reason}; build it without the proposals that the \
         runtime leaves out (threads, garbage collection, exceptions, 64-bit memories, async functions)"
    )]
    Invalid {
        /// The part.
        part: PartName,
        /// What the validator said.
        reason: String,
    },
    /// A sealed resource was given as a body.
    #[error("part `{part}` is a sealed resource already: give the component that it was made from")]
    AlreadySealed {
        /// The part.
        part: PartName,
    },
    /// The body does not import the billing cycle.
    #[error(
        "part `{part}` imports no function of `portcullis:gate/billing`, so nothing ties it to a billing server. \
         Compilers drop imports that are never called: in Rust call `portcullis_guest::generate!`, which keeps one with a \
         `#[used]` static; in other languages call `billing.entry`. A component that was composed with something that \
         answers in the billing server's place has to be built anew without it"
    )]
    NoBilling {
        /// The part.
        part: PartName,
    },
    /// An import that nothing provides, or that is never given.
    #[error("part `{part}`: {import}")]
    Import {
        /// The part.
        part: PartName,
        /// Which, why, and the fix.
        import: ImportRefused,
    },
    /// The surface of a body cannot be read.
    #[error("part `{part}`: {error}")]
    Surface {
        /// The part.
        part: PartName,
        /// Why.
        error: SurfaceError,
    },
    /// Two code parts have different surfaces.
    #[error("code part `{part}` does not have the surface of code part `{stub}`: {error}; build both from one world")]
    SurfaceDiffers {
        /// The part that differs.
        part: PartName,
        /// The part that the stub is made from.
        stub: PartName,
        /// Where.
        error: SurfaceError,
    },
    /// A stub that does not come out right.
    #[error("no stub can be made for part `{part}`: {reason}")]
    Stub {
        /// The part it is made from.
        part: PartName,
        /// Why.
        reason: String,
    },
    /// No code part.
    #[error("a resource needs at least one code part: add a component that shows or plays its assets")]
    NoCode,
    /// An operation names an export that does not exist.
    #[error("operation `{operation}` names the export `{export}`, which the component does not have{}", suggest(.near))]
    NoSuchExport {
        /// The operation.
        operation: OperationName,
        /// The export named.
        export: String,
        /// What it might be meant to be.
        near: Vec<String>,
    },
    /// An offer for an operation that does not exist.
    #[error("an offer is for the operation `{operation}`, which the resource does not have{}", suggest(.near))]
    NoSuchOperation {
        /// The operation named.
        operation: OperationName,
        /// What it might be meant to be.
        near: Vec<String>,
    },
    /// The code names an operation that does not exist.
    #[error(
        "code part `{code}` uses the operation `{operation}` ({place}), which the resource does not have{}",
        suggest(.near)
    )]
    UsesOperation {
        /// The code part.
        code: PartName,
        /// The operation named.
        operation: String,
        /// Where in its sources.
        place: String,
        /// What it might be meant to be.
        near: Vec<String>,
    },
    /// The code names a part that does not exist.
    #[error("code part `{code}` opens the part `{part}` ({place}), which the resource does not have{}", suggest(.near))]
    UsesPart {
        /// The code part.
        code: PartName,
        /// The part named.
        part: String,
        /// Where in its sources.
        place: String,
        /// What it might be meant to be.
        near: Vec<String>,
    },
    /// The code opens a part under the grant of an operation that does not release it.
    #[error(
        "code part `{code}` opens the part `{part}` under the operation `{operation}` ({place}), whose grant does not \
         release it: whoever pays for `{operation}` would be refused"
    )]
    UsesUnreleased {
        /// The code part.
        code: PartName,
        /// The part.
        part: String,
        /// The operation.
        operation: OperationName,
        /// Where in its sources.
        place: String,
    },
    /// A code part serves a free and a priced operation.
    #[error(
        "code part `{part}` is opened by the free operation `{free}` and by the priced operation `{priced}`: whoever runs \
         the free one has the code of the other. Build a part of its own for `{free}`, or set `public = true` on `{part}` \
         if what is sold lies in other parts"
    )]
    SharedCode {
        /// The part.
        part: PartName,
        /// The free operation.
        free: OperationName,
        /// The priced operation.
        priced: OperationName,
    },
    /// A free operation opens a part that is not declared public.
    #[error(
        "part `{part}` is opened by the free operation `{operation}`, so everyone can have it: set `public = true` on it, \
         or take it out of the operation"
    )]
    PublicPart {
        /// The part.
        part: PartName,
        /// The free operation.
        operation: OperationName,
    },
    /// Counted uses, without the publisher's word that he knows what they are worth.
    #[error(
        "operation `{operation}` is offered by uses: once its key is released, the count binds an honest host only. Pass \
         `--advisory-metering` (`advisory_metering = true`) if that is enough, or offer it `perpetual`"
    )]
    AdvisoryMetering {
        /// The operation.
        operation: OperationName,
    },
    /// A part is too large.
    #[error("part `{part}` has {size} bytes; {most} are the most that a part of its kind can have")]
    TooLarge {
        /// The part.
        part: PartName,
        /// Its size.
        size: u64,
        /// The bound.
        most: u64,
    },
    /// A body consists of more than any host compiles.
    #[error("part `{part}` exceeds what hosts compile: {error}")]
    TooMany {
        /// The part.
        part: PartName,
        /// Of what, how much, and the bound.
        error: CensusError,
    },
    /// A body needs more from the start than hosts give.
    #[error("part `{part}` would be sold and never run: {error}")]
    NeverRuns {
        /// The part.
        part: PartName,
        /// Of what, how much, and the bound.
        error: TooMuch,
    },
    /// A body imports or exports more functions than a manifest names.
    #[error(
        "part `{part}` {verb} {count} functions, and a resource {verb} at most {MAX_EXPORTS}: put fewer functions, with \
         larger arguments, into its world"
    )]
    TooManyFunctions {
        /// The part.
        part: PartName,
        /// `imports` or `exports`.
        verb: &'static str,
        /// How many.
        count: usize,
    },
    /// The bounds asked for are not those of a resource that can run.
    #[error(transparent)]
    Limits(#[from] LimitsRefused),
    /// The stub is too large.
    #[error("the stub would have {size} bytes and 4 MiB are allowed: the world has too many types; make it smaller")]
    StubTooLarge {
        /// Its size.
        size: u64,
    },
    /// The description contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Why sealing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The resource is refused; nothing was written.
    #[error(transparent)]
    Refused(#[from] SealRefused),
    /// Writing failed half-way.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn suggest(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; did you mean `{}`?", names.join("` or `")),
    }
}
