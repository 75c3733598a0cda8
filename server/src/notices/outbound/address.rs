//! Which addresses are reached: those of the public Internet, and networks that the operator listed.

use ipnet::IpNet;
use portcullis_protocol::is_public_address;
use std::net::IpAddr;

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
        self.0.iter().any(|network| network.contains(&address)) || (is_sealed && is_public_address(address))
    }
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
