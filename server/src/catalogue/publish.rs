//! Publishing: a sealed file arrives, is checked as a whole, opened once, countersigned and put where files stand.
//!
//! The thief-publisher's way in is here. He lifts another's ciphertext into a resource of his own and asks this
//! server, which holds a key to it, to open it for him. Two checks stop him: each part's binding, made with the part's
//! own key, names publisher, resource and version; and a ciphertext belongs to whoever published it first with a key
//! that opens it.

use crate::Core;
use crate::billing::offers;
use crate::catalogue::objects::{self, Abandoned, Intent, StorageError};
use crate::catalogue::search::PRODUCT_KIND;
use crate::crypto::secrets;
use crate::http::app::{App, Server};
use crate::http::auth::{ProvenTerminal, ProvenUpload};
use crate::http::problem::{ApiError, Refused};
use crate::ops::clock::Timestamp;
use crate::ops::directory::UPLOADS;
use crate::ops::serve::ServeError;
use crate::store::{NewPart, NewResource, PublishOutcome, ResourceFacts, StoreError};
use axum::body::Body;
use futures::StreamExt as _;
use parking_lot::Mutex;
use portcullis_folders::left_over;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::census::{self, Census};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::limits::{MAX_RESOURCES, MAX_VERSIONS};
use portcullis_protocol::sealed::{self, Sealed, SealedError};
use portcullis_protocol::surface::{Surface, SurfaceError};
use portcullis_protocol::wire::PublishAnswer;
use portcullis_protocol::{AccountId, Digest, Manifest, PartKind, PartName, Version};
use sha2::{Digest as _, Sha256};
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// How often another name is tried for one.
const TRIES: u32 = 8;
/// Bytes that are written to see whether files can be stored: a block, since a full disk still makes empty files.
const PROBE: usize = 4096;

/// How long nothing has been written to a file that its process left, if the file system has no locks.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Held while the code of an upload is in memory: a body has up to 64 MiB, and what is read from it takes more. Uploads
/// go on meanwhile.
static SCANNING: Mutex<()> = Mutex::new(());

/// Why the folder of uploads, or what broken uploads left, could not be cleared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClearError {
    #[error(transparent)]
    Io(std::io::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the folders, and clears away what a crash left half uploaded.
///
/// # Errors
/// [`ServeError::Unwritable`], [`ServeError::Storage`].
pub(crate) async fn prepare(core: &Core, dir: &Path) -> Result<(), ServeError> {
    let folders = folders(core, dir);
    for folder in &folders {
        std::fs::create_dir_all(folder).map_err(|cause| ServeError::Unwritable { path: folder.clone(), cause })?;
    }
    try_writing(&folders)?;
    core.objects.try_writing().await?;
    clear(core, dir).await.map_err(|error| match error {
        ClearError::Io(cause) => ServeError::Unwritable { path: dir.join(UPLOADS), cause },
        ClearError::Storage(error) => error.into(),
        ClearError::Store(error) => error.into(),
    })
}

/// The folders of this machine that files are written in.
pub(crate) fn folders(core: &Core, dir: &Path) -> Vec<PathBuf> {
    core.objects.folder().map(Path::to_owned).into_iter().chain([dir.join(UPLOADS)]).collect()
}

/// Finds out whether files can be stored: one that is written and gone again shows it, whatever the permissions and the
/// size of the disk say.
///
/// # Errors
/// [`ServeError::Unwritable`].
pub(crate) fn try_writing(folders: &[PathBuf]) -> Result<(), ServeError> {
    for folder in folders {
        let probe = folder.join(format!(".probe-{}", base64url(&secrets::random::<12>())));
        let written = File::create_new(&probe).and_then(|mut file| {
            // Locked, as everything in the making is: what nobody holds is cleared away.
            let locked = file.try_lock().map_err(std::io::Error::from);
            let written = locked.and_then(|()| file.write_all(&[0; PROBE])).and_then(|()| file.sync_data());
            let gone = match std::fs::remove_file(&probe) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                gone => gone,
            };
            written.and(gone)
        });
        written.map_err(|cause| ServeError::Unwritable { path: folder.clone(), cause })?;
    }
    Ok(())
}

/// Clears away what processes that have ended left of uploads. What another one works on is locked by it.
///
/// # Errors
/// [`ClearError`].
pub(crate) async fn clear(core: &Core, dir: &Path) -> Result<(), ClearError> {
    let uploads = dir.join(UPLOADS);
    let abandoned = tokio::task::spawn_blocking(move || clear_folder(&uploads)).await.map_err(std::io::Error::other);
    for intent in abandoned.flatten().map_err(ClearError::Io)? {
        // One that cannot be looked after keeps none of the others waiting.
        if let Err(error) = intent.resolve(&core.objects, &*core.store).await {
            tracing::warn!(%error, "what a dead process left of an upload is looked at again later");
        }
    }
    Ok(())
}

