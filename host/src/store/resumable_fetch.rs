//! A file at a server, or a piece of one, fetched over as many connections as it takes.
//!
//! A connection that breaks is taken up again where it broke. What each answer has to be, and where its bytes go, its
//! [`Target`] says: a file on the disk, or the granules of a stream.

use crate::ports::transport::{BillingServer, Download, Downloaded, TransportError};
use async_trait::async_trait;
use futures::StreamExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// How often a broken connection is taken up again without a single byte of progress.
const MAX_RETRIES: u32 = 4;

/// How long [`STRETCH`] bytes of a file may take, over however many connections. A line of 5 KB a second is fast
/// enough; a server that sends a byte now and then is not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes after which patience begins anew.
pub(crate) const STRETCH: u64 = 256 * 1024;

/// What is fetched, and how patiently.
pub(crate) struct ResumableFetch<'a> {
    pub(crate) server: &'a dyn BillingServer,
    pub(crate) url: &'a str,
    /// The entity tag that the file has to keep while it is fetched in pieces.
    pub(crate) etag: Option<&'a str>,
    /// The pause after a connection that brought something. Each one that brought nothing doubles the next pause.
    pub(crate) pause: Duration,
    /// How long nothing may arrive before another connection is tried; `None` leaves that to the transport.
    pub(crate) stall: Option<Duration>,
}

/// The first line of an answer, before any byte of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The place in the file where the body begins.
    pub(crate) from: u64,
    /// The length of the whole file, if the server says it.
    pub(crate) total: Option<u64>,
}

/// Where the bytes go.
#[async_trait]
pub(crate) trait Target: Send {
    /// Why a fetch fails for good.
    type Error: From<TransportError> + Send;

    /// The place in the file where the next byte goes.
    fn position(&self) -> u64;

    /// How many bytes are still missing; `None` if nobody knows how long the file is.
    fn missing(&self) -> Option<u64>;

    /// Judges an answer before its body is read. Returns the place that the body has to reach, if that is known.
    async fn accept(&mut self, head: Head) -> Result<Option<u64>, Stopped<Self::Error>>;

    /// Takes the next bytes.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Stopped<Self::Error>>;

    /// How many bytes to ask for; `None` for all that follow.
    fn length(&self) -> Option<u64> {
        None
    }

    /// When patience ends, over however many connections; `None` for never.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Why a connection ended early.
pub(crate) enum Stopped<E> {
    /// Worth another try.
    Lost(TransportError),
    /// Not worth one.
    Failed(E),
}

impl<E: From<TransportError>> Stopped<E> {
    /// What may follow an error of the transport.
    pub(crate) fn by(error: TransportError) -> Self {
        match error {
            TransportError::Address | TransportError::Redirect => Self::Failed(error.into()),
            error => Self::Lost(error),
        }
    }
}

/// The server answers with this status instead of the file.
pub(crate) fn unexpected_status(status: u16) -> TransportError {
    TransportError::Unreachable(format!("it answers with status {status}"))
}

impl ResumableFetch<'_> {
    /// Fetches until nothing is missing.
    ///
    /// # Errors
    /// The target's own errors; [`TransportError`] if connections keep breaking, or patience ends.
    pub(crate) async fn run<T: Target>(&self, target: &mut T) -> Result<(), T::Error> {
        let mut fruitless = 0;
        while target.missing() != Some(0) {
            let before = target.position();
            match self.connect(target).await {
                // It ended, and nobody said how long it would be.
                Ok(()) if target.missing().is_none() => break,
                Ok(()) => {}
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Lost(error)) if target.position() == before && fruitless == MAX_RETRIES => {
                    return Err(error.into());
                }
                Err(Stopped::Lost(_)) => {}
            }
            if target.missing() == Some(0) {
                break;
            }
            fruitless = if target.position() > before { 0 } else { fruitless + 1 };
            if fruitless > MAX_RETRIES {
                return Err(TransportError::Interrupted("the file always ends early".into()).into());
            }
            if target.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(TransportError::Timeout.into());
            }
            tokio::time::sleep(self.pause.saturating_mul(1 << fruitless)).await;
        }
        Ok(())
    }

    /// One request, from where the target stands.
    async fn connect<T: Target>(&self, target: &mut T) -> Result<(), Stopped<T::Error>> {
        let download = Download {
            url: self.url.to_owned(),
            from: target.position(),
            length: target.length(),
            etag: self.etag.map(str::to_owned),
        };
        let answer = self.with_stall_timeout(target.deadline(), self.server.download(download)).await?;
        let Downloaded { status, from, total, mut body } = answer.map_err(Stopped::by)?;
        let reaches = target.accept(Head { status, from, total }).await?;
        while let Some(bytes) = self.with_stall_timeout(target.deadline(), body.next()).await? {
            target.take(&bytes.map_err(Stopped::by)?).await?;
        }
        match reaches {
            Some(end) if target.position() < end => {
                Err(Stopped::Lost(TransportError::Interrupted("it ended early".into())))
            }
            _ => Ok(()),
        }
    }

    /// Waits for a connection on which something arrives, and for a target whose patience has not ended.
    async fn with_stall_timeout<T, E: From<TransportError>>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = T>,
    ) -> Result<T, Stopped<E>> {
        let stalled = self.stall.map(|stall| Instant::now() + stall);
        let Some(until) = [deadline, stalled].into_iter().flatten().min() else { return Ok(work.await) };
        tokio::time::timeout_at(until, work).await.map_err(|_| match deadline {
            Some(deadline) if deadline <= until => Stopped::Failed(TransportError::Timeout.into()),
            _ => Stopped::Lost(TransportError::Timeout),
        })
    }
}
