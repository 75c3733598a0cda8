//! `portcullis buy`: pay for an operation.

use clap::Args;
use portcullis_host::{Goods, Purchase, PurchaseReceipt};
use portcullis_protocol::wire::{OrderState, PaymentStep};
use portcullis_protocol::{Money, OperationName, Reason};
use serde::Serialize;

use super::receipts::ReceiptLine;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::{self, Again, Payment, rights};
use crate::resource::target::Name;
use crate::screen::output::{Lines, OfferLine, Report, style};

/// Buy an operation of a resource
#[derive(Debug, Args)]
pub(crate) struct Buy {
    /// publisher/name, or the name of what is installed
    name: Name,
    /// Which operation
    #[arg(long, value_name = "NAME")]
    operation: Option<OperationName>,
    /// Which offer
    #[arg(long, value_name = "ID")]
    offer: Option<String>,
    /// Agree to the price without being asked
    #[arg(long)]
    yes: bool,
    /// Buy nothing that costs more than this, as in 2.50EUR: the price of an offer can change
    #[arg(long, value_name = "AMOUNT")]
    max_spend: Option<Money>,
    /// Buy it although it gives nothing new, or although the same is on order
    #[arg(long)]
    again: bool,
    /// How to pay; the provider `sandbox` moves no money, and a store that lacks a provider names those that it has
    #[arg(long, value_name = "PROVIDER:TOKEN", default_value = "sandbox:ok")]
    payment: Payment,
    #[command(flatten)]
    store: ServerOption,
}

/// What was bought.
#[derive(Debug, Serialize)]
pub(crate) struct Bought {
    server: String,
    name: String,
    order: String,
    state: OrderState,
    offer: OfferLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptLine>,
    /// What has to be done before the provider decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<PaymentStep>,
    /// It was on order before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    joined: bool,
    /// When the time of the rights begins, if it is bounded.
    #[serde(skip)]
    begins: Option<&'static str>,
    /// What the same command does next.
    #[serde(skip)]
    again: Again,
}

impl Buy {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let (publisher, name, server) = match (&self.name.publisher, self.store.named()) {
            (Some(publisher), Some(server)) => (publisher.clone(), self.name.name.clone(), server.clone()),
            _ => match (client.library().find(&self.name.path()), &self.name.publisher) {
                (Ok(installed), _) => {
                    let server = self.store.named().cloned().unwrap_or(installed.server);
                    (installed.publisher, installed.name, server)
                }
                (Err(_), Some(publisher)) => (publisher.clone(), self.name.name.clone(), self.store.origin(&client)?),
                (Err(error), None) => {
                    return Err(Failure::from(error).with_fix(format!("write publisher/{}", self.name.name)));
                }
            },
        };
        let report = context.wait(async {
            let store = client.store(&server);
            let listing = store.entry(&publisher, &name).await?;
            if listing.newest().is_none() {
                return Err(Failure::refusal(
                    Reason::ResourceWithdrawn,
                    format!("every version of {publisher}/{name} was withdrawn, so nothing of it is sold"),
                )
                .with_fix("look for another: `portcullis search`"));
            }
            let offer = payment::choose(&listing, self.operation.as_ref(), self.offer.as_deref())?;
            let line = OfferLine::of(offer);
            self.check_price(offer.document().price)?;
            if !self.yes {
                let (strong, price) = (style::STRONG, &line.price);
                let what = format!("{strong}{publisher}/{name}{strong:#} at {server}\n  {line}\nCosts {price}. Buy?");
                if !context.screen.ask(what) {
                    return Err(Failure::new(
                        format!("{publisher}/{name} was not bought: {} was not confirmed", line.price),
                        "answer y on a terminal, or pass --yes",
                    ));
                }
            }
            let purchase = Purchase::of(Goods::Rights(Box::new(offer.clone())), self.payment.method());
            let purchase = if self.again { purchase.again() } else { purchase };
            let order = payment::buy_or_ask(&store, purchase, context.screen, !self.yes).await?;
            Ok(Bought {
                server: server.to_string(),
                name: format!("{publisher}/{name}"),
                order: order.id.to_string(),
                state: order.state,
                offer: line,
                receipt: order.paid().and_then(PurchaseReceipt::rights).map(ReceiptLine::from),
                joined: order.joined,
                begins: rights::begin(offer.document().rights),
                again: Again::of_rights(offer.document().rights, order.joined),
                next: order.next,
            })
        })?;
        context.screen.report(&report);
        Ok(())
    }

    /// Whether the price is within what was agreed to beforehand.
    fn check_price(&self, price: Money) -> Outcome {
        match self.max_spend {
            Some(most) if most.currency() != price.currency() || most.minor_units() < price.minor_units() => {
                Err(Failure::new(
                    format!("it costs {price}, and --max-spend allows {most}: nothing was bought"),
                    format!("if it is worth that to you: --max-spend {}", price.to_string().replace(' ', "")),
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Report for Bought {
    fn text(&self) -> String {
        let (good, strong, warn) = (style::GOOD, style::STRONG, style::WARN);
        let mut lines = Lines::default();
        lines.add("order", &self.order).add("store", &self.server);
        if let Some(begins) = self.begins {
            lines.add("begins", begins);
        }
        match &self.receipt {
            Some(receipt) => {
                lines.add("charged", format_args!("{}, {}", receipt.price, receipt.words));
                format!("{good}bought{good:#} {strong}{}{strong:#} {}\n{lines}", self.name, self.offer.operation)
            }
            None => format!(
                "{warn}{}{warn:#} {strong}{}{strong:#} {}: {}\n{lines}{}",
                self.again.headline(),
                self.name,
                self.offer.operation,
                payment::standing(self.state),
                payment::unpaid(&self.order, self.state, self.next.as_ref(), self.again)
            ),
        }
    }
}
