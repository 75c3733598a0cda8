//! The transport to billing servers: bytes out, bytes in. Whether to believe them is decided above.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use portcullis_protocol::{Digest, IdempotencyKey, Origin};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest answer that is read. A signed one is at most 64 KiB; a page of search results has many signed offers.
pub const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Carries requests to billing servers. Implementations follow no redirect, send nothing anywhere else, stop reading at
/// [`MAX_ANSWER`], and repeat nothing by themselves.
#[async_trait]
pub trait BillingServer: Send + Sync {
    /// One request and its answer.
    ///
    /// # Errors
    /// [`TransportError`]: nothing is known about what the server did.
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError>;

    /// One request whose answer is a stream that stays open. A transport that has none says so, and whoever wanted it
    /// asks now and then instead.
    ///
    /// # Errors
    /// [`TransportError`], also as an item of the stream.
    async fn stream(&self, _exchange: Exchange) -> Result<Streamed, TransportError> {
        Err(TransportError::Unreachable("this transport has no streams".into()))
    }

    /// Fetches a file, from a place in it onwards.
    ///
    /// # Errors
    /// [`TransportError`], also as an item of the stream.
    async fn download(&self, download: Download) -> Result<Downloaded, TransportError>;
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Do.
    Post,
    /// Put in place.
    Put,
    /// Take away.
    Delete,
}

impl Method {
    /// `GET`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// An access token. Wiped when dropped, printed as redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes the text that a server gave.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text that travels.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// The body of a request.
#[derive(Clone, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Text of this media type. May hold secrets; printed as redacted.
    Text(&'static str, Bytes),
    /// A file, streamed. It has to be the one whose digest was proven.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        size: u64,
        /// SHA-256 of it.
        digest: Digest,
        /// Is told how far it is.
        sent: Sent,
    },
}

/// Is told how many bytes of a file have gone out, again from the beginning if it has to be sent again. Must return at
/// once. The default is told nothing.
#[derive(Clone, Default)]
pub struct Sent(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Sent {
    /// Calls `moved` with the bytes that have gone out so far.
    pub fn new(moved: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(moved)))
    }

    /// So many bytes have gone out.
    pub fn tell(&self, bytes: u64) {
        if let Some(moved) = &self.0 {
            moved(bytes);
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

impl Body {
    /// SHA-256 of the exact bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Empty => Digest::of(b""),
            Self::Text(_, bytes) => Digest::of(bytes),
            Self::File { digest, .. } => *digest,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Text(kind, bytes) => write!(f, "Text({kind}, {} bytes)", bytes.len()),
            Self::File { size, .. } => write!(f, "File({size} bytes)"),
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The server. `https`, or a loopback address.
    pub origin: Origin,
    /// What follows the origin, beginning with `/`.
    pub path_and_query: String,
    /// For the header `Authorization`, scheme `DPoP`.
    pub token: Option<AccessToken>,
    /// The header `DPoP`.
    pub proof: Option<String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The body, and its `Content-Type`.
    pub body: Body,
}

impl Exchange {
    /// A request for what everybody may read: `GET`, without credentials or a body.
    #[must_use]
    pub const fn get(origin: Origin, path_and_query: String) -> Self {
        Self {
            method: Method::Get,
            origin,
            path_and_query,
            token: None,
            proof: None,
            idempotency_key: None,
            body: Body::Empty,
        }
    }
}

/// An answer, as it came.
#[derive(Debug, Clone, Default)]
pub struct Exchanged {
    /// The HTTP status.
    pub status: u16,
    /// The header `DPoP-Nonce`.
    pub nonce: Option<String>,
    /// The header `Retry-After`, in seconds; one that is a date counts as absent.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Bytes,
}

/// An answer that may be a stream.
pub struct Streamed {
    /// What came before it: status and nonce; the whole answer if the status is not 200.
    pub head: Exchanged,
    /// The bytes, as they come; of another status there are none.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streamed({})", self.head.status)
    }
}

/// A file to fetch, without any credentials.
#[derive(Debug, Clone)]
pub struct Download {
    /// An absolute URL: `https`, or `http` on a loopback address.
    pub url: String,
    /// The first byte wanted.
    pub from: u64,
    /// How many bytes are wanted; absent: all that follow.
    pub length: Option<u64>,
    /// The entity tag of what is there already; if it does not fit any more, the whole file is sent.
    pub etag: Option<String>,
}

/// A file on its way.
pub struct Downloaded {
    /// The HTTP status: 200 for the whole file, 206 for the rest.
    pub status: u16,
    /// The place in the file where the body begins; 0 for the whole.
    pub from: u64,
    /// The length of the whole file, if the server says it.
    pub total: Option<u64>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

impl fmt::Debug for Downloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Downloaded({}, from {} of {:?})", self.status, self.from, self.total)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, no name, no trusted certificate.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server's certificate holds at another time than this machine's clock shows.
    #[error("{0}: if the clock is wrong, set it; if it is right, the certificate has to be renewed")]
    CertificateTime(String),
    /// It took too long.
    #[error("the server did not answer in time")]
    Timeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Interrupted(String),
    /// It wanted to send the terminal elsewhere.
    #[error("the server answered with a redirect, which is not followed")]
    Redirect,
    /// More than is read.
    #[error("the answer is longer than allowed")]
    TooLong,
    /// Not a URL from which anything is fetched.
    #[error("only https addresses are allowed, and http on this machine")]
    Address,
    /// The file to be sent cannot be read, or changed meanwhile.
    #[error("the file to be sent cannot be read: {0}")]
    File(String),
}

impl TransportError {
    /// Whether the request certainly did not reach the server, so that nothing was done.
    #[must_use]
    pub const fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::CertificateTime(_) | Self::Address | Self::File(_))
    }
}
