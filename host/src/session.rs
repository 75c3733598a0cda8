//! Signed answers to proven requests: what the terminal asks a server it trusts, and what it believes.

use crate::billing_server::{AccessToken, BillingServer, Body, Method};
use crate::clock::{Clock as _, ServerClocks};
use crate::failure::ClientError;
use crate::gatekeeper::Refused;
use crate::key_store::KeyStore;
use crate::library;
use crate::prover::{Heard, Prover, Request, signed};
use crate::random;
use crate::remote::Remote;
use crate::state_dir::StateDir;
use crate::terminal::Terminal;
use crate::tokens::Tokens;
use crate::trust::{Trust, jumped, offline};
use portcullis_protocol::cycle::{self, Disbelief, Reply, read_reply};
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::Problem;
use portcullis_protocol::{Digest, IdempotencyKey, JwsError, Origin, Reason, RefusalAnswer, SignedManifest};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How often a request is repeated that got no signed answer, and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often an ordinary request is sent at most.
    pub attempts: u32,
    /// How often step 3 is sent at most: money may hang on its answer.
    pub patient_attempts: u32,
    /// The first pause. Each further one is twice as long, with a random part.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retry {
    /// About half a second for ordinary requests, and about ten seconds for step 3, within the 30 that a code lives.
    fn default() -> Self {
        Self { attempts: 3, patient_attempts: 9, pause: Duration::from_millis(150), longest: Duration::from_secs(2) }
    }
}

impl Retry {
    fn pause_before(&self, attempt: u32) -> Duration {
        let pause = self.pause.saturating_mul(1 << (attempt - 1).min(16)).min(self.longest);
        // A quarter at random, so that terminals do not come back all at once.
        pause.mul_f64(1.0 - f64::from(random::octets::<1>().0[0]) / 1024.0)
    }
}

/// What all sessions share.
pub(crate) struct Sessions {
    pub(crate) state: Arc<StateDir>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) server: Arc<dyn BillingServer>,
    pub(crate) clocks: Arc<ServerClocks>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) retry: Retry,
    open: Mutex<HashMap<Origin, Arc<Session>>>,
    /// What is being streamed, by the name under which it is kept.
    pub(crate) streams: Mutex<HashMap<String, Weak<Remote>>>,
    /// The stores from which resources were taken in this process.
    chosen: Mutex<HashMap<Digest, Origin>>,
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
        Self {
            state,
            keys,
            server,
            clocks,
            trust,
            retry,
            open: Mutex::default(),
            streams: Mutex::default(),
            chosen: Mutex::default(),
        }
    }

    /// A resource was taken from this store: there it is paid for, whoever else sells it.
    pub(crate) fn choose_store(&self, resource: Digest, store: &Origin) {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).insert(resource, store.clone());
    }

    /// The store that a resource was taken from: just now, or when it was installed.
    pub(crate) fn store_of(&self, resource: &SignedManifest) -> Option<Origin> {
        let chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner).get(&resource.digest()).cloned();
        chosen.or_else(|| library::installed_from(&self.state, resource))
    }

    /// The session with a server.
    ///
    /// # Errors
    /// `not-signed-in` where this terminal has no key for it.
    pub(crate) fn of(&self, origin: &Origin) -> Result<Arc<Session>, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = open.get(origin) {
            return Ok(Arc::clone(session));
        }
        let nobody = || Refused::because(Reason::NotSignedIn, format!("nobody is signed in at {origin}"));
        let terminal = Terminal::load(&*self.keys, origin)?.ok_or_else(nobody)?;
        let session = Arc::new(self.session(terminal));
        open.insert(origin.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// A session of a terminal that is about to sign in.
    pub(crate) fn session(&self, terminal: Terminal) -> Session {
        let clock = self.clocks.of(terminal.origin());
        let prover = Prover::new(Arc::clone(&self.server), Arc::new(terminal), clock);
        let tokens = Tokens::new(Arc::clone(&self.keys), Arc::clone(&self.state), prover.clone());
        Session { prover, tokens, trust: Arc::clone(&self.trust), keys: Arc::clone(&self.keys), retry: self.retry }
    }

    /// From now on this is the session with its server.
    pub(crate) fn adopt(&self, session: Session) {
        let origin = session.origin().clone();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(origin, Arc::new(session));
    }

    /// The next use of this server opens a new session.
    pub(crate) fn close(&self, origin: &Origin) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(origin);
    }
}

