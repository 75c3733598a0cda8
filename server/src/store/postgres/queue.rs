//! Where threads take their jobs from: whoever took one last takes the next one, if he is free.
//!
//! Threads that took turns would all connect sooner or later. So there are as many connections as jobs ran at once, and
//! one more; and a job finds a connection that has prepared its statements.

use crate::store::database::Job;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use tokio::sync::mpsc::Receiver;

/// Jobs that wait, and threads that wait for jobs.
pub(super) struct Queue<W> {
    jobs: Mutex<Receiver<Box<dyn Job<W>>>>,
    turn: Turn,
}

impl<W> Queue<W> {
    pub(super) fn new(jobs: Receiver<Box<dyn Job<W>>>) -> Self {
        Self { jobs: jobs.into(), turn: Turn::default() }
    }

    /// Waits for a job. `None` if there will be none any more.
    pub(super) fn next(&self) -> Option<Box<dyn Job<W>>> {
        let turn = self.turn.take();
        // Nobody else wants it: it is this thread's turn.
        let job = lock(&self.jobs).blocking_recv();
        drop(turn);
        job
    }
}

/// Which thread takes the next job.
#[derive(Default)]
struct Turn(Mutex<Threads>);

#[derive(Default)]
struct Threads {
    is_taken: bool,
    /// Who waits for the turn; the last one gets it.
    waiting: Vec<Arc<Waiting>>,
}

struct Waiting {
    thread: Thread,
    has_turn: AtomicBool,
}

impl Turn {
    fn take(&self) -> Taken<'_> {
        let waiting = {
            let mut threads = lock(&self.0);
            if !threads.is_taken {
                threads.is_taken = true;
                return Taken(self);
            }
            let waiting = Arc::new(Waiting { thread: std::thread::current(), has_turn: AtomicBool::new(false) });
            threads.waiting.push(Arc::clone(&waiting));
            waiting
        };
        // A thread may wake up without having been woken.
        while !waiting.has_turn.load(Ordering::Acquire) {
            std::thread::park();
        }
        Taken(self)
    }
}

/// The turn, which passes on when this is dropped.
struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut threads = lock(&self.0.0);
        match threads.waiting.pop() {
            Some(next) => {
                next.has_turn.store(true, Ordering::Release);
                next.thread.unpark();
            }
            None => threads.is_taken = false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use crate::store::database::{Failure, Tx};
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::ThreadId;

    const THREADS: usize = 8;

    /// Says who took it, and waits for others that run at the same time.
    struct Told {
        by: Sender<ThreadId>,
        together: Arc<Barrier>,
    }

    impl Job<()> for Told {
        fn what(&self) {}

        fn run(&mut self, _: &Tx<'_>) -> Result<(), Failure> {
            unreachable!("no database here")
        }

        fn fail(&mut self, _: StoreError) {}

        fn reply(self: Box<Self>) {
            self.together.wait();
            let _ = self.by.send(std::thread::current().id());
        }
    }

    #[test]
    fn as_many_threads_work_as_there_is_work_at_once_and_one_more() {
        let (jobs, receiver) = tokio::sync::mpsc::channel::<Box<dyn Job<()>>>(64);
        let queue = Arc::new(Queue::new(receiver));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    while let Some(job) = queue.next() {
                        job.reply();
                    }
                })
            })
            .collect();
        let at_once = |n: usize, times: usize| -> HashSet<ThreadId> {
            let mut seen = HashSet::new();
            for _ in 0..times {
                // Until all of them wait: one has the turn.
                while lock(&queue.turn.0).waiting.len() < THREADS - 1 {
                    std::thread::yield_now();
                }
                let (by, said) = channel();
                let together = Arc::new(Barrier::new(n));
                for _ in 0..n {
                    let told = Told { by: by.clone(), together: Arc::clone(&together) };
                    jobs.blocking_send(Box::new(told)).expect("taken");
                }
                drop(by);
                seen.extend(said.iter());
            }
            seen
        };
        assert!(at_once(1, 100).len() <= 2);
        assert!(at_once(3, 100).len() <= 4);
        assert_eq!(at_once(THREADS, 3).len(), THREADS);
        drop(jobs);
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    }
}
