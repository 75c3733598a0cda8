//! The structural type of a function, as text.
//!
//! Aliases are resolved and names of plain types are left out, so that two spellings of one type agree. A resource has
//! an identity instead of a structure: its interface and its name.

use super::SurfaceError;
use crate::limits::MAX_SURFACE;
use std::collections::{BTreeMap, HashMap};
use wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldKey,
};

/// What each alias of a type stands for in the end, so that a chain of them is walked once, however many names it has.
pub(super) struct Aliases(HashMap<TypeId, Type>);

impl Aliases {
    pub(super) fn of(resolve: &Resolve) -> Self {
        let mut bases: HashMap<TypeId, Type> = HashMap::new();
        let mut chain = Vec::new();
        for (id, _) in &resolve.types {
            let mut ty = Type::Id(id);
            while let Type::Id(id) = ty {
                if let Some(base) = bases.get(&id) {
                    ty = *base;
                    break;
                }
                let TypeDefKind::Type(next) = &resolve.types[id].kind else { break };
                chain.push(id);
                ty = *next;
            }
            bases.extend(chain.drain(..).map(|alias| (alias, ty)));
        }
        Self(bases)
    }

    /// What an alias stands for: never another alias. `None` of what is none.
    fn base(&self, id: TypeId) -> Option<Type> {
        self.0.get(&id).copied()
    }

    /// Whether a type is a resource of its own, or another name for one.
    pub(super) fn is_resource(&self, resolve: &Resolve, id: TypeId) -> bool {
        match self.base(id).unwrap_or(Type::Id(id)) {
            Type::Id(id) => matches!(resolve.types[id].kind, TypeDefKind::Resource),
            _ => false,
        }
    }
}

/// Writes types out, within a bound over all of them: a few nested types can stand for a text without end.
pub(super) struct Signatures<'a> {
    resolve: &'a Resolve,
    aliases: &'a Aliases,
    inline: BTreeMap<InterfaceId, String>,
    left: usize,
}

impl<'a> Signatures<'a> {
    pub(super) const fn new(resolve: &'a Resolve, aliases: &'a Aliases, inline: BTreeMap<InterfaceId, String>) -> Self {
        Self { resolve, aliases, inline, left: MAX_SURFACE }
    }

