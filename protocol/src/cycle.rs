//! The cycle as the terminal lives it: request → authenticate → verify, each state a type of its own.
//!
//! ```text
//! Request ──authorisation_body──▶ server            steps 1, 2
//!    └─authorised(answer)──▶ AwaitingVerification
//!                               └─verification_body──▶ server     step 3
//!                               └─verified(answer)──▶ Granted ──open_keys──▶ part keys
//! ```
//!
//! Each step consumes the state before it, and only a signed answer to the very request that was sent moves on.
//! There is no way from a request to keys that skips a step:
//!
//! ```compile_fail
//! use portcullis_protocol::{cycle::Request, ReleaseSecretKey};
//! fn skip(request: Request, key: &ReleaseSecretKey) { let _ = request.open_keys(key); }
//! ```
//!
//! nor can one status code be verified twice:
//!
//! ```compile_fail
//! use portcullis_protocol::{cycle::{AwaitingVerification, Terminal}, wire::VerificationAnswer, KeyDocument};
//! fn twice(code: AwaitingVerification, one: VerificationAnswer, two: VerificationAnswer, keys: &KeyDocument, terminal: &Terminal<'_>) {
//!     let _ = code.verified(one, keys, terminal);
//!     let _ = code.verified(two, keys, terminal);
//! }
//! ```
//!
//! nor an unsigned answer be read:
//!
//! ```compile_fail
//! use portcullis_protocol::{cycle::Request, wire::{Signed, AuthorisationAnswer}};
//! fn unsigned(request: Request, answer: Signed) { let _ = request.authorised(answer); }
//! ```

use crate::age::FileKey;
use crate::documents::{Answer, Grant, KeyDocument, RefusalAnswer, confirmation};
use crate::ids::{Digest, Origin, PartName};
use crate::jws::{JwsError, Unverified, Verified};
use crate::keys::Thumbprint;
use crate::refusal::{Reason, ReasonOrigin};
use crate::release::{self, KeyRelease, ReleaseError, ReleaseSecretKey};
use crate::status_code::StatusCode;
use crate::wire::{AuthorisationAnswer, AuthorisationRequest, VerificationAnswer, VerificationRequest};
use serde::{Serialize, de::DeserializeOwned};

/// Why an answer was not believed. It counts as no answer at all: the terminal stays where it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disbelief {
    /// Neither an answer nor a refusal, or not signed by a current key of the server.
    #[error("the answer is not signed by a current key of the server: {0}")]
    Signature(JwsError),
    /// Signed for another request: an old answer, or one to somebody else.
    #[error("the answer belongs to another request")]
    Request,
    /// The server sent a reason that only a terminal can have.
    #[error("the answer's reason is one that only terminals use")]
    Reason,
    /// The grant is not what was asked for.
    #[error("the grant is not what was asked for: its {0} differs")]
    Grant(&'static str),
    /// The keys do not open.
    #[error("the released keys do not open: {0}")]
    Keys(#[from] ReleaseError),
}

impl From<JwsError> for Disbelief {
    fn from(error: JwsError) -> Self {
        Self::Signature(error)
    }
}

/// A believed answer: what was asked for, or a signed no.
#[derive(Debug, Clone)]
pub enum Reply<B> {
    /// Yes, at this server time (Unix seconds).
    Yes {
        /// What was asked for.
        body: B,
        /// Server time.
        at: u64,
    },
    /// No.
    No(Box<RefusalAnswer>),
}

/// Reads a signed answer to the request whose proof has the digest `req`, believing only current keys of the server.
///
/// # Errors
/// [`Disbelief`]: then nothing was answered.
pub fn read_reply<B: Serialize + DeserializeOwned>(
    signed: &str,
    keys: &KeyDocument,
    req: &Digest,
    now: u64,
) -> Result<Reply<B>, Disbelief> {
    match Unverified::<Answer<B>>::parse(signed) {
        Ok(answer) => {
            let key = keys.signing_key(answer.kid(), now).ok_or(JwsError::Key)?;
            let Answer { req: answered, iat, body } = answer.verify(key)?.into_document();
            if answered == *req { Ok(Reply::Yes { body, at: iat }) } else { Err(Disbelief::Request) }
        }
        Err(JwsError::Type { .. }) => {
            let refusal = Unverified::<RefusalAnswer>::parse(signed)?;
            let key = keys.signing_key(refusal.kid(), now).ok_or(JwsError::Key)?;
            let refusal = refusal.verify(key)?.into_document();
            if refusal.req != *req {
                return Err(Disbelief::Request);
            }
            if refusal.reason.origin() == ReasonOrigin::Terminal {
                return Err(Disbelief::Reason);
            }
            Ok(Reply::No(Box::new(refusal)))
        }
        Err(error) => Err(error.into()),
    }
}

impl RefusalAnswer {
    /// Whether a retry with a fresh request could be answered otherwise without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.reason, Reason::RateLimited | Reason::SeatsTaken)
    }
}

