//! The server's directory: what lies in it, and whether it all belongs together.
//!
//! A server whose database, master key and origin do not fit together answers nothing rightly: every terminal would
//! find other keys under a known name. So nothing is opened, and nothing is written, before they were compared. What
//! is missing may come back from a backup; therefore nothing is ever made beside it in its place.

use crate::Core;
use crate::audit::{Act, AuditKey, os_user};
use crate::catalogue::objects::{FILES, Objects};
use crate::crypto::keys::{Keys, KeysError};
use crate::crypto::secrets::{SecretError, Secrets};
use crate::notices::outbound::{Networks, Outbound};
use crate::ops::clock::Timestamp;
use crate::ops::config::{Config, ConfigError, WebhookSettings};
use crate::ops::parts::Parts;
use crate::ops::serve::ServeError;
use crate::store::{
    DatabaseAddress, IdentityRecord, PAGE, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store, StoreError, every,
};
use futures::TryStreamExt as _;
use portcullis_protocol::{Digest, Origin};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of the master key.
pub const MASTER_KEY: &str = "master.key";
/// The next one, until everything is sealed by it.
pub(crate) const NEW_MASTER_KEY: &str = "master.key.new";
/// The database.
pub const DATABASE: &str = "portcullis.sqlite";
/// The folder of files on their way in.
pub(crate) const UPLOADS: &str = "uploads";

/// By how many seconds the clock may be behind the last time that the database was in use: what a time service sets
/// right in one step.
const CLOCK_STEP: u64 = 300;
/// Files that are looked at at once: a bucket takes its time to answer, and does so to many.
const LOOKS: usize = 16;

/// Opens the core of the server in a directory.
///
/// # Errors
/// [`ServeError`]: when there is no server, when a part of it is missing, or when its parts do not belong together.
pub async fn open(config: &Config, origin: Origin, parts: Parts) -> Result<Core, ServeError> {
    let dir = &config.dir;
    let (master, database) = (dir.join(MASTER_KEY), dir.join(DATABASE));
    // A database elsewhere says itself whether there is a server in it.
    match (is_there(&master)?, config.database.is_some() || is_there(&database)?) {
        (true, true) => {}
        (true, false) => {
            let is_configured = config.file.is_some();
            return Err(ServeError::NoDatabase { database, master, is_configured });
        }
        (false, _) if is_changing(dir)? => return Err(ServeError::KeyChangeInterrupted { dir: dir.clone() }),
        // Whatever is left of a server, its configuration alone, says that there was a key.
        (false, _) if remains(dir)?.is_none() => return Err(ServeError::NoServer { dir: dir.clone() }),
        (false, _) => return Err(ServeError::NoMasterKey { master, dir: dir.clone() }),
    }
    let secrets = Secrets::open(&master)?;
    let place = (dir.as_path(), config.database.as_ref());
    let store = open_store(dir, config.database.as_ref(), false, &parts)?;
    store.open_with(secrets.key_check());
    let bound = store.identity().await?;
    if let Some(bound) = &bound {
        belongs(bound, &secrets, &origin, place)?;
    }
    if !config.accept_clock {
        is_not_behind(&*store).await?;
    }
    let keys = match Keys::open(&*store, &secrets, origin.clone()).await {
        // Not bound yet, so nothing but its content tells.
        Err(KeysError::Secret(SecretError::DoesNotOpen(_))) => return Err(other_key(place)?),
        keys => Arc::new(keys?),
    };
    if config.accept_clock {
        let act = Act::new(AuditKey::new(&origin, &keys, &secrets), os_user(), "accept clock", "");
        act.scope(store.accept_clock()).await?;
    }
    if bound.is_none() {
        bind(&*store, &secrets, &origin, place).await?;
    }
    let payments = config.payment.providers().map_err(ConfigError::setting)?;
    let payments = parts.around(payments);
    let Parts { clock, faults, .. } = parts;
    let (currencies, gift_codes) = (config.currencies.clone(), config.limits.gift_codes);
    let metrics = Arc::default();
    let objects = Arc::new(Objects::open(dir, &config.storage)?);
    let WebhookSettings { networks, networks_of_others } = config.webhooks.clone();
    let outbound = Outbound::new(Networks::new(networks), Networks::new(networks_of_others));
    Ok(Core {
        store,
        objects,
        keys,
        secrets,
        origin,
        payments,
        currencies,
        gift_codes,
        clock,
        faults,
        outbound,
        metrics,
    })
}

/// Opens the database of a server: the one at an address, or the file of its directory. Only a new server makes one.
///
/// # Errors
/// [`StoreError`].
pub fn open_store(
    dir: &Path,
    database: Option<&DatabaseAddress>,
    create: bool,
    parts: &Parts,
) -> Result<Arc<dyn Store>, StoreError> {
    let Parts { clock, faults, .. } = parts.clone();
    match database {
        Some(address) => {
            let options = PostgresOptions { clock, faults, create, ..PostgresOptions::new(address.clone()) };
            Ok(Arc::new(Postgres::open(options)?))
        }
        None => {
            let options = SqliteOptions { clock, faults, create, ..SqliteOptions::new(dir.join(DATABASE)) };
            Ok(Arc::new(Sqlite::open(options)?))
        }
    }
}

/// Where a server is: its directory, and the address of its database if that is not a file in it.
type Place<'p> = (&'p Path, Option<&'p DatabaseAddress>);

