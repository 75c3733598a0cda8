//! Where a request comes from, as far as rate limits need it.

use crate::http::app::App;
use crate::http::forwarded;
use crate::http::keeping::Keeping;
use crate::http::monitoring;
use crate::http::problem::ApiError;
use crate::http::rate::TooMany;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Once;

/// The address of a client. Of IPv6 the network only (/64): a host has as many addresses in it as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Ok(ConnectInfo(peer)) = ConnectInfo::<SocketAddr>::from_request_parts(parts, app).await else {
            return Err(ApiError::internal("a connection without an address"));
        };
        let (config, peer) = (&app.config, peer.ip());
        if !config.behind_proxy {
            return Ok(Self(network(peer)));
        }
        if forwarded::is_forwarded(&parts.headers) && !forwarded::is_trusted(&config.trusted_proxies, peer) {
            say_untrusted();
        }
        Ok(Self(network(forwarded::client(&parts.headers, peer, &config.trusted_proxies))))
    }
}

/// Says once that a proxy may be missing from the list: then all its clients share one limit.
fn say_untrusted() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "a peer that is not in `trusted_proxies` says whom it speaks for, and is not believed; if it is your proxy, \
             add its address"
        );
    });
}

/// Marks the answer to a request that its address had too many of: nothing of it was looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unheard;

/// Lets no address have more than its share, before anything is looked at.
pub(crate) async fn gate(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    // What the proxy asks by itself is no client's: none that is counted as the proxy takes the store out of rotation.
    let config = &app.config;
    let of_proxy = config.behind_proxy
        && forwarded::is_of_proxy(request.headers(), peer.ip(), &config.trusted_proxies)
        && monitoring::is_probe(request.uri().path());
    if of_proxy {
        return next.run(request).await;
    }
    let unheard = |too_many: TooMany| {
        let mut response = ApiError::from(too_many).into_response();
        response.extensions_mut().insert(Unheard);
        response
    };
    if let Err(too_many) = app.gates.address.take(address) {
        return unheard(too_many);
    }
    // Whoever turns out to be counted otherwise is not counted here.
    request.extensions_mut().insert(ClientAddress(address));
    // Without a proxy, a client's connections are counted when they come.
    if !config.behind_proxy {
        return next.run(request).await;
    }
    let most = app.config.limits.connections_per_address.max(1);
    match app.answering.enter(network(address), |held| held.own < most) {
        Some(place) => next.run(request).await.map(|body| Body::new(Keeping::new(body, place))),
        None => unheard(TooMany { retry_after: 1 }),
    }
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

    #[test]
    fn one_network_is_one_client() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
