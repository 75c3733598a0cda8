//! From a decrypted body to code: the one place where the engine compiles.
//!
//! The order is enforced by types: only [`CheckedBody::check`] makes a [`CheckedBody`], and only that compiles.

use crate::error::Error;
use crate::run::limits::Limits;
use parking_lot::{Mutex, MutexGuard};
use portcullis_protocol::census::Census;
use portcullis_protocol::surface::Surface;
use portcullis_protocol::{Manifest, Plaintext};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Held while a body is checked and compiled. Compiling spreads over all cores by itself, so that two at once are not
/// done any sooner; but each takes memory by what its body consists of, up to hundreds of megabytes.
static COMPILING: Mutex<()> = Mutex::new(());

/// A decrypted body that is what its stub and manifest say: evidence that it may be compiled. Wiped when dropped.
pub(crate) struct CheckedBody {
    body: Plaintext,
    _alone: MutexGuard<'static, ()>,
}

impl CheckedBody {
    /// Checks the size, what the body consists of, what its instances take from the start, and that it has the stub's
    /// surface: imports no more, exports the same. Waits until no other body is compiled.
    pub(crate) fn check(body: Plaintext, stub: &[u8], manifest: &Manifest, limits: &Limits) -> Result<Self, Error> {
        if body.len() as u64 > limits.body {
            return Err(Error::BodyTooLarge { size: body.len() as u64, most: limits.body });
        }
        let alone = COMPILING.lock();
        let census = Census::of(&body)?;
        census.needs().check(|need| limits.given(need))?;
        Surface::check_body(&Surface::of(stub)?, &Surface::of_counted(&body, &census)?, manifest)?;
        Ok(Self { body, _alone: alone })
    }

    /// Compiles, always from these bytes: never from a path, beside which the engine would look for other files, and
    /// never from text.
    pub(crate) fn compile(self, engine: &Engine) -> Result<Compiled, Error> {
        let compiled = Component::from_binary(engine, &self.body);
        compiled.map(Compiled).map_err(|error| Error::Body(error.root_cause().to_string()))
    }
}

/// A checked body, compiled here: evidence that its code may be kept.
pub(crate) struct Compiled(Component);

impl Compiled {
    /// The code, as it can be kept sealed. As good as the body: wiped when dropped.
    pub(crate) fn serialise(&self) -> Option<Plaintext> {
        let code = self.0.serialize();
        code.map(Plaintext::from).map_err(|error| tracing::debug!(%error, "compiled code cannot be serialised")).ok()
    }

    /// The code, to run.
    pub(crate) fn into_component(self) -> Component {
        self.0
    }
}
