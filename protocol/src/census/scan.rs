//! One pass over all sections, at every depth, without building anything.
//!
//! The bytes of a section are bounded before it is read: reading one builds a list of what it holds, and no list is
//! larger than a bounded section can make it.

use super::CensusError;
use super::function::{self, Signatures};
use super::tally::{Counted, Tally};
use std::collections::HashSet;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentDefinedType, ComponentInstance, ComponentType,
    ComponentTypeDeclaration, CoreType, Element, ElementItems, Encoding, FromReader, FuncType, Instance,
    InstanceTypeDeclaration, ModuleTypeDeclaration, Parser, Payload, RecGroup, SectionLimited, SubType, TypeRef,
};

/// Scans a component as it is sealed.
pub(super) fn component(bytes: &[u8]) -> Result<Tally, CensusError> {
    Scan::new(Custom::Bounded).run(bytes)
}

/// Scans a component or core module as a compiler made it.
pub(super) fn any(bytes: &[u8]) -> Result<Tally, CensusError> {
    Scan::new(Custom::Any).run(bytes)
}

/// How much may stand in custom sections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Custom {
    Bounded,
    Any,
}

struct Scan {
    tally: Tally,
    custom: Custom,
    /// Distinct signatures over all modules.
    signatures: HashSet<FuncType>,
    module: Module,
}

/// The core module that is being scanned. Modules do not nest in each other.
#[derive(Default)]
struct Module {
    signatures: Signatures,
    /// The number of the function whose code comes next.
    next: usize,
}

impl Scan {
    fn new(custom: Custom) -> Self {
        Self { tally: Tally::new(), custom, signatures: HashSet::new(), module: Module::default() }
    }

