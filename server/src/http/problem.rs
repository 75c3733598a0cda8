//! A no: signed if the caller proved itself and the registry has a reason, otherwise plain problem details (RFC
//! 9457).

use crate::billing::answers::{self, Refusal, ServiceError};
use crate::http::app::App;
use crate::http::rate::TooMany;
use crate::ops::log::RequestId;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use portcullis_protocol::wire::Problem;
use portcullis_protocol::{Digest, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::panic::AssertUnwindSafe;

/// Carries the server's nonce (RFC 9449 section 8).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Seconds after which a request that is in progress is worth repeating.
const RETRY_UNDER_WAY: u32 = 1;

/// A no that the registry of refusals does not know: the request was not understood, or the server failed. Never
/// signed, so that nothing follows from it at a terminal, which may show its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Not a request of this interface. The text says what is wrong and repeats nothing of it.
    #[error("{0}")]
    Malformed(String),
    /// No valid proof of possession. Says nothing more.
    #[error("a valid proof of possession is required (RFC 9449)")]
    Unproven,
    /// The proof needs this nonce.
    #[error("repeat the request with the nonce of this answer (RFC 9449 section 8)")]
    Nonce(String),
    /// Proven, but not allowed: somebody else's publisher or resource.
    #[error("{0}")]
    Forbidden(String),
    /// No such thing.
    #[error("not found")]
    NotFound,
    /// There is something at this address, for another method.
    #[error("this address does not accept that method")]
    MethodNotAllowed,
    /// A body of another kind.
    #[error("this address does not accept that Content-Type")]
    UnsupportedMediaType,
    /// Longer than allowed.
    #[error("the body is longer than the {0} bytes allowed")]
    TooLarge(u64),
    /// The body did not arrive in time. Of one that may be long, so many bytes per second are wanted.
    #[error("{}", too_slow(*.0))]
    TooSlow(u64),
    /// A first request with the same Idempotency-Key is under way.
    #[error("a request with this Idempotency-Key is under way: repeat it in a moment")]
    UnderWay,
    /// Taken by somebody else, or already there in another form.
    #[error("{0}")]
    Conflict(String),
    /// The Idempotency-Key was used for another body.
    #[error("this Idempotency-Key was used for another request: take a new one")]
    KeyReused,
    /// Understood, and not acceptable.
    #[error("{0}")]
    Unacceptable(String),
    /// Too many requests.
    #[error("too many requests: wait {} s", .0.retry_after)]
    TooMany(TooMany),
    /// The server cannot do its work just now.
    #[error("the server is not ready: its log and its metrics listener say why")]
    NotReady,
    /// The server failed; the cause stands in its log.
    #[error("the server failed; nothing was decided. Try again")]
    Internal,
}

impl ApiError {
    /// The status it is sent with.
    #[must_use]
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unproven | Self::Nonce(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::UnderWay | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::KeyReused | Self::Unacceptable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Logs what went wrong inside, and keeps it there.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = %error, "request failed");
        Self::Internal
    }
}

fn too_slow(rate: u64) -> String {
    match rate {
        0 => "the body did not arrive in time: send it again".to_owned(),
        rate => format!("the upload was slower than {rate} bytes per second: repeat it over a faster line"),
    }
}

impl From<TooMany> for ApiError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let reason = match self {
            Self::TooMany(_) => Some(Reason::RateLimited),
            _ => None,
        };
        let title = match &self {
            Self::Nonce(_) => "use_dpop_nonce",
            _ => status.canonical_reason().unwrap_or("Error"),
        };
        let problem = Problem {
            instance: None,
            kind: "about:blank".into(),
            title: title.into(),
            status: status.as_u16(),
            detail: self.to_string(),
            reason,
            signed: None,
        };
        let mut response = problem_response(status, problem);
        match self {
            Self::Nonce(nonce) => {
                set_nonce(&mut response, &nonce);
                let challenge = HeaderValue::from_static(r#"DPoP error="use_dpop_nonce", algs="EdDSA""#);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Unproven => {
                let challenge = HeaderValue::from_static(r#"DPoP algs="EdDSA""#);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::TooMany(TooMany { retry_after }) => {
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
            }
            // Tells this conflict from those that stay: it is worth asking again.
            Self::UnderWay => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_UNDER_WAY.into());
            }
            _ => {}
        }
        response
    }
}

/// Problem details as a response. [`complete`], which every response passes, writes them.
fn problem_response(status: StatusCode, problem: Problem) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(problem);
    response
}

