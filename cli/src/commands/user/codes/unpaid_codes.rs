//! Orders of codes that are not paid yet.

use portcullis_host::{ClientError, Storefront};
use portcullis_protocol::wire::{PaymentStep, UnpaidGoods, UnpaidOrder};
use portcullis_protocol::{MerchantName, Money, OrderId, TerminalId, Title};

use crate::payment::unpaid_line::what_to_do;

/// An order of codes whose payment is not decided, by the store's word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UnpaidCodes {
    pub(super) order: OrderId,
    pub(super) merchant: MerchantName,
    pub(super) title: Title,
    pub(super) quantity: u32,
    pub(super) amount: Money,
    /// The terminal that they come to once they are paid.
    pub(super) terminal: Option<TerminalId>,
    /// By when they have to be paid, Unix seconds.
    pub(super) until: u64,
    /// The address at which they are paid.
    pub(super) step: Option<PaymentStep>,
}

impl UnpaidCodes {
    /// What is said in place of the state of a delivery.
    pub(super) const STATE: &str = "unpaid";

    /// All of the account, newest first.
    pub(super) async fn all(store: &Storefront) -> Result<Vec<Self>, ClientError> {
        let of_codes = |order: UnpaidOrder| match order.goods {
            UnpaidGoods::Codes { merchant, title, quantity, terminal } => Some(Self {
                order: order.order,
                merchant,
                title,
                quantity: quantity.get(),
                amount: order.amount,
                terminal,
                until: order.until,
                step: order.next,
            }),
            _ => None,
        };
        Ok(store.unpaid_orders().await?.into_iter().filter_map(of_codes).collect())
    }

    /// What its buyer has to do.
    pub(super) fn next(&self) -> String {
        what_to_do(&self.order.to_string(), self.until, self.step.as_ref())
    }
}
