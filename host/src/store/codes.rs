//! Electronic codes of merchants, at the account that is signed in: buying them, having them delivered, keeping them.
//!
//! ```text
//! key made and stored ─▶ order ─▶ (the merchant seals the code to that key)
//!                                 ─▶ fetched, checked, opened, stored ─▶ acknowledged
//! ```
//!
//! What the store says of a merchant is believed only as far as the merchant's own key signs it, and that key is
//! pinned at the first purchase. A store that puts a key of its own into the place of an order's is found out here.

use crate::client_error::ClientError;
use crate::random;
use crate::server::session::{Patience, RequestError, Session, printable};
use crate::server::trust::{Trust, offline};
use crate::state::code_vault::{BoundOrder, CodeVault, OrderTerms};
use crate::state::folder::StateError;
use crate::store::merchant_pin::{self, JudgedMerchant, MerchantKeys};
use crate::store::ordered_codes::OrderedCodes;
use crate::store::publisher_pin::Standing;
use crate::store::purchase::{Goods, Order, Purchase};
use crate::store::storefront::{self, Storefront};
use portcullis_protocol::codes::{
    CodeContext, CodeState, Codes, Generation, Quantity, ReportedState, SealedBytes, open,
};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderInfo, CodeOrdersAnswer, MerchantEntry, PaymentMethod,
    PaymentRequestEntry, RecipientAnswer, RecipientRequest, RedemptionAnswer, RedemptionRequest,
};
use portcullis_protocol::{
    Digest, Listed, MerchantName, Money, OrderId, Origin, PaymentRequest, Product, PublicKey, ReleaseSecretKey,
    SealedCode, TerminalId, Title, Verified, paths,
};

/// A merchant of a store, and what it sells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Merchant {
    /// The store.
    pub server: Origin,
    /// Its name.
    pub name: MerchantName,
    /// What it calls itself, by the store's word.
    pub title: Title,
    /// The key in use.
    pub key: PublicKey,
    /// How that key stands with this terminal.
    pub standing: Standing,
    /// What it sells, each signed by the merchant for this store.
    pub products: Vec<Verified<Product>>,
    judged: JudgedMerchant,
}

/// What a merchant asks to be paid.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AskedPayment {
    /// The merchant.
    pub merchant: Merchant,
    /// The product, as the merchant signed it.
    pub product: Verified<Product>,
    /// What is asked for, signed by the merchant for this store.
    pub request: Verified<PaymentRequest>,
}

/// An order of codes, as its buyer sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CodeOrder {
    /// Names it.
    pub id: OrderId,
    /// The merchant.
    pub merchant: MerchantName,
    /// What was ordered, if one of the keys that this terminal knows of the merchant has signed it.
    pub product: Option<Product>,
    /// How many codes.
    pub quantity: Quantity,
    /// What was paid.
    pub amount: Money,
    /// Where it stands.
    pub state: ReportedState,
    /// Which sealing is wanted, or was accepted last.
    pub generation: Generation,
    /// Which sealing was accepted last.
    pub sealed: Option<Generation>,
    /// Whether the codes are on this terminal.
    pub is_here: bool,
    /// Whether it was bought in a browser, and this terminal is to make its key: [`Storefront::collect_codes`] does.
    pub key_wanted: bool,
    /// Whether it is delivered to this terminal, by the keys that this terminal has.
    pub comes_here: bool,
    /// Whether it has a key: one that was bought in a browser has none until a terminal has made it.
    pub has_key: bool,
    /// The terminal of the account that it is delivered to, by the store's word.
    pub terminal: Option<TerminalId>,
    /// Why the merchant declined it, in its own words.
    pub reason: Option<String>,
}

/// What came of looking for the codes of an order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Collected {
    /// They are on this terminal, and the store knows it.
    Here(Codes),
    /// The order was bought in a browser, and has got a key of this terminal: its merchant is told now.
    Keyed,
    /// There are none for this terminal, in this state.
    NotYet(ReportedState),
}

/// Of an order whose codes its user has had shown once.
const SHOWN: &str = "its codes were shown once and removed from this terminal, as you wanted it";

/// Why a delivery is not what was bought.
type Wrong = &'static str;

