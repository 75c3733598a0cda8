//! The address of an endpoint, as its owner wrote it.

use super::Networks;
use std::fmt;
use url::{Host, Url};

/// Characters of an address, at most.
const LONGEST: usize = 1024;

/// An address that requests may be sent to, if what it resolves to is allowed. It may hold a secret of its owner, so it
/// prints its host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWebhookUrl {
    /// No URL.
    #[error("not a URL such as https://merchant.example/webhooks, of at most {LONGEST} characters")]
    Shape,
    /// Not HTTPS.
    #[error(
        "must begin with https://; http:// is for networks that the server's operator listed (`webhooks.networks`, `webhooks.networks_of_others`)"
    )]
    Scheme,
    /// User or password.
    #[error("must not hold a user or a password: every message is signed")]
    Credentials,
    /// A fragment.
    #[error("must not hold a fragment (#…): it is never sent")]
    Fragment,
    /// An address that is not reached.
    #[error(
        "names an address inside a private or reserved network: use a public one, or have the server's operator list the \
         network (`webhooks.networks`, `webhooks.networks_of_others`)"
    )]
    Private,
}

impl WebhookUrl {
    /// Reads an address. A host that is a number in any spelling (decimal, octal, hexadecimal) is read as the address
    /// that it is, and has to be allowed; what a name resolves to is checked with each connection.
    ///
    /// # Errors
    /// [`BadWebhookUrl`] says what to change.
    pub fn parse(text: &str, networks: &Networks) -> Result<Self, BadWebhookUrl> {
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadWebhookUrl::Shape);
        }
        let url = Url::parse(text).map_err(|_| BadWebhookUrl::Shape)?;
        match url.scheme() {
            "https" => {}
            "http" if !networks.is_empty() => {}
            _ => return Err(BadWebhookUrl::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadWebhookUrl::Credentials);
        }
        if url.fragment().is_some() {
            return Err(BadWebhookUrl::Fragment);
        }
        let url = Self(url);
        let is_allowed = match url.0.host() {
            None | Some(Host::Domain("")) => return Err(BadWebhookUrl::Shape),
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => networks.allow(address.into(), url.is_sealed()),
            Some(Host::Ipv6(address)) => networks.allow(address.into(), url.is_sealed()),
        };
        if is_allowed { Ok(url) } else { Err(BadWebhookUrl::Private) }
    }

    /// One that was checked before it was stored. What it resolves to is checked with each connection.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(Url::has_host).map(Self)
    }

    /// As it is stored, and named as `aud`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) const fn as_url(&self) -> &Url {
        &self.0
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn host(&self) -> Host<&str> {
        self.0.host().unwrap_or(Host::Domain(""))
    }

    /// What may be shown of it: its host.
    #[must_use]
    pub fn shown_host(&self) -> String {
        self.host().to_string()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({})", self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_public_is_refused_in_every_spelling() {
        let none = Networks::default();
        for spelling in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://0177.0.0.01/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://①②⑦.0.0.1/",
            "https://127。0。0。1/",
            "https://0/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[fe80::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::]/",
        ] {
            assert_eq!(WebhookUrl::parse(spelling, &none), Err(BadWebhookUrl::Private), "{spelling}");
        }
        // What is no address at all is none of a machine here either.
        for (text, wrong) in [
            ("https://[fe80::1%25eth0]/", BadWebhookUrl::Shape),
            ("https://127.0.0.1\\@merchant.example/", BadWebhookUrl::Shape),
            ("https://999.1.1.1/", BadWebhookUrl::Shape),
            ("https://0x100000000/", BadWebhookUrl::Shape),
            ("https:///", BadWebhookUrl::Shape),
            ("merchant.example", BadWebhookUrl::Shape),
            ("http://merchant.example/", BadWebhookUrl::Scheme),
            ("file:///etc/passwd", BadWebhookUrl::Scheme),
            ("gopher://merchant.example/", BadWebhookUrl::Scheme),
            ("https://user@merchant.example/", BadWebhookUrl::Credentials),
            ("https://merchant.example/#a", BadWebhookUrl::Fragment),
            ("https://merchant.example/ a", BadWebhookUrl::Shape),
        ] {
            assert_eq!(WebhookUrl::parse(text, &none), Err(wrong), "{text}");
        }
        for good in ["https://merchant.example/hooks?key=1", "https://1.1.1.1:8443/", "https://[2606:4700::1111]/"] {
            WebhookUrl::parse(good, &none).expect(good);
        }
    }

    #[test]
    fn a_listed_network_is_allowed_and_the_path_is_not_printed() {
        let own = Networks::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let url = WebhookUrl::parse("http://127.0.0.1:9000/secret", &own).expect("listed");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(WebhookUrl::parse("http://10.0.0.1/", &own), Err(BadWebhookUrl::Private));
    }
}
