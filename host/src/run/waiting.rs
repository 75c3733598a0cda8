//! Where the host waits for what a resource asks of it.
//!
//! A call ends at its bound, whatever it waits for: [`crate::run::instance::within`] drops its future. But what the
//! host began for it may still be waiting in the kernel, on a thread that nobody can call back: opening a pipe in a
//! lent folder that nobody writes to, reading from a disk on a network that is gone, asking a user who is not there. A
//! runtime that is shut down waits for such threads, and a program would hang at its end. So whatever a call begins,
//! begins on a runtime of the host's own, which nobody shuts down and no process waits for.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that may wait at the same time. Each waits for one call that has ended or still runs; if all do, further
/// calls that need one wait too, until their own bound.
const MOST_WAITING: usize = 512;

/// Never dropped. `None` if the machine has no thread for it.
static WAITING: OnceLock<Option<Runtime>> = OnceLock::new();

fn handle() -> Option<&'static Handle> {
    let begin = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(MOST_WAITING).thread_name("portcullis-waiting").enable_all();
        builder.build().inspect_err(|error| tracing::warn!(%error, "no thread to wait on")).ok()
    };
    WAITING.get_or_init(begin).as_ref().map(Runtime::handle)
}

/// Polls a call: what it begins meanwhile, tasks, timers and work that blocks, begins here and not on the embedder's
/// runtime.
pub(crate) fn poll<F: Future>(call: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    let _here = handle().map(Handle::enter);
    call.poll(context)
}

/// Runs work that blocks here, whoever waits for it.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let task = match handle() {
        Some(handle) => handle.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    };
    task.await.map_err(std::io::Error::other)
}
