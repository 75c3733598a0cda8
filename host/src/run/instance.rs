//! One instance of a body under one grant, in an engine store of its own, with every bound set.

use crate::error::{Bound, Error};
use crate::run::engine::{TICK, Ticks};
use crate::run::gate::{GateCtx, GateView, HasGate};
use crate::run::limits::{Limiter, Limits, Results};
use crate::run::waiting;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::{Instance, InstancePre, ResourceTable, ResourceTableError};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// What the host functions of a store work on.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    gate: GateCtx,
    limiter: Limiter,
    ticks: Arc<Ticks>,
    /// The tick after which nothing more runs.
    deadline: u64,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl HasGate for State {
    fn gate(&mut self) -> GateView<'_> {
        GateView { ctx: &mut self.gate, table: &mut self.table }
    }
}

/// What a new instance is made with.
pub(crate) struct InstancePlan<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) ticks: &'a Arc<Ticks>,
    pub(crate) wasi: WasiCtx,
    pub(crate) gate: GateCtx,
    /// Seconds in which it has to be made.
    pub(crate) time: u32,
}

/// A store with its instance. Whoever holds it runs it; after a trap or a dropped future it is dropped.
pub(crate) struct LiveInstance {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// Tells this instance from every other of the process.
    pub(crate) number: u64,
}

impl LiveInstance {
    /// Makes a store with every bound set, then instantiates within `time`.
    pub(crate) async fn new(pre: &InstancePre<State>, plan: InstancePlan<'_>) -> Result<Self, Error> {
        let InstancePlan { limits, ticks, wasi, gate, time } = plan;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.objects as usize);
        let limiter = Limiter::new(*limits);
        let state = State { table, wasi, gate, limiter, ticks: Arc::clone(ticks), deadline: 0 };
        let mut store = Store::new(pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_max_component_handles(limits.handles as usize);
        store.set_hostcall_fuel(limits.lifted(Results::Fixed));
        // Every tick the guest yields, so that a dropped future ends it and others run meanwhile.
        store.epoch_deadline_callback(|context| {
            let state = context.data();
            Ok(if state.ticks.count() > state.deadline { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        let deadline = begin(&mut store, time);
        let instantiated = within(deadline, pin!(pre.instantiate_async(&mut store))).await;
        match instantiated {
            Some(Ok(instance)) => Ok(Self { store, instance, number: NUMBERS.fetch_add(1, Ordering::Relaxed) }),
            Some(Err(error)) => Err(failure(&error, &store)),
            None => Err(Error::Limit(Bound::Time)),
        }
    }

    /// A call begins: sets its deadline, `time` seconds from now, and what is bounded per call.
    #[inline]
    pub(crate) fn begin(&mut self, time: u32, lifted: usize) -> Deadline {
        self.store.set_hostcall_fuel(lifted);
        begin(&mut self.store, time)
    }

    /// What a failed call failed of.
    pub(crate) fn failure(&self, error: &wasmtime::Error) -> Error {
        failure(error, &self.store)
    }
}

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// When a call has to be over, whatever it computes or waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// So many seconds from now.
    #[inline]
    pub(crate) fn after(seconds: u32) -> Self {
        Self(Instant::now() + Duration::from_secs(seconds.into()))
    }
}

#[inline]
fn begin(store: &mut Store<State>, time: u32) -> Deadline {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.deadline = state.ticks.count().saturating_add(Ticks::in_seconds(time));
    state.gate.begin_call();
    Deadline::after(time)
}

/// Runs to the end, or until the deadline: epochs end what computes, this ends what waits. A call that never waits
/// costs no timer. The future stays where it is: the engine's are large. What it begins that blocks waits elsewhere
/// ([`crate::run::waiting`]).
pub(crate) async fn within<F: Future>(deadline: Deadline, mut future: Pin<&mut F>) -> Option<F::Output> {
    match poll_fn(|context| Poll::Ready(waiting::poll(future.as_mut(), context))).await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => rest(deadline, future).await,
    }
}

/// The rest of what has begun and waits, until the deadline.
pub(crate) async fn rest<F: Future>(deadline: Deadline, mut future: Pin<&mut F>) -> Option<F::Output> {
    let future = poll_fn(|context| waiting::poll(future.as_mut(), context));
    // One tick later than the epochs, so that what computes is reported as they see it.
    tokio::time::timeout_at(deadline.0 + TICK, future).await.ok()
}

/// Texts by which the engine says that a bound was reached and for which it has no type.
const HANDLES_EXCEEDED: &str = "store handle limit exceeded";
const DATA_EXCEEDED: &str = "fuel allocated for hostcalls has been exhausted";
const COUNT_EXCEEDED: &str = "resource limit exceeded: ";
/// Of WASI's randomness, which says no to more than [`Limits::random`] at once.
const RANDOM_EXCEEDED: [&str; 2] = ["requested len ", " exceeds limit "];

fn failure(error: &wasmtime::Error, store: &Store<State>) -> Error {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Error::Exit(*code);
    }
    if let Some(bound) = store.data().limiter.hit() {
        return Error::Limit(bound);
    }
    match error.downcast_ref() {
        Some(Trap::Interrupt) => return Error::Limit(Bound::Time),
        Some(Trap::StackOverflow) => return Error::Limit(Bound::Stack),
        Some(trap) => return Error::Trap(trap.to_string()),
        None => {}
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Error::PoolFull;
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Error::Limit(Bound::Handles);
    }
    // The root cause is the engine's or the host's own text; nothing in it was written by the body.
    let text = error.root_cause().to_string();
    if text.contains(HANDLES_EXCEEDED) {
        Error::Limit(Bound::Handles)
    } else if text.contains(DATA_EXCEEDED) || RANDOM_EXCEEDED.iter().all(|words| text.contains(words)) {
        Error::Limit(Bound::Data)
    } else if text.starts_with(COUNT_EXCEEDED) {
        Error::Limit(Bound::Instances)
    } else {
        Error::Trap(text)
    }
}
