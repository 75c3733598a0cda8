//! Requests to addresses that somebody else chose: of a merchant, of a backend. The server must not be a way into the
//! network that it stands in.
//!
//! - The URL is parsed once into [`WebhookUrl`]; a host that is a number in any spelling is an address by then.
//! - A name is resolved by a resolver that returns the allowed addresses alone, and the connection goes to one of
//!   these: between check and connection nobody resolves anything.
//! - No redirect is followed, no proxy is used whatever the environment says, and every wait and length is bounded.

mod address;
mod url;

pub use address::Networks;
pub use url::{BadWebhookUrl, WebhookUrl};

use crate::store::Receiver;
use ::url::Host;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, retry};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole exchange may take, as Standard Webhooks proposes.
const EXCHANGE: Duration = Duration::from_secs(15);
/// How long the rest of an answer is read that nobody wants.
const REST: Duration = Duration::from_secs(1);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(20);
/// Connections kept for one endpoint: as many as it is sent messages at once.
const IDLE_CONNECTIONS: usize = 8;
/// Bytes of an answer that are read: a signed challenge or an error text, not a file.
pub const ANSWER: usize = 64 * 1024;

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The address is not one that this server connects to.
    #[error(
        "{0} is, or resolves to, an address inside a private or reserved network. Use a public address, or have the \
         server's operator list the network: `webhooks.networks` of the store's own endpoints, \
         `webhooks.networks_of_others` of everybody else's"
    )]
    Private(String),
    /// There is no way to it, or it broke.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer is too long.
    #[error("the answer is longer than {ANSWER} bytes")]
    TooLong,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct OutboundAnswer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// Sends requests: how far depends on whose endpoint it is.
#[derive(Debug, Clone)]
pub struct Outbound {
    own: Reach,
    others: Reach,
}

impl Outbound {
    /// Reaches public addresses. Besides, the store's own endpoints may stand in the first networks, and those of
    /// everybody else in the second.
    #[must_use]
    pub fn new(own: Networks, others: Networks) -> Self {
        Self { own: Reach::new(own), others: Reach::new(others) }
    }

    /// How far requests to somebody's endpoints go.
    #[must_use]
    pub const fn of(&self, owner: &Receiver) -> &Reach {
        match owner {
            Receiver::Store => &self.own,
            Receiver::Terminal(_) | Receiver::Merchant(_) | Receiver::Backend(_) => &self.others,
        }
    }
}

/// Resolves names, each time anew.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Sends requests to public addresses and to some networks.
#[derive(Clone)]
pub struct Reach {
    networks: Arc<Networks>,
    lookup: Lookup,
    /// With TLS: to everybody. Made when it is wanted first: it reads every certificate that the system trusts.
    sealed: Arc<OnceLock<Client>>,
    /// Without: to the networks that the operator listed alone.
    plain: Arc<OnceLock<Client>>,
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reach({:?})", self.networks)
    }
}

impl Reach {
    fn new(networks: Networks) -> Self {
        Self::resolving(networks, Arc::new(|name| system(name).boxed()))
    }

    /// Reaches these networks, with names that lead where `lookup` says.
    #[must_use]
    pub fn resolving(networks: Networks, lookup: Lookup) -> Self {
        Self { networks: Arc::new(networks), lookup, sealed: Arc::default(), plain: Arc::default() }
    }

    fn client(&self, is_sealed: bool) -> Result<&Client, OutboundError> {
        let place = if is_sealed { &self.sealed } else { &self.plain };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .https_only(is_sealed)
            .dns_resolver(Arc::new(Checked {
                networks: Arc::clone(&self.networks),
                lookup: Arc::clone(&self.lookup),
                is_sealed,
            }))
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let builder = if is_sealed { builder } else { builder.tls_certs_only([]) };
        let client = builder.build().map_err(|_| OutboundError::Unreachable("TLS cannot be set up".into()))?;
        Ok(place.get_or_init(|| client))
    }

    /// The networks that are allowed besides public ones.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Posts JSON. Returns the status; what follows it is nobody's.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn tell(
        &self,
        to: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<u16, OutboundError> {
        let answer = self.send(to, headers, body).await?;
        let status = answer.status().as_u16();
        // A short answer is read to its end, so that the connection serves again.
        let _ = tokio::time::timeout(REST, read(answer, to)).await;
        Ok(status)
    }

    /// Posts JSON, and reads the answer.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn post(
        &self,
        to: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<OutboundAnswer, OutboundError> {
        let answer = self.send(to, headers, body).await?;
        let status = answer.status().as_u16();
        Ok(OutboundAnswer { status, body: read(answer, to).await? })
    }

    async fn send(
        &self,
        to: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Response, OutboundError> {
        let is_sealed = to.is_sealed();
        // No resolver is asked about a host that is an address.
        let literal = match to.host() {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|address| !self.networks.allow(address, is_sealed)) {
            return Err(OutboundError::Private(to.shown_host()));
        }
        let mut all = HeaderMap::new();
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        all.insert(USER_AGENT, HeaderValue::from_static(concat!("portcullis-server/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| OutboundError::Unreachable("a bad header".into()))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let sent = self.client(is_sealed)?.post(to.as_url().clone()).headers(all).body(body).send().await;
        sent.map_err(|error| failed(&error, to))
    }
}

/// Reads an answer, as much as is allowed.
async fn read(answer: Response, to: &WebhookUrl) -> Result<Bytes, OutboundError> {
    let (mut body, mut pieces) = (BytesMut::new(), answer.bytes_stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| failed(&error, to))?;
        if body.len() + piece.len() > ANSWER {
            return Err(OutboundError::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What went wrong, without the address, which may hold a secret of its owner.
fn failed(error: &reqwest::Error, to: &WebhookUrl) -> OutboundError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<NoneAllowed>() {
            return OutboundError::Private(to.shown_host());
        }
        cause = inner.source();
    }
    let what = match error {
        error if error.is_timeout() => "it took too long",
        error if error.is_connect() => "no connection, or no TLS that can be trusted",
        _ => "the connection broke",
    };
    OutboundError::Unreachable(what.into())
}

/// What the system says.
async fn system(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect())
}

/// Resolves names to addresses that are allowed.
struct Checked {
    networks: Arc<Networks>,
    lookup: Lookup,
    is_sealed: bool,
}

/// A name has no address that is allowed.
#[derive(Debug, thiserror::Error)]
#[error("no address that is allowed")]
struct NoneAllowed;

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, is_sealed) = (Arc::clone(&self.networks), self.is_sealed);
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            // The connection takes the port of the URL.
            let allowed: Vec<SocketAddr> = found
                .await?
                .into_iter()
                .map(|found| SocketAddr::new(found.to_canonical(), 0))
                .filter(|found| networks.allow(found.ip(), is_sealed))
                .collect();
            if allowed.is_empty() {
                return Err(NoneAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
