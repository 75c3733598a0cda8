//! What bodies are linked with.

use crate::run::handed_bills::HandedBills;
use crate::run::instance::State;
use crate::run::{gate, wasi};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// What bodies are linked with. A body that was not handed bills finds no such interface.
pub(crate) struct Linkers {
    plain: Linker<State>,
    with_bills: Linker<State>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut plain = Linker::new(engine);
        wasi::link(&mut plain)?;
        gate::link(&mut plain)?;
        let mut with_bills = plain.clone();
        gate::link_bills(&mut with_bills)?;
        Ok(Self { plain, with_bills })
    }

    /// The one for a resource: what it was handed is the evidence that the user agreed.
    pub(crate) const fn for_resource(&self, handed: Option<&HandedBills>) -> &Linker<State> {
        match handed {
            Some(_) => &self.with_bills,
            None => &self.plain,
        }
    }
}
