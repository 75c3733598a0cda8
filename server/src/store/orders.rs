//! Orders: `pending → paid | declined`, `paid → refunding → refunded`.

use super::{Begun, EntitlementId, Idempotency, OfferRevision, StoreError};
use crate::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, Money, Offer, OrderId, TerminalId};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderPhase {
    /// The provider has not decided, or its decision was not heard.
    Pending,
    /// Paid; the rights are given.
    Paid,
    /// Declined; nothing is owed.
    Declined,
    /// The rights are taken back; the provider has not confirmed that it paid back.
    Refunding,
    /// Paid back.
    Refunded,
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
    /// The offer that was accepted, as it was.
    pub offer: Offer,
    /// Its digest.
    pub offer_digest: Digest,
    /// The payment provider.
    pub provider: String,
    /// The compact receipt, once paid.
    pub receipt: Option<String>,
    /// When it was opened.
    pub created: Timestamp,
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
    /// The offers in force for the operation of the accepted one, whether that still is or only was.
    pub current: Vec<OfferRevision>,
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
    /// The offer is no longer in force: look again.
    Changed,
}

/// What the provider decided.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// It has the money.
    Paid {
        /// The entitlement that the order gives.
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
    /// The order as it now stands. Where it was settled before, that stands.
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

    /// Opens an order at the price in force, before the provider is asked.
    async fn open_order(&self, order: NewOrder) -> Result<OpenOutcome, StoreError>;

    /// Settles a pending order, in one transaction: state, ledger, entitlement, receipt, log.
    async fn settle_order(&self, order: &OrderId, settlement: Settlement) -> Result<SettleOutcome, StoreError>;

    /// Takes back the rights of a paid order, in one transaction: entitlement, its grants and its holds.
    async fn begin_refund(&self, order: &OrderId) -> Result<RefundOutcome, StoreError>;

    /// Records that the provider paid back: state and ledger.
    async fn finish_refund(&self, order: &OrderId) -> Result<RefundOutcome, StoreError>;

    /// An order.
    async fn order(&self, order: &OrderId) -> Result<Option<Order>, StoreError>;

    /// The paid orders of an account and those paid back, newest first.
    async fn receipts(&self, account: &AccountId) -> Result<Vec<String>, StoreError>;

    /// Every order that is not final: pending or refunding, oldest first.
    async fn open_orders(&self) -> Result<Vec<Order>, StoreError>;
}

impl Order {
    /// What is charged.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.offer.price
    }
}
