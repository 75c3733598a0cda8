//! Events to whoever is connected: pulled as an answer, or pushed as a stream. Both hold the same documents.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::http::address::network;
use crate::http::rate::TooMany;
use crate::store::{Cursor, EventPage, EventRecord, Receiver};
use parking_lot::Mutex;
use portcullis_protocol::limits::{EVENT_HEARTBEAT, MAX_EVENTS, MAX_EVENTS_ANSWER};
use portcullis_protocol::wire::EventsAnswer;
use portcullis_protocol::{AccountId, Digest, Event, EventBody, SecretKey, Verified};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Streams of one receiver at once: the program that follows, one that has not noticed yet that its connection broke,
/// and a person's.
const STREAMS_OF_RECEIVER: usize = 4;
/// Streams of all terminals of one account at once: no customer takes those of the others.
const STREAMS_OF_ACCOUNT: usize = 16;
/// One network has at most this part of all streams, or as many as one account if that is more: accounts cost nothing
/// if everybody may sign up.
const PART_OF_NETWORK: usize = 4;
/// How often it is looked whether whoever follows still may: four times in the second within which a revocation ends a
/// stream.
const LOOK: Duration = Duration::from_millis(250);
/// After how many such looks it is looked whether there is an event that nobody woke him for.
const UNWOKEN: u32 = 4;
/// Seconds after which a stream of a busy server is asked for again.
const RETRY: u32 = 5;

/// Signs an event of a page, for the request that asked.
fn sign(page: &EventPage, event: &EventRecord, req: Digest, key: &SecretKey) -> Result<String, ServiceError> {
    let data = serde_json::from_str(&event.data)
        .map_err(|_| ServiceError::Failed("an event holds data that cannot be read".into()))?;
    let body = EventBody { kind: event.kind.clone(), at: event.at.seconds(), data };
    let iat = page.now.seconds();
    let document = Event { req, epoch: page.epoch, seq: event.seq, iat, body: Some(body) };
    Ok(Verified::sign(document, key).compact().to_owned())
}

/// The events after a cursor, as many as one answer holds.
///
/// # Errors
/// [`ServiceError::Failed`].
pub(crate) async fn pull(
    core: &Core,
    receiver: &Receiver,
    after: Option<Cursor>,
    req: Digest,
) -> Result<EventsAnswer, ServiceError> {
    let page = core.store.events(receiver, after, MAX_EVENTS).await?;
    let key = core.keys.signing_key(page.now)?;
    let (mut events, mut length) = (Vec::new(), 0);
    for event in &page.events {
        let signed = sign(&page, event, req, &key)?;
        length += signed.len();
        if length > MAX_EVENTS_ANSWER && !events.is_empty() {
            break;
        }
        events.push(signed);
    }
    Ok(EventsAnswer { epoch: page.epoch, events, last: page.last, gap: page.is_gap })
}

/// The streams of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    most: usize,
    open: Mutex<Vec<Entry>>,
    stopped: watch::Sender<bool>,
}

/// Who follows, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    receiver: Receiver,
    account: Option<AccountId>,
    network: IpAddr,
}

/// One stream's place. Dropping it leaves it.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<Streams>,
    entry: Entry,
}

impl Streams {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default(), stopped: watch::Sender::new(false) }
    }

    /// A place, if there is one.
    pub(crate) fn enter(
        self: &Arc<Self>,
        receiver: Receiver,
        account: Option<AccountId>,
        address: IpAddr,
    ) -> Result<Place, TooMany> {
        let entry = Entry { receiver, account, network: network(address) };
        let mut open = self.open.lock();
        let of_receiver = open.iter().filter(|other| other.receiver == receiver).count();
        let of_account = open.iter().filter(|other| account.is_some() && other.account == account).count();
        let of_network = open.iter().filter(|other| other.network == entry.network).count();
        if open.len() >= self.most
            || of_receiver >= STREAMS_OF_RECEIVER
            || of_account >= STREAMS_OF_ACCOUNT
            || of_network >= (self.most / PART_OF_NETWORK).max(STREAMS_OF_ACCOUNT)
        {
            return Err(TooMany { retry_after: RETRY });
        }
        open.push(entry);
        Ok(Place { streams: Arc::clone(self), entry })
    }

    /// Ends all of them: the server stops.
    pub(crate) fn end(&self) {
        self.stopped.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        if let Some(place) = open.iter().position(|entry| *entry == self.entry) {
            open.swap_remove(place);
        }
    }
}

