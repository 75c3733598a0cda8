//! What every resource of a runtime shares.

use crate::cache::CompiledCache;
use crate::ports::consent::Consent;
use crate::ports::gatekeeper::Gatekeeper;
use crate::ports::progress::Progress;
use crate::run::engine::{ServerTime, Ticks};
use crate::run::handed_bills::LentBills;
use crate::run::limits::Limits;
use crate::run::spending::Spending;
use crate::run::streams::endpoint::Output;
use crate::run::wasi::Lent;
use portcullis_protocol::Origin;
use std::sync::Arc;
use wasmtime::Engine;

/// What every resource of a runtime shares. The linker is not among it: what it links works on these services.
pub(crate) struct Services {
    pub(crate) engine: Engine,
    pub(crate) ticks: Arc<Ticks>,
    pub(crate) gatekeeper: Box<dyn Gatekeeper>,
    pub(crate) consent: Box<dyn Consent>,
    pub(crate) progress: Box<dyn Progress>,
    pub(crate) cache: Option<CompiledCache>,
    pub(crate) limits: Limits,
    pub(crate) lent: Lent,
    pub(crate) bills: LentBills,
    /// Where standard error of calls goes.
    pub(crate) stderr: Output,
    pub(crate) spending: Arc<Spending>,
}

impl Services {
    /// The time by which a server's grants are judged.
    pub(crate) fn time_of(&self, server: &Origin) -> Arc<ServerTime> {
        self.ticks.time_of(server, self.gatekeeper.clock(server))
    }
}
