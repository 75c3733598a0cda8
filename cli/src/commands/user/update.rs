//! `portcullis update`: newer versions of what is installed.

use clap::Args;
use portcullis_host::{Client, Installed, StateError};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::resource::publisher_key::PublisherKey;
use crate::resource::target::Name;
use crate::screen::hint;
use crate::screen::output::{Report, style};

/// Install newer versions of what is installed
#[derive(Debug, Args)]
#[command(
    after_help = "A resource that cannot be updated keeps no other from it; the exit code is then the first failure's."
)]
pub(crate) struct Update {
    /// Which resource [default: all]
    name: Option<Name>,
}

#[derive(Serialize)]
struct Updates {
    resources: Vec<Updated>,
}

#[derive(Serialize)]
struct Updated {
    name: String,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Of the newer version.
    #[serde(flatten)]
    publisher_key: Option<PublisherKey>,
    /// The store has withdrawn the one that is installed, and has no newer one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
    /// Why nobody knows whether there is a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Failed>,
}

#[derive(Serialize)]
struct Failed {
    message: String,
    fix: String,
}

impl Update {
    /// Returns the exit code: 0, or that of the first resource that could not be looked for. One that fails keeps no
    /// other from being updated.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        let client = context.client()?;
        let library = client.library();
        let installed = match &self.name {
            Some(name) => {
                let one = library.find(&name.path())?;
                vec![(format!("{}/{}", one.publisher, one.name), Ok(one))]
            }
            None => library.entries()?.into_iter().map(|entry| (entry.name, entry.installed)).collect(),
        };
        let mut code = 0;
        let resources = context.wait(async {
            let mut resources = Vec::new();
            for (name, installed) in installed {
                let from = installed.as_ref().map_or_else(|_| "?".to_owned(), |one| one.version.to_string());
                let (newest, failed) = match update(context, &client, &name, installed).await {
                    Ok(newest) => (newest, None),
                    // Asked for alone, it is the command that fails.
                    Err(failure) if self.name.is_some() => return Err(failure),
                    Err(failure) => (Newest::Installed, Some(failure)),
                };
                if let Some(failure) = &failed {
                    code = if code == 0 { failure.code() } else { code };
                }
                let failed = failed.map(|failure| Failed {
                    message: failure.to_string(),
                    fix: hint::typed(failure.fix()).into_owned(),
                });
                let withdrawn = matches!(newest, Newest::Withdrawn);
                let (to, publisher_key) = match newest {
                    Newest::Updated(to, key) => (Some(to), Some(key)),
                    Newest::Installed | Newest::Withdrawn => (None, None),
                };
                resources.push(Updated { name, from, to, publisher_key, withdrawn, failed });
            }
            Ok(resources)
        })?;
        context.screen.report(&Updates { resources });
        Ok(code)
    }
}

/// What the newest version is.
enum Newest {
    /// This one, from now on, and its publisher's key.
    Updated(String, PublisherKey),
    /// The one that was there.
    Installed,
    /// The one that was there, and it was withdrawn.
    Withdrawn,
}

async fn update(
    context: &Context,
    client: &Client,
    name: &str,
    installed: Result<Installed, StateError>,
) -> Outcome<Newest> {
    let installed = installed?;
    let bar = context.screen.bar(name, None);
    let newer = client.library().prepare_update(&installed, &crate::screen::progress::moved(&bar)).await;
    bar.finish_and_clear();
    if let Some(candidate) = newer? {
        let key = PublisherKey::of(candidate.publisher_key(), candidate.publisher());
        return Ok(Newest::Updated(candidate.install().await?.version.to_string(), key));
    }
    let listing = client.store(&installed.server).entry(&installed.publisher, &installed.name).await?;
    let is_withdrawn = listing.version(&installed.version).is_some_and(|version| version.withdrawn);
    Ok(if is_withdrawn { Newest::Withdrawn } else { Newest::Installed })
}

impl Report for Updates {
    fn text(&self) -> String {
        let (good, bad, dim) = (style::GOOD, style::BAD, style::DIM);
        if self.resources.is_empty() {
            return "nothing is installed\n".into();
        }
        let line = |one: &Updated| match (&one.to, &one.failed) {
            (_, Some(Failed { message, fix })) => {
                format!("{bad}failed{bad:#} {} {}: {message}\n  {dim}fix{dim:#}   {fix}\n", one.name, one.from)
            }
            (Some(to), None) => {
                let key = one.publisher_key.as_ref().filter(|key| !key.is_known());
                let key = key.map_or_else(String::new, |key| format!("  publisher key {key}\n"));
                format!("{good}updated{good:#} {} {} to {to}\n{key}", one.name, one.from)
            }
            (None, None) if one.withdrawn => {
                format!("{} {} was withdrawn, and there is no newer version\n", one.name, one.from)
            }
            (None, None) => format!("{} {} is the newest\n", one.name, one.from),
        };
        self.resources.iter().map(line).collect()
    }
}
