//! Buying: whatever is bought, rights or prepaid money, is written down, sent, and read back the same way.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::random;
use crate::server::session::{Patience, RequestError, Session};
use crate::server::trust::{self, Trust, offline};
use crate::state::clock::Clock as _;
use crate::state::journal::{JournalEntry, PendingRequest, Record};
use crate::store::ordered_codes::OrderedCodes;
use crate::store::payment_step;
use crate::store::publisher_pin;
use crate::store::storefront::{self, Listing, Storefront};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{self, OrderAnswer, OrderState, PaymentMethod, PaymentStep};
use portcullis_protocol::{
    CodeReceipt, JwsError, KeyDocument, ListedEntry, Money, Offer, OrderId, Receipt, TopUpReceipt, UnknownEntry,
    Verified,
};

/// What is bought.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Goods {
    /// The rights of an offer. The price is the server's own, the one that was signed: if it has changed since, the
    /// order is refused with the current offers.
    Rights(Box<Verified<Offer>>),
    /// Money for the account's prepaid balance.
    TopUp(Money),
    /// Electronic codes of a merchant: see [`Storefront::order_codes`].
    Codes(Box<OrderedCodes>),
}

/// A purchase.
#[derive(Debug, Clone)]
pub struct Purchase {
    goods: Goods,
    payment: PaymentMethod,
    again: bool,
}

impl Purchase {
    /// Of these goods, paid in this way.
    #[must_use]
    pub const fn of(goods: Goods, payment: PaymentMethod) -> Self {
        Self { goods, payment, again: false }
    }

    /// The same, when the user knows that it gives nothing new, or that the same is on order.
    #[must_use]
    pub fn again(self) -> Self {
        Self { again: true, ..self }
    }

    fn request(&self) -> wire::Purchase {
        let goods = match &self.goods {
            Goods::Rights(offer) => wire::Goods::Rights { offer: offer.digest() },
            Goods::TopUp(amount) => wire::Goods::TopUp { amount: *amount },
            Goods::Codes(ordered) => ordered.request(),
        };
        wire::Purchase { goods, payment: self.payment.clone(), again: self.again }
    }
}

/// The receipt of a purchase, signed by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurchaseReceipt {
    /// Of rights.
    Rights(Verified<Receipt>),
    /// Of prepaid money.
    TopUp(Verified<TopUpReceipt>),
    /// Of electronic codes.
    Codes(Verified<CodeReceipt>),
}

impl PurchaseReceipt {
    /// The order that was paid.
    #[must_use]
    pub const fn order(&self) -> OrderId {
        match self {
            Self::Rights(receipt) => receipt.document().order,
            Self::TopUp(receipt) => receipt.document().order,
            Self::Codes(receipt) => receipt.document().order,
        }
    }

    /// The receipt, if it is of rights.
    #[must_use]
    pub const fn rights(&self) -> Option<&Verified<Receipt>> {
        match self {
            Self::Rights(receipt) => Some(receipt),
            Self::TopUp(_) | Self::Codes(_) => None,
        }
    }

    /// The receipt, if it is of prepaid money.
    #[must_use]
    pub const fn top_up(&self) -> Option<&Verified<TopUpReceipt>> {
        match self {
            Self::TopUp(receipt) => Some(receipt),
            Self::Rights(_) | Self::Codes(_) => None,
        }
    }

    /// Whether it is for these goods at this price.
    fn is_for(&self, goods: &Goods) -> bool {
        match (self, goods) {
            (Self::Rights(receipt), Goods::Rights(offer)) => {
                let receipt = receipt.document();
                receipt.offer == offer.digest() && receipt.price == offer.document().price
            }
            (Self::TopUp(receipt), Goods::TopUp(amount)) => receipt.document().amount == *amount,
            (Self::Codes(receipt), Goods::Codes(ordered)) => ordered.is_receipt(receipt.document()),
            (Self::Rights(_) | Self::TopUp(_) | Self::Codes(_), _) => false,
        }
    }

