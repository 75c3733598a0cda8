//! `portcullis change-key`: another key signs what a publisher publishes from now on, and stands for what was published
//! before.

use clap::Args;
use portcullis_host::{Client, Listing};
use portcullis_protocol::wire::{CatalogueVersion, PublisherAnswer};
use portcullis_protocol::{
    AdoptedVersions, Digest, Origin, PublicKey, PublisherName, ResourceName, SecretKey, Unverified, Version, Vouch,
};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::commands::publisher::ownership;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::project::published_record::PublishedRecord;
use crate::project::publisher_key::{self, Whose};
use crate::resource::target::Name;
use crate::screen::output::{KeyName, Lines, Report, style};
use crate::screen::shell::quoted;

/// Change a publisher's key: the old one vouches for the new one, and the new one stands for what was published
///
/// Those who trust the old key follow. Terminals that know the new key take what the old one signed only if the new
/// one names it, and the store sells nothing else: a stolen old key adds nothing. What was not published from this
/// machine is asked about. Run it again to stand for what was left out.
#[derive(Debug, Args)]
pub(crate) struct ChangeKey {
    /// The publisher
    publisher: PublisherName,
    /// The new key, as `portcullis keygen --output FILE` wrote it
    #[arg(value_name = "NEW_KEY")]
    successor: PathBuf,
    /// The key in use [default: publisher.jwk in the home folder]
    #[arg(long, value_name = "FILE", env = publisher_key::VARIABLE)]
    key: Option<PathBuf>,
    /// Do not stand for this, which is sold no more then; can be given several times
    #[arg(long, value_name = "NAME[@VERSION]")]
    without: Vec<Name>,
    /// Agree beforehand to stand for everything that the key in use signed, and to a key that was in use before
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Changed {
    server: String,
    publisher: PublisherName,
    #[serde(flatten)]
    key: KeyName,
    /// What the new key stands for of what was published before.
    adopted: Vec<VersionLine>,
    /// What it does not: it is sold no more.
    left_out: Vec<VersionLine>,
    /// Whether the key was in use already, and only stands for more.
    #[serde(skip)]
    was_in_use: bool,
    #[serde(skip)]
    file: PathBuf,
    /// What is to be done so that the new key is used without `--key`.
    #[serde(skip)]
    usual: Option<String>,
}

/// A version that was published, and whose it is.
#[derive(Debug, Clone, Serialize)]
struct VersionLine {
    #[serde(skip)]
    resource: ResourceName,
    name: String,
    version: Version,
    digest: Digest,
    /// `here`: it was published from this machine; `elsewhere`: the key in use signed it all the same; `other-key`: that
    /// did not sign it either.
    published: Published,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Published {
    Here,
    Elsewhere,
    OtherKey,
}

impl ChangeKey {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let home = context.home()?;
        let key = publisher_key::read(&publisher_key::path(self.key.as_deref(), &home), Whose::Publisher)?;
        let successor = publisher_key::read(&self.successor, Whose::Publisher)?;
        let usual = self.usual(&home, &key, &successor);
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let own = PublishedRecord::of(&home).digests(&self.publisher);
        let mut report = context.wait(self.change(context, &client, &server, (key, successor), &own))?;
        report.usual = usual;
        context.screen.report(&report);
        Ok(())
    }