/// Makes problem details of every error that is not yet: of an extractor of axum's, of a handler that panicked. What
/// has a form of its own stays: a page, an OAuth error. Each is given the number that the log has of its request.
pub(crate) async fn complete(request: Request, next: Next) -> Response {
    let number = request.extensions().get::<RequestId>().cloned();
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => ApiError::internal("a handler panicked").into_response(),
    };
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if has_form(&parts.headers) => return Response::from_parts(parts, body),
        None => Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: "the request was not understood: see the reference of this server".into(),
            instance: None,
            reason: None,
            signed: None,
        },
    };
    problem.instance = number.map(|RequestId(number)| format!("urn:portcullis:request:{number}"));
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A person with a browser is shown a page instead.
    parts.extensions.insert(problem);
    Response::from_parts(parts, body.into())
}

/// Whether an error is written in a form of its own: as a page, or as an OAuth error.
fn has_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.starts_with(b"text/html") || kind.starts_with(b"application/json")
}

/// Puts the server's nonce into an answer.
pub(crate) fn set_nonce(response: &mut Response, nonce: &str) {
    if let Ok(value) = HeaderValue::from_str(nonce) {
        response.headers_mut().insert(DPOP_NONCE, value);
    }
}

/// A no to somebody who proved himself.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The core's: signed where the registry knows it.
    No(ServiceError),
    /// The edges': never signed.
    Fault(ApiError),
}

impl From<ServiceError> for Refused {
    fn from(no: ServiceError) -> Self {
        Self::No(no)
    }
}

impl From<ApiError> for Refused {
    fn from(fault: ApiError) -> Self {
        Self::Fault(fault)
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self::No(reason.into())
    }
}

impl From<TooMany> for Refused {
    fn from(TooMany { retry_after }: TooMany) -> Self {
        Self::No(Refusal::new(Reason::RateLimited).after(retry_after).into())
    }
}

/// How to answer a request whose proof has passed: signed, bound to that proof, with a nonce for the next one.
#[derive(Clone)]
pub(crate) struct Reply {
    app: App,
    req: Digest,
    nonce: String,
}

impl Reply {
    pub(crate) fn new(app: App, req: Digest, nonce: String) -> Self {
        Self { app, req, nonce }
    }

    /// The nonce for the caller's next proof.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Yes or no.
    pub(crate) fn answer<B: Serialize + DeserializeOwned>(&self, answer: Result<B, Refused>) -> Response {
        if let Err(fault) = self.app.core.faults.step("answer.before-send") {
            return self.send(ApiError::internal(fault).into_response());
        }
        let now = self.app.core.clock.now();
        match answer.map(|body| answers::sign(&self.app.core.keys, self.req, now, body)) {
            Ok(Ok(signed)) => self.send((no_store(), axum::Json(signed)).into_response()),
            Ok(Err(error)) => self.send(ApiError::internal(error).into_response()),
            Err(refused) => self.no(refused),
        }
    }

    /// No.
    pub(crate) fn no(&self, refused: impl Into<Refused>) -> Response {
        let fault = match refused.into() {
            Refused::No(ServiceError::Refused(refusal)) => return self.refuse(&refusal),
            Refused::No(ServiceError::UnderWay) => ApiError::UnderWay,
            Refused::No(ServiceError::KeyReused) => ApiError::KeyReused,
            Refused::No(ServiceError::Unacceptable(text)) => ApiError::Unacceptable(text.into_owned()),
            Refused::No(ServiceError::NotFound) => ApiError::NotFound,
            Refused::No(ServiceError::Failed(cause)) => ApiError::internal(cause),
            Refused::Fault(fault) => fault,
        };
        self.send(fault.into_response())
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        let now = self.app.core.clock.now();
        let problem = match answers::sign_refusal(&self.app.core.keys, self.req, now, refusal) {
            Ok(problem) => problem,
            Err(error) => return self.send(ApiError::internal(error).into_response()),
        };
        self.app.core.metrics.refused(refusal.reason);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
        let mut response = problem_response(status, problem);
        // The log names it.
        response.extensions_mut().insert(refusal.reason);
        if let Some(seconds) = refusal.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        self.send(response)
    }

    /// The digest of the proof that is answered.
    pub(crate) const fn req(&self) -> Digest {
        self.req
    }

    /// An answer whose documents are signed one by one.
    pub(crate) fn with_nonce(&self, response: Response) -> Response {
        self.send(response)
    }

    fn send(&self, mut response: Response) -> Response {
        set_nonce(&mut response, &self.nonce);
        response
    }
}

/// Answers to one caller are nobody else's.
pub(crate) const fn no_store() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
