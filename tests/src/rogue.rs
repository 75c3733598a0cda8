//! A merchant that does what its owner types: it can be slow, die, lie, say things twice, in another order, and of
//! orders that are not its own.

use crate::{Buyer, Server};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Draft, Terminal, now, rng};
use portcullis_protocol::codes::{Codes, TimeToDeliver};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, DeclineRequest, MerchantAnswer, MerchantOrder, MerchantRequest,
    OrderVerificationAnswer, OrderVerificationRequest, OwnershipRequest, ProductAnswer, ProductRequest,
};
use portcullis_protocol::{
    Digest, Document, MerchantClaim, MerchantName, OrderId, Origin, Ownership, Product, SecretKey, Unverified,
    Verification, Verified, WebhookUrl, paths,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(60);

/// How it answers webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Prompt,
    /// It takes the request, and closes the connection.
    Dead,
    /// It takes the request, and never answers.
    Hanging,
    /// It sends whoever asks to this address.
    Redirecting(String),
}

/// A merchant under somebody's thumb.
pub struct Rogue {
    /// Its name.
    pub name: MerchantName,
    /// Its key.
    pub key: SecretKey,
    /// Its product.
    pub product: Digest,
    /// What it asks the store with.
    pub terminal: Terminal,
    url: WebhookUrl,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    heard: Mutex<Vec<Value>>,
}

#[derive(Clone)]
struct Endpoint {
    name: MerchantName,
    key: SecretKey,
    origin: Origin,
    url: WebhookUrl,
    shared: Arc<Shared>,
}