impl Storefront {
    /// A merchant of the store, judged by the key that this terminal has pinned, and its products.
    ///
    /// # Errors
    /// [`ClientError::NotFound`]; [`ClientError::MerchantChanged`] if it has another key and nobody vouches for that.
    pub async fn merchant(&self, name: &MerchantName) -> Result<Merchant, ClientError> {
        let entry = self.merchant_entry(name).await?;
        let MerchantEntry { title, key, former, vouches, products, .. } = entry;
        let state = &self.shared().state;
        let judged = merchant_pin::judge(state, self.origin(), name, &key, &former, &vouches, None)?;
        let mut sold = Vec::new();
        for compact in &products {
            match self.product(&judged.keys, name, compact) {
                Ok(product) => sold.push(product),
                // One that is not the merchant's word keeps nobody from the others.
                Err(error) => tracing::warn!(merchant = %name, %error, "a product is left out"),
            }
        }
        let (products, standing) = (sold, judged.standing);
        Ok(Merchant { server: self.origin().clone(), name: name.clone(), title, key, standing, products, judged })
    }

    /// What the store says of a merchant.
    async fn merchant_entry(&self, name: &MerchantName) -> Result<MerchantEntry, ClientError> {
        let path = paths::fill(paths::MERCHANT, &[name]);
        let entry: Option<MerchantEntry> = storefront::public(self.shared(), self.origin(), path).await?;
        entry.ok_or_else(|| ClientError::NotFound(format!("{} has no merchant `{name}`", self.origin())))
    }

    /// Believes the key that the store names for a merchant, and pins it, because its user was told its words by the
    /// merchant itself: a key that is new here, or another one than the pinned one. What the keys before it signed
    /// stays good.
    ///
    /// # Errors
    /// [`ClientError::KeyNotAsTold`] if the words are not those of the key that the store names, however that stands
    /// here; [`ClientError::MerchantChanged`] if another process has accepted a third key meanwhile.
    pub async fn accept_merchant_key(&self, name: &MerchantName, told: &str) -> Result<(), ClientError> {
        let MerchantEntry { key, former, vouches, .. } = self.merchant_entry(name).await?;
        let state = &self.shared().state;
        let judged = merchant_pin::judge(state, self.origin(), name, &key, &former, &vouches, Some(told))?;
        merchant_pin::remember(state, self.origin(), name, &judged).await
    }

    /// The same, of the merchant that an order is from.
    ///
    /// # Errors
    /// As [`Storefront::accept_merchant_key`].
    pub async fn accept_merchant_key_of(&self, order: &OrderId, told: &str) -> Result<(), ClientError> {
        let CodeOrderAnswer { info, .. } = self.ask_about(order).await?;
        self.accept_merchant_key(&info.merchant, told).await
    }

    /// A product that the merchant signed for this store.
    fn product(
        &self,
        keys: &MerchantKeys,
        merchant: &MerchantName,
        compact: &str,
    ) -> Result<Verified<Product>, ClientError> {
        self.for_this_store(keys.verify(compact), merchant)
    }

    /// What a merchant asks to be paid, by the digest that its address ends with.
    ///
    /// # Errors
    /// [`ClientError::NotFound`], [`ClientError::MerchantChanged`].
    pub async fn payment_request(
        &self,
        digest: &Digest,
        merchant: Option<&MerchantName>,
    ) -> Result<AskedPayment, ClientError> {
        let path = paths::fill(paths::PAYMENT_REQUEST, &[digest]);
        let entry: Option<PaymentRequestEntry> = storefront::public(self.shared(), self.origin(), path).await?;
        let nothing = || ClientError::NotFound(format!("{} has no such payment request", self.origin()));
        let PaymentRequestEntry { request, product, key } = entry.ok_or_else(nothing)?;
        let damaged = |error| offline(format!("a payment request does not verify: {error}"));
        // Who it is by, is believed once it is compared with what the store says of that merchant.
        let unpinned =
            portcullis_protocol::Unverified::<PaymentRequest>::parse(&request).and_then(|it| it.verify(&key));
        let name = unpinned.map_err(damaged)?.into_document().merchant;
        if merchant.is_some_and(|expected| *expected != name) {
            return Err(offline("the payment request is another merchant's").into());
        }
        let merchant = self.merchant(&name).await?;
        let request = merchant.judged.keys.verify::<PaymentRequest>(&request).map_err(damaged)?;
        let product = self.product(&merchant.judged.keys, &name, &product)?;
        let said = request.document();
        let fits = request.digest() == *digest && said.aud == *self.origin() && said.product == product.digest();
        if fits {
            Ok(AskedPayment { merchant, product, request })
        } else {
            Err(offline("the payment request is another one").into())
        }
    }

