//! A buyer of electronic codes: a terminal that does what `docs/protocol.md`, section 15, asks of one.

use crate::{Browser, Server};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Draft, Terminal, now, rng};
use portcullis_protocol::codes::{CodeState, Quantity, open};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderRequest, Delivery, MerchantEntry, OrderAnswer,
    PaymentMethod, RecipientAnswer, RecipientRequest,
};
use portcullis_protocol::{
    Digest, OrderId, Product, PublicKey, ReleaseSecretKey, SealedCode, Unverified, Verification, paths,
};
use std::time::{Duration, Instant};

/// How long an order may take to come somewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// A buyer.
pub struct Buyer {
    /// The terminal.
    pub terminal: Terminal,
}

/// An order, and the key that was made for it.
pub struct Ordered {
    /// Its identifier.
    pub id: OrderId,
    /// Its key.
    pub key: ReleaseSecretKey,
}

impl Buyer {
    /// A new account with a terminal.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn sign_up(server: &Server, name: &str) -> Result<Self> {
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up(&format!("{name}@example.org"), "correct horse battery staple").await?;
        Self::of(server, &mut browser).await
    }

    /// Another terminal of the account that a browser is signed in to.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn of(server: &Server, browser: &mut Browser) -> Result<Self> {
        let mut terminal = Terminal::new(&server.origin().parse()?).await?;
        let device = terminal.device_code("a buyer's").await?;
        browser.approve(&device.user_code, &terminal.key.public().thumbprint().words()).await?;
        terminal.poll(&device.device_code).await?;
        terminal.enrol("a buyer's").await?;
        Ok(Self { terminal })
    }

    /// A merchant, as everybody sees it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn merchant(&mut self, name: &str) -> Result<MerchantEntry> {
        let path = paths::fill(paths::MERCHANT, &[&name]);
        let answer = self.terminal.send(&Draft { with_token: false, ..Draft::get(path) }).await?;
        answer.json()
    }

    /// The digest of the first product of a merchant, and the key that signed it.
    ///
    /// # Errors
    /// If it sells nothing.
    pub async fn product(&mut self, merchant: &str) -> Result<(Digest, PublicKey)> {
        let entry = self.merchant(merchant).await?;
        let product = Unverified::<Product>::parse(entry.products.first().context("a product")?)?;
        Ok((product.verify(&entry.key)?.digest(), entry.key))
    }

    /// Orders, and pays with the sandbox's means.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn order(&mut self, product: Digest, quantity: u32, request: Option<Digest>) -> Result<Ordered> {
        let key = ReleaseSecretKey::generate(&mut rng());
        let wanted = CodeOrderRequest {
            product,
            quantity: Quantity::new(quantity)?,
            recipient: Octets(*key.public().as_bytes()),
            request,
            payment: PaymentMethod { provider: "sandbox".into(), token: "ok".into() },
            again: true,
        };
        let answer: OrderAnswer = self.terminal.ask(&Draft::post(paths::CODES, &wanted)).await?;
        Ok(Ordered { id: answer.order, key })
    }

    /// Looks at an order.
    ///
    /// # Errors
    /// If there is no signed answer.
    pub async fn look(&mut self, order: &OrderId) -> Result<CodeOrderAnswer> {
        self.terminal.ask(&Draft::get(paths::fill(paths::CODE, &[order]))).await
    }

    /// Waits until an order stands in one of these states.
    ///
    /// # Errors
    /// If it does not come there in time.
    pub async fn wait_for(&mut self, order: &OrderId, states: &[CodeState]) -> Result<CodeOrderAnswer> {
        let is_there = |seen: &CodeOrderAnswer| seen.info.state.known().is_some_and(|state| states.contains(&state));
        self.watch(order, is_there).await.with_context(|| format!("not one of {states:?}"))
    }

    async fn watch(&mut self, order: &OrderId, is_there: impl Fn(&CodeOrderAnswer) -> bool) -> Result<CodeOrderAnswer> {
        let begun = Instant::now();
        loop {
            let seen = self.look(order).await?;
            if is_there(&seen) {
                return Ok(seen);
            }
            if begun.elapsed() > PATIENCE {
                bail!("order {order} stays {}", seen.info.state);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the codes of an order, checks them as a terminal does, and acknowledges them.
    ///
    /// # Errors
    /// If they do not come, or are not what was bought.
    pub async fn collect(&mut self, ordered: &Ordered, merchant: &PublicKey) -> Result<Vec<String>> {
        let is_over = |state: CodeState| !state.waits_for_code() && !state.has_code();
        // Of a later sealing there is nothing to deliver yet, though the order is delivered.
        let is_there = |seen: &CodeOrderAnswer| seen.delivery.is_some() || seen.info.state.known().is_none_or(is_over);
        let seen = self.watch(&ordered.id, is_there).await?;
        let delivery = seen.delivery.as_ref().with_context(|| format!("no code: it is {}", seen.info.state))?;
        let (code, codes) = self.opened(&seen, delivery, ordered, merchant)?;
        let ack = CodeAckRequest { generation: code.generation, ciphertext: code.ciphertext, readable: true };
        let path = paths::fill(paths::CODE_ACK, &[&ordered.id]);
        let _: CodeAckAnswer = self.terminal.ask(&Draft::post(path, &ack)).await?;
        Ok(codes)
    }

    fn opened(
        &self,
        seen: &CodeOrderAnswer,
        delivery: &Delivery,
        ordered: &Ordered,
        merchant: &PublicKey,
    ) -> Result<(SealedCode, Vec<String>)> {
        let verification = Unverified::<Verification>::parse(&delivery.verification)?;
        let signer = self.terminal.keys.signing_key(verification.kid(), now()).context("a key of the server")?;
        let verification = verification.verify(signer)?;
        let code = Unverified::<SealedCode>::parse(&delivery.code)?.verify(merchant)?.into_document();
        let own = Octets(*ordered.key.public().as_bytes());
        let said = verification.document();
        ensure!(said.order == ordered.id && said.recipient == own && code.recipient == own, "for another key");
        ensure!(code.order == ordered.id && code.verification == verification.digest(), "for another order");
        let sealed = delivery.sealed();
        ensure!(sealed.digest() == code.ciphertext, "another ciphertext than the merchant signed");
        let codes = open(&ordered.key, &code.context(), seen.info.quantity, &sealed)?;
        let codes = codes.iter().map(str::to_owned).collect();
        Ok((code, codes))
    }

    /// Takes an order over to this terminal, with a new key. The account's holder chooses it on the order's page.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn take_over(&mut self, order: &OrderId) -> Result<Ordered> {
        let key = ReleaseSecretKey::generate(&mut rng());
        let asked = RecipientRequest { recipient: Octets(*key.public().as_bytes()), first: false };
        let path = paths::fill(paths::CODE_RECIPIENT, &[order]);
        let _: RecipientAnswer = self.terminal.ask(&Draft::post(path, &asked)).await?;
        Ok(Ordered { id: *order, key })
    }
}
