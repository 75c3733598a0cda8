//! The seam between what runs resources and what talks to billing servers.
//!
//! The engine half asks a [`Gatekeeper`] for grants and never sees a network; the client half (`cycle::Cycle` for one)
//! answers and never sees an engine. Both steps of the cycle appear, as a resource sees them: [`Gatekeeper::request`]
//! (steps 1 and 2) gives a [`HeldCode`], [`HeldCode::verify`] (step 3) consumes it.

use crate::state::clock::Clock;
use crate::state::folder::StateError;
use async_trait::async_trait;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::limits::MAX_NONCE;
use portcullis_protocol::{
    Digest, Grant, More, Offer, OperationName, OrderId, Origin, PartName, Reason, SignedManifest, UnknownEntry,
    Verified,
};
use std::fmt;
use std::sync::Arc;

/// A request's own nonce; may be empty.
pub type Nonce = BoundedOctets<MAX_NONCE>;

/// What is asked for: steps 1 and 2 of the cycle.
#[derive(Debug, Clone)]
pub struct CycleRequest {
    /// The resource. Its signatures are verified; whether one of its servers is trusted is the gatekeeper's to judge.
    pub resource: Arc<SignedManifest>,
    /// The operation. The manifest has it.
    pub operation: OperationName,
    /// How much, at least 1 and at most [`portcullis_protocol::limits::MAX_QUANTITY`].
    pub quantity: u32,
    /// The digest of the offer that the user accepted; `None` uses whatever rights the account holds.
    pub offer: Option<Digest>,
    /// Repeated in the grant.
    pub nonce: Nonce,
}

/// A verified grant for exactly what was asked, with the opened keys of its parts in the grant's order.
///
/// Whoever makes one vouches for what [`portcullis_protocol::cycle`] checks: the server's signature, resource,
/// operation, terminal, nonce and list of parts.
#[derive(Debug)]
pub struct Released {
    /// The grant.
    pub grant: Verified<Grant>,
    /// The file keys. Wiped when dropped.
    pub keys: Vec<(PartName, FileKey)>,
}

/// Asks a billing server. The default of everything here is no.
#[async_trait]
pub trait Gatekeeper: Send + Sync {
    /// Steps 1 and 2: has the server judge the request and hold what it costs.
    ///
    /// # Errors
    /// [`Refused`], also if no server can be reached or none is trusted.
    async fn request(&self, request: CycleRequest) -> Result<Box<dyn HeldCode>, Refused>;

    /// The server's current, signed offers for an operation, to be shown to the user before a priced request is made.
    ///
    /// # Errors
    /// [`Refused`]; then nothing is asked and nothing requested.
    async fn offers(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
    ) -> Result<Vec<Verified<Offer>>, Refused>;

    /// The whole cycle at once.
    ///
    /// # Errors
    /// [`Refused`] by either step.
    async fn run(&self, request: CycleRequest) -> Result<Released, Refused> {
        self.request(request).await?.verify().await
    }

    /// The clock that a server's grants are judged by; `None` if it is the runtime's. Servers that distrust each other
    /// must not set each other's.
    fn clock(&self, server: &Origin) -> Option<Arc<dyn Clock>> {
        let _ = server;
        None
    }
}

/// A billing status code in the host's hands. Dropping it lets the server release what it holds when the code expires.
#[async_trait]
pub trait HeldCode: Send + Sync {
    /// Step 3: has the server verify the code, once. Retries what the network lost by itself.
    ///
    /// # Errors
    /// [`Refused`]; the code is spent all the same.
    async fn verify(self: Box<Self>) -> Result<Released, Refused>;

    /// Whether the same request was verified before and its answer got lost: what it costs is not drawn once more.
    fn is_redelivered(&self) -> bool {
        false
    }
}

