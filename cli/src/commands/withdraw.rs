//! `portcullis withdraw`: end the sale and the use of a version.

use clap::Args;
use serde::Serialize;

use super::price::publisher;
use crate::context::{Context, Store};
use crate::failure::{Failure, Outcome};
use crate::output::{Report, style};
use crate::target::Name;

/// Withdraw a version: nobody is granted anything of it from then on
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// publisher/name@version
    name: Name,
    /// Why, for those who have it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    store: Store,
}

#[derive(Serialize)]
struct Withdrawn {
    server: String,
    name: String,
    version: String,
    digest: String,
}

impl Withdraw {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let publisher = publisher(&self.name)?;
        let Some(version) = &self.name.version else {
            return Err(Failure::usage("no version is named", format!("write {}@VERSION", self.name)));
        };
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let report = context.wait(async {
            let listing = client.store(&server).entry(publisher, &self.name.name).await?;
            let Some(sold) = listing.version(version) else {
                let versions: Vec<String> = listing.versions.iter().map(|one| one.version.to_string()).collect();
                return Err(Failure::new(
                    format!("{server} does not sell {}", self.name),
                    format!("name one of its versions: {}", versions.join(", ")),
                ));
            };
            let question = format!("Withdraw {}? Those who bought it can no longer run this version.", self.name);
            if !self.yes && !context.screen.ask(question) {
                return Err(Failure::new(
                    "nothing was withdrawn: nobody agreed to it",
                    "answer y on a terminal, or pass --yes",
                ));
            }
            client.publishing(&server).withdraw(&sold.digest, &self.reason).await?;
            Ok(Withdrawn {
                server: server.to_string(),
                name: self.name.path(),
                version: version.to_string(),
                digest: sold.digest.to_string(),
            })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Report for Withdrawn {
    fn text(&self) -> String {
        let good = style::GOOD;
        format!("{good}withdrawn{good:#} {} {} at {}\n", self.name, self.version, self.server)
    }
}
