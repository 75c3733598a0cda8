//! `portcullis publish`: hand a sealed resource to a store.

use clap::Args;
use portcullis_host::{Client, ClientError, Publishing, Sent, Storefront};
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{Manifest, Origin, PublicKey, SecretKey, SignedManifest, Version};
use serde::Serialize;
use std::path::{Path, PathBuf};

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::project::key_in_use;
use crate::project::published_record::{PublishedRecord, PublishedVersion};
use crate::project::publisher_key::{self, Whose};
use crate::project::{self, Project};
use crate::resource::location;
use crate::screen::hint;
use crate::screen::output::{Lines, OfferLine, Report, UnknownLine, size, style};

/// The project's folder, unless another one is named.
const HERE: &str = ".";

/// Publish a sealed resource: claim your name if needed, upload, set the offers
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The sealed file
    file: PathBuf,
    /// Replace the store's offers by those of portcullis.toml, also where it has some
    #[arg(long)]
    offers: bool,
    /// The project whose portcullis.toml has the offers
    #[arg(long, value_name = "DIR", default_value = HERE)]
    project: PathBuf,
    /// The publisher key, to claim your name with [default: publisher.jwk in the home folder]
    #[arg(long, value_name = "FILE", env = publisher_key::VARIABLE)]
    key: Option<PathBuf>,
    #[command(flatten)]
    store: ServerOption,
}

/// What was published.
#[derive(Debug, Serialize)]
pub(crate) struct Published {
    server: String,
    name: String,
    version: String,
    digest: String,
    bytes: u64,
    claimed: bool,
    pub(crate) offers: Vec<OfferLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_offers: Vec<UnknownLine>,
    /// Whether the offers were set by this command.
    offers_set: bool,
}

impl Publish {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let sealed = location::open(&self.file)?;
        let client = context.client()?;
        let server = seller(&client, sealed.signed(), &self.store)?;
        // The store would find it once everything is there.
        sealed.verify_blocks().map_err(|error| location::damaged(&self.file, error))?;
        let terms = self.terms(sealed.manifest())?;
        let key = || publisher_key::read(&publisher_key::path(self.key.as_deref(), &context.home()?), Whose::Publisher);
        let (file, signed, replace) = (&*self.file, sealed.signed(), self.offers);
        let publication = Publication { server: &server, file, signed, key, terms, replace };
        let published = publish(context, &client, publication);
        context.screen.report(&context.wait(published)?);
        Ok(())
    }

    /// The offers of the project, if there is one and it is this resource's.
    fn terms(&self, manifest: &Manifest) -> Outcome<Option<Vec<OfferTerms>>> {
        // The folder one is in may be any; one that was named has the project.
        let is_named = self.offers || self.project != Path::new(HERE);
        if !is_named && !self.project.join(project::FILE).exists() {
            return Ok(None);
        }
        let project = Project::read(&self.project)?;
        if project.publisher == manifest.publisher.name && project.name == manifest.name {
            return Ok(Some(project.offers));
        }
        if self.offers {
            return Err(Failure::usage(
                format!(
                    "`{}` is the project of {}/{}, not of this resource",
                    self.project.display(),
                    project.publisher,
                    project.name
                ),
                "name the right one: --project DIR",
            ));
        }
        Ok(None)
    }
}

/// The store to publish at: the one named, else the one of the manifest's servers where the user is signed in.
fn seller(client: &Client, signed: &SignedManifest, store: &ServerOption) -> Outcome<Origin> {
    let servers = &signed.manifest().servers;
    let listed: Vec<&str> = servers.iter().map(|server| server.origin.as_str()).collect();
    if let Some(origin) = store.named() {
        if servers.iter().any(|server| server.origin == *origin) {
            return Ok(origin.clone());
        }
        return Err(Failure::usage(
            format!("the resource is not sealed for {origin}, only for {}", listed.join(", ")),
            format!("seal it again with --server {origin}"),
        ));
    }
    let mut signed_in = Vec::new();
    for server in servers {
        if client.is_signed_in(&server.origin)? {
            signed_in.push(server.origin.clone());
        }
    }
    match signed_in.as_slice() {
        [origin] => Ok(origin.clone()),
        [] => Err(Failure::refusal(
            portcullis_protocol::Reason::NotSignedIn,
            format!("the resource is sealed for {}", listed.join(", ")),
        )
        .with_fix(format!("portcullis login {}", listed[0]))),
        _ => Err(Failure::usage(
            "several stores could be meant",
            format!("choose one with --server: {}", listed.join(", ")),
        )),
    }
}

/// One publication.
pub(crate) struct Publication<'p, K> {
    /// The store.
    pub(crate) server: &'p Origin,
    /// The sealed file.
    pub(crate) file: &'p Path,
    /// Its manifest, verified.
    pub(crate) signed: &'p SignedManifest,
    /// Returns the publisher's key, which is needed only if the name is not claimed yet.
    pub(crate) key: K,
    /// The offers of the project.
    pub(crate) terms: Option<Vec<OfferTerms>>,
    /// Whether they take the place of offers that there are.
    pub(crate) replace: bool,
}

