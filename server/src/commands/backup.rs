//! `portcullis-server backup` and `portcullis-server restore`

use super::Which;
use crate::audit::Act;
use crate::ops::backup::Backup;
use crate::ops::parts::Parts;
use crate::{MASTER_KEY, print};
use clap::Args;
use portcullis_protocol::text::counted;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct TakeBackup {
    #[command(flatten)]
    which: Which,
    /// A new folder for the backup.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Leaves the sealed files out: they are backed up otherwise, or lie in a bucket.
    #[arg(long)]
    without_files: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The folder of the backup.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The master key, which is kept apart from backups.
    #[arg(long, value_name = "FILE")]
    master_key: PathBuf,
    /// A new directory for the server.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Leaves the sealed files out: they are brought otherwise, or lie in a bucket.
    #[arg(long)]
    without_files: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl TakeBackup {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        let app = self.which.open(parts).await?;
        let act = Act::of_user(&app.core, "backup", self.to.display());
        app.core.store.record_act(act).await?;
        let taken = Backup::take(&app, &self.to, !self.without_files).await;
        app.core.store.close().await?;
        let backup = taken?;
        if let Some(dir) = holder(&self.to, &app.config.dir) {
            print::note(&format!(
                "the backup lies in the server's own directory, {}. A disk that fails, or whoever removes that directory, \
                 takes the backup with it: copy it to another machine, or name a folder elsewhere with `--to`",
                dir.display()
            ));
        }
        if self.json {
            let (counts, files) = (backup.counts, backup.with_files);
            return print::json(&json!({
                "backup": self.to, "counts": counts, "files": files, "configuration": app.config.file,
            }));
        }
        let counts: Vec<String> =
            backup.counts.iter().map(|(what, count)| counted(*count, what.trim_end_matches('s'))).collect();
        let files = if backup.with_files { "with the sealed files" } else { "without the sealed files" };
        let configuration = app.config.file.as_ref().map_or_else(
            || "There is no configuration file: keep the server's flags and variables with it.".into(),
            |file| format!("Its server.toml is {}.", file.display()),
        );
        print::text(&format!(
            "Backed up {} {files}: {}. {configuration}\n\nKeep {} somewhere else: it is no part of the backup, and \
             without it nothing in the backup opens.",
            self.to.display(),
            counts.join(", "),
            app.config.dir.join(MASTER_KEY).display()
        ))
    }
}

/// The server's directory, if a folder lies in it, by whatever name.
fn holder(folder: &Path, dir: &Path) -> Option<PathBuf> {
    let dir = dir.canonicalize().ok()?;
    folder.canonicalize().is_ok_and(|folder| folder.starts_with(&dir)).then_some(dir)
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let backup = Backup::read(&self.from, &self.master_key)?;
        backup.restore(&self.from, &self.master_key, &self.dir, !self.without_files).await?;
        if self.json {
            let json = json!({"dir": self.dir, "origin": backup.origin, "made": backup.made().seconds(), "counts": backup.counts});
            return print::json(&json);
        }
        print::text(&format!(
            "Restored {} in {dir}.\n\n{}\n\nNow start it:\n\n    portcullis-server serve --dir {dir}",
            backup.origin,
            backup.consequences(),
            dir = self.dir.display()
        ))
    }
}