/// Who asks: what the terminal needs of itself to recognise its grants.
#[derive(Debug, Clone, Copy)]
pub struct Terminal<'a> {
    /// The thumbprint of its Ed25519 key.
    pub thumbprint: &'a Thumbprint,
    /// The server it asks.
    pub origin: &'a Origin,
    /// Its idea of server time, Unix seconds.
    pub now: u64,
}

/// Step 1: what is asked.
#[derive(Debug, Clone)]
pub struct Request {
    body: AuthorisationRequest,
    parts: Vec<PartName>,
}

impl Request {
    /// A request, and the parts that the manifest releases for its operation, in the manifest's order.
    #[must_use]
    pub const fn new(body: AuthorisationRequest, parts: Vec<PartName>) -> Self {
        Self { body, parts }
    }

    /// The body of `POST /v1/authorizations`.
    #[must_use]
    pub const fn authorisation_body(&self) -> &AuthorisationRequest {
        &self.body
    }

    /// Step 2 answered yes: `answer` comes from [`read_reply`].
    #[must_use]
    pub fn authorised(self, answer: AuthorisationAnswer) -> AwaitingVerification {
        AwaitingVerification { request: self, code: answer.code, expires: answer.expires }
    }
}

/// Step 2 done: a status code is held. To be made durable before step 3 is sent.
#[derive(Debug, Clone)]
pub struct AwaitingVerification {
    request: Request,
    code: StatusCode,
    expires: u64,
}

impl AwaitingVerification {
    /// Takes up a code that was made durable before a crash.
    #[must_use]
    pub const fn resume(request: Request, code: StatusCode, expires: u64) -> Self {
        Self { request, code, expires }
    }

    /// The body of `POST /v1/verifications`; the same bytes at every retry.
    #[must_use]
    pub fn verification_body(&self) -> VerificationRequest {
        VerificationRequest { code: self.code.clone(), request: self.request.body.clone() }
    }

    /// Until when the code can be verified, Unix seconds of the server.
    #[must_use]
    pub const fn expires(&self) -> u64 {
        self.expires
    }

    /// Step 3 answered yes: checks that the grant is signed, for this request and this terminal.
    ///
    /// # Errors
    /// [`Disbelief`].
    pub fn verified(
        self,
        answer: VerificationAnswer,
        keys: &KeyDocument,
        terminal: &Terminal<'_>,
    ) -> Result<Granted, Disbelief> {
        let grant = Unverified::<Grant>::parse(&answer.grant)?;
        let key = keys.signing_key(grant.kid(), terminal.now).ok_or(JwsError::Key)?;
        let grant = grant.verify(key)?;
        let (document, asked) = (grant.document(), &self.request.body);
        let checks = [
            ("server", document.iss == *terminal.origin),
            ("resource", document.resource == asked.resource),
            ("operation", document.operation == asked.operation),
            ("nonce", document.nonce == asked.nonce),
            ("terminal", document.cnf == confirmation(&answer.grant_nonce, terminal.thumbprint)),
            ("list of parts", document.parts == self.request.parts),
            ("time", document.exp >= document.iat),
        ];
        if let Some((what, _)) = checks.iter().find(|(_, holds)| !holds) {
            return Err(Disbelief::Grant(what));
        }
        Ok(Granted { grant, keys: answer.keys })
    }
}

/// The file key of each part that a grant releases, in the grant's order.
pub type PartKeys = Vec<(PartName, FileKey)>;

/// Step 3 done: a grant of this terminal for this request, with its keys still sealed.
#[derive(Debug, Clone)]
pub struct Granted {
    grant: Verified<Grant>,
    keys: KeyRelease,
}

impl Granted {
    /// The signed grant.
    #[must_use]
    pub const fn grant(&self) -> &Verified<Grant> {
        &self.grant
    }

    /// Opens the part keys, in the order of the grant's parts. Each still has to open its age header's MAC.
    ///
    /// # Errors
    /// [`Disbelief::Keys`] if the keys were not sealed to this terminal for this grant, or for other parts.
    pub fn open_keys(self, key: &ReleaseSecretKey) -> Result<(Verified<Grant>, PartKeys), Disbelief> {
        let opened = release::open(key, self.grant.compact(), &self.keys)?;
        let parts = &self.grant.document().parts;
        if opened.len() != parts.len() || opened.iter().zip(parts).any(|((name, _), part)| name != part.as_str()) {
            return Err(Disbelief::Grant("list of keys"));
        }
        let keys = opened.into_iter().zip(parts).map(|((_, key), part)| (part.clone(), key)).collect();
        Ok((self.grant, keys))
    }
}
