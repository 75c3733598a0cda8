//! `portcullis inspect`: all that is public about a resource.

use clap::Args;
use portcullis_host::{Inspection, Limits, Listing, PartFacts};
use portcullis_protocol::surface::Surface;
use portcullis_protocol::wire::PartOpening;
use portcullis_protocol::{Digest, OperationEntry, PartKind, PartName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::commands::user::install::capabilities;
use crate::context::{Context, ServerOption};
use crate::failure::{OrFail as _, Outcome};
use crate::resource::destination::Destination;
use crate::resource::location;
use crate::resource::standing::{AtStore, Standing};
use crate::resource::target::Target;
use crate::screen::output::{KeyName, Lines, OfferLine, Report, UnknownLine, readable, size, style};

/// Show all that is public about a resource: who made it, what it can do, what it asks for, what bounds it
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A sealed file, the name of an installed resource, or publisher/name of one that a store sells
    #[arg(value_name = "FILE|NAME")]
    resource: Target,
    /// Write this part as the age file that it is, still encrypted
    #[arg(long, value_name = "PART", requires = "output")]
    extract: Option<PartName>,
    /// Where to write the part
    #[arg(short, long, value_name = "FILE", requires = "extract")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    facts: Inspection,
    publisher_fingerprint: KeyName,
    /// The structural type of each export.
    signatures: BTreeMap<String, String>,
    /// Per part, the operations that open it.
    openings: BTreeMap<String, Vec<String>>,
    /// What the stores of the manifest say of this version now: those that you trust and that answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    standing: BTreeMap<String, Standing>,
    /// The store's signed offers, if it is trusted and could be asked.
    offers: Vec<OfferLine>,
    /// Those under terms that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_offers: Vec<UnknownLine>,
    /// How the parts of other versions open, by the store's word, if that is otherwise than in this one.
    other_versions: Vec<OtherOpening>,
}

/// An offer holds for an operation in every version: what is cheap in one may open a part of another.
#[derive(Serialize)]
struct OtherOpening {
    part: String,
    versions: Vec<String>,
    operations: Vec<String>,
    /// The cheapest offer for one of the operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest: Option<OfferLine>,
}

#[derive(Serialize)]
struct Extracted {
    part: PartName,
    file: PathBuf,
    /// Absent if it is no regular file.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl Inspect {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        // A file is looked at with or without a terminal; its prices are the store's, which only one can ask.
        let client = match &self.resource {
            Target::File(_) => context.client_if_any(),
            _ => Some(context.client()?),
        };
        if let (Some(part), Some(output)) = (self.extract, self.output) {
            return extract(context, &location::file(client.as_ref(), &self.resource)?, part, output);
        }
        let server = self.store.named();
        let source = context.wait(location::look(context, client.as_ref(), &self.resource, server))?;
        let resource = portcullis_host::Runtime::builder().build()?.load(source);
        let resource = resource.map_err(|error| location::not_loaded(&self.resource, error))?;
        let manifest = resource.signed().manifest();
        let surface = Surface::of(resource.stub()).or_fail("read the stub", "install the resource again")?;
        let signature = |name: &str| Some((name.to_owned(), surface.export_type(name)?.to_owned()));
        let signatures = surface.exports().filter_map(signature).collect();
        let opens = |part: &PartName, operation: &OperationEntry| operation.parts.contains(part);
        let openings = manifest.parts.iter().map(|part| {
            let operations = manifest.operations.iter().filter(|operation| opens(&part.name, operation));
            (part.name.to_string(), operations.map(|operation| operation.name.to_string()).collect())
        });
        let openings: BTreeMap<String, Vec<String>> = openings.collect();
        let facts = resource.inspect();
        let (offers, seller) = context.wait(async {
            let (mut offers, mut seller) = (Vec::new(), None);
            let Some(client) = &client else { return Ok((offers, seller)) };
            for operation in &manifest.operations {
                use portcullis_host::Gatekeeper as _;
                // Prices are the store's: without it, there are none to show.
                let Ok(found) = client.cycle().offers(resource.signed(), &operation.name).await else { continue };
                seller = seller.or_else(|| found.first().map(|offer| offer.document().iss.clone()));
                // It answers, and sells nothing that can be read.
                seller = seller.or_else(|| manifest.servers.first().map(|server| server.origin.clone()));
                offers.extend(found);
            }
            Ok((offers, seller))
        })?;
        let stores = match &client {
            Some(client) => context.wait(async { Ok(AtStore::ask_all(client, resource.signed()).await) })?,
            None => Vec::new(),
        };
        let standing = stores.iter().map(|store| (store.server.to_string(), store.standing)).collect();
        let listing = seller.and_then(|seller| stores.into_iter().find(|store| store.server == seller)?.listing);
        let unknown_offers = listing.iter().flat_map(|listing| &listing.unknown_offers).map(UnknownLine::of).collect();
        let other_versions = listing.map_or_else(Vec::new, |listing| others(&listing, facts.digest, &openings));
        context.screen.report(&Inspected {
            standing,
            other_versions,
            publisher_fingerprint: facts.publisher_key.into(),
            facts,
            signatures,
            openings,
            offers: offers.iter().map(OfferLine::of).collect(),
            unknown_offers,
        });
        Ok(())
    }
}

