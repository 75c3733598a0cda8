//! `portcullis-server audit …`

use super::Which;
use crate::App;
use crate::audit::verify::{Fingerprint, NoFingerprint, verify};
use crate::audit::{AuditError, Exported, HeadRecord, check, export, sign_head};
use crate::ops::making::Making;
use crate::ops::parts::Parts;
use crate::print;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use portcullis_folders::private_file;
use portcullis_protocol::text::counted;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Writes the whole log as lines of JSON, oldest first, and a signed head as the last line.
    Export(Export),
    /// Signs how long the log is and what its last row covers. Keep it where nobody of this machine can change it.
    Head(Export),
    /// Verifies an exported log, without a server.
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    which: Which,
    /// The file to make; `-` is standard output [default: -].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Verify {
    /// What `audit export` wrote.
    file: PathBuf,
    /// The fingerprint of the server's root key, as you know it: the eight words that `init` printed, or the whole
    /// thumbprint.
    #[arg(long, value_name = "FINGERPRINT")]
    root: String,
    /// Heads that were kept elsewhere: what `audit head` or an earlier `audit export` wrote, or a log of the server
    /// (`log.format = "json"`). May be repeated.
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        match self.task {
            Task::Export(command) => command.export(parts).await,
            Task::Head(command) => command.head(parts).await,
            Task::Verify(command) => command.run(),
        }
    }
}

impl Export {
    /// The file to make; none: standard output.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    async fn export(&self, parts: Parts) -> anyhow::Result<()> {
        let app = self.which.open(parts).await?;
        let exported = self.export_of(&app).await;
        app.core.store.close().await?;
        let Exported { rows, .. } = exported?;
        if let Some(file) = self.file() {
            print::text(&format!(
                "Exported {} and a signed head to {}. Keep it, or its last line at least, where nobody of this \
                 machine can change it.",
                counted(rows, "row"),
                file.display()
            ))?;
        }
        Ok(())
    }

    async fn export_of(&self, app: &App) -> anyhow::Result<Exported> {
        let Some(path) = self.file() else { return Ok(export(&app.core, &mut print::json_lines()).await?) };
        let making = Making::begin(path)?;
        let mut file = BufWriter::new(new_file(&making)?);
        let exported = export(&app.core, &mut file).await;
        let written = file.flush().and_then(|()| file.get_ref().sync_all());
        written.with_context(|| format!("cannot write {}", path.display()))?;
        drop(file);
        // Also a log that is not as it was written: whoever looks into it needs it.
        making.finish()?;
        exported.with_context(|| format!("{} has the rows that there are, without a head", path.display()))
    }

    async fn head(&self, parts: Parts) -> anyhow::Result<()> {
        let app = self.which.open(parts).await?;
        let head = head_of(&app).await;
        app.core.store.close().await?;
        let head = serde_json::to_value(head?)?;
        let Some(path) = self.file() else { return print::json(&head) };
        let making = Making::begin(path)?;
        let mut file = new_file(&making)?;
        let written = writeln!(file, "{head}").and_then(|()| file.sync_all());
        written.with_context(|| format!("cannot write {}", path.display()))?;
        drop(file);
        Ok(making.finish()?)
    }
}

/// Signs after a look at the whole log: an operator has the time that a server under way has not.
async fn head_of(app: &App) -> Result<HeadRecord, AuditError> {
    check(&app.core).await?;
    sign_head(&app.core).await
}

fn new_file(making: &Making) -> anyhow::Result<File> {
    let path = making.path();
    let made = private_file().write(true).create_new(true).open(&path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

impl Verify {
    fn run(&self) -> anyhow::Result<()> {
        let root: Fingerprint = self.root.parse().map_err(|error: NoFingerprint| anyhow::anyhow!("--root: {error}"))?;
        let report = verify(&self.file, &self.head, &root)?;
        if !self.json {
            return print::text(&report.text());
        }
        print::json(&json!({
            "origin": report.origin, "root": report.root, "rows": report.rows, "heads": report.heads,
            "last": report.last.map(|at| at.seconds()), "exported": report.exported.seconds(),
        }))
    }
}