    async fn change(
        &self,
        context: &Context,
        client: &Client,
        server: &Origin,
        (key, successor): (SecretKey, SecretKey),
        own: &HashSet<Digest>,
    ) -> Outcome<Changed> {
        let publishing = client.publishing(server);
        let known = publishing.publisher(&self.publisher).await?;
        let was_in_use = known.publisher_key == *successor.public();
        // If it is in use already, it may have taken the place of the old one.
        if !was_in_use && successor.public() == key.public() {
            return Err(Failure::usage(
                "the new key is the old one",
                "make another one: `portcullis keygen --output new.jwk`; or name the key in use: --key FILE",
            ));
        }
        if !was_in_use && known.publisher_key != *key.public() {
            return Err(Failure::new(
                format!(
                    "the key of {} in use at {server} is another one: {}",
                    self.publisher,
                    known.publisher_key.thumbprint().words()
                ),
                "name that one: --key FILE",
            ));
        }
        if !was_in_use {
            self.agreed_to_old(context, &known, &successor)?;
        }
        let published = publishing.resources(&self.publisher).await;
        let published = ownership::answered(client, server, &self.publisher, published).await?;
        if !published.unknown.is_empty() {
            return Err(Failure::new(
                format!("{server} lists resources of {} that this version cannot read", self.publisher),
                "update portcullis: the new key has to stand for all of them",
            ));
        }
        // A resource that is published between two pages may be on both.
        let published: BTreeSet<ResourceName> = published.known.into_iter().collect();
        let (mut adopted, mut left_out) = (Vec::new(), Vec::new());
        for name in &published {
            let listing = client.store(server).entry(&self.publisher, name).await?;
            let before = listing.adopted().unwrap_or_default();
            let keys = [key.public(), successor.public()];
            let stands = Stands { client, listing: &listing, keys, own, adopted: &before };
            for version in &listing.versions {
                let line = stands.line(version).await;
                let is_left_out = self.without.iter().any(|without| is_meant(without, &line));
                // What it has adopted once, it goes on to stand for.
                let stays = was_in_use && before.contains(&line.digest);
                let taken = line.published != Published::OtherKey && !is_left_out;
                if taken || stays { adopted.push(line) } else { left_out.push(line) }
            }
        }
        self.check_left_out(server, was_in_use, &adopted, &left_out)?;
        self.agreed(context, server, &adopted)?;
        for name in &published {
            let versions = adopted.iter().filter(|line| line.resource == *name).map(|line| line.digest);
            let versions = AdoptedVersions::new(versions).map_err(|error| Failure::new(error, "use --without"))?;
            if versions.iter().len() > 0 {
                // Before the key changes, so that what is sold is sold all along.
                publishing.adopt(&self.publisher, name, versions, &successor).await?;
            }
        }
        if !was_in_use {
            publishing.vouch(&self.publisher, &key, &successor).await?;
        }
        Ok(Changed {
            server: server.to_string(),
            publisher: self.publisher.clone(),
            key: successor.public().thumbprint().into(),
            adopted,
            left_out,
            was_in_use,
            file: self.successor.clone(),
            usual: None,
        })
    }

    /// Asks before a key that was replaced is put in force again: it may have been replaced because it was stolen.
    fn agreed_to_old(&self, context: &Context, known: &PublisherAnswer, successor: &SecretKey) -> Outcome {
        let successor = successor.public().thumbprint();
        let signed_by_it = |compact: &String| Unverified::<Vouch>::parse(compact).is_ok_and(|it| it.kid() == successor);
        if self.yes || !known.vouches.iter().any(signed_by_it) {
            return Ok(());
        }
        let what = format!(
            "{} was in use before for {}, and another key took its place. If it was stolen, whoever has it can publish again.",
            successor.words(),
            self.publisher
        );
        if context.screen.ask(format_args!("{what}\nPut it in force again?")) {
            return Ok(());
        }
        Err(Failure::new(what, "name the right file; if this is the one: --yes"))
    }

    /// Whoever mistypes what he does not trust would stand for it: each has to be there, and to be left out.
    fn check_left_out(
        &self,
        server: &Origin,
        was_in_use: bool,
        adopted: &[VersionLine],
        left_out: &[VersionLine],
    ) -> Outcome {
        for without in &self.without {
            if let Some(line) = adopted.iter().find(|line| was_in_use && is_meant(without, line)) {
                return Err(Failure::new(
                    format!("the key in use stands for {} {} already, and terminals may know", line.name, line.version),
                    format!("withdraw it: `portcullis withdraw {}@{}`", line.name, line.version),
                ));
            }
            if !left_out.iter().any(|line| is_meant(without, line)) {
                let known = adopted.iter().chain(left_out).map(|line| format!("{}@{}", line.name, line.version));
                return Err(Failure::usage(
                    format!("{} has published nothing that is called {without} at {server}", self.publisher),
                    format!("it has published {}", known.collect::<Vec<_>>().join(", ")),
                ));
            }
        }
        Ok(())
    }

    /// What is to be done so that the new key is used without `--key`, if the old one is.
    fn usual(&self, home: &Path, key: &SecretKey, successor: &SecretKey) -> Option<String> {
        if key.public() == successor.public() {
            return None;
        }
        let new = argument(&self.successor);
        if let Some(named) = &self.key {
            let by_variable = std::env::var_os(publisher_key::VARIABLE).is_some_and(|value| *named == *value);
            let variable = publisher_key::VARIABLE;
            return by_variable.then(|| format!("{variable} names the old one: export {variable}={new}"));
        }
        let usual = publisher_key::path(None, home);
        // A key is never overwritten.
        let mut free = (1_u32..).map(|number| usual.with_extension(format!("{number}.jwk")));
        let aside = free.find(|path| !path.exists())?;
        let (usual, aside) = (argument(&usual), argument(&aside));
        Some(format!(
            "Without `--key` the old one is used: `mv {usual} {aside} && cp {new} {usual}` makes it the new one"
        ))
    }

