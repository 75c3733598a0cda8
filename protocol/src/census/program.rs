//! What a component does when it is instantiated, step by step, read from its validated sections.

use super::CensusError;
use super::needs::{self, Needs};
use super::scan::options;
use super::tally::Counted;
use std::collections::HashMap;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, Encoding, ExternalKind, Instance, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

/// A component and all that are defined inside it.
#[derive(Debug, Default)]
pub(super) struct Program<'a> {
    /// The components, each by its number; the outermost is the first.
    pub(super) components: Vec<Vec<Step<'a>>>,
    /// The core modules, each by its number.
    pub(super) modules: Vec<ModuleNeeds>,
}

/// What each instance of a core module takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleNeeds {
    /// Bytes of each linear memory that it defines, at the start.
    pub(super) memories: Vec<u64>,
    /// Elements of each table that it defines, at the start.
    pub(super) tables: Vec<u64>,
}

/// One step. Indices are those of the component's index spaces.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Import {
        name: &'a str,
        kind: Kind,
    },
    Module(usize),
    Component(usize),
    CoreInstantiate {
        module: u32,
        instances: Vec<u32>,
    },
    CoreBundle(Vec<(Core, u32)>),
    Instantiate {
        component: u32,
        args: Vec<(&'a str, Kind, u32)>,
    },
    Bundle(Vec<(&'a str, Kind, u32)>),
    AliasExport {
        kind: Kind,
        instance: u32,
        name: &'a str,
    },
    AliasCore {
        kind: Core,
        instance: u32,
    },
    AliasOuter {
        kind: Kind,
        count: u32,
        index: u32,
    },
    /// Its type takes so many steps to be written out.
    Lift {
        function: u32,
        uses: Vec<(Core, u32)>,
        cost: u64,
    },
    Lower {
        function: u32,
        uses: Vec<(Core, u32)>,
        cost: u64,
    },
    /// Another canonical function: one more core function.
    Intrinsic,
    Export {
        name: &'a str,
        kind: Kind,
        index: u32,
    },
}

/// What can be linked at the level of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    Component,
    Instance,
    Function,
    /// Types and values: they take nothing.
    Other,
}

/// What core instances export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Core {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

/// What the runtime enables (`host`): the finished proposals of WebAssembly and the component model, without threads,
/// garbage collection, exceptions, 64-bit memories and asynchronous functions, and nothing newer than its engine.
pub(super) fn features() -> WasmFeatures {
    WasmFeatures::default().difference(
        WasmFeatures::THREADS
            | WasmFeatures::GC
            | WasmFeatures::GC_TYPES
            | WasmFeatures::FUNCTION_REFERENCES
            | WasmFeatures::EXCEPTIONS
            | WasmFeatures::MEMORY64
            | WasmFeatures::WIDE_ARITHMETIC
            | WasmFeatures::COMPACT_IMPORTS
            | WasmFeatures::CM_ASYNC
            | WasmFeatures::CM_MAP
            | WasmFeatures::CM_IMPLEMENTS,
    )
}

/// Validates all but function bodies, and works out what the instances take.
pub(super) fn needs(component: &[u8]) -> Result<Needs, CensusError> {
    let program = Reader::default().read(component)?;
    needs::of(&program)
}

#[derive(Default)]
struct Reader<'a> {
    program: Program<'a>,
    /// The components that are being read, the innermost last.
    open: Vec<usize>,
    /// Whether a core module is being read.
    in_module: bool,
    /// How many steps a defined type takes to be written out. Types are numbered over the whole body.
    sizes: HashMap<ComponentDefinedTypeId, u64>,
}

impl<'a> Reader<'a> {
    fn read(mut self, bytes: &'a [u8]) -> Result<Program<'a>, CensusError> {
        let mut validator = Validator::new_with_features(features());
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            // A function's body is the engine's to validate: it decides nothing here.
            if let ValidPayload::Func(..) = validator.payload(&payload)? {
                continue;
            }
            match &payload {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    self.open.push(self.program.components.len());
                    self.program.components.push(Vec::new());
                }
                Payload::Version { encoding: Encoding::Module, .. } if self.open.is_empty() => {
                    return Err(CensusError::Invalid("it is a core module, not a component".into()));
                }
                Payload::Version { encoding: Encoding::Module, .. } => self.in_module = true,
                Payload::End(_) if self.in_module => self.in_module = false,
                Payload::End(_) => drop(self.open.pop()),
                Payload::MemorySection(section) => {
                    for memory in section.clone() {
                        let bytes = memory?.initial.saturating_mul(64 * 1024);
                        self.module().memories.push(bytes);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section.clone() {
                        let elements = table?.ty.initial;
                        self.module().tables.push(elements);
                    }
                }
                other => self.section(other, &validator)?,
            }
        }
        Ok(self.program)
    }

    fn module(&mut self) -> &mut ModuleNeeds {
        if self.program.modules.is_empty() {
            self.program.modules.push(ModuleNeeds::default());
        }
        self.program.modules.last_mut().expect("there is one")
    }

    fn step(&mut self, step: Step<'a>) {
        if let Some(open) = self.open.last() {
            self.program.components[*open].push(step);
        }
    }

