//! Which addresses are those of the public Internet. What connects to addresses that somebody else chose asks here
//! first.

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

/// Whether an address is one of the public Internet. An IPv4 address in an IPv6 one counts as the former: it is where
/// the connection would go.
#[must_use]
pub fn is_public_address(address: IpAddr) -> bool {
    match address.to_canonical() {
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
