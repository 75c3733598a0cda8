//! A look at the wire: every exchange with the server, with its size and time.

use parking_lot::Mutex;
use portcullis_host::{BillingServer, Body, Download, Downloaded, Exchange, Exchanged, TransportError};
use portcullis_protocol::paths;
use serde::Serialize;
use std::time::{Duration, Instant};

/// One exchange.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Arrow {
    pub(crate) request: String,
    pub(crate) status: u16,
    /// Bytes of the bodies, and of the proof.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) microseconds: u64,
}

/// Passes exchanges on and writes down what they were.
pub(crate) struct Watched<S> {
    server: S,
    seen: Mutex<Vec<Arrow>>,
}

impl<S> Watched<S> {
    /// Watches a server.
    pub(crate) const fn new(server: S) -> Self {
        Self { server, seen: Mutex::new(Vec::new()) }
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Vec<Arrow> {
        std::mem::take(&mut *self.seen.lock())
    }

    fn note(&self, request: String, status: u16, sent: u64, received: u64, begun: Instant) {
        let microseconds = micros(begun.elapsed());
        let arrow = Arrow { request, status, sent, received, microseconds };
        self.seen.lock().push(arrow);
    }
}

/// A duration in whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The path without what differs from one exchange to the next.
fn route(path_and_query: &str) -> String {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let segment = |segment: &str| {
        if segment.len() > 20 && segment.bytes().any(|b| b.is_ascii_uppercase()) {
            "…".to_owned()
        } else {
            segment.to_owned()
        }
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[async_trait::async_trait]
impl<S: BillingServer> BillingServer for Watched<S> {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        let request = format!("{} {}", exchange.method.as_str(), route(&exchange.path_and_query));
        let body = match &exchange.body {
            Body::Empty => 0,
            Body::Text(_, bytes) => bytes.len() as u64,
            Body::File { size, .. } => *size,
        };
        let sent = body + exchange.proof.as_ref().map_or(0, |proof| proof.len() as u64);
        let begun = Instant::now();
        let answer = self.server.exchange(exchange).await?;
        self.note(request, answer.status, sent, answer.body.len() as u64, begun);
        Ok(answer)
    }

    async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
        let begun = Instant::now();
        let request = format!("GET {}", paths::fill(paths::FILE, &[&"…"]));
        let answer = self.server.download(download).await?;
        self.note(request, answer.status, 0, answer.total.unwrap_or_default(), begun);
        Ok(answer)
    }
}