    fn section(&mut self, payload: &Payload<'a>, validator: &Validator) -> Result<(), CensusError> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.step(Step::Module(self.program.modules.len()));
                self.program.modules.push(ModuleNeeds::default());
            }
            // Its number is the next: it begins right after this.
            Payload::ComponentSection { .. } => self.step(Step::Component(self.program.components.len())),
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    self.step(match instance? {
                        Instance::Instantiate { module_index, args } => Step::CoreInstantiate {
                            module: module_index,
                            instances: args.iter().map(|arg| arg.index).collect(),
                        },
                        Instance::FromExports(exports) => {
                            Step::CoreBundle(exports.iter().map(|export| (core(export.kind), export.index)).collect())
                        }
                    });
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    self.step(match instance? {
                        ComponentInstance::Instantiate { component_index, args } => Step::Instantiate {
                            component: component_index,
                            args: args.iter().map(|arg| (arg.name, kind(arg.kind), arg.index)).collect(),
                        },
                        ComponentInstance::FromExports(exports) => Step::Bundle(
                            exports.iter().map(|export| (export.name.name, kind(export.kind), export.index)).collect(),
                        ),
                    });
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.step(match alias? {
                        ComponentAlias::InstanceExport { kind: of, instance_index, name } => {
                            Step::AliasExport { kind: kind(of), instance: instance_index, name }
                        }
                        ComponentAlias::CoreInstanceExport { kind, instance_index, .. } => {
                            Step::AliasCore { kind: core(kind), instance: instance_index }
                        }
                        ComponentAlias::Outer { kind, count, index } => {
                            let kind = match kind {
                                ComponentOuterAliasKind::CoreModule => Kind::Module,
                                ComponentOuterAliasKind::Component => Kind::Component,
                                ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => Kind::Other,
                            };
                            Step::AliasOuter { kind, count, index }
                        }
                    });
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                let types = validator.types(0).ok_or_else(|| CensusError::Invalid("it has no types".into()))?;
                for function in section.clone() {
                    let step = self.canonical(&function?, types)?;
                    self.step(step);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import?;
                    self.step(Step::Import { name: import.name.name, kind: kind(import.ty.kind()) });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let (name, kind) = (export.name.name, kind(export.kind));
                    self.step(Step::Export { name, kind, index: export.index });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn canonical(&mut self, function: &CanonicalFunction, types: TypesRef<'_>) -> Result<Step<'a>, CensusError> {
        let uses = || options(function).iter().filter_map(used).collect();
        Ok(match function {
            CanonicalFunction::Lift { core_func_index, type_index, .. } => {
                use wasmparser::component_types::ComponentAnyTypeId::Func;
                let cost = match types.component_any_type_at(*type_index) {
                    Func(id) => self.function(types, id)?,
                    _ => 1,
                };
                Step::Lift { function: *core_func_index, uses: uses(), cost }
            }
            CanonicalFunction::Lower { func_index, .. } => {
                let cost = self.function(types, types.component_function_at(*func_index))?;
                Step::Lower { function: *func_index, uses: uses(), cost }
            }
            _ => Step::Intrinsic,
        })
    }

    /// How many steps the type of a function takes to be written out, wherever one type is used in several places.
    fn function(&mut self, types: TypesRef<'_>, id: ComponentFuncTypeId) -> Result<u64, CensusError> {
        let ty = &types[id];
        let mut steps = 1_u64;
        for ty in ty.params.iter().map(|(_, ty)| ty).chain(&ty.result) {
            steps = steps.saturating_add(self.value(types, ty));
        }
        Counted::Linking.check(steps)?;
        Ok(steps)
    }

    fn value(&mut self, types: TypesRef<'_>, ty: &ComponentValType) -> u64 {
        let id = match ty {
            ComponentValType::Primitive(_) => return 1,
            ComponentValType::Type(id) => *id,
        };
        if let Some(known) = self.sizes.get(&id) {
            return *known;
        }
        // The validator has bounded how deep types nest.
        let within: Vec<ComponentValType> = match &types[id] {
            ComponentDefinedType::Record(record) => record.fields.values().copied().collect(),
            ComponentDefinedType::Variant(variant) => variant.cases.values().filter_map(|case| case.ty).collect(),
            ComponentDefinedType::Tuple(tuple) => tuple.types.to_vec(),
            ComponentDefinedType::List { element, .. } | ComponentDefinedType::FixedLengthList { element, .. } => {
                vec![*element]
            }
            ComponentDefinedType::Map { key, value, .. } => vec![*key, *value],
            ComponentDefinedType::Option { ty, .. } => vec![*ty],
            ComponentDefinedType::Result { ok, err, .. } => ok.iter().chain(err).copied().collect(),
            ComponentDefinedType::Future { ty, .. } | ComponentDefinedType::Stream { ty, .. } => {
                ty.iter().copied().collect()
            }
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => Vec::new(),
        };
        let size = within.iter().fold(1_u64, |size, ty| size.saturating_add(self.value(types, ty)));
        self.sizes.insert(id, size);
        size
    }
}

/// What of a core instance an option uses.
fn used(option: &CanonicalOption) -> Option<(Core, u32)> {
    match option {
        CanonicalOption::Memory(index) => Some((Core::Memory, *index)),
        CanonicalOption::Realloc(index) | CanonicalOption::PostReturn(index) | CanonicalOption::Callback(index) => {
            Some((Core::Function, *index))
        }
        _ => None,
    }
}

const fn kind(kind: ComponentExternalKind) -> Kind {
    match kind {
        ComponentExternalKind::Module => Kind::Module,
        ComponentExternalKind::Component => Kind::Component,
        ComponentExternalKind::Instance => Kind::Instance,
        ComponentExternalKind::Func => Kind::Function,
        ComponentExternalKind::Value | ComponentExternalKind::Type => Kind::Other,
    }
}

const fn core(kind: ExternalKind) -> Core {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Core::Function,
        ExternalKind::Table => Core::Table,
        ExternalKind::Memory => Core::Memory,
        ExternalKind::Global => Core::Global,
        ExternalKind::Tag => Core::Tag,
    }
}
