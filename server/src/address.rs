//! Where a request comes from, as far as rate limits need it.

use crate::app::App;
use crate::problem::Fault;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The address of a client. Of IPv6 the network only (/64): a host has as many addresses in it as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let Ok(ConnectInfo(peer)) = ConnectInfo::<SocketAddr>::from_request_parts(parts, app).await else {
            return Err(Fault::internal("a connection without an address"));
        };
        let forwarded = if app.config.behind_proxy { forwarded(&parts.headers) } else { None };
        Ok(Self(network(forwarded.unwrap_or(peer.ip()))))
    }
}

/// Lets no address have more than its share, before anything is looked at.
pub(crate) async fn gate(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    match app.gates.address.take(address) {
        Ok(()) => next.run(request).await,
        Err(too_many) => Fault::from(too_many).into_response(),
    }
}

/// The last entry is the one that the proxy itself wrote; those before it are the client's to invent.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}

/// The network of an address that counts as one client.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_what_the_proxy_wrote_counts() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.1, 198.51.100.7"));
        assert_eq!(forwarded(&headers), "198.51.100.7".parse().ok());
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.9"));
        assert_eq!(forwarded(&headers), "192.0.2.9".parse().ok());
    }

    #[test]
    fn one_network_is_one_client() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
