//! Orders that are not paid, as lists show them.

use portcullis_protocol::text::counted;
use portcullis_protocol::wire::{PaymentStep, UnpaidGoods, UnpaidOrder};
use serde::Serialize;

use crate::screen::hint;
use crate::screen::moment::minute;
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
    /// A line of a list, by the store's word, and below it what can be done about it.
    pub(crate) fn text(&self) -> String {
        let (strong, warn, dim) = (style::STRONG, style::WARN, style::DIM);
        let what = match &self.goods {
            UnpaidGoods::Rights { publisher, name, operation, title } => {
                let title = title.as_ref().map_or_else(String::new, |title| format!(", {title}"));
                format!("{strong}{publisher}/{name}{strong:#} {operation}: {}{title}", self.amount)
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
            what_to_do(&self.order, self.until, self.next.as_ref())
        )
    }
}

/// What can be done about an order that is not paid, and by when, in Unix seconds.
pub(crate) fn what_to_do(order: &str, until: u64, step: Option<&PaymentStep>) -> String {
    let until = minute(until);
    let cancel = hint::typed("portcullis cancel");
    match step {
        Some(step) => format!("pay by {until} at {}; or give it up: `{cancel} {order}`", step.url),
        None => {
            format!("its payment provider has not decided, and has until {until}; to give it up: `{cancel} {order}`")
        }
    }
}