/// Binds a database to its server's master key and origin, once. The place is what messages name.
///
/// # Errors
/// [`ServeError`], also if another process has bound it to others meanwhile.
pub async fn bind(store: &dyn Store, secrets: &Secrets, origin: &Origin, place: Place<'_>) -> Result<(), ServeError> {
    let identity = IdentityRecord { origin: origin.as_str().to_owned(), key_check: secrets.key_check() };
    store.bind_identity(identity).await?;
    match store.identity().await? {
        Some(bound) => belongs(&bound, secrets, origin, place),
        None => Err(StoreError::Unreadable("server").into()),
    }
}

fn belongs(bound: &IdentityRecord, secrets: &Secrets, origin: &Origin, place: Place<'_>) -> Result<(), ServeError> {
    if bound.key_check != secrets.key_check() {
        return Err(other_key(place)?);
    }
    if bound.origin != origin.as_str() {
        return Err(ServeError::OtherOrigin { bound: bound.origin.clone(), configured: origin.to_string() });
    }
    Ok(())
}

/// What a database says that the master key does not open.
fn other_key((dir, database): Place<'_>) -> Result<ServeError, ServeError> {
    let (dir, database) = (dir.to_owned(), database.map(ToString::to_string));
    let changing = is_changing(&dir)?;
    Ok(if changing { ServeError::KeyChangeInterrupted { dir } } else { ServeError::OtherMasterKey { dir, database } })
}

/// Whether a change of the master key was interrupted.
fn is_changing(dir: &Path) -> Result<bool, ServeError> {
    is_there(&dir.join(NEW_MASTER_KEY))
}

/// A clock that runs behind what is on record would let ended codes and grants live again.
async fn is_not_behind(store: &dyn Store) -> Result<(), ServeError> {
    let (now, seen) = (store.now().await?, store.last_seen().await?);
    if now.plus(CLOCK_STEP) < seen {
        return Err(ServeError::ClockBehind { now, seen });
    }
    Ok(())
}

/// Whether something has this name. What cannot be looked at is an error and not absent.
fn is_there(path: &Path) -> Result<bool, ServeError> {
    path.try_exists().map_err(|cause| ServeError::Unreadable { path: path.to_owned(), cause })
}

fn holds_files(dir: &Path) -> Result<bool, ServeError> {
    let files = dir.join(FILES);
    match fs::read_dir(&files) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(ServeError::Unreadable { path: files, cause }),
    }
}

/// What in a directory may be all that is left of a server: `init` makes nothing beside it.
///
/// # Errors
/// [`ServeError::Unreadable`].
pub fn remains(dir: &Path) -> Result<Option<PathBuf>, ServeError> {
    let database_files = ["", "-wal", "-shm", "-journal"].map(|suffix| format!("{DATABASE}{suffix}"));
    let names = [MASTER_KEY.to_owned(), crate::ops::config::FILE_NAME.to_owned()];
    for path in names.into_iter().chain(database_files).map(|name| dir.join(name)) {
        if is_there(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(holds_files(dir)?.then(|| dir.join(FILES)))
}

/// A published resource whose file is not as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// The resource.
    pub digest: Digest,
    /// Where its file belongs: a path, or `s3://bucket/key`.
    pub place: String,
    /// Its length when it was published.
    pub size: u64,
    /// Its length now; `None` when it is not there.
    pub found: Option<u64>,
}

/// The published resources whose files are missing or have another length.
///
/// # Errors
/// [`ServeError::Store`], [`ServeError::Storage`].
pub async fn damaged_files(store: &dyn Store, objects: &Objects) -> Result<Vec<DamagedFile>, ServeError> {
    let digests = every(|after| store.resource_digests(after, PAGE)).map_err(ServeError::from);
    let looked_at = digests.map_ok(|digest| damaged_file(store, objects, digest)).try_buffered(LOOKS);
    looked_at.try_filter_map(|damaged| std::future::ready(Ok(damaged))).try_collect().await
}

/// What is wrong with each published file that has its length and not the bytes that were published. Reads all of them.
///
/// # Errors
/// [`ServeError::Store`], [`ServeError::Storage`].
pub(crate) async fn changed_files(core: &Core) -> Result<Vec<String>, ServeError> {
    let Core { store, objects, keys, .. } = core;
    let mut changed = Vec::new();
    let mut digests = every(|after| store.resource_digests(after, PAGE));
    while let Some(digest) = digests.try_next().await? {
        if damaged_file(&**store, objects, digest).await?.is_some() {
            continue;
        }
        match objects.is_whole(keys, &digest).await {
            Ok(true) => {}
            Ok(false) => changed.push(format!("{} has other bytes than were published", objects.place_of(&digest))),
            // A disk or a service that gives back no bytes of one file may give those of the next.
            Err(error) => changed.push(error.to_string()),
        }
    }
    Ok(changed)
}

async fn damaged_file(store: &dyn Store, objects: &Objects, digest: Digest) -> Result<Option<DamagedFile>, ServeError> {
    let Some(resource) = store.resource(&digest).await? else { return Ok(None) };
    let found = objects.find(&digest).await?.map(|file| file.size);
    let is_as_long = found == Some(resource.size);
    Ok((!is_as_long).then(|| DamagedFile { digest, place: objects.place_of(&digest), size: resource.size, found }))
}

/// A moment for people and logs.
pub(crate) fn moment(at: Timestamp) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at.seconds()))
}