/// Whether whoever follows may go on: his token has not ended, and nobody has revoked anything.
pub(crate) trait MayFollow: Send + Sync + 'static {
    /// Looks.
    fn may_follow(&self) -> impl Future<Output = bool> + Send;
}

/// A stream under way.
pub(crate) struct Following<M> {
    core: Core,
    receiver: Receiver,
    cursor: Cursor,
    req: Digest,
    may: M,
    place: Place,
}

impl<M: MayFollow> Following<M> {
    pub(crate) const fn new(core: Core, receiver: Receiver, cursor: Cursor, req: Digest, may: M, place: Place) -> Self {
        Self { core, receiver, cursor, req, may, place }
    }

    /// Sends every event as it happens, and a heartbeat if there is none for long, until the receiver is gone, may not
    /// follow any more, or has to pull: then a last heartbeat says where its events are.
    pub(crate) async fn run(mut self, to: &mpsc::Sender<String>) {
        let wake = self.core.store.wake_of(&self.receiver);
        let mut stopped = self.place.streams.stopped.subscribe();
        let heartbeat = Duration::from_secs(EVENT_HEARTBEAT);
        // The first document says that the stream stands.
        let mut silent_until = Instant::now();
        let mut looks = 0;
        loop {
            // Before it is looked: what happens from here on wakes.
            let woken = wake.notified();
            if !self.may.may_follow().await {
                return;
            }
            if looks > 0 && looks < UNWOKEN {
                looks += 1;
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    () = woken => looks = 0,
                    () = tokio::time::sleep(LOOK) => {}
                }
                continue;
            }
            let page = match self.core.store.events(&self.receiver, Some(self.cursor), MAX_EVENTS).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends");
                    return;
                }
            };
            let Ok(key) = self.core.keys.signing_key(page.now) else { return };
            if page.is_gap {
                self.push(to, self.heartbeat(&page, &key)).await;
                return;
            }
            for event in &page.events {
                let Ok(signed) = sign(&page, event, self.req, &key) else { return };
                if !self.push(to, signed).await {
                    return;
                }
                self.cursor.seq = event.seq;
                silent_until = Instant::now() + heartbeat;
            }
            if self.cursor.seq < page.last {
                continue;
            }
            if Instant::now() >= silent_until {
                if !self.push(to, self.heartbeat(&page, &key)).await {
                    return;
                }
                silent_until = Instant::now() + heartbeat;
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = woken => looks = 0,
                () = tokio::time::sleep(LOOK) => looks = 1,
            }
        }
    }

    /// Hands a document over, as soon as a slow receiver has room for it. Returns false if he is gone, or may not
    /// follow any more by then.
    async fn push(&self, to: &mpsc::Sender<String>, document: String) -> bool {
        loop {
            match tokio::time::timeout(LOOK, to.reserve()).await {
                Ok(Ok(room)) => {
                    room.send(document);
                    return true;
                }
                Ok(Err(_)) => return false,
                Err(_) if self.may.may_follow().await => {}
                Err(_) => return false,
            }
        }
    }

    fn heartbeat(&self, page: &EventPage, key: &SecretKey) -> String {
        let (epoch, seq, iat) = (page.epoch, page.last, page.now.seconds());
        Verified::sign(Event { req: self.req, epoch, seq, iat, body: None }, key).compact().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::TerminalId;

    #[test]
    fn one_network_leaves_streams_to_the_others() {
        let streams = Arc::new(Streams::new(100));
        let follow = |number: u8, address: &str| {
            let (terminal, account) = (TerminalId::from_bytes([number; 16]), AccountId::from_bytes([number; 16]));
            streams.enter(Receiver::Terminal(terminal), Some(account), address.parse().expect("an address"))
        };
        let mut open: Vec<Place> = (0..25).map(|number| follow(number, "192.0.2.1").expect("a place")).collect();
        assert!(follow(25, "192.0.2.1").is_err(), "a quarter of all");
        open.push(follow(26, "192.0.2.2").expect("another network"));
        drop(open);
        assert!(follow(25, "192.0.2.1").is_ok(), "places are given back");
    }
}
