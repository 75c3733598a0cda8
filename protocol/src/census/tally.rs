//! Counters with their bounds.

use super::CensusError;
use crate::limits;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counted {
    /// Bytes that define core modules.
    ModuleDefinitions,
    /// Bytes that define components.
    ComponentDefinitions,
    /// Bytes of custom sections.
    Custom,
    /// Bytes of code.
    Code,
    /// Functions.
    Functions,
    /// Bytes of one function.
    FunctionBytes,
    /// Local variables of one function.
    FunctionLocals,
    /// Targets of one branch table.
    Targets,
    /// Control structures inside each other in one function.
    FunctionNesting,
    /// Instructions of one function, each with the values that it moves.
    FunctionWork,
    /// The same over all functions.
    Work,
    /// Values that are alive at each branch of one function.
    FunctionFlow,
    /// The same over all functions.
    Flow,
    /// Signatures of core functions.
    Signatures,
    /// Their parameters and results.
    SignatureValues,
    /// Core modules.
    Modules,
    /// Nested components.
    Components,
    /// Modules and components inside each other.
    Nesting,
    /// Imports and exports of core modules.
    Links,
    /// Globals, tables, memories and tags.
    Variables,
    /// Tables of one module.
    ModuleTables,
    /// Elements of tables.
    Elements,
    /// Segments of data and elements.
    Segments,
    /// Types of components.
    Types,
    /// Fields, cases, flags and parameters of those types.
    TypeMembers,
    /// Instances, as they are written down.
    Instances,
    /// Aliases, instances, imports, exports and canonical functions of components.
    Wiring,
    /// That wiring, instantiated and written out.
    Linking,
}

impl Counted {
    const COUNT: usize = Self::Linking as usize + 1;
    /// Everything that is counted.
    pub const ALL: [Self; Self::COUNT] = [
        Self::ModuleDefinitions,
        Self::ComponentDefinitions,
        Self::Custom,
        Self::Code,
        Self::Functions,
        Self::FunctionBytes,
        Self::FunctionLocals,
        Self::Targets,
        Self::FunctionNesting,
        Self::FunctionWork,
        Self::Work,
        Self::FunctionFlow,
        Self::Flow,
        Self::Signatures,
        Self::SignatureValues,
        Self::Modules,
        Self::Components,
        Self::Nesting,
        Self::Links,
        Self::Variables,
        Self::ModuleTables,
        Self::Elements,
        Self::Segments,
        Self::Types,
        Self::TypeMembers,
        Self::Instances,
        Self::Wiring,
        Self::Linking,
    ];

