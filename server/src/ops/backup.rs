//! A backup of a server: its database as it was at one moment, its configuration, and the sealed files that it sells.
//!
//! The master key is no part of it: with both, whoever has the backup has everything. A backup is made beside the
//! running server, and appears whole: what a killed one leaves is no backup.
//!
//! Backups lie on other machines, and whoever can write there must not become an operator by it. So a record names each
//! file with its length and digest, a seal made with a key of the master key covers the record, and nothing is restored
//! that is not as the record says.

use crate::audit::verify::RESTORED;
use crate::audit::{Act, AuditKey, os_user};
use crate::billing::ledger::sums;
use crate::catalogue::objects::{FILES, Objects};
use crate::crypto::keys::{self, Keys, KeysError, Rotation};
use crate::crypto::secrets::{SecretError, Secrets};
use crate::ops::clock::Timestamp;
use crate::ops::config::FILE_NAME;
use crate::ops::directory::{DATABASE, MASTER_KEY, damaged_files, moment, open_store, remains};
use crate::ops::parts::Parts;
use crate::ops::serve::ServeError;
use crate::store::{
    CopyError, Copyable, PAGE, Postgres, PostgresOptions, SCHEMA, Sqlite, SqliteOptions, Store, StoreError, every,
    snapshot,
};
use crate::{App, Core};
use futures::stream::{BoxStream, TryStreamExt as _};
use portcullis_folders::{make_private, private_file};
use portcullis_protocol::Digest;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::text::counted;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that says what a backup holds.
const RECORD: &str = "backup.json";
/// The seal of it, in base64url.
const SEAL: &str = "backup.seal";
/// The form of both.
const FORMAT: u32 = 2;
/// Bytes of a record: a sealed file takes some 150.
const MAX_RECORD: u64 = 256 * 1024 * 1024;
/// Differences that are named one by one.
const SHOWN: usize = 8;
/// Where a backup, or a server that comes out of one, is made before it appears.
const MAKING: &str = ".making";
/// Locked by whoever makes it.
const LOCK: &str = ".lock";

/// Why a backup was not made, or a server was not restored from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is something already.
    #[error("{0} is not empty: name a new folder")]
    NotEmpty(PathBuf),
    /// There is a server already.
    #[error("there is a server in {dir} already, or what is left of one: {remains}. Name a new directory")]
    Occupied {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        remains: PathBuf,
    },
    /// Somebody else is at it.
    #[error("another process is making a backup or a server in {0}: wait for it, or name a new folder")]
    Busy(PathBuf),
    /// It is no backup.
    #[error("{0} is not a backup: it has no {RECORD} that this version reads")]
    NotABackup(PathBuf),
    /// Somebody has written what it holds, or changed it, and it was not the server.
    #[error(
        "{0} is not as the server made it: its {RECORD} does not carry the server's seal. Whoever changed it may have changed \
         everything: restore another backup, and find out who can write there"
    )]
    NotSealed(PathBuf),
    /// A file is not the one that was backed up.
    #[error(
        "{dir} is not as the server made it: {what}. Restore another backup, and find out who can write there; what of sealed \
         files (`{FILES}/`) differs can be left out with `--without-files`, and have their publishers upload them again"
    )]
    Differs {
        /// The backup.
        dir: PathBuf,
        /// What is missing or changed.
        what: String,
    },
    /// Another server's master key.
    #[error("{0} is not the master key of this backup: bring the one that was kept apart from it")]
    OtherMasterKey(PathBuf),
    /// The books.
    #[error("the ledger of this backup sums to {0} and not to zero: do not use it")]
    Unbalanced(String),
    /// Sealed files.
    #[error(
        "missing or damaged: {}, the first is {first}. Bring them, or go on with `--without-files` and have their \
             publishers upload them again{}",
        counted(*.count, "sealed file"),
        listed(*.of_server)
    )]
    MissingFiles {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// Whether they are those of a server, and not of a backup.
        of_server: bool,
    },
    /// A folder.
    #[error("the folder {path} cannot be made: {cause}{}. Name one in a folder that you may write in", advice(.cause))]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file.
    #[error("{path} cannot be read or written: {cause}{}", advice(.cause))]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy of the database.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The place of sealed files.
    #[error(transparent)]
    Storage(#[from] crate::StorageError),
    /// The master key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Backup {
    format: u32,
    /// The server that made it.
    pub server: String,
    /// Whose.
    pub origin: String,
    /// When, in seconds.
    made: u64,
    /// The version of the database's schema.
    schema: usize,
    /// What tells its master key from others.
    master_key: Octets<32>,
    /// Whether the sealed files are in it.
    pub with_files: bool,
    /// How many there are of what.
    pub counts: BTreeMap<String, u64>,
    /// Every file, by its path in the backup.
    files: BTreeMap<String, BackedUp>,
}

