//! What a resource's functions look like from outside, and what their own errors say about payment.

use portcullis_protocol::surface::{FunctionType, SurfaceError};
use portcullis_protocol::{OperationName, Reason};
use wasmtime::component::Val;

/// An exported function of a sealed resource, from its signed stub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// As calls spell it: `function`, or `interface#function`.
    pub export: String,
    /// The operation whose grant it runs under. `None`: it cannot be called.
    pub operation: Option<OperationName>,
    /// Its structural type: `(width: u32) -> result<list<u8>, …>`.
    pub signature: String,
    /// The same as data.
    pub ty: FunctionType,
}

impl Function {
    pub(crate) fn new(export: &str, operation: Option<OperationName>, signature: &str) -> Result<Self, SurfaceError> {
        Ok(Self { export: export.to_owned(), operation, signature: signature.to_owned(), ty: signature.parse()? })
    }

    /// The function's name without its interface.
    #[must_use]
    pub fn name(&self) -> &str {
        self.export.rsplit_once('#').map_or(&self.export, |(_, name)| name)
    }

    /// Whether [`crate::Authorised::call_for_bytes`] fits it: known before anything is paid for.
    #[must_use]
    pub fn gives_bytes(&self) -> bool {
        self.ty.gives_bytes()
    }

    /// Whether it takes no parameters.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        self.ty.params.is_empty()
    }
}

/// The refusal in a resource's own error value, if it is one: a case of `portcullis:gate/types.refusal`, or one inside
/// a case of the publisher's own error type. A resource that asked for an operation from inside answers so.
#[must_use]
pub fn refusal_in(error: &Val) -> Option<Reason> {
    match error {
        Val::Variant(case, Some(code))
            if case == "other"
                && let Val::String(code) = &**code =>
        {
            Reason::from_code(code)
        }
        Val::Variant(case, inner) => case.parse().ok().or_else(|| refusal_in(inner.as_deref()?)),
        Val::Enum(case) => case.parse().ok(),
        _ => None,
    }
}
