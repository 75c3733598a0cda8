//! A way out for what a resource writes that may be kept waiting: a pipe that nobody reads, a terminal that was
//! stopped, a disk that does not answer.
//!
//! A thread of its own writes. The resource waits for room, as it waits for anything else, until its call's bound; the
//! thread may go on waiting, and holds up neither another call nor the end of the process.

use crate::run::streams::endpoint::Output;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes that may wait to be written.
const ROOM: usize = 64 * 1024;
/// How long the end of an outlet waits for what is still to be written: enough for anyone who reads at all, so that the
/// last words of a resource are not lost with the process.
const LINGER: Duration = Duration::from_millis(200);

/// Clones are one way. The thread ends when all are dropped and it has written what there is.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    output: Output,
    state: Mutex<State>,
    /// There is something to write, or there never will be.
    work: Condvar,
    /// Something was written, or cannot be.
    written: Notify,
    /// The same, for a thread that waits.
    settled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes that the thread has taken and not yet written.
    under_way: usize,
    failed: Option<io::Error>,
    has_thread: bool,
    is_over: bool,
}

impl Outlet {
    pub(crate) fn new(output: Output) -> Self {
        let (state, work, written, settled) = (Mutex::default(), Condvar::new(), Notify::new(), Condvar::new());
        Self(Arc::new(Handle(Arc::new(Shared { output, state, work, written, settled }))))
    }

    /// Bytes that are taken now; `None` if nothing can be written any more.
    pub(crate) fn room(&self) -> Option<usize> {
        let state = self.0.0.state();
        state.failed.is_none().then(|| ROOM.saturating_sub(state.waiting.len() + state.under_way))
    }

    /// Whether everything was written, or cannot be.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.0.state().is_done()
    }

    /// Takes bytes to be written. Whoever asks for room first has it.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let shared = &self.0.0;
        let mut state = shared.state();
        if state.failed.is_some() {
            return;
        }
        state.waiting.extend_from_slice(bytes);
        if !state.has_thread {
            state.has_thread = true;
            let own = Arc::clone(shared);
            let thread = std::thread::Builder::new().name("portcullis-output".into()).spawn(move || own.write());
            if let Err(error) = thread {
                state.failed = Some(error);
            }
        }
        drop(state);
        shared.work.notify_one();
    }

    /// Waits until there is room, or nothing can be written any more.
    pub(crate) async fn has_room(&self) {
        self.until(|state| state.failed.is_some() || state.waiting.len() + state.under_way < ROOM).await;
    }

    /// Waits until everything was written, or cannot be.
    pub(crate) async fn emptied(&self) {
        self.until(State::is_done).await;
    }

    /// Why something could not be written.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        let mut state = self.0.0.state();
        let failed = state.failed.take();
        // It stays failed.
        state.failed = failed.as_ref().map(|error| error.kind().into());
        failed
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        let shared = &self.0.0;
        loop {
            let mut written = std::pin::pin!(shared.written.notified());
            written.as_mut().enable();
            if holds(&shared.state()) {
                return;
            }
            written.await;
        }
    }
}

impl State {
    const fn is_done(&self) -> bool {
        self.failed.is_some() || (self.waiting.is_empty() && self.under_way == 0)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The thread.
    fn write(&self) {
        loop {
            let idle = |state: &mut State| state.waiting.is_empty() && !state.is_over;
            let mut state = self.state();
            self.work.wait_while(&mut state, idle);
            let bytes = std::mem::take(&mut state.waiting);
            if bytes.is_empty() {
                return;
            }
            state.under_way = bytes.len();
            drop(state);
            let outcome = self.output.write(&bytes).and_then(|()| self.output.flush());
            let mut state = self.state();
            state.under_way = 0;
            if let Err(error) = outcome {
                (state.failed, state.waiting) = (Some(error), Vec::new());
            }
            let failed = state.failed.is_some();
            drop(state);
            self.written.notify_waiters();
            self.settled.notify_all();
            if failed {
                return;
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        self.0.work.notify_one();
        self.0.settled.wait_while_for(&mut state, |state| !state.is_done(), LINGER);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read as _;

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_takes_so_much_and_holds_up_nobody() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let outlet = Outlet::new(Output::File(Arc::new(File::from(std::os::fd::OwnedFd::from(writer)))));
        let mut pushed = 0;
        // The pipe, then the room.
        while let Ok(()) = tokio::time::timeout(Duration::from_millis(200), outlet.has_room()).await {
            let room = outlet.room().expect("open").min(4096);
            outlet.push(&vec![7; room]);
            pushed += room;
        }
        assert!(pushed > ROOM && !outlet.is_empty());
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all.len())
        });
        outlet.emptied().await;
        assert!(outlet.take_failure().is_none());
        drop(outlet);
        assert_eq!(reading.join().expect("read").expect("read"), pushed, "not a byte is lost");
    }

    #[tokio::test]
    async fn what_nobody_will_ever_read_fails() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let outlet = Outlet::new(Output::File(Arc::new(File::from(std::os::fd::OwnedFd::from(writer)))));
        outlet.push(b"lost");
        outlet.emptied().await;
        assert_eq!(outlet.room(), None);
        let kind = outlet.take_failure().expect("a reason").kind();
        assert_eq!(kind, io::ErrorKind::BrokenPipe);
        outlet.push(b"more");
        outlet.has_room().await;
        assert_eq!(outlet.room(), None);
    }
}
