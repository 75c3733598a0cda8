//! Connections: how many, how long one may stand idle or half asked, how slowly one may take an answer, and how they
//! end.
//!
//! HTTP/1.1 alone, as proxies speak it to what is behind them: a peer of HTTP/2 closes its window, and holds an answer
//! for ever without a byte that waits on the line.
//!
//! One rule covers what is idle, what sends half a head and what sends nothing: a connection on which no request is
//! being answered is closed after [`IDLE`]. What a request's body may take is in `body`.

use crate::http::address::network;
use crate::http::keeping::Keeping;
use crate::http::places::{Held, Place, Places};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

/// How long a connection may have no request that is being answered: time for the head of one, and for a proxy or a
/// terminal to come back.
const IDLE: Duration = Duration::from_secs(30);
/// How long the last requests may take once the server is asked to stop.
pub(crate) const LAST_REQUESTS: Duration = Duration::from_secs(10);
/// How long a connection without a request may take to end then: to send what lies in its buffer.
const LAST_BYTES: Duration = Duration::from_millis(500);
/// Whoever takes an answer has to take so many bytes in such a time while there are any: half a KiB per second, of
/// which the system's buffer may hide the first minute or two.
const TAKEN_BYTES: usize = 64 * 1024;
const TAKEN_IN: Duration = Duration::from_secs(120);
/// How long nothing is accepted after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(200);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Of all together.
    pub(crate) all: usize,
    /// Of one address; `None` if all come from a proxy's.
    pub(crate) per_address: Option<usize>,
}

impl Caps {
    fn allow(self, held: Held) -> bool {
        held.all < self.all && self.per_address.is_none_or(|most| held.own < most)
    }
}

/// Serves until `stopped`, then ends: requests under way within [`LAST_REQUESTS`], everything else at once.
pub(crate) async fn serve(listener: TcpListener, router: Router, caps: Caps, mut stopped: watch::Receiver<bool>) {
    let places = Places::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A peer that is gone again is nobody's matter; that there is no room for another one is the
                // operator's.
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    tracing::error!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(NO_ROOM).await;
                }
                continue;
            }
        };
        // One too many is closed unheard.
        let Some(place) = places.enter(network(peer.ip()), |held| caps.allow(held)) else { continue };
        connections.spawn(connection(stream, peer, router.clone(), stopped.clone(), place));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    _place: Place<IpAddr>,
) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let requests = Requests::default();
    let under_way = requests.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, guard) = (router.call(request), under_way.begin());
        async move { Ok::<_, Infallible>(Response::map(answer.await?, |body| Keeping::new(body, guard))) }
    });
    let stream = TokioIo::new(Taken::new(stream, (TAKEN_BYTES, TAKEN_IN)));
    let served = http1::Builder::new().serve_connection(stream, service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // Whatever a peer does to its connection is no failure of the server's.
        _ = &mut served => return,
        () = requests.idle() => return,
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    served.as_mut().graceful_shutdown();
    let patience = async {
        tokio::time::sleep(LAST_BYTES).await;
        if requests.count() > 0 {
            tokio::time::sleep(LAST_REQUESTS - LAST_BYTES).await;
        }
    };
    tokio::select! {
        _ = &mut served => {}
        () = patience => {}
    }
}

/// The requests of one connection that are being answered.
#[derive(Clone, Default)]
struct Requests(Arc<AtomicUsize>, Arc<AtomicUsize>);

struct UnderWay(Requests);

impl Requests {
    fn begin(&self) -> UnderWay {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends when no request was being answered for [`IDLE`].
    async fn idle(&self) {
        let mut begun = self.1.load(Ordering::SeqCst);
        loop {
            tokio::time::sleep(IDLE).await;
            let now = self.1.load(Ordering::SeqCst);
            if self.count() == 0 && now == begun {
                return;
            }
            begun = now;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
        // The end of an answer is activity too.
        self.0.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// A stream whose peer has to take what is sent to it.
struct Taken<S> {
    stream: S,
    /// The least that is taken, and in what time.
    least: (usize, Duration),
    /// While something waits to be taken: since when, and how much was taken since.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Taken<S> {
    const fn new(stream: S, least: (usize, Duration)) -> Self {
        Self { stream, least, waiting: None }
    }

    /// Whether the peer is still worth waiting for, once the stream has no room.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let (bytes, within) = self.least;
        let (until, taken) = self.waiting.get_or_insert_with(|| (Box::pin(tokio::time::sleep(within)), 0));
        if until.as_mut().poll(context).is_ready() {
            if *taken < bytes {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            until.as_mut().reset(Instant::now() + within);
            *taken = 0;
            // Registers the waker with the new time.
            let _ = until.as_mut().poll(context);
        }
        Poll::Pending
    }

    fn took(&mut self, bytes: usize) {
        if let Some((_, taken)) = &mut self.waiting {
            *taken = taken.saturating_add(bytes);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            written => {
                if let Poll::Ready(Ok(written)) = &written {
                    self.took(*written);
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything that was to be sent was taken.
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn whoever_takes_an_answer_too_slowly_is_cut_off() {
        // A peer that takes one byte at a time, and one that takes what there is, each with pauses.
        for (bytes, passes) in [(1, false), (1024, true)] {
            let (near, mut far) = tokio::io::duplex(1024);
            let mut near = Taken::new(near, (512, Duration::from_millis(400)));
            let reader = tokio::spawn(async move {
                let mut piece = vec![0; bytes];
                while far.read_exact(&mut piece).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            let sent = near.write_all(&[0; 64 * 1024]).await;
            assert_eq!(sent.is_ok(), passes, "{bytes} bytes at a time: {sent:?}");
            reader.abort();
        }
        // What is taken whole begins no waiting: an idle time later is not held against it.
        let (near, mut far) = tokio::io::duplex(1024);
        let mut near = Taken::new(near, (512, Duration::from_millis(100)));
        for _ in 0..3 {
            let (sent, taken) = tokio::join!(
                async {
                    near.write_all(&[0; 1100]).await?;
                    near.flush().await
                },
                async { far.read_exact(&mut [0; 1100]).await }
            );
            sent.expect("sent");
            taken.expect("taken");
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}
