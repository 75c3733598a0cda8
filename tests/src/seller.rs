//! A merchant that asks, seals and submits as it is told, over HTTP; and the platform's own hands, which tell it what
//! a webhook would, and do what a platform could that lies.

use crate::Browser;
use anyhow::{Context as _, Result, bail};
use portcullis_fixtures::{Draft, Terminal, now, rng};
use portcullis_protocol::codes::{Codes, Quantity, TimeToDeliver, open};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeOrderAnswer, CodeOrderRequest, CodeSubmission, CodeSubmissionAnswer, Delivery, MerchantAnswer, OrderAnswer,
    OrderVerificationAnswer, OrderVerificationRequest, PaymentMethod, PaymentRequestAnswer, PaymentRequestRequest,
    ProductAnswer, ProductRequest, RecipientAnswer, RecipientRequest,
};
use portcullis_protocol::{
    CodeAccepted, CodeSerial, Digest, Document, MerchantClaim, MerchantName, OrderId, PaymentRequest, Product,
    ReleaseSecretKey, SealedCode, SecretKey, Unverified, Verification, Verified, paths,
};
use portcullis_server::ops::config::{Config, Overrides};
use portcullis_server::store::{CodeOrder, MerchantDecision};
use portcullis_server::{Core, Parts};
use reqwest::Method;
use std::path::Path;
use zeroize::Zeroizing;

/// What a code of it costs.
pub const PRICE: &str = "20.00 EUR";

/// A merchant.
pub struct Seller {
    /// Its name.
    pub name: MerchantName,
    /// What it signs with.
    pub key: SecretKey,
    /// What it sells.
    pub product: Digest,
    /// Sends what carries the merchant's proof.
    pub desk: Terminal,
}

/// The server's own code on its own database, beside the process that serves.
///
/// # Errors
/// If there is none.
pub async fn platform(dir: &Path, origin: &portcullis_protocol::Origin) -> Result<Core> {
    let overrides = Overrides { dir: Some(dir.to_owned()), ..Overrides::default() };
    Ok(portcullis_server::open(&Config::load(&overrides, [])?, origin.clone(), Parts::default()).await?)
}

