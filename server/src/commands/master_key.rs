//! `portcullis-server rotate-master-key`

use super::Which;
use crate::App;
use crate::audit::{Act, AuditKey, os_user};
use crate::crypto::secrets::Secrets;
use crate::ops::directory::NEW_MASTER_KEY;
use crate::ops::parts::Parts;
use crate::store::{RewrapOutcome, StoreError};
use crate::{MASTER_KEY, open_store, print};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use portcullis_folders::private_file;
use serde_json::json;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Held by whoever changes the key. It stays: removed, two could hold two files of the name.
const LOCK: &str = "master.key.lock";
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

/// The files of a change, which is this process's alone until they are dropped.
struct Files {
    dir: PathBuf,
    current: PathBuf,
    new: PathBuf,
    old: PathBuf,
    _lock: File,
}

impl Files {
    fn hold(dir: &Path) -> anyhow::Result<Self> {
        let [current, new, old, lock] = [MASTER_KEY, NEW_MASTER_KEY, OLD, LOCK].map(|name| dir.join(name));
        ensure!(current.exists() || new.exists(), "there is no {}: restore it from its backup", current.display());
        let failed = || format!("cannot write {}", lock.display());
        let file = private_file().write(true).create(true).truncate(false).open(&lock).with_context(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another `rotate-master-key` is at work in {}: wait until it has ended", dir.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        let files = Self { dir: dir.to_owned(), current, new, old, _lock: file };
        files.as_the_key(&lock)?;
        Ok(files)
    }

    /// Whoever runs this may not be the server's user: a file belongs to whom the master key belongs to.
    fn as_the_key(&self, file: &Path) -> anyhow::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, chown};
            let key = if self.current.exists() { &self.current } else { &self.new };
            let (key, found) = (fs::metadata(key)?, fs::metadata(file)?);
            if (key.uid(), key.gid()) != (found.uid(), found.gid()) {
                chown(file, Some(key.uid()), Some(key.gid())).with_context(|| {
                    format!("{} would not belong to the server's user: run this as him", file.display())
                })?;
            }
        }
        Ok(())
    }

    /// Draws the new key. It is on the disk before anything is sealed by it.
    fn create(&self) -> anyhow::Result<Secrets> {
        let new = Secrets::create(&self.new)?;
        self.as_the_key(&self.new)?;
        self.sync()?;
        Ok(new)
    }

    /// Nothing was sealed by a new key. It is kept all the same: a key costs nothing, and one that is gone everything.
    fn set_aside(&self, new: &Secrets) -> anyhow::Result<()> {
        let mark: String = new.key_check().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let aside = self.dir.join(format!("master.key.unused-{mark}"));
        fs::rename(&self.new, &aside).with_context(|| format!("cannot write {}", aside.display()))?;
        self.sync()
    }

    /// The last step: the new key is the key. Whatever was interrupted after the database was sealed by it ends here.
    fn settle(&self) -> anyhow::Result<()> {
        ensure!(self.new.exists(), "{} is gone: nothing was moved", self.new.display());
        if self.current.exists() {
            self.has_no_old()?;
            fs::rename(&self.current, &self.old).with_context(|| format!("cannot write {}", self.old.display()))?;
        }
        fs::rename(&self.new, &self.current).with_context(|| format!("cannot write {}", self.current.display()))?;
        self.sync()
    }

    fn has_no_old(&self) -> anyhow::Result<()> {
        ensure!(
            !self.old.exists(),
            "{} is still there, from the last change: keep it with the backups that it opens, and remove it here",
            self.old.display()
        );
        Ok(())
    }

    fn sync(&self) -> anyhow::Result<()> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("cannot write {}", self.dir.display()))
    }
}

impl RotateMasterKey {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        let config = self.which.load(None, false)?;
        let files = Files::hold(&config.dir)?;
        if files.new.exists() {
            // A change was interrupted. The database knows whether before or after it was sealed anew.
            let new = Secrets::open(&files.new).with_context(|| {
                let (new, current) = (files.new.display(), files.current.display());
                format!(
                    "{new} is left from a change that was interrupted. If the server starts with {current}, remove it"
                )
            })?;
            let store = open_store(&config.dir, config.database.as_ref(), false, &parts)?;
            let is_sealed = store.is_sealed_by(new.key_check()).await;
            store.close().await?;
            if is_sealed? {
                files.settle()?;
                return self.report(&files, None);
            }
            files.set_aside(&new)?;
        }
        files.has_no_old()?;
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
            "{what} Everybody was signed out, and invitations have ended. Redemption codes are as good as before.\n\n\
             Back up {} apart from the database. Keep {} with the backups that were made before, which only it opens, and \
             remove it here. Then start the server.",
            files.current.display(),
            files.old.display()
        ))
    }
}

async fn change(app: &App, files: &Files) -> anyhow::Result<u64> {
    let core = &app.core;
    let new = files.create()?;
    // Its row is sealed by the new key, as all others are from then on.
    let act = Act::new(AuditKey::new(&core.origin, &core.keys, &new), os_user(), "master key rotate", "");
    let refused = match act.scope(core.store.rewrap(core.secrets.clone(), new)).await {
        Ok(RewrapOutcome::Done(sealed)) => return Ok(sealed),
        Ok(RewrapOutcome::Running) => {
            "a server is running on this database, or was killed a moment ago: stop it first. Nothing was changed"
        }
        Ok(RewrapOutcome::OtherKey) | Err(StoreError::KeyChanged) => {
            "the database was sealed by another key a moment ago: nothing was changed"
        }
        // It may have been committed: the next run finds out.
        Err(error) => {
            return Err(error).context("whether the key was changed is not known: run this again, to find out");
        }
    };
    // It was made a moment ago, and the transaction was taken back: there is nothing that it opens.
    fs::remove_file(&files.new).with_context(|| format!("cannot remove {}", files.new.display()))?;
    bail!(refused)
}
