//! Who asks: proof of possession first, then token, terminal and account. What a request says about itself is called
//! unverified until its proof has passed; from then on every answer to it is signed.
//!
//! ```text
//! request ─▶ UnverifiedRequest ─proof─▶ ProvenStranger          the holder of a key      (sign-in)
//!                                          └─token─▶ ProvenSession     and whose it is   (enrolment)
//!                                                       └─▶ ProvenTerminal  and enrolled (everything else)
//!                 └─proof─▶ ProvenMerchant              the key of a merchant
//! ```

use crate::crypto::secrets::{TokenHash, TokenRole};
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::body::drain;
use crate::http::problem::{ApiError, Refused, Reply};
use crate::http::route::Access;
use crate::identity::asker::{Asker, SignedIn};
use crate::store::{AnswerScope, Idempotency, Merchant, MerchantState, SessionId};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use portcullis_protocol::encoding::from_base64url;
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use portcullis_protocol::proof::{self, ProofClaims, ProofError, ProofTarget, Proven};
use portcullis_protocol::{AccountId, Digest, IdempotencyKey, PublicKey, Reason, Thumbprint, paths};
use serde::de::DeserializeOwned;
use std::net::IpAddr;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest access token looked at: ours take 43 bytes.
const MAX_TOKEN: usize = 256;

/// A request as it arrived, with what it says about itself.
struct UnverifiedRequest {
    unverified_proof: String,
    unverified_token: Option<String>,
    idempotency_key: Option<IdempotencyKey>,
    method: Method,
    path: String,
}

impl UnverifiedRequest {
    fn read(method: &Method, path: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let unverified_proof = one(headers, &DPOP)?.ok_or(ApiError::Unproven)?.to_owned();
        let unverified_token = match one(headers, &header::AUTHORIZATION)? {
            None => None,
            Some(value) => match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("DPoP") && token.len() <= MAX_TOKEN => {
                    Some(token.to_owned())
                }
                _ => return Err(ApiError::Unproven),
            },
        };
        let idempotency_key = match one(headers, &IDEMPOTENCY_KEY)? {
            None => None,
            Some(text) => {
                let bad = |error: portcullis_protocol::BadId| ApiError::Malformed(error.to_string());
                Some(IdempotencyKey::new(text).map_err(bad)?)
            }
        };
        Ok(Self { unverified_proof, unverified_token, idempotency_key, method: method.clone(), path: path.to_owned() })
    }

    /// Checks the proof over a body of this digest.
    fn check(self, app: &App, body: Digest) -> Result<ProvenRequest, ApiError> {
        let url = format!("{}{}", app.origin(), self.path);
        let target = ProofTarget {
            method: self.method.as_str(),
            url: &url,
            token: self.unverified_token.as_deref(),
            body,
            idempotency_key: self.idempotency_key.as_ref(),
        };
        let now = app.core.clock.now().seconds();
        let nonces = app.core.keys.nonce_key();
        let known = app.core.keys.known();
        let proven = proof::check_knowing(&self.unverified_proof, &target, nonces, now, |bytes| known.find(bytes));
        let proven = proven.map_err(|error| match error {
            // Only who holds a proof at all is given a nonce, and only for the key that it names.
            ProofError::Nonce => proof::claimed_key(&self.unverified_proof)
                .map_or(ApiError::Unproven, |key| ApiError::Nonce(nonces.issue(&key, now))),
            _ => ApiError::Unproven,
        })?;
        known.keep(proven.key());
        let nonce = nonces.issue(&proven.key().thumbprint(), now);
        let reply = Reply::new(app.clone(), proven.digest(), nonce);
        Ok(ProvenRequest {
            proven,
            reply,
            token: self.unverified_token,
            idempotency_key: self.idempotency_key,
            body,
            method: self.method,
            path: self.path,
            address: None,
        })
    }
}

/// A request whose proof has passed.
struct ProvenRequest {
    proven: Proven,
    reply: Reply,
    token: Option<String>,
    idempotency_key: Option<IdempotencyKey>,
    body: Digest,
    method: Method,
    path: String,
    /// From where it came, if that was counted.
    address: Option<IpAddr>,
}

impl ProvenRequest {
    fn key(&self) -> Thumbprint {
        self.proven.key().thumbprint()
    }

    /// Rate, then token: whose request it is.
    async fn signed_in(&self, app: &App) -> Result<SignedIn, Refused> {
        app.gates.terminal.take(self.key())?;
        let Some(token) = &self.token else {
            return Err(Reason::NotSignedIn.into());
        };
        Ok(SignedIn::authenticate(&app.core, &self.proven, token).await?)
    }

    fn idempotency(&self) -> Result<Option<Idempotency>, Refused> {
        match (&self.idempotency_key, &self.method) {
            (Some(key), _) => Ok(Some(Idempotency::of(key.clone(), self.method.as_str(), &self.path, self.body))),
            (None, &Method::GET | &Method::HEAD) => Ok(None),
            (None, _) => Err(ApiError::Malformed("this request needs an Idempotency-Key".into()).into()),
        }
    }
}

