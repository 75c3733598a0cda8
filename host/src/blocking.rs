//! The same without `async`: for programs that have no runtime of their own.

use crate::error::Error;
use crate::run::command::{Command, Exit};
use crate::run::resource::Terms;
use crate::run::source::Source;
use crate::{Inspection, RuntimeBuilder};
use std::sync::Arc;
use tokio::runtime::Builder;
use wasmtime::component::Val;

/// A [`crate::Runtime`] whose methods wait. Not to be used inside an async runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    inner: crate::Runtime,
    tokio: Arc<Tokio>,
}

/// The threads of a runtime. When the last handle is dropped they end, and nobody waits for one that hangs.
#[derive(Debug)]
struct Tokio(Option<tokio::runtime::Runtime>);

impl Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("there until it is dropped").block_on(future)
    }
}

impl Drop for Tokio {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Runtime {
    /// Builds the runtime, and threads of its own for it to run on.
    ///
    /// # Errors
    /// As [`RuntimeBuilder::build`].
    pub fn build(builder: RuntimeBuilder) -> Result<Self, Error> {
        let tokio = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { inner: builder.build()?, tokio: Arc::new(Tokio(Some(tokio))) })
    }

    /// Waits for anything of this crate that is `async`: what a [`crate::Client`], a store or the library does.
    ///
    /// ```
    /// use portcullis_host::{ClientError, Installed, InstallSource, Library, blocking};
    ///
    /// fn install(runtime: &blocking::Runtime, library: &Library, name: &str) -> Result<Installed, ClientError> {
    ///     let source: InstallSource = name.parse()?;
    ///     runtime.wait(library.install(&source, &|have, _| println!("{have} bytes")))
    /// }
    /// ```
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.tokio.block_on(future)
    }

    /// As [`crate::Runtime::load`].
    ///
    /// # Errors
    /// The same.
    pub fn load(&self, source: impl Into<Source>) -> Result<Resource, Error> {
        Ok(Resource { inner: self.inner.load(source)?, tokio: Arc::clone(&self.tokio) })
    }
}

/// A [`crate::Resource`] whose methods wait.
#[derive(Debug, Clone)]
pub struct Resource {
    inner: crate::Resource,
    tokio: Arc<Tokio>,
}

impl Resource {
    /// As [`crate::Resource::inspect`].
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        self.inner.inspect()
    }

    /// As [`crate::Resource::authorize`].
    ///
    /// # Errors
    /// The same.
    pub fn authorize(&self, operation: &str) -> Result<Authorised, Error> {
        self.authorize_with(operation, Terms::default())
    }

    /// As [`crate::Resource::authorize_with`].
    ///
    /// # Errors
    /// The same.
    pub fn authorize_with(&self, operation: &str, terms: Terms) -> Result<Authorised, Error> {
        let inner = self.tokio.block_on(self.inner.authorize_with(operation, terms))?;
        Ok(Authorised { inner, tokio: Arc::clone(&self.tokio) })
    }

    /// As [`crate::Resource::invoke`].
    ///
    /// # Errors
    /// The same.
    pub fn invoke(&self, export: &str, arguments: &[Val]) -> Result<Vec<Val>, Error> {
        self.tokio.block_on(self.inner.invoke(export, arguments))
    }

    /// As [`crate::Resource::run`].
    ///
    /// # Errors
    /// The same.
    pub fn run(&self, command: Command) -> Result<Exit, Error> {
        self.tokio.block_on(self.inner.run(command))
    }

    /// What does not wait.
    #[must_use]
    pub const fn inner(&self) -> &crate::Resource {
        &self.inner
    }
}

/// A [`crate::Authorised`] whose methods wait.
#[derive(Debug)]
pub struct Authorised {
    inner: crate::Authorised,
    tokio: Arc<Tokio>,
}

impl Authorised {
    /// As [`crate::Authorised::call`].
    ///
    /// # Errors
    /// The same.
    pub fn call(&self, export: &str, arguments: &[Val]) -> Result<Vec<Val>, Error> {
        self.tokio.block_on(self.inner.call(export, arguments))
    }

    /// As [`crate::Authorised::run`].
    ///
    /// # Errors
    /// The same.
    pub fn run(&self, command: Command) -> Result<Exit, Error> {
        self.tokio.block_on(self.inner.run(command))
    }

    /// What does not wait.
    #[must_use]
    pub const fn inner(&self) -> &crate::Authorised {
        &self.inner
    }
}
