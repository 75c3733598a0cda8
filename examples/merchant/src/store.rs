//! Requests to the store by the merchant's key (`docs/protocol.md`, sections 4 to 6 and 15). Only what the store has
//! signed for the very request is believed; everything else counts as no answer.

use crate::database::Database;
use crate::shop::Settings;
use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::wire::{Problem, Signed};
use portcullis_protocol::{
    Digest, Document, IdempotencyKey, JwsError, KeyDocument, Origin, PublicKey, RefusalAnswer, SecretKey, Unverified,
    Verified, WellKnown, paths,
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
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("example-merchant/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            origin: settings.store.clone(),
            root: settings.root.clone(),
            key: key.clone(),
            database: database.clone(),
            state: Mutex::default(),
        })
    }

    /// The root key that a store shows, for a person to compare.
    pub(crate) async fn root_of(origin: &Origin) -> Result<PublicKey, StoreError> {
        let http = Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).build()?;
        Ok(well_known(&http, origin).await?.root)
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

    /// A document that the store has signed, now or in the past.
    pub(crate) async fn verified<D: Document>(&self, compact: &str) -> Result<Verified<D>, StoreError> {
        let document = Unverified::<D>::parse(compact).map_err(unbelievable)?;
        for is_stale in [false, true] {
            let keys = self.keys(is_stale).await?;
            if let Some(key) = keys.signing.iter().find(|key| key.jwk.thumbprint() == document.kid()) {
                return document.verify(&key.jwk).map_err(unbelievable);
            }
        }
        Err(unbelievable(JwsError::Key))
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
            idempotency_key: IdempotencyKey::new(crate::fresh_name().to_string()).ok(),
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
