//! Signed answers to proven requests: what the terminal asks a server it trusts, and what it believes.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::{Beyond, Refused};
use crate::ports::transport::{AccessToken, BillingServer, Body, Exchanged, Method};
use crate::server::prover::{Prover, Request, StreamedAnswer, TimedAnswer, signed};
use crate::server::retry::Retry;
use crate::server::revocation_mark;
use crate::server::terminal::Terminal;
use crate::server::tokens::Tokens;
use crate::server::trust::{self, Trust, jumped, offline};
use crate::state::clock::{Clock as _, ServerClocks};
use crate::state::folder::StateDir;
use crate::state::key_store::KeyStore;
use parking_lot::Mutex;
use portcullis_protocol::cycle::{self, Disbelief, Reply, read_reply};
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::Problem;
use portcullis_protocol::{IdempotencyKey, JwsError, Listed, Offer, Origin, Reason, RefusalAnswer, Verified};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What all sessions share.
pub(crate) struct Sessions {
    pub(crate) state: Arc<StateDir>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) server: Arc<dyn BillingServer>,
    pub(crate) clocks: Arc<ServerClocks>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) retry: Retry,
    open: Mutex<HashMap<Origin, Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(
        state: Arc<StateDir>,
        keys: Arc<dyn KeyStore>,
        server: Arc<dyn BillingServer>,
        clocks: Arc<ServerClocks>,
        retry: Retry,
    ) -> Self {
        let trust = Arc::new(Trust::new(Arc::clone(&state), Arc::clone(&server), Arc::clone(&clocks)));
        Self { state, keys, server, clocks, trust, retry, open: Mutex::default() }
    }

    /// The session with a server.
    ///
    /// # Errors
    /// `terminal-revoked` if the keys for it are gone because the server revoked this terminal; `not-signed-in` if
    /// there are none for another reason.
    pub(crate) fn of(&self, origin: &Origin) -> Result<Arc<Session>, Refused> {
        let mut open = self.open.lock();
        if let Some(session) = open.get(origin) {
            return Ok(Arc::clone(session));
        }
        let Some(terminal) = Terminal::load(&*self.keys, origin)? else {
            let revoked = revocation_mark::is_kept(&self.state, origin)?;
            return Err(if revoked {
                Refused::revoked(origin)
            } else {
                Refused::nobody("nobody is signed in", origin)
            });
        };
        let session = Arc::new(self.session(terminal));
        open.insert(origin.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// A session of a terminal that is about to sign in.
    pub(crate) fn session(&self, terminal: Terminal) -> Session {
        let clock = self.clocks.of(terminal.origin());
        let prover = Prover::new(Arc::clone(&self.server), Arc::new(terminal), clock);
        let tokens = Tokens::new(Arc::clone(&self.keys), Arc::clone(&self.state), prover.clone());
        let (trust, keys, state) = (Arc::clone(&self.trust), Arc::clone(&self.keys), Arc::clone(&self.state));
        Session { prover, tokens, trust, keys, state, retry: self.retry }
    }

    /// From now on this is the session with its server.
    pub(crate) fn adopt(&self, session: Session) {
        let origin = session.origin().clone();
        self.open.lock().insert(origin, Arc::new(session));
    }

    /// The next use of this server opens a new session.
    pub(crate) fn close(&self, origin: &Origin) {
        self.open.lock().remove(origin);
    }
}

/// One terminal and its server.
pub(crate) struct Session {
    prover: Prover,
    tokens: Tokens,
    trust: Arc<Trust>,
    keys: Arc<dyn KeyStore>,
    state: Arc<StateDir>,
    retry: Retry,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The server's signed no, or `offline`.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A no that nobody signed, in a server's form: the request is wrong, or collides with something. It is shown, and
    /// nothing follows from it: whoever sits on the line can say it too.
    #[error("the answer is not signed (status {status}): {detail}")]
    Unsigned {
        /// 400 to 499.
        status: u16,
        /// For the screen.
        detail: String,
    },
    /// The request may have arrived, and patience ended before there was an answer that decides anything.
    #[error("the outcome is unknown: no answer in {} s ({cause})", .waited.as_secs())]
    Unknown {
        /// How long it was asked.
        waited: Duration,
        /// What came last.
        cause: String,
    },
}

/// One attempt without an answer, and what may follow it.
struct FailedAttempt {
    no: Box<RequestError>,
    follows: NextStep,
}

/// What may follow an attempt without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextStep {
    /// Nothing: it is decided.
    End,
    /// Nothing was done: another try, after so long when the server says it.
    Try(Option<Duration>),
    /// Nobody knows whether it was done: another try, which finds out.
    FindOut(Option<Duration>),
    /// An answer came that cannot be believed. Whoever sent it can send it for ever.
    Doubt,
    /// An answer came, and no answer of this server is believed for now. It may have been done.
    Disbelief,
}

