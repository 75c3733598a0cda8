//! The transport over HTTPS, with reqwest and rustls.

use crate::ports::transport::{
    BillingServer, Body, Download, Downloaded, Exchange, Exchanged, MAX_ANSWER, Method, Sent, Streamed, TransportError,
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

/// Addresses that are never reached through a proxy, whatever the environment says: this machine's own.
const DIRECT: &str = "localhost,127.0.0.0/8,::1";

/// A proxy's address. May hold a password, so it prints as who named it.
#[derive(Clone)]
struct ProxyAddress {
    /// An environment variable, or the embedder.
    named_by: &'static str,
    url: String,
    /// Hosts that are reached without it.
    direct: String,
}

impl ProxyAddress {
    /// The proxy that the environment names for `https`, as curl and most programs read it: lower case first.
    fn of_environment(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let (named_by, url) = names.iter().find_map(|name| Some((*name, variable(name)?)))?;
        let direct = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variable(name)).unwrap_or_default();
        // As curl takes it: a host and a port are an HTTP proxy.
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        Some(Self { named_by, url, direct })
    }

    fn proxy(&self) -> Result<reqwest::Proxy, TransportError> {
        let direct = reqwest::NoProxy::from_string(&format!("{},{DIRECT}", self.direct));
        let proxy = reqwest::Proxy::all(&self.url).map_err(|_| {
            // Not shown: it may hold a password.
            TransportError::Unreachable(format!("{} does not hold the address of a proxy", self.named_by))
        })?;
        Ok(proxy.no_proxy(direct))
    }
}

impl std::fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyAddress(named by {})", self.named_by)
    }
}

/// Reaches billing servers over HTTPS, and over HTTP on this machine. It follows no redirect, keeps no cookies, asks
/// for no compression and repeats nothing. Servers elsewhere are reached through the proxy that it was given or that
/// the environment names, those on this machine never.
#[derive(Debug, Clone)]
pub struct HttpBillingServer {
    proxy: Option<ProxyAddress>,
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
    /// A client that reaches servers elsewhere through the proxy of the environment: `HTTPS_PROXY`, else `ALL_PROXY`,
    /// but for the hosts in `NO_PROXY`.
    ///
    /// # Errors
    /// None: if TLS or the proxy cannot be set up, the first request over HTTPS says so.
    pub fn new() -> Result<Self, TransportError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Ok(Self { proxy: ProxyAddress::of_environment(&variable), clients: Arc::default() })
    }

    /// A client without a proxy, whatever the environment says.
    #[must_use]
    pub fn direct() -> Self {
        Self { proxy: None, clients: Arc::default() }
    }

    /// A client that reaches servers elsewhere through a proxy, and those on this machine directly.
    ///
    /// # Errors
    /// [`TransportError::Address`] if `proxy` is no URL.
    pub fn with_proxy(proxy: &str) -> Result<Self, TransportError> {
        let proxy = ProxyAddress { named_by: "the program", url: proxy.to_owned(), direct: String::new() };
        proxy.proxy().map_err(|_| TransportError::Address)?;
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
        // Plain HTTP stays on this machine.
        let builder = match &self.proxy {
            Some(proxy) if https => builder.proxy(proxy.proxy()?),
            _ => builder,
        };
        let builder = if https { builder } else { builder.tls_certs_only([]) };
        builder.build().map_err(|error| TransportError::Unreachable(cause(&error)))
    }

    /// Why there is no answer, and by which way.
    fn lost(&self, error: &reqwest::Error) -> TransportError {
        match (lost(error), &self.proxy) {
            (TransportError::Unreachable(cause), Some(proxy)) => {
                TransportError::Unreachable(format!("{cause}; the way leads through the proxy of {}", proxy.named_by))
            }
            (lost, _) => lost,
        }
    }

    /// Sends a request. `lasts`: its answer may go on for as long as bytes come.
    async fn send(&self, exchange: Exchange, lasts: bool) -> Result<Response, TransportError> {
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
            Body::Empty if lasts => request,
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
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if response.status().is_redirection() {
            return Err(TransportError::Redirect);
        }
        Ok(response)
    }
}

