//! Who is told that something was committed: the tasks of this process at once, and other processes by whatever their
//! database has for it. Nothing rests on it but speed; whoever waits also looks by himself now and then.

use super::Receiver;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// What a transaction has caused, once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wake {
    /// An effect may be due.
    Effects,
    /// A receiver has another event.
    Event(Receiver),
}

/// Tells other processes.
type Away = dyn Fn(&[Receiver]) + Send + Sync;

/// Who waits in this process.
#[derive(Clone, Default)]
pub(crate) struct Wakes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    effects: Arc<Notify>,
    receivers: Mutex<HashMap<Receiver, Weak<Notify>>>,
    away: Mutex<Option<Box<Away>>>,
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wakes")
    }
}

impl Wakes {
    /// From now on other processes are told by `away`.
    pub(crate) fn tell_others(&self, away: impl Fn(&[Receiver]) + Send + Sync + 'static) {
        *self.0.away.lock() = Some(Box::new(away));
    }

    /// Something was committed by this process.
    pub(crate) fn committed(&self, wakes: &[Wake]) {
        let mut receivers = Vec::new();
        for wake in wakes {
            match wake {
                Wake::Effects => self.0.effects.notify_one(),
                Wake::Event(receiver) if !receivers.contains(receiver) => receivers.push(*receiver),
                Wake::Event(_) => {}
            }
        }
        if receivers.is_empty() {
            return;
        }
        receivers.iter().for_each(|receiver| self.wake(receiver));
        if let Some(away) = &*self.0.away.lock() {
            away(&receivers);
        }
    }

    /// A receiver has another event, whoever caused it.
    pub(crate) fn wake(&self, receiver: &Receiver) {
        if let Some(waiting) = self.0.receivers.lock().get(receiver).and_then(Weak::upgrade) {
            waiting.notify_waiters();
        }
    }

    /// Whether anybody waits for events at all.
    pub(crate) fn are_awaited(&self) -> bool {
        self.0.receivers.lock().values().any(|waiting| waiting.strong_count() > 0)
    }

    /// Is notified of a receiver's events, as long as somebody holds it.
    pub(crate) fn of(&self, receiver: &Receiver) -> Arc<Notify> {
        let mut receivers = self.0.receivers.lock();
        receivers.retain(|_, waiting| waiting.strong_count() > 0);
        if let Some(waiting) = receivers.get(receiver).and_then(Weak::upgrade) {
            return waiting;
        }
        let waiting = Arc::new(Notify::new());
        receivers.insert(*receiver, Arc::downgrade(&waiting));
        waiting
    }

    /// Is notified when an effect may be due.
    pub(crate) fn effects(&self) -> Arc<Notify> {
        Arc::clone(&self.0.effects)
    }
}