impl Seller {
    /// A merchant of an account that the platform has approved, with one product. Nobody answers at its endpoint.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn of(owner: &mut Terminal, platform: &Core, name: &str) -> Result<Self> {
        let key = SecretKey::generate(&mut rng());
        let name: MerchantName = name.parse()?;
        let claim = MerchantClaim {
            name: name.clone(),
            title: "The Games Shop".parse()?,
            jwk: key.public().clone(),
            origin: owner.origin.clone(),
            webhook: "https://games.merchant.invalid/hook".parse()?,
            iat: now(),
        };
        let body = portcullis_protocol::wire::MerchantRequest { claim: sign(claim, &key) };
        let _: MerchantAnswer = owner.ask(&Draft::post(paths::MERCHANTS, &body)).await?;
        let merchant = platform.store.merchant(&name).await?.context("a merchant")?;
        platform.store.prove_merchant(&merchant.id, &merchant.webhook).await?;
        platform.store.decide_merchant(&name, MerchantDecision::Approve).await?;
        let mut desk = Terminal::new(&owner.origin).await?;
        desk.key = key.clone();
        let mut seller = Self { name, key, product: Digest::of(b""), desk };
        seller.product = seller.sell("game-key", PRICE).await?;
        Ok(seller)
    }

    /// Sells a product.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn sell(&mut self, name: &str, price: &str) -> Result<Digest> {
        self.sell_as(name, "Alpine Racer", "", price).await
    }

    /// Sells a product with these texts.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn sell_as(&mut self, name: &str, title: &str, description: &str, price: &str) -> Result<Digest> {
        let product = Product {
            merchant: self.name.clone(),
            aud: self.desk.origin.clone(),
            name: name.parse()?,
            title: title.parse()?,
            description: description.parse()?,
            price: price.parse()?,
            deadline: TimeToDeliver::new(600)?,
            iat: now(),
        };
        let body = ProductRequest { product: sign(product, &self.key) };
        let sold: ProductAnswer = self.desk.ask(&Draft::json(Method::PUT, paths::PRODUCTS, &body)).await?;
        Ok(sold.product)
    }

    /// Asks to be paid for one.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn ask_for(&mut self, amount: &str) -> Result<Digest> {
        let request = PaymentRequest {
            merchant: self.name.clone(),
            aud: self.desk.origin.clone(),
            jti: Octets(portcullis_fixtures::random()),
            product: self.product,
            quantity: Quantity::ONE,
            amount: amount.parse()?,
            iat: now(),
            exp: now() + 600,
        };
        let body = PaymentRequestRequest { request: sign(request, &self.key) };
        let asked: PaymentRequestAnswer = self.desk.ask(&Draft::post(paths::MERCHANT_REQUESTS, &body)).await?;
        Ok(asked.request)
    }

    /// The second interface, asked with whatever a notification said.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn ask(
        &mut self,
        order: OrderId,
        nonce: Octets<32>,
        request: Option<Digest>,
    ) -> Result<Verified<Verification>> {
        let body = OrderVerificationRequest { order, nonce, request };
        let answer: OrderVerificationAnswer = self.desk.ask(&Draft::post(paths::ORDER_VERIFICATIONS, &body)).await?;
        let verification = Unverified::<Verification>::parse(&answer.verification)?;
        let signer = self.desk.keys.signing_key(verification.kid(), now()).context("a key of the server")?;
        Ok(verification.verify(signer)?)
    }

    /// The same, with what its notification says.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn verify(&mut self, platform: &Core, order: OrderId) -> Result<Verified<Verification>> {
        let found = found(platform, order).await?;
        self.ask(order, found.nonce.context("not paid")?, found.request).await
    }

    /// Seals codes as a verification says, and signs for them.
    ///
    /// # Errors
    /// What the server says instead.
    pub fn seal(
        &self,
        verification: &Verified<Verification>,
        codes: &[&str],
        serials: Vec<CodeSerial>,
    ) -> Result<CodeSubmission> {
        let (said, digest) = (verification.document(), verification.digest());
        let plain = Codes::new(codes.iter().map(|code| Zeroizing::new((*code).to_owned())).collect())?;
        Ok(CodeSubmission::seal(said, digest, &plain, serials, now(), &self.key, &mut rng())?)
    }

    /// Submits. Returns what the server says of it.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn submit(&mut self, submission: &CodeSubmission) -> Result<CodeAccepted> {
        let answer: CodeSubmissionAnswer = self.desk.ask(&Draft::post(paths::SUBMISSIONS, submission)).await?;
        let accepted = Unverified::<CodeAccepted>::parse(&answer.accepted)?;
        let signer = self.desk.keys.signing_key(accepted.kid(), now()).context("a key of the server")?;
        Ok(accepted.verify(signer)?.into_document())
    }

    /// Everything that an honest merchant does for an order.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn deliver(&mut self, platform: &Core, order: OrderId, code: &str) -> Result<CodeAccepted> {
        let verification = self.verify(platform, order).await?;
        let submission = self.seal(&verification, &[code], Vec::new())?;
        self.submit(&submission).await
    }

    /// The document that it has of an order that is over for it, by what is in it.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn outcome(&mut self, order: OrderId) -> Result<serde_json::Value> {
        let shown: serde_json::Value =
            self.desk.ask(&Draft::get(paths::fill(paths::MERCHANT_ORDER, &[&order]))).await?;
        let document = shown["document"].as_str().context("no document")?;
        let document = crate::future::Document::read(document).context("not a document")?;
        Ok(serde_json::json!({ "typ": document.typ, "says": document.payload }))
    }
}

/// An order as the platform has it.
///
/// # Errors
/// If there is none.
pub async fn found(platform: &Core, order: OrderId) -> Result<CodeOrder> {
    platform.store.code_order(&order).await?.context("no such order")
}

/// The request that orders one code, under a key.
#[must_use]
pub fn wanted(product: Digest, key: &ReleaseSecretKey) -> CodeOrderRequest {
    CodeOrderRequest {
        product,
        quantity: Quantity::ONE,
        recipient: Octets(*key.public().as_bytes()),
        request: None,
        payment: PaymentMethod { provider: "sandbox".into(), token: "ok".into() },
        again: true,
    }
}

