//! `portcullis withdraw` and `portcullis restore`: end the sale and the use of a version, and take that back.

use clap::Args;
use portcullis_host::Client;
use portcullis_protocol::wire::CatalogueVersion;
use portcullis_protocol::{Origin, Version};
use serde::Serialize;

use super::ownership;
use super::price::publisher;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::resource::target::Name;
use crate::screen::hint;
use crate::screen::output::{Report, style};
use crate::screen::shell::quoted;

/// Withdraw a version: nobody is granted anything of it from then on, until it is restored
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// publisher/name@version
    name: Name,
    /// Why, for those who have it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask. Without a terminal nothing is withdrawn otherwise
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    store: ServerOption,
}

/// Restore a version that was withdrawn: it is sold and runs as before
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// publisher/name@version
    name: Name,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Changed {
    server: String,
    name: String,
    version: String,
    digest: String,
    #[serde(skip)]
    restored: bool,
}

/// The version of a name, which has to be whole.
fn version(name: &Name) -> Outcome<&Version> {
    let missing = || Failure::usage("no version is named", format!("write {name}@VERSION"));
    name.version.as_ref().ok_or_else(missing)
}

/// A version as the store lists it.
async fn listed(client: &Client, server: &Origin, name: &Name) -> Outcome<CatalogueVersion> {
    let (publisher, version) = (publisher(name)?, version(name)?);
    let listing = client.store(server).entry(publisher, &name.name).await?;
    listing.version(version).cloned().ok_or_else(|| {
        let versions: Vec<String> = listing.versions.iter().map(|one| one.version.to_string()).collect();
        Failure::new(
            format!("{server} does not have {name}"),
            format!("name one of its versions: {}", versions.join(", ")),
        )
    })
}

impl Withdraw {
    /// What was typed, without `--yes`.
    fn typed(&self) -> String {
        let mut typed = format!("portcullis withdraw {}", self.name);
        if !self.reason.is_empty() {
            // One word, since a reason may begin with a hyphen.
            typed += &format!(" --reason={}", quoted(&self.reason));
        }
        if let Some(server) = self.store.named() {
            typed += &format!(" --server {}", quoted(server));
        }
        typed
    }

    pub(crate) fn run(self, context: &Context) -> Outcome {
        publisher(&self.name)?;
        version(&self.name)?;
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let report = context.wait(async {
            let found = listed(&client, &server, &self.name).await?;
            if found.withdrawn {
                return Err(Failure::new(
                    format!("{} is withdrawn already", self.name),
                    format!("take it back: `portcullis restore {}`", self.name),
                ));
            }
            if !self.yes {
                if !context.screen.can_ask() {
                    return Err(Failure::nobody_to_ask(
                        format_args!("{} was not withdrawn", self.name),
                        self.typed(),
                    ));
                }
                let question = format!(
                    "Withdraw {}? Until you restore it nobody can buy it, and those who bought it cannot run this version.",
                    self.name
                );
                if !context.screen.ask(question) {
                    return Err(Failure::new("nothing was withdrawn", "answer y, or pass --yes"));
                }
            }
            let withdrawn = client.publishing(&server).withdraw(&found.digest, &self.reason).await;
            ownership::answered(&client, &server, publisher(&self.name)?, withdrawn).await?;
            Ok(Changed::of(&server, &self.name, &found, false))
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Restore {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        publisher(&self.name)?;
        version(&self.name)?;
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let report = context.wait(async {
            let found = listed(&client, &server, &self.name).await?;
            if !found.withdrawn {
                return Err(Failure::new(
                    format!("{} is not withdrawn", self.name),
                    format!("nothing has to be done; see what it costs: `portcullis price {}`", self.name.path()),
                ));
            }
            let restored = client.publishing(&server).restore(&found.digest).await;
            ownership::answered(&client, &server, publisher(&self.name)?, restored).await?;
            Ok(Changed::of(&server, &self.name, &found, true))
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Changed {
    fn of(server: &Origin, name: &Name, version: &CatalogueVersion, restored: bool) -> Self {
        Self {
            server: server.to_string(),
            name: name.path(),
            version: version.version.to_string(),
            digest: version.digest.to_string(),
            restored,
        }
    }
}

impl Report for Changed {
    fn text(&self) -> String {
        let (good, strong) = (style::GOOD, style::STRONG);
        let Self { server, name, version, .. } = self;
        if self.restored {
            return format!("{good}restored{good:#} {name} {version} at {server}\n");
        }
        format!(
            "{good}withdrawn{good:#} {name} {version} at {server}\n\nTake it back: {strong}{} {name}@{version}{strong:#}\n",
            hint::typed("portcullis restore")
        )
    }
}