/// A file of a backup.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
struct BackedUp {
    /// Bytes.
    size: u64,
    /// Of its bytes.
    digest: Digest,
}

/// What to do about it.
fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ". What was begun is removed: free some space on that disk, or name a folder on another one, and do it again"
        }
        _ => "",
    }
}

/// Where files of a server that are missing or damaged are listed.
const fn listed(of_server: bool) -> &'static str {
    if of_server { ". `portcullis-server operator check --contents` lists them" } else { "" }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |cause| BackupError::Io { path: path.to_owned(), cause }
}

impl Backup {
    /// Backs a server up into a new folder, beside the server that runs or without one.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no backup.
    pub async fn take(app: &App, to: &Path, with_files: bool) -> Result<Self, BackupError> {
        let _lock = make_new(to)?;
        let making = fresh(&to.join(MAKING))?;
        let taken = Self::take_into(app, &making, with_files).await;
        settle(&making, to, taken, &[FILES, FILE_NAME, DATABASE, SEAL, RECORD])
    }

    async fn take_into(app: &App, making: &Path, with_files: bool) -> Result<Self, BackupError> {
        let database = making.join(DATABASE);
        let made = app.core.clock.now();
        copy_database(app, &database).await?;
        let store = open_store(making, None, false, &Parts::default())?;
        let counts = counts(&*store).await?;
        balances(&*store).await?;
        // Of the moment of the copy: what is published later is not in the database, and stands in no backup.
        let with_files = with_files && app.core.objects.folder().is_some();
        let mut files = BTreeMap::new();
        if with_files {
            copy_files(&*store, &app.core, making, &mut files).await?;
        }
        store.close().await?;
        drop(store);
        is_settled(making)?;
        // The one that the server has, wherever it lies.
        if let Some(configuration) = &app.config.file {
            files.insert(FILE_NAME.to_owned(), copy_private(configuration, &making.join(FILE_NAME))?);
        }
        files.insert(DATABASE.to_owned(), BackedUp::of(&database)?);
        let backup = Self {
            format: FORMAT,
            server: env!("CARGO_PKG_VERSION").into(),
            origin: app.origin().to_string(),
            made: made.seconds(),
            schema: SCHEMA,
            master_key: Octets(app.core.secrets.key_check()),
            with_files,
            counts,
            files,
        };
        let record = making.join(RECORD);
        let text = serde_json::to_vec_pretty(&backup).map_err(|error| io_at(&record)(error.into()))?;
        write_private(&record, &text)?;
        let seal = Octets(app.core.secrets.seal_backup(&text));
        write_private(&making.join(SEAL), format!("{seal}\n").as_bytes())?;
        Ok(backup)
    }

    /// Reads what a backup holds, if that is what its server wrote: sealed under this master key.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`], [`BackupError::OtherMasterKey`], [`BackupError::NotSealed`].
    pub fn read(from: &Path, master: &Path) -> Result<Self, BackupError> {
        let secrets = Secrets::open(master)?;
        let no_backup = || BackupError::NotABackup(from.to_owned());
        let text = bounded(&from.join(RECORD), MAX_RECORD).ok_or_else(no_backup)?;
        let seal = bounded(&from.join(SEAL), 256).and_then(|seal| String::from_utf8(seal).ok());
        let seal: Option<Octets<32>> = seal.and_then(|seal| seal.trim_end().parse().ok());
        let is_sealed = seal.is_some_and(|seal| secrets.has_sealed_backup(&text, &seal.0));
        // Nothing of it is believed before; but people bring the wrong key more often than they forge backups.
        let backup: Self = serde_json::from_slice(&text).map_err(|_| no_backup())?;
        match is_sealed {
            true if backup.format == FORMAT => Ok(backup),
            true => Err(no_backup()),
            false if backup.master_key.0 != secrets.key_check() => Err(BackupError::OtherMasterKey(master.to_owned())),
            false => Err(BackupError::NotSealed(from.to_owned())),
        }
    }

