//! A terminal that signs in, enrols, and then sends whatever it likes with whatever proof it likes.

use super::shop::Loot;
use super::specimen::{now, rng};
use crate::Browser;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::wire::{
    AuthorisationAnswer, AuthorisationRequest, DeviceAuthorisation, Done, EntitlementsAnswer, OrderAnswer, Problem,
    Signed, TerminalAnswer, TerminalRequest, TokenAnswer, VerificationAnswer, VerificationRequest,
};
use portcullis_protocol::{
    Digest, Enrolment, Grant, IdempotencyKey, KeyDocument, Origin, PublicKey, ReleaseSecretKey, SecretKey, Unverified,
    Verified, WellKnown,
};
use rand_core::Rng as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

pub(super) fn fresh_key() -> IdempotencyKey {
    IdempotencyKey::new(Octets(random::<16>()).to_string()).expect("base64url is visible ASCII")
}

/// A terminal, signed in or not. Cloned, it is two that share keys and tokens.
#[derive(Clone)]
pub(super) struct Cheater {
    http: Client,
    pub(super) origin: Origin,
    pub(super) key: SecretKey,
    pub(super) release: ReleaseSecretKey,
    pub(super) root: PublicKey,
    pub(super) keys: KeyDocument,
    pub(super) token: Option<String>,
    pub(super) nonce: Option<String>,
    loot: Loot,
}

/// A request before it is proven; every field can be set wrong.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    pub(super) content_type: &'static str,
    pub(super) idempotency_key: Option<IdempotencyKey>,
    pub(super) with_token: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) nonce: Option<String>,
    proof: String,
    pub(super) body: Vec<u8>,
}

impl Draft {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Vec::new(),
            content_type: "application/json",
            idempotency_key: None,
            with_token: true,
        }
    }

    pub(super) fn raw(method: Method, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method, body: body.into(), idempotency_key: Some(fresh_key()), ..Self::get(path) }
    }

    pub(super) fn json(method: Method, path: impl Into<String>, body: &impl Serialize) -> Self {
        Self::raw(method, path, serde_json::to_vec(body).expect("requests serialise"))
    }

    pub(super) fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self::json(Method::POST, path, body)
    }

    pub(super) fn upload(file: &[u8]) -> Self {
        Self { content_type: "application/wasm", ..Self::raw(Method::PUT, "/v1/resources", file) }
    }

    fn form(path: &str, body: String) -> Self {
        Self {
            method: Method::POST,
            body: body.into_bytes(),
            content_type: "application/x-www-form-urlencoded",
            with_token: false,
            ..Self::get(path)
        }
    }

    pub(super) fn verification(request: &AuthorisationRequest, answer: &AuthorisationAnswer) -> Self {
        let body = VerificationRequest { code: answer.code.clone(), request: request.clone() };
        Self::post("/v1/verifications", &body)
    }

    pub(super) fn once(mut self, key: &IdempotencyKey) -> Self {
        self.idempotency_key = Some(key.clone());
        self
    }
}

impl Answered {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("not what was expected: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        format!("{} {}", self.status.as_u16(), String::from_utf8_lossy(&self.body))
    }

    /// The signed document in the answer.
    pub(super) fn signed(&self) -> Result<String> {
        if self.status.is_success() {
            return Ok(self.json::<Signed>()?.signed);
        }
        self.json::<Problem>()?.signed.ok_or_else(|| anyhow!("unsigned: {}", self.text()))
    }

    pub(super) fn wants_nonce(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED && self.text().contains("use_dpop_nonce")
    }

    /// The body of a signed yes; a no, and anything unsigned, is an error that names its reason or its text.
    pub(super) fn read<B: Serialize + DeserializeOwned>(&self, keys: &KeyDocument) -> Result<B> {
        let signed = self.signed()?;
        match read_reply(&signed, keys, &Digest::of(self.proof.as_bytes()), now())? {
            Reply::Yes { body, .. } => Ok(body),
            Reply::No(refusal) => bail!("{}", refusal.reason),
        }
    }
}

