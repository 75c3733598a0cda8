//! The process's own standard streams, which a resource that runs and a host that asks share.
//!
//! One of them has its turn at a time. A host that asks takes a [`ConsoleTurn`]: until it is dropped, nothing that a
//! resource writes reaches the terminal, and nothing that is typed reaches a resource.

use parking_lot::{Mutex, MutexGuard};
use std::io::Write as _;

static TURN: Mutex<()> = Mutex::new(());

/// While it lives, resources neither read from nor write to the process's standard streams: they wait. Whoever asks the
/// user something while a resource runs holds one from before the question until after the answer.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct ConsoleTurn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl ConsoleTurn {
    /// Waits until no resource is writing, then holds all back. What was written so far is on the screen.
    pub fn take() -> Self {
        let turn = Self::of_a_stream();
        // A line that has no end yet.
        std::io::stdout().flush().ok();
        turn
    }

    /// For one read or write of a resource.
    pub(crate) fn of_a_stream() -> Self {
        Self(TURN.lock())
    }
}

#[cfg(unix)]
pub(crate) use terminal::TerminalInput;

#[cfg(unix)]
mod terminal {
    use super::ConsoleTurn;
    use bytes::Bytes;
    use parking_lot::{Condvar, Mutex, MutexGuard};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use std::sync::OnceLock;
    use tokio::io::AsyncRead;
    use tokio::sync::Notify;
    use wasmtime_wasi::cli::{IsTerminal, StdinStream};
    use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

    /// Bytes of one read: a terminal gives a line at a time, of 4096 bytes at most.
    const PIECE: usize = 4096;

    /// Standard input if it is a terminal. A read that waits in the kernel would take the answer to a question of the
    /// host, which is typed at the same terminal; so this waits until there is something, and takes it only in its
    /// turn.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct TerminalInput;

    impl IsTerminal for TerminalInput {
        fn is_terminal(&self) -> bool {
            true
        }
    }

    impl StdinStream for TerminalInput {
        fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
            // For WASI 0.3 only, which is not linked.
            Box::new(tokio::io::empty())
        }

        fn p2_stream(&self) -> Box<dyn InputStream> {
            Box::new(*self)
        }
    }

    #[derive(Debug)]
    enum State {
        /// Nobody wants input: what is typed stays at the terminal, for whoever reads it next.
        Idle,
        Wanted,
        Arrived(Bytes),
        Ended,
    }

    /// The thread that waits, and what it has for the resources. It holds no process at its end.
    struct Reader {
        state: Mutex<State>,
        wanted: Condvar,
        arrived: Notify,
    }

    impl Reader {
        fn get() -> &'static Self {
            static READER: OnceLock<Reader> = OnceLock::new();
            READER.get_or_init(|| {
                std::thread::spawn(|| Self::get().serve());
                Self { state: Mutex::new(State::Idle), wanted: Condvar::new(), arrived: Notify::new() }
            })
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock()
        }

        fn serve(&self) {
            loop {
                self.wanted.wait_while(&mut self.state(), |state| !matches!(state, State::Wanted));
                let read = read();
                let ended = !matches!(&read, Ok(bytes) if !bytes.is_empty());
                *self.state() = if ended { State::Ended } else { State::Arrived(read.unwrap_or_default()) };
                self.arrived.notify_waiters();
                if ended {
                    return;
                }
            }
        }

        fn want(&self, state: &mut State) {
            *state = State::Wanted;
            self.wanted.notify_one();
        }
    }

    /// Waits for input without taking it, then takes it when it is this side's turn and it is still there.
    fn read() -> Result<Bytes, Errno> {
        let stdin = std::io::stdin();
        let ready = |timeout: Option<&Timespec>| match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], timeout) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        };
        let mut piece = [0; PIECE];
        loop {
            if !ready(None)? {
                continue;
            }
            let _turn = ConsoleTurn::of_a_stream();
            if !ready(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
                continue;
            }
            match rustix::io::read(&stdin, &mut piece) {
                Ok(count) => return Ok(Bytes::copy_from_slice(&piece[..count])),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
    }

    impl InputStream for TerminalInput {
        fn read(&mut self, size: usize) -> StreamResult<Bytes> {
            if size == 0 {
                return Ok(Bytes::new());
            }
            let reader = Reader::get();
            let mut state = reader.state();
            match &mut *state {
                State::Idle => {
                    reader.want(&mut state);
                    Ok(Bytes::new())
                }
                State::Wanted => Ok(Bytes::new()),
                State::Arrived(bytes) => {
                    let taken = bytes.split_to(bytes.len().min(size));
                    if bytes.is_empty() {
                        *state = State::Idle;
                    }
                    Ok(taken)
                }
                State::Ended => Err(StreamError::Closed),
            }
        }
    }

    #[async_trait::async_trait]
    impl Pollable for TerminalInput {
        async fn ready(&mut self) {
            let reader = Reader::get();
            loop {
                let arrived = reader.arrived.notified();
                let mut arrived = std::pin::pin!(arrived);
                // Before the state is looked at: what arrives in between is not missed.
                arrived.as_mut().enable();
                {
                    let mut state = reader.state();
                    match &*state {
                        State::Arrived(_) | State::Ended => return,
                        State::Idle => reader.want(&mut state),
                        State::Wanted => {}
                    }
                }
                arrived.await;
            }
        }
    }
}
