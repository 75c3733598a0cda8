//! What the instances of a body take from the start, worked out by going through its instantiation.
//!
//! Nested components count as often as they are instantiated. Between components the engine puts adapters, which are
//! core instances of their own: as many as it needs so that none depends on itself.

use super::CensusError;
use super::program::{Core, Kind, ModuleNeeds, Program, Step};
use super::tally::Counted;
use crate::limits::{HOST_INSTANCES, HOST_MEMORIES, HOST_MEMORY, HOST_TABLE_ELEMENTS, HOST_TABLES};
use std::collections::HashMap;
use std::rc::Rc;

/// What a body takes when it is instantiated, before anything of it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Needs {
    /// Core instances, adapters included.
    pub instances: u64,
    /// Linear memories.
    pub memories: u64,
    /// Bytes of all linear memories.
    pub memory: u64,
    /// Tables.
    pub tables: u64,
    /// Elements of the largest table.
    pub table_elements: u64,
    /// Steps that linking takes.
    pub linking: u64,
}

/// Something that instances take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// [`Needs::instances`].
    Instances,
    /// [`Needs::memories`].
    Memories,
    /// [`Needs::memory`].
    Memory,
    /// [`Needs::tables`].
    Tables,
    /// [`Needs::table_elements`].
    TableElements,
}

/// More than instances may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its instances take {count} {need} from the start, and {most} are given: {}", .need.fix())]
pub struct TooMuch {
    /// Of what.
    pub need: Need,
    /// How much it takes.
    pub count: u64,
    /// The bound.
    pub most: u64,
}

impl Need {
    /// What every host gives by default.
    #[must_use]
    pub const fn given(self) -> u64 {
        match self {
            Self::Instances => HOST_INSTANCES as u64,
            Self::Memories => HOST_MEMORIES as u64,
            Self::Memory => HOST_MEMORY,
            Self::Tables => HOST_TABLES as u64,
            Self::TableElements => HOST_TABLE_ELEMENTS,
        }
    }

    const fn fix(self) -> &'static str {
        match self {
            Self::Instances => "compose it of fewer components and modules",
            Self::Memories => "let its modules share a memory",
            Self::Memory => "build it with a smaller initial memory; what it grows by later counts as well",
            Self::Tables => "let its modules share a table",
            Self::TableElements => "build it with a smaller initial table",
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instances => "core instances",
            Self::Memories => "linear memories",
            Self::Memory => "bytes of linear memory",
            Self::Tables => "tables",
            Self::TableElements => "elements of one table",
        })
    }
}

impl Needs {
    /// How much of something is taken.
    #[must_use]
    pub const fn of(&self, need: Need) -> u64 {
        match need {
            Need::Instances => self.instances,
            Need::Memories => self.memories,
            Need::Memory => self.memory,
            Need::Tables => self.tables,
            Need::TableElements => self.table_elements,
        }
    }

    /// Checks everything against what `given` says is given.
    ///
    /// # Errors
    /// [`TooMuch`] names the first that is not enough.
    pub fn check(&self, given: impl Fn(Need) -> u64) -> Result<(), TooMuch> {
        for need in [Need::Instances, Need::Memories, Need::Memory, Need::Tables, Need::TableElements] {
            let (count, most) = (self.of(need), given(need));
            if count > most {
                return Err(TooMuch { need, count, most });
            }
        }
        Ok(())
    }
}

/// Components that instantiate each other, one inside the other. As deep as they may be defined inside each other, and
/// as deep again where one is passed to another.
const MAX_DEPTH: usize = 64;

/// Steps that instantiating a component takes beside those inside it: its index spaces.
const PER_COMPONENT: u64 = 32;

/// Works out what the outermost component takes.
pub(super) fn of(program: &Program<'_>) -> Result<Needs, CensusError> {
    let mut run = Run { program, scopes: Vec::new(), needs: Needs::default(), adapters: 0, made_after: 0 };
    run.component(0, None, None, 0)?;
    let mut needs = run.needs;
    needs.instances = needs.instances.saturating_add(run.adapters.into());
    Ok(needs)
}