impl Cheater {
    /// A new terminal, with fresh keys, that believes the root it is shown.
    pub(super) async fn new(origin: &Origin, loot: Loot) -> Result<Self> {
        let http = Client::builder().redirect(Policy::none()).no_proxy().timeout(Duration::from_secs(30)).build()?;
        let known = http.get(format!("{origin}/.well-known/portcullis")).send().await?.bytes().await?;
        let known: WellKnown = serde_json::from_slice(&known)?;
        let keys = KeyDocument::verify(&known.keys, &known.root, origin, now(), 0)?;
        Ok(Self {
            http,
            origin: origin.clone(),
            key: SecretKey::generate(&mut rng()),
            release: ReleaseSecretKey::generate(&mut rng()),
            root: known.root,
            keys: keys.into_document(),
            token: None,
            nonce: None,
            loot,
        })
    }

    /// Proves a draft.
    pub(super) fn prove(&self, draft: &Draft, nonce: Option<&str>) -> String {
        let path = draft.path.split('?').next().unwrap_or_default();
        let target = ProofTarget {
            method: draft.method.as_str(),
            url: &format!("{}{path}", self.origin),
            token: self.token.as_deref().filter(|_| draft.with_token),
            body: Digest::of(&draft.body),
            idempotency_key: draft.idempotency_key.as_ref(),
        };
        prove(&self.key, &target, Octets(random()), now(), nonce)
    }

    /// Sends a draft with the given proof, as it is, to whatever listens at `address`.
    pub(super) async fn send_to(&self, address: &str, draft: &Draft, proof: &str) -> Result<Answered> {
        let mut request = self
            .http
            .request(draft.method.clone(), format!("{address}{}", draft.path))
            .header("DPoP", proof)
            .header(CONTENT_TYPE, draft.content_type)
            .body(draft.body.clone());
        if let Some(token) = self.token.as_deref().filter(|_| draft.with_token) {
            request = request.header(AUTHORIZATION, format!("DPoP {token}"));
        }
        if let Some(key) = &draft.idempotency_key {
            request = request.header("Idempotency-Key", key.as_str());
        }
        let response = request.send().await?;
        let nonce = response.headers().get("dpop-nonce").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status();
        Ok(Answered { status, nonce, proof: proof.to_owned(), body: response.bytes().await?.to_vec() })
    }

    /// Sends a draft with the given proof, as it is.
    pub(super) async fn send_with(&self, draft: &Draft, proof: &str) -> Result<Answered> {
        self.send_to(self.origin.as_str(), draft, proof).await
    }

    /// Proves and sends, and repeats once with the server's nonce.
    pub(super) async fn send(&mut self, draft: &Draft) -> Result<Answered> {
        for _ in 0..2 {
            let proof = self.prove(draft, self.nonce.as_deref());
            let answer = self.send_with(draft, &proof).await?;
            if answer.nonce.is_some() {
                self.nonce.clone_from(&answer.nonce);
            }
            if !answer.wants_nonce() {
                return Ok(answer);
            }
        }
        bail!("the server asked for a nonce twice")
    }

    /// Sends, and reads the signed yes.
    pub(super) async fn ask<B: Serialize + DeserializeOwned>(&mut self, draft: &Draft) -> Result<B> {
        self.send(draft).await?.read(&self.keys)
    }

    /// Signs in with `browser` approving; does not enrol.
    pub(super) async fn sign_in(&mut self, browser: &mut Browser) -> Result<()> {
        let draft = Draft::form("/oauth/device_authorization", "client_id=portcullis&label=a+terminal".into());
        let device: DeviceAuthorisation = self.send(&draft).await?.json()?;
        browser.approve(&device.user_code, &self.key.public().thumbprint().words()).await?;
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        let body = format!("grant_type={grant}&device_code={}&client_id=portcullis", device.device_code);
        let tokens: TokenAnswer = self.send(&Draft::form("/oauth/token", body)).await?.json()?;
        self.loot.add("an access token", tokens.access_token.as_bytes());
        self.loot.add("a refresh token", tokens.refresh_token.as_bytes());
        self.loot.add("a device code", device.device_code.as_bytes());
        self.token = Some(tokens.access_token);
        Ok(())
    }

