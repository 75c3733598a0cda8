//! `portcullis install`: fetch, verify, show, install.

use clap::Args;
use portcullis_host::{Candidate, Client, ClientError, InstallSource};
use portcullis_protocol::{Capabilities, Manifest, Reason};
use serde::Serialize;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::resource::publisher_key::PublisherKey;
use crate::resource::target::{Name, Target};
use crate::resource::{location, usage};
use crate::screen::hint;
use crate::screen::output::{Lines, OfferLine, Report, UnknownLine, size, style};
use crate::screen::progress::moved;
use crate::screen::shell::quoted;

/// Install a resource from a store, a file or an address: fetch it, verify it, show what it is
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// publisher/name, publisher/name@version, a sealed file, or its URL
    #[arg(value_name = "NAME|FILE|URL")]
    resource: Target,
    /// Install an older version over a newer one, from a file or an address; publisher/name@version asks for that
    /// already
    #[arg(long)]
    allow_older: bool,
    /// Accept this key of the publisher, also in place of the one pinned, and no other: its words, as the publisher
    /// told you
    #[arg(long, value_name = "WORDS")]
    accept_key: Option<String>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Installed {
    name: String,
    version: String,
    title: String,
    digest: String,
    server: String,
    #[serde(flatten)]
    publisher_key: PublisherKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
    capabilities: Capabilities,
    operations: Vec<String>,
    offers: Vec<OfferLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_offers: Vec<UnknownLine>,
    bytes: u64,
    /// The command that runs it.
    #[serde(skip)]
    usage: String,
}

impl Install {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let library = client.library();
        let source = self.source()?;
        let report = context.wait(async {
            let bar = context.screen.bar(&self.resource, None);
            let prepared = match &self.accept_key {
                Some(told) => library.prepare_as_told(&source, told, self.allow_older, &moved(&bar)).await,
                None => library.prepare(&source, self.allow_older, &moved(&bar)).await,
            };
            bar.finish_and_clear();
            let candidate = match prepared {
                Ok(candidate) => candidate,
                Err(error @ ClientError::NotFound(_)) => return Err(location::not_there(&client, &source, error).await),
                Err(ClientError::Refused(refused)) if refused.reason == Reason::ResourceWithdrawn => {
                    return Err(location::not_there(&client, &source, refused.into()).await);
                }
                Err(error) => return Err(self.advise(&client, error).await),
            };
            let mut report = Installed::of(&candidate);
            let installed = candidate.install().await?;
            let sealed = location::open(&installed.path)?;
            report.usage = usage::of(sealed.manifest(), sealed.stub());
            report.bytes = std::fs::metadata(&installed.path).map_or(0, |file| file.len());
            Ok(report)
        })?;
        context.screen.report(&report);
        Ok(())
    }

    fn source(&self) -> Outcome<InstallSource> {
        match &self.resource {
            Target::File(path) => Ok(InstallSource::File(path.clone())),
            Target::Url(url) => Ok(InstallSource::Url(url.to_string())),
            Target::Name(Name { publisher: Some(publisher), name, version }) => Ok(InstallSource::Store {
                server: self.store.named().cloned(),
                publisher: publisher.clone(),
                name: name.clone(),
                version: version.clone(),
            }),
            Target::Name(Name { publisher: None, name, .. }) => Err(Failure::usage(
                format!("`{name}` has no publisher"),
                format!("write publisher/{name}; `portcullis search {name}` finds it"),
            )),
        }
    }

    async fn advise(&self, client: &Client, error: ClientError) -> Failure {
        if let (ClientError::Rollback { resource, offered, .. }, Target::File(_) | Target::Url(_)) =
            (&error, &self.resource)
        {
            let fix = format!(
                "if you want the older one: `portcullis install {} --allow-older`; or, as its store has it: \
                 `portcullis install {resource}@{offered}`",
                quoted(&self.resource)
            );
            return Failure::from(error).with_fix(fix);
        }
        let is_unreadable = matches!(error, ClientError::File { .. });
        let failure = location::advise(error);
        match (failure.reason(), &self.resource) {
            (Some(Reason::ServerUntrusted), Target::File(path)) => {
                location::without_a_store(client, path).await.unwrap_or(failure)
            }
            (Some(Reason::ServerUntrusted), _) => {
                failure.with_fix("if you trust the store that sells it, sign in to it: `portcullis login URL`")
            }
            (Some(Reason::PackageInvalid), Target::File(path)) => location::own_fault(path).unwrap_or(failure),
            (None, Target::File(path)) if is_unreadable => location::own_fault(path).unwrap_or(failure),
            (Some(Reason::PackageInvalid), Target::Url(_)) => {
                failure.with_fix("fetch it again. If it repeats, tell whoever gave you the address")
            }
            _ => failure,
        }
    }
}

impl Installed {
    fn of(candidate: &Candidate) -> Self {
        let signed = candidate.manifest();
        let manifest: &Manifest = signed.manifest();
        Self {
            name: format!("{}/{}", manifest.publisher.name, manifest.name),
            version: manifest.version.to_string(),
            title: manifest.title.clone(),
            digest: signed.digest().to_string(),
            server: candidate.server().to_string(),
            publisher_key: PublisherKey::of(candidate.publisher_key(), candidate.publisher()),
            replaced: candidate.replaces().map(ToString::to_string),
            capabilities: manifest.capabilities,
            operations: manifest.operations.iter().map(|operation| operation.name.to_string()).collect(),
            offers: candidate.offers().iter().map(OfferLine::of).collect(),
            unknown_offers: candidate.unknown_offers().iter().map(UnknownLine::of).collect(),
            bytes: 0,
            usage: String::new(),
        }
    }
}

/// What a resource asks for, in words.
pub(crate) fn capabilities(asked: Capabilities) -> String {
    let mut words = Vec::new();
    for (asks, word) in [
        (asked.wall_clock, "the time of day"),
        (asked.environment, "environment variables you pass with --env"),
        (asked.directories, "directories you pass with --dir"),
        (asked.bills, "records of your bills, if you lend them with --bills and agree"),
    ] {
        if asks {
            words.push(word);
        }
    }
    if words.is_empty() { "none: no files, no network, no clock".into() } else { words.join(", ") }
}

impl Report for Installed {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("title", &self.title);
        lines.add("publisher key", &self.publisher_key);
        lines.add("store", &self.server);
        lines.add("size", size(self.bytes));
        lines.add("capabilities", capabilities(self.capabilities));
        for offer in &self.offers {
            lines.add("price", offer);
        }
        for offer in &self.unknown_offers {
            lines.add("price", offer);
        }
        if self.offers.is_empty() && self.unknown_offers.is_empty() {
            lines.add("price", "the store names none");
        }
        let replaced = self.replaced.as_ref().map_or_else(String::new, |old| format!(", in place of {old}"));
        let usage = hint::typed(&self.usage);
        format!("{good}installed{good:#} {} {}{replaced}\n{lines}\nRun it: {usage}\n", self.name, self.version)
    }
}
