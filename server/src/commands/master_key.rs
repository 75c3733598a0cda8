//! `portcullis-server rotate-master-key`

use super::Which;
use crate::App;
use crate::audit::{Act, AuditKey, os_user};
use crate::crypto::secrets::Secrets;
use crate::ops::parts::Parts;
use crate::store::RewrapOutcome;
use crate::{MASTER_KEY, open_store, print};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The new key's file, until everything is sealed by it.
const NEW: &str = "master.key.new";
/// The old key's file afterwards.
const OLD: &str = "master.key.old";

#[derive(Debug, Args)]
pub(super) struct RotateMasterKey {
    #[command(flatten)]
    which: Which,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// The files of a change.
struct Files {
    current: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Files {
    fn of(dir: &Path) -> Self {
        Self { current: dir.join(MASTER_KEY), new: dir.join(NEW), old: dir.join(OLD) }
    }

    /// The last step: the new key is the key. Whatever was interrupted after the database was sealed by it ends here.
    fn settle(&self) -> anyhow::Result<()> {
        if self.current.exists() {
            fs::rename(&self.current, &self.old).with_context(|| format!("cannot write {}", self.old.display()))?;
        }
        fs::rename(&self.new, &self.current).with_context(|| format!("cannot write {}", self.current.display()))?;
        let dir = self.current.parent().context("a file lies in a folder")?;
        fs::File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| format!("cannot write {}", dir.display()))
    }
}

impl RotateMasterKey {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        let config = self.which.load(None, false)?;
        let files = Files::of(&config.dir);
        if files.new.exists() {
            // A change was interrupted. The database knows whether before or after it was sealed anew.
            let new = Secrets::open(&files.new)?;
            let store = open_store(&config.dir, config.database.as_ref(), false, &parts)?;
            let bound = store.identity().await?.context("the database is not a server's")?;
            store.close().await?;
            if bound.key_check == new.key_check() {
                files.settle()?;
                return self.report(&files, None);
            }
            fs::remove_file(&files.new).with_context(|| format!("cannot remove {}", files.new.display()))?;
        }
        ensure!(
            !files.old.exists(),
            "{} is still there, from the last change: keep it with the backups that it opens, and remove it here",
            files.old.display()
        );
        let app = self.which.open(parts).await?;
        let changed = change(&app, &files).await;
        app.core.store.close().await?;
        let sealed = changed?;
        files.settle()?;
        self.report(&files, Some(sealed))
    }

    fn report(&self, files: &Files, sealed: Option<u64>) -> anyhow::Result<()> {
        if self.json {
            return print::json(&json!({"master_key": files.current, "old": files.old, "sealed": sealed}));
        }
        let what = sealed.map_or_else(
            || "The change that was interrupted is done.".to_owned(),
            |sealed| format!("The master key is a new one, and {sealed} values are sealed by it."),
        );
        print::text(&format!(
            "{what} Everybody was signed out, and invitations have ended.\n\n\
             Back up {} apart from the database. Keep {} with the backups that were made before, which only it opens, and \
             remove it here. Then start the server.",
            files.current.display(),
            files.old.display()
        ))
    }
}

async fn change(app: &App, files: &Files) -> anyhow::Result<u64> {
    let core = &app.core;
    let new = Secrets::create(&files.new)?;
    // Its row is sealed by the new key, as all others are from then on.
    let act = Act::new(AuditKey::new(&core.origin, &core.keys, &new), os_user(), "master key rotate", "");
    let changed = act.scope(core.store.rewrap(core.secrets.clone(), new)).await;
    match changed {
        Ok(RewrapOutcome::Done(sealed)) => return Ok(sealed),
        Ok(RewrapOutcome::Running | RewrapOutcome::OtherKey) => {
            fs::remove_file(&files.new).with_context(|| format!("cannot remove {}", files.new.display()))?;
        }
        // It may have been committed: the next run finds out.
        Err(error) => return Err(error.into()),
    }
    if matches!(changed, Ok(RewrapOutcome::OtherKey)) {
        bail!("the database was sealed by another key a moment ago: nothing was changed");
    }
    bail!("a server is running on this database, or was killed a moment ago: stop it first. Nothing was changed")
}
