//! Places that clients hold at the same time, counted by who holds them: connections and requests by address, uploads
//! by account.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The places that are held.
#[derive(Debug)]
pub(crate) struct Places<K> {
    held: Mutex<HashMap<K, usize>>,
}

/// How many places are held before one more is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Of all together.
    pub(crate) all: usize,
    /// Of who wants one more.
    pub(crate) own: usize,
}

/// One of them. Dropping it leaves it.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    holder: K,
}

impl<K: Eq + Hash + Copy> Places<K> {
    /// Nobody holds any.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::default() })
    }

    /// One more place of a holder, if the rule allows it.
    pub(crate) fn enter(self: &Arc<Self>, holder: K, allows: impl FnOnce(Held) -> bool) -> Option<Place<K>> {
        let mut held = self.held.lock();
        let (all, own) = (held.values().sum(), held.get(&holder).copied().unwrap_or(0));
        if !allows(Held { all, own }) {
            return None;
        }
        held.insert(holder, own + 1);
        Some(Place { places: Arc::clone(self), holder })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.places.held.lock();
        match held.get_mut(&self.holder) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(held.remove(&self.holder)),
        }
    }
}

#[test]
fn a_place_that_is_left_is_free_again() {
    let places = Places::new();
    let enter = |holder: u8| places.enter(holder, |held| held.all < 3 && held.own < 2);
    let first = enter(1).expect("a place");
    let _second = enter(1).expect("a place");
    assert!(enter(1).is_none(), "nobody has all of them");
    let _other = enter(2).expect("another's");
    assert!(enter(3).is_none(), "all are taken");
    drop(first);
    drop(enter(1).expect("given back"));
}
