//! The cheater's engine: wasmtime without Portcullis, which satisfies every import and says yes to everything.

use anyhow::{Context as _, Result, anyhow};
use wasmtime::component::{Component, Func, Instance, Linker, Resource, ResourceType, Val};
use wasmtime::{Engine, Store, StoreContextMut};

const BILLING: &str = "portcullis:gate/billing@0.1.0";
const VAULT: &str = "portcullis:gate/vault@0.1.0";
const API: &str = "test:guest/api@1.0.0";

/// A grant out of nothing.
struct Yes;

/// The engine's errors are of a type of their own.
fn plainly(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// Runs a component with a billing that always says yes.
pub(super) struct Plain {
    store: Store<()>,
    instance: Instance,
}

impl Plain {
    /// Compiles and instantiates.
    pub(super) fn instantiate(component: &[u8]) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, component).map_err(plainly)?;
        let mut linker = Linker::<()>::new(&engine);
        always_yes(&mut linker).map_err(plainly)?;
        linker.define_unknown_imports_as_traps(&component).map_err(plainly)?;
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).map_err(plainly)?;
        Ok(Self { store, instance })
    }

    /// `add(2, 3)`.
    pub(super) fn add(&mut self) -> Result<u32> {
        let function = self.function("add")?;
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, &[Val::U32(2), Val::U32(3)], &mut results).map_err(plainly)?;
        match results {
            [Val::U32(sum)] => Ok(sum),
            _ => Err(anyhow!("not a number")),
        }
    }

    /// `entry()`: asks billing for the grant it runs under. Whether it was given one.
    pub(super) fn entry(&mut self) -> Result<bool> {
        let function = self.function("entry")?;
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, &[], &mut results).map_err(plainly)?;
        Ok(matches!(&results, [Val::Tuple(values)] if values.first() == Some(&Val::U32("view".len() as u32))))
    }

    fn function(&mut self, name: &str) -> Result<Func> {
        let api = self.instance.get_export_index(&mut self.store, None, API).context("no such interface")?;
        let function = self.instance.get_export_index(&mut self.store, Some(&api), name).context("no such function")?;
        self.instance.get_func(&mut self.store, function).context("no function")
    }
}

fn always_yes(linker: &mut Linker<()>) -> wasmtime::Result<()> {
    type Ctx<'a> = StoreContextMut<'a, ()>;
    let mut billing = linker.instance(BILLING)?;
    billing.resource("grant", ResourceType::host::<Yes>(), |_, _| Ok(()))?;
    billing.func_wrap("entry", |_: Ctx<'_>, (): ()| Ok((Resource::<Yes>::new_own(1),)))?;
    billing.func_wrap("[method]grant.operation", |_: Ctx<'_>, (_,): (Resource<Yes>,)| Ok(("view".to_owned(),)))?;
    billing.func_wrap("[method]grant.document", |_: Ctx<'_>, (_,): (Resource<Yes>,)| Ok(("yes".to_owned(),)))?;
    // The vault takes the same grants.
    linker.instance(VAULT)?.resource("grant", ResourceType::host::<Yes>(), |_, _| Ok(()))?;
    Ok(())
}
