//! The engine, hardened, and the clock that ends what runs too long.

use crate::error::Error;
use crate::run::limits::Limits;
use crate::state::clock::Clock;
use parking_lot::Mutex;
use portcullis_protocol::Origin;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The engine that resources run on, and its version.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// The time between two epochs. A call ends at most two of them after its bound.
pub(crate) const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SECOND);
const TICKS_PER_SECOND: u64 = 100;

/// A pool of instances, for servers: it takes milliseconds to make and makes each instance in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// How many resources run at the same time.
    pub stores: u32,
}

impl Pool {
    fn config(self, limits: &Limits) -> PoolingAllocationConfig {
        let mut pool = PoolingAllocationConfig::new();
        // A store of a Rust or C body has one memory and about four core instances, one of a JavaScript body about
        // twenty instances; a store that needs more than its share takes that of others that need less.
        pool.total_component_instances(self.stores)
            .total_core_instances(self.stores.saturating_mul(20))
            .total_memories(self.stores.saturating_mul(4))
            .total_tables(self.stores.saturating_mul(20))
            .total_stacks(self.stores.saturating_add(1))
            .max_core_instances_per_component(limits.instances)
            .max_memories_per_component(limits.memories)
            .max_tables_per_component(limits.tables)
            .max_memory_size(usize::try_from(limits.memory).unwrap_or(usize::MAX))
            .table_elements(usize::try_from(limits.table_elements).unwrap_or(usize::MAX))
            // Nothing of one tenant stays in a slot that another gets.
            .linear_memory_keep_resident(0)
            .table_keep_resident(0)
            .async_stack_keep_resident(0);
        pool
    }
}

/// The configuration that a runtime makes its engine with: what a body may use of WebAssembly, and what the engine
/// leaves behind of it. For whoever compares with the bare engine; a runtime makes its own.
#[must_use]
pub fn engine_config(limits: &Limits, pool: Option<Pool>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // What costs time or has a history of faults, and what no body needs.
        .concurrency_support(false)
        .gc_support(false)
        .wasm_memory64(false)
        .wasm_stack_switching(false)
        .wasm_shared_everything_threads(false)
        .wasm_custom_page_sizes(false)
        .relaxed_simd_deterministic(true)
        // Copy-on-write images would put plaintext of the body into a memfd.
        .memory_init_cow(false)
        // Nothing that describes the body outlives a trap.
        .debug_info(false)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(cfg!(windows))
        .generate_address_map(false)
        // What ends a call.
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(limits.stack).unwrap_or(512 * 1024))
        .async_stack_size(usize::try_from(limits.stack).unwrap_or(512 * 1024).saturating_add(HOST_STACK))
        .async_stack_zeroing(true)
        .parallel_compilation(true);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool.config(limits)));
    }
    config
}

/// What host functions have above the guest's stack.
const HOST_STACK: usize = 1536 * 1024;

/// The time of a server, at most one tick old.
pub(crate) struct ServerTime(AtomicU64);

impl ServerTime {
    pub(crate) const fn new(now: u64) -> Self {
        Self(AtomicU64::new(now))
    }

    /// Unix seconds.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A server's time, for as long as somebody holds it, and the clock that tells it.
type Published = (Weak<ServerTime>, Arc<dyn Clock>);

/// Ticks and the time of each server, published by one thread for the whole runtime.
pub(crate) struct Ticks {
    count: AtomicU64,
    /// The time of servers that have no clock of their own.
    now: Arc<ServerTime>,
    servers: Mutex<HashMap<Origin, Published>>,
}

impl Ticks {
    /// Ticks since the runtime was made.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The time of a server, which goes by `clock` if it has one. It is published for as long as somebody holds it.
    pub(crate) fn time_of(&self, server: &Origin, clock: Option<Arc<dyn Clock>>) -> Arc<ServerTime> {
        let Some(clock) = clock else { return Arc::clone(&self.now) };
        let mut servers = self.servers.lock();
        if let Some(time) = servers.get(server).and_then(|(time, _)| time.upgrade()) {
            // A jump that the server has just explained counts at once.
            time.0.store(clock.now(), Ordering::Relaxed);
            return time;
        }
        let time = Arc::new(ServerTime::new(clock.now()));
        servers.insert(server.clone(), (Arc::downgrade(&time), clock));
        time
    }

    fn publish(&self, clock: &dyn Clock) {
        self.now.0.store(clock.now(), Ordering::Relaxed);
        let mut servers = self.servers.lock();
        servers.retain(|_, (time, clock)| {
            time.upgrade().inspect(|time| time.0.store(clock.now(), Ordering::Relaxed)).is_some()
        });
    }

    /// How many ticks so many seconds have.
    #[inline]
    pub(crate) const fn in_seconds(seconds: u32) -> u64 {
        seconds as u64 * TICKS_PER_SECOND
    }
}

/// Makes the engine and starts its clock, which ends with the engine.
pub(crate) fn start(limits: &Limits, pool: Option<Pool>, clock: Arc<dyn Clock>) -> Result<(Engine, Arc<Ticks>), Error> {
    let engine = Engine::new(&engine_config(limits, pool)).map_err(|error| Error::engine(&error))?;
    let now = Arc::new(ServerTime::new(clock.now()));
    let ticks = Arc::new(Ticks { count: AtomicU64::new(0), now, servers: Mutex::default() });
    let (weak, published) = (engine.weak(), Arc::clone(&ticks));
    std::thread::Builder::new().name("portcullis-ticks".into()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = weak.upgrade() else { return };
            published.count.fetch_add(1, Ordering::Relaxed);
            // What ends guests comes first: it waits for no clock.
            engine.increment_epoch();
            published.publish(&*clock);
        }
    })?;
    Ok((engine, ticks))
}

#[test]
fn the_engine_is_called_what_it_is() {
    let manifest = include_str!("../../../Cargo.toml");
    let version = ENGINE.rsplit_once(' ').map_or("", |(_, version)| version);
    assert!(manifest.contains(&format!("wasmtime = {{ version = \"={version}\"")), "{ENGINE}");
}
