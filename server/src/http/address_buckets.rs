//! Buckets by the address of a client, and by its site, for what is guessed or asked for by hand.
//!
//! A client of IPv6 is a network of 2⁶⁴ addresses ([`network`](crate::http::address::network)). Whoever wants it gets a
//! site of 65,536 of those (a /48): changing from one to the next, he is bounded by what all of them have together.

use crate::http::rate::{Buckets, Rate, TooMany};
use std::net::IpAddr;

/// How many clients' shares a site has: as many as use all of theirs at the same time in one company, or among those
/// whose provider gives them their addresses out of one /48.
const SHARES: u32 = 32;

/// A bucket for each client, and for each site of IPv6.
#[derive(Debug)]
pub struct AddressBuckets {
    clients: Buckets<IpAddr>,
    sites: Buckets<[u16; 3]>,
}

impl AddressBuckets {
    /// Empty: everybody begins with a full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { clients: Buckets::new(rate), sites: Buckets::new(rate.times(SHARES)) }
    }

    /// Takes one token of a client.
    ///
    /// # Errors
    /// [`TooMany`] if it has none left, or its site has none. Then nothing was taken.
    pub fn take(&self, client: IpAddr) -> Result<(), TooMany> {
        self.clients.take(client)?;
        let taken = site(client).map_or(Ok(()), |site| self.sites.take(site));
        taken.inspect_err(|_| self.clients.give_back(&client, 1))
    }

    /// Gives back the token that was taken for something that turned out not to count.
    pub fn give_back(&self, client: IpAddr) {
        self.clients.give_back(&client, 1);
        if let Some(site) = site(client) {
            self.sites.give_back(&site, 1);
        }
    }
}

/// The first 48 bits of an address of IPv6.
fn site(client: IpAddr) -> Option<[u16; 3]> {
    match client {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Some([a, b, c])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;
    use std::time::Duration;

    const PER_CLIENT: u32 = 5;

    fn buckets() -> AddressBuckets {
        AddressBuckets::new(Rate::per_period(PER_CLIENT, Duration::from_secs(600)))
    }

    fn client(site: u16, network: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, site, network, 0, 0, 0, 0).into()
    }

    #[test]
    fn whoever_has_a_site_of_networks_has_a_bounded_number_of_tries() {
        let buckets = buckets();
        let tries = (0..=u16::MAX).filter(|network| buckets.take(client(1, *network)).is_ok()).count();
        assert_eq!(tries, (SHARES * PER_CLIENT) as usize);
        // The control: each had as many by itself, and another site has its own.
        assert!(buckets.clients.take(client(1, u16::MAX)).is_ok());
        assert!(buckets.take(client(2, 0)).is_ok());
    }

    #[test]
    fn a_site_does_not_pay_for_what_its_client_is_refused() {
        let buckets = buckets();
        let tries = (0..10_000).filter(|_| buckets.take(client(1, 1)).is_ok()).count();
        assert_eq!(tries, PER_CLIENT as usize);
        assert!(buckets.take(client(1, 2)).is_ok(), "its neighbour");
    }

    #[test]
    fn what_is_given_back_is_so_to_both() {
        let buckets = buckets();
        for network in 0..1_000 {
            buckets.take(client(1, network)).expect("given back before");
            buckets.give_back(client(1, network));
        }
    }

    #[test]
    fn addresses_of_ipv4_have_no_site() {
        let buckets = buckets();
        for last in 0..=255 {
            buckets.take(IpAddr::from([192, 0, 2, last])).expect("each by itself");
        }
    }
}
