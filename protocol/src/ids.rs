//! Identifiers. Each is a type of its own that only a valid value inhabits.

use crate::encoding::Octets;
use crate::limits::{MAX_DESCRIPTION, MAX_EXPORT_NAME, MAX_IDEMPOTENCY_KEY, MAX_NAME, MAX_ORIGIN, MAX_WEBHOOK_URL};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Why a text is not the identifier it should be. Says what is allowed, never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {rule}")]
pub struct BadId {
    what: &'static str,
    rule: &'static str,
}

impl BadId {
    /// Not a SHA-256, which is called `what`.
    pub(crate) const fn digest(what: &'static str) -> Self {
        Self { what, rule: DIGEST_RULE }
    }
}

/// What 16 random bytes look like.
const RANDOM_RULE: &str = "22 letters, digits, '-' and '_', as in AaIpVF9W86DoTpGWcEelrQ";
/// What a SHA-256 looks like.
const DIGEST_RULE: &str = "43 letters, digits, '-' and '_', as in n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg";

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that keeps the rule.
            ///
            /// # Errors
            /// [`BadId`] says the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(BadId { what: $what, rule: $rule }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A name under which something may be stored on any system: also where Windows knows it as a device, with whatever
/// extension.
fn is_stored_name(text: &str) -> bool {
    let port = |device| matches!(text.strip_prefix(device).map(str::as_bytes), Some([b'0'..=b'9']));
    is_name(text) && !matches!(text, "con" | "prn" | "aux" | "nul") && !port("com") && !port("lpt")
}