/// What stands in the head of an answer.
fn head(response: &Response) -> Exchanged {
    let nonce = text(response.headers(), "dpop-nonce").map(str::to_owned);
    let retry_after = text(response.headers(), "retry-after").and_then(|text| text.parse().ok());
    Exchanged { status: response.status().as_u16(), nonce, retry_after, body: Bytes::new() }
}

#[async_trait]
impl BillingServer for HttpBillingServer {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        let response = self.send(exchange, false).await?;
        let head = head(&response);
        Ok(Exchanged { body: read_bounded(response).await?, ..head })
    }

    async fn stream(&self, exchange: Exchange) -> Result<Streamed, TransportError> {
        let response = self.send(exchange, true).await?;
        let head = head(&response);
        if head.status != 200 {
            let head = Exchanged { body: read_bounded(response).await?, ..head };
            return Ok(Streamed { head, body: futures::stream::empty().boxed() });
        }
        Ok(Streamed { head, body: response.bytes_stream().map(|piece| piece.map_err(|error| lost(&error))).boxed() })
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
        let response = request.send().await.map_err(|error| self.lost(&error))?;
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
    // Whoever knows several servers has to hear which one it is.
    let cause_there = || match error.url() {
        Some(url) => format!("{}: {}", url.origin().ascii_serialization(), cause(error)),
        None => cause(error),
    };
    // Without a connection nothing was sent, also when it was waited for too long.
    if let Some(when) = certificate_time(&cause(error)) {
        TransportError::CertificateTime(when.into())
    } else if error.is_connect() || error.is_builder() {
        TransportError::Unreachable(cause_there())
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Interrupted(cause_there())
    }
}

/// Whether a certificate was refused because it is not valid now. TLS says so in words only.
fn certificate_time(cause: &str) -> Option<&'static str> {
    let cause = cause.to_lowercase();
    let is_of_a_certificate = cause.contains("certificate") && !cause.contains("revocation");
    if is_of_a_certificate && cause.contains("expired") {
        Some("the server's certificate has expired by this machine's clock")
    } else if is_of_a_certificate && (cause.contains("not valid yet") || cause.contains("notvalidyet")) {
        Some("the server's certificate is not valid yet by this machine's clock")
    } else {
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(variables: &[(&str, &str)]) -> Option<ProxyAddress> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ProxyAddress::of_environment(&variable)
    }

    #[test]
    fn the_environment_names_the_proxy() {
        assert!(named(&[]).is_none());
        // Plain HTTP never leaves this machine.
        assert!(named(&[("HTTP_PROXY", "http://proxy:1")]).is_none());
        let all = named(&[("ALL_PROXY", "proxy:3128"), ("NO_PROXY", "store.example")]).expect("a proxy");
        assert_eq!((all.url.as_str(), all.direct.as_str()), ("http://proxy:3128", "store.example"));
        let https = named(&[("ALL_PROXY", "http://a"), ("HTTPS_PROXY", "http://b")]).expect("a proxy");
        assert_eq!((https.url.as_str(), https.named_by), ("http://b", "HTTPS_PROXY"));
        let lower = named(&[("HTTPS_PROXY", "http://a"), ("https_proxy", "http://b")]).expect("a proxy");
        assert_eq!(lower.url, "http://b");
    }

    #[test]
    fn a_proxys_password_is_never_shown() {
        let secret = named(&[("HTTPS_PROXY", "http://ada:hunter2@proxy:1")]).expect("a proxy");
        let server = HttpBillingServer { proxy: Some(secret), clients: Arc::default() };
        assert!(!format!("{server:?}").contains("hunter2"));
        let wrong = named(&[("HTTPS_PROXY", "http://ada:hunter2@proxy:no-port")]).expect("a value");
        let error = wrong.proxy().expect_err("not an address").to_string();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_certificate_of_another_time_is_known_by_its_words() {
        for words in [
            "invalid peer certificate: Expired",
            "invalid peer certificate: certificate expired: verification time 1 (UNIX), but certificate is not valid after 0",
            "invalid peer certificate: NotValidYet",
            "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX)",
        ] {
            assert!(certificate_time(words).is_some(), "{words}");
        }
        assert!(certificate_time("invalid peer certificate: UnknownIssuer").is_none());
        assert!(certificate_time("the token expired").is_none());
    }
}