    /// Orders codes of a merchant whose key the user has accepted: it is pinned by this. The key that opens them is
    /// made and stored before the order goes out. As [`Storefront::buy`], an earlier order of the same that was never
    /// answered is asked about first.
    ///
    /// # Errors
    /// As [`Storefront::buy`]; [`ClientError::MerchantChanged`] if another process has accepted another key of the
    /// merchant meanwhile. Then nothing was ordered.
    pub async fn order_codes(
        &self,
        merchant: &Merchant,
        product: &Verified<Product>,
        quantity: Quantity,
        request: Option<&Verified<PaymentRequest>>,
        payment: PaymentMethod,
        again: bool,
    ) -> Result<Order, ClientError> {
        let amount = match request {
            Some(request) => request.document().amount,
            None => product
                .document()
                .amount(quantity)
                .map_err(|error| ClientError::Rejected { status: 422, detail: error.to_string() })?,
        };
        merchant_pin::remember(&self.shared().state, self.origin(), &merchant.name, &merchant.judged).await?;
        let terms = OrderTerms { product: product.digest(), quantity, amount };
        let recipient = self.vault().make_key(terms).await?;
        let request = request.map(Verified::digest);
        let ordered = OrderedCodes { product: product.clone(), quantity, amount, request, recipient };
        let purchase = Purchase::of(Goods::Codes(Box::new(ordered)), payment);
        let order = self.buy(if again { purchase.again() } else { purchase }).await?;
        // It is ordered: a disk that is full does not make that a failure, after which its user would order it again.
        if let Err(error) = self.bind_ordered(order.id, terms).await {
            tracing::warn!(order = %order.id, %error, "the terms of an order cannot be kept");
        }
        Ok(order)
    }

    /// Keeps the terms of an order: they stay, whatever the store says of it from now on.
    async fn bind_ordered(&self, order: OrderId, terms: OrderTerms) -> Result<(), StateError> {
        if self.vault().bound(&order)?.is_none() {
            self.vault().bind(order, BoundOrder { terms, recipient: None }).await?;
        }
        Ok(())
    }

