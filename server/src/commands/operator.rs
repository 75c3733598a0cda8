//! `portcullis-server operator …`: on the server's own machine, beside a running server or without one.

mod accounts;
mod check;
mod find;
mod identity;
mod merchants;
mod money;
mod sales;
mod webhooks;

use super::Which;
use crate::App;
use crate::audit::Attribution;
use crate::ops::directory::moment;
use crate::ops::parts::Parts;
use crate::print;
use crate::store::PAGE;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use portcullis_protocol::{OrderId, nearest};
use serde_json::Value;
use std::fmt::Display;

#[derive(Debug, Args)]
pub(super) struct Operator {
    #[command(flatten)]
    which: Which,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Accounts: add, list, password, sessions, sign-out, suspend, restore.
    #[command(subcommand)]
    Account(accounts::AccountTask),
    /// Terminals of an account: list, revoke.
    #[command(subcommand)]
    Terminal(accounts::TerminalTask),
    /// Makes an invitation: whoever opens it may make one account.
    Invite(accounts::Invite),
    /// Invitations: list, revoke.
    #[command(subcommand)]
    Invitation(accounts::InvitationTask),
    /// Publishers: list, approve.
    #[command(subcommand)]
    Publisher(sales::PublisherTask),
    /// Merchants: list, approve, suspend, restore, rekey.
    #[command(subcommand)]
    Merchant(merchants::MerchantTask),
    /// Orders of electronic codes: list, dispute, keep, reverse.
    #[command(subcommand)]
    Codes(merchants::CodesTask),
    /// Finds an account, order, resource, publisher, merchant or product by what a person knows of it.
    Find(find::Find),
    /// Resources: list.
    #[command(subcommand)]
    Resource(sales::ResourceTask),
    /// Looks whether everything is there: the published files, the books, the audit log. Fails when something is not.
    Check {
        /// Also reads every published file, and checks what its publisher signed and that its key opens it.
        #[arg(long)]
        contents: bool,
    },
    /// Withdraws a resource: nobody is authorised for it any more, and its publisher cannot restore it.
    Withdraw(sales::Withdraw),
    /// Restores a resource that was withdrawn, by whomever.
    Restore(sales::Restore),
    /// Orders: list, settle, refund, play.
    #[command(subcommand)]
    Order(money::OrderTask),
    /// Endpoints that are told of orders, and what they were sent.
    #[command(subcommand)]
    Webhook(webhooks::WebhookTask),
    /// Lists orders that are not final, to be compared with the payment providers. The server looks them up itself;
    /// `order refund` finishes one that is `refunding` and whose provider refused.
    Reconcile,
    /// Begins a new epoch of events: after the database was put back by other means than `restore`.
    NewEpoch,
    /// The ledger: the balance of every account. Each currency sums to zero.
    Ledger,
    /// Adds a signing key; the one before goes on for a week.
    RotateKey(sales::RotateKey),
    /// Writes the key that opens every part, in age's format, for an emergency.
    ExportIdentity(identity::ExportIdentity),
}

/// What a task found or did, for people and for programs.
struct Report {
    text: String,
    json: Value,
}

impl Report {
    /// A list. If nothing is in it, a person is told so: `nothing` is a sentence.
    fn list(text: String, nothing: &str, json: Value) -> Self {
        Self { text: if text.is_empty() { nothing.to_owned() } else { text }, json }
    }
}

/// There is no such thing, and which task lists those that there are.
fn missing(what: &str, id: impl Display, task: &str) -> anyhow::Error {
    anyhow!("there is no such {what}: {id}. `portcullis-server operator {task}` lists those that there are")
}

/// There is no such order: the latest one that is written nearly so was probably meant.
async fn no_such_order(app: &App, id: OrderId) -> anyhow::Result<anyhow::Error> {
    let known: Vec<String> = app.core.store.order_ids(None, PAGE).await?.iter().map(ToString::to_string).collect();
    let error = missing("order", id, "order list");
    Ok(match nearest(&id.to_string(), known.iter().map(String::as_str)) {
        Some(near) => anyhow!("{error}, and `operator find` finds one. Did you mean {near}?"),
        None => anyhow!("{error}, and `operator find` finds one"),
    })
}

impl Operator {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        let app = self.which.open(parts).await?;
        // What a task changes without saying what it does is refused.
        let report = Attribution::demanded(self.task.run(&app)).await;
        app.core.store.close().await?;
        let Report { text, json } = report?;
        if self.json {
            print::json(&json)
        } else if !text.is_empty() {
            print::text(text.trim_end())
        } else {
            Ok(())
        }
    }
}

impl Task {
    async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::Account(task) => task.run(app).await,
            Self::Terminal(task) => task.run(app).await,
            Self::Invite(invite) => invite.run(app).await,
            Self::Invitation(task) => task.run(app).await,
            Self::Publisher(task) => task.run(app).await,
            Self::Resource(task) => task.run(app).await,
            Self::Merchant(task) => task.run(app).await,
            Self::Codes(task) => task.run(app).await,
            Self::Find(find) => find.run(app).await,
            Self::Check { contents } => check::run(app, contents).await,
            Self::Withdraw(withdraw) => withdraw.run(app).await,
            Self::Restore(restore) => restore.run(app).await,
            Self::Order(task) => task.run(app).await,
            Self::Webhook(task) => task.run(app).await,
            Self::Reconcile => money::reconcile(app).await,
            Self::NewEpoch => webhooks::new_epoch(app).await,
            Self::Ledger => money::ledger(app).await,
            Self::RotateKey(rotate) => rotate.run(app).await,
            Self::ExportIdentity(export) => export.run(app).await,
        }
    }
}
