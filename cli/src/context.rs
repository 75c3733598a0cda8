//! What every verb has at hand: the screen, the home folder, the terminal's client, an async runtime.

use portcullis_host::{BlobDir, Client, ClientOptions, DEFAULT_CACHE_SIZE, StateDir};
use portcullis_protocol::Origin;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::screen::output::Screen;

/// How much compiled code is kept at most.
const CACHE_SIZE: &str = "PORTCULLIS_CACHE_SIZE";

/// Handed to every verb.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where reports go.
    pub(crate) screen: Screen,
    home: Option<PathBuf>,
}

impl Context {
    /// `home` holds keys, pins and installed resources; absent: the platform's place for such data.
    pub(crate) const fn new(screen: Screen, home: Option<PathBuf>) -> Self {
        Self { screen, home }
    }

    /// The home folder. It may not exist yet.
    pub(crate) fn home(&self) -> Outcome<PathBuf> {
        Ok(self.home.clone().filter(|home| !home.as_os_str().is_empty()).map_or_else(StateDir::default_path, Ok)?)
    }

    /// The terminal, if there is one that can be opened: for verbs that need none, and know more with one.
    pub(crate) fn client_if_any(&self) -> Option<Client> {
        // Opening makes one.
        self.home().ok().filter(|home| home.is_dir()).and_then(|_| self.client().ok())
    }

    /// The terminal, opened.
    pub(crate) fn client(&self) -> Outcome<Client> {
        let home = self.home()?;
        let was_exposed = StateDir::is_exposed(&home);
        let options = ClientOptions::new().state_dir(home.clone()).cache_in(Arc::new(self.blobs()?));
        let client = Client::open(options)?;
        if was_exposed {
            self.screen.warn(format_args!("`{}` was empty; from now on only you can look into it", home.display()));
        }
        Ok(client)
    }

    /// Where compiled code is kept between runs, and how much of it.
    pub(crate) fn blobs(&self) -> Outcome<BlobDir> {
        let most = match std::env::var(CACHE_SIZE) {
            Ok(text) if !text.is_empty() => bytes(&text).ok_or_else(|| {
                Failure::usage(
                    format!("{CACHE_SIZE} is `{text}`, which is not a valid size"),
                    "write bytes, or 64M, 2G, 0 for none",
                )
            })?,
            _ => DEFAULT_CACHE_SIZE,
        };
        Ok(BlobDir::new(self.home()?.join("cache"), most))
    }

    /// Runs what waits for a network or an engine.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .or_fail("start a thread", "free some memory, or end other programs")?;
        let done = runtime.block_on(work);
        crate::screen::consent::settle();
        // What still waits, for a user who does not answer or a disk that does not, holds up nobody.
        runtime.shutdown_background();
        done
    }
}

/// The option that says which store a command means. Without it: the only one where somebody is signed in.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServerOption {
    /// The store, where you are signed in to several
    #[arg(long, value_name = "URL", value_parser = origin)]
    server: Option<Origin>,
}

impl ServerOption {
    /// The one that was named.
    pub(crate) const fn named(&self) -> Option<&Origin> {
        self.server.as_ref()
    }

    /// The one that is meant.
    pub(crate) fn origin(&self, client: &Client) -> Outcome<Origin> {
        match &self.server {
            Some(origin) => Ok(origin.clone()),
            None => client.default_server().map_err(|error| {
                let failure = Failure::from(error);
                match failure.reason() {
                    Some(_) => failure.in_detail().with_fix("sign in to a store: `portcullis login URL`"),
                    None => failure.with_fix("choose one with --server URL"),
                }
            }),
        }
    }
}

/// Reads a size: bytes, or KiB, MiB, GiB as `64K`, `64M`, `2G`.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (digits, "K" | "k") => (digits, 10),
        (digits, "M" | "m") => (digits, 20),
        (digits, "G" | "g") => (digits, 30),
        _ => (text, 0),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(1 << shift)
}

/// Reads an address as the origin of a server: `https://store.example`, with or without a slash at its end.
pub(crate) fn origin(text: &str) -> Result<Origin, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url: url::Url = with_scheme.parse().map_err(|error| format!("not a URL: {error}"))?;
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_local && !text.contains("://") {
        let text = text.trim_end_matches('/');
        return Err(format!(
            "a server on this machine speaks HTTP: write http://{text}, or https://{text} if it does not"
        ));
    }
    if url.scheme() == "http" && !is_local {
        let text = text.trim_start_matches("http://");
        return Err(format!("only a server on this machine is reached over HTTP: write https://{text}"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err("write the store's address only, without a path: https://store.example".to_owned());
    }
    url.origin().ascii_serialization().parse().map_err(|error: portcullis_protocol::BadId| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{bytes, origin};

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [("0", 0), ("1000", 1000), ("64K", 64 << 10), ("64m", 64 << 20), ("2G", 2 << 30)] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "M", "-1", "+1", "1.5G", "1T", "99999999999G", "1 M", "é"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_become_origins() {
        for (text, expected) in [
            ("https://store.example", "https://store.example"),
            ("https://Store.Example:443/", "https://store.example"),
            ("store.example", "https://store.example"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(origin(text).map(|origin| origin.to_string()).as_deref(), Ok(expected));
        }
        for text in ["127.0.0.1:8433", "localhost:8433", "[::1]:8433", "LOCALHOST:8433/"] {
            let advice = origin(text).expect_err("which scheme");
            assert!(
                advice.to_lowercase().contains(&format!("write http://{}", text.to_lowercase().trim_end_matches('/'))),
                "{advice}"
            );
        }
        assert!(origin("http://store.example").expect_err("not over HTTP").contains("https://store.example"));
        for text in ["http://store.example", "https://store.example/shop", "https://me@store.example", "ftp://x", ""] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