    /// The account's orders of codes, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn code_orders(&self) -> Result<Listed<CodeOrder>, ClientError> {
        let pages = |answer: CodeOrdersAnswer| (answer.codes, answer.next);
        let Listed { known, unknown } = self.all(paths::ACCOUNT_CODES, pages).await?;
        let known = known.into_iter().map(|info| self.code_order_of(info)).collect::<Result<_, _>>()?;
        Ok(Listed { known, unknown })
    }

    /// One of them; none if the account has no such order of codes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn code_order(&self, order: &OrderId) -> Result<Option<CodeOrder>, ClientError> {
        match self.ask_about(order).await {
            Ok(answer) => self.code_order_of(answer.info).map(Some),
            Err(ClientError::Rejected { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn code_order_of(&self, info: CodeOrderInfo) -> Result<CodeOrder, ClientError> {
        let keys = merchant_pin::read(&self.shared().state, self.origin(), &info.merchant)?;
        let product = keys.and_then(|keys| self.product(&keys, &info.merchant, &info.product).ok());
        let is_here = self.vault().codes(&info.order)?.is_some();
        let is_own = match &info.recipient {
            Some(recipient) => self.vault().key(recipient)?.is_some(),
            None => false,
        };
        let comes_here = is_here || is_own || info.key_wanted || self.vault().was_shown(&info.order)?;
        Ok(CodeOrder {
            id: info.order,
            merchant: info.merchant,
            product: product.map(Verified::into_document),
            quantity: info.quantity,
            amount: info.amount,
            state: info.state,
            generation: info.generation,
            sealed: info.sealed,
            is_here,
            key_wanted: info.key_wanted,
            comes_here,
            has_key: info.recipient.is_some(),
            terminal: info.terminal,
            reason: info.reason.map(printable),
        })
    }

    /// The codes of an order, if they are on this terminal. No server is asked.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn stored_codes(&self, order: &OrderId) -> Result<Option<Codes>, ClientError> {
        Ok(self.vault().codes(order)?)
    }

    /// Removes the codes of an order from this terminal for good: what is delivered again is not opened again.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn forget_codes(&self, order: &OrderId) -> Result<(), ClientError> {
        Ok(self.vault().forget(order)?)
    }

    /// Fetches the codes of an order, if they have come: checks that they are what was bought, from whom it was
    /// bought, opens and stores them, and says so to the store. If the order was bought in a browser and waits for a
    /// key of this terminal, it makes one: what is delivered under it has to be what the store says now.
    ///
    /// # Errors
    /// [`ClientError::CodeNotAsBought`] if they are not; it says whether the store took that.
    /// [`ClientError::NotFound`] if they are delivered to another terminal: [`Storefront::take_over_codes`].
    /// [`ClientError::MerchantNew`], [`ClientError::MerchantChanged`]: its user compares the merchant's key first.
    pub async fn collect_codes(&self, order: &OrderId) -> Result<Collected, ClientError> {
        let (session, CodeOrderAnswer { info, delivery }) = (self.session()?, self.ask_about(order).await?);
        if self.vault().was_shown(order)? {
            // That it was acknowledged may have been lost.
            if let Some(delivery) = delivery {
                acknowledge(&session, order, info.generation, &delivery.sealed(), true).await?;
            }
            return Err(ClientError::NotFound(SHOWN.into()));
        }
        // The key before the codes: another process of this terminal stores the codes first and removes the key then,
        // so that whoever finds neither has missed nothing.
        let kept = match &info.recipient {
            Some(recipient) => self.vault().key(recipient)?,
            None => None,
        };
        let here = self.vault().codes(order)?;
        let bound = self.vault().bound(order)?;
        // Bought in a browser: its key is made, and stored, here and now.
        if info.key_wanted {
            self.make_wanted_key(order, &info, bound).await?;
            return Ok(Collected::Keyed);
        }
        let Some(delivery) = delivery else {
            if let Some(codes) = here {
                return Ok(Collected::Here(codes));
            }
            let waits = !matches!(info.state.known(), Some(CodeState::CodeReceived | CodeState::Delivered));
            if kept.is_some() || waits {
                return Ok(Collected::NotYet(info.state));
            }
            if self.vault().was_shown(order)? {
                return Err(ClientError::NotFound(SHOWN.into()));
            }
            let why = "the store says that it is delivered to another terminal of the account. If none of yours has \
                       taken it over, the store had it sealed to a key of its own: tell the merchant. \
                       `portcullis codes ORDER --claim` has it delivered here, once you have said so on the order's page";
            return Err(ClientError::NotFound(why.into()));
        };
        let sealed = delivery.sealed();
        let say = async |readable| acknowledge(&session, order, info.generation, &sealed, readable).await;
        // That the store does not know it yet is mended the next time.
        let are_here = async || {
            if let Err(error) = say(true).await {
                tracing::debug!(%error, "the store was not told that the codes are here");
            }
        };
        // The answer to an acknowledgement was lost: they were opened and stored.
        if let Some(codes) = here {
            are_here().await;
            return Ok(Collected::Here(codes));
        }
        // What is delivered here was ordered here, taken over, or keyed here: under a key that was stored before.
        let (merchant, doubt) = self.keys_of(&info.merchant).await?;
        let signed = merchant.verify::<SealedCode>(&delivery.code);
        // A key that its user has not compared yet is no reason to say that the code is not what was bought.
        if let (Err(_), Some(doubt)) = (&signed, doubt) {
            return Err(doubt);
        }
        let keys = self.keys().await?;
        let opened = (|| {
            let (key, terms) = kept.as_ref().ok_or("the store had it sealed to a key that is not the order's")?;
            if bound.is_some_and(|bound| bound.terms != *terms) {
                return Err("the store had it sealed to the key of another order");
            }
            let verification =
                Trust::verification(&keys, &delivery.verification).map_err(|_| "the store did not sign for it")?;
            let code = signed.as_ref().map_err(|_| "its merchant did not sign for it")?;
            checked(*order, &info.merchant, self.origin(), key, *terms, &verification, code.document(), &sealed)?;
            let (verification, quantity) = (verification.digest(), verification.document().quantity);
            let generation = code.document().generation;
            let context = CodeContext { order, merchant: &info.merchant, generation, verification: &verification };
            open(key, &context, quantity, &sealed).map_err(|_| "it does not open to the codes that were paid for")
        })();
        match opened {
            Ok(codes) => {
                // There is one: it has opened them.
                let recipient = info.recipient.ok_or_else(|| offline("a delivery without a key"))?;
                self.vault().store(*order, recipient, &codes).await?;
                are_here().await;
                Ok(Collected::Here(codes))
            }
            // Shown by another process meanwhile, once, and removed with its key.
            Err(_) if self.vault().was_shown(order)? => Err(ClientError::NotFound(SHOWN.into())),
            Err(why) => {
                // A store that will not hear of it does not keep its user from hearing.
                let told = match say(false).await {
                    Ok(()) => "The store was told; its operator decides".to_owned(),
                    Err(error) => format!("The store does not take that: {error}. Tell its operator and the merchant"),
                };
                Err(ClientError::CodeNotAsBought { order: *order, why: why.into(), told })
            }
        }
    }

    /// An order as the store shows it to this terminal, with what it delivers.
    async fn ask_about(&self, order: &OrderId) -> Result<CodeOrderAnswer, ClientError> {
        Ok(self.session()?.get(&paths::fill(paths::CODE, &[order])).await?)
    }

    /// The keys of a merchant that something was bought from here before. A key that nobody has compared is nobody's.
    /// If the store says nothing of the merchant, or names a key that its user has to compare, those that are pinned,
    /// and why there may be others.
    async fn keys_of(&self, name: &MerchantName) -> Result<(MerchantKeys, Option<ClientError>), ClientError> {
        match self.merchant(name).await {
            Ok(merchant) if merchant.standing == Standing::New => {
                Err(ClientError::MerchantNew { merchant: name.clone(), found: merchant.key.thumbprint() })
            }
            Ok(merchant) => {
                merchant_pin::remember(&self.shared().state, self.origin(), name, &merchant.judged).await?;
                Ok((merchant.judged.keys, None))
            }
            Err(error @ (ClientError::NotFound(_) | ClientError::MerchantChanged { .. })) => {
                match merchant_pin::read(&self.shared().state, self.origin(), name)? {
                    Some(pinned) => Ok((pinned, Some(error))),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The merchant of an order, if nothing was bought from it at this terminal before: its user compares its key
    /// first.
    ///
    /// # Errors
    /// [`ClientError::NotFound`], [`ClientError::MerchantChanged`].
    pub async fn new_merchant(&self, order: &OrderId) -> Result<Option<Merchant>, ClientError> {
        let CodeOrderAnswer { info, .. } = self.ask_about(order).await?;
        match self.merchant(&info.merchant).await {
            Ok(merchant) => Ok(Some(merchant).filter(|merchant| merchant.standing == Standing::New)),
            // It sells nothing any more.
            Err(ClientError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pins the key of a merchant that its user has compared.
    ///
    /// # Errors
    /// [`ClientError::State`]; [`ClientError::MerchantChanged`] if another process has accepted another key meanwhile.
    pub async fn accept_merchant(&self, merchant: &Merchant) -> Result<(), ClientError> {
        merchant_pin::remember(&self.shared().state, self.origin(), &merchant.name, &merchant.judged).await
    }

    /// What the store says that an order is for, as far as its merchant signed it, and as it was known here before.
    async fn terms_of(
        &self,
        order: &OrderId,
        info: &CodeOrderInfo,
        bound: Option<BoundOrder>,
    ) -> Result<OrderTerms, ClientError> {
        let (merchant, doubt) = self.keys_of(&info.merchant).await?;
        let product = self.product(&merchant, &info.merchant, &info.product);
        let product = product.map_err(|error| doubt.unwrap_or(error))?;
        let terms = OrderTerms { product: product.digest(), quantity: info.quantity, amount: info.amount };
        if bound.is_some_and(|bound| bound.terms != terms) {
            let why = "the store says now that another product, number or amount was ordered";
            let told = "No key was made for that. Tell its operator and the merchant".to_owned();
            return Err(ClientError::CodeNotAsBought { order: *order, why: why.into(), told });
        }
        Ok(terms)
    }

    /// Makes the key of an order that was bought in a browser. Asked again, it is the same key, for the same terms.
    async fn make_wanted_key(
        &self,
        order: &OrderId,
        info: &CodeOrderInfo,
        bound: Option<BoundOrder>,
    ) -> Result<(), ClientError> {
        let terms = self.terms_of(order, info, bound).await?;
        let recipient = match bound.and_then(|bound| bound.recipient) {
            Some(recipient) => recipient,
            None => {
                let recipient = self.vault().make_key(terms).await?;
                self.vault().bind(*order, BoundOrder { terms, recipient: Some(recipient) }).await?;
                recipient
            }
        };
        self.send_key(order, RecipientRequest { recipient, first: true }).await.map(drop)
    }

    async fn send_key(&self, order: &OrderId, body: RecipientRequest) -> Result<Generation, ClientError> {
        let path = paths::fill(paths::CODE_RECIPIENT, &[order]);
        let session = self.session()?;
        let answer: RecipientAnswer = session.post(&path, &body, random::idempotency_key(), Patience::Write).await?;
        Ok(answer.generation)
    }

    /// Has an order delivered to this terminal from now on, under a new key. Returns which sealing will be for it.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `confirmation-required` if the account's holder has to choose this terminal on the
    /// order's page first; `rate-limited` while a code is on its way, `order-closed` if there is nothing more to
    /// deliver. [`ClientError::MerchantNew`]: [`Storefront::accept_merchant`]. [`ClientError::CodeNotAsBought`] if this
    /// terminal knows it as an order of something else.
    pub async fn take_over_codes(&self, order: &OrderId) -> Result<Generation, ClientError> {
        if self.vault().was_shown(order)? {
            return Err(ClientError::NotFound(SHOWN.into()));
        }
        let CodeOrderAnswer { info, .. } = self.ask_about(order).await?;
        let bound = self.vault().bound(order)?;
        if info.key_wanted {
            self.make_wanted_key(order, &info, bound).await?;
            return Ok(info.generation);
        }
        let terms = self.terms_of(order, &info, bound).await?;
        // One that the store did not take yet is the one that it gets once it does.
        let recipient = match bound.and_then(|bound| bound.recipient) {
            Some(recipient) if self.vault().key(&recipient)?.is_some() => recipient,
            _ => self.vault().make_key(terms).await?,
        };
        self.vault().bind(*order, BoundOrder { terms, recipient: Some(recipient) }).await?;
        self.send_key(order, RecipientRequest { recipient, first: false }).await
    }

    /// Turns a redemption code into rights. Repeated, it says the same again.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `code-unknown`, `code-spent`, `code-void`.
    pub async fn redeem(&self, code: &str) -> Result<RedemptionAnswer, ClientError> {
        let body = RedemptionRequest { code: code.to_owned() };
        Ok(self.session()?.post(paths::REDEMPTIONS, &body, random::idempotency_key(), Patience::Write).await?)
    }

    fn vault(&self) -> CodeVault {
        CodeVault::of(self.journal(), self.origin())
    }
}

/// Tells the store that the codes of a sealing are here, or cannot be read.
async fn acknowledge(
    session: &Session,
    order: &OrderId,
    generation: Generation,
    sealed: &SealedBytes,
    readable: bool,
) -> Result<(), RequestError> {
    let ack = CodeAckRequest { generation, ciphertext: sealed.digest(), readable };
    let path = paths::fill(paths::CODE_ACK, &[order]);
    session.post(&path, &ack, random::idempotency_key(), Patience::Write).await.map(|_: CodeAckAnswer| ())
}

/// Whether what was delivered is what was bought, sealed to the key of this very order.
#[expect(clippy::too_many_arguments, reason = "everything that has to fit")]
fn checked(
    order: OrderId,
    merchant: &MerchantName,
    origin: &Origin,
    key: &ReleaseSecretKey,
    terms: OrderTerms,
    verification: &Verified<portcullis_protocol::Verification>,
    code: &SealedCode,
    sealed: &SealedBytes,
) -> Result<(), Wrong> {
    let said = verification.document();
    let recipient = Octets(*key.public().as_bytes());
    if said.order != order || said.merchant != *merchant || code.order != order || code.merchant != *merchant {
        return Err("it is for another order or of another merchant");
    }
    if said.recipient != recipient || code.recipient != recipient {
        return Err("the store or the merchant has put another key in the place of the order's");
    }
    let is_as_ordered = terms.product == said.product && terms.quantity == said.quantity && terms.amount == said.amount;
    if !is_as_ordered {
        return Err("the store told the merchant of another product, quantity or amount");
    }
    if code.aud != *origin || code.verification != verification.digest() || code.generation != said.generation {
        return Err("the merchant signed it for something else");
    }
    if code.ciphertext != sealed.digest() { Err("what came is not what the merchant signed") } else { Ok(()) }
}
