//! Who a proxy speaks for: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom it heard from, so a list is read from its right end: as long as an entry is a trusted
//! proxy, the one before it was written by that proxy and is believed. The first that is not trusted is the client;
//! what stands left of it is the client's to invent, bytes that are no text and quotes that do not end among it.

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

/// Whether a trusted proxy, or somebody on its machine, asks by itself: for nobody that it would name.
pub(crate) fn is_of_proxy(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> bool {
    is_trusted(trusted, peer) && !is_forwarded(headers)
}

/// The client of a request that came from `peer`.
pub(crate) fn client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let hops = |name: HeaderName, read: fn(&[u8]) -> Vec<Option<IpAddr>>| {
        let lines = headers.get_all(name).iter();
        let hops: Vec<_> = lines.flat_map(|line| read(line.as_bytes())).collect();
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

/// Each entry by itself: one that is no text names nobody, and says nothing of the others.
fn x_forwarded_for(line: &[u8]) -> Vec<Option<IpAddr>> {
    let entry = |entry| node(std::str::from_utf8(entry).ok()?.trim().trim_matches('"'));
    line.split(|byte| *byte == b',').map(entry).collect()
}

/// The `for` of each element (RFC 7239 section 4). An element without it, or one that is malformed, names nobody.
fn forwarded(line: &[u8]) -> Vec<Option<IpAddr>> {
    let mut elements = Vec::new();
    for element in split_unquoted(line, b',') {
        let mut named = None;
        for pair in split_unquoted(element, b';') {
            let Some((key, value)) = pair.iter().position(|byte| *byte == b'=').map(|at| pair.split_at(at)) else {
                continue;
            };
            if key.trim_ascii().eq_ignore_ascii_case(b"for") {
                // Twice is once too often.
                let value = std::str::from_utf8(&value[1..]).unwrap_or_default();
                named = if named.is_none() { Some(unquoted(value.trim())) } else { Some(String::new()) };
            }
        }
        elements.push(named.and_then(|named| node(&named)));
    }
    elements
}

/// Splits at a separator that stands outside of quoted strings. The quotes are paired from the right, where proxies
/// have written: one that a client has opened and not closed is left over at the left end.
fn split_unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut parts, mut end, mut quoted) = (Vec::new(), text.len(), false);
    for (at, byte) in text.iter().enumerate().rev() {
        if *byte == separator && !quoted {
            parts.push(&text[at + 1..end]);
            end = at;
        } else if *byte == b'"' {
            let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
            // Within a quoted string it may stand for itself.
            quoted ^= !(quoted && escapes % 2 == 1);
        }
    }
    parts.push(&text[..end]);
    parts.reverse();
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

    fn from<V: AsRef<[u8]>>(peer: &str, headers: &[(&'static str, V)], trusted: &[&str]) -> IpAddr {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_ref()).expect("a value"));
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

    /// Whatever a client has sent, the proxy appends to it, in the same line.
    #[test]
    fn what_a_client_invents_does_not_hide_what_its_proxy_wrote() {
        for invented in [&b"\xff"[..], b"\xff\xfe, \xff", b"\"", b"203.0.113.1\"", b"\\", b"a\"b\\\"", b"", b",,\"\xff"]
        {
            let line = |own: &str| [invented, b", ", own.as_bytes()].concat();
            let lists = [("x-forwarded-for", line("203.0.113.9"))];
            assert_eq!(from("127.0.0.1", &lists, LOOPBACK), ip("203.0.113.9"), "{invented:?}");
            for own in ["for=203.0.113.9", "for=\"203.0.113.9:4711\";by=\"a\\\",;b\"", "by=_x;for=\"203.0.113.9\""] {
                for invented in
                    [invented.to_vec(), [b"for=\"", invented].concat(), [b"by=\xff;for=", invented].concat()]
                {
                    let line = [&invented[..], b", ", own.as_bytes()].concat();
                    assert_eq!(from("127.0.0.1", &[("forwarded", line)], LOOPBACK), ip("203.0.113.9"), "{invented:?}");
                }
            }
        }
        // The control: what the proxy itself wrote and nobody can read leaves it at the proxy.
        assert_eq!(from("127.0.0.1", &[("x-forwarded-for", b"203.0.113.1, \xff")], LOOPBACK), ip("127.0.0.1"));
    }

    #[test]
    fn two_headers_that_disagree_are_believed_neither() {
        let both = |one, other| from("127.0.0.1", &[("x-forwarded-for", one), ("forwarded", other)], LOOPBACK);
        assert_eq!(both("203.0.113.9", "for=\"203.0.113.9:80\""), ip("203.0.113.9"));
        assert_eq!(both("203.0.113.9", "for=192.0.2.1"), ip("127.0.0.1"));
    }
}