/// Claims the name if that is needed, uploads, and sets the offers if there are none or they are to be replaced.
pub(crate) async fn publish<K: Fn() -> Outcome<SecretKey>>(
    context: &Context,
    client: &Client,
    publication: Publication<'_, K>,
) -> Outcome<Published> {
    let Publication { server, file, signed, key, terms, replace } = publication;
    let manifest = signed.manifest();
    let (publishing, store): (Publishing, Storefront) = (client.publishing(server), client.store(server));
    let owner = &manifest.publisher.name;
    let mut claimed = false;
    if !store.account().await?.publishers.contains(owner) {
        let key = key()?;
        if *key.public() != manifest.publisher.jwk {
            return Err(Failure::new(
                format!(
                    "the resource is signed by another key ({}) than yours",
                    manifest.publisher.jwk.thumbprint().words()
                ),
                "name the key that it was sealed with: --key FILE; or seal it again",
            ));
        }
        publishing.claim(owner, &key).await.map_err(|error| {
            let rejected = matches!(error, ClientError::Rejected { .. });
            let failure = Failure::from(error);
            if rejected {
                failure.with_fix(format!(
                    "if `{owner}` belongs to somebody else there, choose another name: `publisher` in portcullis.toml, then \
                     seal it again; else ask the store"
                ))
            } else {
                failure
            }
        })?;
        claimed = true;
    } else if let Some(in_use) = key_in_use::other_than(client, server, owner, &manifest.publisher.jwk).await {
        let words = |key: &PublicKey| key.thumbprint().words();
        return Err(Failure::new(
            format!(
                "the key of {owner} in use at {server} is {}, and this file is signed by {}",
                words(&in_use),
                words(&manifest.publisher.jwk)
            ),
            "seal it again with the key in use: `portcullis seal --key FILE`",
        ));
    }
    // Found before anything goes up; a store that knows nothing of it yet has no versions.
    let mut newest = None;
    if let Ok(listing) = store.entry(owner, &manifest.name).await {
        if listing.version(&manifest.version).is_some_and(|published| published.digest != signed.digest()) {
            return Err(version_taken(manifest));
        }
        let by_precedence = |one: &&Version, other: &&Version| one.precedence(other);
        newest = listing.versions.iter().map(|entry| &entry.version).max_by(by_precedence).cloned();
    }
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    let dim = style::DIM;
    context.screen.note(format_args!("{dim}uploading {} to {server} …{dim:#}", size(bytes)));
    let bar = context.screen.bar("uploading", Some(bytes));
    let moved = bar.clone();
    let answer = publishing.publish_with(file, Sent::new(move |sent| moved.set_position(sent))).await;
    bar.finish_and_clear();
    let answer = answer.map_err(|error| advise(error, newest.as_ref().unwrap_or(&manifest.version)))?;
    let record = PublishedRecord::of(&context.home()?);
    let version = PublishedVersion {
        server: server.clone(),
        publisher: answer.publisher.clone(),
        name: answer.name.clone(),
        version: answer.version.clone(),
        digest: answer.resource,
    };
    if let Err(error) = record.add(&version) {
        // It is published; when the key is changed, this version is asked about.
        context.screen.warn(format_args!("that it was published from here is not written down: {error}"));
    }
    let listing = store.entry(owner, &manifest.name).await?;
    let unknown_offers: Vec<UnknownLine> = listing.unknown_offers.iter().map(UnknownLine::of).collect();
    let mut offers = listing.offers;
    let mut offers_set = false;
    let none = offers.is_empty() && unknown_offers.is_empty();
    if replace && !unknown_offers.is_empty() {
        // The whole list is replaced: what cannot be read would end.
        context.screen.warn("the offers stay as they are: some are under terms that this version does not know");
    } else if let Some(terms) = terms.filter(|terms| !terms.is_empty() && (replace || none)) {
        offers = publishing.set_offers(owner, &manifest.name, terms).await?;
        offers_set = true;
    }
    Ok(Published {
        server: server.to_string(),
        name: format!("{}/{}", answer.publisher, answer.name),
        version: answer.version.to_string(),
        digest: answer.resource.to_string(),
        bytes,
        claimed,
        offers: offers.iter().map(OfferLine::of).collect(),
        unknown_offers,
        offers_set,
    })
}

/// A version without its build metadata, which raises nothing (SemVer 2.0.0, item 10).
fn precedence(version: &Version) -> String {
    version.to_string().split('+').next().unwrap_or_default().to_owned()
}

/// Whoever has the version has other bytes than these.
fn version_taken(manifest: &Manifest) -> Failure {
    let Manifest { publisher, name, version, .. } = manifest;
    let above = precedence(version);
    Failure::new(
        format!("{}/{name} {version} is published with other content, and a version never changes", publisher.name),
        format!("raise the `version` in portcullis.toml above {above}, seal again, and publish that"),
    )
}

/// `newest` is the version that has to be raised: the newest that the store has, whatever was to be published.
fn advise(error: ClientError, newest: &Version) -> Failure {
    let conflict = matches!(error, ClientError::Rejected { status: 409, .. });
    let failure = Failure::from(error);
    if conflict && failure.to_string().contains("raise the version") {
        let above = precedence(newest);
        let fix = format!("raise the `version` in portcullis.toml above {above}, seal again, and publish that");
        return failure.with_fix(fix);
    }
    failure
}

impl Report for Published {
    fn text(&self) -> String {
        let (good, strong, warn) = (style::GOOD, style::STRONG, style::WARN);
        let mut lines = Lines::default();
        lines.add("store", &self.server).add("digest", &self.digest);
        for offer in &self.offers {
            lines.add("offer", offer);
        }
        for offer in &self.unknown_offers {
            lines.add("offer", offer);
        }
        let claimed = if self.claimed { " (and claimed the publisher's name)" } else { "" };
        let mut text = format!("{good}published{good:#} {} {}{claimed}\n{lines}", self.name, self.version);
        if self.offers.is_empty() && self.unknown_offers.is_empty() {
            text += &format!(
                "{warn}note{warn:#}: it has no offer, so nobody can buy it: {strong}{} {}{strong:#}\n",
                hint::typed("portcullis price"),
                self.name
            );
        }
        text + &format!("\nUsers type: {strong}portcullis install {}{strong:#}\n", self.name)
    }
}