/// The holder of a key, of whom nothing else is known.
pub(crate) struct ProvenStranger {
    /// The key.
    pub(crate) key: PublicKey,
    /// The nonce that its answer carries.
    pub(crate) nonce: String,
    /// The body that the proof covers.
    pub(crate) body: Bytes,
}

impl FromRequest<App> for ProvenStranger {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (proven, body) = prove(request, app).await?;
        app.gates.terminal.take(proven.key())?;
        Ok(Self { key: proven.proven.key().clone(), nonce: proven.reply.nonce().to_owned(), body })
    }
}

/// The holder of a key, signed in to an account, and not necessarily enrolled.
pub(crate) struct ProvenSession {
    /// The account.
    pub(crate) account: AccountId,
    /// The key.
    pub(crate) key: PublicKey,
    /// The session.
    pub(crate) session: SessionId,
    common: Common,
}

/// An enrolled terminal of an account in good standing.
pub(crate) struct ProvenTerminal {
    /// The evidence of it.
    pub(crate) asker: Asker,
    token: String,
    common: Common,
}

struct Common {
    reply: Reply,
    idempotency: Option<Idempotency>,
    body: Bytes,
}

/// A merchant, by its key: one that is registered and not suspended.
pub(crate) struct ProvenMerchant {
    /// Who.
    pub(crate) merchant: Merchant,
    common: Common,
}

/// Somebody to whom answers are signed.
pub(crate) trait Caller: FromRequest<App, Rejection = Response> + Send + 'static {
    /// Who it is.
    const ACCESS: Access;
    /// How to answer.
    fn reply(&self) -> &Reply;
    /// Whose Idempotency-Keys these are.
    fn scope(&self) -> AnswerScope;
    /// The request's identity; present for everything that changes something.
    fn idempotency(&self) -> Option<&Idempotency>;
}

macro_rules! caller {
    ($name:ident, $access:expr, $scope:expr) => {
        impl Caller for $name {
            const ACCESS: Access = $access;

            fn reply(&self) -> &Reply {
                &self.common.reply
            }

            fn scope(&self) -> AnswerScope {
                let scope: fn(&Self) -> AnswerScope = $scope;
                scope(self)
            }

            fn idempotency(&self) -> Option<&Idempotency> {
                self.common.idempotency.as_ref()
            }
        }

        impl FromRequest<App> for $name {
            type Rejection = Response;

            async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
                let (proven, body) = prove(request, app).await.map_err(IntoResponse::into_response)?;
                let reply = proven.reply.clone();
                Self::of(app, proven, body).await.map_err(|refused| reply.no(refused))
            }
        }
    };
}

caller!(ProvenSession, Access::Session, |caller| AnswerScope::Session(caller.session));
caller!(ProvenTerminal, Access::Terminal, |caller| AnswerScope::Terminal(*caller.asker.terminal()));
caller!(ProvenMerchant, Access::Merchant, |caller| AnswerScope::Merchant(caller.merchant.id));