text_id!(
    /// The name of a publisher, `lumen`. Unique per billing server.
    PublisherName, "publisher name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter; not a device of Windows (con, nul, com1, …)", is_stored_name
);
text_id!(
    /// The name of a resource within its publisher, `alpine-lake`.
    ResourceName, "resource name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter; not a device of Windows (con, nul, com1, …)", is_stored_name
);
text_id!(
    /// The name of a part within its resource, `full`.
    PartName, "part name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter; not a device of Windows (con, nul, com1, …)", is_stored_name
);
text_id!(
    /// The name of an operation within its resource, `view`.
    OperationName, "operation name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter", is_name
);
text_id!(
    /// An exported function: `run` at the top level, or `lumen:picture/picture@1.0.0#view` inside an interface.
    ExportName, "export name", "1 to 256 visible ASCII characters, `function` or `interface#function`",
    |text| !text.is_empty() && text.len() <= MAX_EXPORT_NAME && text.bytes().all(|b| b.is_ascii_graphic())
        && text.matches('#').count() <= 1 && !text.starts_with('#') && !text.ends_with('#')
);
text_id!(
    /// The origin of a billing server, `https://store.example` (RFC 6454): scheme, host and, where it is not the
    /// default, port. No path, no user, no trailing slash. `http` only on loopback.
    Origin, "origin", "https://host[:port], or http://127.0.0.1:port, http://[::1]:port, http://localhost:port; no path", is_origin
);
text_id!(
    /// An Idempotency-Key: visible ASCII, chosen by the client, one per thing it wants to happen once.
    IdempotencyKey, "Idempotency-Key", "1 to 128 visible ASCII characters",
    |text| !text.is_empty() && text.len() <= MAX_IDEMPOTENCY_KEY && text.bytes().all(|b| b.is_ascii_graphic())
);
text_id!(
    /// What a user calls a mailbox, `home`.
    MailboxName, "name of a mailbox", "1 to 64 lower case letters, digits and '-'",
    |text| (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

text_id!(
    /// The name of a merchant, `games-shop`. Unique per billing server.
    MerchantName, "merchant name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter", is_name
);
text_id!(
    /// The name of a product within its merchant, `game-key`.
    ProductName, "product name", "1 to 64 of a-z, 0-9 and single '-', beginning with a letter", is_name
);
text_id!(
    /// What a person reads as the name of something.
    Title, "title", "1 to 120 bytes, not blank, without control, direction or invisible characters", crate::text::is_title
);
text_id!(
    /// What a person reads about something; may be empty.
    Description, "description", "at most 2000 bytes, without control, direction or invisible characters",
    |text| text.len() <= MAX_DESCRIPTION && !text.chars().any(crate::text::disturbs)
);
text_id!(
    /// The address of a webhook: an origin, and a path and query of visible ASCII. `http` only on loopback.
    WebhookUrl, "webhook address", "an absolute https URL of at most 512 bytes, without user, password and fragment; http on loopback only", is_webhook
);

fn is_webhook(text: &str) -> bool {
    let after_scheme = text.find("://").map_or(text.len(), |at| at + 3);
    let path = text[after_scheme..].find(['/', '?']).map_or(text.len(), |at| after_scheme + at);
    let (origin, rest) = text.split_at(path);
    let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>');
    text.len() <= MAX_WEBHOOK_URL && is_origin(origin) && rest.bytes().all(visible)
}

fn is_origin(text: &str) -> bool {
    if text.len() > MAX_ORIGIN {
        return false;
    }
    let (rest, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let bracketed = rest.starts_with('[');
    let host_ok = if bracketed {
        host.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.to_string() == host)
    } else {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && !host.starts_with(['-', '.'])
            && !host.ends_with(['-', '.'])
    };
    let port_ok = match port {
        None => true,
        Some(port) => match port.parse::<u16>() {
            Ok(number) => number != 0 && number.to_string() == port && number != if plain { 80 } else { 443 },
            Err(_) => false,
        },
    };
    let loopback = host == "localhost"
        || (bracketed && host == "::1")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    host_ok && port_ok && (!plain || loopback)
}

impl Origin {
    /// Whether the server is on this machine, where `http` is allowed.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

/// SHA-256 of something public: a resource's manifest, an offer, a request body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(Octets<32>);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Octets(Sha256::digest(bytes).into()))
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Octets(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Digest {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Octets::parse(text).map(Self).map_err(|_| BadId::digest("digest"))
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Octets<16>);

        impl $name {
            /// A new identifier: 6 bytes of Unix time in milliseconds, then 10 random bytes, so that a unique index
            /// grows at its end.
            #[must_use]
            pub fn generate(now_ms: u64, rng: &mut impl CryptoRng) -> Self {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
                rng.fill_bytes(&mut bytes[6..]);
                Self(Octets(bytes))
            }

            /// An identifier read from storage.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Octets(bytes))
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Octets::parse(text).map(Self).map_err(|_| BadId { what: $what, rule: RANDOM_RULE })
            }
        }
    };
}

random_id!(
    /// An account at a billing server. Never leaves it.
    AccountId, "identifier of an account"
);
random_id!(
    /// A terminal as its billing server knows it.
    TerminalId, "identifier of a terminal"
);
random_id!(
    /// An offer in the catalogue.
    OfferId, "identifier of an offer"
);
random_id!(
    /// An order.
    OrderId, "identifier of an order"
);
random_id!(
    /// A grant.
    GrantId, "identifier of a grant"
);
random_id!(
    /// The public half of a billing status code; the row it names.
    CodeId, "identifier of a billing status code"
);
random_id!(
    /// What the events of a server are numbered in: another one after it was restored from a backup.
    EpochId, "identifier of an epoch"
);
random_id!(
    /// A batch of redemption codes.
    BatchId, "identifier of a batch"
);
random_id!(
    /// The public half of a redemption code: names it, and says nothing of it.
    CodeSerial, "serial number"
);
random_id!(
    /// The user as one publisher sees him: random per (account, publisher), never derived.
    PairwiseId, "identifier of a user"
);

#[test]
fn no_name_is_a_device_of_windows() {
    for device in ["con", "prn", "aux", "nul", "com0", "com1", "com9", "lpt1", "lpt9"] {
        assert!(PublisherName::new(device).is_err(), "{device}");
        assert!(ResourceName::new(device).is_err(), "{device}");
        assert!(PartName::new(device).is_err(), "{device}");
        assert!(OperationName::new(device).is_ok(), "{device}: never the name of a file");
    }
    // Capitals, extensions and dots at the end are no names at all.
    for spelling in ["CON", "con.", "nul.wasm", "con ", "com1.txt"] {
        assert!(ResourceName::new(spelling).is_err(), "{spelling}");
    }
    for name in ["console", "com", "com10", "lpt", "null", "con-1", "auxiliary"] {
        assert!(ResourceName::new(name).is_ok(), "{name}");
    }
}

#[test]
fn what_is_no_identifier_is_told_what_one_looks_like() {
    let (id, digest) = ("AaIpVF9W86DoTpGWcEelrQ", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg");
    assert!(RANDOM_RULE.ends_with(id) && DIGEST_RULE.ends_with(digest));
    assert_eq!(id.parse::<OrderId>().map(|order| order.to_string()).as_deref(), Ok(id));
    assert_eq!(digest.parse::<Digest>().map(|digest| digest.to_string()).as_deref(), Ok(digest));
    for wrong in ["", "AAAA", "nonsense", "AaIpVF9W86DoTpGWcEelrX", digest, "AaIpVF9W86DoTpGWcEelrQ="] {
        let error = wrong.parse::<OfferId>().expect_err(wrong).to_string();
        assert!(error.starts_with("not a valid identifier of an offer: 22 letters"), "{error}");
    }
    assert!(id.parse::<Digest>().expect_err("too short").to_string().starts_with("not a valid digest: 43 letters"));
}

#[test]
fn the_address_of_a_webhook_is_absolute_and_has_nothing_hidden_in_it() {
    for good in [
        "https://shop.example",
        "https://shop.example/hooks?x=1",
        "http://127.0.0.1:8080/hook",
        "https://a.example:8443/",
    ] {
        assert!(WebhookUrl::new(good).is_ok(), "{good}");
    }
    let long = format!("https://shop.example/{}", "x".repeat(512));
    for bad in [
        "http://shop.example/",
        "ftp://shop.example/",
        "https://user:pw@shop.example/",
        "https://shop.example/#x",
        "shop.example",
        "https://",
        "https://shop.example/a b",
        "https://shop.example/\u{e9}",
        "https://Shop.example/",
        "",
        &long,
    ] {
        assert!(WebhookUrl::new(bad).is_err(), "{bad}");
    }
}
