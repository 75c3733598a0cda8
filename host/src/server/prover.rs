//! Requests with a proof of possession (RFC 9449), and the server's nonces.

use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{
    AccessToken, BillingServer, Body, Exchange, Exchanged, Method, Streamed, TransportError,
};
use crate::random;
use crate::server::retry::Retry;
use crate::server::terminal::Terminal;
use crate::server::trust::offline;
use crate::state::clock::{Clock as _, ServerClock};
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::{Digest, IdempotencyKey, Origin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A nonce is 22 characters of ours; other servers may make longer ones, but not such as fill a header.
const MAX_NONCE_TEXT: usize = 256;

/// Proves requests of one terminal to its server.
#[derive(Clone)]
pub(crate) struct Prover {
    server: Arc<dyn BillingServer>,
    terminal: Arc<Terminal>,
    clock: Arc<ServerClock>,
    /// The server's last nonce.
    nonce: Arc<Mutex<Option<String>>>,
}

/// A request to be proven. Its bytes are the same at every repetition.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    pub(crate) body: Body,
}

/// An answer, and the digest of the proof that it has to repeat.
#[derive(Debug)]
pub(crate) struct TimedAnswer {
    pub(crate) req: Digest,
    pub(crate) answer: Exchanged,
    /// When the request went out, by [`Clock::elapsed`](crate::Clock::elapsed).
    pub(crate) sent: Duration,
    /// When the answer came.
    pub(crate) came: Duration,
}

/// A stream, and the digest of the proof that its documents have to repeat.
pub(crate) struct StreamedAnswer {
    pub(crate) req: Digest,
    pub(crate) body: BoxStream<'static, Result<Bytes, TransportError>>,
}

impl Prover {
    pub(crate) fn new(server: Arc<dyn BillingServer>, terminal: Arc<Terminal>, clock: Arc<ServerClock>) -> Self {
        Self { server, terminal, clock, nonce: Arc::default() }
    }

    pub(crate) fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    pub(crate) fn clock(&self) -> &ServerClock {
        &self.clock
    }

    pub(crate) fn origin(&self) -> &Origin {
        self.terminal.origin()
    }

    /// Whether a nonce is at hand. One may still be too old.
    pub(crate) fn has_nonce(&self) -> bool {
        self.nonce.lock().is_some()
    }

    /// Sends a request with a fresh proof; once more, if the server wants a newer nonce.
    pub(crate) async fn send(
        &self,
        request: &Request,
        token: Option<&AccessToken>,
    ) -> Result<TimedAnswer, TransportError> {
        let nonce = self.nonce.lock().clone();
        let heard = self.send_with(request, token, nonce.as_deref()).await?;
        match &heard.answer.nonce {
            Some(fresh) if wants_nonce(&heard.answer, nonce.as_deref()) => {
                let fresh = fresh.clone();
                self.send_with(request, token, Some(&fresh)).await
            }
            _ => Ok(heard),
        }
    }

    /// Asks the authorization server, whose answers are not signed, until it answers: nothing that it is asked this
    /// way does harm when it is done twice.
    pub(crate) async fn ask_authorization_server(
        &self,
        request: &Request,
        retry: &Retry,
    ) -> Result<Exchanged, Refused> {
        let begun = Instant::now();
        let (mut attempt, mut sent) = (1, false);
        loop {
            let (why, after) = match self.send(request, None).await {
                Ok(heard) if heard.answer.status < 500 => return Ok(heard.answer),
                Ok(heard) => {
                    sent = true;
                    (offline(format!("it answers with status {}", heard.answer.status)), heard.answer.retry_after)
                }
                Err(error) => {
                    sent |= !error.was_not_sent();
                    (Refused::from(error), None)
                }
            };
            let after = Duration::from_secs(after.unwrap_or(0).into());
            let pause = retry.pause_before(attempt).max(after);
            let goes_on = if sent { begun.elapsed() + pause <= retry.patience } else { attempt < retry.attempts };
            if !goes_on {
                return Err(why);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Asks for a stream with a fresh proof; once more, if the server wants a newer nonce. An answer that is none is
    /// returned as it is.
    pub(crate) async fn stream(
        &self,
        request: &Request,
        token: &AccessToken,
    ) -> Result<Result<StreamedAnswer, TimedAnswer>, TransportError> {
        let mut is_second = false;
        loop {
            let nonce = self.nonce.lock().clone();
            let (req, exchange) = self.proven(request, Some(token), nonce.as_deref());
            let sent = self.clock.elapsed();
            let Streamed { head, body } = self.server.stream(exchange).await?;
            self.hear(&head);
            if head.status == 200 {
                return Ok(Ok(StreamedAnswer { req, body }));
            }
            if is_second || !wants_nonce(&head, nonce.as_deref()) {
                return Ok(Err(TimedAnswer { req, answer: head, sent, came: self.clock.elapsed() }));
            }
            is_second = true;
        }
    }

    /// Keeps the nonce of an answer for the next proof.
    fn hear(&self, answer: &Exchanged) {
        if let Some(nonce) = answer.nonce.as_ref().filter(|nonce| nonce.len() <= MAX_NONCE_TEXT) {
            *self.nonce.lock() = Some(nonce.clone());
        }
    }

    async fn send_with(
        &self,
        request: &Request,
        token: Option<&AccessToken>,
        nonce: Option<&str>,
    ) -> Result<TimedAnswer, TransportError> {
        let (req, exchange) = self.proven(request, token, nonce);
        let sent = self.clock.elapsed();
        let answer = self.server.exchange(exchange).await?;
        let came = self.clock.elapsed();
        self.hear(&answer);
        Ok(TimedAnswer { req, answer, sent, came })
    }

    /// A request with its proof, and the digest of that.
    fn proven(&self, request: &Request, token: Option<&AccessToken>, nonce: Option<&str>) -> (Digest, Exchange) {
        let origin = self.origin();
        let target = ProofTarget {
            method: request.method.as_str(),
            url: &format!("{origin}{}", request.path),
            token: token.map(AccessToken::expose),
            body: request.body.digest(),
            idempotency_key: request.idempotency_key.as_ref(),
        };
        let proof = prove(self.terminal.signing(), &target, random::octets(), self.clock.now(), nonce);
        let req = Digest::of(proof.as_bytes());
        let exchange = Exchange {
            method: request.method,
            origin: origin.clone(),
            path_and_query: request.path.clone(),
            token: token.cloned(),
            proof: Some(proof),
            idempotency_key: request.idempotency_key.clone(),
            body: request.body.clone(),
        };
        (req, exchange)
    }
}

/// The signed document in an answer, if there is one.
pub(crate) fn signed(answer: &Exchanged) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        signed: String,
    }
    serde_json::from_slice::<Envelope>(&answer.body).ok().map(|envelope| envelope.signed)
}

/// Whether an answer wants a newer nonce (RFC 9449 section 8). A signed no has another meaning and is not repeated.
fn wants_nonce(answer: &Exchanged, proven: Option<&str>) -> bool {
    answer.status == 401 && answer.nonce.is_some() && answer.nonce.as_deref() != proven && !is_signed(answer)
}

fn is_signed(answer: &Exchanged) -> bool {
    signed(answer).is_some()
}
