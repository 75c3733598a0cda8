//! Publishers, resources and keys.

use super::accounts::{email_of, find};
use super::{Report, missing, moment};
use crate::App;
use crate::audit::Act;
use crate::billing::offers;
use crate::crypto::keys::{self, Rotation};
use crate::ops::clock::Timestamp;
use crate::store::{PAGE, ResourceFacts, RestoreOutcome, WithdrawOutcome, every};
use anyhow::{Context as _, bail};
use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand, value_parser};
use futures::TryStreamExt as _;
use portcullis_protocol::{Digest, PublisherName};
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(Debug, Subcommand)]
pub(super) enum PublisherTask {
    /// Lists all publishers, and who waits for approval.
    List,
    /// Lets an account claim publishers' names, where the configuration says `publishers = "approve"`.
    Approve {
        /// The name that it asked for, or its e-mail address.
        #[arg(value_name = "NAME|EMAIL")]
        whom: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ResourceTask {
    /// Lists all published resources.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    /// The resource digest.
    digest: Digest,
    /// Why, for people. The audit log keeps it for good: name nobody.
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
    #[arg(long, default_value_t = keys::NOTICE, value_name = "SECONDS", value_parser = value_parser!(u32).map(u64::from))]
    starts_in: u64,
    /// The old key is in other hands: the new one signs at once, and the old one ends now.
    #[arg(long, conflicts_with = "starts_in")]
    stolen: bool,
}

impl PublisherTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let whom = match self {
            Self::List => return list_publishers(app).await,
            Self::Approve { whom } => whom,
        };
        let account = if whom.contains('@') {
            find(app, &whom).await?.id
        } else {
            let name = PublisherName::new(whom.as_str()).context("neither a publisher's name nor an e-mail address")?;
            let waiting = app.core.store.approval_requests(Some(&name), PAGE).await?;
            match waiting.as_slice() {
                [request] => request.account,
                [] => bail!(
                    "no one is waiting for approval as `{name}`: see `publisher list`, or name the account's e-mail address"
                ),
                several => {
                    let mut emails = Vec::new();
                    for request in several {
                        emails.push(email_of(app, &request.account).await?);
                    }
                    bail!("several accounts ask for `{name}`; name one by its e-mail address: {}", emails.join(", "))
                }
            }
        };
        Act::of_user(&app.core, "publisher approve", account).scope(app.core.store.approve(&account)).await?;
        let email = email_of(app, &account).await?;
        let text = format!("Approved. {email} may claim publishers' names now: `portcullis publish` does it.");
        Ok(Report { text, json: json!({"account": account, "email": email, "approved": true}) })
    }
}

async fn list_publishers(app: &App) -> anyhow::Result<Report> {
    let (mut text, mut rows) = (String::new(), Vec::new());
    let mut names = every(|after| app.core.store.publisher_names(after, PAGE));
    while let Some(name) = names.try_next().await? {
        row(app, &name, &mut text, &mut rows).await?;
    }
    let mut waiting = Vec::new();
    for request in app.core.store.approval_requests(None, PAGE).await? {
        let (name, email) = (request.name, email_of(app, &request.account).await?);
        writeln!(text, "{name}  waits for approval since {}  {email}", moment(request.asked))?;
        waiting.push(json!({"name": name, "email": email, "asked": request.asked.seconds()}));
    }
    let json = json!({"publishers": rows, "waiting": waiting});
    Ok(Report::list(text, "No publishers, and nobody waits for approval.", json))
}

impl ResourceTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let Self::List = self;
        let mut resources = Vec::new();
        let mut digests = every(|after| app.core.store.resource_digests(after, PAGE));
        while let Some(digest) = digests.try_next().await? {
            resources.extend(app.core.store.resource(&digest).await?);
        }
        resources.sort_by(|a, b| {
            let key = |r: &ResourceFacts| (r.publisher_name.clone(), r.name.clone());
            key(a).cmp(&key(b)).then_with(|| a.version.precedence(&b.version))
        });
        let (mut text, mut rows) = (String::new(), Vec::new());
        for resource in &resources {
            let (line, row) = resource_row(resource);
            writeln!(text, "{line}")?;
            rows.push(row);
        }
        Ok(Report::list(text, "No resources are published.", json!({"resources": rows})))
    }
}