/// Orders. Returns the order if it is paid.
///
/// # Errors
/// If there is none.
pub async fn buy(buyer: &mut Terminal, request: &CodeOrderRequest) -> Result<OrderId> {
    let order: OrderAnswer = buyer.ask(&Draft::post(paths::CODES, request)).await?;
    if order.receipt.is_none() {
        bail!("the order is not paid");
    }
    Ok(order.order)
}

/// Fetches a sealed code, as the terminal of an order does.
///
/// # Errors
/// If there is none.
pub async fn fetch(buyer: &mut Terminal, order: OrderId) -> Result<Delivery> {
    let answer: CodeOrderAnswer = buyer.ask(&Draft::get(paths::fill(paths::CODE, &[&order]))).await?;
    answer.delivery.with_context(|| format!("nothing is delivered: {:?}", answer.info.state))
}

/// What a key makes of a delivery.
///
/// # Errors
/// If there is none.
pub fn opened(delivery: &Delivery, seller: &Seller, key: &ReleaseSecretKey) -> Result<String> {
    let code: SealedCode = Unverified::parse(&delivery.code)?.verify(seller.key.public())?.into_document();
    let codes = open(key, &code.context(), Quantity::ONE, &delivery.sealed())?;
    Ok(codes.iter().next().context("no code")?.to_owned())
}

/// A document, signed.
pub fn sign<D: Document>(document: D, key: &SecretKey) -> String {
    Verified::sign(document, key).compact().to_owned()
}

/// Has the codes of a browser's account sent to its terminal of this label, or to the only one.
///
/// # Errors
/// If there is none, or the server does not take it.
pub async fn preset(browser: &mut Browser, password: &str, label: &str) -> Result<()> {
    let page = browser.page("/account/preset").await?;
    let mut options = page.split("<option value=\"").skip(1).filter_map(|option| option.split_once('"'));
    let (id, _) = options.find(|(id, text)| !id.is_empty() && text.contains(label)).context("no such terminal")?;
    let fields = [("terminal", id), ("current-password", password)];
    browser.send("/account/preset", &page, &fields).await?;
    Ok(())
}

/// Lets another terminal of a browser's account take an order over, on the page of the order.
///
/// # Errors
/// If the server does not take it: with what the page says.
pub async fn allow(browser: &mut Browser, order: OrderId, words: &str, password: &str) -> Result<()> {
    let path = format!("/account/orders/{order}");
    let page = browser.page(&path).await?;
    let mut options = page.split("<option value=\"").skip(1).filter_map(|option| option.split_once('"'));
    let (id, _) = options.find(|(id, text)| !id.is_empty() && text.contains(words)).context("no such terminal")?;
    let fields = [("terminal", id), ("current-password", password)];
    browser.send(&format!("{path}/terminal"), &page, &fields).await?;
    Ok(())
}

/// Buys a code on a page, for the terminal that is preset.
///
/// # Errors
/// If there is no order: with what the page says.
pub async fn buy_in_browser(browser: &mut Browser, path: &str) -> Result<OrderId> {
    let page = browser.page(path).await?;
    let bought = browser.send(path, &page, &[("means", "sandbox:ok"), ("again", "true")]).await?;
    let to = bought.headers().get("location").and_then(|to| to.to_str().ok()).context("not an order")?;
    Ok(to.trim_start_matches("/account/orders/").split('?').next().unwrap_or_default().parse()?)
}

/// Makes the key of an order, as its terminal does.
///
/// # Errors
/// What the server says instead.
pub async fn make_key(terminal: &mut Terminal, order: OrderId) -> Result<ReleaseSecretKey> {
    let key = ReleaseSecretKey::generate(&mut rng());
    let body = RecipientRequest { recipient: Octets(*key.public().as_bytes()), first: true };
    let _: RecipientAnswer = terminal.ask(&Draft::post(paths::fill(paths::CODE_RECIPIENT, &[&order]), &body)).await?;
    Ok(key)
}
