//! What a server tells this terminal: events, pulled and pushed, without a gap that nobody notices.
//!
//! ```text
//! pull ──▶ nothing left ──▶ stream ──▶ event, event, heartbeat …
//!  ▲                          │ a gap, another epoch, silence, its end
//!  └──────────────────────────┘
//! ```

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::TransportError;
use crate::server::prover::StreamedAnswer;
use crate::server::session::{RequestError, Session};
use crate::server::trust::offline;
use crate::state::clock::Clock as _;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use portcullis_protocol::limits::{EVENT_HEARTBEAT, MAX_DOCUMENT};
use portcullis_protocol::wire::EventsAnswer;
use portcullis_protocol::{Digest, EpochId, Event, JwsError, More, Origin, Unverified, paths};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long nothing may arrive on a stream: two heartbeats.
const SILENCE: Duration = Duration::from_secs(2 * EVENT_HEARTBEAT);
/// The longest pause before a server that does not answer is asked again.
const LONGEST: Duration = Duration::from_secs(60);

/// Up to where this terminal has read the events of a server. As text it is kept by whoever follows: `EPOCH/SEQ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCursor {
    /// What the events are numbered in.
    pub epoch: EpochId,
    /// The last one that was seen.
    pub seq: u64,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.seq)
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of events: EPOCH/SEQ")]
pub struct BadCursor;

impl FromStr for EventCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (epoch, seq) = text.split_once('/').ok_or(BadCursor)?;
        Ok(Self { epoch: epoch.parse().map_err(|_| BadCursor)?, seq: seq.parse().map_err(|_| BadCursor)? })
    }
}

/// What a server told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// Something happened.
    Event {
        /// How far the terminal has read by now; keep it once the event was dealt with.
        cursor: EventCursor,
        /// What: `order.paid`. Those that are not known are to be passed over.
        kind: String,
        /// When, Unix seconds of the server.
        at: u64,
        /// To what.
        data: More,
    },
    /// Events are missing between the last one and the next: what depends on them is to be asked for anew.
    Missed(EventCursor),
}

/// The events of a server, followed for as long as somebody asks for the next one.
pub struct Events {
    session: Arc<Session>,
    cursor: Option<EventCursor>,
    told: VecDeque<Told>,
    stream: Option<Stream>,
    /// How often it was tried in vain.
    attempt: u32,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("origin", self.origin()).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

/// What may follow a document of a stream.
enum Next {
    /// It is the next one, and this is the cursor from then on.
    Told(EventCursor, Told),
    /// There is nothing new.
    Nothing,
    /// Something is missing.
    Pull,
}

impl Events {
    pub(crate) const fn new(session: Arc<Session>, cursor: Option<EventCursor>) -> Self {
        Self { session, cursor, told: VecDeque::new(), stream: None, attempt: 0 }
    }

    /// Whose events these are.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.session.origin()
    }

    /// Passes over everything that was told so far: only what happens from now on is told. Whoever looks at the state
    /// of what it follows after this misses nothing.
    ///
    /// # Errors
    /// [`ClientError`]; it is not asked again by itself.
    pub async fn skip_to_now(&mut self) -> Result<(), ClientError> {
        let EventsAnswer { epoch, last, .. } = self.session.get(paths::EVENTS).await?;
        self.cursor = Some(EventCursor { epoch, seq: last });
        (self.told, self.stream) = (VecDeque::new(), None);
        Ok(())
    }

    /// Waits for what the server tells next. A server that does not answer is asked again, for as long as this is
    /// waited for; it may be dropped at any time, and loses nothing.
    ///
    /// # Errors
    /// The server's signed no: the terminal was revoked, or the account is suspended. While nobody is signed in, or the
    /// server is not the trusted one, it is asked again.
    pub async fn next(&mut self) -> Result<Told, ClientError> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            match self.step().await {
                Ok(()) => self.attempt = 0,
                Err(no) if no.is_undecided() => {
                    self.stream = None;
                    self.attempt = self.attempt.saturating_add(1);
                    // What was pulled is told before the stream is tried again.
                    if !self.told.is_empty() {
                        continue;
                    }
                    let pause = self.session.retry().pause_before(self.attempt);
                    let pause = pause.max(Duration::from_secs(u64::from(self.attempt / 4))).min(LONGEST);
                    tracing::debug!(%no, "events are asked for again");
                    tokio::time::sleep(pause).await;
                }
                Err(no) => return Err(no.into()),
            }
        }
    }

    async fn step(&mut self) -> Result<(), RequestError> {
        let Some(stream) = &mut self.stream else { return self.pull().await };
        // A document that is dropped after it was taken out is pulled: the next one shows the gap.
        let document = match tokio::time::timeout(SILENCE, stream.document()).await {
            Ok(Ok(Some(document))) => document,
            // A stream ends with its token, or because its server stops: pulled, it tells which.
            Ok(Ok(None) | Err(_)) | Err(_) => {
                self.stream = None;
                return Ok(());
            }
        };
        let req = stream.req;
        let event = self.session.event(&document, Some(req)).await?;
        match follow(self.cursor, event) {
            Next::Told(cursor, told) => {
                self.cursor = Some(cursor);
                self.told.push_back(told);
            }
            Next::Nothing => {}
            Next::Pull => self.stream = None,
        }
        Ok(())
    }

    /// Asks for what there is after the cursor, and follows from there once nothing is left.
    async fn pull(&mut self) -> Result<(), RequestError> {
        let path = match &self.cursor {
            Some(cursor) => paths::fill(paths::EVENTS_AFTER, &[&cursor.epoch, &cursor.seq]),
            None => paths::EVENTS.to_owned(),
        };
        let answer: EventsAnswer = self.session.get(&path).await?;
        let mut documents = Vec::new();
        for compact in &answer.events {
            // The answer around them was believed for this request; each has to be signed by the server all the same.
            documents.push(self.session.event(compact, None).await?);
        }
        let known = self.cursor.filter(|cursor| cursor.epoch == answer.epoch && !answer.gap);
        let first = documents.first().map_or(answer.last, |event| event.seq.saturating_sub(1));
        let mut cursor = known.unwrap_or(EventCursor { epoch: answer.epoch, seq: first });
        let mut told = VecDeque::new();
        if known.is_none() && (self.cursor.is_some() || answer.gap) {
            told.push_back(Told::Missed(cursor));
        }
        for event in documents {
            let Some(body) = event.body.filter(|_| event.epoch == cursor.epoch && event.seq == cursor.seq + 1) else {
                return Err(offline("the server skips its own events").into());
            };
            cursor.seq = event.seq;
            told.push_back(Told::Event { cursor, kind: body.kind, at: body.at, data: body.data });
        }
        let is_all = cursor.seq >= answer.last;
        self.cursor = Some(cursor);
        self.told = told;
        if is_all {
            let path = paths::fill(paths::EVENTS_STREAM, &[&cursor.epoch, &cursor.seq]);
            self.stream = Some(Stream::open(&self.session, path).await?);
        }
        Ok(())
    }
}

