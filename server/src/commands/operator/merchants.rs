//! Merchants, and their orders of codes that are not final.

use super::accounts::email_of;
use super::{Report, missing, moment};
use crate::App;
use crate::audit::Act;
use crate::ops::clock::Timestamp;
use crate::store::{
    CodeComplaint, CodeDecision, CodeOrder, CodeStep, Merchant, MerchantDecision, MerchantState, PAGE, every,
};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use futures::TryStreamExt as _;
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::{MerchantName, OrderId, Thumbprint};
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(Debug, Subcommand)]
pub(super) enum MerchantTask {
    /// Lists all merchants, how they stand, who waits for approval, and how their orders of the last hour went.
    List,
    /// Lets a merchant sell, once its endpoint has shown that it is the merchant's.
    Approve {
        /// Its name.
        name: MerchantName,
    },
    /// Ends that: nothing of it is sold, and its key can only read. Orders under way wait for you.
    Suspend {
        /// Its name.
        name: MerchantName,
    },
    /// Ends a key that was stolen. The merchant is suspended until its account registers the new key.
    Rekey {
        /// Its name.
        name: MerchantName,
        /// The thumbprint of the new key, as `portcullis merchant keygen` says it. Compare its words with the
        /// merchant.
        thumbprint: Thumbprint,
    },
    /// Takes a suspension back.
    Restore {
        /// Its name.
        name: MerchantName,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CodesTask {
    /// Lists orders of codes that are not final: where each stands, what is next, and who has to see to it.
    List,
    /// Notes that a code is disputed, until `keep` or `reverse` decides.
    Dispute {
        /// The order.
        order: OrderId,
    },
    /// Decides a dispute for the merchant.
    Keep {
        /// The order.
        order: OrderId,
    },
    /// Decides a dispute for the buyer: the money goes back, and codes of this store's own resources are void.
    Reverse {
        /// The order.
        order: OrderId,
    },
}

impl MerchantTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let (name, decision, action) = match self {
            Self::List => return list(app).await,
            Self::Approve { name } => (name, MerchantDecision::Approve, "merchant approve"),
            Self::Suspend { name } => (name, MerchantDecision::Suspend, "merchant suspend"),
            Self::Restore { name } => (name, MerchantDecision::Restore, "merchant restore"),
            Self::Rekey { name, thumbprint } => (name, MerchantDecision::Rekey(thumbprint), "merchant rekey"),
        };
        let before = app.core.store.merchant(&name).await?;
        if let MerchantDecision::Rekey(thumbprint) = decision {
            ensure!(
                before.as_ref().is_none_or(|merchant| merchant.key.thumbprint() != thumbprint),
                "this is the key in use: `portcullis merchant keygen` makes the one that is to follow it"
            );
        }
        let act = Act::of_user(&app.core, action, &name);
        let merchant = act.scope(app.core.store.decide_merchant(&name, decision)).await?;
        let (merchant, changed) =
            merchant.with_context(|| format!("there is no merchant `{name}`: see `merchant list`"))?;
        let state = merchant.state.word();
        let is_suspended = merchant.state == MerchantState::Suspended;
        let text = match decision {
            MerchantDecision::Approve if !changed => {
                format!("`{name}` was approved before, so nothing was changed. It stands as: {}.", standing(&merchant))
            }
            MerchantDecision::Suspend if !changed => format!("`{name}` is suspended already, so nothing was changed."),
            MerchantDecision::Restore if !changed && is_suspended => format!(
                "`{name}` is not suspended itself, so nothing was changed: its account is, and `account restore` ends that."
            ),
            MerchantDecision::Restore if !changed => {
                format!("`{name}` is not suspended, so nothing was changed. It stands as: {}.", standing(&merchant))
            }
            MerchantDecision::Approve if merchant.state == MerchantState::Claimed => format!(
                "Approved. `{name}` sells once its endpoint {} has shown that it is the merchant's: \
                 `portcullis merchant register` does it.",
                merchant.webhook
            ),
            MerchantDecision::Approve => format!("Approved. `{name}` sells from now on."),
            MerchantDecision::Suspend => format!(
                "Suspended. Nothing of `{name}` is sold, and its key can only read. Its open orders wait for you: \
                 `codes list`, then `merchant restore`, `merchant rekey`, or `order refund ORDER`."
            ),
            MerchantDecision::Restore if is_suspended => format!(
                "Restored, but its account is suspended: `{name}` sells again once `account restore` has ended that."
            ),
            MerchantDecision::Restore => {
                format!("Restored. `{name}` is {state}. Its open orders have a day to be delivered.")
            }
            MerchantDecision::Rekey(key) => format!(
                "Suspended, until the merchant's account registers the key with the words {}: \
                 `portcullis merchant register {name} …` with that key. What the old key signed ends then, and users \
                 whose terminals know it compare the words: `portcullis pay … --accept-key`.",
                key.words()
            ),
        };
        Ok(Report { text, json: json!({"merchant": name, "state": state, "changed": changed}) })
    }
}

async fn list(app: &App) -> anyhow::Result<Report> {
    let (mut text, mut rows): (String, Vec<Value>) = (String::new(), Vec::new());
    let list = |last: Option<Merchant>| async move {
        app.core.store.merchants(last.as_ref().map(|merchant| &merchant.name), PAGE).await
    };
    let mut merchants = every(list);
    while let Some(merchant) = merchants.try_next().await? {
        let (line, row) = merchant_row(app, &merchant).await?;
        writeln!(text, "{line}")?;
        rows.push(row);
    }
    Ok(Report::list(text, "No merchants.", json!({"merchants": rows})))
}

