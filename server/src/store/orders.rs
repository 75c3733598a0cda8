//! Orders: `pending → paid | declined`, `paid → refunding → refunded`. And `declined → refunding` if the provider has the
//! money all the same; `pending → refunding` if it has the money for what cannot be given any more.

use super::{AccountPage, Begun, EntitlementId, Idempotency, OfferRevision, Page, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, Money, Offer, OrderId, Reason, TerminalId};

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
        /// How much of it was still there when it was paid back, or is being paid back.
        returned: Option<Money>,
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
}

/// Everything an order is decided on, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct OrderCase {
    /// The moment.
    pub now: Timestamp,
    /// What this very request found before. Where it is not [`Begun::New`], nothing else is filled.
    pub begun: Begun,
    /// The accepted offer, where it is in force.
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
    /// No version that is not withdrawn has the operation.
    NoOperation,
    /// The publisher's account is suspended.
    PublisherSuspended,
}

/// Why an order would give nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redundant {
    /// The account holds the operation for good.
    Held,
    /// The operation is free.
    Free,
    /// The operation is on order, for good, on other terms.
    OnOrder,
}

/// An order to be opened.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its identifier.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// From which terminal.
    pub terminal: TerminalId,
    /// The digest of the accepted offer: the transaction takes the amount from the revision in force.
    pub offer: Digest,
    /// The payment provider.
    pub provider: String,
    /// Whether the buyer wants it although it gives nothing new, or the same is on order.
    pub again: bool,
    /// The request's identity.
    pub request: Idempotency,
}

/// A top-up to be opened: an order of money.
#[derive(Debug, Clone)]
pub struct NewTopUp {
    /// Its identifier.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// From which terminal.
    pub terminal: TerminalId,
    /// How much, above zero.
    pub amount: Money,
    /// The payment provider.
    pub provider: String,
    /// Whether the account wants it although a top-up of the same amount is pending.
    pub again: bool,
    /// The request's identity.
    pub request: Idempotency,
}

/// What became of opening an order.
#[derive(Debug, Clone)]
pub enum OpenOutcome {
    /// It is pending.
    Opened(Box<Order>),
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
    /// The balance would grow beyond what money can be, or the account has balances in too many currencies.
    NoRoom,
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
}

/// What became of settling an order.
#[derive(Debug, Clone)]
pub enum SettleOutcome {
    /// The order as it now stands. If it was settled before, that stands. One that is paid although it counts as declined,
    /// or although nothing can be given for it any more, is on its way to being paid back.
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
    /// Of a top-up nothing is left that could be paid back.
    NothingLeft,
    /// There is no such order.
    Unknown,
}

/// Orders.
#[async_trait]
pub trait Orders {
    /// Reads what an order is decided on.
    async fn order_case(
        &self,
        terminal: &TerminalId,
        request: &Idempotency,
        offer: &Digest,
    ) -> Result<OrderCase, StoreError>;

    /// What this very request of a terminal found before.
    async fn order_begun(&self, terminal: &TerminalId, request: &Idempotency) -> Result<Begun, StoreError>;

    /// Opens an order at the price in force, before the provider is asked.
    async fn open_order(&self, order: NewOrder) -> Result<OpenOutcome, StoreError>;

    /// Opens a top-up, before the provider is asked.
    async fn open_top_up(&self, top_up: NewTopUp) -> Result<OpenOutcome, StoreError>;

    /// Settles a pending order, in one transaction: state, ledger, entitlement or balance, receipt, log.
    async fn settle_order(&self, order: &OrderId, settlement: Settlement) -> Result<SettleOutcome, StoreError>;

    /// Takes back what a paid order gave, in one transaction: the entitlement, its grants and its holds; of a top-up what
    /// is left of it.
    async fn begin_refund(&self, order: &OrderId) -> Result<RefundOutcome, StoreError>;

    /// Records that the provider paid back: state and ledger.
    async fn finish_refund(&self, order: &OrderId) -> Result<RefundOutcome, StoreError>;

    /// An order.
    async fn order(&self, order: &OrderId) -> Result<Option<Order>, StoreError>;

    /// The orders of an account that were paid back or are being paid back, newest first, with when that last changed: at
    /// most `limit` after the first `skip`.
    async fn refunds(&self, account: &AccountId, skip: u32, limit: u32) -> Result<Vec<(Order, Timestamp)>, StoreError>;

    /// A page of the compact receipts of the orders of rights of an account, newest first.
    async fn receipts(&self, account: &AccountId, page: AccountPage) -> Result<Page<String>, StoreError>;

    /// Orders that are not final, pending or refunding, oldest first: at most `limit` after the one given.
    async fn open_orders(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>, StoreError>;
}

impl Order {
    /// What is charged.
    #[must_use]
    pub const fn amount(&self) -> Money {
        match &self.goods {
            Goods::Rights { offer, .. } => offer.price,
            Goods::TopUp { amount, .. } => *amount,
        }
    }

    /// What is paid back, where it is: of rights their whole price, of a top-up what was left of it.
    #[must_use]
    pub const fn refund(&self) -> Money {
        match &self.goods {
            Goods::TopUp { returned: Some(returned), .. } => *returned,
            Goods::Rights { .. } | Goods::TopUp { .. } => self.amount(),
        }
    }
}