    /// Reads a receipt of whichever kind it is; one of a kind that came later is an unknown entry.
    fn read(keys: &KeyDocument, compact: &str) -> Result<ListedEntry<Self>, JwsError> {
        let read = match Trust::receipt(keys, compact) {
            Err(JwsError::Type { .. }) => match Trust::top_up_receipt(keys, compact) {
                Err(JwsError::Type { .. }) => trust::listed(Trust::code_receipt(keys, compact))?.map(Self::Codes),
                top_up => trust::listed(top_up)?.map(Self::TopUp),
            },
            rights => trust::listed(rights)?.map(Self::Rights),
        };
        Ok(read)
    }
}

/// What became of a purchase.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Order {
    /// Names it.
    pub id: OrderId,
    /// Its state. One that this version does not know is not a payment: look at it again with a later version.
    pub state: OrderState,
    /// The receipt, once paid: signed by the store, for what was bought, at its price.
    pub receipt: Option<PurchaseReceipt>,
    /// A receipt of goods that came after this version, which it cannot read.
    pub unknown_receipt: Option<UnknownEntry>,
    /// What the user has to do before the payment provider decides: open an address in a browser. It is the store's
    /// word, as a link on one of its pages is.
    pub next: Option<PaymentStep>,
    /// Whether it was there before: another request of the account, of this terminal or another one, had ordered the
    /// same.
    pub joined: bool,
}

impl Order {
    /// What was paid for: the receipt, if the order is in the state `paid` and the receipt can be read.
    #[must_use]
    pub fn paid(&self) -> Option<&PurchaseReceipt> {
        self.receipt.as_ref().filter(|_| self.state == OrderState::Paid)
    }
}

impl Storefront {
    /// Buys. An earlier purchase of the same that was never answered is asked about first, so that a lost answer never
    /// buys twice; if the store has decided against it, this one goes out.
    ///
    /// What the account holds for good, or may do for free, is refused with `confirmation-required`, and so is more of
    /// what is counted while an order of that is not paid: then the refusal names that order. What is wanted once and
    /// on order is answered with that order. [`Purchase::again`] buys it all the same.
    ///
    /// # Errors
    /// [`ClientError::Refused`]; [`ClientError::PublisherChanged`] if this terminal would refuse what is bought. A
    /// declined payment is no error: see [`Order::state`].
    pub async fn buy(&self, purchase: Purchase) -> Result<Order, ClientError> {
        let session = self.session()?;
        let (origin, request) = (self.origin().clone(), purchase.request());
        let goods = request.goods;
        let unanswered = move |record: &Record, _| {
            record.origin == origin
                && matches!(&record.request, PendingRequest::Purchase(earlier) if is_same_wish(&earlier.goods, &goods))
        };
        for entry in self.journal().take(unanswered).await? {
            match self.place(&session, entry, &purchase.goods).await? {
                Ok(order) if order.state != OrderState::Declined => return Ok(order),
                Ok(_) | Err(_) => {}
            }
        }
        self.judge(&purchase.goods).await?;
        let now = session.prover().clock().now();
        let key = random::idempotency_key();
        let entry = self.journal().write(self.origin(), &key, now, PendingRequest::Purchase(request)).await?;
        Ok(self.place(&session, entry, &purchase.goods).await??)
    }

    /// Whether what is bought would be refused here once it is paid for: its publisher's key is another than the one
    /// that this terminal knows, and nobody vouches for it. A merchant was judged by whoever has one.
    async fn judge(&self, goods: &Goods) -> Result<(), ClientError> {
        let Goods::Rights(offer) = goods else { return Ok(()) };
        let (offer, state) = (offer.document(), &self.shared().state);
        if publisher_pin::at(state, self.origin(), &offer.publisher)?.is_none() {
            return Ok(());
        }
        let listing = storefront::entry(self.shared(), self.origin(), &offer.publisher, &offer.name).await?;
        let Listing { publisher, publisher_key, vouches, .. } = &listing;
        publisher_pin::judge_seller(state, self.origin(), publisher, publisher_key, vouches)
    }

    /// Buys the rights of an offer: see [`Storefront::buy`].
    ///
    /// # Errors
    /// As [`Storefront::buy`].
    pub async fn order(&self, offer: &Verified<Offer>, payment: PaymentMethod) -> Result<Order, ClientError> {
        self.buy(Purchase::of(Goods::Rights(Box::new(offer.clone())), payment)).await
    }