    /// Asks about what was not published from here: the list is the store's, and whoever stole the old key may have
    /// added to it.
    fn agreed(&self, context: &Context, server: &Origin, adopted: &[VersionLine]) -> Outcome {
        let elsewhere: Vec<&VersionLine> =
            adopted.iter().filter(|line| line.published == Published::Elsewhere).collect();
        if elsewhere.is_empty() || self.yes {
            return Ok(());
        }
        let lines: String = elsewhere.iter().map(|line| format!("  {line}\n")).collect();
        let what = format!("{server} lists versions that were not published from this machine:\n{lines}");
        if context.screen.ask(format_args!("{what}Did you publish all of them?")) {
            return Ok(());
        }
        Err(Failure::new(
            format!("{what}nothing was changed"),
            "compare the digests with your own files (`portcullis inspect FILE`). If all are yours: --yes; leave out what is \
             not: --without NAME@VERSION",
        ))
    }
}

/// Finds out what the versions that a store lists of a resource rest on.
struct Stands<'s> {
    client: &'s Client,
    listing: &'s Listing,
    /// The old key and the new one.
    keys: [&'s PublicKey; 2],
    /// What was published from here.
    own: &'s HashSet<Digest>,
    /// What the key in use has adopted.
    adopted: &'s AdoptedVersions,
}

impl Stands<'_> {
    async fn line(&self, version: &CatalogueVersion) -> VersionLine {
        let listing = self.listing;
        let published = match self.own.contains(&version.digest) {
            true => Published::Here,
            false if self.is_signed(version).await => Published::Elsewhere,
            false => Published::OtherKey,
        };
        VersionLine {
            resource: listing.name.clone(),
            name: format!("{}/{}", listing.publisher, listing.name),
            version: version.version.clone(),
            digest: version.digest,
            published,
        }
    }

    /// Whether the key in use signed it, or has adopted it: what a store lists may be anybody's.
    async fn is_signed(&self, version: &CatalogueVersion) -> bool {
        let listing = self.listing;
        if self.keys.contains(&&listing.publisher_key) && self.adopted.contains(&version.digest) {
            return true;
        }
        // One whose file does not come, or is damaged, is left out, and named.
        let Ok(signed) = self.client.library().manifest_of(listing, version).await else { return false };
        let manifest = signed.manifest();
        manifest.publisher.name == listing.publisher
            && manifest.name == listing.name
            && manifest.version == version.version
            && self.keys.contains(&&manifest.publisher.jwk)
    }
}

impl std::fmt::Display for VersionLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}  {}", self.name, self.version, self.digest)
    }
}

impl Report for Changed {
    fn text(&self) -> String {
        let (good, warn) = (style::GOOD, style::WARN);
        let mut lines = Lines::default();
        lines.add("words", &self.key.words).add("thumbprint", &self.key.thumbprint);
        for line in &self.adopted {
            lines.add("stands for", line);
        }
        for line in &self.left_out {
            let why = match line.published {
                Published::OtherKey => ": neither key signed it",
                _ => "",
            };
            lines.add("left out", format_args!("{line}  {warn}sold no more{why}{warn:#}"));
        }
        let (publisher, server) = (&self.publisher, &self.server);
        let mut text = match self.was_in_use {
            true => format!("{good}in use{good:#} is this key of {publisher} at {server} already\n{lines}"),
            false => format!(
                "{good}changed{good:#} the key of {publisher} at {server}\n{lines}\nSeal and publish with `--key {}` from now on. The old key is needed no longer, but keep it where you sell at other stores.\n",
                argument(&self.file)
            ),
        };
        if let Some(usual) = &self.usual {
            text += &format!("{usual}.\n");
        }
        text
    }
}

/// Whether a version is meant by a name, with a version or without.
fn is_meant(name: &Name, line: &VersionLine) -> bool {
    name.means(&line.name) && name.version.as_ref().is_none_or(|version| *version == line.version)
}

/// A path as an argument of a command: never taken for an option.
fn argument(path: &Path) -> String {
    let text = path.display().to_string();
    quoted(if text.starts_with('-') { format!("./{text}") } else { text })
}
