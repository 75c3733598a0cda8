//! An authorised operation: the value that calls need.

use crate::error::{Bound, Ended, Error};
use crate::run::active_grant::{ActiveGrant, Entered};
use crate::run::body::{Body, Export};
use crate::run::contents::Contents;
use crate::run::gate::GateCtx;
use crate::run::instance::{Deadline, InstancePlan, LiveInstance, within};
use crate::run::resolve;
use crate::run::services::Services;
use crate::run::streams::endpoint::{Input, Output};
use crate::run::streams::stdio::Bounded;
use crate::run::waiting;
use crate::run::wasi::{self, Stdio};
use futures::lock::{Mutex, MutexGuard};
use portcullis_protocol::{Grant, OperationEntry, OperationName, Verified};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use wasmtime::component::{ComponentNamedList, Lift, Lower};

/// A held grant for one operation, with its body ready to run. Made by [`crate::Resource::authorize`] and nothing else.
///
/// Calls run one after another in one instance, which keeps its state between them. A call that traps, or whose future
/// is dropped, takes the instance with it; the next call gets a new one. Where the grant counts uses, each call draws
/// one. A grant bounded by time alone is renewed in the background for as long as calls are made.
pub struct Authorised {
    pub(crate) services: Arc<Services>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) held: Arc<ActiveGrant>,
    body: Arc<Body>,
    operation: OperationEntry,
    live: Mutex<Option<LiveInstance>>,
}

impl Authorised {
    pub(crate) fn new(
        services: Arc<Services>,
        contents: Arc<Contents>,
        held: Arc<ActiveGrant>,
        body: Arc<Body>,
        operation: OperationEntry,
    ) -> Self {
        Self { services, contents, held, body, operation, live: Mutex::new(None) }
    }

    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> &OperationName {
        &self.operation.name
    }

