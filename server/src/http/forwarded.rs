//! Who a proxy speaks for: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom it heard from, so a list is read from its right end: as long as an entry is a trusted
//! proxy, the one before it was written by that proxy and is believed. The first that is not trusted is the client;
//! what stands left of it is the client's to invent.

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Whether a peer is one of the trusted ones.
pub(crate) fn is_trusted(trusted: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
}

/// Whether a request says whom it is forwarded for.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// The client of a request that came from `peer`.
pub(crate) fn client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let hops = |name: HeaderName, read: fn(&str) -> Vec<Option<IpAddr>>| {
        let lines = headers.get_all(name).iter();
        let hops: Vec<_> = lines.flat_map(|line| line.to_str().map_or_else(|_| vec![None], read)).collect();
        (!hops.is_empty()).then(|| nearest(peer, &hops, trusted))
    };
    match (hops(X_FORWARDED_FOR, x_forwarded_for), hops(FORWARDED, forwarded)) {
        (Some(client), None) | (None, Some(client)) => client,
        (Some(one), Some(other)) if one == other => one,
        // A proxy writes one of them and passes the other on as the client wrote it. Nobody knows which, so that the
        // request counts as the proxy's own.
        _ => peer,
    }
}

/// The last hop that a trusted proxy speaks of. One that it does not name, or that cannot be read, stays behind it.
fn nearest(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for hop in hops.iter().rev() {
        let Some(hop) = hop else { return client };
        client = *hop;
        if !is_trusted(trusted, client) {
            return client;
        }
    }
    client
}

fn x_forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(|entry| node(entry.trim().trim_matches('"'))).collect()
}

/// The `for` of each element (RFC 7239 section 4). An element without it, or one that is malformed, names nobody.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let mut elements = Vec::new();
    for element in split_unquoted(line, ',') {
        let mut named = None;
        for pair in split_unquoted(&element, ';') {
            let Some((key, value)) = pair.split_once('=') else { continue };
            if key.trim().eq_ignore_ascii_case("for") {
                // Twice is once too often.
                named = if named.is_none() { Some(unquoted(value.trim())) } else { Some(String::new()) };
            }
        }
        elements.push(named.and_then(|named| node(&named)));
    }
    elements
}

/// Splits at a separator that stands outside of quoted strings.
fn split_unquoted(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
        (quoted, escaped) = match (c, quoted, escaped) {
            ('"', _, false) => (!quoted, false),
            ('\\', true, false) => (quoted, true),
            _ => (quoted, false),
        };
    }
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets or a zone.
fn node(text: &str) -> Option<IpAddr> {
    let bare = |text: &str| text.split('%').next().and_then(|address| address.parse::<IpAddr>().ok());
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| !port.is_empty());
            bare(address).filter(|address| address.is_ipv6() && port_ok)
        }
        None => bare(text).or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn from(peer: &str, headers: &[(&'static str, &'static str)], trusted: &[&str]) -> IpAddr {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        client(&map, ip(peer), &trusted)
    }

    const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];

    #[test]
    fn a_peer_that_is_not_trusted_speaks_for_itself() {
        assert_eq!(from("198.51.100.7", &[("x-forwarded-for", "203.0.113.9")], LOOPBACK), ip("198.51.100.7"));
        assert_eq!(from("198.51.100.7", &[("forwarded", "for=203.0.113.9")], LOOPBACK), ip("198.51.100.7"));
        assert_eq!(from("127.0.0.1", &[("x-forwarded-for", "203.0.113.9")], LOOPBACK), ip("203.0.113.9"));
        assert_eq!(from("::ffff:127.0.0.1", &[("x-forwarded-for", "203.0.113.9")], LOOPBACK), ip("203.0.113.9"));
    }

    #[test]
    fn lists_are_read_from_the_right_past_trusted_proxies() {
        let chain = &[("x-forwarded-for", "192.0.2.66, 203.0.113.9, 10.0.0.2")];
        assert_eq!(from("127.0.0.1", chain, &["127.0.0.0/8", "10.0.0.0/8"]), ip("203.0.113.9"));
        assert_eq!(from("127.0.0.1", chain, LOOPBACK), ip("10.0.0.2"));
        let lines = &[("x-forwarded-for", "203.0.113.1, 198.51.100.7"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(from("127.0.0.1", lines, LOOPBACK), ip("192.0.2.9"), "the last line was appended last");
        assert_eq!(from("127.0.0.1", &[("x-forwarded-for", "127.0.0.2, 127.0.0.3")], LOOPBACK), ip("127.0.0.2"));
        assert_eq!(from("127.0.0.1", &[("x-forwarded-for", "203.0.113.9, nobody")], LOOPBACK), ip("127.0.0.1"));
        assert_eq!(from("127.0.0.1", &[("x-forwarded-for", "")], LOOPBACK), ip("127.0.0.1"));
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (written, meant) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ] {
            assert_eq!(node(written), Some(ip(meant)), "{written}");
        }
        for nobody in [
            "",
            "unknown",
            "_hidden",
            "203.0.113",
            "203.0.113.9:",
            "203.0.113.9:http",
            "[2001:db8::1",
            "[203.0.113.9]:1",
            "[2001:db8::1]4711",
        ] {
            assert_eq!(node(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_its_grammar_has_it() {
        for (line, meant) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=192.0.2.43 , by=\"x,for=203.0.113.1;\";for=\"198.51.100.17:80\"", "198.51.100.17"),
            ("for=\"192.0.2.\\43\"", "192.0.2.43"),
            ("for=192.0.2.43, for=unknown", "127.0.0.1"),
            ("for=192.0.2.43, for=\"_gazonk\"", "127.0.0.1"),
            ("for=192.0.2.43, proto=https", "127.0.0.1"),
            ("for=192.0.2.43;for=192.0.2.44", "127.0.0.1"),
        ] {
            assert_eq!(from("127.0.0.1", &[("forwarded", line)], LOOPBACK), ip(meant), "{line}");
        }
    }

    #[test]
    fn two_headers_that_disagree_are_believed_neither() {
        let both = |one, other| from("127.0.0.1", &[("x-forwarded-for", one), ("forwarded", other)], LOOPBACK);
        assert_eq!(both("203.0.113.9", "for=\"203.0.113.9:80\""), ip("203.0.113.9"));
        assert_eq!(both("203.0.113.9", "for=192.0.2.1"), ip("127.0.0.1"));
    }
}
