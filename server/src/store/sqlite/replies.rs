//! How a group that was committed is answered: by one task, which is woken once. To answer each write from the writer's
//! thread would be a call of the system for each.

use crate::ops::faults::Write;
use crate::store::database::Job;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Group = Vec<Box<dyn Job<Write>>>;

/// The way of answers to whoever waits for them.
pub(super) struct Replies(Option<UnboundedSender<Group>>);

impl Replies {
    /// By a task of the runtime that this is called in, if that has threads of its own: one that runs only while
    /// somebody waits in it could leave a caller outside it without an answer.
    pub(super) fn new() -> Self {
        let here = Handle::try_current().ok();
        let Some(runtime) = here.filter(|here| here.runtime_flavor() == RuntimeFlavor::MultiThread) else {
            return Self(None);
        };
        // Not bounded: no more is in it than callers wait for, and those the queue of the writer bounds.
        let (replies, mut groups) = unbounded_channel::<Group>();
        runtime.spawn(async move {
            while let Some(group) = groups.recv().await {
                group.into_iter().for_each(Job::reply);
            }
        });
        Self(Some(replies))
    }

    /// Answers every write of a group.
    pub(super) fn send(&self, group: Group) {
        let left = match &self.0 {
            // The runtime that had the task may have ended.
            Some(replies) => replies.send(group).err().map(|unsent| unsent.0),
            None => Some(group),
        };
        left.into_iter().flatten().for_each(Job::reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use crate::store::database::{Failure, Tx};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Says that it was answered.
    struct Told(Sender<u8>, u8);

    impl Job<Write> for Told {
        fn what(&self) -> Write {
            Write::Sweep
        }
        fn run(&mut self, _: &Tx<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn fail(&mut self, _: StoreError) {}
        fn reply(self: Box<Self>) {
            self.0.send(self.1).expect("heard");
        }
    }

    #[test]
    fn every_write_of_a_group_is_answered_whatever_became_of_the_runtime() {
        let (told, heard) = channel();
        let group = |from: u8| (from..from + 3).map(|number| Box::new(Told(told.clone(), number)) as Box<_>).collect();
        let next = || heard.recv_timeout(Duration::from_secs(10)).expect("answered");
        let expect = |from: u8| assert_eq!([next(), next(), next()], [from, from + 1, from + 2]);
        let here = Replies::new();
        assert!(here.0.is_none());
        here.send(group(0));
        expect(0);
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let replies = threads.block_on(async { Replies::new() });
        assert!(replies.0.is_some());
        replies.send(group(10));
        expect(10);
        drop(threads);
        replies.send(group(20));
        expect(20);
        let alone = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let replies = alone.block_on(async { Replies::new() });
        replies.send(group(30));
        expect(30);
    }
}