/// A merchant, for people and for programs.
pub(super) async fn merchant_row(app: &App, merchant: &Merchant) -> anyhow::Result<(String, Value)> {
    let Merchant { id, name, title, key, owner, webhook, state, created, .. } = merchant;
    let health = app.core.store.merchant_health(id).await?;
    let email = email_of(app, owner).await?;
    let words = key.thumbprint().words();
    let (in_time, decided) = (health.in_time, health.decided);
    let (standing, orders) = (standing(merchant), of_the_last_hour(in_time, decided));
    let row = json!({
        "merchant": name, "title": title, "state": state.word(), "webhook": webhook, "key": key.thumbprint(),
        "words": words, "email": email, "orders": decided, "in_time": in_time, "created": created.seconds(),
    });
    Ok((format!("{name}  {standing}  {orders}  {webhook}  {words}  {email}"), row))
}

/// Where a merchant stands, and whom it waits for.
fn standing(merchant: &Merchant) -> String {
    let state = merchant.state.word();
    match merchant.state {
        MerchantState::Proven => format!("{state}, waits for approval"),
        MerchantState::Claimed if merchant.was_approved => {
            format!("{state}, approved, waits for proof of its endpoint")
        }
        MerchantState::Claimed => format!("{state}, waits for proof of its endpoint"),
        MerchantState::Approved | MerchantState::Suspended => state.to_owned(),
    }
}

/// How a merchant's orders of the last hour went.
fn of_the_last_hour(in_time: u32, decided: u32) -> String {
    match decided {
        0 => "no order in the last hour".to_owned(),
        _ => format!("{in_time} of {decided} in time in the last hour"),
    }
}

impl CodesTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let (order, decision, action) = match self {
            Self::List => return open(app).await,
            Self::Dispute { order } => (order, CodeDecision::Dispute, "code dispute"),
            Self::Keep { order } => (order, CodeDecision::Keep, "code keep"),
            Self::Reverse { order } => (order, CodeDecision::Reverse, "code reverse"),
        };
        let act = Act::of_user(&app.core, action, order);
        match act.scope(app.core.store.decide_code_order(&order, decision)).await? {
            CodeStep::Taken(found) => {
                let state = found.state.map(CodeState::name);
                let text = format!("{order} is {} now.", state.unwrap_or("not paid for"));
                Ok(Report { text, json: json!({"order": order, "state": state}) })
            }
            CodeStep::Closed(found) | CodeStep::Differs(found) | CodeStep::NotAllowed(found) => bail!(
                "{order} is {}: only an order whose code was accepted can be disputed, and only a disputed one decided. \
                 What the payer disputes is decided by the payment provider",
                found.state.map_or("not paid for", CodeState::name)
            ),
            CodeStep::Mismatch | CodeStep::Unknown => Err(missing("order of codes", order, "order list")),
        }
    }
}

async fn open(app: &App) -> anyhow::Result<Report> {
    let (mut text, mut rows): (String, Vec<Value>) = (String::new(), Vec::new());
    let list = |last: Option<CodeOrder>| async move {
        app.core.store.open_code_orders(None, last.as_ref().map(|order| &order.id), PAGE).await
    };
    let mut orders = every(list);
    let (now, mut held_up, mut first) = (app.core.store.now().await?, 0_u64, None::<Timestamp>);
    while let Some(order) = orders.try_next().await? {
        let Some(state) = order.state else { continue };
        // Nothing happens to it by itself any more.
        if let Some(deadline) =
            order.deadline.filter(|deadline| order.is_held_up && order.waits_for_merchant() && *deadline < now)
        {
            held_up += 1;
            first = Some(first.map_or(deadline, |first| first.min(deadline)));
        }
        let (party, next) = order.next().map_or((None, ""), |(party, next)| (Some(party), next));
        let who = party.map_or_else(String::new, |party| party.to_string());
        let (id, merchant, amount) = (order.id, &order.merchant_name, order.amount);
        let since = moment(order.changed);
        write!(text, "{id}  {state:<13}  since {since}  {merchant}  {amount}  {who}: {next}")?;
        let why = order.reason.as_ref().map(|reason| format!("declined: {reason}"));
        let why = why.or_else(|| order.complaint.map(|complaint| complaint.word().to_owned()));
        let delivered = order.accepted.as_ref().and_then(|accepted| {
            let at = accepted.delivered?;
            Some(format!("sealing {} was handed to its terminal at {}", accepted.generation, moment(at)))
        });
        let notes: Vec<String> = [why, delivered].into_iter().flatten().collect();
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
        writeln!(text, "{notes}")?;
        rows.push(json!({
            "order": id, "state": state, "since": order.changed.seconds(), "merchant": merchant, "amount": amount,
            "deadline": order.deadline.map(Timestamp::seconds), "who": who, "next": next,
            "delivered": order.accepted.as_ref().and_then(|accepted| accepted.delivered).map(Timestamp::seconds),
            "reason": order.reason, "complaint": order.complaint.map(CodeComplaint::word),
        }));
    }
    if let Some(first) = first {
        let orders = if held_up == 1 { "1 order is".to_owned() } else { format!("{held_up} orders are") };
        writeln!(
            text,
            "{orders} held up: past the deadline, the first since {}, and a person has to decide.",
            moment(first)
        )?;
    }
    let json = json!({"orders": rows, "held_up": held_up, "held_up_since": first.map(Timestamp::seconds)});
    Ok(Report::list(text, "Every order of codes is final.", json))
}
