//! `portcullis seal`: from a built project to the file that a store sells.

use clap::Args;
use portcullis_protocol::seal::{Checked, Description, Opening, Sealer, SuggestedOffer};
use portcullis_protocol::{PartKind, PublisherEntry, SecretKey};
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::build;
use crate::context::Context;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::guest::language::Language;
use crate::project::key_in_use;
use crate::project::publisher_key::{self, Whose};
use crate::project::recipient::{self, ServerArg, Store};
use crate::project::stale;
use crate::project::{PartSource, Project};
use crate::resource::destination::Destination;
use crate::screen::hint;
use crate::screen::output::{KeyName, Lines, Report, size, style};
use crate::screen::shell::quoted;

/// Seal a project: encrypt its parts, sign its manifest, write the file that a store sells
#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// The project: its folder, or its portcullis.toml
    #[arg(default_value = ".")]
    project: PathBuf,
    /// The store that shall sell it: its address, or the file that it has at /.well-known/portcullis. May be repeated
    #[arg(long = "server", value_name = "URL|FILE")]
    servers: Vec<ServerArg>,
    /// The publisher key [default: publisher.jwk in the home folder]
    #[arg(long, value_name = "FILE", env = publisher_key::VARIABLE)]
    key: Option<PathBuf>,
    /// Accept that counted uses bind an honest host only
    #[arg(long)]
    advisory_metering: bool,
    /// Take the built files as they are, even if the sources are newer
    #[arg(long)]
    no_build: bool,
    /// Where to write it [default: NAME-VERSION.sealed.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What was sealed.
#[derive(Debug, Serialize)]
pub(crate) struct Sealed {
    pub(crate) file: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) digest: String,
    publisher: String,
    name: String,
    version: String,
    publisher_key: KeyName,
    servers: Vec<String>,
    stub_bytes: u64,
    parts: Vec<PartLine>,
    unmapped_exports: Vec<String>,
    /// Stores that will not take it: another key of the publisher is in use there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PartLine {
    part: String,
    kind: PartKind,
    bytes: u64,
    public: bool,
    operations: Vec<String>,
    /// What it costs to have it: the cheapest offer of any operation that opens it.
    cheapest: Vec<String>,
}

impl Seal {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let project = Project::read(&self.project)?;
        if !self.no_build {
            bring_up_to_date(context, &project)?;
        }
        let key = match &self.key {
            Some(key) => publisher_key::read(key, Whose::Publisher)?,
            None => publisher_key::read(&publisher_key::path(None, &context.home()?), Whose::Publisher)?,
        };
        let client = || context.client();
        let stores = context.wait(recipient::stores(context.screen, &client, &self.servers, &project.servers))?;
        let output =
            self.output.unwrap_or_else(|| PathBuf::from(format!("{}-{}.sealed.wasm", project.name, project.version)));
        let mut sealed = seal(context, &project, &key, &stores, self.advisory_metering, &output)?;
        sealed.refused_by = context.wait(warn_of_other_keys(context, &project, &key, &stores))?;
        context.screen.report(&sealed);
        Ok(())
    }
}

/// Says of each trusted store where another key of the publisher is in use that it will not take the file. Returns
/// them.
async fn warn_of_other_keys(
    context: &Context,
    project: &Project,
    key: &SecretKey,
    stores: &[Store],
) -> Outcome<Vec<String>> {
    let mut refusing = Vec::new();
    let Some(client) = context.client_if_any() else { return Ok(refusing) };
    let trusted = client.servers().unwrap_or_default();
    let publisher = &project.publisher;
    for server in stores.iter().map(|store| &store.entry.origin) {
        if !trusted.iter().any(|pin| pin.origin == *server) {
            continue;
        }
        if let Some(in_use) = key_in_use::other_than(&client, server, publisher, key.public()).await {
            context.screen.warn(format_args!(
                "{server} will not take it: the key of {publisher} in use there is {}, and this was sealed with {}; seal it \
                 again with that one: --key FILE",
                in_use.thumbprint().words(),
                key.public().thumbprint().words()
            ));
            refusing.push(server.to_string());
        }
    }
    Ok(refusing)
}

