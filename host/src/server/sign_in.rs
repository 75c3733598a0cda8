//! Signing in: the device authorization grant (RFC 8628), bound to the terminal's key, then enrolment.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::random;
use crate::server::pending_sign_ins::{Aside, Pending};
use crate::server::revocation_mark;
use crate::server::session::{Patience, Session, Sessions, printable};
use crate::server::terminal::Terminal;
use crate::server::tokens::{form, oauth};
use crate::server::trust::{Discovered, offline};
use crate::state::clock::Clock as _;
use portcullis_protocol::paths;
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::{DeviceAuthorisation, OAuthError, TerminalAnswer, TerminalRequest, TokenAnswer};
use portcullis_protocol::{Origin, Reason, Thumbprint};
use std::sync::Arc;
use std::time::Duration;

/// The longest that the polls are apart, in seconds, whatever the server says.
const MOST_INTERVAL: u32 = 60;
/// The shortest, if the server says none.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);
/// The longest that a sign-in is waited for, in seconds.
const MOST_WAIT: u32 = 3600;
/// By how many seconds `slow_down` slows down (RFC 8628 section 3.5).
const SLOW_DOWN: u32 = 5;

/// A sign-in that waits for its user: show what it says, then [`SignIn::finish`], or [`SignIn::set_aside`] for another
/// process to finish. Dropping one that was not set aside ends it; nothing is kept.
pub struct SignIn {
    sessions: Arc<Sessions>,
    pending: Pending,
    session: Session,
    found: Discovered,
    device: DeviceAuthorisation,
    label: String,
    new_server: bool,
    /// The tokens are kept; the terminal is still to be enrolled.
    approved: bool,
}

/// Somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedIn {
    /// The server.
    pub server: Origin,
    /// Whose account it is, as its owner reads it.
    pub account: String,
    /// The words of the server's root key, which is pinned now.
    pub server_words: String,
    /// The words of the terminal's key.
    pub terminal_words: String,
}

impl SignIn {
    /// A terminal's label as it is sent: without what disturbs, and 40 characters of it at most.
    #[must_use]
    pub fn label_of(text: &str) -> String {
        text.chars().filter(|c| !disturbs(*c)).take(40).collect()
    }

    /// Asks the server who it is and begins a sign-in. The terminal's keys for it are made if there are none.
    pub(crate) async fn begin(
        sessions: Arc<Sessions>,
        pending: Pending,
        origin: &Origin,
        label: &str,
    ) -> Result<Self, ClientError> {
        let label = Self::label_of(label);
        let new_server = sessions.trust.pin(origin)?.is_none();
        let found = sessions.trust.discover_anew(origin).await?;
        let session = sessions.session(Terminal::load_or_create(&*sessions.keys, origin)?);
        let body = form(&[("client_id", "portcullis"), ("label", &label)]);
        let request = oauth(paths::DEVICE_AUTHORIZATION, body);
        let mut answer = session.authorization_server(&request).await?;
        let clock = session.prover().clock();
        if answer.status != 200 && clock.is_apart() {
            // Perhaps for the time that its proof has: what the server said of it earlier was wrong, then.
            clock.begin_anew();
            answer = session.authorization_server(&request).await?;
        }
        if answer.status != 200 {
            return Err(refused(&answer.body, answer.status));
        }
        let device: DeviceAuthorisation =
            serde_json::from_slice(&answer.body).map_err(|_| offline("the sign-in's answer is damaged"))?;
        // The user is sent to the server he named and nowhere else.
        let there = |url: &str| url.strip_prefix(origin.as_str()).is_some_and(|path| path.starts_with('/'));
        if !there(&device.verification_uri) || !there(&device.verification_uri_complete) {
            let other = format!("{origin} sends you to another address to sign in");
            return Err(Refused::because(Reason::ServerUntrusted, other).into());
        }
        Ok(Self { sessions, pending, session, found, device, label, new_server, approved: false })
    }

    /// A sign-in that was set aside, or whose enrolment was not answered, if one still waits. The server has to be the
    /// one that it was begun with.
    pub(crate) async fn resume(
        sessions: Arc<Sessions>,
        pending: Pending,
        origin: &Origin,
    ) -> Result<Option<Self>, ClientError> {
        let Some(Aside { root, mut device, label, expires, approved, .. }) = pending.read(origin)? else {
            return Ok(None);
        };
        let left = expires.saturating_sub(sessions.clocks.of(origin).now());
        let left = if approved { left.max(1) } else { left };
        let terminal = Terminal::load(&*sessions.keys, origin)?;
        let (Some(terminal), 1..) = (terminal, left) else {
            pending.remove(origin)?;
            return Ok(None);
        };
        let new_server = sessions.trust.pin(origin)?.is_none();
        let found = sessions.trust.discover_anew(origin).await?;
        if found.root.thumbprint() != root {
            let other = format!("{origin} shows another root key than when the sign-in was begun");
            return Err(Refused::because(Reason::ServerUntrusted, other).into());
        }
        device.expires_in = u32::try_from(left).unwrap_or(u32::MAX);
        let session = sessions.session(terminal);
        Ok(Some(Self { sessions, pending, session, found, device, label, new_server, approved }))
    }

