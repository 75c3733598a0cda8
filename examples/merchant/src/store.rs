//! Requests to the store by the merchant's key (`docs/protocol.md`, sections 4 to 6 and 15). Only what the store has
//! signed for the very request is believed; everything else counts as no answer.

use crate::database::Database;
use crate::shop::Settings;
use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::wire::{Problem, Signed};
use portcullis_protocol::{
    CodeAccepted, Digest, Document, IdempotencyKey, JwsError, KeyDocument, OrderRefunded, Origin, PublicKey,
    RefusalAnswer, SecretKey, Unverified, Verification, Verified, WellKnown, paths,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode, redirect};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer: a page of fifty orders, each with a document.
const MAX_ANSWER: usize = 512 * 1024;

/// How far the clocks of a store's machines may differ, in seconds (section 3).
const CLOCKS: u64 = 300;

/// Why there is nothing to go on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// No answer that can be believed came, so nothing was decided. It is asked again.
    #[error("the store did not answer: {0}")]
    Offline(String),
    /// The store does not take the request for one. Unsigned, and for people.
    #[error("the store does not take that ({status}): {detail}")]
    Rejected { status: u16, detail: String },
    /// A signed no.
    #[error("the store refuses: {}{}", .0.reason.title(), detail(.0))]
    Refused(Box<RefusalAnswer>),
}

fn detail(refusal: &RefusalAnswer) -> String {
    refusal.detail.as_ref().map_or_else(String::new, |detail| format!(" {detail}"))
}

impl From<reqwest::Error> for StoreError {
    fn from(error: reqwest::Error) -> Self {
        // Its own text names the address, and nothing secret is in that.
        Self::Offline(error.to_string())
    }
}

fn unbelievable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Offline(format!("what it said is not to be believed: {error}"))
}

/// The shop's own database failed: then nothing was decided either.
fn broken(error: anyhow::Error) -> StoreError {
    StoreError::Offline(format!("{error:#}"))
}

/// The store, for whoever holds a key.
pub(crate) struct Store {
    http: Client,
    origin: Origin,
    root: PublicKey,
    key: SecretKey,
    /// Remembers the newest key document.
    database: Database,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<KeyDocument>,
    nonce: Option<String>,
}

/// A request before it is proven.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    content_type: &'static str,
    idempotency_key: Option<IdempotencyKey>,
    token: Option<&'a str>,
}

impl Store {
    /// The store that a shop sells at, for the holder of a key: the merchant's, or that of a terminal.
    pub(crate) fn new(settings: &Settings, key: &SecretKey, database: &Database) -> Result<Self, StoreError> {
        Ok(Self {
            http: client()?,
            origin: settings.store.clone(),
            root: settings.root.clone(),
            key: key.clone(),
            database: database.clone(),
            state: Mutex::default(),
        })
    }

