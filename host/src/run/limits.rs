//! What a hostile resource can take, at most. Everything is bounded, and every bound is set here.

use crate::error::Bound;
use portcullis_protocol::ResourceLimits;
use portcullis_protocol::census::Need;
use portcullis_protocol::limits::{
    HOST_INSTANCES, HOST_MEMORIES, HOST_MEMORY, HOST_OUTPUT, HOST_RESULT, HOST_RUN_MAX, HOST_TABLE_ELEMENTS,
    HOST_TABLES, MAX_CODE_PART,
};
use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Bounds of one resource. The operator's are the default values; a manifest can only lower them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Linear memory in bytes, over all instances of a store.
    pub memory: u64,
    /// Elements of one table.
    pub table_elements: u64,
    /// Core instances, the engine's adapters between components included.
    pub instances: u32,
    /// Tables: about two per instance.
    pub tables: u32,
    /// Linear memories: one per instance that has its own.
    pub memories: u32,
    /// Seconds that one call may run, waiting included. The grant's own bound applies as well.
    pub run_max: u32,
    /// Bytes of the results of one call. A byte of `list<u8>` read in bulk counts as one; an element of a list of
    /// values counts as what it takes in the host, 40 bytes and more.
    pub result: u64,
    /// Bytes of the arguments of one call, as the guest holds them. Given as values each takes 40 in the host; more
    /// than [`Limits::memory`] is not given either.
    pub argument: u64,
    /// Bytes of standard output and standard error of one command, each. What is beyond is refused to the guest. They
    /// are passed on as they come; if they are collected in memory, [`Limits::result`] bounds them as well.
    pub output: u64,
    /// Bytes that the guest passes to the host in one host call, where its own results may not be larger: a nonce, a
    /// name and a buffer of output are far below.
    pub hostcall: u64,
    /// Handles of component resources in one store.
    pub handles: u32,
    /// Objects of the host that a store may hold: grants, codes, parts, streams.
    pub objects: u32,
    /// Bytes of randomness that one host call gives.
    pub random: u64,
    /// Bytes of guest stack.
    pub stack: u64,
    /// Bytes of a body that is compiled. Compiling is not interrupted, so its input is bounded.
    pub body: u64,
    /// How often the user is asked during one call.
    pub prompts: u32,
    /// How many cycles a resource may start during one call.
    pub cycles: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // These are what `seal` and the stores go by: what they accept runs on every host that keeps them.
            memory: HOST_MEMORY,
            table_elements: HOST_TABLE_ELEMENTS,
            instances: HOST_INSTANCES,
            tables: HOST_TABLES,
            memories: HOST_MEMORIES,
            run_max: HOST_RUN_MAX,
            result: HOST_RESULT,
            argument: 64 * MIB,
            output: HOST_OUTPUT,
            hostcall: MIB,
            handles: 4_000,
            objects: 4_000,
            random: 64 * KIB,
            stack: 512 * KIB,
            body: MAX_CODE_PART,
            prompts: 3,
            cycles: 64,
        }
    }
}

impl Limits {
    /// The bounds that hold: of each pair the lower one.
    #[must_use]
    pub fn effective(&self, asked: &ResourceLimits) -> Self {
        Self {
            memory: asked.memory.unwrap_or(u64::MAX).min(self.memory),
            run_max: asked.run_max.unwrap_or(u32::MAX).min(self.run_max),
            result: asked.result.unwrap_or(u64::MAX).min(self.result),
            output: asked.output.unwrap_or(u64::MAX).min(self.output),
            ..*self
        }
    }

    /// What is given of something that instances take from the start.
    pub(crate) fn given(&self, need: Need) -> u64 {
        match need {
            Need::Instances => self.instances.into(),
            Need::Memories => self.memories.into(),
            Need::Memory => self.memory,
            Need::Tables => self.tables.into(),
            Need::TableElements => self.table_elements,
            _ => need.given(),
        }
    }

    /// How long a call may run that a grant gives so many seconds.
    pub(crate) const fn run_seconds(&self, granted: u32) -> u32 {
        if granted < self.run_max { granted } else { self.run_max }
    }

    /// The engine's count of what is lifted from the guest, for a call with results of this kind. The engine has one
    /// number for results and for what the guest passes to host functions, so it is the larger only where the results
    /// need it.
    pub(crate) fn lifted(&self, results: Results) -> usize {
        let results = match results {
            Results::Fixed => 0,
            Results::Dynamic => self.result,
            Results::BytesAsValues => {
                self.result.min(MAX_BYTES_AS_VALUES).saturating_mul(size_of::<wasmtime::component::Val>() as u64)
            }
        };
        usize::try_from(results.max(self.hostcall)).unwrap_or(usize::MAX)
    }
}

/// What results a call gives, as far as their size goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// Of a size that the types bound.
    Fixed,
    /// With strings or lists.
    Dynamic,
    /// Bytes, each of which comes back as a value.
    BytesAsValues,
}

/// Bytes of `list<u8>` that come back as values. Each takes a whole value in the host; a typed call takes one byte
/// each.
const MAX_BYTES_AS_VALUES: u64 = 16 * MIB;

/// Counts the memory of a whole store. The engine's own limiter counts each memory by itself.
pub(crate) struct Limiter {
    limits: Limits,
    memory: u64,
    growth: u64,
    hit: Option<Bound>,
}

impl Limiter {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, growth: 0, hit: None }
    }

    /// The bound that was hit, if one was.
    pub(crate) const fn hit(&self) -> Option<Bound> {
        self.hit
    }

    fn refuse(&mut self, bound: Bound) -> wasmtime::Result<bool> {
        // A failed growth traps: a guest that hits a bound would otherwise go on in a state its author never saw.
        self.hit = Some(bound);
        Err(wasmtime::format_err!("the resource needs more {bound} than it may have"))
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let total = self.memory.saturating_add(growth);
        if total > self.limits.memory {
            return self.refuse(Bound::Memory);
        }
        (self.memory, self.growth) = (total, growth);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self.memory.saturating_sub(std::mem::take(&mut self.growth));
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired as u64 > self.limits.table_elements { self.refuse(Bound::Tables) } else { Ok(true) }
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    fn tables(&self) -> usize {
        self.limits.tables as usize
    }

    fn memories(&self) -> usize {
        self.limits.memories as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_lowers_a_bound_and_never_raises_it() {
        let operator = Limits::default();
        let asked = ResourceLimits { memory: Some(1), run_max: Some(u32::MAX), result: Some(2), output: None };
        let effective = operator.effective(&asked);
        assert_eq!((effective.memory, effective.result), (1, 2));
        assert_eq!((effective.run_max, effective.output), (operator.run_max, operator.output));
    }

    #[test]
    fn memory_is_counted_over_all_memories_of_a_store() {
        let mut limiter = Limiter::new(Limits { memory: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).is_ok());
        assert!(limiter.memory_growing(0, 60, None).is_err());
        assert_eq!(limiter.hit(), Some(Bound::Memory));
    }
}
