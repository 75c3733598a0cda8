//! The key that opens every part published here, for an emergency: any age tool decrypts with it what
//! `portcullis inspect --extract` writes.

use super::Report;
use crate::App;
use crate::audit::Act;
use crate::ops::making::folder_of;
use anyhow::{Context as _, ensure};
use clap::Args;
use portcullis_folders::private_file;
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ExportIdentity {
    /// The file to make. Only its owner may read it.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl ExportIdentity {
    pub(super) async fn run(&self, app: &App) -> anyhow::Result<Report> {
        let keys = &app.core.keys;
        let recipient = keys.recipient().to_string();
        ensure!(
            self.output != Path::new("-"),
            "the identity is not shown: name a file, which its owner alone can read. Whoever sees it has every plaintext"
        );
        ensure!(!self.output.exists(), "{} exists: name another file", self.output.display());
        folder_of(&self.output)?;
        // Before the key is out: it is told even if this program is stopped half-way.
        app.core.store.record_act(Act::of_user(&app.core, "export identity", &recipient)).await?;
        let mut file = private_file()
            .write(true)
            .create_new(true)
            .open(&self.output)
            .with_context(|| format!("cannot make {}", self.output.display()))?;
        writeln!(file, "# public key: {recipient}")
            .and_then(|()| writeln!(file, "{}", *keys.identity().expose_text()))
            .and_then(|()| file.sync_all())
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        let text = format!("{} opens every part published here. Keep it off this machine.", self.output.display());
        Ok(Report { text, json: json!({"identity": self.output, "recipient": recipient}) })
    }
}