    /// The exports that can be called.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.operation.exports.iter().map(|name| name.as_str())
    }

    /// The signed grant, as last renewed.
    #[must_use]
    pub fn grant(&self) -> Arc<Verified<Grant>> {
        self.held.grant()
    }

    /// How many calls may still begin; `None` if they are not counted.
    #[must_use]
    pub fn uses_left(&self) -> Option<u32> {
        self.held.uses_left()
    }

    /// Drops the instance with its state, once no call runs in it: the next call gets a new one.
    pub async fn reset(&self) {
        *self.live.lock().await = None;
    }

    /// Passes the gate as a call does, and makes none: for whoever measures the gate alone. Draws a use.
    ///
    /// # Errors
    /// [`Ended`] if no further call may begin.
    #[doc(hidden)]
    #[inline]
    pub fn pass(&self) -> Result<(), Ended> {
        self.held.enter(self.held.now()).map(|_| ())
    }

    /// The export of a name, whole or short, if it runs under this grant.
    pub(crate) fn export(&self, name: &str) -> Result<&Export, Error> {
        if let (true, Some(export)) = (self.exports().any(|own| own == name), self.body.export(name)) {
            return Ok(export);
        }
        let manifest = self.contents.signed.manifest();
        let name = resolve::export(manifest, name)?;
        match manifest.operation_of(name) {
            Some(own) if own.name == self.operation.name => {
                self.body.export(name).ok_or_else(|| Error::Body(format!("it has no export `{name}`")))
            }
            Some(other) => Err(Error::OtherOperation {
                export: name.to_owned(),
                needs: other.name.clone(),
                held: self.operation.name.clone(),
            }),
            None => Err(Error::UnmappedExport(name.to_owned())),
        }
    }

    /// Whether Rust types fit an export.
    pub(crate) fn check_types<P, R>(&self, export: &Export) -> Result<(), Error>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let checked = export.ty.typecheck::<P, R>(&self.body.ty.instance_type());
        checked.map_err(|error| Error::Arguments(error.root_cause().to_string()))
    }

    /// How many seconds one call may run.
    #[inline]
    pub(crate) fn run_seconds(&self) -> u32 {
        self.contents.limits.run_seconds(self.held.run_max())
    }

    /// Passes the gate: in time, renewing if that draws nothing, and with a use drawn.
    async fn enter(&self) -> Result<Entered, Error> {
        match self.held.enter(self.held.now()) {
            Err(Ended::Expired) if self.held.renewable() => {
                self.held.ensure(&self.services, &self.contents.signed).await?;
                Ok(self.held.enter(self.held.now())?)
            }
            entered => Ok(entered?),
        }
    }

    /// The turn of whoever need not wait: nobody else calls, the grant is in time, and there is an instance. No future
    /// is made to find that out. `None` if one of these does not hold; then nothing is drawn.
    #[inline]
    pub(crate) fn turn_now(&self) -> Option<Turn<'_>> {
        let place = self.live.try_lock()?;
        self.ready(place.is_some())?;
        Some(Turn { place: Place::Shared(place), ended: false })
    }

    /// As [`Authorised::turn_now`], for whoever has the value to himself: there is no lock to take.
    #[inline]
    pub(crate) fn own_turn_now(&mut self) -> Option<Turn<'_>> {
        let live = self.live.get_mut().is_some();
        self.ready(live)?;
        Some(Turn { place: Place::Own(self.live.get_mut()), ended: false })
    }

    /// Passes the gate if there is an instance to run in.
    #[inline]
    fn ready(&self, live: bool) -> Option<()> {
        if !live {
            return None;
        }
        self.held.enter(self.held.now()).ok()?;
        self.held.renew_soon(&self.services, &self.contents.signed);
        Some(())
    }

    /// Waits for its turn, passes the gate and sees to it that there is an instance to run in.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let mut place = self.live.lock().await;
        let entered = match self.enter().await {
            Ok(entered) => entered,
            Err(error) => {
                // The grant has ended, and the store ends with it.
                *place = None;
                return Err(error);
            }
        };
        self.held.renew_soon(&self.services, &self.contents.signed);
        if place.is_none() {
            *place = Some(self.begin(self.stdio(), entered).await?);
        }
        Ok(Turn { place: Place::Shared(place), ended: false })
    }

    /// A new instance. It costs what a call costs: evidence of a drawn use.
    async fn instantiate(&self, stdio: Stdio, _: &Entered) -> Result<LiveInstance, Error> {
        let (services, contents) = (&self.services, &self.contents);
        let asked = contents.signed.manifest().capabilities;
        let wasi = if services.lent.given(asked).directories {
            // A lent folder may lie on a disk that does not answer.
            let (services, limits) = (Arc::clone(services), contents.limits);
            let work = waiting::off_thread(move || wasi::context(&services.lent, asked, &limits, stdio));
            within(Deadline::after(self.run_seconds()), pin!(work)).await.ok_or(Error::Limit(Bound::Time))??
        } else {
            wasi::context(&services.lent, asked, &contents.limits, stdio)
        };
        let wasi = wasi.map_err(|error| Error::engine(&error))?;
        let bills = services.bills.handed_to(&contents.signed.digest());
        let gate = GateCtx::new(Arc::clone(services), Arc::clone(contents), Arc::clone(&self.held), bills);
        let (limits, ticks, time) = (&contents.limits, &services.ticks, self.run_seconds());
        LiveInstance::new(&self.body.pre, InstancePlan { limits, ticks, wasi, gate, time }).await
    }

    /// Of calls: no input, output that nobody reads, and standard error as the embedder wants it.
    fn stdio(&self) -> Stdio {
        let stderr = self.services.stderr.clone();
        let most = stderr.most(&self.contents.limits);
        let (stdout, stderr) = (Bounded::new(Output::Discard, u64::MAX), Bounded::new(stderr, most));
        Stdio { args: Vec::new(), stdin: Input::Empty, stdout, stderr }
    }

    /// Passes the gate for a run in an instance of its own.
    pub(crate) async fn single(&self, stdio: Stdio) -> Result<LiveInstance, Error> {
        let entered = self.enter().await?;
        self.begin(stdio, entered).await
    }

    /// A new instance for the use that was drawn, which is given back if the pool has no room for one.
    async fn begin(&self, stdio: Stdio, entered: Entered) -> Result<LiveInstance, Error> {
        let instance = self.instantiate(stdio, &entered).await;
        if matches!(instance, Err(Error::PoolFull)) {
            self.held.give_back(entered);
        }
        instance
    }
}

/// Where an instance rests between calls.
enum Place<'a> {
    /// Others may want it: it is locked.
    Shared(MutexGuard<'a, Option<LiveInstance>>),
    /// Nobody else can reach it.
    Own(&'a mut Option<LiveInstance>),
}

impl Place<'_> {
    #[inline]
    fn get(&mut self) -> &mut Option<LiveInstance> {
        match self {
            Self::Shared(guard) => guard,
            Self::Own(place) => place,
        }
    }
}

/// The instance of an [`Authorised`], in use. It ends with the future that holds it, unless the call came to its end.
pub(crate) struct Turn<'a> {
    /// Holds an instance.
    place: Place<'a>,
    ended: bool,
}

impl Turn<'_> {
    /// The instance.
    #[inline]
    pub(crate) fn live(&mut self) -> &mut LiveInstance {
        self.place.get().as_mut().expect("a turn begins with an instance")
    }

    /// The call came to its end: the next one may have the instance.
    #[inline]
    pub(crate) fn done(mut self) {
        self.ended = true;
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            *self.place.get() = None;
        }
    }
}

impl fmt::Debug for Authorised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorised({}, {:?})", self.operation.name, self.held)
    }
}
