//! A code part, decrypted, checked and compiled, with its exports looked up.

use crate::cache::deserialise::deserialise;
use crate::cache::sealing::EngineId;
use crate::cache::{CompiledCache, CompiledOf};
use crate::error::Error;
use crate::ports::progress::Step;
use crate::run::compile::CheckedBody;
use crate::run::contents::Contents;
use crate::run::instance::State;
use crate::run::limits::Results;
use crate::run::linkers::Linkers;
use crate::run::services::Services;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::{PartKind, PartName};
use std::collections::BTreeMap;
use wasmtime::component::types::{self, ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Type};

/// A compiled body. All of its imports are type-checked; making an instance is all that is left.
pub(crate) struct Body {
    pub(crate) pre: InstancePre<State>,
    /// What typed calls are checked against.
    pub(crate) ty: types::Component,
    exports: BTreeMap<String, Export>,
}

/// An exported function.
#[derive(Clone)]
pub(crate) struct Export {
    /// As the manifest spells it.
    pub(crate) name: String,
    pub(crate) index: ComponentExportIndex,
    pub(crate) ty: ComponentFunc,
    /// What a call with values gives.
    pub(crate) results: Results,
}

impl Body {
    /// Opens a code part with the key of a grant: takes over what is in the cache, or decrypts, checks the surface and
    /// compiles. Then links. The plaintext is wiped at the end.
    pub(crate) fn open(
        services: &Services,
        linkers: &Linkers,
        contents: &Contents,
        part: &PartName,
        key: &FileKey,
    ) -> Result<Self, Error> {
        services.progress.step(&contents.signed, Step::Opening(part));
        let manifest = contents.signed.manifest();
        let of = CompiledOf { resource: &contents.signed, part, key, engine: EngineId::of(&services.engine) };
        let component = match services.cache.as_ref().and_then(|cache| Self::cached(cache, services, contents, &of)) {
            Some(component) => component,
            None => Self::compile(services, contents, &of)?,
        };
        let handed = services.bills.handed_to(&contents.signed.digest());
        let pre = linkers.for_resource(handed.as_ref()).instantiate_pre(&component);
        let pre = pre.map_err(|error| Error::Body(error.root_cause().to_string()))?;
        let exports = manifest.exports.iter().filter_map(|name| Some((name.clone(), find(&component, name)?)));
        Ok(Self { pre, ty: component.component_type(), exports: exports.collect() })
    }

    /// What was compiled before. The body was checked then, and the resource digest stands for the same body; the
    /// key is checked as ever, and so is the bound on its size, which may have become lower.
    fn cached(
        cache: &CompiledCache,
        services: &Services,
        contents: &Contents,
        of: &CompiledOf<'_>,
    ) -> Option<Component> {
        let entry = of.resource.manifest().parts.iter().find(|entry| entry.name == *of.part)?;
        if entry.kind != PartKind::Code || entry.size > contents.limits.body {
            return None;
        }
        contents.sealed.check_key(of.part, of.key).ok()?;
        deserialise(&services.engine, &cache.open(of)?)
    }

    fn compile(services: &Services, contents: &Contents, of: &CompiledOf<'_>) -> Result<Component, Error> {
        let plain = contents.sealed.read_code(of.part, of.key)?;
        let (stub, manifest) = (contents.sealed.stub(), contents.signed.manifest());
        let checked = CheckedBody::check(plain, stub, manifest, &contents.limits)?;
        services.progress.step(of.resource, Step::Compiling(of.part));
        let compiled = checked.compile(&services.engine)?;
        if let Some(cache) = &services.cache {
            cache.keep(of, &compiled);
        }
        Ok(compiled.into_component())
    }

    /// The export of this name, spelled as in the manifest.
    pub(crate) fn export(&self, name: &str) -> Option<&Export> {
        self.exports.get(name)
    }
}

/// `function`, or `interface#function`.
fn find(component: &Component, name: &str) -> Option<Export> {
    let (item, index) = match name.split_once('#') {
        Some((interface, function)) => {
            let (_, interface) = component.get_export(None, interface)?;
            component.get_export(Some(&interface), function)?
        }
        None => component.get_export(None, name)?,
    };
    match item {
        ComponentItem::ComponentFunc(ty) => {
            let results = results(&ty);
            Some(Export { name: name.to_owned(), index, ty, results })
        }
        _ => None,
    }
}

fn results(ty: &ComponentFunc) -> Results {
    let is_bytes = |ty: &Type| matches!(ty, Type::List(list) if matches!(list.ty(), Type::U8));
    let is_dynamic = |ty: &Type| any(ty, &|ty| matches!(ty, Type::String | Type::List(_) | Type::Map(_)));
    let bytes = ty.results().any(|ty| match &ty {
        Type::Result(result) => result.ok().is_some_and(|ok| is_bytes(&ok)),
        ty => is_bytes(ty),
    });
    if bytes {
        Results::BytesAsValues
    } else if ty.results().any(|ty| is_dynamic(&ty)) {
        Results::Dynamic
    } else {
        Results::Fixed
    }
}

/// Whether `is` holds of the type or of one that it is made of. Types of a component are finite trees.
pub(crate) fn any(ty: &Type, is: &dyn Fn(&Type) -> bool) -> bool {
    let within = |ty: &Type| any(ty, is);
    is(ty)
        || match ty {
            Type::List(list) => within(&list.ty()),
            Type::FixedLengthList(list) => within(&list.ty()),
            Type::Map(map) => within(&map.key()) || within(&map.value()),
            Type::Record(record) => record.fields().any(|field| within(&field.ty)),
            Type::Tuple(tuple) => tuple.types().any(|ty| within(&ty)),
            Type::Variant(variant) => variant.cases().any(|case| case.ty.is_some_and(|ty| within(&ty))),
            Type::Option(option) => within(&option.ty()),
            Type::Result(result) => [result.ok(), result.err()].iter().flatten().any(within),
            _ => false,
        }
}
