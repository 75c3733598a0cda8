//! Orders: `pending → paid | declined`, `paid → refunding → refunded`. And `declined → refunding` if the provider has
//! the money all the same; `pending → refunding` if it has the money for what cannot be given any more. A payer who
//! disputes the payment bars what it gave: `paid → disputed → paid | charged back`, or `paid → charged back` at once.
//! What providers say by themselves moves orders as [`consequence`](crate::billing::events::consequence) says.

use super::{AccountPage, AnswerScope, Begun, CodesOffSale, EffectClaim, Holder, Idempotency, Page, StoreError};
use crate::billing::entitlement::EntitlementId;
use crate::billing::events::Consequence;
use crate::billing::offer_revision::OfferRevision;
use crate::billing::payment::PaymentEvent;
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::wire::{self, PaymentStep};
use portcullis_protocol::{AccountId, Digest, Money, Offer, OrderId, Product, Reason, TerminalId};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderPhase {
    /// The provider has not decided, or its decision was not heard.
    Pending,
    /// Paid; the rights are given.
    Paid,
    /// Declined; nothing is owed.
    Declined,
    /// The rights are taken back, or none were given; the provider has not confirmed that it paid back.
    Refunding,
    /// Paid back.
    Refunded,
    /// The payer disputes the payment: the rights are barred, the provider holds the money back.
    Disputed,
    /// The payer has the money back through his bank; the rights are taken back.
    ChargedBack,
}

impl OrderPhase {
    /// Its name, for figures.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::ChargedBack => "charged-back",
        }
    }
}

/// Kinds of goods, each with a list of receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoodsKind {
    /// Rights.
    Rights,
    /// Money for the prepaid balance.
    TopUp,
    /// Electronic codes.
    Codes,
}

/// What an order is for.
#[derive(Debug, Clone)]
pub enum Goods {
    /// Rights.
    Rights {
        /// The offer that was accepted, as it was.
        offer: Box<Offer>,
        /// Its digest.
        digest: Digest,
    },
    /// Money for the account's prepaid balance.
    TopUp {
        /// How much was paid in.
        amount: Money,
        /// How much of it was paid back or is being paid back; of one that is disputed, how much was still there.
        returned: Option<Money>,
    },
    /// Electronic codes of a merchant. Where their delivery stands says [`CodeOrder`](super::CodeOrder).
    Codes {
        /// What was ordered.
        product: Box<Product>,
        /// Its digest.
        digest: Digest,
        /// How many.
        quantity: Quantity,
        /// What is charged for all of them.
        amount: Money,
        /// Where they are delivered, if that is a terminal.
        terminal: Option<TerminalId>,
    },
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its identifier.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Where it stands.
    pub phase: OrderPhase,
    /// What it is for.
    pub goods: Goods,
    /// The payment provider.
    pub provider: String,
    /// The compact receipt, once paid.
    pub receipt: Option<String>,
    /// When it was opened.
    pub created: Timestamp,
    /// Whether its buyer confirmed that it gives nothing new, or that the same is on order.
    pub again: bool,
    /// The provider's own name for the payment.
    pub reference: Option<String>,
    /// What the buyer has to do before the provider decides.
    pub next: Option<PaymentStep>,
    /// By when it has to be paid.
    pub ends: Timestamp,
}

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// As a terminal sends it: of codes, with the key of the order.
    Sent(wire::Goods),
    /// Codes, in a browser, which has no key.
    InBrowser(BrowserCodes),
}

/// Codes that are bought in a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserCodes {
    /// The digest of the product, in the revision that was shown.
    pub product: Digest,
    /// How many.
    pub quantity: Quantity,
    /// The digest of the payment request that is paid.
    pub request: Option<Digest>,
    /// The terminal that makes the key of the order, once it is paid: the one that the account has preset.
    pub terminal: TerminalId,
}

impl From<wire::Goods> for Ordered {
    fn from(goods: wire::Goods) -> Self {
        Self::Sent(goods)
    }
}

/// Who buys: an account, and where it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buyer {
    /// At an enrolled terminal.
    Terminal {
        /// The account.
        account: AccountId,
        /// The terminal.
        terminal: TerminalId,
    },
    /// In a browser that is signed in.
    Browser(Holder),
}

impl Buyer {
    /// The account.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        match self {
            Self::Terminal { account, .. } | Self::Browser(Holder { account, .. }) => account,
        }
    }

    /// The terminal, if it is one.
    #[must_use]
    pub const fn terminal(&self) -> Option<&TerminalId> {
        match self {
            Self::Terminal { terminal, .. } => Some(terminal),
            Self::Browser(_) => None,
        }
    }

    /// Whose Idempotency-Keys its requests have.
    #[must_use]
    pub const fn scope(&self) -> AnswerScope {
        match self {
            Self::Terminal { terminal, .. } => AnswerScope::Terminal(*terminal),
            Self::Browser(holder) => AnswerScope::Account(holder.account),
        }
    }
}

