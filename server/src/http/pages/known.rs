//! A browser that has signed in before. It has tries of its own, so that strangers who guess passwords keep nobody from
//! signing in where he always does. That ends with the password: who knew one before has no more tries than a stranger.

use crate::crypto::secrets::{self, Sealed};
use crate::http::app::App;
use portcullis_protocol::encoding::{Octets, base64url, from_base64url};
use portcullis_protocol::{AccountId, Digest};

/// The longest cookie looked at: ours take 139 bytes.
const MAX_COOKIE: usize = 256;
/// What the seal is for.
const PLACE: &str = "known browser";

/// Which account signed in with this browser, by which password, and a number by which its tries are counted.
#[derive(Clone)]
pub(super) struct KnownBrowser {
    account: AccountId,
    /// The browser, for this account.
    pub(super) browser: Octets<16>,
    /// The digest of the password as it was stored then.
    password: Digest,
}

impl KnownBrowser {
    /// A browser that has just signed in for the first time. `password` is the stored one.
    pub(super) fn new(account: AccountId, password: &str) -> Self {
        Self { account, browser: Octets(secrets::random()), password: Digest::of(password.as_bytes()) }
    }

    /// Whether it signed in to the account with the password that it has now. `password` is the stored one.
    pub(super) fn is_of(&self, account: &AccountId, password: &str) -> bool {
        self.account == *account && self.password == Digest::of(password.as_bytes())
    }

    /// What the browser keeps. Nobody else can read it or make one.
    pub(super) fn seal(&self, app: &App) -> String {
        let plain = [&self.account.as_bytes()[..], &self.browser.0[..], &self.password.as_bytes()[..]].concat();
        base64url(app.core.secrets.seal(PLACE, b"", &plain).as_bytes())
    }

    /// Reads what the browser kept. Anything else is no cookie of this server.
    pub(super) fn open(app: &App, cookie: &str) -> Option<Self> {
        if cookie.len() > MAX_COOKIE {
            return None;
        }
        let sealed = Sealed::from_bytes(from_base64url(cookie).ok()?);
        let plain = app.core.secrets.unseal(PLACE, b"", &sealed).ok()?;
        let (account, rest) = plain.split_first_chunk::<16>()?;
        let (browser, password) = rest.split_first_chunk::<16>()?;
        let password = Digest::from_bytes(password.try_into().ok()?);
        Some(Self { account: AccountId::from_bytes(*account), browser: Octets(*browser), password })
    }
}
