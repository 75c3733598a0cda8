//! What other processes commit: PostgreSQL's LISTEN and NOTIFY.
//!
//! A process is told after the commit, by a connection of its own that gathers what there is to tell: a transaction
//! that notifies holds up the commits of all others, and this one writes nothing.

use super::address::DatabaseAddress;
use super::connection::Connection;
use crate::ops::clock::Clock;
use crate::store::Receiver;
use crate::store::wakes::Wakes;
use parking_lot::Mutex;
use portcullis_protocol::encoding::Octets;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Queue, SyncSender, sync_channel};
use std::time::Duration;

/// The channel that they are told on.
const CHANNEL: &str = "portcullis_events";
/// Receivers that wait to be told of, at most. Whoever is not told looks by himself within a second.
const WAITING: usize = 4096;
/// Receivers that are told of at once.
const AT_ONCE: usize = 256;
/// How long a thread waits before it looks whether the store was closed, and before it connects again.
const LOOK: Duration = Duration::from_millis(500);

/// Tells other processes, and hears of them.
#[derive(Debug)]
pub(super) struct News {
    address: DatabaseAddress,
    tells: Arc<Mutex<Option<SyncSender<Receiver>>>>,
    is_followed: AtomicBool,
    is_closed: Arc<AtomicBool>,
}

impl News {
    pub(super) fn new(address: DatabaseAddress) -> Self {
        Self { address, tells: Arc::default(), is_followed: AtomicBool::new(false), is_closed: Arc::default() }
    }

    /// Other processes are told of what this one commits. The thread that does it starts with the first event.
    pub(super) fn tell_others(&self, wakes: &Wakes) {
        let (address, tells, is_closed) = (self.address.clone(), Arc::clone(&self.tells), Arc::clone(&self.is_closed));
        wakes.tell_others(move |receivers| {
            let mut tells = tells.lock();
            if tells.is_none() && !is_closed.load(Ordering::SeqCst) {
                let (sender, queue) = sync_channel(WAITING);
                let address = address.clone();
                let started =
                    std::thread::Builder::new().name("store-tell".into()).spawn(move || tell(&address, &queue));
                match started {
                    Ok(_) => *tells = Some(sender),
                    Err(error) => tracing::error!(%error, "events are seen late by other processes"),
                }
            }
            if let Some(sender) = &*tells {
                for receiver in receivers {
                    let _ = sender.try_send(*receiver);
                }
            }
        });
    }

    /// Follows what other processes tell, from now on.
    pub(super) fn follow(&self, wakes: &Wakes) {
        if self.is_followed.swap(true, Ordering::SeqCst) {
            return;
        }
        let (address, wakes, is_closed) = (self.address.clone(), wakes.clone(), Arc::clone(&self.is_closed));
        let started = std::thread::Builder::new().name("store-news".into()).spawn(move || {
            while !is_closed.load(Ordering::SeqCst) {
                if let Err(error) = listen(&address, &wakes, &is_closed) {
                    tracing::warn!(%error, "events of other processes are seen late");
                    std::thread::sleep(LOOK);
                }
            }
        });
        if let Err(error) = started {
            self.is_followed.store(false, Ordering::SeqCst);
            tracing::error!(%error, "events of other processes are seen late");
        }
    }

    /// Lets go of the connections.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        drop(self.tells.lock().take());
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.close();
    }
}

fn tell(address: &DatabaseAddress, queue: &Queue<Receiver>) {
    let mut connection = None;
    while let Ok(first) = queue.recv() {
        let told: BTreeSet<String> =
            std::iter::once(first).chain(queue.try_iter().take(AT_ONCE)).map(|receiver| word(&receiver)).collect();
        let sql: String = told.iter().map(|word| format!("SELECT pg_notify('{CHANNEL}', '{word}');")).collect();
        if connection.is_none() {
            connection = Connection::open(address, &Clock::default()).ok();
        }
        // Whoever is not told looks by himself.
        if connection.as_ref().is_none_or(|connection| connection.run(&sql).is_err()) {
            connection = None;
            std::thread::sleep(LOOK);
        }
    }
}

fn listen(address: &DatabaseAddress, wakes: &Wakes, is_closed: &AtomicBool) -> Result<(), String> {
    let connection = Connection::open(address, &Clock::default()).map_err(|error| error.to_string())?;
    connection.run(&format!("LISTEN {CHANNEL}")).map_err(|error| format!("{error:?}"))?;
    while !is_closed.load(Ordering::SeqCst) {
        let told = connection.notified(LOOK).map_err(|error| format!("{error:?}"))?;
        told.iter().filter_map(|word| receiver(word)).for_each(|receiver| wakes.wake(&receiver));
    }
    Ok(())
}

/// A receiver as it is told of: its kind and its identifier, which have no character that SQL would take for another.
fn word(receiver: &Receiver) -> String {
    let (kind, id) = receiver.columns();
    format!("{kind}.{}", Octets(id))
}

fn receiver(word: &str) -> Option<Receiver> {
    let (kind, id) = word.split_once('.')?;
    Receiver::from_columns(kind.parse().ok()?, Octets::parse(id).ok()?.0)
}
