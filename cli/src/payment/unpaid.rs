//! Orders that are not paid, as lists show them.

use portcullis_protocol::text::counted;
use portcullis_protocol::wire::{PaymentStep, UnpaidGoods, UnpaidOrder};
use serde::Serialize;

use crate::screen::output::{date, style};

/// An order whose payment is not decided, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct UnpaidLine {
    order: String,
    goods: UnpaidGoods,
    amount: String,
    at: u64,
    /// By when it has to be paid.
    until: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<PaymentStep>,
}

impl From<UnpaidOrder> for UnpaidLine {
    fn from(unpaid: UnpaidOrder) -> Self {
        let UnpaidOrder { order, goods, amount, at, until, next } = unpaid;
        Self { order: order.to_string(), goods, amount: amount.to_string(), at, until, next }
    }
}

impl UnpaidLine {
    /// A line of a list, and below it what can be done about it.
    pub(crate) fn text(&self) -> String {
        let (strong, warn, dim) = (style::STRONG, style::WARN, style::DIM);
        let what = match &self.goods {
            UnpaidGoods::Rights { publisher, name, operation, .. } => {
                format!("{strong}{publisher}/{name}{strong:#} {operation}: {}", self.amount)
            }
            UnpaidGoods::TopUp {} => format!("{strong}money for your balance{strong:#}: {}", self.amount),
            UnpaidGoods::Codes { merchant, title, quantity, .. } => {
                format!("{strong}{merchant}{strong:#}: {}, {} of {title}", self.amount, counted(quantity.get(), "code"))
            }
        };
        format!(
            "{}  {warn}not paid{warn:#}  {what}  {dim}order {}{dim:#}\n    {}\n",
            date(self.at),
            self.order,
            next(&self.order, self.next.as_ref())
        )
    }
}

/// What can be done about an order that is not paid.
pub(crate) fn next(order: &str, next: Option<&PaymentStep>) -> String {
    match next {
        Some(step) => format!("pay at {}; or give it up: `portcullis cancel {order}`", step.url),
        None => format!("its payment provider has not decided; give it up: `portcullis cancel {order}`"),
    }
}
