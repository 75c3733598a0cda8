//! The transport over HTTPS, with reqwest and rustls.

use crate::billing_server::{
    BillingServer, Body, Download, Downloaded, Exchange, Exchanged, MAX_ANSWER, Method, Sent, TransportError,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use reqwest::{Client, Response, redirect, retry};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may arrive. Longer than any honest answer takes, and shorter than a person waits.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a short request may take in all.
const SHORT: Duration = Duration::from_secs(30);
/// Bytes of a file that are read at once to be sent.
const CHUNK: usize = 64 * 1024;

/// Reaches billing servers over HTTPS, and over HTTP on this machine. It follows no redirect, uses no proxy but one it
/// was given, keeps no cookies, asks for no compression and repeats nothing.
#[derive(Debug, Clone)]
pub struct HttpBillingServer {
    proxy: Option<reqwest::Proxy>,
    /// Made when they are wanted first: the one for HTTPS reads every certificate that the system trusts, which takes
    /// longer than most commands.
    clients: Arc<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    https: OnceLock<Client>,
    /// For this machine. Trusts no certificate.
    http: OnceLock<Client>,
}

impl HttpBillingServer {
    /// A client without a proxy, whatever the environment says.
    ///
    /// # Errors
    /// None: where TLS cannot be set up, the first request over HTTPS says so.
    pub fn new() -> Result<Self, TransportError> {
        Ok(Self { proxy: None, clients: Arc::default() })
    }

    /// A client that reaches servers elsewhere through a proxy, and those on this machine directly.
    ///
    /// # Errors
    /// [`TransportError::Address`] where `proxy` is no URL.
    pub fn with_proxy(proxy: &str) -> Result<Self, TransportError> {
        let direct = reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1");
        let proxy = reqwest::Proxy::all(proxy).map_err(|_| TransportError::Address)?.no_proxy(direct);
        Ok(Self { proxy: Some(proxy), clients: Arc::default() })
    }

    /// The client for addresses of this scheme.
    fn client(&self, https: bool) -> Result<&Client, TransportError> {
        let place = if https { &self.clients.https } else { &self.clients.http };
        match place.get() {
            Some(client) => Ok(client),
            None => {
                let client = self.build(https)?;
                Ok(place.get_or_init(|| client))
            }
        }
    }

    fn build(&self, https: bool) -> Result<Client, TransportError> {
        // Whatever a resolver says, `localhost` is this machine: plain HTTP is allowed there.
        let local = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        let builder = Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .resolve_to_addrs("localhost", &local)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        let builder = match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        };
        let builder = if https { builder } else { builder.tls_certs_only([]) };
        builder.build().map_err(|error| TransportError::Unreachable(cause(&error)))
    }
}

#[async_trait]
impl BillingServer for HttpBillingServer {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        let Exchange { method, origin, path_and_query, token, proof, idempotency_key, body } = exchange;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let https = origin.as_str().starts_with("https:");
        let mut request = self.client(https)?.request(method, format!("{origin}{path_and_query}"));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, secret_header(&format!("DPoP {}", token.expose()))?);
        }
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key.as_str());
        }
        request = match body {
            Body::Empty => request.timeout(SHORT),
            Body::Text(kind, bytes) => request.timeout(SHORT).header(CONTENT_TYPE, kind).body(bytes),
            // As long as bytes flow, a large file may take its time.
            Body::File { path, size, sent, .. } => {
                let file =
                    tokio::fs::File::open(&path).await.map_err(|error| TransportError::File(error.to_string()))?;
                request
                    .header(CONTENT_TYPE, "application/wasm")
                    .header(CONTENT_LENGTH, size)
                    .body(reqwest::Body::wrap_stream(chunks(file, sent)))
            }
        };
        let response = request.send().await.map_err(|error| lost(&error))?;
        if response.status().is_redirection() {
            return Err(TransportError::Redirect);
        }
        let status = response.status().as_u16();
        let nonce = text(response.headers(), "dpop-nonce").map(str::to_owned);
        let retry_after = text(response.headers(), "retry-after").and_then(|text| text.parse().ok());
        Ok(Exchanged { status, nonce, retry_after, body: read_bounded(response).await? })
    }

    async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
        let url = url::Url::parse(&download.url).map_err(|_| TransportError::Address)?;
        if !is_allowed(&url) {
            return Err(TransportError::Address);
        }
        let mut request = self.client(url.scheme() == "https")?.get(url);
        if let Some(range) = range(&download) {
            request = request.header(RANGE, range);
            if let Some(etag) = download.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = request.send().await.map_err(|error| lost(&error))?;
        if response.status().is_redirection() {
            return Err(TransportError::Redirect);
        }
        let status = response.status().as_u16();
        let (from, total) = match status {
            206 => content_range(response.headers())
                .ok_or_else(|| TransportError::Interrupted("no usable range".into()))?,
            _ => (0, response.content_length()),
        };
        let body = response.bytes_stream().map(|chunk| chunk.map_err(|error| lost(&error))).boxed();
        Ok(Downloaded { status, from, total, body })
    }
}

/// A header that is not logged.
fn secret_header(value: &str) -> Result<HeaderValue, TransportError> {
    let mut header =
        HeaderValue::from_str(value).map_err(|_| TransportError::Unreachable("the access token is damaged".into()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes=FROM-TO` (RFC 9110 section 14.1.2); nothing where the whole file is wanted.
fn range(download: &Download) -> Option<String> {
    let from = download.from;
    match download.length {
        Some(length) => Some(format!("bytes={from}-{}", from.saturating_add(length).checked_sub(1)?)),
        None if from > 0 => Some(format!("bytes={from}-")),
        None => None,
    }
}

/// `bytes FROM-TO/TOTAL` (RFC 9110 section 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let from = range.split_once('-')?.0.parse().ok()?;
    Some((from, total.parse().ok()))
}

async fn read_bounded(mut response: Response) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(TransportError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn chunks(file: tokio::fs::File, sent: Sent) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures::stream::try_unfold((file, sent, 0), |(mut file, sent, mut bytes)| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        match file.read_buf(&mut chunk).await? {
            0 => Ok(None),
            read => {
                bytes += read as u64;
                sent.tell(bytes);
                Ok(Some((chunk.freeze(), (file, sent, bytes))))
            }
        }
    })
}

/// `https`, or `http` on this machine; no user name or password.
fn is_allowed(url: &url::Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => return false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && local);
    scheme && url.username().is_empty() && url.password().is_none()
}

fn lost(error: &reqwest::Error) -> TransportError {
    // Without a connection nothing was sent, also when it was waited for too long.
    if error.is_connect() || error.is_builder() {
        TransportError::Unreachable(cause(error))
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Interrupted(cause(error))
    }
}

/// The innermost cause; the outer ones repeat the URL.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
