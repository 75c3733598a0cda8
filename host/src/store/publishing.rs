//! What publishers do at a store: claim a name, change its key, publish, set prices, withdraw, restore.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{Body, Method, Sent};
use crate::random;
use crate::server::prover::Request;
use crate::server::session::{Patience, Session, Sessions, json};
use crate::server::trust::{Trust, offline};
use crate::state::clock::Clock as _;
use crate::state::folder::off_thread;
use crate::store::storefront;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{
    AccountAnswer, AdoptionRequest, BatchInfo, BatchesAnswer, Done, GiftsAnswer, GiftsRequest, OfferTerms,
    OffersAnswer, OffersRequest, PublishAnswer, PublishedAnswer, PublisherAnswer, PublisherRequest, RestoreRequest,
    VoidAnswer, VouchRequest, WithdrawRequest,
};
use portcullis_protocol::{
    AdoptedVersions, Adoption, BatchId, Digest, Listed, Offer, Origin, PublisherClaim, PublisherName, ResourceName,
    SecretKey, Verified, Vouch,
};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

/// A store, as a publisher sees it.
#[derive(Clone)]
pub struct Publishing {
    sessions: Arc<Sessions>,
    origin: Origin,
}

impl Publishing {
    pub(crate) const fn new(sessions: Arc<Sessions>, origin: Origin) -> Self {
        Self { sessions, origin }
    }

