//! A terminal written for the tests: what `docs/protocol.md` asks of one, and switches to get it wrong.

use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::wire::{
    DeviceAuthorisation, OAuthError, Problem, Signed, TerminalAnswer, TerminalRequest, TokenAnswer,
};
use portcullis_protocol::{
    Digest, Enrolment, IdempotencyKey, KeyDocument, Origin, PublicKey, ReleaseSecretKey, SecretKey, Verified, WellKnown,
};
use portcullis_server::secrets::random;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use portcullis_server::secrets::rng;

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub(crate) fn fresh_key() -> IdempotencyKey {
    IdempotencyKey::new(Octets(random::<16>()).to_string()).expect("base64url is visible ASCII")
}

/// A terminal, signed in or not.
pub(crate) struct Terminal {
    pub(crate) http: Client,
    pub(crate) origin: Origin,
    pub(crate) key: SecretKey,
    pub(crate) release: ReleaseSecretKey,
    pub(crate) root: PublicKey,
    pub(crate) keys: KeyDocument,
    pub(crate) token: Option<String>,
    pub(crate) refresh: Option<String>,
    pub(crate) nonce: Option<String>,
}

/// A request before it is proven; every field can be set wrong.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    pub(crate) with_token: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) nonce: Option<String>,
    pub(crate) proof: String,
    pub(crate) body: Vec<u8>,
}

impl Draft {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Vec::new(),
            content_type: "application/json",
            idempotency_key: None,
            with_token: true,
        }
    }

    pub(crate) fn json(method: Method, path: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("serialises");
        Self { method, body, idempotency_key: Some(fresh_key()), ..Self::get(path) }
    }

    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self::json(Method::POST, path, body)
    }

    pub(crate) fn form(path: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        Self {
            method: Method::POST,
            body,
            content_type: "application/x-www-form-urlencoded",
            with_token: false,
            ..Self::get(path)
        }
    }

    pub(crate) fn once(mut self, key: &IdempotencyKey) -> Self {
        self.idempotency_key = Some(key.clone());
        self
    }
}

impl Answered {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn problem(&self) -> Problem {
        self.json()
    }

    /// The signed document in the answer, where there is one.
    pub(crate) fn signed(&self) -> Option<String> {
        if self.status.is_success() { Some(self.json::<Signed>().signed) } else { self.problem().signed }
    }
}

impl Terminal {
    /// A new terminal, with fresh keys, that believes the root it is shown.
    pub(crate) async fn new(origin: &Origin) -> Self {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let url = format!("{origin}/.well-known/portcullis");
        let known: WellKnown =
            serde_json::from_slice(&http.get(url).send().await.expect("answers").bytes().await.expect("body"))
                .expect("well-known");
        let keys = KeyDocument::verify(&known.keys, &known.root, origin, now(), 0).expect("key document");
        Self {
            http,
            origin: origin.clone(),
            key: SecretKey::generate(&mut rng()),
            release: ReleaseSecretKey::generate(&mut rng()),
            root: known.root,
            keys: keys.into_document(),
            token: None,
            refresh: None,
            nonce: None,
        }
    }

