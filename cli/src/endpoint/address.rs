//! The address: whether a store would connect to it at all.

use portcullis_protocol::{WebhookUrl, is_public_address};
use std::net::IpAddr;
use url::{Host, Url};

use crate::doctor::Finding;

const AREA: &str = "address";
/// What a store says to an address inside a private network.
const PRIVATE: &str = "use a public address; a store reaches others only if its operator lists their network";

/// Looks at the address that was registered.
pub(super) async fn examine(webhook: &WebhookUrl) -> Vec<Finding> {
    let Ok(url) = Url::parse(webhook.as_str()) else {
        return vec![Finding::wrong(AREA, "form", "it is not a URL", "register another one")];
    };
    let mut findings = vec![sealing(&url)];
    let Some(host) = url.host() else { return findings };
    let found = match host {
        Host::Ipv4(address) => vec![address.into()],
        Host::Ipv6(address) => vec![address.into()],
        Host::Domain(name) => match resolve(name, url.port_or_known_default().unwrap_or(443)).await {
            Ok(found) => found,
            Err(error) => {
                let mend = "add an A or AAAA record for it, or correct the address: `portcullis merchant register`";
                findings.push(Finding::wrong(AREA, "resolves", format!("{name} does not resolve: {error}"), mend));
                return findings;
            }
        },
    };
    findings.push(judge(&found));
    findings
}

/// A name, or a number in a spelling that the system takes for an address.
async fn resolve(name: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> =
        tokio::net::lookup_host((name, port)).await?.map(|address| address.ip().to_canonical()).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn sealing(url: &Url) -> Finding {
    if url.scheme() == "https" {
        Finding::ok(AREA, "https", "it is sealed by TLS")
    } else {
        let mend = "put a server with a certificate in front, and register its https address";
        Finding::warning(AREA, "https", "it is http, which stores use for networks of their own alone", mend)
    }
}

/// Every address has to be public: a store drops the others, and a name that leads to one of them today can lead to it
/// alone tomorrow.
fn judge(found: &[IpAddr]) -> Finding {
    let shown = |addresses: &[IpAddr]| addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    let private: Vec<IpAddr> = found.iter().copied().filter(|address| !is_public_address(*address)).collect();
    if private.is_empty() {
        return Finding::ok(AREA, "public", format!("it leads to {}", shown(found)));
    }
    if private.len() < found.len() {
        let what = format!("it leads to {} too, which stores do not reach", shown(&private));
        return Finding::warning(AREA, "public", what, "remove the record of the private address");
    }
    if private.iter().all(IpAddr::is_loopback) {
        let what = format!("it leads to {}, this machine: no store elsewhere reaches that", shown(&private));
        return Finding::warning(AREA, "public", what, PRIVATE);
    }
    Finding::wrong(AREA, "public", format!("it leads to {}, inside a private network", shown(&private)), PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    fn judged(addresses: &[&str]) -> State {
        judge(&addresses.iter().map(|text| text.parse().expect(text)).collect::<Vec<_>>()).state
    }

    #[test]
    fn an_address_that_no_store_reaches_is_told_apart() {
        assert_eq!(judged(&["1.1.1.1"]), State::Ok);
        assert_eq!(judged(&["1.1.1.1", "2606:4700::1111"]), State::Ok);
        assert_eq!(judged(&["10.0.0.1"]), State::Wrong);
        assert_eq!(judged(&["169.254.169.254"]), State::Wrong);
        assert_eq!(judged(&["fd00::1"]), State::Wrong);
        assert_eq!(judged(&["1.1.1.1", "192.168.0.1"]), State::Warning, "a name that can be turned");
        assert_eq!(judged(&["127.0.0.1"]), State::Warning, "a trial on this machine");
    }

    #[tokio::test]
    async fn a_number_is_an_address_in_every_spelling() {
        for spelling in ["https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://[::ffff:127.0.0.1]/"]
        {
            let url = Url::parse(spelling).expect(spelling);
            let address = match url.host().expect("a host") {
                Host::Ipv4(address) => IpAddr::from(address),
                Host::Ipv6(address) => IpAddr::from(address).to_canonical(),
                Host::Domain(name) => panic!("{name} is taken for a name"),
            };
            assert!(!is_public_address(address), "{spelling}");
        }
    }
}
