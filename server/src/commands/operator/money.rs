//! Orders and the ledger.

use super::accounts::email_of;
use super::{Report, moment, no_such_order};
use crate::App;
use crate::audit::Act;
use crate::billing::events::{self, Consequence};
use crate::billing::ledger::sums;
use crate::billing::orders;
use crate::billing::payment::{Decision, PaymentChange, PaymentEvent, SANDBOX};
use crate::store::{Goods, Order, OrderPhase, PAGE, every};
use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use portcullis_protocol::OrderId;
use portcullis_protocol::wire::OrderAnswer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

#[derive(Debug, Subcommand)]
pub(super) enum OrderTask {
    /// Lists all orders, newest first.
    List,
    /// Says how a pending order was decided, as its provider has it.
    Settle {
        /// The order.
        order: OrderId,
        /// What the provider says.
        verdict: Verdict,
    },
    /// Plays what the provider of an order would say by itself. Only the provider `sandbox` can be played.
    Play {
        /// The order.
        order: OrderId,
        /// What happened.
        event: Event,
    },
    /// Pays an order back. Its rights end first; of a top-up, what is left of it is paid back.
    Refund {
        /// The order.
        order: OrderId,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Verdict {
    /// It has the money.
    Paid,
    /// It declined.
    Declined,
}

/// What a provider says by itself. The aliases are the types under which the provider `hosted` reports the same.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Event {
    /// The provider has the money.
    #[value(alias = "payment.settled")]
    Settled,
    /// It will not have it.
    #[value(alias = "payment.declined")]
    Declined,
    /// It has paid the order back.
    #[value(alias = "payment.refunded")]
    Refunded,
    /// The payer disputes the payment.
    #[value(alias = "dispute.opened")]
    Disputed,
    /// The dispute was decided for the store.
    #[value(alias = "dispute.won")]
    DisputeWon,
    /// The payer has the money back.
    #[value(alias = "dispute.lost")]
    ChargedBack,
}

impl OrderTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::List => list(app).await,
            Self::Settle { order, verdict } => {
                let before = phase_of(app, order).await?;
                let state = match verdict {
                    Verdict::Paid => Decision::Settled,
                    Verdict::Declined => Decision::Declined,
                };
                let act = Act::of_user(&app.core, "order settle", order).with("verdict", word(&verdict));
                let answer = act.scope(orders::decide(&app.core, &order, state)).await?;
                let after = phase_of(app, order).await?;
                if after == before && !verdict.is(after) {
                    bail!(
                        "{order} is {}, so nothing was settled: that is said of an order whose payment is not decided yet, \
                         as `portcullis-server operator reconcile` lists them",
                        phase(after)
                    );
                }
                answered(&answer, before == after)
            }
            Self::Play { order, event } => play(app, order, event).await,
            Self::Refund { order } => {
                let before = phase_of(app, order).await?;
                let act = Act::of_user(&app.core, "order refund", order);
                // Of an order that is `refunding` nothing may change here, though the provider pays: told before that.
                if before == OrderPhase::Refunding {
                    app.core.store.record_act(act.clone()).await?;
                    act.written();
                }
                let answer = act.scope(orders::refund(&app.core, &order)).await?;
                let after = phase_of(app, order).await?;
                let mut report = answered(&answer, after == before)?;
                if after == OrderPhase::Refunding {
                    report.text.push_str(". The provider says later that it is done; the server looks it up");
                }
                Ok(report)
            }
        }
    }
}

/// Where an order stands.
async fn phase_of(app: &App, order: OrderId) -> anyhow::Result<OrderPhase> {
    Ok(known(app, order).await?.phase)
}

async fn known(app: &App, order: OrderId) -> anyhow::Result<Order> {
    match app.core.store.order(&order).await? {
        Some(found) => Ok(found),
        None => Err(no_such_order(app, order).await?),
    }
}

/// What was typed for one of a few values.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

async fn play(app: &App, order: OrderId, event: Event) -> anyhow::Result<Report> {
    let known = known(app, order).await?;
    let before = known.phase;
    let what = match event {
        Event::Settled => PaymentChange::Settled(known.amount()),
        Event::Declined => PaymentChange::Declined,
        Event::Refunded => PaymentChange::Refunded,
        Event::Disputed => PaymentChange::Disputed,
        Event::DisputeWon => PaymentChange::DisputeWon,
        Event::ChargedBack => PaymentChange::ChargedBack,
    };
    let act = Act::of_user(&app.core, "order play", order).with("event", word(&event));
    let order = act.scope(events::apply(&app.core, SANDBOX, &PaymentEvent::new(order, what))).await;
    let order = order.context("only an order of the provider `sandbox` can be played")?;
    let state = phase(order.phase);
    // What providers say of a dispute may come in another order than it happened: it changes no state then, and is kept.
    let is_noted = matches!(events::consequence(what, before), Consequence::Noted | Consequence::Moves(_));
    let (said, changed) = match order.phase == before {
        false => ("", true),
        true if is_noted => (", and the event is noted", true),
        true => (", as before", false),
    };
    let json = json!({"order": order.id, "state": state, "changed": changed});
    Ok(Report { text: format!("{}: {state}{said}", order.id), json })
}