    /// Name, unit in parentheses, bound, and what to do.
    const fn row(self) -> (&'static str, &'static str, u64, &'static str) {
        const SPLIT: &str = "sell it as several code parts, or leave out what is not used";
        const SIMPLER: &str = "simplify its WIT";
        const GENERATED: &str = "no compiler writes that much; split what generates it";
        match self {
            Self::ModuleDefinitions => {
                ("bytes of definitions in core modules", "", limits::MAX_BODY_MODULE_DEFINITIONS, GENERATED)
            }
            Self::ComponentDefinitions => {
                ("bytes of definitions in components", "", limits::MAX_BODY_COMPONENT_DEFINITIONS, SIMPLER)
            }
            Self::Custom => ("bytes of custom sections", "", limits::MAX_BODY_CUSTOM, "seal it with `portcullis seal`"),
            Self::Code => ("bytes of code", "", limits::MAX_BODY_CODE, SPLIT),
            Self::Functions => ("functions", "", limits::MAX_BODY_FUNCTIONS, SPLIT),
            Self::FunctionBytes => ("bytes in one function", "", limits::MAX_FUNCTION_BYTES, "divide the function"),
            Self::FunctionLocals => {
                ("local variables in one function", "", limits::MAX_FUNCTION_LOCALS, "divide it, or optimise the build")
            }
            Self::Targets => ("targets of one branch table", "", limits::MAX_BRANCH_TARGETS, "divide the `switch`"),
            Self::FunctionNesting => {
                ("control structures inside each other", "", limits::MAX_FUNCTION_NESTING, "divide the function")
            }
            Self::FunctionWork => (
                "steps of instructions in one function",
                " (with the values that each moves)",
                limits::MAX_FUNCTION_WORK,
                "divide the function",
            ),
            Self::Work => ("steps of instructions", " (with the values that each moves)", limits::MAX_BODY_WORK, SPLIT),
            Self::FunctionFlow => (
                "paths of values in one function",
                " (values alive × branches)",
                limits::MAX_FUNCTION_FLOW,
                "divide the function, or optimise the build",
            ),
            Self::Flow => ("paths of values", " (values alive × branches)", limits::MAX_BODY_FLOW, SPLIT),
            Self::Signatures => ("signatures of core functions", "", limits::MAX_BODY_SIGNATURES, GENERATED),
            Self::SignatureValues => {
                ("parameters and results in signatures", "", limits::MAX_BODY_SIGNATURE_VALUES, GENERATED)
            }
            Self::Modules => ("core modules", "", limits::MAX_BODY_MODULES, "link fewer libraries into it"),
            Self::Components => ("nested components", "", limits::MAX_BODY_COMPONENTS, "compose it of fewer"),
            Self::Nesting => {
                ("modules and components inside each other", "", limits::MAX_BODY_NESTING, "compose it flat")
            }
            Self::Links => ("imports and exports of core modules", "", limits::MAX_BODY_LINKS, GENERATED),
            Self::Variables => ("globals, tables, memories and tags", "", limits::MAX_BODY_VARIABLES, GENERATED),
            Self::ModuleTables => ("tables in one module", "", limits::MAX_MODULE_TABLES, GENERATED),
            Self::Elements => ("elements of tables", "", limits::MAX_BODY_ELEMENTS, GENERATED),
            Self::Segments => {
                ("segments of data and elements", "", limits::MAX_BODY_SEGMENTS, "merge segments (`wasm-opt`)")
            }
            Self::Types => ("types in components", "", limits::MAX_BODY_TYPES, SIMPLER),
            Self::TypeMembers => ("fields, cases and parameters of types", "", limits::MAX_BODY_TYPE_MEMBERS, SIMPLER),
            Self::Instances => {
                ("instances", "", limits::MAX_BODY_INSTANCES, "compose it of fewer components and modules")
            }
            Self::Wiring => {
                ("aliases, instances, imports, exports and canonical functions", "", limits::MAX_BODY_WIRING, SIMPLER)
            }
            Self::Linking => (
                "steps of linking",
                " (components as often as they are instantiated, types wherever they are used)",
                limits::MAX_BODY_LINKING,
                "instantiate fewer components, or simplify the WIT",
            ),
        }
    }

    /// The bound.
    #[must_use]
    pub const fn most(self) -> u64 {
        self.row().2
    }

    pub(super) const fn unit(self) -> &'static str {
        self.row().1
    }

    pub(super) const fn fix(self) -> &'static str {
        self.row().3
    }

    /// The error of having this many.
    pub(super) const fn refuse(self, count: u64) -> CensusError {
        CensusError::TooMany { what: self, count, most: self.most() }
    }

    /// Checks one number against the bound.
    pub(super) const fn check(self, count: u64) -> Result<(), CensusError> {
        if count > self.most() { Err(self.refuse(count)) } else { Ok(()) }
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().0)
    }
}

/// What was counted so far. Never beyond a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally([u64; Counted::COUNT]);

impl Tally {
    pub(super) const fn new() -> Self {
        Self([0; Counted::COUNT])
    }

    pub(super) const fn get(&self, what: Counted) -> u64 {
        self.0[what as usize]
    }

    /// Counts more of something.
    pub(super) fn add(&mut self, what: Counted, more: u64) -> Result<(), CensusError> {
        let count = self.get(what).saturating_add(more);
        what.check(count)?;
        self.0[what as usize] = count;
        Ok(())
    }

    /// Counts bytes of custom sections, without a bound.
    pub(super) fn add_unbounded(&mut self, what: Counted, more: u64) {
        self.0[what as usize] = self.get(what).saturating_add(more);
    }

    /// Keeps the largest number of something that is bounded one by one.
    pub(super) fn largest(&mut self, what: Counted, one: u64) -> Result<(), CensusError> {
        what.check(one)?;
        self.0[what as usize] = self.get(what).max(one);
        Ok(())
    }
}