struct Run<'p, 'a> {
    program: &'p Program<'a>,
    /// Every instance of a component that was begun. They stay: what is defined inside one refers to it.
    scopes: Vec<Scope<'a>>,
    needs: Needs,
    /// Adapter instances so far. An adapter goes into the last, unless it depends on that one.
    adapters: u32,
    /// The last adapter instance that any core instance so far depends on. Instances are made in order, so that one
    /// depends on all before it.
    made_after: u32,
}

/// The index spaces of one instance of a component.
#[derive(Default)]
struct Scope<'a> {
    /// The instance that it was defined in.
    parent: Option<usize>,
    modules: Vec<Value<'a>>,
    components: Vec<Value<'a>>,
    instances: Vec<Value<'a>>,
    functions: Vec<Value<'a>>,
    /// Of every core item and instance, the last adapter instance that it depends on; 0 for none.
    core: [Vec<u32>; 5],
    core_instances: Vec<u32>,
}

/// What an index stands for.
#[derive(Clone)]
enum Value<'a> {
    /// Something of the host.
    Host,
    Module(usize),
    /// A component, and the instance that it was defined in.
    Component(usize, usize),
    Instance(Rc<Exports<'a>>),
    /// A function of the body itself, with the last adapter instance that it depends on.
    Lifted(u32),
    /// A type or value.
    Other,
}

type Exports<'a> = HashMap<&'a str, Value<'a>>;