    /// Enrols.
    pub(super) async fn enrol(&mut self) -> Result<TerminalAnswer> {
        let statement = Verified::sign(
            Enrolment {
                jwk: self.key.public().clone(),
                x25519: Octets(*self.release.public().as_bytes()),
                origin: self.origin.clone(),
                root: self.root.thumbprint(),
                label: "a terminal".into(),
                iat: now(),
            },
            &self.key,
        );
        let request = TerminalRequest { statement: statement.compact().to_owned() };
        self.ask(&Draft::post("/v1/terminals", &request)).await
    }

    /// Steps 1 and 2.
    pub(super) async fn authorise(&mut self, request: &AuthorisationRequest) -> Result<AuthorisationAnswer> {
        let answer: AuthorisationAnswer = self.ask(&Draft::post("/v1/authorizations", request)).await?;
        self.loot.add("a billing status code", answer.code.expose().as_bytes());
        Ok(answer)
    }

    /// Step 3.
    pub(super) async fn verify(
        &mut self,
        request: &AuthorisationRequest,
        answer: &AuthorisationAnswer,
    ) -> Result<VerificationAnswer> {
        self.ask(&Draft::verification(request, answer)).await
    }

    /// The whole cycle: what a terminal that pays gets.
    pub(super) async fn cycle(&mut self, request: &AuthorisationRequest) -> Result<VerificationAnswer> {
        let code = self.authorise(request).await?;
        self.verify(request, &code).await
    }

    /// Buys an offer.
    pub(super) async fn order(&mut self, draft: &Draft) -> Result<OrderAnswer> {
        self.ask(draft).await
    }

    /// How many uses of an operation the account has left, over all that it bought.
    pub(super) async fn remaining(&mut self, operation: &str) -> Result<u64> {
        let answer: EntitlementsAnswer = self.ask(&Draft::get("/v1/account/entitlements")).await?;
        let counted = answer.entitlements.iter().filter(|held| held.operation.as_str() == operation && !held.revoked);
        Ok(counted.filter_map(|held| held.remaining).sum())
    }

    /// Reads a grant as this terminal would believe it.
    pub(super) fn grant(&self, answer: &VerificationAnswer) -> Result<Grant> {
        let grant = Unverified::<Grant>::parse(&answer.grant)?;
        let key = self.keys.signing_key(grant.kid(), now()).context("an unknown signing key")?;
        Ok(grant.verify(key)?.into_document())
    }

    /// Opens the keys of a grant.
    pub(super) fn open(&self, answer: &VerificationAnswer) -> Result<Vec<(String, portcullis_protocol::age::FileKey)>> {
        let opened = portcullis_protocol::release::open(&self.release, &answer.grant, &answer.keys)?;
        let opened: Vec<_> = opened.into_iter().map(|(name, key)| (name.to_string(), key)).collect();
        for (name, key) in &opened {
            self.loot.add(&format!("the file key of {name}"), key.expose());
        }
        ensure!(!opened.is_empty(), "no keys were released");
        Ok(opened)
    }

    /// Fetches a published file.
    pub(super) async fn fetch(&self, digest: &Digest) -> Result<Vec<u8>> {
        let response = self.http.get(format!("{}/v1/files/{digest}", self.origin)).send().await?;
        ensure!(response.status().is_success(), "the file is not served: {}", response.status());
        Ok(response.bytes().await?.to_vec())
    }

    /// Has something done.
    pub(super) async fn done(&mut self, draft: &Draft) -> Result<()> {
        let Done {} = self.ask(draft).await?;
        Ok(())
    }
}