    /// Compares each file with the record, before anything is made of them.
    fn compare(&self, from: &Path, with_files: bool) -> Result<(), BackupError> {
        let mut differences = Vec::new();
        for (path, recorded) in self.restored(with_files) {
            let what = match BackedUp::of(&from.join(path)) {
                Ok(found) if found == *recorded => continue,
                Ok(found) if found.size != recorded.size => {
                    format!("`{path}` has {} bytes and not {}", found.size, recorded.size)
                }
                Ok(_) => format!("`{path}` has another content"),
                Err(BackupError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                    format!("`{path}` is missing")
                }
                Err(error) => return Err(error),
            };
            differences.push(what);
        }
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(SHOWN);
        differences.truncate(SHOWN);
        let mut what = differences.join(", ");
        if more > 0 {
            what += &format!(", and {more} more");
        }
        Err(BackupError::Differs { dir: from.to_owned(), what })
    }

    /// The files of which a server is made.
    fn restored(&self, with_files: bool) -> impl Iterator<Item = (&String, &BackedUp)> {
        self.files.iter().filter(move |(path, _)| with_files || !Path::new(path).starts_with(FILES))
    }

    /// Makes a server of a backup and its master key, in a new directory. Nothing of it is there if this fails.
    ///
    /// Everything that was signed in is signed out, since what was ended after the backup would come back; and a new
    /// signing key raises the version of the key document, so that no terminal takes it for an older one.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn restore(&self, from: &Path, master: &Path, dir: &Path, with_files: bool) -> Result<(), BackupError> {
        if let Some(remains) = remains(dir)? {
            return Err(BackupError::Occupied { dir: dir.to_owned(), remains });
        }
        self.compare(from, with_files)?;
        let secrets = Secrets::open(master)?;
        let _lock = make_new(dir)?;
        let making = fresh(&dir.join(MAKING))?;
        let restored = self.restore_into(from, (master, &secrets), &making, with_files).await;
        settle(&making, dir, restored, &[FILES, FILE_NAME, DATABASE, MASTER_KEY])
    }

    async fn restore_into(
        &self,
        from: &Path,
        (master, secrets): (&Path, &Secrets),
        making: &Path,
        with_files: bool,
    ) -> Result<(), BackupError> {
        let with_files = self.with_files && with_files;
        if with_files {
            make_folder(&making.join(FILES))?;
        }
        for (path, recorded) in self.restored(with_files) {
            // What was compared may have been changed since: what counts is what was copied.
            if copy_private(&from.join(path), &making.join(path))? != *recorded {
                let what = format!("`{path}` was changed while it was copied");
                return Err(BackupError::Differs { dir: from.to_owned(), what });
            }
        }
        copy_private(master, &making.join(MASTER_KEY))?;
        let configuration = making.join(FILE_NAME);
        if configuration.is_file() {
            let text = fs::read_to_string(&configuration).map_err(io_at(&configuration))?;
            fs::remove_file(&configuration).map_err(io_at(&configuration))?;
            write_private(&configuration, without_database(&text).as_bytes())?;
        }
        let store = open_store(making, None, false, &Parts::default())?;
        let bound = store.identity().await?.filter(|bound| bound.key_check == secrets.key_check());
        let Some(bound) = bound else { return Err(BackupError::OtherMasterKey(master.to_owned())) };
        balances(&*store).await?;
        if with_files {
            sync(&making.join(FILES))?;
            are_whole(&*store, &Objects::in_folder(making.join(FILES)), false).await?;
        }
        let origin = bound.origin.parse().map_err(|_| StoreError::Unreadable("server"))?;
        let keys = Keys::open(&*store, secrets, origin).await?;
        let act = Act::new(AuditKey::new(keys.origin(), &keys, secrets), os_user(), RESTORED, moment(self.made()));
        act.scope(make_fresh(&*store, secrets)).await?;
        store.close().await?;
        drop(store);
        is_settled(making)
    }

    /// When it was made.
    #[must_use]
    pub fn made(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.made).unwrap_or(i64::MAX).saturating_mul(1000))
    }

    /// What follows from going back to this backup, for people.
    #[must_use]
    pub fn consequences(&self) -> String {
        let at = moment(self.made());
        format!(
            "Everything since {at} is gone:\n\
             - Orders that were paid since are unknown. Compare with your payment providers, and pay back what they have.\n\
             - Uses and balances that were drawn since can be drawn again; rights that were refunded or disputed since \
             are there again.\n\
             - Terminals that were revoked and accounts that were suspended since are not any more: do it again.\n\
             - Versions, prices and withdrawals since are gone: publishers publish again, and you withdraw again.\n\
             - Passwords, addresses and publishers' keys that were changed since are the old ones again: \
             `operator account password EMAIL` for an account that somebody else was in.\n\
             - Invitations were revoked: make new ones.\n\
             - The audit log goes on after its row of the backup, and says that the server was restored. Rows since are in \
             the last export only: keep it, with the heads that were signed since.\n\
             - Unset PORTCULLIS_SERVER_DATABASE if it is set: what is restored lies in the directory.\n\
             - Everybody was signed out, and a new signing key signs. If one was replaced as stolen since, run \
             `operator rotate-key --stolen`."
        )
    }
}

