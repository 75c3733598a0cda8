//! Publishers, resources and keys.

use super::Report;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portcullis_protocol::{Digest, PublisherName};
use portcullis_server::App;
use portcullis_server::keys::{self, Rotation};
use portcullis_server::offers;
use portcullis_server::store::{RestoreOutcome, WithdrawOutcome};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Publishers that one listing reads at a time.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum PublisherTask {
    /// Lists all publishers.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    /// The resource digest.
    digest: Digest,
    /// Why, for people.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The resource digest.
    digest: Digest,
}

#[derive(Debug, Args)]
pub(super) struct RotateKey {
    /// Seconds until the new key signs: time for terminals to learn of it.
    #[arg(long, default_value_t = keys::NOTICE, value_name = "SECONDS")]
    starts_in: u64,
    /// The old key is in other hands: the new one signs at once, and the old one ends now.
    #[arg(long, conflicts_with = "starts_in")]
    stolen: bool,
}

impl PublisherTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let Self::List = self;
        let (mut text, mut rows) = (String::new(), Vec::new());
        let mut after = None;
        loop {
            let page = app.core.store.publisher_names(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for name in &page {
                row(app, name, &mut text, &mut rows).await?;
            }
        }
        Ok(Report { text, json: json!({"publishers": rows}) })
    }
}

async fn row(app: &App, name: &PublisherName, text: &mut String, rows: &mut Vec<Value>) -> anyhow::Result<()> {
    let store = &app.core.store;
    let publisher = store.publisher(name).await?.context("a publisher is gone")?;
    let owner = store.account(&publisher.owner).await?.context("a publisher without an owner")?;
    let owner = app.core.secrets.open_name(&owner.id, &owner.name)?;
    writeln!(text, "{name}  {}  {owner}", publisher.key.thumbprint().words())?;
    rows.push(json!({
        "publisher": name, "key": publisher.key.thumbprint(), "owner": owner, "created": publisher.created.seconds(),
    }));
    Ok(())
}

impl Withdraw {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let store = &app.core.store;
        let resource = store.resource(&self.digest).await?.context("there is no such resource")?;
        match store.take_down(&self.digest, self.reason).await? {
            WithdrawOutcome::Withdrawn => {}
            WithdrawOutcome::NotFound => bail!("there is no such resource"),
        }
        let text = format!("Withdrew {}/{} {}.", resource.publisher_name, resource.name, resource.version);
        Ok(Report { text, json: json!({"resource": self.digest, "withdrawn": true}) })
    }
}

impl Restore {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let store = &app.core.store;
        let resource = store.resource(&self.digest).await?.context("there is no such resource")?;
        match store.restore(None, &self.digest).await? {
            RestoreOutcome::Restored => {}
            RestoreOutcome::NotFound | RestoreOutcome::TakenDown => bail!("there is no such resource"),
            RestoreOutcome::OpensPart(opened) => bail!("{}", offers::stays_withdrawn(&opened)),
        }
        let text = format!("Restored {}/{} {}.", resource.publisher_name, resource.name, resource.version);
        Ok(Report { text, json: json!({"resource": self.digest, "withdrawn": false}) })
    }
}

impl RotateKey {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let core = &app.core;
        let rotation = match self.stolen {
            true => Rotation::Stolen,
            false => Rotation::Planned { starts_in: self.starts_in },
        };
        let key = keys::rotate_signing_key(&*core.store, &core.secrets, rotation).await?.thumbprint();
        let text = match rotation {
            Rotation::Planned { starts_in } => {
                format!("The key {key} signs in {starts_in} s; the one before it goes on for a week after that.")
            }
            Rotation::Stolen => format!(
                "The key {key} signs from now on, and no other. Terminals that reach this server know it with their \
                 next request, all others stop believing the old one within a day."
            ),
        };
        let starts_in = if self.stolen { 0 } else { self.starts_in };
        Ok(Report { text, json: json!({"key": key, "starts_in": starts_in, "stolen": self.stolen}) })
    }
}