/// The openings of other versions that are not those of this one, each with the versions that have it.
fn others(listing: &Listing, shown: Digest, openings: &BTreeMap<String, Vec<String>>) -> Vec<OtherOpening> {
    let mut found: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for version in listing.versions.iter().filter(|version| version.digest != shown) {
        for PartOpening { part, operations } in &version.opens {
            let mut operations: Vec<String> = operations.iter().map(ToString::to_string).collect();
            operations.sort();
            let same = openings.get(part.as_str()).is_some_and(|here| {
                let mut here = here.clone();
                here.sort();
                here == operations
            });
            if !same {
                found.entry((part.to_string(), operations)).or_default().push(version.version.to_string());
            }
        }
    }
    let offers: Vec<OfferLine> = listing.offers.iter().map(OfferLine::of).collect();
    let opening = |((part, operations), versions): ((String, Vec<String>), Vec<String>)| OtherOpening {
        cheapest: cheapest(&offers, &operations).cloned(),
        part,
        versions,
        operations,
    };
    found.into_iter().map(opening).collect()
}

/// The cheapest offer for one of these operations. Amounts of one currency are compared; a free offer is cheapest in
/// any.
fn cheapest<'o>(offers: &'o [OfferLine], operations: &[String]) -> Option<&'o OfferLine> {
    offers.iter().filter(|offer| operations.contains(&offer.operation)).min_by_key(|offer| offer.minor_units())
}

/// What that costs, to be added to a line.
fn cost(cheapest: Option<&OfferLine>) -> String {
    cheapest.map_or_else(String::new, |offer| format!("; cheapest: {} for {}", offer.cost(), offer.operation))
}

fn extract(context: &Context, path: &Path, part: PartName, output: PathBuf) -> Outcome {
    let sealed = location::open(path)?;
    // Asked first, so that a wrong name leaves no empty file.
    sealed.age_header(&part)?;
    let destination = Destination::open(&output, "choose another file: --output FILE")?;
    let mut out = BufWriter::with_capacity(1 << 20, destination.file()?);
    sealed.extract(&part, &mut out)?;
    out.flush().map_err(|error| destination.failure(&error))?;
    let bytes = destination.finish()?;
    context.screen.report(&Extracted { part, file: output, bytes });
    Ok(())
}

impl Report for Extracted {
    fn text(&self) -> String {
        let good = style::GOOD;
        let file = self.file.display();
        format!(
            "{good}wrote{good:#} {file}{}: part `{}`, still encrypted\nAny age tool opens it with the identity of a store that sells it.\n",
            self.bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes))),
            self.part
        )
    }
}

impl Report for Inspected {
    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
        let facts = &self.facts;
        let mut lines = Lines::default();
        lines.add("title", &facts.title);
        if !facts.description.is_empty() {
            lines.add("", &facts.description);
        }
        lines.add("kind", &facts.kind);
        lines.add("publisher key", &self.publisher_fingerprint.words);
        lines.add("digest", facts.digest);
        let stores: Vec<String> = facts
            .servers
            .iter()
            .map(|server| {
                let countersigned = facts.countersigned_by.contains(&server.origin);
                let sells = match (self.standing.get(server.origin.as_str()), countersigned) {
                    (Some(Standing::Withdrawn), _) => "does not sell it any more: it was withdrawn",
                    (Some(Standing::Sold), false) => {
                        "sells a copy that it has countersigned; this one is as it was sealed"
                    }
                    (Some(Standing::Unlisted), true) => "has countersigned it, and does not list it now",
                    (_, true) => "sells it",
                    (_, false) => "has not countersigned it",
                };
                format!("{}  {dim}{sells}{dim:#}", server.origin)
            })
            .collect();
        lines.add("stores", stores.join("\n"));
        lines.add("asks for", capabilities(facts.asks));
        lines.add("bounds here", bounds(&facts.limits));
        if facts.advisory_metering {
            lines.add("metering", "counted uses bind an honest host only, and the publisher knows");
        }
        let mut text = format!("{strong}{}/{}{strong:#} {}\n{lines}", facts.publisher, facts.name, facts.version);
        text += "\nOperations\n";
        for operation in &facts.operations {
            text += &format!("  {strong}{}{strong:#}: {}\n", operation.name, operation.title);
            for offer in self.offers.iter().filter(|offer| offer.operation == operation.name.as_str()) {
                text += &format!("    {dim}offer{dim:#} {offer}\n");
            }
            for export in &operation.exports {
                let signature = readable(self.signatures.get(export.as_str()).map_or("", String::as_str));
                text += &format!("    {export}: {signature}\n");
            }
        }
        for offer in &self.unknown_offers {
            text += &format!("  {dim}offer{dim:#} {offer}\n");
        }
        text += "\nParts\n";
        for part in &facts.parts {
            text += &self.part(part);
        }
        if !self.other_versions.is_empty() {
            text += "\nParts of other versions, which the same offers open\n";
        }
        for OtherOpening { part, versions, operations, cheapest } in &self.other_versions {
            let cost = cost(cheapest.as_ref());
            text += &format!("  {part} of {}: opened by {}{cost}\n", versions.join(", "), operations.join(", "));
        }
        text
    }
}

impl Inspected {
    /// A part and the cheapest way to it.
    fn part(&self, part: &PartFacts) -> String {
        let opens = self.openings.get(part.name.as_str()).cloned().unwrap_or_default();
        let cost = cost(cheapest(&self.offers, &opens));
        let kind = if part.kind == PartKind::Code { "code" } else { &part.media_type };
        let public = if part.public { ", public" } else { "" };
        format!("  {}: {kind}, {}{public}; opened by {}{cost}\n", part.name, size(part.size), opens.join(", "))
    }
}

fn bounds(limits: &Limits) -> String {
    format!(
        "memory {}, {} s a call, results {}, output {}",
        size(limits.memory),
        limits.run_max,
        size(limits.result),
        size(limits.output)
    )
}