/// Everything an order is decided on, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct OrderCase {
    /// The moment.
    pub now: Timestamp,
    /// What this very request found before. Where it is not [`Begun::New`], nothing else is filled.
    pub begun: Begun,
    /// The accepted offer, if it is in force.
    pub offer: Option<OfferRevision>,
    /// Why nothing can be granted under it at present.
    pub off_sale: Option<OffSale>,
    /// The offers on sale for the operation of the accepted one, whether that still is or only was.
    pub current: Vec<OfferRevision>,
}

/// Why an offer in force is not on sale: what it sells could not be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffSale {
    /// Every version was withdrawn.
    Withdrawn,
    /// Its publisher has changed its key, and the key in use has adopted none of the versions.
    NotAdopted,
    /// No version that is sold has the operation.
    NoOperation,
    /// The publisher's account is suspended.
    PublisherSuspended,
}

/// Why an order would give nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redundant {
    /// The account holds the operation for good.
    Held,
    /// The account holds the operation until this moment, and what is ordered ends as well.
    HeldUntil(Timestamp),
    /// The account has had the operation for nothing before, which can be had once.
    Had,
    /// The operation is free.
    Free,
    /// The operation is on order, for good, on other terms.
    OnOrder(OrderId),
    /// Rights that are counted are on order for the operation. More of them would be worth more, but nobody knows
    /// whether more is wanted, or the same twice.
    Pending(OrderId),
}

/// An order to be opened.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its identifier.
    pub id: OrderId,
    /// Who buys.
    pub buyer: Buyer,
    /// What is bought: of an offer, the transaction takes the amount from the revision in force.
    pub goods: Ordered,
    /// The payment provider.
    pub provider: String,
    /// Whether the buyer wants it although it gives nothing new, or the same is on order.
    pub again: bool,
    /// The request's identity.
    pub request: Idempotency,
}

/// What a provider said of a payment that has begun.
#[derive(Debug, Clone)]
pub struct PaymentRecord {
    /// Its own name for the payment.
    pub reference: Option<String>,
    /// What the buyer has to do.
    pub next: Option<PaymentStep>,
    /// Means of payment that it keeps from now on.
    pub saved: Option<StoredMeans>,
}

/// Means of payment that a provider keeps for an account.
#[derive(Debug, Clone)]
pub struct StoredMeans {
    /// The provider's reference, sealed.
    pub reference: Sealed,
    /// What the account's owner knows them by.
    pub label: String,
}

/// What became of opening an order.
#[derive(Debug, Clone)]
pub enum OpenOutcome {
    /// It is pending, and this request's to charge.
    Opened(Box<Order>, EffectClaim),
    /// The same request was made meanwhile.
    Begun(Begun),
    /// The same is on order, and its provider has not decided: this is that order.
    Joined(Box<Order>),
    /// It would give nothing new, and nobody confirmed that this is wanted.
    Redundant(Redundant),
    /// The terminal was revoked or the account suspended meanwhile.
    ShutOut(Reason),
    /// The offer is no longer on sale: look again.
    Changed,
    /// The codes are not sold, or not to this request.
    CodesOffSale(CodesOffSale),
    /// The balance would grow beyond what money can be, or the account has balances in too many currencies.
    NoRoom,
    /// As many orders of the account as there can be wait for their payment.
    TooManyPending,
    /// As many orders of the account as there can be ended unpaid lately.
    TooManyUnpaid,
}

/// What the provider decided.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// It has the money.
    Paid {
        /// The entitlement that an order of rights gives.
        entitlement: EntitlementId,
        /// The compact receipt.
        receipt: String,
    },
    /// It declined.
    Declined,
    /// It has no money, and the time in which the order had to be paid is over.
    Ended,
    /// Its buyer gives it up. What is paid all the same goes back.
    GivenUp,
}

/// What became of settling an order.
#[derive(Debug, Clone)]
pub enum SettleOutcome {
    /// The order as it now stands. If it was settled before, that stands. One that is paid although it counts as
    /// declined, or although nothing can be given for it any more, is on its way to being paid back.
    Order(Box<Order>),
    /// There is no such order.
    Unknown,
}

/// What became of a step of a refund.
#[derive(Debug, Clone)]
pub enum RefundOutcome {
    /// Done, now or before.
    Done(Box<Order>),
    /// The order is not in a state that can be refunded.
    NotPaid(OrderPhase),
    /// Of a top-up nothing is left that could be paid back, or codes hold it.
    NothingLeft,
    /// There is no such order.
    Unknown,
}