/// What paths of a route begin with.
fn fixed(route: &'static str) -> &'static str {
    route.split('{').next().unwrap_or(route)
}

impl ProvenMerchant {
    async fn of(app: &App, proven: ProvenRequest, body: Bytes) -> Result<Self, Refused> {
        // A token would bind the request to an account, and a merchant's key acts for none.
        if proven.token.is_some() {
            return Err(ApiError::Malformed("a merchant's request carries no access token".into()).into());
        }
        let found = app.core.store.merchant_of_key(proven.proven.key()).await.map_err(ApiError::internal)?;
        // Whom the operator has approved is counted as a merchant, and not as one of many behind its address.
        // Everybody else, anybody can be who has an account.
        match &found {
            Some(merchant) if merchant.state == MerchantState::Approved => {
                app.gates.merchant.take(merchant.id)?;
                if let Some(address) = proven.address {
                    app.gates.address.give_back(&address, 1);
                }
            }
            _ => app.gates.terminal.take(proven.key())?,
        }
        // One that is suspended may still read what becomes of its orders, and nothing else: its key may be stolen.
        let reads_orders = proven.method == Method::GET
            && [paths::MERCHANT_ORDER, paths::MERCHANT_OPEN].iter().any(|path| proven.path.starts_with(fixed(path)));
        let merchant = found.filter(|merchant| merchant.state != MerchantState::Suspended || reads_orders);
        let merchant = merchant.ok_or(Reason::MerchantUnknown)?;
        let common = Common { idempotency: proven.idempotency()?, reply: proven.reply, body };
        Ok(Self { merchant, common })
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        json(&self.common.body)
    }
}

impl ProvenSession {
    async fn of(app: &App, proven: ProvenRequest, body: Bytes) -> Result<Self, Refused> {
        let signed_in = proven.signed_in(app).await?;
        let account = signed_in.account()?;
        let common = Common { idempotency: proven.idempotency()?, reply: proven.reply, body };
        Ok(Self { account, key: proven.proven.key().clone(), session: signed_in.session(), common })
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        json(&self.common.body)
    }
}

impl ProvenTerminal {
    async fn of(app: &App, proven: ProvenRequest, body: Bytes) -> Result<Self, Refused> {
        let asker = proven.signed_in(app).await?.asker()?;
        let common = Common { idempotency: proven.idempotency()?, reply: proven.reply, body };
        Ok(Self { asker, token: proven.token.unwrap_or_default(), common })
    }

    /// The request's identity, where a transaction of its own remembers it.
    pub(crate) fn request(&self) -> Result<&Idempotency, ApiError> {
        self.common
            .idempotency
            .as_ref()
            .ok_or_else(|| ApiError::Malformed("this request needs an Idempotency-Key".into()))
    }

    /// The account.
    pub(crate) const fn account(&self) -> &AccountId {
        self.asker.account()
    }

    /// What the access token of the request is found by. It is hashed when somebody asks: only a stream does.
    pub(crate) fn token_hash(&self, app: &App) -> TokenHash {
        app.core.secrets.hash_token(TokenRole::Access, &self.token)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        json(&self.common.body)
    }
}

/// A terminal that uploads a file: its proof covers a body of a digest that it claimed, and the body is yet to come.
pub(crate) struct ProvenUpload {
    /// Who uploads.
    pub(crate) caller: ProvenTerminal,
    /// The digest that the proof covers. What arrives has to have it.
    pub(crate) claimed_body: Digest,
    /// What arrives.
    pub(crate) unverified_body: Body,
    /// Whether it arrives only once it is read (`Expect: 100-continue`).
    pub(crate) is_held_back: bool,
}

impl FromRequest<App> for ProvenUpload {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (parts, unverified_body) = request.into_parts();
        let is_held_back = parts.headers.contains_key(header::EXPECT);
        let most = app.config.limits.upload_bytes;
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let caller = async {
            if announced.is_some_and(|length: u64| length > most) {
                return Err(ApiError::TooLarge(most).into_response());
            }
            let proven = (|| {
                let unverified = UnverifiedRequest::read(&parts.method, parts.uri.path(), &parts.headers)?;
                let claimed = claimed_body(&unverified.unverified_proof)?;
                unverified.check(app, claimed)
            })();
            let proven = proven.map_err(IntoResponse::into_response)?;
            let (reply, claimed_body) = (proven.reply.clone(), proven.body);
            let caller = ProvenTerminal::of(app, proven, Bytes::new()).await.map_err(|refused| reply.no(refused))?;
            Ok((caller, claimed_body))
        };
        match caller.await {
            Ok((caller, claimed_body)) => Ok(Self { caller, claimed_body, unverified_body, is_held_back }),
            Err(response) => {
                drain(unverified_body, is_held_back);
                Err(response)
            }
        }
    }
}

/// The digest of the body that a proof speaks of.
fn claimed_body(unverified_proof: &str) -> Result<Digest, ApiError> {
    let payload = unverified_proof.split('.').nth(1).ok_or(ApiError::Unproven)?;
    let payload = from_base64url(payload).map_err(|_| ApiError::Unproven)?;
    let claims: ProofClaims = serde_json::from_slice(&payload).map_err(|_| ApiError::Unproven)?;
    Ok(claims.bd)
}

/// Takes the whole of a small body, then checks the proof over it.
async fn prove(request: Request, app: &App) -> Result<(ProvenRequest, Bytes), ApiError> {
    let (parts, unverified_body) = request.into_parts();
    let body = bounded(unverified_body).await?;
    let unverified = UnverifiedRequest::read(&parts.method, parts.uri.path(), &parts.headers)?;
    let mut proven = unverified.check(app, Digest::of(&body))?;
    proven.address = parts.extensions.get().map(|ClientAddress(address)| *address);
    Ok((proven, body))
}

async fn bounded(body: Body) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::Malformed("the body did not arrive".into()))?;
        if bytes.len() + chunk.len() > MAX_REQUEST_BODY {
            return Err(ApiError::TooLarge(MAX_REQUEST_BODY as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        // Position and kind only: the message itself could repeat what was sent.
        let what = match error.classify() {
            serde_json::error::Category::Data => "does not have the form that this request takes",
            _ => "is not JSON",
        };
        ApiError::Malformed(format!("the body {what} (line {}, column {})", error.line(), error.column()))
    })
}

/// The one value of a header. Twice is once too often: a proxy and this server might each believe another one.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| ApiError::Malformed(format!("{name} is not ASCII")))
        }
        (Some(_), Some(_)) => Err(ApiError::Malformed(format!("duplicate `{name}` header"))),
    }
}
