//! A sealed resource, opened: from a file to something that can be inspected and authorised.

use crate::error::{Error, UnknownName};
use crate::ports::gatekeeper::{CycleRequest, Nonce, Refused};
use crate::ports::progress::Step;
use crate::run::active_grant::ActiveGrant;
use crate::run::arguments::{self, Argument};
use crate::run::authorised::Authorised;
use crate::run::body::Body;
use crate::run::command::Command;
use crate::run::contents::Contents;
use crate::run::function::Function;
use crate::run::inspection::Inspection;
use crate::run::linkers::Linkers;
use crate::run::resolve;
use crate::run::services::Services;
use crate::run::source::Source;
use crate::run::spending::{self, RequestId, Reserved, cost_of};
use portcullis_protocol::sealed::SealedError;
use portcullis_protocol::{Digest, Offer, OperationName, PartName, Reason, SignedManifest, Verified};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use wasmtime::component::Val;

/// A sealed resource whose signatures, stub and block lists are verified. Nothing of it has been decrypted or compiled.
/// Cheap to clone; clones share what is held.
#[derive(Clone)]
pub struct Resource {
    services: Arc<Services>,
    linkers: Arc<Linkers>,
    contents: Arc<Contents>,
    /// Compiled bodies, each for as long as a grant for it is held.
    bodies: Arc<tokio::sync::Mutex<BTreeMap<PartName, Weak<Body>>>>,
}

impl Resource {
    pub(crate) fn load(services: Arc<Services>, linkers: Arc<Linkers>, source: Source) -> Result<Self, Error> {
        let sealed = source.open(&services)?;
        let contents = Arc::new(Contents::new(sealed, &services.limits));
        Ok(Self { services, linkers, contents, bodies: Arc::default() })
    }