/// Builds what was not built, and again what is older than its sources, so that nobody sells the version before.
fn bring_up_to_date(context: &Context, project: &Project) -> Outcome {
    let builds = Language::of(&project.folder).is_some();
    let why = match (stale::missing(project), stale::changed_since(project)) {
        (Some(missing), _) if builds => format!("`{}` is not there yet", missing.display()),
        (_, Some(source)) => format!("`{}` was changed since the last build", source.display()),
        (_, None) => return Ok(()),
    };
    if builds {
        context.screen.note(format_args!("{why}: building first"));
        let built = build::build(context, project)?;
        context.screen.note(format_args!("built {}", built.summary()));
        return Ok(());
    }
    Err(Failure::new(
        format!("{why}: what is built is not what it says"),
        "build the component again with its own tools; or seal it as it is: --no-build",
    ))
}

/// Seals a project into a file. The file appears when it is whole.
pub(crate) fn seal(
    context: &Context,
    project: &Project,
    key: &SecretKey,
    stores: &[Store],
    advisory_metering: bool,
    output: &Path,
) -> Outcome<Sealed> {
    let description = Description {
        publisher: PublisherEntry { name: project.publisher.clone(), jwk: key.public().clone() },
        name: project.name.clone(),
        version: project.version.clone(),
        kind: project.kind.clone(),
        title: project.title.clone(),
        description: project.description.clone(),
        operations: project.operations.clone(),
        limits: project.limits,
        capabilities: project.capabilities,
        advisory_metering: advisory_metering || project.advisory_metering,
        servers: stores.iter().map(|store| store.entry.clone()).collect(),
    };
    let code = read_code(&project.parts)?;
    let bar = context.screen.bar(&project.name, Some(total(&project.parts)?));
    let mut sealer = Sealer::new(description);
    for (part, bytes) in project.parts.iter().zip(&code) {
        sealer = match bytes {
            Some(bytes) => sealer.code(part.name.clone(), part.public, bytes),
            None => {
                let (file, size) = open(part)?;
                let source = bar.wrap_read(BufReader::with_capacity(1 << 20, file));
                sealer.asset(part.name.clone(), part.public, &part.media_type, size, source)
            }
        };
    }
    for offer in &project.offers {
        let (operation, rights, price) = (offer.operation.clone(), offer.rights, offer.price);
        sealer = sealer.offer(SuggestedOffer { operation, rights, price });
    }
    let checked = sealer.check()?;
    let unmapped_exports: Vec<String> = checked.unmapped_exports().map(str::to_owned).collect();
    let (stub_bytes, openings) = (checked.stub().len() as u64, checked.openings().to_vec());
    let signed = write(checked, key, stores, output);
    bar.finish_and_clear();
    let (signed, bytes) = signed?;
    let manifest = signed.manifest();
    Ok(Sealed {
        file: output.to_path_buf(),
        bytes,
        digest: signed.digest().to_string(),
        publisher: manifest.publisher.name.to_string(),
        name: manifest.name.to_string(),
        version: manifest.version.to_string(),
        publisher_key: key.public().thumbprint().into(),
        servers: stores.iter().map(|store| store.entry.origin.to_string()).collect(),
        stub_bytes,
        parts: manifest
            .parts
            .iter()
            .zip(&openings)
            .map(|(part, opening)| PartLine::of(part.kind, part.size, opening))
            .collect(),
        unmapped_exports,
        refused_by: Vec::new(),
    })
}