    pub(crate) fn prove(&self, draft: &Draft, nonce: Option<&str>) -> String {
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

    /// Sends a draft with the given proof, as it is.
    pub(crate) async fn send_with(&self, draft: &Draft, proof: &str) -> Answered {
        let mut request = self
            .http
            .request(draft.method.clone(), format!("{}{}", self.origin, draft.path))
            .header("DPoP", proof)
            .header(CONTENT_TYPE, draft.content_type)
            .body(draft.body.clone());
        if let Some(token) = self.token.as_deref().filter(|_| draft.with_token) {
            request = request.header(AUTHORIZATION, format!("DPoP {token}"));
        }
        if let Some(key) = &draft.idempotency_key {
            request = request.header("Idempotency-Key", key.as_str());
        }
        answered(request.send().await.expect("the server answers"), proof).await
    }

    /// Proves and sends, and repeats once with the server's nonce.
    pub(crate) async fn send(&mut self, draft: &Draft) -> Answered {
        for _ in 0..2 {
            let proof = self.prove(draft, self.nonce.as_deref());
            let answer = self.send_with(draft, &proof).await;
            let asked_for_nonce = answer.status == StatusCode::UNAUTHORIZED
                && String::from_utf8_lossy(&answer.body).contains("use_dpop_nonce");
            if answer.nonce.is_some() {
                self.nonce.clone_from(&answer.nonce);
            }
            if !asked_for_nonce {
                return answer;
            }
        }
        panic!("the server asked for a nonce twice");
    }

    /// Sends, and reads the signed answer.
    pub(crate) async fn ask<B: Serialize + DeserializeOwned>(&mut self, draft: &Draft) -> Reply<B> {
        let answer = self.send(draft).await;
        let signed = answer
            .signed()
            .unwrap_or_else(|| panic!("unsigned: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
        read_reply(&signed, &self.keys, &Digest::of(answer.proof.as_bytes()), now()).expect("believed")
    }

    /// Sends, and expects a yes.
    pub(crate) async fn get_yes<B: Serialize + DeserializeOwned>(&mut self, draft: &Draft) -> B {
        match self.ask(draft).await {
            Reply::Yes { body, .. } => body,
            Reply::No(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Sends, and expects a signed no.
    pub(crate) async fn get_no(&mut self, draft: &Draft) -> portcullis_protocol::RefusalAnswer {
        match self.ask::<serde_json::Value>(draft).await {
            Reply::Yes { body, .. } => panic!("granted: {body:?}"),
            Reply::No(refusal) => *refusal,
        }
    }

    /// Asks for a device code.
    pub(crate) async fn device_code(&mut self, label: &str) -> DeviceAuthorisation {
        let draft = Draft::form("/oauth/device_authorization", &[("client_id", "portcullis"), ("label", label)]);
        let answer = self.send(&draft).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Asks once for the token of a device code.
    pub(crate) async fn poll(&mut self, device_code: &str) -> Result<TokenAnswer, String> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.token_request(&[("grant_type", grant), ("device_code", device_code), ("client_id", "portcullis")]).await
    }

    /// Renews the tokens with `refresh`.
    pub(crate) async fn renew(&mut self, refresh: &str) -> Result<TokenAnswer, String> {
        self.token_request(&[("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "portcullis")])
            .await
    }

    async fn token_request(&mut self, fields: &[(&str, &str)]) -> Result<TokenAnswer, String> {
        let answer = self.send(&Draft::form("/oauth/token", fields)).await;
        if answer.status == StatusCode::OK {
            let tokens: TokenAnswer = answer.json();
            self.token = Some(tokens.access_token.clone());
            self.refresh = Some(tokens.refresh_token.clone());
            Ok(tokens)
        } else {
            Err(answer.json::<OAuthError>().error)
        }
    }

    /// The enrolment request of this terminal.
    pub(crate) fn enrolment(&self, label: &str) -> Draft {
        let statement = Verified::sign(
            Enrolment {
                jwk: self.key.public().clone(),
                x25519: Octets(*self.release.public().as_bytes()),
                origin: self.origin.clone(),
                root: self.root.thumbprint(),
                label: label.into(),
                iat: now(),
            },
            &self.key,
        );
        Draft::post("/v1/terminals", &TerminalRequest { statement: statement.compact().to_owned() })
    }

    /// Enrols.
    pub(crate) async fn enrol(&mut self, label: &str) -> TerminalAnswer {
        let draft = self.enrolment(label);
        self.get_yes(&draft).await
    }
}

pub(crate) async fn answered(response: Response, proof: &str) -> Answered {
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (status, nonce) = (response.status(), header("dpop-nonce"));
    let body = response.bytes().await.expect("a body").to_vec();
    Answered { status, nonce, proof: proof.to_owned(), body }
}
