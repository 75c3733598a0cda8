//! The canonical surface of a component: what it imports and exports, function by function.
//!
//! Two components have the same surface where every function has the same name and the same structural signature,
//! whatever the order of their types, and whatever types nobody uses. The host compares a decrypted body with the stub
//! that the publisher signed; `seal` compares the bodies of one resource with each other.

mod function_type;
mod imports;
mod signature;

pub use function_type::{FunctionType, ValueType};
pub use imports::{BILLING, ImportRefused, check_import};

use crate::census::{self, Census, CensusError};
use crate::documents::Manifest;
use crate::sealed::PREAMBLE;
use signature::{Aliases, Signatures};
use std::collections::{BTreeMap, BTreeSet};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{InterfaceId, Resolve, WorldItem, WorldKey};

/// What a component imports and exports at its top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    imports: BTreeMap<String, String>,
    exports: BTreeMap<String, String>,
    interfaces: BTreeSet<String>,
}

/// Why a component is not accepted for its surface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SurfaceError {
    /// Not a component, or one whose types cannot be expressed in WIT.
    #[error("not a component that can be read: {0}")]
    Unreadable(String),
    /// It consists of more than is ever read.
    #[error("the component exceeds what is read: {0}")]
    TooMany(CensusError),
    /// Its types are too large to be written out.
    #[error("the types of the component's functions are too large to be compared: simplify its WIT")]
    TooLarge,
    /// No function of `portcullis:gate/billing` is imported at the top level.
    #[error(
        "the component imports no function of `portcullis:gate/billing` at its top level: it was built without the \
         contract, or composed with something that answers in the billing server's place"
    )]
    NoBilling,
    /// An import that the other side does not have.
    #[error("`{0}` is imported by the body, and neither the stub nor the manifest has it")]
    ImportAdded(String),
    /// An export that only one side has.
    #[error("`{0}` is exported by one of stub, body and manifest, and not by the others")]
    ExportDiffers(String),
    /// An import that the manifest and the stub do not agree on.
    #[error("`{0}` is imported by one of stub and manifest, and not by the other")]
    ImportDiffers(String),
    /// A function with the same name and another type.
    #[error("`{name}` has the type `{body}` in the body and `{stub}` in the stub")]
    TypeDiffers {
        /// The function.
        name: String,
        /// Its type in the stub.
        stub: String,
        /// Its type in the body.
        body: String,
    },
}

impl Surface {
    /// Reads the surface of a component, once it is counted what the component consists of. Buffers the component's
    /// sections: of a sealed resource, give it the stub.
    ///
    /// # Errors
    /// [`SurfaceError::Unreadable`], [`SurfaceError::TooMany`], [`SurfaceError::TooLarge`].
    pub fn of(component: &[u8]) -> Result<Self, SurfaceError> {
        // What else is wrong with it is said better below.
        if let Err(refused @ CensusError::TooMany { .. }) = census::scan(component) {
            return Err(SurfaceError::TooMany(refused));
        }
        Self::read(component)
    }

    /// The same of a component whose census was taken.
    ///
    /// # Errors
    /// [`SurfaceError::Unreadable`], [`SurfaceError::TooLarge`].
    pub fn of_counted(component: &[u8], _: &Census) -> Result<Self, SurfaceError> {
        Self::read(component)
    }

    fn read(component: &[u8]) -> Result<Self, SurfaceError> {
        if !component.starts_with(&PREAMBLE) {
            return Err(SurfaceError::Unreadable("it does not begin as a component does".into()));
        }
        let decoded = decode(component).map_err(|error| SurfaceError::Unreadable(format!("{error:#}")))?;
        let DecodedWasm::Component(resolve, world) = decoded else {
            return Err(SurfaceError::Unreadable("it is a WIT package without code".into()));
        };
        let world = &resolve.worlds[world];
        let aliases = Aliases::of(&resolve);
        let names = interface_names(&resolve, &world.imports, &world.exports);
        let mut signatures = Signatures::new(&resolve, &aliases, names);
        let mut interfaces = BTreeSet::new();
        let mut functions = |items: &Items, interfaces: Option<&mut BTreeSet<String>>| {
            let mut found = BTreeMap::new();
            let mut names = BTreeSet::new();
            for (key, item) in items {
                match item {
                    WorldItem::Function(function) => {
                        names.insert(function.name.clone());
                        found.insert(function.name.clone(), signatures.of(function)?);
                    }
                    WorldItem::Interface { id, .. } => {
                        let interface = signatures.interface(key, *id);
                        let content = &resolve.interfaces[*id];
                        for function in content.functions.values() {
                            found.insert(format!("{interface}#{}", function.name), signatures.of(function)?);
                        }
                        let has_resource = content.types.values().any(|id| aliases.is_resource(&resolve, *id));
                        if has_resource || !content.functions.is_empty() {
                            names.insert(interface);
                        }
                    }
                    WorldItem::Type { id, .. } => {
                        if let (true, Some(name)) = (aliases.is_resource(&resolve, *id), &resolve.types[*id].name) {
                            names.insert(name.clone());
                        }
                    }
                }
            }
            if let Some(to) = interfaces {
                *to = names;
            }
            Ok(found)
        };
        let imports = functions(&world.imports, Some(&mut interfaces))?;
        let exports = functions(&world.exports, None)?;
        Ok(Self { imports, exports, interfaces })
    }