impl FailedAttempt {
    fn decided(no: RequestError) -> Self {
        Self { no: Box::new(no), follows: NextStep::End }
    }
}

/// Before the request itself is sent nothing is done.
impl From<Refused> for FailedAttempt {
    fn from(refused: Refused) -> Self {
        let follows = if refused.is_undecided() { NextStep::Try(None) } else { NextStep::End };
        Self { no: Box::new(refused.into()), follows }
    }
}

impl RequestError {
    /// As [`Refused::is_undecided`].
    pub(crate) const fn is_undecided(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.is_undecided(),
            Self::Unsigned { .. } | Self::Unknown { .. } => true,
        }
    }

    fn unsigned(status: u16, body: &[u8]) -> Self {
        match (status, serde_json::from_slice::<Problem>(body)) {
            (400..500, Ok(problem)) => Self::Unsigned { status, detail: printable(problem.detail) },
            (_, Ok(problem)) => {
                offline(format!("the answer is not signed (status {status}): {}", printable(problem.detail))).into()
            }
            // Nothing of ours says it without a word: it comes from a proxy on the way.
            (413, Err(_)) => Self::Unsigned { status, detail: TOO_LARGE.into() },
            (_, Err(_)) => offline(format!("the answer is not signed (status {status})")).into(),
        }
    }
}

/// To a cycle it is no answer: there, every no is signed.
impl From<RequestError> for Refused {
    fn from(no: RequestError) -> Self {
        match no {
            RequestError::Refused(refused) => refused,
            RequestError::Unsigned { .. } | RequestError::Unknown { .. } => offline(no.to_string()),
        }
    }
}

impl From<RequestError> for ClientError {
    fn from(no: RequestError) -> Self {
        match no {
            RequestError::Refused(refused) => refused.into(),
            RequestError::Unsigned { status, detail } => Self::Rejected { status, detail },
            RequestError::Unknown { waited, cause } => Self::OutcomeUnknown { seconds: waited.as_secs(), cause },
        }
    }
}

/// What a proxy means by 413.
const TOO_LARGE: &str = "a proxy between this machine and the store does not accept a file of this size";

/// How long it is worth trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A few attempts: it can be asked again at any time.
    Ordinary,
    /// Step 3, as long as its code may live.
    Long,
    /// Something is done once: until there is an answer, or [`Retry::patience`] ends.
    Write,
    /// The same; only the server's own word ends it earlier, for money hangs on it.
    Purchase,
}

impl Session {
    pub(crate) fn origin(&self) -> &Origin {
        self.prover.origin()
    }

    pub(crate) const fn prover(&self) -> &Prover {
        &self.prover
    }

    pub(crate) const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Who asks, as the typestate of the cycle wants to know it.
    pub(crate) fn terminal<'a>(&'a self, thumbprint: &'a portcullis_protocol::Thumbprint) -> cycle::Terminal<'a> {
        cycle::Terminal { thumbprint, origin: self.origin(), now: self.prover.clock().now() }
    }

    /// Reads something.
    pub(crate) async fn get<B: Serialize + DeserializeOwned>(&self, path: &str) -> Result<B, RequestError> {
        let request = Request { method: Method::Get, path: path.into(), idempotency_key: None, body: Body::Empty };
        self.ask(&request, Patience::Ordinary).await
    }