    /// What is public about it, and what bounds and capabilities it would run with here.
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        let asked = self.signed().manifest().capabilities;
        let mut given = self.services.lent.given(asked);
        given.bills = asked.bills && self.services.bills.is_some();
        Inspection::of(self.signed(), self.contents.limits, given)
    }

    /// The manifest and its signatures.
    #[must_use]
    pub fn signed(&self) -> &SignedManifest {
        &self.contents.signed
    }

    /// The stub: a component with the surface of the body, verified.
    #[must_use]
    pub fn stub(&self) -> &[u8] {
        self.contents.sealed.stub()
    }

    /// The resource digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.contents.signed.digest()
    }

    /// The whole name of an export, from any name that fits it alone: `view`, `picture#view`, `picture@1.0.0#view`,
    /// `lumen:lake/picture#view`. Whatever takes the name of an export takes such a name.
    ///
    /// # Errors
    /// [`Error::UnknownExport`] lists the exports, [`Error::AmbiguousExport`] those that the name fits.
    pub fn export(&self, name: &str) -> Result<&str, Error> {
        resolve::export(self.signed().manifest(), name)
    }

    /// The function of this name, whole or short, with its type: readable without any grant.
    ///
    /// # Errors
    /// As [`Resource::export`]; [`Error::Surface`] if the stub cannot be read.
    pub fn function(&self, export: &str) -> Result<&Function, Error> {
        self.contents.function(self.export(export)?)
    }

    /// The operation that an export belongs to.
    ///
    /// # Errors
    /// [`Error::UnmappedExport`] if it belongs to none; else as [`Resource::export`].
    pub fn operation_of(&self, export: &str) -> Result<&OperationName, Error> {
        let export = self.export(export)?;
        match self.signed().manifest().operation_of(export) {
            Some(operation) => Ok(&operation.name),
            None => Err(Error::UnmappedExport(export.to_owned())),
        }
    }

    /// Reads arguments against the public type of an export, one for each parameter: texts in WAVE, or bytes. Asks no
    /// server and draws nothing, so read them before [`Resource::authorize`].
    ///
    /// # Errors
    /// [`Error::Arguments`] says which one does not fit and what belongs there; else as [`Resource::function`].
    pub fn read_arguments<'a, A>(&self, export: &str, arguments: &'a [A]) -> Result<Vec<Val>, Error>
    where
        &'a A: Into<Argument<'a>>,
    {
        let arguments: Vec<Argument<'_>> = arguments.iter().map(Into::into).collect();
        arguments::read(&self.function(export)?.ty, &arguments, &self.contents.limits)
    }

    /// Checks values against the public type of an export, as every call does before it draws a use. Asks no server.
    ///
    /// # Errors
    /// As [`Resource::read_arguments`].
    pub fn check_arguments(&self, export: &str, arguments: &[Val]) -> Result<(), Error> {
        arguments::check(&self.function(export)?.ty, arguments, &self.contents.limits)
    }

    /// Whether the arguments of a command are no more than it may be given. Asks no server.
    ///
    /// # Errors
    /// [`Error::Arguments`].
    pub fn check_command(&self, command: &Command) -> Result<(), Error> {
        arguments::check_texts(&command.args, &self.contents.limits)
    }

    /// One call with all that belongs to it: checks the arguments, authorises one use of the operation, and calls. If
    /// the arguments do not fit, nothing is asked of a server.
    ///
    /// # Errors
    /// As [`Resource::operation_of`], [`Resource::check_arguments`], [`Resource::authorize`] and [`Authorised::call`].
    pub async fn invoke(&self, export: &str, arguments: &[Val]) -> Result<Vec<Val>, Error> {
        let operation = self.operation_of(export)?;
        self.check_arguments(export, arguments)?;
        self.authorize(operation.as_str()).await?.call(export, arguments).await
    }

    /// The functions that it exports, sorted by name, with their types: readable without any grant.
    ///
    /// # Errors
    /// [`Error::Surface`] if the stub cannot be read.
    pub fn functions(&self) -> Result<Vec<Function>, Error> {
        Ok(self.contents.functions()?.to_vec())
    }

    /// The export that makes it a command, `wasi:cli/run`, if it is one: see [`Resource::run`].
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        let mut exports = self.signed().manifest().exports.iter().map(String::as_str);
        exports.find(|name| crate::run::command::is_run(name))
    }

    /// Reads the whole file once and checks every block against the publisher's signature. Waits for the file: one that
    /// is streamed is fetched, so call it where waiting holds up nobody.
    ///
    /// # Errors
    /// [`Error::Sealed`] names the first block that differs.
    pub fn verify(&self) -> Result<(), Error> {
        Ok(self.contents.sealed.verify_blocks()?)
    }

    /// Runs the cycle for one use of an operation, on whatever rights the account holds.
    ///
    /// # Errors
    /// As [`Resource::authorize_with`].
    pub async fn authorize(&self, operation: &str) -> Result<Authorised, Error> {
        self.authorize_with(operation, Terms::default()).await
    }

    /// Runs the cycle for an operation: request → authenticate → verify. With the grant, decrypts, checks and compiles
    /// the code part that the operation runs. The future can be dropped at any time.
    ///
    /// # Errors
    /// Before anything is asked of a server: [`Error::UnknownOperation`], [`Error::NothingToCall`],
    /// [`Error::BodyTooLarge`], [`Error::Lent`], [`Error::NoBills`], [`Error::Bills`]. [`Error::Refused`] if the
    /// answer is no; and if the body is not what the publisher signed, [`Error::Sealed`], [`Error::Surface`] or
    /// [`Error::Body`].
    pub async fn authorize_with(&self, operation: &str, terms: Terms) -> Result<Authorised, Error> {
        let manifest = self.signed().manifest();
        let unknown = || {
            let known = manifest.operations.iter().map(|operation| operation.name.to_string());
            Error::UnknownOperation(UnknownName::new(operation, known.collect()))
        };
        let name = OperationName::new(operation).map_err(|_| unknown())?;
        let entry = manifest.operation(&name).ok_or_else(unknown)?;
        let code = manifest.code_part(entry).ok_or_else(|| Error::NothingToCall(name.clone()))?;
        self.contents.can_run(code)?;
        self.services.lent.check(manifest.capabilities)?;
        self.services.bills.ask(self.signed(), &*self.services.consent).await?;
        let (progress, signed) = (&self.services.progress, &*self.contents.signed);
        progress.step(signed, Step::Requesting(&name));
        let cost = self.cost(&name, &terms)?;
        let request = CycleRequest {
            resource: Arc::clone(&self.contents.signed),
            operation: name.clone(),
            quantity: terms.quantity,
            offer: terms.offer.as_ref().map(Verified::digest),
            nonce: terms.nonce.clone(),
        };
        let sent = RequestId::from(&request);
        let held_code = self.services.gatekeeper.request(request).await?;
        progress.step(signed, Step::Verifying(&name));
        let released = spending::verify(held_code, sent, cost).await?;
        let held = Arc::new(ActiveGrant::new(released, self.signed(), entry, &terms.nonce, &self.services)?);
        let body = self.body(&code.name, &held).await?;
        progress.step(signed, Step::Ready(&name));
        Ok(Authorised::new(Arc::clone(&self.services), Arc::clone(&self.contents), held, body, entry.clone()))
    }

    /// Counts what terms cost that accept a metered offer. The offer was verified when it arrived; whether it is still
    /// in force the server judges.
    fn cost(&self, operation: &OperationName, terms: &Terms) -> Result<Option<Reserved>, Refused> {
        let Some(offer) = &terms.offer else { return Ok(None) };
        let (sold, manifest) = (offer.document(), self.signed().manifest());
        let is_for_this = sold.publisher == manifest.publisher.name && sold.name == manifest.name;
        if !is_for_this || sold.operation != *operation {
            let detail = format!("the accepted offer is for {}/{}, `{}`", sold.publisher, sold.name, sold.operation);
            return Err(Refused::because(Reason::BindingMismatch, detail));
        }
        cost_of(offer, terms.quantity)?.map(|cost| self.services.spending.reserve(cost)).transpose()
    }

    /// Authorises the operation that `wasi:cli/run` belongs to and runs the command once.
    ///
    /// # Errors
    /// As [`Resource::authorize`] and [`Authorised::run`]; [`Error::UnknownExport`] if it is no command.
    pub async fn run(&self, command: Command) -> Result<crate::Exit, Error> {
        let run = self.command().ok_or_else(|| resolve::no_command(self.signed().manifest()))?;
        self.check_command(&command)?;
        self.authorize(self.operation_of(run)?.as_str()).await?.run(command).await
    }

    /// The compiled body of a code part: one that a grant still holds, or a new one.
    async fn body(&self, part: &PartName, held: &ActiveGrant) -> Result<Arc<Body>, Error> {
        let mut bodies = self.bodies.lock().await;
        let key = held.key(part).ok_or_else(|| Error::Sealed(SealedError::NoSuchPart(part.clone())))?;
        if let Some(body) = bodies.get(part).and_then(Weak::upgrade) {
            self.contents.sealed.check_key(part, key)?;
            return Ok(body);
        }
        let (services, contents) = (Arc::clone(&self.services), Arc::clone(&self.contents));
        let (linkers, name, key) = (Arc::clone(&self.linkers), part.clone(), key.clone());
        // Compiling takes up to seconds. Where the future is dropped it ends by itself, and its result is dropped.
        let body = tokio::task::spawn_blocking(move || Body::open(&services, &linkers, &contents, &name, &key)).await;
        let body = Arc::new(body.map_err(|error| Error::Engine(error.to_string()))??);
        bodies.retain(|_, body| body.strong_count() > 0);
        bodies.insert(part.clone(), Arc::downgrade(&body));
        Ok(body)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({:?})", self.contents.signed)
    }
}

/// On what terms an operation is authorised. The default: one use, on whatever rights the account holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Terms {
    /// How much: how many calls may begin, if the rights are counted or metered. At least 1.
    pub quantity: u32,
    /// The offer that the user accepted: one of [`Gatekeeper::offers`](crate::Gatekeeper::offers), or of a refusal
    /// ([`Refused::offers`]). If the server has changed it since, it refuses. Of a metered offer quantity times price
    /// is drawn from the prepaid balance, if the account holds no other rights; it counts against
    /// [`crate::RuntimeBuilder::spending_cap`].
    pub offer: Option<Verified<Offer>>,
    /// Repeated in the grant.
    pub nonce: Nonce,
}

impl Default for Terms {
    fn default() -> Self {
        Self { quantity: 1, offer: None, nonce: Nonce::default() }
    }
}

impl Terms {
    /// Terms for `quantity` uses.
    #[must_use]
    pub fn uses(quantity: u32) -> Self {
        Self { quantity, ..Self::default() }
    }
}