/// One terminal and its server.
pub(crate) struct Session {
    prover: Prover,
    tokens: Tokens,
    trust: Arc<Trust>,
    keys: Arc<dyn KeyStore>,
    retry: Retry,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum No {
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
}

impl No {
    /// As [`Refused::is_undecided`].
    pub(crate) const fn is_undecided(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.is_undecided(),
            Self::Unsigned { .. } => true,
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
impl From<No> for Refused {
    fn from(no: No) -> Self {
        match no {
            No::Refused(refused) => refused,
            No::Unsigned { .. } => offline(no.to_string()),
        }
    }
}

impl From<No> for ClientError {
    fn from(no: No) -> Self {
        match no {
            No::Refused(refused) => refused.into(),
            No::Unsigned { status, detail } => Self::Rejected { status, detail },
        }
    }
}

/// What a proxy means by 413.
const TOO_LARGE: &str = "a proxy between here and the store takes no file of this size";

/// How long it is worth trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Ordinary,
    Long,
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
    pub(crate) async fn get<B: Serialize + DeserializeOwned>(&self, path: &str) -> Result<B, No> {
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
    ) -> Result<B, No> {
        let request = json(Method::Post, path, body, key)?;
        self.ask(&request, patience).await
    }

    /// Asks until there is a signed answer, or patience ends. A signed no is an answer.
    ///
    /// # Errors
    /// [`No`]: signed, `offline`, or such as it is.
    pub(crate) async fn ask<B: Serialize + DeserializeOwned>(
        &self,
        request: &Request,
        patience: Patience,
    ) -> Result<B, No> {
        let attempts = match patience {
            Patience::Ordinary => self.retry.attempts,
            Patience::Long => self.retry.patient_attempts,
        };
        let mut attempt = 1;
        loop {
            let no = match self.ask_once(request).await {
                Ok(body) => return Ok(body),
                Err(no) if attempt >= attempts => return Err(no),
                Err(no) => no,
            };
            let ordinary = self.retry.pause_before(attempt);
            let pause = match &no {
                No::Refused(refused) => match (refused.reason, refused.retry_after) {
                    (Reason::Offline, _) => ordinary,
                    // The server says when; an hour is for the user to decide.
                    (Reason::RateLimited, Some(after)) if Duration::from_secs(after.into()) <= self.retry.longest => {
                        ordinary.max(Duration::from_secs(after.into()))
                    }
                    _ => return Err(no),
                },
                // Where money may hang on the answer, nobody's word ends it but the server's own.
                No::Unsigned { .. } if patience == Patience::Long => ordinary,
                No::Unsigned { .. } => return Err(no),
            };
            tracing::debug!(path = request.path, attempt, %no, "asking again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn ask_once<B: Serialize + DeserializeOwned>(&self, request: &Request) -> Result<B, No> {
        let token = self.token(None).await?;
        let heard = self.send(request, &token).await?;
        let (reply, status) = (self.read::<B>(&heard).await, heard.answer.status);
        // The token may have ended early. A server says so signed, or, where the token was all it could go by, unsigned.
        let stale = match &reply {
            Ok(Reply::No(refusal)) => refusal.reason == Reason::NotSignedIn,
            Ok(Reply::Yes { .. }) => false,
            Err(_) => status == 401,
        };
        let reply = if stale {
            let token = self.token(Some(&token)).await?;
            let heard = self.send(request, &token).await?;
            self.read::<B>(&heard).await
        } else {
            reply
        };
        match reply? {
            Reply::Yes { body, .. } => Ok(body),
            Reply::No(refusal) => Err(self.refused(*refusal).await.into()),
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
            // That word was not signed: where the server is not the pinned one any more, that is what happened.
            self.trust.refresh(self.origin()).await?;
        }
        token
    }

    async fn send(&self, request: &Request, token: &AccessToken) -> Result<Heard, Refused> {
        Ok(self.prover.send(request, Some(token)).await?)
    }

    /// Believes an answer that a current key of the server signed, to this very request. Anything else is no answer.
    async fn read<B: Serialize + DeserializeOwned>(&self, heard: &Heard) -> Result<Reply<B>, No> {
        let Heard { req, answer, sent, came } = heard;
        let signed = signed(answer).ok_or_else(|| No::unsigned(answer.status, &answer.body))?;
        let clock = self.prover.clock();
        let keys = self.trust.keys(self.origin()).await?;
        let reply = match read_reply(&signed, &keys, req, clock.now()) {
            // A key that is not known yet: the server may have changed it.
            Err(Disbelief::Signature(JwsError::Key)) => {
                let keys = self.trust.refresh(self.origin()).await?;
                read_reply(&signed, &keys, req, clock.now())
            }
            reply => reply,
        };
        let reply = reply.map_err(|disbelief| offline(disbelief.to_string()))?;
        let at = match &reply {
            Reply::Yes { at, .. } => *at,
            Reply::No(refusal) => refusal.iat,
        };
        clock.hear(at, *sent, *came).map_err(|by| jumped(self.origin(), by))?;
        Ok(reply)
    }

    /// A signed no, as the user sees it. Offers in it that the server did not sign are left out.
    async fn refused(&self, refusal: RefusalAnswer) -> Refused {
        let RefusalAnswer { reason, detail, offers, retry_after, .. } = refusal;
        if reason == Reason::TerminalRevoked {
            // Its keys are good for nothing any more; the next sign-in makes new ones.
            if let Err(error) = Terminal::forget(&*self.keys, self.origin()) {
                tracing::warn!(%error, "the keys of the revoked terminal are still there");
            }
        }
        let offers = match self.trust.keys(self.origin()).await {
            Ok(keys) => offers.iter().filter_map(|offer| Trust::offer(&keys, offer).ok()).collect(),
            Err(_) => Vec::new(),
        };
        Refused { detail: detail.map(printable), offers, retry_after, ..Refused::new(reason) }
    }
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