/// No: one reason of the closed registry, and what a person or program needs to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The one reason.
    pub reason: Reason,
    /// What exactly, for a person, where the reason's own text does not say it all.
    pub detail: Option<String>,
    /// Signed offers that would turn the answer; with [`Reason::PaymentRequired`].
    pub offers: Vec<Verified<Offer>>,
    /// Seconds to wait; with [`Reason::RateLimited`].
    pub retry_after: Option<u32>,
    /// Where to sign in, as far as that is known; with [`Reason::NotSignedIn`], [`Reason::TerminalUnknown`] and
    /// [`Reason::TerminalRevoked`].
    pub server: Option<Box<Origin>>,
    /// What is wrong with the terminal's own state, if that is why nothing was decided; with [`Reason::Offline`].
    pub state: Option<Box<StateError>>,
    /// What a server says beside it that this version does not know.
    pub beyond: Option<Box<Beyond>>,
}

/// What a signed no says that this version does not know. Nothing follows from it; it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Beyond {
    /// What the reason has to say beside its words.
    pub more: More,
    /// Offers under terms that cannot be read.
    pub unknown_offers: Vec<UnknownEntry>,
}

impl Refused {
    /// A refusal for this reason and nothing else to say.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, detail: None, offers: Vec::new(), retry_after: None, server: None, state: None, beyond: None }
    }

    /// A refusal with a detail for a person. Never a secret.
    #[must_use]
    pub fn because(reason: Reason, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(reason) }
    }

    /// A refusal because nobody is signed in at `server`: how that came to be, in words that its address follows.
    pub(crate) fn nobody(how: impl fmt::Display, server: &Origin) -> Self {
        let refused = Self::because(Reason::NotSignedIn, format!("{how} at {server}"));
        Self { server: Some(Box::new(server.clone())), ..refused }
    }

    /// A refusal because `server` has revoked this terminal, as it said earlier.
    pub(crate) fn revoked(server: &Origin) -> Self {
        Self { server: Some(Box::new(server.clone())), ..Self::new(Reason::TerminalRevoked) }
    }

    /// Offers that would turn the answer, under terms that this version does not know.
    #[must_use]
    pub fn unknown_offers(&self) -> &[UnknownEntry] {
        self.beyond.as_ref().map_or(&[], |beyond| &beyond.unknown_offers)
    }

    /// The order that is in the way, if the server names one.
    #[must_use]
    pub fn order(&self) -> Option<OrderId> {
        self.beyond.as_ref()?.more.get("order")?.as_str()?.parse().ok()
    }

    /// Whether the matter itself may still have another end: no answer, not now, or only the sign-in or a clock was in
    /// the way.
    pub(crate) const fn is_undecided(&self) -> bool {
        matches!(
            self.reason,
            Reason::Offline
                | Reason::ServerUntrusted
                | Reason::RateLimited
                | Reason::NotSignedIn
                | Reason::ClockSuspect
        )
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// What happened; what to do now is [`Reason::advice`].
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(state) = &self.state {
            return state.fmt(f);
        }
        match (&self.reason, &self.detail) {
            // Of such a reason the store's own words say the most.
            (Reason::Other(_), Some(detail)) => return f.write_str(detail),
            _ => f.write_str(self.reason.title())?,
        }
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

/// Answers no: what a runtime has before it is given a gatekeeper.
pub(crate) struct RefuseAll;

#[async_trait]
impl Gatekeeper for RefuseAll {
    async fn request(&self, _: CycleRequest) -> Result<Box<dyn HeldCode>, Refused> {
        Err(Reason::NotSignedIn.into())
    }

    async fn offers(&self, _: &SignedManifest, _: &OperationName) -> Result<Vec<Verified<Offer>>, Refused> {
        Err(Reason::NotSignedIn.into())
    }
}

#[async_trait]
impl<G: Gatekeeper + ?Sized> Gatekeeper for Arc<G> {
    async fn request(&self, request: CycleRequest) -> Result<Box<dyn HeldCode>, Refused> {
        (**self).request(request).await
    }

    async fn offers(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
    ) -> Result<Vec<Verified<Offer>>, Refused> {
        (**self).offers(resource, operation).await
    }

    async fn run(&self, request: CycleRequest) -> Result<Released, Refused> {
        (**self).run(request).await
    }

    fn clock(&self, server: &Origin) -> Option<Arc<dyn Clock>> {
        (**self).clock(server)
    }
}