impl Rogue {
    /// Registers and is approved, and sells one product for 20.00 EUR.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn open(server: &Server, name: &str) -> Result<Self> {
        let origin: Origin = server.origin().parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = WebhookUrl::new(format!("http://{}/hook", listener.local_addr()?))?;
        let (name, key): (MerchantName, _) = (name.parse()?, SecretKey::generate(&mut rng()));
        let shared = Arc::new(Shared { manner: Mutex::new(Manner::Prompt), heard: Mutex::default() });
        let endpoint = Endpoint {
            name: name.clone(),
            key: key.clone(),
            origin: origin.clone(),
            url: url.clone(),
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let endpoint = endpoint.clone();
                tokio::spawn(async move { endpoint.answer(stream).await });
            }
        });
        let mut terminal = Terminal::new(&origin).await?;
        terminal.key = key.clone();
        let mut rogue = Self { name, key, product: Digest::of(b""), terminal, url, shared };
        let mut owner = Buyer::sign_up(server, &format!("owner-of-{}", rogue.name)).await?;
        let claim = rogue.claim(&rogue.url);
        let _: MerchantAnswer = owner.terminal.ask(&Draft::post(paths::MERCHANTS, &claim)).await?;
        let proven: MerchantAnswer = rogue.terminal.ask(&Draft::post(paths::OWNERSHIP, &OwnershipRequest {})).await?;
        ensure!(proven.state == "proven", "{proven:?}");
        server.operator(&["merchant", "approve", rogue.name.as_str()])?;
        let product = Product {
            merchant: rogue.name.clone(),
            aud: origin,
            name: "game-key".parse()?,
            title: "Alpine Racer".parse()?,
            description: "".parse()?,
            price: "20.00 EUR".parse()?,
            deadline: TimeToDeliver::new(600)?,
            iat: now(),
        };
        let body = ProductRequest { product: rogue.sign(product) };
        let sold: ProductAnswer = rogue.terminal.ask(&Draft::json(Method::PUT, paths::PRODUCTS, &body)).await?;
        rogue.product = sold.product;
        Ok(rogue)
    }

    /// A claim to its name, with this address.
    #[must_use]
    pub fn claim(&self, webhook: &WebhookUrl) -> MerchantRequest {
        let claim = MerchantClaim {
            name: self.name.clone(),
            title: self.name.as_str().parse().expect("a name is a title"),
            jwk: self.key.public().clone(),
            origin: self.terminal.origin.clone(),
            webhook: webhook.clone(),
            iat: now(),
        };
        MerchantRequest { claim: self.sign(claim) }
    }

    /// Signs with its key.
    pub fn sign<D: Document>(&self, document: D) -> String {
        Verified::sign(document, &self.key).compact().to_owned()
    }

    /// From now on it answers so.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// How many webhooks came about an order.
    #[must_use]
    pub fn heard(&self, order: &OrderId) -> usize {
        let heard = self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|said| said["data"]["order"] == order.to_string()).count()
    }

    /// Waits for the nonce of an order.
    ///
    /// # Errors
    /// If nobody tells of it.
    pub async fn nonce(&self, order: &OrderId) -> Result<Octets<32>> {
        let begun = Instant::now();
        loop {
            {
                let heard = self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
                let of =
                    |said: &&Value| said["data"]["order"] == order.to_string() && said["data"]["nonce"].is_string();
                if let Some(said) = heard.iter().rev().find(of) {
                    return Ok(serde_json::from_value(said["data"]["nonce"].clone())?);
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "nobody told of {order}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The second interface.
    ///
    /// # Errors
    /// A refusal is an error that names its reason.
    pub async fn verify(&mut self, order: &OrderId, nonce: Octets<32>) -> Result<Verified<Verification>> {
        let asked = OrderVerificationRequest { order: *order, nonce, request: None };
        let answer: OrderVerificationAnswer =
            self.terminal.ask(&Draft::post(paths::ORDER_VERIFICATIONS, &asked)).await?;
        let verification = Unverified::<Verification>::parse(&answer.verification)?;
        let signer = self.terminal.keys.signing_key(verification.kid(), now()).context("a key of the server")?;
        Ok(verification.verify(signer)?)
    }

    /// Seals codes for a verification, and signs for them.
    ///
    /// # Errors
    /// If they are no codes.
    pub fn seal(&self, verification: &Verified<Verification>, codes: &[&str]) -> Result<CodeSubmission> {
        self.seal_as(verification, verification.document(), codes)
    }

    /// The same, as if the verification had said something else.
    ///
    /// # Errors
    /// If they are no codes.
    pub fn seal_as(
        &self,
        verification: &Verified<Verification>,
        said: &Verification,
        codes: &[&str],
    ) -> Result<CodeSubmission> {
        let codes = Codes::new(codes.iter().map(|code| Zeroizing::new((*code).to_owned())).collect())?;
        // It signs in its own name, whoever was asked.
        let said = Verification { merchant: self.name.clone(), ..said.clone() };
        let digest = verification.digest();
        Ok(CodeSubmission::seal(&said, digest, &codes, Vec::new(), now(), &self.key, &mut rng())?)
    }

    /// Submits.
    ///
    /// # Errors
    /// A refusal is an error that names its reason.
    pub async fn submit(&mut self, code: &CodeSubmission) -> Result<String> {
        let answer: CodeSubmissionAnswer = self.terminal.ask(&Draft::post(paths::SUBMISSIONS, code)).await?;
        Ok(answer.accepted)
    }

    /// Declines an order.
    ///
    /// # Errors
    /// A refusal is an error that names its reason.
    pub async fn decline(&mut self, order: &OrderId) -> Result<MerchantOrder> {
        let path = paths::fill(paths::DECLINE, &[order]);
        self.terminal.ask(&Draft::post(path, &DeclineRequest { reason: "no".into() })).await
    }

    /// An order, as it sees it.
    ///
    /// # Errors
    /// A refusal is an error that names its reason.
    pub async fn look(&mut self, order: &OrderId) -> Result<MerchantOrder> {
        self.terminal.ask(&Draft::get(paths::fill(paths::MERCHANT_ORDER, &[order]))).await
    }

    /// Delivers an order as it should.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn deliver(&mut self, order: &OrderId, code: &str) -> Result<CodeSubmission> {
        let nonce = self.nonce(order).await?;
        let verification = self.verify(order, nonce).await?;
        let code = self.seal(&verification, &[code])?;
        self.submit(&code).await?;
        Ok(code)
    }
}

impl Endpoint {
    async fn answer(&self, mut stream: TcpStream) -> Result<()> {
        let body = read_body(&mut stream).await?;
        let said: Value = serde_json::from_slice(&body)?;
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(said.clone());
        let manner = self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (head, answer) = match manner {
            Manner::Dead => return Ok(()),
            Manner::Hanging => {
                // Until whoever asked gives up.
                let _ = stream.read(&mut [0; 1]).await;
                return Ok(());
            }
            Manner::Redirecting(to) => (format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\n"), String::new()),
            Manner::Prompt => ("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".into(), self.said(&said)?),
        };
        let head = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
        stream.write_all(head.as_bytes()).await?;
        Ok(stream.shutdown().await?)
    }

    fn said(&self, said: &Value) -> Result<String> {
        if said["type"] != "endpoint.challenge" {
            return Ok(String::new());
        }
        let ownership = Ownership {
            merchant: self.name.clone(),
            challenge: serde_json::from_value(said["data"]["challenge"].clone())?,
            url: self.url.clone(),
            platform: self.origin.clone(),
            iat: now(),
        };
        Ok(json!({ "ownership": Verified::sign(ownership, &self.key).compact() }).to_string())
    }
}

/// The body of a request that has just arrived.
///
/// # Errors
/// If the connection broke off.
pub async fn read_body(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            bail!("the request broke off");
        }
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("a length")?;
        let length: usize = length.trim().parse()?;
        if bytes.len() >= end + 4 + length {
            return Ok(bytes[end + 4..end + 4 + length].to_vec());
        }
    }
}