    /// Has something done, once, however often it has to be asked.
    pub(crate) async fn post<B: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: IdempotencyKey,
        patience: Patience,
    ) -> Result<B, RequestError> {
        let request = json(Method::Post, path, body, key)?;
        self.ask(&request, patience).await
    }

    /// Asks until there is a signed answer, or patience ends. A signed no is an answer.
    ///
    /// # Errors
    /// [`RequestError`]: signed, `offline`, or such as it is.
    pub(crate) async fn ask<B: Serialize + DeserializeOwned>(
        &self,
        request: &Request,
        patience: Patience,
    ) -> Result<B, RequestError> {
        let begun = Instant::now();
        let mut attempt = 1;
        // Whether the server may have done it by now.
        let mut sent = false;
        loop {
            let FailedAttempt { no, follows } = match self.ask_once(request, patience).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            let no = *no;
            sent |= matches!(follows, NextStep::FindOut(_) | NextStep::Doubt);
            let writes = matches!(patience, Patience::Write | Patience::Purchase);
            let after = match follows {
                NextStep::End => return Err(no),
                NextStep::Disbelief if writes => {
                    return Err(RequestError::Unknown { waited: begun.elapsed(), cause: no.to_string() });
                }
                NextStep::Disbelief => return Err(no),
                NextStep::Try(after) | NextStep::FindOut(after) => after,
                NextStep::Doubt => None,
            };
            let pause = self.retry.pause_before(attempt).max(after.unwrap_or_default());
            if !self.goes_on(patience, follows, sent, attempt, begun.elapsed() + pause) {
                return Err(match no {
                    no if !writes || !sent => no,
                    // Its words are worth more than that they are not signed.
                    no @ RequestError::Unsigned { .. } => no,
                    no => RequestError::Unknown { waited: begun.elapsed(), cause: no.to_string() },
                });
            }
            tracing::debug!(path = request.path, attempt, %no, "asking again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Whether it is worth trying once more, `at` that time after the first attempt.
    fn goes_on(&self, patience: Patience, follows: NextStep, sent: bool, attempt: u32, at: Duration) -> bool {
        let Retry { attempts, patient_attempts, longest, patience: most, .. } = self.retry;
        let waits = match follows {
            NextStep::Try(Some(after)) | NextStep::FindOut(Some(after)) => after,
            _ => Duration::ZERO,
        };
        match patience {
            // The server says when; an hour is for the user to decide.
            Patience::Ordinary => attempt < attempts && waits <= longest,
            Patience::Long => attempt < patient_attempts && waits <= longest,
            Patience::Write | Patience::Purchase if follows == NextStep::Doubt => attempt < patient_attempts,
            // That it is busy is an answer too: whoever waits may wait as long as for none.
            Patience::Write | Patience::Purchase if sent || waits > Duration::ZERO => at <= most,
            Patience::Write | Patience::Purchase => attempt < attempts,
        }
    }

    async fn ask_once<B: Serialize + DeserializeOwned>(
        &self,
        request: &Request,
        patience: Patience,
    ) -> Result<B, FailedAttempt> {
        let token = self.token(None).await?;
        let heard = self.send(request, &token).await?;
        let (reply, status) = (self.read::<B>(&heard, patience).await, heard.answer.status);
        // The token may have ended early. A server says so signed, or, if the token was all it could go by,
        // unsigned.
        let stale = match &reply {
            Ok(Reply::No(refusal)) => refusal.reason == Reason::NotSignedIn,
            Ok(Reply::Yes { .. }) => false,
            Err(_) => status == 401,
        };
        let reply = if stale {
            let token = self.token(Some(&token)).await?;
            let heard = self.send(request, &token).await?;
            self.read::<B>(&heard, patience).await
        } else {
            reply
        };
        match reply? {
            Reply::Yes { body, .. } => Ok(body),
            Reply::No(refusal) => {
                let refused = self.refused(*refusal).await;
                match (refused.reason, refused.retry_after) {
                    (Reason::RateLimited, Some(after)) => {
                        let after = Some(Duration::from_secs(after.into()));
                        Err(FailedAttempt { no: Box::new(refused.into()), follows: NextStep::Try(after) })
                    }
                    _ => Err(FailedAttempt::decided(refused.into())),
                }
            }
        }
    }

    /// An access token, newer than a stale one.
    async fn token(&self, stale: Option<&AccessToken>) -> Result<AccessToken, Refused> {
        let token = match stale {
            Some(stale) => self.tokens.renew(stale).await,
            None => self.tokens.access().await,
        };
        let ended = token.as_ref().is_err_and(|refused| refused.reason == Reason::NotSignedIn);
        if ended && Tokens::exist(&*self.keys, self.origin())? {
            // That word was not signed: if the server is not the pinned one any more, that is what happened.
            self.trust.refresh(self.origin()).await?;
        }
        token
    }

    async fn send(&self, request: &Request, token: &AccessToken) -> Result<TimedAnswer, FailedAttempt> {
        self.prover.send(request, Some(token)).await.map_err(|error| FailedAttempt {
            follows: if error.was_not_sent() { NextStep::Try(None) } else { NextStep::FindOut(None) },
            no: Box::new(Refused::from(error).into()),
        })
    }

    /// Believes an answer that a current key of the server signed, to this very request. Anything else is no answer.
    async fn read<B: Serialize + DeserializeOwned>(
        &self,
        heard: &TimedAnswer,
        patience: Patience,
    ) -> Result<Reply<B>, FailedAttempt> {
        let TimedAnswer { req, answer, sent, came } = heard;
        let signed = signed(answer).ok_or_else(|| unsigned(answer, patience))?;
        let clock = self.prover.clock();
        let unread =
            |refused: Refused| FailedAttempt { no: Box::new(refused.into()), follows: NextStep::FindOut(None) };
        let keys = self.trust.keys(self.origin()).await.map_err(unread)?;
        let reply = match read_reply(&signed, &keys, req, clock.now()) {
            // A key that is not known yet: the server may have changed it.
            Err(Disbelief::Signature(JwsError::Key)) => {
                let keys = self.trust.refresh(self.origin()).await.map_err(unread)?;
                read_reply(&signed, &keys, req, clock.now())
            }
            reply => reply,
        };
        let reply = reply.map_err(|disbelief| FailedAttempt {
            no: Box::new(offline(disbelief.to_string()).into()),
            follows: NextStep::Doubt,
        })?;
        let at = match &reply {
            Reply::Yes { at, .. } => *at,
            Reply::No(refusal) => refusal.iat,
        };
        // Who believes no time of this server's any more believes no answer of it either.
        clock.hear(at, *sent, *came).map_err(|by| FailedAttempt {
            no: Box::new(jumped(self.origin(), by).into()),
            follows: NextStep::Disbelief,
        })?;
        Ok(reply)
    }

    pub(crate) const fn retry(&self) -> Retry {
        self.retry
    }

    /// Opens a stream. What is answered instead is read as any other answer: a signed no is one.
    pub(crate) async fn stream(&self, path: String) -> Result<StreamedAnswer, RequestError> {
        let request = Request { method: Method::Get, path, idempotency_key: None, body: Body::Empty };
        let token = self.token(None).await?;
        let heard = match self.prover.stream(&request, &token).await.map_err(Refused::from)? {
            Ok(stream) => return Ok(stream),
            Err(heard) => heard,
        };
        match self.read::<serde_json::Value>(&heard, Patience::Ordinary).await {
            Ok(Reply::No(refusal)) if refusal.reason == Reason::NotSignedIn => {
                // The token may have ended meanwhile.
                let token = self.token(Some(&token)).await?;
                match self.prover.stream(&request, &token).await.map_err(Refused::from)? {
                    Ok(stream) => Ok(stream),
                    Err(_) => Err(self.refused(*refusal).await.into()),
                }
            }
            Ok(Reply::No(refusal)) if refusal.reason == Reason::RateLimited => Err(offline("too many streams").into()),
            Ok(Reply::No(refusal)) => Err(self.refused(*refusal).await.into()),
            Ok(Reply::Yes { .. }) => Err(offline("an answer that is no stream").into()),
            Err(failed) => Err(*failed.no),
        }
    }

    /// As [`Prover::ask_authorization_server`].
    pub(crate) async fn authorization_server(&self, request: &Request) -> Result<Exchanged, Refused> {
        self.prover.ask_authorization_server(request, &self.retry).await
    }

    /// Ends the sign-in here, and at the server if it answers. Whether the server heard of it.
    pub(crate) async fn sign_out(&self) -> Result<bool, Refused> {
        self.tokens.revoke(&self.retry).await
    }

    /// Forgets the key of this session's terminal, and keeps that it was revoked. Another process may have signed in
    /// with a new one meanwhile.
    async fn forget_terminal(&self) -> Result<(), Refused> {
        let _lock = self.state.lock_of(self.origin()).await?;
        if self.prover.terminal().forget_revoked(&*self.keys)? {
            revocation_mark::keep(&self.state, self.origin())?;
        }
        Ok(())
    }

    /// A signed no, as the user sees it. Offers in it that the server did not sign are left out.
    async fn refused(&self, refusal: RefusalAnswer) -> Refused {
        let RefusalAnswer { reason, detail, offers, retry_after, more, .. } = refusal;
        if reason == Reason::TerminalRevoked {
            // Its keys are good for nothing any more; the next sign-in makes new ones.
            if let Err(error) = self.forget_terminal().await {
                tracing::warn!(%error, "the keys of the revoked terminal are still there");
            }
        }
        let listed: Listed<Verified<Offer>> = match self.trust.keys(self.origin()).await {
            Ok(keys) => offers.iter().filter_map(|offer| trust::listed(Trust::offer(&keys, offer)).ok()).collect(),
            Err(_) => Listed::default(),
        };
        let beyond = Beyond { more, unknown_offers: listed.unknown };
        let beyond = Some(beyond).filter(|beyond| *beyond != Beyond::default()).map(Box::new);
        let signs_in = matches!(reason, Reason::NotSignedIn | Reason::TerminalUnknown | Reason::TerminalRevoked);
        let server = signs_in.then(|| Box::new(self.origin().clone()));
        let (detail, offers) = (detail.map(printable), listed.known);
        Refused { detail, offers, retry_after, server, beyond, ..Refused::new(reason) }
    }
}

/// What an answer that nobody signed says about what may follow it.
fn unsigned(answer: &Exchanged, patience: Patience) -> FailedAttempt {
    let after = answer.retry_after.map(|seconds| Duration::from_secs(seconds.into()));
    let no = RequestError::unsigned(answer.status, &answer.body);
    let follows = match answer.status {
        // In progress; another conflict says nothing of coming back.
        409 if after.is_some() => NextStep::FindOut(after),
        429 if after.is_some() => NextStep::Try(after),
        // Where money may hang on the answer, nobody's word ends it but the server's own.
        400..500 if matches!(patience, Patience::Long | Patience::Purchase) => NextStep::Doubt,
        // What has no server's form was said by somebody in between.
        400..500 if matches!(no, RequestError::Unsigned { .. }) => NextStep::End,
        500..600 => NextStep::FindOut(after),
        _ => NextStep::Doubt,
    };
    FailedAttempt { no: Box::new(no), follows }
}

/// A request with a JSON body.
pub(crate) fn json(method: Method, path: &str, body: &impl Serialize, key: IdempotencyKey) -> Result<Request, Refused> {
    let bytes = serde_json::to_vec(body).map_err(|_| offline("the request cannot be written as JSON"))?;
    let body = Body::Text("application/json", bytes.into());
    Ok(Request { method, path: path.to_owned(), idempotency_key: Some(key), body })
}

/// What a server says goes to a person's screen: without control characters, and not endless.
pub(crate) fn printable(text: String) -> String {
    text.chars().filter(|c| !disturbs(*c)).take(2_000).collect()
}
