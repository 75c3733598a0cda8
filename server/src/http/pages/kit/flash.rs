//! What was just done, said once on the page that follows. It travels in a cookie for a minute, sealed and for this
//! browser session alone: no link can make the store say that a password was changed.

use super::super::session::SignedInBrowser;
use crate::crypto::secrets::Sealed;
use crate::http::app::App;
use crate::ops::clock::Timestamp;
use portcullis_protocol::encoding::{base64url, from_base64url};

/// Seconds for which it is worth saying: a slow page takes less.
pub(in super::super) const SECONDS: u64 = 60;
/// The longest cookie looked at: ours take 70 bytes.
const MAX_COOKIE: usize = 128;
/// What the seal is for.
const PLACE: &str = "flash";

/// Everything that can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Flash {
    /// A terminal was revoked.
    Revoked,
    /// A sign-in was ended.
    Ended,
    /// The password is another one.
    Password,
    /// The address is another one.
    Email,
    /// Codes go elsewhere.
    Preset,
    /// Another terminal may take an order over.
    Allowed,
    /// A code gave its rights.
    Redeemed,
    /// It did before.
    RedeemedBefore,
}

const ALL: [(u8, Flash, &str); 8] = [
    (1, Flash::Revoked, "The terminal is revoked. It gets nothing any more."),
    (2, Flash::Ended, "The sign-in has ended."),
    (3, Flash::Password, "Your password is changed. Everything else that was signed in has ended."),
    (4, Flash::Email, "Your e-mail address is changed. The new one counts as not verified."),
    (5, Flash::Preset, "It is changed where your codes go."),
    (6, Flash::Allowed, "That terminal may take the order over now."),
    (7, Flash::Redeemed, "The code is redeemed. What it gives is in your library."),
    (
        8,
        Flash::RedeemedBefore,
        "You redeemed this code before, and it gives nothing more. What it gave is in your library.",
    ),
];

impl Flash {
    /// What a person reads.
    pub(in super::super) fn text(self) -> &'static str {
        ALL.iter().find(|(_, flash, _)| *flash == self).map_or("", |(_, _, text)| text)
    }

    /// The cookie, for the browser session.
    pub(in super::super) fn seal(self, app: &App, session: &SignedInBrowser) -> String {
        let number = ALL.iter().find(|(_, flash, _)| *flash == self).map_or(0, |(number, ..)| *number);
        let until = app.core.clock.now().plus(SECONDS).millis();
        let plain = [&[number][..], &until.to_be_bytes()].concat();
        base64url(app.core.secrets.seal(PLACE, session.token.as_bytes(), &plain).as_bytes())
    }

    /// Reads a cookie. Anything that this server did not seal for this session, and what is older than a minute, says
    /// nothing.
    pub(in super::super) fn open(app: &App, session: &SignedInBrowser, cookie: &str) -> Option<Self> {
        if cookie.len() > MAX_COOKIE {
            return None;
        }
        let sealed = Sealed::from_bytes(from_base64url(cookie).ok()?);
        let plain = app.core.secrets.unseal(PLACE, session.token.as_bytes(), &sealed).ok()?;
        let (number, until) = plain.split_first()?;
        let until = Timestamp::from_millis(i64::from_be_bytes(until.try_into().ok()?));
        let found = ALL.iter().find(|(known, ..)| known == number).map(|(_, flash, _)| *flash);
        found.filter(|_| until > app.core.clock.now())
    }
}
