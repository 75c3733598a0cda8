//! The orders that are under way: so many at once, each of them once.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use portcullis_protocol::OrderId;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

/// An order on its way, which says at its end which it was.
type Way<'a> = Pin<Box<dyn Future<Output = OrderId> + Send + 'a>>;

/// The places.
pub(crate) struct Places<'a> {
    most: usize,
    taken: HashSet<OrderId>,
    ways: FuturesUnordered<Way<'a>>,
}

impl<'a> Places<'a> {
    /// So many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: HashSet::new(), ways: FuturesUnordered::new() }
    }

    /// How many orders have to be looked at to fill them, if those that are under way come first.
    pub(crate) fn most(&self) -> u32 {
        u32::try_from(self.most + self.taken.len()).unwrap_or(u32::MAX)
    }

    /// Whether another order can be taken.
    pub(crate) fn are_free(&self) -> bool {
        self.taken.len() < self.most
    }

    /// Takes an order, if a place is free and it is not under way.
    pub(crate) fn take<F: Future<Output = ()> + Send + 'a>(&mut self, order: OrderId, way: impl FnOnce() -> F) {
        if self.are_free() && self.taken.insert(order) {
            let way = way();
            self.ways.push(Box::pin(async move {
                way.await;
                order
            }));
        }
    }

    /// Goes on with all of them until one has come to its end; for ever, if there is none.
    pub(crate) async fn one_is_free(&mut self) {
        match self.ways.next().await {
            Some(order) => {
                self.taken.remove(&order);
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn one_that_hangs_holds_its_own_place_alone() {
        let order = |number: u8| OrderId::from_bytes([number; 16]);
        let done = Mutex::new(Vec::new());
        let mut places = Places::new(2);
        places.take(order(0), std::future::pending);
        for number in 1..=9 {
            // Once more while it is under way, and without a place: neither begins.
            places.take(order(0), || async { panic!("twice at once") });
            let done = &done;
            places.take(order(number), move || async move { done.lock().expect("a lock").push(number) });
            assert!(!places.are_free());
            places.take(order(100), || async { panic!("more than there are places") });
            places.one_is_free().await;
            assert!(places.are_free());
        }
        assert_eq!(*done.lock().expect("a lock"), (1..=9).collect::<Vec<u8>>());
    }
}