/// Writes the file. Returns its manifest, and how many bytes it has.
fn write(
    checked: Checked<'_>,
    key: &SecretKey,
    stores: &[Store],
    output: &Path,
) -> Outcome<(portcullis_protocol::SignedManifest, u64)> {
    let destination = Destination::open(output, "choose another file: --output FILE")?;
    let file = destination.file()?;
    // Sealing goes back to write what it knows at the end.
    let aside = if destination.is_seekable() {
        None
    } else {
        Some(tempfile::tempfile().or_fail("make a temporary file", "free some space")?)
    };
    let sealed = aside.as_ref().unwrap_or(&file);
    let mut out = BufWriter::with_capacity(1 << 20, sealed);
    let recipients: Vec<_> = stores.iter().map(|store| store.recipient).collect();
    let signed = checked.seal(&mut out, key, &recipients, &mut crate::random::system())?;
    out.flush().map_err(|error| destination.failure(&error))?;
    drop(out);
    if let Some(mut aside) = aside {
        let copied = aside.rewind().and_then(|()| std::io::copy(&mut aside, &mut &file));
        copied.map_err(|error| destination.failure(&error))?;
    }
    Ok((signed, destination.finish()?.unwrap_or_default()))
}

/// The bytes of code parts, in the order of the parts; `None` for assets, which are streamed.
fn read_code(parts: &[PartSource]) -> Outcome<Vec<Option<Vec<u8>>>> {
    let read = |part: &PartSource| match part.kind {
        PartKind::Code => std::fs::read(&part.path).map(Some).or_fail(
            format_args!("read `{}`, the file of part `{}`", part.path.display(), part.name),
            "build it first: `portcullis build`; or correct the part's `path`",
        ),
        PartKind::Asset => Ok(None),
    };
    parts.iter().map(read).collect()
}

fn open(part: &PartSource) -> Outcome<(File, u64)> {
    let what = format!("read `{}`, the file of part `{}`", part.path.display(), part.name);
    let file = File::open(&part.path).or_fail(&what, "correct the part's `path` in portcullis.toml")?;
    let data = file.metadata().or_fail(&what, "check the file")?;
    if !data.is_file() {
        return Err(Failure::new(format!("cannot {what}: it is not a file"), "name a file, not a folder"));
    }
    Ok((file, data.len()))
}

fn total(parts: &[PartSource]) -> Outcome<u64> {
    let assets = parts.iter().filter(|part| part.kind == PartKind::Asset);
    assets.map(|part| Ok(open(part)?.1)).sum()
}

impl PartLine {
    fn of(kind: PartKind, bytes: u64, opening: &Opening) -> Self {
        let price = |offer: &SuggestedOffer| {
            if offer.is_free() { "free".to_owned() } else { format!("{} ({})", offer.price, offer.rights) }
        };
        Self {
            part: opening.part.to_string(),
            kind,
            bytes,
            public: opening.public,
            operations: opening.operations.iter().map(ToString::to_string).collect(),
            cheapest: opening.cheapest.iter().map(price).collect(),
        }
    }
}

impl Report for Sealed {
    fn text(&self) -> String {
        let (good, strong, warn) = (style::GOOD, style::STRONG, style::WARN);
        let file = self.file.display();
        let mut lines = Lines::default();
        lines.add("resource", format_args!("{}/{} {}", self.publisher, self.name, self.version));
        lines.add("digest", &self.digest).add("signed by", &self.publisher_key.words);
        lines.add("sold by", self.servers.join("\n"));
        for part in &self.parts {
            let cost = if part.cheapest.is_empty() { "no offer yet".to_owned() } else { part.cheapest.join(" or ") };
            let public = if part.public { ", public" } else { "" };
            lines.add(
                format_args!("part {}", part.part),
                format_args!(
                    "{}{public}; opened by {}; cheapest: {cost}",
                    size(part.bytes),
                    part.operations.join(", ")
                ),
            );
        }
        let mut text = format!("{good}sealed{good:#} {file} ({})\n{lines}", size(self.bytes));
        for export in &self.unmapped_exports {
            text += &format!("{warn}note{warn:#}: no operation has the export `{export}`, so it cannot be called\n");
        }
        // If all of them refuse it, what comes next stands in the warnings.
        let is_refused = self.servers.iter().all(|server| self.refused_by.contains(server));
        if self.servers.is_empty() || !is_refused {
            let publish = hint::typed("portcullis publish");
            text += &format!("\nNext: {strong}{publish} {}{strong:#}\n", quoted(file));
        }
        text
    }
}