impl<'a> Run<'_, 'a> {
    /// Goes through one instantiation of a component. Without arguments the host gives what it imports.
    fn component(
        &mut self,
        number: usize,
        parent: Option<usize>,
        args: Option<Exports<'a>>,
        depth: usize,
    ) -> Result<Exports<'a>, CensusError> {
        if depth > MAX_DEPTH {
            return Err(Counted::Nesting.refuse(depth as u64));
        }
        self.charge(PER_COMPONENT)?;
        let scope = self.scopes.len();
        self.scopes.push(Scope { parent, ..Scope::default() });
        let mut exports = Exports::new();
        let program = self.program;
        for step in program.components.get(number).into_iter().flatten() {
            self.charge(1)?;
            match step {
                Step::Import { name, kind } => {
                    let given = args.as_ref().and_then(|args| args.get(name)).cloned();
                    self.push(scope, *kind, given.unwrap_or(Value::Host));
                }
                Step::Module(module) => self.push(scope, Kind::Module, Value::Module(*module)),
                Step::Component(inner) => self.push(scope, Kind::Component, Value::Component(*inner, scope)),
                Step::CoreInstantiate { module, instances } => self.instantiate(scope, *module, instances)?,
                Step::CoreBundle(items) => {
                    self.charge(items.len() as u64)?;
                    let depends = self.depends(scope, items);
                    self.scopes[scope].core_instances.push(depends);
                }
                Step::Instantiate { component, args } => {
                    let args = self.collect(scope, args)?;
                    let exports = match self.get(scope, Kind::Component, *component) {
                        Value::Component(number, parent) => {
                            Value::Instance(Rc::new(self.component(number, Some(parent), Some(args), depth + 1)?))
                        }
                        _ => Value::Host,
                    };
                    self.push(scope, Kind::Instance, exports);
                }
                Step::Bundle(items) => {
                    let items = self.collect(scope, items)?;
                    self.push(scope, Kind::Instance, Value::Instance(Rc::new(items)));
                }
                Step::AliasExport { kind, instance, name } => {
                    let value = match self.get(scope, Kind::Instance, *instance) {
                        Value::Instance(exports) => exports.get(name).cloned().unwrap_or(Value::Host),
                        _ => Value::Host,
                    };
                    self.push(scope, *kind, value);
                }
                Step::AliasCore { kind, instance } => {
                    let scope = &mut self.scopes[scope];
                    let depends = at(&scope.core_instances, *instance);
                    scope.core[*kind as usize].push(depends);
                }
                Step::AliasOuter { kind, count, index } => {
                    let outer = (0..*count).try_fold(scope, |scope, _| self.scopes[scope].parent);
                    let value = outer.map_or(Value::Host, |outer| self.get(outer, *kind, *index));
                    self.push(scope, *kind, value);
                }
                Step::Lift { function, uses, cost } => {
                    self.charge(*cost)?;
                    let core = at(&self.scopes[scope].core[Core::Function as usize], *function);
                    let depends = core.max(self.depends(scope, uses));
                    self.push(scope, Kind::Function, Value::Lifted(depends));
                }
                Step::Lower { function, uses, cost } => {
                    self.charge(*cost)?;
                    let depends = match self.get(scope, Kind::Function, *function) {
                        Value::Lifted(depends) => self.adapt(depends.max(self.depends(scope, uses))),
                        _ => 0,
                    };
                    self.scopes[scope].core[Core::Function as usize].push(depends);
                }
                Step::Intrinsic => self.scopes[scope].core[Core::Function as usize].push(0),
                Step::Export { name, kind, index } => {
                    let value = self.get(scope, *kind, *index);
                    exports.insert(name, value.clone());
                    self.push(scope, *kind, value);
                }
            }
        }
        Ok(exports)
    }

    /// The adapter instance that an adapter goes into which depends on others up to this one.
    fn adapt(&mut self, depends: u32) -> u32 {
        if depends == self.adapters {
            self.adapters += 1;
        }
        self.adapters
    }

    fn instantiate(&mut self, scope: usize, module: u32, instances: &[u32]) -> Result<(), CensusError> {
        self.charge(instances.len() as u64)?;
        let none = ModuleNeeds::default();
        let module = match self.get(scope, Kind::Module, module) {
            Value::Module(number) => self.program.modules.get(number).unwrap_or(&none),
            _ => &none,
        };
        let needs = &mut self.needs;
        needs.instances = needs.instances.saturating_add(1);
        needs.memories = needs.memories.saturating_add(module.memories.len() as u64);
        needs.tables = needs.tables.saturating_add(module.tables.len() as u64);
        needs.memory = module.memories.iter().fold(needs.memory, |sum, bytes| sum.saturating_add(*bytes));
        needs.table_elements = module.tables.iter().fold(needs.table_elements, |most, one| most.max(*one));
        let scope = &mut self.scopes[scope];
        let depends = instances.iter().map(|instance| at(&scope.core_instances, *instance)).max();
        self.made_after = self.made_after.max(depends.unwrap_or(0));
        scope.core_instances.push(self.made_after);
        Ok(())
    }

    fn collect(&mut self, scope: usize, items: &[(&'a str, Kind, u32)]) -> Result<Exports<'a>, CensusError> {
        self.charge(items.len() as u64)?;
        Ok(items.iter().map(|(name, kind, index)| (*name, self.get(scope, *kind, *index))).collect())
    }

    /// The last adapter instance that any of these core items depends on.
    fn depends(&self, scope: usize, items: &[(Core, u32)]) -> u32 {
        let core = &self.scopes[scope].core;
        items.iter().map(|(kind, index)| at(&core[*kind as usize], *index)).max().unwrap_or(0)
    }

    fn space(&mut self, scope: usize, kind: Kind) -> Option<&mut Vec<Value<'a>>> {
        let scope = &mut self.scopes[scope];
        match kind {
            Kind::Module => Some(&mut scope.modules),
            Kind::Component => Some(&mut scope.components),
            Kind::Instance => Some(&mut scope.instances),
            Kind::Function => Some(&mut scope.functions),
            Kind::Other => None,
        }
    }

    fn push(&mut self, scope: usize, kind: Kind, value: Value<'a>) {
        if let Some(space) = self.space(scope, kind) {
            space.push(value);
        }
    }

    /// What an index stands for. The component was validated, so it is there.
    fn get(&mut self, scope: usize, kind: Kind, index: u32) -> Value<'a> {
        let space = self.space(scope, kind);
        let value = space.and_then(|space| space.get(usize::try_from(index).ok()?).cloned());
        value.unwrap_or(if kind == Kind::Other { Value::Other } else { Value::Host })
    }

    fn charge(&mut self, steps: u64) -> Result<(), CensusError> {
        self.needs.linking = self.needs.linking.saturating_add(steps);
        Counted::Linking.check(self.needs.linking)
    }
}

fn at(depends: &[u32], index: u32) -> u32 {
    usize::try_from(index).ok().and_then(|index| depends.get(index)).copied().unwrap_or(0)
}
