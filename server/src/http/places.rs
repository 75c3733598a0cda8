//! Places that clients hold at the same time: of all together, and of one address.

use crate::http::address::network;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How many places there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Of all together; `None` if something else bounds them.
    pub(crate) all: Option<usize>,
    /// Of one address; `None` if all come from a proxy's.
    pub(crate) per_address: Option<usize>,
}

/// The places that are held.
#[derive(Debug)]
pub(crate) struct Places {
    caps: Caps,
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// One client's place among them. Dropping it leaves it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, addresses: Mutex::default() })
    }

    /// A place, if there is one for this address.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut addresses = self.addresses();
        let own = addresses.get(&address).copied().unwrap_or(0);
        let is_full = self.caps.all.is_some_and(|most| addresses.values().sum::<usize>() >= most);
        if is_full || self.caps.per_address.is_some_and(|most| own >= most) {
            return None;
        }
        addresses.insert(address, own + 1);
        Some(Place { places: Arc::clone(self), address })
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses.lock()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.places.addresses();
        match addresses.get_mut(&self.address) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(addresses.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_has_all_the_places() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let places = Places::new(Caps { all: Some(3), per_address: Some(2) });
        let first = places.enter(address("192.0.2.1")).expect("a place");
        let _second = places.enter(address("192.0.2.1")).expect("a place");
        assert!(places.enter(address("192.0.2.1")).is_none());
        let _other = places.enter(address("192.0.2.2")).expect("another's");
        assert!(places.enter(address("192.0.2.3")).is_none(), "all are taken");
        drop(first);
        drop(places.enter(address("192.0.2.1")).expect("given back"));
    }
}