    /// Pays money into the account's prepaid balance: see [`Storefront::buy`].
    ///
    /// # Errors
    /// As [`Storefront::buy`].
    pub async fn top_up(&self, amount: Money, payment: PaymentMethod) -> Result<Order, ClientError> {
        self.buy(Purchase::of(Goods::TopUp(amount), payment)).await
    }

    /// Asks for what an entry says, and ends the entry with the store's decision, which is the inner result: a signed
    /// no has bought nothing.
    async fn place(
        &self,
        session: &Session,
        entry: JournalEntry,
        goods: &Goods,
    ) -> Result<Result<Order, Refused>, ClientError> {
        let Record { request: PendingRequest::Purchase(request), key, .. } = entry.record() else {
            return Err(offline("not a purchase").into());
        };
        let answer = session.post::<OrderAnswer>(request.goods.path(), request, key.clone(), Patience::Purchase).await;
        match answer {
            Ok(answer) => {
                // Read first: an answer that cannot be read now is asked for again, and nothing is bought twice.
                let order = self.read_order(answer, Some(goods)).await?;
                entry.finish()?;
                Ok(Ok(order))
            }
            Err(no) => decided(no, entry).map(Err),
        }
    }

    /// What became of an order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn order_state(&self, order: OrderId) -> Result<Order, ClientError> {
        let answer = self.session()?.get(&paths::fill(paths::ORDER, &[&order])).await?;
        self.read_order(answer, None).await
    }

    /// Gives an order up that is not paid yet: it ends unpaid, and what is paid for it after that goes back. One that
    /// is decided by then stays as it is, and is returned.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn give_up(&self, order: OrderId) -> Result<Order, ClientError> {
        let path = paths::fill(paths::ORDER_CANCEL, &[&order]);
        let (session, key) = (self.session()?, random::idempotency_key());
        let answer = session.post::<OrderAnswer>(&path, &serde_json::json!({}), key, Patience::Purchase).await?;
        if answer.order != order {
            return Err(offline("the answer is about another order").into());
        }
        self.read_order(answer, None).await
    }

    async fn read_order(&self, answer: OrderAnswer, goods: Option<&Goods>) -> Result<Order, ClientError> {
        let OrderAnswer { order, state, receipt, next, joined } = answer;
        let (receipt, unknown_receipt) = match receipt {
            Some(compact) => {
                let keys = self.keys().await?;
                let read = PurchaseReceipt::read(&keys, &compact);
                match read.map_err(|error| offline(format!("a receipt does not verify: {error}")))? {
                    ListedEntry::Known(receipt) => (Some(receipt), None),
                    // What is known was ordered, so its receipt is known.
                    ListedEntry::Unknown(_) if goods.is_some() => {
                        return Err(offline("the receipt is for another order").into());
                    }
                    ListedEntry::Unknown(unknown) => (None, Some(unknown)),
                }
            }
            None => (None, None),
        };
        let fits =
            |receipt: &PurchaseReceipt| receipt.order() == order && goods.is_none_or(|goods| receipt.is_for(goods));
        if !receipt.as_ref().is_none_or(fits) {
            return Err(offline("the receipt is for another order").into());
        }
        let next = next.and_then(payment_step::followed);
        Ok(Order { id: order, state, receipt, unknown_receipt, next, joined })
    }
}

/// Whether an earlier purchase was of the same. Each order of codes has a key of its own, which is no part of what is
/// wanted.
fn is_same_wish(earlier: &wire::Goods, wanted: &wire::Goods) -> bool {
    match (earlier, wanted) {
        (
            wire::Goods::Codes { product, quantity, request, .. },
            wire::Goods::Codes { product: other, quantity: many, request: asked, .. },
        ) => product == other && quantity == many && request == asked,
        (earlier, wanted) => earlier == wanted,
    }
}

/// Ends an entry with the store's signed no to it. Anything else may come from the line, or from a server that has not
/// decided: then the entry stays, and is asked about again.
fn decided(no: RequestError, entry: JournalEntry) -> Result<Refused, ClientError> {
    match no {
        RequestError::Refused(refused) if !refused.is_undecided() => {
            entry.finish()?;
            Ok(refused)
        }
        no => Err(no.into()),
    }
}