/// How many there are of what.
async fn counts(store: &dyn Store) -> Result<BTreeMap<String, u64>, StoreError> {
    async fn count<T>(rows: BoxStream<'_, Result<T, StoreError>>) -> Result<u64, StoreError> {
        rows.try_fold(0, |count, _| async move { Ok(count + 1) }).await
    }
    Ok(BTreeMap::from([
        ("accounts".to_owned(), count(every(|after| store.account_ids(after, PAGE))).await?),
        ("publishers".to_owned(), count(every(|after| store.publisher_names(after, PAGE))).await?),
        ("resources".to_owned(), count(every(|after| store.resource_digests(after, PAGE))).await?),
        ("orders".to_owned(), count(every(|before| store.order_ids(before, PAGE))).await?),
    ]))
}

/// Copies the server's database, as it is at one moment, into a file of its own.
async fn copy_database(app: &App, to: &Path) -> Result<(), BackupError> {
    let Some(address) = &app.config.database else {
        let (from, copy) = (app.config.dir.join(DATABASE), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || snapshot(&from, &copy)).await;
        return match copied.map_err(|error| io_at(to)(io::Error::other(error)))? {
            // The one of the copy: that of the database is read.
            Err(StoreError::Full(_)) => Err(io_at(to)(io::ErrorKind::StorageFull.into())),
            copied => Ok(copied?),
        };
    };
    let from =
        Copyable::Postgres(Postgres::open(PostgresOptions { create: false, ..PostgresOptions::new(address.clone()) })?);
    let to = Copyable::Sqlite(Sqlite::open(SqliteOptions::new(to))?);
    let copied = from.snapshot_to(&to).await;
    from.close().await?;
    to.close().await?;
    copied?;
    Ok(())
}