/// What a document of a stream means, after what was seen before.
fn follow(seen: Option<EventCursor>, event: Event) -> Next {
    let Event { epoch, seq, body, .. } = event;
    let Some(seen) = seen.filter(|seen| seen.epoch == epoch) else { return Next::Pull };
    match body {
        None if seq == seen.seq => Next::Nothing,
        Some(_) if seq <= seen.seq => Next::Nothing,
        Some(body) if seq == seen.seq + 1 => {
            let cursor = EventCursor { epoch, seq };
            Next::Told(cursor, Told::Event { cursor, kind: body.kind, at: body.at, data: body.data })
        }
        None | Some(_) => Next::Pull,
    }
}

/// A stream that stands.
struct Stream {
    req: Digest,
    read: BytesMut,
    body: BoxStream<'static, Result<Bytes, TransportError>>,
}

impl Stream {
    async fn open(session: &Session, path: String) -> Result<Self, RequestError> {
        let StreamedAnswer { req, body } = session.stream(path).await?;
        Ok(Self { req, read: BytesMut::new(), body })
    }

    /// The next compact document; `None` at the end. Nothing that was read is lost if this is dropped.
    async fn document(&mut self) -> Result<Option<String>, Refused> {
        loop {
            while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1);
                let text = std::str::from_utf8(&line).map_err(|_| offline("a stream that is no text"))?;
                // Comments, and fields that a later version adds, are nobody's here.
                if let Some(document) = text.trim_end().strip_prefix("data:") {
                    return Ok(Some(document.trim_start().to_owned()));
                }
            }
            if self.read.len() > MAX_DOCUMENT {
                return Err(offline("a line without end"));
            }
            match self.body.next().await {
                Some(piece) => self.read.extend_from_slice(&piece.map_err(Refused::from)?),
                None => return Ok(None),
            }
        }
    }
}

impl Session {
    /// Believes an event that a current key of the server signed, for the request that it is sent in answer to.
    async fn event(&self, compact: &str, req: Option<Digest>) -> Result<Event, RequestError> {
        let doubt = |error: JwsError| RequestError::from(offline(format!("an event is not to be believed: {error}")));
        let event = Unverified::<Event>::parse(compact).map_err(doubt)?;
        let now = self.prover().clock().now();
        let mut keys = self.trust().keys(self.origin()).await?;
        if keys.signing_key(event.kid(), now).is_none() {
            keys = self.trust().refresh(self.origin()).await?;
        }
        let key = keys.signing_key(event.kid(), now).ok_or(JwsError::Key).map_err(doubt)?;
        let event = event.verify(key).map_err(doubt)?.into_document();
        match req {
            Some(req) if event.req != req => Err(offline("an event is for another request").into()),
            _ => Ok(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::EventBody;

    fn document(epoch: u8, seq: u64, body: bool) -> Event {
        let body = body.then(|| EventBody { kind: "order.paid".into(), at: 1, data: More::new() });
        Event { req: Digest::of(b""), epoch: EpochId::from_bytes([epoch; 16]), seq, iat: 2, body }
    }

    #[test]
    fn a_gap_and_a_foreign_epoch_mean_pull_and_what_was_seen_is_passed_over() {
        let seen = Some(EventCursor { epoch: EpochId::from_bytes([1; 16]), seq: 7 });
        let next = |event| match follow(seen, event) {
            Next::Told(cursor, _) => format!("event {}", cursor.seq),
            Next::Nothing => "nothing".into(),
            Next::Pull => "pull".into(),
        };
        for (event, expected) in [
            (document(1, 8, true), "event 8"),
            (document(1, 7, true), "nothing"),
            (document(1, 3, true), "nothing"),
            (document(1, 9, true), "pull"),
            (document(1, 7, false), "nothing"),
            (document(1, 9, false), "pull"),
            (document(1, 5, false), "pull"),
            (document(2, 8, true), "pull"),
            (document(2, 7, false), "pull"),
        ] {
            assert_eq!(next(event.clone()), expected, "{event:?}");
        }
        assert!(matches!(follow(None, document(1, 1, true)), Next::Pull));
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = EventCursor { epoch: EpochId::from_bytes([1; 16]), seq: 7 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "7", "AQEB/7", "AQEBAQEBAQEBAQEBAQEBAQ/", "AQEBAQEBAQEBAQEBAQEBAQ/-1"] {
            assert_eq!(wrong.parse::<EventCursor>(), Err(BadCursor), "{wrong}");
        }
    }
}