/// Orders.
#[async_trait]
pub trait Orders {
    /// Reads what an order is decided on: of rights, with the offer that was accepted.
    async fn order_case(
        &self,
        buyer: &Buyer,
        request: &Idempotency,
        offer: Option<&Digest>,
    ) -> Result<OrderCase, StoreError>;

    /// Opens an order at the price in force, before the provider is asked.
    async fn open_order(&self, order: NewOrder) -> Result<OpenOutcome, StoreError>;

    /// Records what the provider of an order that is pending said of its payment, and when it is looked up again;
    /// without that the charge goes on. Returns the order as it now stands. A claim that is not in force any more
    /// records nothing.
    async fn record_payment(
        &self,
        order: &OrderId,
        record: PaymentRecord,
        claim: &EffectClaim,
        again: Option<Timestamp>,
    ) -> Result<Option<Order>, StoreError>;

    /// The means of payment that a provider keeps for an account.
    async fn saved_means(&self, account: &AccountId, provider: &str) -> Result<Option<StoredMeans>, StoreError>;

    /// Forgets the means of payment that a provider keeps for an account. Returns whether there were any.
    async fn forget_means(&self, account: &AccountId, provider: &str) -> Result<bool, StoreError>;

    /// Does what follows from an event of the order's provider, in one transaction: state, rights or balance, ledger.
    /// Returns the order as it now stands, and what followed. An event that was heard before changes nothing. That the
    /// provider has decided on a pending order is for [`Orders::settle_order`].
    async fn hear_event(&self, event: &PaymentEvent) -> Result<Option<(Order, Consequence)>, StoreError>;

    /// Settles a pending order, in one transaction: state, ledger, entitlement or balance, receipt, log. With a claim
    /// of its charge nothing happens if somebody else has claimed it since; without one it is the provider's own word,
    /// or the operator's.
    async fn settle_order(
        &self,
        order: &OrderId,
        settlement: Settlement,
        claim: Option<&EffectClaim>,
    ) -> Result<SettleOutcome, StoreError>;

    /// Takes back what a paid order gave, in one transaction: the entitlement, its grants and its holds; of a top-up
    /// what is left of it. Of an order that is on its way back, the caller may have the claim of its refund.
    async fn begin_refund(&self, order: &OrderId) -> Result<(RefundOutcome, Option<EffectClaim>), StoreError>;

    /// Records that the provider paid back: state and ledger. With a claim as in [`Orders::settle_order`].
    async fn finish_refund(&self, order: &OrderId, claim: Option<&EffectClaim>) -> Result<RefundOutcome, StoreError>;

    /// An order.
    async fn order(&self, order: &OrderId) -> Result<Option<Order>, StoreError>;

    /// The orders of an account that were paid back or are being paid back, charged back or disputed, newest first,
    /// with when that last changed: at most `limit` after the first `skip`.
    async fn refunds(&self, account: &AccountId, skip: u32, limit: u32) -> Result<Vec<(Order, Timestamp)>, StoreError>;

    /// A page of the compact receipts of an account for goods of one kind, newest first.
    async fn receipts(
        &self,
        account: &AccountId,
        kind: GoodsKind,
        page: AccountPage,
    ) -> Result<Page<String>, StoreError>;

    /// A page of the orders of an account, newest first.
    async fn orders_of(&self, account: &AccountId, page: AccountPage) -> Result<Page<Order>, StoreError>;

    /// The orders of an account whose payment is not decided, newest first: as many as it may have, which are few.
    async fn unpaid_orders(&self, account: &AccountId) -> Result<Vec<Order>, StoreError>;

    /// Orders that are not final, pending or refunding, oldest first: at most `limit` after the one given.
    async fn open_orders(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>, StoreError>;
}

impl Order {
    /// What is charged.
    #[must_use]
    pub const fn amount(&self) -> Money {
        match &self.goods {
            Goods::Rights { offer, .. } => offer.price,
            Goods::TopUp { amount, .. } | Goods::Codes { amount, .. } => *amount,
        }
    }

    /// What is paid back, if it is: of rights their whole price, of a top-up what was left of it. What is charged back,
    /// or paid back by the provider itself, is always the whole amount.
    #[must_use]
    pub const fn refund(&self) -> Money {
        match (&self.goods, self.phase) {
            (_, OrderPhase::Disputed | OrderPhase::ChargedBack) => self.amount(),
            (Goods::TopUp { returned: Some(returned), .. }, _) => *returned,
            (Goods::Rights { .. } | Goods::TopUp { .. } | Goods::Codes { .. }, _) => self.amount(),
        }
    }
}