    /// Keeps it, sealed, for another process of this terminal to finish ([`crate::Client::resume_sign_in`]), in place
    /// of an earlier one at the same server. Returns until when the user can approve it, Unix seconds.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn set_aside(self) -> Result<u64, ClientError> {
        let expires = self.session.prover().clock().now().saturating_add(self.expires_in().as_secs());
        self.keep(expires, self.approved)?;
        Ok(expires)
    }

    fn keep(&self, expires: u64, approved: bool) -> Result<(), ClientError> {
        let (origin, root) = (self.session.origin().clone(), self.server_root());
        let (device, label) = (self.device.clone(), self.label.clone());
        Ok(self.pending.write(&Aside { origin, root, device, label, expires, approved })?)
    }

    /// Whether the user has approved it already: [`SignIn::finish`] waits for nobody.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        self.approved
    }

    /// What the user types: `WDJB-MJHT`.
    #[must_use]
    pub fn user_code(&self) -> String {
        printable(self.device.user_code.clone())
    }

    /// Where the user goes.
    #[must_use]
    pub fn url(&self) -> String {
        printable(self.device.verification_uri.clone())
    }

    /// Where the user goes, with the code filled in.
    #[must_use]
    pub fn url_with_code(&self) -> String {
        printable(self.device.verification_uri_complete.clone())
    }

    /// The words that the approval page has to show too: they name this terminal's key.
    #[must_use]
    pub fn terminal_words(&self) -> String {
        self.session.prover().terminal().thumbprint().words()
    }

    /// The server's root key, which is pinned when the sign-in succeeds.
    #[must_use]
    pub fn server_root(&self) -> Thumbprint {
        self.found.root.thumbprint()
    }

    /// The words of the server's root key, to be compared with those that its operator shows.
    #[must_use]
    pub fn server_words(&self) -> String {
        self.server_root().words()
    }

    /// Whether the server was not trusted before.
    #[must_use]
    pub const fn is_new_server(&self) -> bool {
        self.new_server
    }

    /// How long the user has.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        Duration::from_secs(self.device.expires_in.min(MOST_WAIT).into())
    }

    /// Waits until the user has approved; then pins the server, keeps the tokens and enrols the terminal.
    ///
    /// # Errors
    /// [`ClientError::SignInDenied`], [`ClientError::SignInExpired`], or as everywhere.
    pub async fn finish(self) -> Result<SignedIn, ClientError> {
        let origin = self.session.origin().clone();
        if !self.approved {
            let tokens = match tokio::time::timeout(self.expires_in(), self.poll()).await {
                Ok(Ok(tokens)) => tokens,
                // Denied or too late: a code serves once.
                Ok(Err(error)) => return Err(self.over(error)),
                Err(_) => return Err(self.over(ClientError::SignInExpired)),
            };
            self.sessions.trust.remember(&origin, &self.found).await?;
            // The user's own act: whatever this server said before of the time, its next answer sets its clock.
            self.session.prover().clock().begin_anew();
            self.session.tokens().accept(tokens).await?;
            // Whoever loses the answer to what follows goes on from here, and asks nobody to approve it again.
            self.keep(self.session.prover().clock().now(), true)?;
        }
        let clock = self.session.prover().clock();
        let terminal = self.session.prover().terminal();
        let statement = terminal.enrolment(self.server_root(), &self.label, clock.now());
        let body = TerminalRequest { statement: statement.compact().to_owned() };
        let enrolled = self.session.post(paths::TERMINALS, &body, random::idempotency_key(), Patience::Write).await;
        let enrolled: TerminalAnswer = match enrolled {
            Ok(enrolled) => enrolled,
            Err(no) if no.is_undecided() => return Err(no.into()),
            Err(no) => return Err(self.over(no.into())),
        };
        // It is looked at only if the terminal has no keys: one that stays there is no reason to fail.
        if let Err(error) = revocation_mark::remove(&self.sessions.state, &origin) {
            tracing::warn!(%error, "the mark of the revoked terminal is still there");
        }
        self.pending.remove(&origin)?;
        let signed_in = SignedIn {
            server: origin,
            account: printable(enrolled.account),
            server_words: self.server_words(),
            terminal_words: self.terminal_words(),
        };
        self.sessions.adopt(self.session);
        Ok(signed_in)
    }

    /// It cannot be completed any more.
    fn over(&self, why: ClientError) -> ClientError {
        self.pending.remove(self.session.origin()).map_or_else(Into::into, |()| why)
    }

    async fn poll(&self) -> Result<TokenAnswer, ClientError> {
        let fields =
            [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", &self.device.device_code)];
        let request = oauth(paths::TOKEN, form(&fields));
        let mut interval = self.device.interval.min(MOST_INTERVAL);
        loop {
            tokio::time::sleep(Duration::from_secs(interval.into()).max(LEAST_INTERVAL)).await;
            // A lost poll is asked again: the code stays good until it is used.
            let Ok(heard) = self.session.prover().send(&request, None).await else { continue };
            let answer = heard.answer;
            if answer.status == 200 {
                return Ok(serde_json::from_slice(&answer.body).map_err(|_| offline("the token is damaged"))?);
            }
            let error = serde_json::from_slice::<OAuthError>(&answer.body).map(|error| error.error);
            match error.as_deref() {
                Ok("authorization_pending") => {}
                Ok("slow_down") => interval = (interval + SLOW_DOWN).min(MOST_INTERVAL),
                Ok("access_denied") => return Err(ClientError::SignInDenied),
                Ok("expired_token") => return Err(ClientError::SignInExpired),
                Ok(_) if answer.status < 500 && answer.status != 429 => {
                    return Err(refused(&answer.body, answer.status));
                }
                _ => {}
            }
        }
    }
}

/// An unsigned no of the authorization server: shown to the user, and nothing more.
fn refused(body: &[u8], status: u16) -> ClientError {
    let text = serde_json::from_slice::<OAuthError>(body)
        .map_or_else(|_| format!("status {status}"), |error| error.error_description.unwrap_or(error.error));
    ClientError::SignInRefused(printable(text))
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignIn(at {})", self.session.origin())
    }
}
