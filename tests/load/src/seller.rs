//! A merchant in the generator's own process: its endpoint, which answers at once, and what it does afterwards. How
//! long that took is its own share of an order.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Draft, Terminal, now, random, rng};
use portcullis_protocol::codes::{Codes, TimeToDeliver};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, OrderVerificationAnswer, OrderVerificationRequest,
};
use portcullis_protocol::{
    Digest, MerchantName, OrderId, Product, SecretKey, Unverified, Verification, Verified, paths,
};
use portcullis_server::Core;
use portcullis_server::merchants::products;
use portcullis_server::store::{
    EndpointId, MerchantDecision, MerchantId, MerchantOutcome, NewMerchant, NewMerchantEndpoint,
};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

/// The longest request that the endpoint reads. A webhook has some hundred bytes, and headers.
const LONGEST: usize = 64 * 1024;
const NAME: &str = "bench-codes";

/// How long a merchant has worked on each order itself, and what went wrong with one.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) took: Mutex<HashMap<OrderId, Duration>>,
    pub(crate) error: Mutex<Option<String>>,
}

/// The merchant.
#[derive(Clone)]
pub(crate) struct Seller {
    key: SecretKey,
    /// What proves itself with that key: each is used by one order at a time, since each has a nonce of its own.
    desks: Arc<Mutex<Vec<Terminal>>>,
    first: Terminal,
    work: Arc<Work>,
}

/// What a webhook says.
#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "type")]
    kind: String,
    data: Notice,
}

#[derive(Deserialize)]
struct Notice {
    order: Option<OrderId>,
    nonce: Option<Octets<32>>,
}

/// Makes an approved merchant with one product, by the server's own code. Returns its key and the product.
pub(crate) async fn stock(
    core: &Core,
    owner: portcullis_protocol::AccountId,
    port: u16,
) -> Result<(SecretKey, Digest)> {
    let key = SecretKey::generate(&mut rng());
    let endpoint = EndpointId(Octets(random()));
    let (keys, _) = portcullis_server::notices::webhooks::keys::new(&core.secrets, &endpoint);
    let name: MerchantName = NAME.parse().ok().context("a name")?;
    let new = NewMerchant {
        id: MerchantId(Octets(random())),
        name: name.clone(),
        title: "A merchant".parse().ok().context("a title")?,
        key: key.public().clone(),
        owner,
        webhook: format!("http://127.0.0.1:{port}/hook").parse().ok().context("an address")?,
        endpoint: NewMerchantEndpoint { id: endpoint, keys },
    };
    let webhook = new.webhook.clone();
    let MerchantOutcome::Claimed(claimed) = core.store.claim_merchant(new).await? else { bail!("the name is taken") };
    core.store.prove_merchant(&claimed.id, &webhook).await?;
    core.store.decide_merchant(&name, MerchantDecision::Approve).await?;
    let merchant = core.store.merchant(&name).await?.context("a merchant")?;
    let product = Product {
        merchant: name,
        aud: core.origin.clone(),
        name: "measured".parse().ok().context("a name")?,
        title: "What is measured".parse().ok().context("a title")?,
        description: "".parse().ok().context("a text")?,
        price: "1.00 EUR".parse().ok().context("a price")?,
        deadline: TimeToDeliver::new(600).ok().context("seconds")?,
        iat: now(),
    };
    let compact = Verified::sign(product, &key).compact().to_owned();
    Ok((key, products::sell(core, &merchant, &compact).await?.product))
}

impl Seller {
    /// Listens from now on.
    pub(crate) async fn open(
        listener: TcpListener,
        origin: &portcullis_protocol::Origin,
        key: SecretKey,
    ) -> Result<Self> {
        let mut first = Terminal::new(origin).await?;
        first.key = key.clone();
        let seller = Self { key, desks: Arc::default(), first, work: Arc::default() };
        let answering = seller.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answering.clone().listen(stream));
            }
        });
        Ok(seller)
    }

    /// What it has done.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// One connection, for as long as the server keeps it.
    async fn listen(self, mut stream: TcpStream) {
        let mut read = Vec::new();
        while let Ok(Some((body, heard))) = request(&mut stream, &mut read).await {
            if stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                return;
            }
            let Ok(Webhook { kind, data: Notice { order: Some(order), nonce: Some(nonce) } }) =
                serde_json::from_slice(&body)
            else {
                continue;
            };
            if kind == "order.paid" {
                let seller = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = seller.deliver(order, nonce, heard).await {
                        let mut first = seller.work.error.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert_with(|| format!("the merchant: {error:#}"));
                    }
                });
            }
        }
    }

    async fn deliver(&self, order: OrderId, nonce: Octets<32>, heard: Instant) -> Result<()> {
        let free = self.desks.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut desk = free.unwrap_or_else(|| self.first.clone());
        let asked = OrderVerificationRequest { order, nonce, request: None };
        let draft = Draft::post(paths::ORDER_VERIFICATIONS, &asked);
        let mut own = heard.elapsed();
        let answer: OrderVerificationAnswer = desk.ask(&draft).await?;
        let answered = Instant::now();
        let verification = Unverified::<Verification>::parse(&answer.verification)?;
        let signer = desk.keys.signing_key(verification.kid(), now()).context("a key of the server")?;
        let verification = verification.verify(signer)?;
        ensure!(verification.document().order == order, "a verification of another order");
        let body = self.sealed(&verification)?;
        let draft = Draft::post(paths::SUBMISSIONS, &body);
        own += answered.elapsed();
        self.work.took.lock().unwrap_or_else(PoisonError::into_inner).insert(order, own);
        let _: CodeSubmissionAnswer = desk.ask(&draft).await?;
        self.desks.lock().unwrap_or_else(PoisonError::into_inner).push(desk);
        Ok(())
    }

    fn sealed(&self, verification: &Verified<Verification>) -> Result<CodeSubmission> {
        let (said, digest) = (verification.document(), verification.digest());
        let codes = Codes::new(vec![Zeroizing::new(format!("CODE-{}", said.order))]).ok().context("a code")?;
        let sealed = CodeSubmission::seal(said, digest, &codes, Vec::new(), now(), &self.key, &mut rng());
        sealed.ok().context("it cannot be sealed")
    }
}

/// The body of the next request, and when all of it was there; `None` once there is no more.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<Option<(Vec<u8>, Instant)>> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no length")?;
            let length: usize = length.trim().parse()?;
            ensure!(length < LONGEST, "a request of {length} bytes");
            if read.len() >= end + 4 + length {
                let body = read[end + 4..end + 4 + length].to_vec();
                read.drain(..end + 4 + length);
                return Ok(Some((body, Instant::now())));
            }
        }
        ensure!(read.len() < 2 * LONGEST, "a request without an end");
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