    /// The root key that a store shows, for a person to compare.
    pub(crate) async fn root_of(origin: &Origin) -> Result<PublicKey, StoreError> {
        Ok(well_known(&client()?, origin).await?.root)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store's keys, under the root that was pinned.
    async fn keys(&self, is_stale: bool) -> Result<KeyDocument, StoreError> {
        let known = self.state().keys.clone().filter(|keys| !is_stale && crate::now() < keys.exp);
        if let Some(known) = known {
            return Ok(known);
        }
        let said = well_known(&self.http, &self.origin).await?;
        let seen = self.database.key_version().await.map_err(broken)?;
        let keys =
            KeyDocument::verify(&said.keys, &self.root, &self.origin, crate::now(), seen).map_err(unbelievable)?;
        let keys = keys.into_document();
        self.database.saw_key_version(keys.version).await.map_err(broken)?;
        self.state().keys = Some(keys.clone());
        Ok(keys)
    }

    /// A document that the store has signed, now or in the past: in the time of the key that signed it. A key that was
    /// stolen signs nothing that is believed after its end, whatever it says of its time before that.
    pub(crate) async fn verified<D: Dated>(&self, compact: &str) -> Result<Verified<D>, StoreError> {
        let document = Unverified::<D>::parse(compact).map_err(unbelievable)?;
        for is_stale in [false, true] {
            let keys = self.keys(is_stale).await?;
            if keys.signing.iter().any(|key| key.jwk.thumbprint() == document.kid()) {
                return in_its_time(document, &keys).map_err(unbelievable);
            }
        }
        Err(unbelievable(JwsError::Key))
    }

    /// Something that the store shows everybody, unsigned. Nothing is decided by it.
    pub(crate) async fn shown<B: DeserializeOwned>(&self, path: &str) -> Result<B, StoreError> {
        let answer = self.http.get(format!("{}{path}", self.origin)).send().await?;
        let status = answer.status();
        let body = read(answer).await?;
        if status != StatusCode::OK {
            let detail = serde_json::from_slice::<Problem>(&body).map_or_else(|_| String::new(), |it| it.detail);
            return Err(StoreError::Rejected { status: status.as_u16(), detail });
        }
        serde_json::from_slice(&body).map_err(unbelievable)
    }

    /// Asks for something.
    pub(crate) async fn get<B: Serialize + DeserializeOwned>(&self, path: &str) -> Result<B, StoreError> {
        let asked = Asked {
            method: Method::GET,
            path,
            body: Vec::new(),
            content_type: "application/json",
            idempotency_key: None,
            token: None,
        };
        self.ask(&asked).await
    }

    /// Says something that shall happen once. It is repeated under the same Idempotency-Key until there is an answer.
    pub(crate) async fn say<B: Serialize + DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        token: Option<&str>,
    ) -> Result<B, StoreError> {
        let asked = Asked {
            method,
            path,
            body: serde_json::to_vec(body).map_err(unbelievable)?,
            content_type: "application/json",
            idempotency_key: IdempotencyKey::new(Octets(crate::random::<16>()).to_string()).ok(),
            token,
        };
        let mut pause = Duration::from_millis(250);
        for _ in 0..5 {
            match self.ask(&asked).await {
                Err(StoreError::Offline(why)) => tracing::info!(path, %why, "no answer, asking again"),
                decided => return decided,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.ask(&asked).await
    }

    /// Posts a form, with a proof and without a token, and reads plain JSON: signing in (section 7).
    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<(StatusCode, Vec<u8>), StoreError> {
        let asked = Asked {
            method: Method::POST,
            path,
            body: form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes(),
            content_type: "application/x-www-form-urlencoded",
            idempotency_key: None,
            token: None,
        };
        let (status, body, _) = self.send(&asked).await?;
        Ok((status, body))
    }

    async fn ask<B: Serialize + DeserializeOwned>(&self, asked: &Asked<'_>) -> Result<B, StoreError> {
        let (status, body, proof) = self.send(asked).await?;
        let signed = if status == StatusCode::OK {
            serde_json::from_slice::<Signed>(&body).ok().map(|answer| answer.signed)
        } else {
            let problem: Option<Problem> = serde_json::from_slice(&body).ok();
            let unsigned = problem.as_ref().is_some_and(|problem| problem.signed.is_none());
            // 409 without a signature: the first of two requests is still at work.
            if unsigned && status.is_client_error() && status != StatusCode::CONFLICT {
                let detail = problem.map_or_else(String::new, |problem| problem.detail);
                return Err(StoreError::Rejected { status: status.as_u16(), detail });
            }
            problem.and_then(|problem| problem.signed)
        };
        let signed =
            signed.ok_or_else(|| StoreError::Offline(format!("its answer is not signed (status {status})")))?;
        let req = Digest::of(proof.as_bytes());
        let mut reply = read_reply(&signed, &self.keys(false).await?, &req, crate::now());
        if reply.is_err() {
            // Its signing key may be new.
            reply = read_reply(&signed, &self.keys(true).await?, &req, crate::now());
        }
        match reply.map_err(unbelievable)? {
            Reply::Yes { body, .. } => Ok(body),
            Reply::No(refusal) => Err(StoreError::Refused(refusal)),
        }
    }

    /// Sends a request with its proof, and once more if the store wants its nonce in it.
    async fn send(&self, asked: &Asked<'_>) -> Result<(StatusCode, Vec<u8>, String), StoreError> {
        let url = format!("{}{}", self.origin, asked.path);
        for _ in 0..2 {
            let target = ProofTarget {
                method: asked.method.as_str(),
                url: &url,
                token: asked.token,
                body: Digest::of(&asked.body),
                idempotency_key: asked.idempotency_key.as_ref(),
            };
            let nonce = self.state().nonce.clone();
            let proof = prove(&self.key, &target, Octets(crate::random()), crate::now(), nonce.as_deref());
            let mut request = self
                .http
                .request(asked.method.clone(), &url)
                .header("DPoP", &proof)
                .header(CONTENT_TYPE, asked.content_type)
                .body(asked.body.clone());
            if let Some(token) = asked.token {
                request = request.header(AUTHORIZATION, format!("DPoP {token}"));
            }
            if let Some(key) = &asked.idempotency_key {
                request = request.header("Idempotency-Key", key.as_str());
            }
            let answer = request.send().await?;
            let status = answer.status();
            let fresh = answer.headers().get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
            if let Some(nonce) = fresh {
                self.state().nonce = Some(nonce);
            }
            let challenge = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
            let asks_in_header = challenge.is_some_and(|challenge| challenge.contains("use_dpop_nonce"));
            let body = read(answer).await?;
            let wants_nonce = status == StatusCode::UNAUTHORIZED
                && (asks_in_header || String::from_utf8_lossy(&body).contains("use_dpop_nonce"));
            if !wants_nonce {
                return Ok((status, body, proof));
            }
        }
        Err(StoreError::Offline("it asked for a nonce twice".into()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.origin)
    }
}

/// A document that says when it was signed.
pub(crate) trait Dated: Document {
    /// Unix seconds.
    fn iat(&self) -> u64;
}

impl Dated for Verification {
    fn iat(&self) -> u64 {
        self.iat
    }
}

impl Dated for CodeAccepted {
    fn iat(&self) -> u64 {
        self.iat
    }
}

impl Dated for OrderRefunded {
    fn iat(&self) -> u64 {
        self.iat
    }
}

/// Believes a document if one of these keys signed it within its time.
fn in_its_time<D: Dated>(document: Unverified<D>, keys: &KeyDocument) -> Result<Verified<D>, JwsError> {
    let key = keys.signing.iter().find(|key| key.jwk.thumbprint() == document.kid()).ok_or(JwsError::Key)?;
    let document = document.verify(&key.jwk)?;
    let iat = document.document().iat();
    // Clocks of a store's machines differ by as much.
    if key.nbf <= iat.saturating_add(CLOCKS) && iat < key.exp { Ok(document) } else { Err(JwsError::Key) }
}

/// No proxy of the environment stands between the shop and its store, and no answer leads elsewhere.
fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("example-merchant/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn well_known(http: &Client, origin: &Origin) -> Result<WellKnown, StoreError> {
    let answer = http.get(format!("{origin}{}", paths::WELL_KNOWN)).send().await?;
    let status = answer.status();
    let body = read(answer).await?;
    serde_json::from_slice(&body).map_err(|_| StoreError::Offline(format!("{origin} is not a store (status {status})")))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, StoreError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(StoreError::Offline("its answer is too long".into()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::{OrderId, ServerKey};

    #[test]
    fn a_document_is_believed_in_the_time_of_its_key_alone() {
        let (old, new) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let of = |key: &SecretKey, nbf: u64, exp: u64| ServerKey { jwk: key.public().clone(), nbf, exp };
        let keys = KeyDocument {
            iss: "https://store.example".parse().expect("an origin"),
            version: 2,
            iat: 2_000,
            exp: 9_000,
            signing: vec![of(&old, 1_000, 2_000), of(&new, 2_000, 9_000)],
            recipient: "age1".into(),
        };
        let believed = |key: &SecretKey, iat: u64| {
            let said = OrderRefunded {
                iss: keys.iss.clone(),
                merchant: "games".parse().expect("a name"),
                order: OrderId::from_bytes([1; 16]),
                request: None,
                at: iat,
                iat,
            };
            let signed = Verified::sign(said, key);
            in_its_time(Unverified::<OrderRefunded>::parse(signed.compact()).expect("parsed"), &keys).is_ok()
        };
        assert!(believed(&old, 1_500), "what the old key signed in its time stays good");
        assert!(believed(&new, 2_000) && believed(&new, 1_701), "the clocks of two machines");
        assert!(!believed(&old, 2_000), "a key that has ended");
        assert!(!believed(&old, 699), "before it was used");
        assert!(!believed(&SecretKey::from_seed(&[3; 32]), 1_500), "a stranger");
    }
}
