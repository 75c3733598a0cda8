//! Orders of codes that are not paid yet.

use portcullis_host::{ClientError, Storefront};
use portcullis_protocol::wire::UnpaidGoods;
use portcullis_protocol::{MerchantName, Money, OrderId, TerminalId};

use crate::payment::unpaid;

/// An order of codes whose payment is not decided.
#[derive(Debug, Clone)]
pub(super) struct Unpaid {
    pub(super) order: OrderId,
    pub(super) merchant: MerchantName,
    pub(super) title: String,
    pub(super) quantity: u32,
    pub(super) amount: Money,
    /// The terminal that they come to once they are paid.
    pub(super) terminal: Option<TerminalId>,
    /// What its buyer has to do.
    pub(super) next: String,
}

impl Unpaid {
    /// What is said in place of the state of a delivery.
    pub(super) const STATE: &str = "not paid";

    /// All of the account, newest first.
    pub(super) async fn all(store: &Storefront) -> Result<Vec<Self>, ClientError> {
        let of_codes = |order: portcullis_protocol::wire::UnpaidOrder| match order.goods {
            UnpaidGoods::Codes { merchant, title, quantity, terminal } => Some(Self {
                order: order.order,
                merchant,
                title,
                quantity: quantity.get(),
                amount: order.amount,
                terminal,
                next: unpaid::next(&order.order.to_string(), order.next.as_ref()),
            }),
            _ => None,
        };
        Ok(store.unpaid_orders().await?.into_iter().filter_map(of_codes).collect())
    }
}