    fn run(mut self, bytes: &[u8]) -> Result<Tally, CensusError> {
        let mut depth = 0_u64;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::Version { encoding: Encoding::Module, .. } => self.module = Module::default(),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    self.tally.largest(Counted::Nesting, depth)?;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.payload(&payload)?;
        }
        Ok(self.tally)
    }

    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), CensusError> {
        match payload {
            Payload::TypeSection(section) => self.types(section),
            Payload::ImportSection(section) => {
                self.module_section(section)?;
                for import in section.clone().into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        self.module.signatures.functions.push(ty);
                        self.module.next += 1;
                    }
                    self.tally.add(Counted::Links, 1)?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => {
                self.module_section(section)?;
                self.tally.add(Counted::Functions, section.count().into())?;
                for ty in section.clone() {
                    self.module.signatures.functions.push(ty?);
                }
                Ok(())
            }
            Payload::TableSection(section) => {
                self.tally.largest(Counted::ModuleTables, section.count().into())?;
                self.variables(section)
            }
            Payload::MemorySection(section) => self.variables(section),
            Payload::TagSection(section) => self.variables(section),
            Payload::GlobalSection(section) => self.variables(section),
            Payload::ExportSection(section) => {
                self.module_section(section)?;
                self.tally.add(Counted::Links, section.count().into())
            }
            Payload::ElementSection(section) => {
                self.module_section(section)?;
                self.tally.add(Counted::Segments, section.count().into())?;
                section.clone().into_iter().try_for_each(|element| self.element(&element?))
            }
            Payload::DataSection(section) => self.tally.add(Counted::Segments, section.count().into()),
            Payload::CodeSectionStart { size, .. } => self.tally.add(Counted::Code, (*size).into()),
            Payload::CodeSectionEntry(body) => {
                let number = self.module.next;
                self.module.next += 1;
                function::count(&mut self.tally, &self.module.signatures, number, body)
            }
            Payload::CustomSection(section) => {
                let size = section.data().len() as u64;
                match self.custom {
                    Custom::Bounded => self.tally.add(Counted::Custom, size),
                    Custom::Any => {
                        self.tally.add_unbounded(Counted::Custom, size);
                        Ok(())
                    }
                }
            }
            other => self.component_payload(other),
        }
    }

    fn component_payload(&mut self, payload: &Payload<'_>) -> Result<(), CensusError> {
        match payload {
            Payload::ModuleSection { .. } => self.tally.add(Counted::Modules, 1),
            Payload::ComponentSection { .. } => self.tally.add(Counted::Components, 1),
            Payload::InstanceSection(section) => {
                self.tally.add(Counted::Instances, section.count().into())?;
                self.wiring(section)?;
                for instance in section.clone() {
                    let within = match instance? {
                        Instance::Instantiate { args, .. } => args.len(),
                        Instance::FromExports(exports) => exports.len(),
                    };
                    self.tally.add(Counted::Wiring, within as u64)?;
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(section) => {
                self.tally.add(Counted::Instances, section.count().into())?;
                self.wiring(section)?;
                for instance in section.clone() {
                    let within = match instance? {
                        ComponentInstance::Instantiate { args, .. } => args.len(),
                        ComponentInstance::FromExports(exports) => exports.len(),
                    };
                    self.tally.add(Counted::Wiring, within as u64)?;
                }
                Ok(())
            }
            Payload::ComponentAliasSection(section) => self.wiring(section),
            Payload::ComponentImportSection(section) => self.wiring(section),
            Payload::ComponentExportSection(section) => self.wiring(section),
            Payload::ComponentCanonicalSection(section) => {
                self.wiring(section)?;
                for function in section.clone() {
                    self.tally.add(Counted::Wiring, options(&function?).len() as u64)?;
                }
                Ok(())
            }
            Payload::CoreTypeSection(section) => {
                self.component_section(section)?;
                section.clone().into_iter().try_for_each(|ty| self.core_type(&ty?))
            }
            Payload::ComponentTypeSection(section) => {
                self.component_section(section)?;
                section.clone().into_iter().try_for_each(|ty| self.component_type(&ty?))
            }
            _ => Ok(()),
        }
    }

    fn module_section<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), CensusError> {
        self.tally.add(Counted::ModuleDefinitions, size(section))
    }

    fn component_section<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), CensusError> {
        self.tally.add(Counted::ComponentDefinitions, size(section))
    }

    fn wiring<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), CensusError> {
        self.component_section(section)?;
        self.tally.add(Counted::Wiring, section.count().into())
    }

    fn variables<'a, T: FromReader<'a>>(&mut self, section: &SectionLimited<'a, T>) -> Result<(), CensusError> {
        self.module_section(section)?;
        self.tally.add(Counted::Variables, section.count().into())
    }

    fn types(&mut self, section: &wasmparser::TypeSectionReader<'_>) -> Result<(), CensusError> {
        self.module_section(section)?;
        for ty in section.clone().into_iter_err_on_gc_types() {
            let ty = ty?;
            self.module.signatures.types.push(SubType::func(ty.clone(), false));
            self.signature(ty)?;
        }
        Ok(())
    }

    fn signature(&mut self, ty: FuncType) -> Result<(), CensusError> {
        let values = (ty.params().len() + ty.results().len()) as u64;
        if self.signatures.insert(ty) {
            self.tally.add(Counted::Signatures, 1)?;
            self.tally.add(Counted::SignatureValues, values)?;
        }
        Ok(())
    }

    fn element(&mut self, element: &Element<'_>) -> Result<(), CensusError> {
        let count = match &element.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        self.tally.add(Counted::Elements, count.into())
    }

    fn core_type(&mut self, ty: &CoreType<'_>) -> Result<(), CensusError> {
        self.tally.add(Counted::Types, 1)?;
        match ty {
            CoreType::Rec(group) => self.group(group),
            CoreType::Module(declarations) => {
                self.tally.add(Counted::Types, declarations.len() as u64)?;
                declarations.iter().try_for_each(|declaration| match declaration {
                    ModuleTypeDeclaration::Type(group) => self.group(group),
                    _ => Ok(()),
                })
            }
        }
    }

    fn group(&mut self, group: &RecGroup) -> Result<(), CensusError> {
        self.tally.add(Counted::Types, group.types().len() as u64)?;
        for ty in group.types() {
            if let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner {
                self.signature(ty.clone())?;
            }
        }
        Ok(())
    }

    fn component_type(&mut self, ty: &ComponentType<'_>) -> Result<(), CensusError> {
        self.tally.add(Counted::Types, 1)?;
        let members = match ty {
            ComponentType::Defined(ty) => members(ty),
            ComponentType::Func(function) => function.params.len() + 1,
            ComponentType::Resource { .. } => 1,
            // The reader bounds how deep they nest.
            ComponentType::Component(declarations) => {
                return declarations.iter().try_for_each(|declaration| match declaration {
                    ComponentTypeDeclaration::Type(ty) => self.component_type(ty),
                    ComponentTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    _ => self.tally.add(Counted::Types, 1),
                });
            }
            ComponentType::Instance(declarations) => {
                return declarations.iter().try_for_each(|declaration| match declaration {
                    InstanceTypeDeclaration::Type(ty) => self.component_type(ty),
                    InstanceTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    _ => self.tally.add(Counted::Types, 1),
                });
            }
        };
        self.tally.add(Counted::TypeMembers, members as u64)
    }
}

fn size<T>(section: &SectionLimited<'_, T>) -> u64 {
    let range = section.range();
    range.end - range.start
}

fn members(ty: &ComponentDefinedType<'_>) -> usize {
    match ty {
        ComponentDefinedType::Record(fields) => fields.len(),
        ComponentDefinedType::Variant(cases) => cases.len(),
        ComponentDefinedType::Tuple(types) => types.len(),
        ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => names.len(),
        _ => 1,
    }
}

/// The options of a canonical function.
pub(super) fn options(function: &CanonicalFunction) -> &[CanonicalOption] {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        _ => &[],
    }
}
