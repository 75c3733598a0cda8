//! `portcullis verify`: is this file what its publisher signed, byte for byte?

use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{KeyName, Lines, Report, size, style};
use crate::resource_at;

/// Verify a sealed file: every signature and every byte
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
}

#[derive(Serialize)]
struct StoreLine {
    server: String,
    /// It has countersigned the resource.
    sells: bool,
    /// You are signed in to it, and it is the one that the manifest means.
    trusted: bool,
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let sealed = resource_at::open(&self.file)?;
        sealed.verify_blocks()?;
        let manifest = sealed.manifest();
        // The file is verified with or without a terminal; which stores are trusted, only one knows.
        let pins = context.client_if_any().and_then(|client| client.servers().ok()).unwrap_or_default();
        let signed = sealed.signed();
        let stores = manifest.servers.iter().map(|server| StoreLine {
            server: server.origin.to_string(),
            sells: signed.countersignatures().iter().any(|by| by.iss == server.origin),
            trusted: pins.iter().any(|pin| pin.origin == server.origin && pin.root.thumbprint() == server.root),
        });
        context.screen.report(&VerifiedFile {
            bytes: std::fs::metadata(&self.file).map_or(0, |file| file.len()),
            name: format!("{}/{}", manifest.publisher.name, manifest.name),
            version: manifest.version.to_string(),
            digest: sealed.digest().to_string(),
            publisher_key: manifest.publisher.jwk.thumbprint().into(),
            stores: stores.collect(),
            file: self.file,
        });
        Ok(())
    }
}

impl Report for VerifiedFile {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("resource", format_args!("{} {}", self.name, self.version));
        lines.add("digest", &self.digest).add("signed by", &self.publisher_key.words);
        for store in &self.stores {
            let sells = if store.sells { "sells it" } else { "has not countersigned it" };
            let trusted = if store.trusted { "you trust it" } else { "you are not signed in to it" };
            lines.add("store", format_args!("{}: {sells}; {trusted}", store.server));
        }
        format!(
            "{good}verified{good:#} {} ({}): every signature and every byte\n{lines}",
            self.file.display(),
            size(self.bytes)
        )
    }
}
