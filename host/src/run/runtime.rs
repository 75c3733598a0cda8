//! The runtime: one engine, one gatekeeper, any number of resources.

use crate::cache::CompiledCache;
use crate::error::Error;
use crate::ports::bills::Bills;
use crate::ports::consent::{Consent, DeclineAll};
use crate::ports::gatekeeper::{Gatekeeper, RefuseAll};
use crate::ports::progress::{Progress, Quiet};
use crate::run::engine::{self, Pool};
use crate::run::handed_bills::LentBills;
use crate::run::limits::Limits;
use crate::run::linkers::Linkers;
use crate::run::resource::Resource;
use crate::run::services::Services;
use crate::run::source::Source;
use crate::run::spending::Spending;
use crate::run::streams::endpoint::Output;
use crate::run::wasi::Lent;
use crate::state::clock::{Clock, SystemClock};
use portcullis_protocol::{Currency, Money};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Loads sealed resources. Cheap to clone; clones share the engine.
#[derive(Clone)]
pub struct Runtime {
    services: Arc<Services>,
    linkers: Arc<Linkers>,
}

impl Runtime {
    /// A runtime to be configured.
    #[must_use]
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Opens a sealed resource and verifies its signatures, stub and block lists. Decrypts and compiles nothing.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Sealed`] if it is not what its publisher signed.
    pub fn load(&self, source: impl Into<Source>) -> Result<Resource, Error> {
        Resource::load(Arc::clone(&self.services), Arc::clone(&self.linkers), source.into())
    }

    /// What metered operations have cost since this runtime was built, in a currency. Requests under way count.
    #[must_use]
    pub fn spent(&self, currency: Currency) -> Money {
        self.services.spending.spent(currency)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("limits", &self.services.limits).finish_non_exhaustive()
    }
}

/// Configures a [`Runtime`]. Without a gatekeeper every operation is refused; without a consent every priced request
/// from inside a resource is.
pub struct RuntimeBuilder {
    gatekeeper: Box<dyn Gatekeeper>,
    consent: Box<dyn Consent>,
    progress: Box<dyn Progress>,
    cache: Option<CompiledCache>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    lent: Lent,
    bills: Option<Arc<dyn Bills>>,
    stderr: Output,
    caps: BTreeMap<Currency, Money>,
    pool: Option<Pool>,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            gatekeeper: Box::new(RefuseAll),
            consent: Box::new(DeclineAll),
            progress: Box::new(Quiet),
            cache: None,
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            lent: Lent::default(),
            bills: None,
            stderr: Output::default(),
            caps: BTreeMap::new(),
            pool: None,
        }
    }
}

impl RuntimeBuilder {
    /// Who answers for grants.
    #[must_use]
    pub fn gatekeeper(mut self, gatekeeper: impl Gatekeeper + 'static) -> Self {
        self.gatekeeper = Box::new(gatekeeper);
        self
    }

    /// Who asks the user.
    #[must_use]
    pub fn consent(mut self, consent: impl Consent + 'static) -> Self {
        self.consent = Box::new(consent);
        self
    }

    /// Who is told what takes time.
    #[must_use]
    pub fn progress(mut self, progress: impl Progress + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Where compiled code is kept between runs, sealed. [`crate::Client::runtime`] gives the terminal's.
    #[must_use]
    pub fn cache(mut self, cache: CompiledCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Keeps no compiled code: each run compiles anew.
    #[must_use]
    pub fn no_cache(mut self) -> Self {
        self.cache = None;
        self
    }

    /// Who tells the time by which grants are judged, unless the gatekeeper knows a server's own
    /// ([`Gatekeeper::clock`]).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What a resource may take at most.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What resources get of the machine, where their manifest asks for it.
    #[must_use]
    pub fn lend(mut self, lent: Lent) -> Self {
        self.lent = lent;
        self
    }

    /// Who has records of the user's bills. A resource is handed them if its manifest asks for them and the user agrees
    /// ([`Consent::hand_over`]). Without this no resource that reads bills can run.
    #[must_use]
    pub fn bills(mut self, bills: impl Bills + 'static) -> Self {
        self.bills = Some(Arc::new(bills));
        self
    }

    /// Takes what resources write to standard error while their functions are called: what they report, the text
    /// of a panic. By default nowhere. A command has a standard error of its own.
    #[must_use]
    pub fn stderr(mut self, stderr: Output) -> Self {
        self.stderr = stderr;
        self
    }

    /// What metered operations may cost in this session at most, over all resources of the runtime. Beyond it a
    /// request is refused with `confirmation-required`, and nothing goes out. One cap per currency, the last one
    /// given; with any cap, nothing can be spent in a currency that has none.
    #[must_use]
    pub fn spending_cap(mut self, cap: Money) -> Self {
        self.caps.insert(cap.currency(), cap);
        self
    }

    /// Makes instances from a pool: for servers that run many. Without it they are made on demand.
    #[must_use]
    pub const fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Makes the engine and links what resources may import.
    ///
    /// # Errors
    /// [`Error::Engine`] if the machine does not give what the engine needs.
    pub fn build(self) -> Result<Runtime, Error> {
        let (engine, ticks) = engine::start(&self.limits, self.pool, self.clock)?;
        let linkers = Linkers::new(&engine).map_err(|error| Error::engine(&error))?;
        let Self { gatekeeper, consent, progress, cache, limits, lent, bills, stderr, caps, .. } = self;
        let spending = Arc::new(Spending::new(caps));
        let bills = LentBills::new(bills);
        let services =
            Services { engine, ticks, gatekeeper, consent, progress, cache, limits, lent, bills, stderr, spending };
        Ok(Runtime { services: Arc::new(services), linkers: Arc::new(linkers) })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder").field("limits", &self.limits).field("pool", &self.pool).finish_non_exhaustive()
    }
}