/// A configuration without the address of a database: what is restored lies in the directory, and the database that the
/// address names may still be there, with another content.
fn without_database(text: &str) -> String {
    let is_address = |line: &&str| {
        let key = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix("database");
        key.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with('='))
    };
    let lines = text.lines().map(|line| match is_address(&line) {
        true => "# The address of the database was taken out when this was restored from a backup.",
        false => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Fails if the books do not sum to zero.
async fn balances(store: &dyn Store) -> Result<(), BackupError> {
    match sums(&store.balances().await?).into_iter().find(|(_, sum)| *sum != 0) {
        Some((commodity, sum)) => Err(BackupError::Unbalanced(commodity.amount(sum))),
        None => Ok(()),
    }
}

/// Ends what a backup would bring back to life.
async fn make_fresh(store: &dyn Store, secrets: &Secrets) -> Result<(), BackupError> {
    store.end_leases().await?;
    sign_everybody_out(store).await?;
    // What was told since is not here: whoever heard it has to ask anew.
    store.begin_epoch().await?;
    // One that was used since would be open again, to whoever still has it.
    for invitation in store.invitations().await? {
        store.revoke_invitation(invitation.id).await?;
    }
    keys::rotate_signing_key(store, secrets, Rotation::Restored).await?;
    Ok(())
}

async fn sign_everybody_out(store: &dyn Store) -> Result<(), StoreError> {
    let mut accounts = every(|after| store.account_ids(after, PAGE));
    while let Some(account) = accounts.try_next().await? {
        store.sign_out_everywhere(&account).await?;
    }
    Ok(())
}

/// Fails if a sealed file that a database speaks of is not there.
async fn are_whole(store: &dyn Store, objects: &Objects, of_server: bool) -> Result<(), BackupError> {
    refuse(damaged_files(store, objects).await?.into_iter().map(|damaged| damaged.place).collect(), of_server)
}

/// Fails if any sealed file is missing or damaged.
fn refuse(damaged: Vec<String>, of_server: bool) -> Result<(), BackupError> {
    let count = damaged.len();
    damaged.into_iter().next().map_or(Ok(()), |first| Err(BackupError::MissingFiles { count, first, of_server }))
}

/// Copies the sealed files that a database speaks of, and records them. Each has to be there, and its copy has to be
/// what its publisher signed: a backup of a damaged file would be taken for a good one until it is needed.
async fn copy_files(
    store: &dyn Store,
    core: &Core,
    making: &Path,
    files: &mut BTreeMap<String, BackedUp>,
) -> Result<(), BackupError> {
    let folder = making.join(FILES);
    make_folder(&folder)?;
    let objects = &core.objects;
    are_whole(store, objects, true).await?;
    let (copies, mut damaged) = (Arc::new(Objects::in_folder(folder.clone())), Vec::new());
    let mut digests = every(|after| store.resource_digests(after, PAGE));
    while let Some(digest) = digests.try_next().await? {
        let Some(resource) = store.resource(&digest).await? else { continue };
        let name = format!("{digest}.wasm");
        let (from, to) = (objects.place_of(&digest), folder.join(&name));
        let mut file = Recording::new(File::create_new(&to).map_err(io_at(&to))?);
        let mut pieces = objects.read(&digest, 0..resource.size).await?;
        while let Some(piece) = pieces.try_next().await.map_err(io_at(Path::new(&from)))? {
            file.write_all(&piece).map_err(io_at(&to))?;
        }
        files.insert(format!("{FILES}/{name}"), file.finish().map_err(io_at(&to))?);
        if !copies.is_whole(&core.keys, &digest).await? {
            damaged.push(from);
        }
    }
    refuse(damaged, true)?;
    sync(&folder)
}

/// Puts what was made in its place, or removes it if it was not made whole.
fn settle<T>(making: &Path, to: &Path, made: Result<T, BackupError>, names: &[&str]) -> Result<T, BackupError> {
    match made {
        Ok(made) => appear(making, to, names).map(|()| made),
        Err(error) => {
            // It may hold a copy of the master key.
            if let Err(left) = fs::remove_dir_all(making) {
                tracing::warn!(error = %left, path = %making.display(), "what was made in part is left; remove it");
            }
            Err(error)
        }
    }
}

/// Fails if what was written last is not in the database's one file, since the disk is full for one.
fn is_settled(making: &Path) -> Result<(), BackupError> {
    let log = making.join(format!("{DATABASE}-wal"));
    match fs::metadata(&log) {
        Ok(found) if found.len() > 0 => Err(io_at(&log)(io::Error::other("it was not taken up into the database"))),
        _ => Ok(()),
    }
}

/// Moves what was made to its place, the last name last: with it, the rest is there.
fn appear(making: &Path, to: &Path, names: &[&str]) -> Result<(), BackupError> {
    for name in names {
        let (from, to) = (making.join(name), to.join(name));
        // The sealed files and the configuration may be left out; what is not there otherwise, another run has taken.
        if from.exists() || ![FILES, FILE_NAME].contains(name) {
            fs::rename(&from, &to).map_err(io_at(&to))?;
        }
    }
    // Files of a database that was open leave nothing that is still needed.
    fs::remove_dir_all(making).map_err(io_at(making))?;
    sync(to)
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
}

/// A file of which digest and length are taken while it is written.
struct Recording {
    file: File,
    digest: Sha256,
    size: u64,
}

impl Recording {
    fn new(file: File) -> Self {
        Self { file, digest: Sha256::new(), size: 0 }
    }

    fn finish(self) -> io::Result<BackedUp> {
        self.file.sync_all()?;
        Ok(BackedUp { size: self.size, digest: Digest::from_bytes(self.digest.finalize().into()) })
    }
}

impl io::Write for Recording {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BackedUp {
    /// A file as it lies there.
    fn of(path: &Path) -> Result<Self, BackupError> {
        let mut file = File::open(path).map_err(io_at(path))?;
        let (mut digest, mut chunk, mut size) = (Sha256::new(), vec![0; 1 << 20], 0);
        loop {
            let read = file.read(&mut chunk).map_err(io_at(path))?;
            if read == 0 {
                return Ok(Self { size, digest: Digest::from_bytes(digest.finalize().into()) });
            }
            digest.update(&chunk[..read]);
            size += read as u64;
        }
    }
}

/// The bytes of a file, if it is there and not longer than that.
fn bounded(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).ok()?;
    (read as u64 <= most).then_some(bytes)
}

/// A folder that only its owner enters, and that was not there or empty: what others keep in one is not taken from
/// them. It is this process's until the lock is dropped.
fn make_new(folder: &Path) -> Result<Locked, BackupError> {
    let is_new = || {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().all(|entry| entry.file_name() == MAKING || entry.file_name() == LOCK)
    };
    if !is_new() {
        return Err(BackupError::NotEmpty(folder.to_owned()));
    }
    let is_there = folder.exists();
    make_folder(folder)?;
    let path = folder.join(LOCK);
    let file = private_file().write(true).create(true).truncate(false).open(&path).map_err(io_at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(folder.to_owned())),
        Err(TryLockError::Error(cause)) => return Err(io_at(&path)(cause)),
    }
    // Whoever had the lock may have been ready a moment ago.
    if !is_new() {
        return Err(BackupError::NotEmpty(folder.to_owned()));
    }
    Ok(Locked { path, made: (!is_there).then(|| folder.to_owned()), _file: file })
}

/// A lock that leaves no file behind.
struct Locked {
    path: PathBuf,
    /// The folder, if this process made it: if nothing came of it, it goes as well.
    made: Option<PathBuf>,
    _file: File,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // While it is locked: whoever opened it in this moment has a lock on nothing, and finds the folder in use.
        let _ = fs::remove_file(&self.path);
        if let Some(made) = &self.made {
            // Not if there is anything in it.
            let _ = fs::remove_dir(made);
        }
    }
}

fn make_folder(folder: &Path) -> Result<(), BackupError> {
    make_private(folder)
        .map_err(|unprotected| BackupError::Folder { path: folder.to_owned(), cause: unprotected.cause })
}

/// An empty folder in the place of one that an earlier attempt left.
fn fresh(folder: &Path) -> Result<PathBuf, BackupError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io_at(folder))?;
    }
    make_folder(folder)?;
    Ok(folder.to_owned())
}

fn copy_private(from: &Path, to: &Path) -> Result<BackedUp, BackupError> {
    let mut source = File::open(from).map_err(io_at(from))?;
    let mut file = Recording::new(private_file().write(true).create_new(true).open(to).map_err(io_at(to))?);
    io::copy(&mut source, &mut file).and_then(|_| file.finish()).map_err(io_at(to))
}

fn write_private(path: &Path, text: &[u8]) -> Result<(), BackupError> {
    let mut file = private_file().write(true).create_new(true).open(path).map_err(io_at(path))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(io_at(path))
}
