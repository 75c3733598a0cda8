//! `portcullis top-up`: pay money in.

use clap::Args;
use portcullis_host::{Goods, Purchase, PurchaseReceipt};
use portcullis_protocol::Money;
use portcullis_protocol::wire::{OrderState, PaymentStep};
use serde::Serialize;

use super::balance::BalanceLine;
use super::receipts::TopUpLine;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::{self, Again, Payment};
use crate::screen::hint;
use crate::screen::output::{Lines, Report, style};

/// Pay money into your balance, for operations that are sold by the unit
#[derive(Debug, Args)]
pub(crate) struct TopUp {
    /// How much, as in 5.00EUR
    amount: Money,
    /// Pay without being asked
    #[arg(long)]
    yes: bool,
    /// Pay although a top-up of the same amount is pending
    #[arg(long)]
    again: bool,
    /// How to pay; the provider `sandbox` moves no money, and a store that lacks a provider names those that it has
    #[arg(long, value_name = "PROVIDER:TOKEN", default_value = "sandbox:ok")]
    payment: Payment,
    #[command(flatten)]
    store: ServerOption,
}

/// What was paid in.
#[derive(Serialize)]
struct PaidIn {
    server: String,
    order: String,
    state: OrderState,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<TopUpLine>,
    /// What has to be done before the provider decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<PaymentStep>,
    /// None if the store does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    balances: Option<Vec<BalanceLine>>,
    /// It was on order before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    joined: bool,
}

impl TopUp {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let amount = self.amount;
        if amount.is_zero() {
            return Err(Failure::usage("the amount must be greater than zero", "name an amount, as in 5.00EUR"));
        }
        if !self.yes && !context.screen.ask(format_args!("Into your balance at {server}.\nPay {amount}?")) {
            return Err(Failure::new(
                format!("nothing was paid: {amount} was not confirmed"),
                "answer y on a terminal, or pass --yes",
            ));
        }
        let report = context.wait(async {
            let store = client.store(&server);
            let purchase = Purchase::of(Goods::TopUp(amount), self.payment.method());
            let order = payment::top_up(&store, if self.again { purchase.again() } else { purchase }).await?;
            // It is ordered: nothing may look after this as if it were not.
            let balances = store.balances().await.ok();
            Ok(PaidIn {
                server: server.to_string(),
                order: order.id.to_string(),
                state: order.state,
                amount: amount.to_string(),
                receipt: order.paid().and_then(PurchaseReceipt::top_up).map(TopUpLine::from),
                joined: order.joined,
                next: order.next,
                balances: balances.map(|balances| balances.iter().map(BalanceLine::from).collect()),
            })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Report for PaidIn {
    fn text(&self) -> String {
        let (good, strong, warn) = (style::GOOD, style::STRONG, style::WARN);
        let mut lines = Lines::default();
        lines.add("order", &self.order).add("store", &self.server);
        for balance in self.balances.iter().flatten() {
            lines.add("balance", balance);
        }
        if self.balances.is_none() {
            lines.add("balance", hint::typed("the store does not answer; see `portcullis balance`"));
        }
        if self.receipt.is_some() {
            format!("{good}paid in{good:#} {strong}{}{strong:#}\n{lines}", self.amount)
        } else {
            let (amount, again) = (&self.amount, Again::of(self.joined));
            format!(
                "{warn}{}{warn:#} {strong}{amount}{strong:#}: {}\n{lines}{}",
                again.headline(),
                payment::standing(self.state),
                payment::unpaid(&self.order, self.state, self.next.as_ref(), again)
            )
        }
    }
}