impl Verdict {
    /// Whether it is what an order's phase says.
    const fn is(self, phase: OrderPhase) -> bool {
        match self {
            Self::Paid => matches!(phase, OrderPhase::Paid),
            Self::Declined => matches!(phase, OrderPhase::Declined),
        }
    }
}

/// How an order stands; `is_so` if it stood so before.
fn answered(answer: &OrderAnswer, is_so: bool) -> anyhow::Result<Report> {
    let mut json = serde_json::to_value(answer)?;
    let state = json["state"].as_str().unwrap_or_default().to_owned();
    json["changed"] = json!(!is_so);
    let already = if is_so { " already; nothing was changed" } else { "" };
    Ok(Report { text: format!("{}: {state}{already}", answer.order), json })
}

async fn list(app: &App) -> anyhow::Result<Report> {
    let mut orders = Vec::new();
    let mut ids = every(|before| app.core.store.order_ids(before, PAGE));
    while let Some(id) = ids.try_next().await? {
        orders.extend(app.core.store.order(&id).await?);
    }
    let Report { text, json } = report(app, &orders).await?;
    Ok(Report::list(text, "No orders.", json))
}

/// Orders that are not final.
pub(super) async fn reconcile(app: &App) -> anyhow::Result<Report> {
    let Report { text, json } = report(app, &orders::open(&app.core).await?).await?;
    Ok(Report::list(text, "Every order is final.", json))
}

pub(super) async fn report(app: &App, orders: &[Order]) -> anyhow::Result<Report> {
    let mut buyers = BTreeMap::new();
    for order in orders {
        if let Entry::Vacant(unknown) = buyers.entry(order.account) {
            unknown.insert(email_of(app, &order.account).await?);
        }
    }
    let buyer = |order: &Order| buyers.get(&order.account).map_or("", String::as_str);
    let mut text = String::new();
    for order in orders {
        let Order { id, provider, .. } = order;
        let (at, buyer) = (moment(order.created), buyer(order));
        let (phase, price) = (phase(order.phase), order.amount());
        let goods = match &order.goods {
            Goods::Rights { offer, .. } => format!("{}/{} {}", offer.publisher, offer.name, offer.operation),
            Goods::TopUp { returned: Some(returned), .. } => format!("top-up, {returned} of it back"),
            Goods::TopUp { returned: None, .. } => "top-up".to_owned(),
            Goods::Codes { product, quantity, .. } => {
                format!("codes {}/{} × {quantity}", product.merchant, product.name)
            }
        };
        writeln!(text, "{id}  {at}  {phase:<12}  {price}  {provider}  {goods}  {buyer}")?;
    }
    let rows: Vec<Value> = orders
        .iter()
        .map(|order| {
            let mut row = json!({
                "order": order.id, "state": phase(order.phase), "price": order.amount(), "provider": order.provider,
                "created": order.created.seconds(), "account": order.account, "email": buyer(order),
            });
            match &order.goods {
                Goods::Rights { offer, .. } => {
                    row["publisher"] = json!(offer.publisher);
                    row["name"] = json!(offer.name);
                    row["operation"] = json!(offer.operation);
                }
                Goods::TopUp { returned, .. } => row["returned"] = json!(returned),
                Goods::Codes { product, quantity, .. } => {
                    row["merchant"] = json!(product.merchant);
                    row["product"] = json!(product.name);
                    row["quantity"] = json!(quantity);
                }
            }
            row
        })
        .collect();
    Ok(Report { text, json: json!({"orders": rows}) })
}

const fn phase(phase: OrderPhase) -> &'static str {
    match phase {
        // For people.
        OrderPhase::ChargedBack => "charged back",
        other => other.word(),
    }
}

/// The trial balance: every account, and the sum of each commodity, which is zero.
pub(super) async fn ledger(app: &App) -> anyhow::Result<Report> {
    let balances = app.core.store.balances().await?;
    let (mut text, mut rows, sums) = (String::new(), Vec::new(), sums(&balances));
    for balance in &balances {
        let (account, commodity, amount) = (balance.account.as_str(), balance.commodity, balance.amount);
        writeln!(text, "{:>20}  {account}", commodity.amount(i128::from(amount)))?;
        // In minor units, as everywhere in JSON; for people beside it.
        let shown = commodity.amount(i128::from(amount));
        rows.push(json!({"account": account, "commodity": commodity.to_string(), "amount": amount, "shown": shown}));
    }
    for (commodity, sum) in &sums {
        writeln!(text, "{:>20}  sum", commodity.amount(*sum))?;
    }
    if let Some((commodity, sum)) = sums.iter().find(|(_, sum)| **sum != 0) {
        bail!(
            "the ledger does not balance: it sums to {}. Stop the server and look for the cause",
            commodity.amount(*sum)
        );
    }
    Ok(Report::list(text, "Nothing is booked yet.", json!({"balances": rows, "balanced": true})))
}