/// A version of a resource, for people and for programs.
pub(super) fn resource_row(resource: &ResourceFacts) -> (String, Value) {
    let ResourceFacts { digest, publisher_name, name, version, size, withdrawn, .. } = resource;
    let mark = withdrawn.map(|at| format!("  withdrawn {}", moment(at))).unwrap_or_default();
    let row = json!({
        "resource": digest, "publisher": publisher_name, "name": name, "version": version, "size": size,
        "withdrawn": withdrawn.map(Timestamp::seconds),
    });
    (format!("{digest}  {publisher_name}/{name} {version}  {size} bytes{mark}"), row)
}

async fn row(app: &App, name: &PublisherName, text: &mut String, rows: &mut Vec<Value>) -> anyhow::Result<()> {
    let store = &app.core.store;
    let publisher = store.publisher(name).await?.context("a publisher is gone")?;
    let owner = email_of(app, &publisher.owner).await?;
    writeln!(text, "{name}  {}  {owner}", publisher.key.thumbprint().words())?;
    rows.push(json!({
        "publisher": name, "key": publisher.key.thumbprint(), "owner": owner, "created": publisher.created.seconds(),
    }));
    Ok(())
}

impl Withdraw {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let store = &app.core.store;
        let resource =
            store.resource(&self.digest).await?.ok_or_else(|| missing("resource", self.digest, "resource list"))?;
        let act = Act::of_user(&app.core, "resource withdraw", self.digest).with("reason", &self.reason);
        match act.scope(store.take_down(&self.digest, self.reason)).await? {
            WithdrawOutcome::Withdrawn => {}
            WithdrawOutcome::NotFound => return Err(missing("resource", self.digest, "resource list")),
        }
        let text = format!("Withdrew {}/{} {}.", resource.publisher_name, resource.name, resource.version);
        Ok(Report { text, json: json!({"resource": self.digest, "withdrawn": true}) })
    }
}

impl Restore {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let store = &app.core.store;
        let resource =
            store.resource(&self.digest).await?.ok_or_else(|| missing("resource", self.digest, "resource list"))?;
        // As when it was published: who buys it has to get it.
        let found = app.core.objects.find(&self.digest).await?.map(|file| file.size);
        if found != Some(resource.size) {
            bail!(
                "its sealed file is missing or damaged ({}): bring it from a backup, or have its publisher publish another \
                 version",
                app.core.objects.place_of(&self.digest)
            );
        }
        let act = Act::of_user(&app.core, "resource restore", self.digest);
        match act.scope(store.restore(None, &self.digest)).await? {
            RestoreOutcome::Restored => {}
            RestoreOutcome::NotFound | RestoreOutcome::TakenDown => {
                return Err(missing("resource", self.digest, "resource list"));
            }
            RestoreOutcome::OpensPart(opened) => bail!("{}", offers::stays_withdrawn(&opened)),
        }
        let (changed, what) = (
            resource.withdrawn.is_some(),
            format!("{}/{} {}", resource.publisher_name, resource.name, resource.version),
        );
        let text = match changed {
            true => format!("Restored {what}."),
            false => format!("{what} is not withdrawn, so nothing was changed."),
        };
        Ok(Report { text, json: json!({"resource": self.digest, "withdrawn": false, "changed": changed}) })
    }
}

impl RotateKey {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let core = &app.core;
        let rotation = match self.stolen {
            true => Rotation::Stolen,
            false => Rotation::Planned { starts_in: self.starts_in },
        };
        let act = Act::of_user(core, "signing key add", "");
        let act = match self.stolen {
            true => act.with("stolen", true),
            false => act.with("starts in seconds", self.starts_in),
        };
        let key = act.scope(keys::rotate_signing_key(&*core.store, &core.secrets, rotation)).await?.thumbprint();
        let text = if self.stolen {
            format!(
                "The key {key} signs from now on, and no other. Terminals that reach this server know it with their \
                 next request, all others stop believing the old one within a day."
            )
        } else {
            let from = moment(core.clock.now().plus(self.starts_in));
            format!("The key {key} signs from {from} on; the one before it goes on for a week after that.")
        };
        let starts_in = if self.stolen { 0 } else { self.starts_in };
        Ok(Report { text, json: json!({"key": key, "starts_in": starts_in, "stolen": self.stolen}) })
    }
}
