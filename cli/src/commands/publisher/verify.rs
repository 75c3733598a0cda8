//! `portcullis verify`: is this file what its publisher signed?

use clap::Args;
use portcullis_host::Pin;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::surface::{Surface, check_import};
use portcullis_protocol::text::counted;
use portcullis_protocol::{Origin, SignedManifest};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::project::published_record::PublishedRecord;
use crate::resource::location;
use crate::screen::output::{KeyName, Lines, Report, size, style};

/// Verify a sealed file: its signatures, its stub, and the bytes of its parts
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The sealed file
    file: PathBuf,
}

#[derive(Serialize)]
struct VerifiedFile {
    file: PathBuf,
    bytes: u64,
    name: String,
    version: String,
    digest: String,
    publisher_key: KeyName,
    stores: Vec<StoreLine>,
    /// What was checked.
    checked: Vec<String>,
    /// What nobody can check without the keys that a store releases.
    not_checked: Vec<String>,
}

#[derive(Serialize)]
struct StoreLine {
    server: String,
    /// It has countersigned the resource; where you are signed in to it, with a key that you know as the store's.
    sells: bool,
    /// You are signed in to it, and it is the one that the manifest means.
    trusted: bool,
    /// Somebody countersigned in its name with a key that you do not know as the store's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unknown_key: bool,
    /// It was published there from this machine: the store's own copy is countersigned, and this one is as it was
    /// sealed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    published: bool,
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let sealed = location::open(&self.file)?;
        let checked = check(&self.file, &sealed)?;
        let manifest = sealed.manifest();
        // The file is verified with or without a terminal; which stores are trusted, only one knows.
        let pins = context.client_if_any().and_then(|client| client.servers().ok()).unwrap_or_default();
        let headers: u64 = manifest
            .parts
            .iter()
            .filter_map(|part| sealed.age_header(&part.name).ok())
            .map(|header| header.to_bytes().len() as u64)
            .sum();
        let record = context.home().map(|home| PublishedRecord::of(&home).stores(&sealed.digest())).unwrap_or_default();
        let stores = manifest.servers.iter().map(|server| {
            let pin = pins.iter().find(|pin| pin.origin == server.origin && pin.root.thumbprint() == server.root);
            StoreLine::of(sealed.signed(), pin, &server.origin, record.contains(&server.origin))
        });
        context.screen.report(&VerifiedFile {
            bytes: std::fs::metadata(&self.file).map_or(0, |file| file.len()),
            name: format!("{}/{}", manifest.publisher.name, manifest.name),
            version: manifest.version.to_string(),
            digest: sealed.digest().to_string(),
            publisher_key: manifest.publisher.jwk.thumbprint().into(),
            stores: stores.collect(),
            checked,
            not_checked: vec![
                format!(
                    "the headers of the parts, {headers} bytes that say for whom: the publisher does not sign them, and only \
                     who opens a part can check its header"
                ),
                "what is inside the parts: a terminal checks that before it runs".to_owned(),
            ],
            file: self.file,
        });
        Ok(())
    }
}

/// Checks all that can be checked without a key. Opening the file has verified signatures, canonical form, the stub's
/// digest and the block lists. Says what was checked.
fn check(path: &Path, sealed: &Sealed<File>) -> Outcome<Vec<String>> {
    let manifest = sealed.manifest();
    let contradicts = |error: String| {
        Failure::refusal(portcullis_protocol::Reason::PackageInvalid, error)
            .with_fix("ask its publisher for a file that was sealed with `portcullis seal`")
    };
    let stub = Surface::of(sealed.stub()).map_err(|error| contradicts(format!("the stub: {error}")))?;
    stub.check_stub(manifest)
        .map_err(|error| contradicts(format!("manifest and stub contradict each other: {error}")))?;
    for import in stub.imported_interfaces() {
        check_import(import).map_err(|error| contradicts(format!("no terminal would run it: {error}")))?;
    }
    manifest.limits.check().map_err(|error| contradicts(format!("no terminal gives what it asks for: {error}")))?;
    sealed.check_headers().and_then(|()| sealed.verify_blocks()).map_err(|error| location::damaged(path, error))?;
    let payload: u64 = manifest.parts.iter().map(|part| part.size).sum();
    let signatures = 1 + sealed.signed().countersignatures().len();
    Ok(vec![
        format!("{}, and that the manifest is in its one canonical form", counted(signatures, "signature")),
        format!(
            "the stub, and that it has the {} and {} of the manifest",
            counted(manifest.imports.len(), "import"),
            counted(manifest.exports.len(), "export")
        ),
        format!("every byte of the ciphertext of {} ({})", counted(manifest.parts.len(), "part"), size(payload)),
        "the form of the headers of the parts".to_owned(),
    ])
}

impl StoreLine {
    fn of(signed: &SignedManifest, pin: Option<&Pin>, origin: &Origin, published: bool) -> Self {
        let by = signed.countersignatures().iter().find(|by| by.iss == *origin);
        let known = match (by, pin) {
            (Some(by), Some(pin)) => pin.signed(by),
            (by, _) => by.is_some(),
        };
        let published = published && by.is_none();
        let server = origin.to_string();
        Self { server, sells: known, trusted: pin.is_some(), unknown_key: by.is_some() && !known, published }
    }
}

impl Report for VerifiedFile {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("resource", format_args!("{} {}", self.name, self.version));
        lines.add("digest", &self.digest).add("signed by", &self.publisher_key.words);
        for store in &self.stores {
            let sells = match (store.sells, store.unknown_key) {
                (true, _) => "sells it",
                (false, false) if store.published => {
                    "countersigned the copy that you published; this one is as it was sealed"
                }
                (false, false) => "has not countersigned it",
                (false, true) => "countersigned in its name, by a key that this terminal does not know as the store's",
            };
            let trusted = if store.trusted { "you trust it" } else { "you are not signed in to it" };
            lines.add("store", format_args!("{}: {sells}; {trusted}", store.server));
        }
        lines.add("checked", self.checked.join("\n")).add("not checked", self.not_checked.join("\n"));
        format!(
            "{good}verified{good:#} {} ({}): it is what its publisher signed\n{lines}",
            self.file.display(),
            size(self.bytes)
        )
    }
}
