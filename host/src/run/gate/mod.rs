//! The host side of `portcullis:gate`: the cycle and the vault, as a resource sees them.
//!
//! An embedder's store type stays its own: it lends a [`GateView`] and links with [`link`]. Handles are entries of its
//! resource table; dropping one, or the store, releases what it holds.

mod billing;
mod bills;
pub(crate) mod error;
pub(crate) mod handles;
mod vault;

use error::{GateError, VaultFailure};
use handles::{CodeHandle, GrantHandle, PartHandle, RequestedCode};

use crate::ports::gatekeeper::Refused;
use crate::ports::progress::Step;
use crate::run::active_grant::{ActiveGrant, CyclesLeft};
use crate::run::bindings;
use crate::run::contents::Contents;
use crate::run::handed_bills::HandedBills;
use crate::run::part;
use crate::run::services::Services;
use portcullis_protocol::OperationName;
use portcullis_protocol::limits::MAX_NAME;
use portcullis_protocol::text::disturbs;
use std::sync::{Arc, Weak};
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker, ResourceTable};

/// The gate of one store: the grant that its calls run under, and what was verified inside.
pub(crate) struct GateCtx {
    services: Arc<Services>,
    contents: Arc<Contents>,
    entry: Arc<ActiveGrant>,
    verified: Vec<Weak<ActiveGrant>>,
    prompts_left: u32,
    /// However they come about: by a request, or by renewing what is held.
    cycles_left: CyclesLeft,
    /// How many more parts of this store may be read ahead.
    ahead: Arc<Semaphore>,
    /// The bills that the user handed over, if any.
    bills: Option<HandedBills>,
}

impl GateCtx {
    pub(crate) fn new(
        services: Arc<Services>,
        contents: Arc<Contents>,
        entry: Arc<ActiveGrant>,
        bills: Option<HandedBills>,
    ) -> Self {
        let (prompts_left, cycles_left, ahead) =
            (contents.limits.prompts, CyclesLeft(contents.limits.cycles), part::readers());
        Self { services, contents, entry, verified: Vec::new(), prompts_left, cycles_left, ahead, bills }
    }

    /// A new call begins: what is bounded per call starts again.
    pub(crate) fn begin_call(&mut self) {
        let limits = &self.contents.limits;
        (self.prompts_left, self.cycles_left) = (limits.prompts, CyclesLeft(limits.cycles));
    }

    /// Makes sure that a held grant is in time.
    async fn ensure(&mut self, held: &ActiveGrant) -> Result<(), Refused> {
        held.ensure_within(&mut self.cycles_left, &self.services, &self.contents.signed).await
    }

    fn step(&self, step: Step<'_>) {
        self.services.progress.step(&self.contents.signed, step);
    }

    /// A held grant that covers the operation: nothing more is drawn for it.
    fn covering(&mut self, operation: &OperationName, quantity: u32) -> Option<Arc<ActiveGrant>> {
        self.verified.retain(|held| held.strong_count() > 0);
        std::iter::once(Arc::clone(&self.entry))
            .chain(self.verified.iter().filter_map(Weak::upgrade))
            .find(|held| held.grant().document().operation == *operation && held.covers(quantity, held.now()))
    }
}

/// A view of the gate in an embedder's store.
pub(crate) struct GateView<'a> {
    pub(crate) ctx: &'a mut GateCtx,
    pub(crate) table: &'a mut ResourceTable,
}

/// A store type with a gate.
pub(crate) trait HasGate: Send {
    /// The gate and the table of handles.
    fn gate(&mut self) -> GateView<'_>;
}

struct Gate;

impl HasData for Gate {
    type Data<'a> = GateView<'a>;
}

/// Links `portcullis:gate`.
pub(crate) fn link<T: HasGate + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    bindings::types::add_to_linker::<T, Gate>(linker, T::gate)?;
    bindings::billing::add_to_linker::<T, Gate>(linker, T::gate)?;
    bindings::vault::add_to_linker::<T, Gate>(linker, T::gate)
}

/// Links `portcullis:gate/bills` as well: for resources that were handed bills, and no others.
pub(crate) fn link_bills<T: HasGate + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    bindings::bills::add_to_linker::<T, Gate>(linker, T::gate)
}

/// A name of the resource's own, as others may read it.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !disturbs(*c)).take(MAX_NAME).collect()
}
