//! A code part, decrypted, checked and compiled, with its exports looked up.

use crate::cache::CompiledOf;
use crate::compile::CheckedBody;
use crate::error::Error;
use crate::limits::Results;
use crate::progress::Step;
use crate::resource::Contents;
use crate::runtime::Services;
use crate::store::State;
use portcullis_protocol::PartName;
use portcullis_protocol::age::FileKey;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Type};

/// A compiled body. All of its imports are type-checked; making an instance is all that is left.
pub(crate) struct Body {
    pub(crate) pre: InstancePre<State>,
    exports: BTreeMap<String, Export>,
}

/// An exported function.
#[derive(Clone)]
pub(crate) struct Export {
    pub(crate) index: ComponentExportIndex,
    pub(crate) ty: ComponentFunc,
    /// What a call with values gives.
    pub(crate) results: Results,
}

impl Body {
    /// Decrypts with the key of a grant, checks the surface, compiles, links. The plaintext is wiped at the end.
    pub(crate) fn open(
        services: &Services,
        contents: &Contents,
        part: &PartName,
        key: &FileKey,
    ) -> Result<Self, Error> {
        services.progress.step(&contents.signed, Step::Opening(part));
        let plain = contents.sealed.read_code(part, key)?;
        let manifest = contents.signed.manifest();
        let checked = CheckedBody::check(plain, contents.sealed.stub(), manifest, contents.limits.body)?;
        services.progress.step(&contents.signed, Step::Compiling(part));
        let component = checked.compile(&services.engine)?;
        if services.cache.keeps() {
            let mut engine = DefaultHasher::new();
            services.engine.precompile_compatibility_hash().hash(&mut engine);
            let of = CompiledOf { resource: contents.signed.digest(), part, key, engine: engine.finish() };
            match component.serialize() {
                Ok(compiled) => services.cache.put(&of, &zeroize::Zeroizing::new(compiled)),
                Err(error) => tracing::debug!(%error, "compiled code cannot be serialised"),
            }
        }
        let pre = services.linker.instantiate_pre(&component);
        let pre = pre.map_err(|error| Error::Body(error.root_cause().to_string()))?;
        let exports = manifest.exports.iter().filter_map(|name| Some((name.clone(), find(&component, name)?)));
        Ok(Self { pre, exports: exports.collect() })
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
            Some(Export { index, ty, results })
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
