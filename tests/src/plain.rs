//! The cheater's engine: wasmtime without Portcullis, which satisfies every import and says yes to everything.

use anyhow::{Context as _, Result, anyhow, bail};
use wasmtime::component::{Component, Instance, Linker, Resource, ResourceType, Val};
use wasmtime::{Engine, Store, StoreContextMut};

const BILLING: &str = "portcullis:gate/billing@0.1.0";
const VAULT: &str = "portcullis:gate/vault@0.1.0";

/// A grant out of nothing.
struct Yes;

/// The engine's errors are of a type of their own.
fn plainly(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// What linking says where no import is satisfied.
///
/// # Errors
/// If it links all the same, or is no component.
pub fn refused_without_billing(component: &[u8]) -> Result<String> {
    let engine = Engine::default();
    let component = Component::from_binary(&engine, component).map_err(plainly)?;
    match Linker::<()>::new(&engine).instantiate(Store::new(&engine, ()), &component) {
        Ok(_) => bail!("it links without a billing host"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// Runs a component with a billing that always says yes.
pub struct Plain {
    store: Store<()>,
    instance: Instance,
}

impl Plain {
    /// Compiles and instantiates.
    ///
    /// # Errors
    /// What the engine says.
    pub fn instantiate(component: &[u8]) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, component).map_err(plainly)?;
        let mut linker = Linker::<()>::new(&engine);
        always_yes(&mut linker).map_err(plainly)?;
        linker.define_unknown_imports_as_traps(&component).map_err(plainly)?;
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).map_err(plainly)?;
        Ok(Self { store, instance })
    }

    /// Calls an export that gives one thing: `interface#function`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn call(&mut self, export: &str, arguments: &[Val]) -> Result<Val> {
        let (interface, function) = export.split_once('#').context("not `interface#function`")?;
        let outer = self.instance.get_export_index(&mut self.store, None, interface).context("no such interface")?;
        let inner = self.instance.get_export_index(&mut self.store, Some(&outer), function);
        let inner = inner.context("no such function")?;
        let function = self.instance.get_func(&mut self.store, inner).context("no function")?;
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, arguments, &mut results).map_err(plainly)?;
        let [result] = results;
        Ok(result)
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