    /// The name under which the world has an interface.
    pub(super) fn interface(&self, key: &WorldKey, id: InterfaceId) -> String {
        match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(_) => self.owner(id),
        }
    }

    /// `async (name: type, …) -> type`.
    pub(super) fn of(&mut self, function: &Function) -> Result<String, SurfaceError> {
        let mut text = String::new();
        if is_async(&function.kind) {
            self.put("async ", &mut text)?;
        }
        self.put("(", &mut text)?;
        for (index, param) in function.params.iter().enumerate() {
            self.put(if index == 0 { "" } else { ", " }, &mut text)?;
            self.put(&param.name, &mut text)?;
            self.put(": ", &mut text)?;
            self.of_type(&param.ty, &mut text)?;
        }
        self.put(")", &mut text)?;
        if let Some(result) = &function.result {
            self.put(" -> ", &mut text)?;
            self.of_type(result, &mut text)?;
        }
        Ok(text)
    }

    fn of_type(&mut self, ty: &Type, to: &mut String) -> Result<(), SurfaceError> {
        let plain = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Id(id) => return self.of_id(*id, to),
        };
        self.put(plain, to)
    }

    fn of_id(&mut self, id: TypeId, to: &mut String) -> Result<(), SurfaceError> {
        let resolve = self.resolve;
        match &resolve.types[id].kind {
            TypeDefKind::Type(ty) => {
                self.take(1)?;
                let base = self.aliases.base(id).unwrap_or(*ty);
                self.of_type(&base, to)
            }
            TypeDefKind::Resource => {
                let name = self.resource(id);
                self.put(&name, to)
            }
            TypeDefKind::Handle(Handle::Own(id)) => self.wrap("own", [Some(&Type::Id(*id))], to),
            TypeDefKind::Handle(Handle::Borrow(id)) => self.wrap("borrow", [Some(&Type::Id(*id))], to),
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| (field.name.as_str(), Some(&field.ty)));
                self.named("record", fields, to)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| (case.name.as_str(), case.ty.as_ref()));
                self.named("variant", cases, to)
            }
            TypeDefKind::Flags(flags) => {
                self.named("flags", flags.flags.iter().map(|flag| (flag.name.as_str(), None)), to)
            }
            TypeDefKind::Enum(cases) => {
                self.named("enum", cases.cases.iter().map(|case| (case.name.as_str(), None)), to)
            }
            TypeDefKind::Tuple(tuple) => self.wrap("tuple", tuple.types.iter().map(Some), to),
            TypeDefKind::Option(ty) => self.wrap("option", [Some(ty)], to),
            TypeDefKind::Result(result) => self.wrap("result", [result.ok.as_ref(), result.err.as_ref()], to),
            TypeDefKind::List(ty) => self.wrap("list", [Some(ty)], to),
            TypeDefKind::Map(key, value) => self.wrap("map", [Some(key), Some(value)], to),
            TypeDefKind::FixedLengthList(ty, len) => self.wrap(&format!("list-{len}"), [Some(ty)], to),
            TypeDefKind::Future(ty) => self.wrap("future", [ty.as_ref()], to),
            TypeDefKind::Stream(ty) => self.wrap("stream", [ty.as_ref()], to),
            TypeDefKind::Unknown => Err(SurfaceError::Unreadable("a type of unknown form".into())),
        }
    }

    fn wrap<'t>(
        &mut self,
        name: &str,
        types: impl IntoIterator<Item = Option<&'t Type>>,
        to: &mut String,
    ) -> Result<(), SurfaceError> {
        self.put(name, to)?;
        self.put("<", to)?;
        for (index, ty) in types.into_iter().enumerate() {
            self.put(if index == 0 { "" } else { ", " }, to)?;
            match ty {
                Some(ty) => self.of_type(ty, to)?,
                None => self.put("_", to)?,
            }
        }
        self.put(">", to)
    }

    fn named<'t>(
        &mut self,
        kind: &str,
        members: impl Iterator<Item = (&'t str, Option<&'t Type>)>,
        to: &mut String,
    ) -> Result<(), SurfaceError> {
        self.put(kind, to)?;
        self.put("{", to)?;
        for (index, (name, ty)) in members.enumerate() {
            self.put(if index == 0 { "" } else { ", " }, to)?;
            self.put(name, to)?;
            if let Some(ty) = ty {
                self.put(": ", to)?;
                self.of_type(ty, to)?;
            }
        }
        self.put("}", to)
    }

    fn resource(&self, id: TypeId) -> String {
        let definition = &self.resolve.types[id];
        let name = definition.name.as_deref().unwrap_or("?");
        match definition.owner {
            TypeOwner::Interface(interface) => format!("{}.{name}", self.owner(interface)),
            TypeOwner::World(_) | TypeOwner::None => name.to_owned(),
        }
    }

    fn owner(&self, id: InterfaceId) -> String {
        let interface = &self.resolve.interfaces[id];
        match (self.inline.get(&id), interface.package, &interface.name) {
            (Some(name), _, _) => name.clone(),
            (None, Some(package), Some(name)) => self.resolve.id_of_name(package, name),
            (None, _, name) => name.clone().unwrap_or_else(|| "?".into()),
        }
    }

    fn put(&mut self, text: &str, to: &mut String) -> Result<(), SurfaceError> {
        self.take(text.len())?;
        to.push_str(text);
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), SurfaceError> {
        self.left = self.left.checked_sub(bytes).ok_or(SurfaceError::TooLarge)?;
        Ok(())
    }
}

const fn is_async(kind: &FunctionKind) -> bool {
    matches!(kind, FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) | FunctionKind::AsyncStatic(_))
}
