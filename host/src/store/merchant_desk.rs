//! A store, as a merchant sees it: it asks by its own key, and not as a terminal of an account.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{Body, Method};
use crate::random;
use crate::server::prover::{Prover, Request, signed};
use crate::server::session::{Patience, Sessions, json, printable};
use crate::server::terminal::Terminal;
use crate::server::trust::{jumped, offline};
use crate::state::clock::Clock as _;
use crate::store::storefront;
use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::wire::{
    MerchantAnswer, MerchantEntry, MerchantOrder, MerchantOrdersAnswer, MerchantRequest, MerchantStatus,
    OwnershipRequest, Problem, ProductAnswer, ProductRequest,
};
use portcullis_protocol::{
    Digest, Listed, MerchantClaim, MerchantName, Origin, Product, SecretKey, Title, Verified, WebhookUrl, paths,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A store, for one of its merchants.
pub struct MerchantDesk {
    sessions: Arc<Sessions>,
    prover: Prover,
    key: SecretKey,
}

impl MerchantDesk {
    pub(crate) fn new(sessions: Arc<Sessions>, origin: &Origin, key: &SecretKey) -> Self {
        let terminal = Terminal::of_key(origin, key);
        let clock = sessions.clocks.of(origin);
        let prover = Prover::new(Arc::clone(&sessions.server), Arc::new(terminal), clock);
        Self { sessions, prover, key: key.clone() }
    }

    /// Claims a name for the account that is signed in on this terminal, with the merchant's key; or changes title and
    /// webhook of one that it has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn claim(&self, name: &MerchantName, title: &Title, webhook: &WebhookUrl) -> Result<String, ClientError> {
        let origin = self.prover.origin();
        let session = self.sessions.of(origin)?;
        let claim = MerchantClaim {
            name: name.clone(),
            title: title.clone(),
            jwk: self.key.public().clone(),
            origin: origin.clone(),
            webhook: webhook.clone(),
            iat: session.prover().clock().now(),
        };
        let body = MerchantRequest { claim: Verified::sign(claim, &self.key).compact().to_owned() };
        let MerchantAnswer { state, .. } =
            session.post(paths::MERCHANTS, &body, random::idempotency_key(), Patience::Write).await?;
        Ok(printable(state))
    }

    /// Has the store challenge the merchant's endpoint.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] says what was wrong with its answer.
    pub async fn prove(&self) -> Result<String, ClientError> {
        let request = json(Method::Post, paths::OWNERSHIP, &OwnershipRequest {}, random::idempotency_key())?;
        let MerchantAnswer { state, .. } = self.ask(&request).await?;
        Ok(printable(state))
    }

    /// What the store says of the merchant: how it stands, and the keys of its webhooks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<MerchantStatus, ClientError> {
        self.get(paths::OWN_MERCHANT).await
    }

    /// What everybody is shown of a merchant, as the store says it: nothing of it is verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn entry(&self, name: &MerchantName) -> Result<Option<MerchantEntry>, ClientError> {
        let path = paths::fill(paths::MERCHANT, &[name]);
        Ok(storefront::public(&self.sessions, self.prover.origin(), path).await?)
    }

    /// Sells a product, or another revision of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sell(&self, product: Product) -> Result<Digest, ClientError> {
        let body = ProductRequest { product: Verified::sign(product, &self.key).compact().to_owned() };
        let request = json(Method::Put, paths::PRODUCTS, &body, random::idempotency_key())?;
        let ProductAnswer { product } = self.ask(&request).await?;
        Ok(product)
    }

    /// The orders that are not final, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open_orders(&self) -> Result<Listed<MerchantOrder>, ClientError> {
        let (mut all, mut path) = (Listed::default(), paths::MERCHANT_OPEN.to_owned());
        for _ in 0..storefront::PAGES {
            let MerchantOrdersAnswer { orders, next } = self.get(&path).await?;
            all.append(orders);
            match next {
                Some(after) => path = paths::fill(paths::MERCHANT_OPEN_PAGE, &[&after]),
                None => break,
            }
        }
        Ok(all)
    }

    async fn get<B: Serialize + DeserializeOwned>(&self, path: &str) -> Result<B, ClientError> {
        let request = Request { method: Method::Get, path: path.into(), idempotency_key: None, body: Body::Empty };
        self.ask(&request).await
    }

    /// Asks with a proof of the merchant's key and no token, until there is an answer that the store signed.
    async fn ask<B: Serialize + DeserializeOwned>(&self, request: &Request) -> Result<B, ClientError> {
        let mut attempt = 1;
        loop {
            let no = match self.ask_once(request).await {
                Ok(answer) => return answer,
                Err(no) => no,
            };
            if attempt >= self.sessions.retry.attempts {
                return Err(no);
            }
            tokio::time::sleep(self.sessions.retry.pause_before(attempt)).await;
            attempt += 1;
        }
    }

    /// The inner result is the store's word; the outer one that there was none.
    async fn ask_once<B: Serialize + DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<Result<B, ClientError>, ClientError> {
        let heard = self.prover.send(request, None).await.map_err(Refused::from)?;
        let (origin, clock) = (self.prover.origin(), self.prover.clock());
        let Some(compact) = signed(&heard.answer) else {
            let status = heard.answer.status;
            let detail = serde_json::from_slice::<Problem>(&heard.answer.body).map(|problem| printable(problem.detail));
            return match detail {
                Ok(detail) if (400..500).contains(&status) => Ok(Err(ClientError::Rejected { status, detail })),
                _ => Err(offline(format!("the answer is not signed (status {status})")).into()),
            };
        };
        let keys = self.sessions.trust.keys(origin).await?;
        let reply = read_reply(&compact, &keys, &heard.req, clock.now());
        let reply = reply.map_err(|disbelief| offline(disbelief.to_string()))?;
        let at = match &reply {
            Reply::Yes { at, .. } => *at,
            Reply::No(refusal) => refusal.iat,
        };
        // Who believes no time of this server's any more believes no answer of it either.
        if let Err(by) = clock.hear(at, heard.sent, heard.came) {
            return Ok(Err(jumped(origin, by).into()));
        }
        match reply {
            Reply::Yes { body, .. } => Ok(Ok(body)),
            Reply::No(refusal) => {
                let detail = refusal.detail.map(printable);
                let refused = Refused { detail, retry_after: refusal.retry_after, ..Refused::new(refusal.reason) };
                Ok(Err(refused.into()))
            }
        }
    }
}

impl std::fmt::Debug for MerchantDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MerchantDesk({} at {})", self.key.public().thumbprint(), self.prover.origin())
    }
}