    /// The functions imported, sorted: `interface#function`, or `function` at the top level.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.keys().map(String::as_str)
    }

    /// The functions exported, likewise.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.exports.keys().map(String::as_str)
    }

    /// What is imported by interface: every interface with a function or a resource, and functions and resources at the
    /// top level. Sorted.
    pub fn imported_interfaces(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().map(String::as_str)
    }

    /// The structural type of an imported function, for people and for comparison.
    #[must_use]
    pub fn import_type(&self, name: &str) -> Option<&str> {
        self.imports.get(name).map(String::as_str)
    }

    /// The structural type of an exported function.
    #[must_use]
    pub fn export_type(&self, name: &str) -> Option<&str> {
        self.exports.get(name).map(String::as_str)
    }

    /// Whether a function of `portcullis:gate/billing` is among the imports.
    ///
    /// # Errors
    /// [`SurfaceError::NoBilling`].
    pub fn check_billing(&self) -> Result<(), SurfaceError> {
        let versioned =
            |name: &str| name.strip_prefix(BILLING).is_some_and(|rest| rest.starts_with('@') && rest.contains('#'));
        if self.imports().any(versioned) { Ok(()) } else { Err(SurfaceError::NoBilling) }
    }

    /// Checks that this is the surface of the manifest's stub: the manifest names exactly its functions, and billing is
    /// among its imports.
    ///
    /// # Errors
    /// [`SurfaceError::ImportDiffers`], [`SurfaceError::ExportDiffers`], [`SurfaceError::NoBilling`].
    pub fn check_stub(&self, manifest: &Manifest) -> Result<(), SurfaceError> {
        if let Some(name) = differing(&self.imports, &manifest.imports) {
            return Err(SurfaceError::ImportDiffers(name));
        }
        if let Some(name) = differing(&self.exports, &manifest.exports) {
            return Err(SurfaceError::ExportDiffers(name));
        }
        self.check_billing()
    }

    /// Checks a decrypted body before it is compiled: the stub is the manifest's; the body imports nothing that the
    /// stub does not, billing among it; the exports are equal; every function has the same structural type.
    ///
    /// # Errors
    /// [`SurfaceError`] names the first function that differs.
    pub fn check_body(stub: &Self, body: &Self, manifest: &Manifest) -> Result<(), SurfaceError> {
        stub.check_stub(manifest)?;
        body.check_billing()?;
        body.check_within(stub)
    }

    /// Checks a body against the surface of a stub: imports among its imports, exports equal, types equal.
    pub(crate) fn check_within(&self, stub: &Self) -> Result<(), SurfaceError> {
        if let Some(name) = self.interfaces.difference(&stub.interfaces).next() {
            return Err(SurfaceError::ImportAdded(name.clone()));
        }
        for (name, body) in &self.imports {
            let Some(stub) = stub.imports.get(name) else {
                return Err(SurfaceError::ImportAdded(name.clone()));
            };
            same_type(name, stub, body)?;
        }
        let names: Vec<String> = self.exports.keys().cloned().collect();
        if let Some(name) = differing(&stub.exports, &names) {
            return Err(SurfaceError::ExportDiffers(name));
        }
        self.exports.iter().try_for_each(|(name, body)| same_type(name, &stub.exports[name], body))
    }
}

type Items = wit_parser::IndexMap<WorldKey, WorldItem>;

fn same_type(name: &str, stub: &str, body: &str) -> Result<(), SurfaceError> {
    if stub == body {
        return Ok(());
    }
    Err(SurfaceError::TypeDiffers { name: name.to_owned(), stub: shown(stub), body: shown(body) })
}

/// The beginning of a type, for an error.
fn shown(text: &str) -> String {
    const SHOWN: usize = 200;
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain("…".chars()).collect()
    }
}

/// A name that only one side has.
fn differing(functions: &BTreeMap<String, String>, names: &[String]) -> Option<String> {
    let names: BTreeSet<&String> = names.iter().collect();
    let own: BTreeSet<&String> = functions.keys().collect();
    own.symmetric_difference(&names).next().map(|name| (*name).clone())
}

/// The names of the interfaces that have none of their own: those written into the world.
fn interface_names(resolve: &Resolve, imports: &Items, exports: &Items) -> BTreeMap<InterfaceId, String> {
    let items = imports.iter().chain(exports.iter());
    let inline = items.filter_map(|(key, item)| match (key, item) {
        (WorldKey::Name(name), WorldItem::Interface { id, .. }) if resolve.interfaces[*id].name.is_none() => {
            Some((*id, name.clone()))
        }
        _ => None,
    });
    inline.collect()
}
