//! A browser that has signed in before. It has tries of its own, so that strangers who guess passwords keep nobody from
//! signing in where he always does.

use crate::crypto::secrets::{self, Sealed};
use crate::http::app::App;
use portcullis_protocol::AccountId;
use portcullis_protocol::encoding::{Octets, base64url, from_base64url};

/// The longest cookie looked at: ours take 96 bytes.
const MAX_COOKIE: usize = 256;
/// What the seal is for.
const PLACE: &str = "known browser";

/// Which account signed in with this browser, and a number by which its tries are counted.
#[derive(Clone)]
pub(super) struct KnownBrowser {
    /// The account.
    pub(super) account: AccountId,
    /// The browser, for this account.
    pub(super) browser: Octets<16>,
}

impl KnownBrowser {
    /// A browser that has just signed in for the first time.
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, browser: Octets(secrets::random()) }
    }

    /// What the browser keeps. Nobody else can read it or make one.
    pub(super) fn seal(&self, app: &App) -> String {
        let plain = [&self.account.as_bytes()[..], &self.browser.0[..]].concat();
        base64url(app.core.secrets.seal(PLACE, b"", &plain).as_bytes())
    }

    /// Reads what the browser kept. Anything else is no cookie of this server.
    pub(super) fn open(app: &App, cookie: &str) -> Option<Self> {
        if cookie.len() > MAX_COOKIE {
            return None;
        }
        let sealed = Sealed::from_bytes(from_base64url(cookie).ok()?);
        let plain = app.core.secrets.unseal(PLACE, b"", &sealed).ok()?;
        let (account, browser) = plain.split_first_chunk::<16>()?;
        Some(Self { account: AccountId::from_bytes(*account), browser: Octets(browser.try_into().ok()?) })
    }
}