    /// Claims a publisher name for the account that is signed in, with the key that will sign its resources.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn claim(&self, name: &PublisherName, key: &SecretKey) -> Result<(), ClientError> {
        let session = self.session()?;
        let body = PublisherRequest { claim: self.claimed(&session, name, key) };
        let Done {} = session.post(paths::PUBLISHERS, &body, random::idempotency_key(), Patience::Write).await?;
        Ok(())
    }

    /// Makes redemption codes for an offer of a resource. The store holds none of them: if the answer is lost, void
    /// the batch that [`Publishing::gifts`] lists, and make another one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_gifts(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
        gifts: &GiftsRequest,
    ) -> Result<GiftsAnswer, ClientError> {
        let path = paths::fill(paths::GIFTS, &[publisher, name]);
        Ok(self.session()?.post(&path, gifts, random::idempotency_key(), Patience::Write).await?)
    }

    /// The batches of redemption codes of a resource, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn gifts(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
    ) -> Result<Listed<BatchInfo>, ClientError> {
        let pages = |answer: BatchesAnswer| (answer.batches, answer.next);
        storefront::every_page(&*self.session()?, &paths::fill(paths::GIFTS, &[publisher, name]), pages).await
    }

    /// Ends the codes of a batch that nobody has redeemed. Returns how many.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn void_gifts(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
        batch: &BatchId,
    ) -> Result<u32, ClientError> {
        let path = paths::fill(paths::GIFT_BATCH, &[publisher, name, batch]);
        let key = Some(random::idempotency_key());
        let request = Request { method: Method::Delete, path, idempotency_key: key, body: Body::Empty };
        let VoidAnswer { void } = self.session()?.ask(&request, Patience::Write).await?;
        Ok(void)
    }

    /// A claim to the name, signed by the key that it names.
    fn claimed(&self, session: &Session, name: &PublisherName, key: &SecretKey) -> String {
        let claim = PublisherClaim {
            name: name.clone(),
            jwk: key.public().clone(),
            origin: self.origin.clone(),
            iat: session.prover().clock().now(),
        };
        Verified::sign(claim, key).compact().to_owned()
    }

    /// Changes the key of a publisher to `successor`, for which `key`, the one in use, vouches, and which signs itself
    /// that it is held. Terminals that pinned the old key follow. What it signed before is sold, and taken by those who
    /// know the new key, as far as that one has adopted it: [`Publishing::adopt`].
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if the store has no such publisher.
    pub async fn vouch(&self, name: &PublisherName, key: &SecretKey, successor: &SecretKey) -> Result<(), ClientError> {
        let session = self.session()?;
        let known = self.publisher(name).await?;
        let seq = known.vouches.len() as u64 + 1;
        let jwk = successor.public().clone();
        let vouch = Vouch { name: name.clone(), jwk, seq, iat: session.prover().clock().now() };
        let vouch = Verified::sign(vouch, key).compact().to_owned();
        let body = VouchRequest { vouch, claim: Some(self.claimed(&session, name, successor)) };
        let Done {} = session
            .post(&paths::fill(paths::VOUCHES, &[name]), &body, random::idempotency_key(), Patience::Write)
            .await?;
        Ok(())
    }

    /// Says that a publisher's key stands for versions of a resource that earlier ones signed: terminals that believe
    /// it take them, and the store goes on selling them. It is said before [`Publishing::vouch`] by the key that comes
    /// next, or later by the one in use.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn adopt(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
        versions: AdoptedVersions,
        key: &SecretKey,
    ) -> Result<(), ClientError> {
        let session = self.session()?;
        let adoption = Adoption {
            publisher: publisher.clone(),
            name: name.clone(),
            jwk: key.public().clone(),
            versions,
            iat: session.prover().clock().now(),
        };
        let body = AdoptionRequest { adoption: Verified::sign(adoption, key).compact().to_owned() };
        let path = paths::fill(paths::ADOPTION, &[publisher, name]);
        let request = json(Method::Put, &path, &body, random::idempotency_key())?;
        let Done {} = session.ask(&request, Patience::Write).await?;
        Ok(())
    }

    /// What a publisher of this account has published, by name, on sale or not.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] with status 404 if the publisher is another account's, or there is none.
    pub async fn resources(&self, name: &PublisherName) -> Result<Listed<ResourceName>, ClientError> {
        let pages = |answer: PublishedAnswer| (answer.resources, answer.next);
        storefront::every_page(&*self.session()?, &paths::fill(paths::PUBLISHED, &[name]), pages).await
    }

    /// A publisher, by the store's word: the key in use, and how it came to be.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if the store has no such publisher.
    pub async fn publisher(&self, name: &PublisherName) -> Result<PublisherAnswer, ClientError> {
        let path = paths::fill(paths::PUBLISHER, &[name]);
        let known: Option<PublisherAnswer> = storefront::public(&self.sessions, &self.origin, path).await?;
        known.ok_or_else(|| ClientError::NotFound(format!("{} has no publisher `{name}`", self.origin)))
    }

    /// The age recipient (`age1…`) to which resources for this store are sealed, and its root key's thumbprint: what a
    /// manifest says about the server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn recipient(&self) -> Result<(String, portcullis_protocol::Thumbprint), ClientError> {
        let keys = self.sessions.trust.keys(&self.origin).await?;
        let pin = self.sessions.trust.pin(&self.origin)?;
        let pin = pin.ok_or(Refused::from(portcullis_protocol::Reason::ServerUntrusted))?;
        Ok((keys.recipient.clone(), pin.root.thumbprint()))
    }

    /// Uploads a sealed resource. The store checks it, countersigns it and sells it from then on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish(&self, file: &Path) -> Result<PublishAnswer, ClientError> {
        self.publish_with(file, Sent::default()).await
    }

    /// The same, telling how much of the file has gone out.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish_with(&self, file: &Path, sent: Sent) -> Result<PublishAnswer, ClientError> {
        let session = self.session()?;
        let path = file.to_owned();
        let (size, digest) = off_thread(move || measure(&path)).await?.map_err(|error| unreadable(file, &error))?;
        // A nonce is fetched with something small: without one, the whole file would go up twice.
        let _: AccountAnswer = session.get(paths::ACCOUNT).await?;
        debug_assert!(session.prover().has_nonce(), "every answer to a proof carries a nonce");
        let request = Request {
            method: Method::Put,
            path: paths::RESOURCES.into(),
            idempotency_key: Some(random::idempotency_key()),
            body: Body::File { path: file.to_owned(), size, digest, sent },
        };
        Ok(session.ask(&request, Patience::Write).await?)
    }

    /// Replaces the price list of a resource. Returns the offers that are in force now, signed by the store.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_offers(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
        offers: Vec<OfferTerms>,
    ) -> Result<Vec<Verified<Offer>>, ClientError> {
        let session = self.session()?;
        let path = paths::fill(paths::OFFERS, &[&publisher, &name]);
        let request = json(Method::Put, &path, &OffersRequest { offers }, random::idempotency_key())?;
        let answer: OffersAnswer = session.ask(&request, Patience::Write).await?;
        let keys = session.trust().keys(&self.origin).await?;
        let read = |compact: &String| {
            Trust::offer(&keys, compact).map_err(|error| offline(format!("an offer does not verify: {error}")))
        };
        Ok(answer.offers.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Withdraws a version: nobody is granted anything of it from now on, until it is restored.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw(&self, resource: &Digest, reason: &str) -> Result<(), ClientError> {
        let (path, body) = (paths::fill(paths::WITHDRAW, &[&resource]), WithdrawRequest { reason: reason.to_owned() });
        let Done {} = self.session()?.post(&path, &body, random::idempotency_key(), Patience::Write).await?;
        Ok(())
    }

    /// Restores a version that was withdrawn. What the store's operator took down stays so.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn restore(&self, resource: &Digest) -> Result<(), ClientError> {
        let path = paths::fill(paths::RESTORE, &[&resource]);
        let Done {} =
            self.session()?.post(&path, &RestoreRequest {}, random::idempotency_key(), Patience::Write).await?;
        Ok(())
    }

    fn session(&self) -> Result<Arc<Session>, Refused> {
        self.sessions.of(&self.origin)
    }
}

impl std::fmt::Debug for Publishing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publishing({})", self.origin)
    }
}

/// Length and SHA-256 of a file, read piece by piece.
fn measure(path: &Path) -> io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((size, Digest::from_bytes(hash.finalize().into())));
        }
        hash.update(&piece[..read]);
        size += read as u64;
    }
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> ClientError {
    ClientError::File { path: path.display().to_string(), cause: error.to_string() }
}
