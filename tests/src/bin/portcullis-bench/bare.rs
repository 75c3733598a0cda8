//! The bare minimum: the same component in the same engine, with the same bounds and nobody to ask.

use crate::resource::{ADD, ECHO};
use anyhow::{Context as _, Result, anyhow};
use portcullis_host::{Limits, Pool, engine_config};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower, ResourceTable,
    TypedFunc,
};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Epochs that a call may take: 300 s at 100 a second, as the runtime has.
const EPOCHS: u64 = 30_000;

/// What WASI and the bounds need.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    limits: StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The component, ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    limits: Limits,
    add: ComponentExportIndex,
    echo: ComponentExportIndex,
}

impl Bare {
    pub(crate) fn new(body: &[u8], pool: Option<Pool>) -> Result<Self> {
        let limits = Limits::default();
        let engine = Engine::new(&engine_config(&limits, pool)).map_err(failed)?;
        let component = Component::from_binary(&engine, body).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(failed)?;
        // The gate, which no measured call enters.
        linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
        let export = |name: &str| {
            let (interface, function) = name.split_once('#')?;
            let interface = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&interface), function)
        };
        let add = export(ADD).context("no export `add`")?;
        let echo = export(ECHO).context("no export `echo`")?;
        Ok(Self { pre: linker.instantiate_pre(&component).map_err(failed)?, engine, limits, add, echo })
    }

    /// A new store with its instance.
    pub(crate) async fn instantiate(&self) -> Result<Live> {
        let limits = &self.limits;
        let bounds = StoreLimitsBuilder::new()
            .memory_size(usize::try_from(limits.memory)?)
            .table_elements(usize::try_from(limits.table_elements)?)
            .instances(limits.instances as usize)
            .tables(limits.tables as usize)
            .memories(limits.memories as usize)
            .trap_on_grow_failure(true)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.objects as usize);
        let state = State { table, wasi: WasiCtxBuilder::new().build(), limits: bounds };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_max_component_handles(limits.handles as usize);
        store.set_hostcall_fuel(usize::try_from(limits.result)?);
        store.set_epoch_deadline(EPOCHS);
        let instance = self.pre.instantiate_async(&mut store).await.map_err(failed)?;
        Ok(Live { store, instance })
    }

    pub(crate) fn add(&self, live: &mut Live) -> Result<Bound<(u32, u32), (u32,)>> {
        live.bind(&self.add)
    }

    pub(crate) fn echo(&self, live: &mut Live) -> Result<Echo> {
        live.bind(&self.echo)
    }
}

/// A store with its instance.
pub(crate) struct Live {
    store: Store<State>,
    instance: Instance,
}

/// A function of an instance.
pub(crate) struct Bound<P, R>(TypedFunc<P, R>);

/// Bytes in, the same bytes out.
pub(crate) type Echo = Bound<(&'static [u8],), (Vec<u8>,)>;

impl Live {
    fn bind<P, R>(&mut self, export: &ComponentExportIndex) -> Result<Bound<P, R>>
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + 'static,
    {
        Ok(Bound(self.instance.get_typed_func(&mut self.store, export).map_err(failed)?))
    }

    /// One call, with its own time.
    pub(crate) async fn call<P, R>(&mut self, function: &Bound<P, R>, arguments: P) -> Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.store.set_epoch_deadline(EPOCHS);
        function.0.call_async(&mut self.store, arguments).await.map_err(failed)
    }
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("the bare engine: {error:#}")
}