/// Removes files on their way in that nobody holds, and returns the intents that nobody holds.
fn clear_folder(uploads: &Path) -> std::io::Result<Vec<Abandoned>> {
    let mut abandoned = Vec::new();
    for entry in std::fs::read_dir(uploads)?.flatten() {
        let Some(locked) = left_over(&entry, ABANDONED) else { continue };
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == objects::INTENT) {
            abandoned.push(Abandoned::new(path, locked));
        } else {
            // Another process may have been quicker.
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(abandoned)
}

/// A file on its way in, locked as long as this process works on it. Dropped, it is gone.
pub(crate) struct Incoming {
    path: PathBuf,
    /// Holds the lock.
    lock: File,
    stays: bool,
}

impl Incoming {
    /// An empty one, and the file to write it through.
    fn new(dir: &Path) -> std::io::Result<(Self, File)> {
        Self::with_extension(dir, "part")
    }

    /// The same, under a name that ends so.
    pub(crate) fn with_extension(dir: &Path, extension: &str) -> std::io::Result<(Self, File)> {
        let uploads = dir.join(UPLOADS);
        // Between making and locking it, another process may take it for one that was left behind.
        for _ in 0..TRIES {
            let path = uploads.join(format!("{}.{extension}", base64url(&secrets::random::<16>())));
            let file = File::create_new(&path)?;
            if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists() {
                continue;
            }
            let lock = file.try_clone()?;
            return Ok((Self { path, lock, stays: false }, file));
        }
        Err(std::io::Error::other("other processes clear the folder of uploads all the time"))
    }

    pub(crate) const fn file(&self) -> &File {
        &self.lock
    }

    /// The same, which stays when it is dropped, for whoever finds it when it is no longer locked.
    pub(crate) fn staying(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Removes it.
    pub(crate) fn remove(mut self) {
        self.stays = false;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It may have been moved to its place.
        if !self.stays {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes a body to the disk, bounded, and returns its digest beside it.
pub(crate) async fn receive(app: &Server, unverified_body: Body) -> Result<(Incoming, Digest), ApiError> {
    let most = app.config.limits.upload_bytes;
    let dir = app.config.dir.clone();
    let made = tokio::task::spawn_blocking(move || Incoming::new(&dir)).await.map_err(ApiError::internal)?;
    let (incoming, file) = made.map_err(ApiError::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut stream = unverified_body.into_data_stream();
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::Malformed("the body did not arrive".into()))?;
        size += chunk.len() as u64;
        if size > most {
            return Err(ApiError::TooLarge(most));
        }
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(ApiError::internal)?;
    }
    file.flush().await.map_err(ApiError::internal)?;
    Ok((incoming, Digest::from_bytes(digest.finalize().into())))
}

/// `PUT /v1/resources`, once the file has arrived whole.
pub(crate) async fn publish(app: &App, account: AccountId, incoming: Incoming) -> Result<PublishAnswer, Refused> {
    let (now, for_checks) = (app.core.clock.now(), app.clone());
    let checked =
        tokio::task::spawn_blocking(move || check(&for_checks, &incoming, now).map(|checked| (checked, incoming)));
    let (checked, _incoming) = checked.await.map_err(ApiError::internal)??;
    let Checked { digest, manifest, parts, countersigned, size } = checked;
    let answer = PublishAnswer {
        resource: digest,
        publisher: manifest.publisher.name.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
    };
    owns(app, &account, &manifest).await?;
    if let Some(published) = app.core.store.resource(&digest).await.map_err(ApiError::internal)? {
        bring_back(app, &published, &countersigned.path, size).await?;
        tracing::info!(resource = %published.digest, "published again");
        return Ok(answer);
    }

    let account_bytes = app.config.limits.account_bytes;
    let resource = NewResource { digest, account, manifest, size, account_bytes, parts };
    let store = &app.core.store;
    if let Some(refused) = store.may_publish(&resource).await.map_err(ApiError::internal)? {
        published(app, &answer, refused)?;
    }
    let mut intent = Intent::new(&app.config.dir, digest).map_err(ApiError::internal)?;
    put(app, &digest, &countersigned.path, &mut intent).await?;
    // If this fails, it may have been published all the same.
    let outcome = store.publish(resource).await.map_err(ApiError::internal)?;
    // If something came in between, nobody can name the file: its digest is in no catalogue. But another upload of the
    // same may be about to publish it, so that the intent stays, and whoever finds it removes the file if nobody has.
    published(app, &answer, outcome)?;
    intent.done();
    tracing::info!(resource = %answer.resource, publisher = %answer.publisher, name = %answer.name, version = %answer.version, "published");
    Ok(answer)
}

/// What an outcome means to who publishes.
fn published(app: &Server, wanted: &PublishAnswer, outcome: PublishOutcome) -> Result<(), ApiError> {
    Err(match outcome {
        PublishOutcome::Published | PublishOutcome::Already => return Ok(()),
        PublishOutcome::NotOwner => not_owner(),
        PublishOutcome::NotNewer(published) => ApiError::Conflict(not_newer(wanted, &published)),
        PublishOutcome::TooManyVersions => ApiError::Conflict(format!(
            "there are {MAX_VERSIONS} versions, as many as a resource may have: sell it under another name"
        )),
        PublishOutcome::TooManyResources => ApiError::Conflict(format!(
            "this account has published {MAX_RESOURCES} resources, as many as one may: publish a version of one of them"
        )),
        PublishOutcome::TooManyBytes(bytes) => ApiError::Conflict(format!(
            "the files of this account would have {bytes} bytes, and may have {}: ask the store's operator, who sets \
             `limits.account_bytes`",
            app.config.limits.account_bytes
        )),
        PublishOutcome::OpensPart(opened) => {
            ApiError::Conflict(offers::opens_part(&wanted.publisher, &wanted.name, &opened))
        }
        PublishOutcome::CommitmentTaken(part) => ApiError::Conflict(format!(
            "part `{part}`, this very ciphertext, was published here by another publisher, who held its key: seal the \
                 resource again, which encrypts it anew; if the part is yours, tell the store's operator"
        )),
    })
}

/// A sealed file that is what it says, and its copy with this server's countersignature.
struct Checked {
    digest: Digest,
    manifest: Manifest,
    parts: Vec<NewPart>,
    countersigned: Incoming,
    size: u64,
}

fn check(app: &Server, incoming: &Incoming, now: Timestamp) -> Result<Checked, ApiError> {
    let file = File::open(&incoming.path).map_err(ApiError::internal)?;
    let sealed = Sealed::open(file).map_err(unacceptable)?;
    let (digest, manifest) = (sealed.digest(), sealed.manifest().clone());
    if manifest.kind.trim().eq_ignore_ascii_case(PRODUCT_KIND) {
        let text = format!("the kind `{PRODUCT_KIND}` is for what merchants sell: name another one in portcullis.toml");
        return Err(ApiError::Unacceptable(text));
    }
    let root = app.core.keys.root().thumbprint();
    if !manifest.servers.iter().any(|server| server.origin == *app.origin() && server.root == root) {
        let text = format!("the resource is not sealed for this server: seal it with `--server {}`", app.origin());
        return Err(ApiError::Unacceptable(text));
    }
    // What no terminal would load is not sold.
    manifest.limits.check().map_err(unrunnable)?;
    let stub = {
        let _alone = SCANNING.lock();
        let census = Census::of(sealed.stub()).map_err(unrunnable)?;
        Surface::of_counted(sealed.stub(), &census).map_err(unloadable)?
    };
    stub.check_stub(&manifest).map_err(unloadable)?;
    let identity = app.core.keys.identity();
    let mut parts = Vec::with_capacity(manifest.parts.len());
    for part in &manifest.parts {
        let key = sealed.unwrap_key(&part.name, [identity]).map_err(unacceptable)?;
        // A commitment is its publisher's from now on. Whoever merely copied the ciphertext can wrap any key for this
        // server, and make a binding with it; but it opens nothing.
        opens(&sealed, &part.name, &key)?;
        if part.kind == PartKind::Code {
            let _alone = SCANNING.lock();
            let body = sealed.read_code(&part.name, &key).map_err(unacceptable)?;
            let census = Census::of(&body).map_err(unrunnable)?;
            census.needs().check(|need| manifest.limits.given(need)).map_err(unrunnable)?;
            let surface = Surface::of_counted(&body, &census).map_err(unloadable)?;
            Surface::check_body(&stub, &surface, &manifest).map_err(unloadable)?;
            census::validate(&body).map_err(unrunnable)?;
        }
        let wrapped = app.core.secrets.wrap_file_key(&digest, &part.name, &key);
        parts.push(NewPart { name: part.name.clone(), commitment: part.commitment, key: wrapped });
    }
    let (countersigned, out) = Incoming::new(&app.config.dir).map_err(ApiError::internal)?;
    let signing_key = app.core.keys.signing_key(now).map_err(ApiError::internal)?;
    let mut out = BufWriter::with_capacity(1 << 20, out);
    // Checks every block on its way.
    sealed::countersign(&sealed, app.origin().clone(), &signing_key, now.seconds(), &mut out).map_err(unacceptable)?;
    out.flush().map_err(ApiError::internal)?;
    let out = out.into_inner().map_err(ApiError::internal)?;
    out.sync_all().map_err(ApiError::internal)?;
    let size = out.metadata().map_err(ApiError::internal)?.len();
    Ok(Checked { digest, manifest, parts, countersigned, size })
}

fn unacceptable(error: SealedError) -> ApiError {
    match error {
        SealedError::Io(error) => ApiError::internal(error),
        error => ApiError::Unacceptable(error.to_string()),
    }
}

/// Opens the first and the last chunk of a part with the key that its header wraps.
fn opens(sealed: &Sealed<File>, part: &PartName, key: &FileKey) -> Result<(), ApiError> {
    let first = sealed.part(part, key).and_then(|mut reader| reader.read_at(0, &mut [0]));
    match first {
        Ok(_) => Ok(()),
        Err(SealedError::Age { .. }) => Err(ApiError::Unacceptable(format!(
            "the key that the header of part `{part}` holds does not open the part: only who holds a part's key publishes \
             it; seal the resource again from its own files"
        ))),
        Err(error) => Err(unacceptable(error)),
    }
}

fn unloadable(error: SurfaceError) -> ApiError {
    ApiError::Unacceptable(format!("no terminal would load it: {error}"))
}

fn unrunnable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Unacceptable(format!("no terminal would run it: {error}"))
}

/// Before anything is put in its place: who does not own the name changes nothing here.
async fn owns(app: &Server, account: &AccountId, manifest: &Manifest) -> Result<(), Refused> {
    let publisher = app.core.store.publisher(&manifest.publisher.name).await.map_err(ApiError::internal)?;
    match publisher {
        Some(publisher) if publisher.owner == *account && publisher.key == manifest.publisher.jwk => Ok(()),
        _ => Err(not_owner().into()),
    }
}

fn not_owner() -> ApiError {
    ApiError::Forbidden(
        "the publisher's name is not this account's with this key: claim it first, or seal with its key".into(),
    )
}

fn not_newer(refused: &PublishAnswer, published: &Version) -> String {
    let PublishAnswer { publisher, name, version, .. } = refused;
    if version == published {
        return format!("{publisher}/{name} {version} is published with another content: raise the version");
    }
    if version.precedence(published).is_eq() {
        return format!(
            "version {version} of {publisher}/{name} has the same precedence as {published}, since what follows a `+` does \
             not count: raise the version"
        );
    }
    format!("version {version} of {publisher}/{name} is not newer than {published}: raise the version")
}

/// Stores the file of a resource that is published and whose file is gone: a disk was lost, or restored without its
/// files. In a folder, also if it is damaged; what a service keeps in a bucket is its own care, and takes minutes to
/// read. A countersignature of another key has another length only if its form changed: then it is another
/// file.
async fn bring_back(app: &Server, published: &ResourceFacts, from: &Path, size: u64) -> Result<(), ApiError> {
    let stored = app.core.objects.find(&published.digest).await.map_err(ApiError::internal)?;
    let is_as_long = stored.is_some_and(|stored| stored.size == published.size);
    let (objects, keys) = (&app.core.objects, &app.core.keys);
    // One that cannot be read is as good as none.
    if is_as_long && (objects.folder().is_none() || matches!(objects.is_whole(keys, &published.digest).await, Ok(true)))
    {
        return Ok(());
    }
    if size != published.size {
        let text =
            "the file that was published is gone or damaged, and this one has another length: seal it as a new version";
        return Err(ApiError::Conflict(text.into()));
    }
    let mut intent = Intent::new(&app.config.dir, published.digest).map_err(ApiError::internal)?;
    put(app, &published.digest, from, &mut intent).await?;
    intent.done();
    tracing::warn!(resource = %published.digest, "a published file that was gone or damaged is there again");
    Ok(())
}

async fn put(app: &Server, digest: &Digest, from: &Path, intent: &mut Intent) -> Result<(), ApiError> {
    app.core.faults.step("upload.before-rename").map_err(ApiError::internal)?;
    let put = app.core.objects.put(digest, from, intent).await;
    put.map_err(ApiError::internal)?;
    app.core.faults.step("upload.after-rename").map_err(ApiError::internal)
}

/// Takes the body of a proven upload, and makes sure that it is the one that was proven.
pub(crate) async fn receive_proven(app: &Server, upload: ProvenUpload) -> Result<(Incoming, ProvenTerminal), ApiError> {
    let ProvenUpload { caller, claimed_body, unverified_body, .. } = upload;
    let (incoming, digest) = receive(app, unverified_body).await?;
    if digest == claimed_body { Ok((incoming, caller)) } else { Err(ApiError::Unproven) }
}
