//! Which addresses are reached: those of the public Internet, and networks that the operator listed.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not public, as IANA's registry of special-purpose addresses has them.
const RESERVED_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a provider's customers"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([169, 254, 0, 0], 16, "link-local, and the metadata of cloud machines"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "6to4 relays"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "benchmarks"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved, and broadcast"),
];
/// IPv6 has one public range. Everything outside it is not reached: this machine, link-local, unique local, multicast,
/// IPv4 in IPv6 (mapped, compatible), discard.
const PUBLIC_V6: (u16, u16) = (0x2000, 0xe000);
/// What stands before an IPv4 address when a network with IPv6 alone reaches it through a translator (RFC 6052,
/// section 2.1). A network's own prefix cannot be told from other public addresses.
const NAT64: [u16; 6] = [0x0064, 0xff9b, 0, 0, 0, 0];

/// The networks that are reached although they are not public.
#[derive(Debug, Clone, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// These, and public ones.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a connection to an address is allowed; without TLS to a listed network alone.
    #[must_use]
    pub fn allow(&self, address: IpAddr, is_sealed: bool) -> bool {
        // An IPv4 address in an IPv6 one is where the connection would go.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address)) || (is_sealed && is_public(address))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => translated(address).map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

/// The IPv4 address that a translator connects to.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    (prefix == NAT64).then(|| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let number = u32::from(address);
    !RESERVED_V4.iter().any(|(network, length, _)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
        number & mask == u32::from(Ipv4Addr::from(*network))
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let (prefix, mask) = PUBLIC_V6;
    first & mask == prefix
        // Protocol assignments, Teredo among them, and documentation.
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        // 6to4: an IPv4 address inside.
        && first != 0x2002
        // Documentation.
        && !(first == 0x3fff && second < 0x1000)
        // AS112, which answers for private names.
        && !(first == 0x2620 && second == 0x004f && third == 0x8000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_not_reached_in_any_spelling() {
        let none = Networks::default();
        let allow = |text: &str| none.allow(text.parse().expect(text), true);
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a00:1",
            "64:ff9b::1:808:808",
            "64:ff9b:1::a00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allow(refused), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(allow(public), "the control: {public}");
        }
    }

    #[test]
    fn listed_networks_are_reached_and_without_tls_nothing_else() {
        let own = Networks::new(vec!["127.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("one")]);
        for (address, sealed, allowed) in [
            ("127.0.0.1", false, true),
            ("127.0.0.1", true, true),
            ("::ffff:127.0.0.1", false, true),
            ("fd00::1", false, true),
            ("8.8.8.8", true, true),
            ("8.8.8.8", false, false),
            ("10.0.0.1", true, false),
            ("::1", true, false),
            // A translator's network is not the one that was listed.
            ("64:ff9b::7f00:1", true, false),
        ] {
            assert_eq!(own.allow(address.parse().expect(address), sealed), allowed, "{address} {sealed}");
        }
    }
}
