//! A server from its configuration to its last answer.

use crate::audit::{Act, HeadRecord, Heads};
use crate::billing::payment::SANDBOX;
use crate::catalogue::objects::StorageError;
use crate::catalogue::publish;
use crate::crypto::keys::{self, KeysError};
use crate::crypto::secrets::SecretError;
use crate::effects;
use crate::http::connections;
use crate::http::connections::Caps;
use crate::http::monitoring;
use crate::identity::passwords::HashFailed;
use crate::ops::clock::Timestamp;
use crate::ops::config::{Config, ConfigError, FILE_NAME};
use crate::ops::directory::{damaged_files, moment, open};
use crate::ops::parts::Parts;
use crate::store::StoreError;
use crate::{App, Core, Server, router};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

/// How often expired holds are released, and keys of other processes are taken up.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How often the service of the bucket is asked for uploads that nobody remembers.
const FORGOTTEN_UPLOADS: Duration = Duration::from_secs(6 * 3600);
/// The key that names the address for monitoring.
const METRICS_LISTEN: &str = "metrics.listen";
/// Connections at once to the address for monitoring.
const MONITORS: usize = 16;

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (`{key}`): {cause}. {}", listen_advice(.cause, key))]
    Listen {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The directory has no server in it.
    #[error("there is no server in {dir}: run `portcullis-server init --dir {dir}` first")]
    NoServer {
        /// The directory.
        dir: PathBuf,
    },
    /// The master key is missing, and there is something that only it opens.
    #[error(
        "{master} is missing, and without it nothing opens of what the server in {dir} has stored: restore it from its \
         backup. `init` makes no other one, for it would open nothing either. For a new server choose a new directory"
    )]
    NoMasterKey {
        /// Where it belongs.
        master: PathBuf,
        /// The directory.
        dir: PathBuf,
    },
    /// The database is missing, and there is the key to one.
    #[error(
        "{database} is missing, though {master} is there: restore the database from its backup, or name the PostgreSQL \
         database that the server has (`database` in {FILE_NAME}, or `--database`). {}An empty one is not served in its \
         place. For a new server choose a new directory",
        if *is_configured { "" } else { "No server.toml is there either, in which `init` writes that name. " }
    )]
    NoDatabase {
        /// Where it belongs.
        database: PathBuf,
        /// What is there.
        master: PathBuf,
        /// Whether a configuration file was read.
        is_configured: bool,
    },
    /// Master key and database do not belong together.
    #[error(
        "the master key in {dir} is not the one that sealed the database {}. {}Nothing was changed",
        database.as_deref().unwrap_or("beside it"),
        match database {
            Some(_) => "If that is not this server's database, name the right one (`database` in server.toml, or \
                        `--database`). If it is, put the master key back that belongs to it: after \
                        `rotate-master-key`, the new one. ",
            None => "Restore both as they were backed up together. ",
        }
    )]
    OtherMasterKey {
        /// The directory.
        dir: PathBuf,
        /// The address of its database, without a password, if that is not a file in the directory.
        database: Option<String>,
    },
    /// The database is sealed by the next master key, which is not in its place yet.
    #[error(
        "a change of the master key was interrupted: run `portcullis-server rotate-master-key --dir {dir}` once more, \
         which finishes it. Nothing is lost, and nothing has to be restored"
    )]
    KeyChangeInterrupted {
        /// The directory.
        dir: PathBuf,
    },
    /// The origin changed.
    #[error(
        "this server is {bound}, but is configured as {configured}. An origin never changes: it is part of everything \
         that is signed, and terminals know the server by it. Set `origin = \"{bound}\"`, or, when none is set, `listen` \
         as it was. For another store make a new server in another directory"
    )]
    OtherOrigin {
        /// What the database belongs to.
        bound: String,
        /// What the configuration says.
        configured: String,
    },
    /// The clock is behind what is on record.
    #[error(
        "the clock of this machine says {}, but the database was in use at {}: set the clock. If it was wrong then and is \
         right now, start once with `serve --accept-clock`",
        moment(*now), moment(*seen)
    )]
    ClockBehind {
        /// The database's time.
        now: Timestamp,
        /// The latest on record.
        seen: Timestamp,
    },
    /// Something cannot be looked at.
    #[error("cannot read {path}: {cause}. Check its owner and permissions")]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Files cannot be stored.
    #[error(
        "cannot write in {path}: {cause}. Check its owner and permissions, and that the disk is not full or read-only"
    )]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The place of sealed files.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The master key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server's keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Passwords cannot be hashed on this machine.
    #[error(transparent)]
    Passwords(#[from] HashFailed),
    /// Files cannot be read or written.
    #[error("the server failed: {0}")]
    Io(#[from] std::io::Error),
}

/// A server that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    monitored: Option<SocketAddr>,
    app: App,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Binds the address, opens the directory and begins to answer.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        Self::start_with(config, Parts::default()).await
    }

    /// As [`Running::start`], with parts of the caller's.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start_with(config: Config, parts: Parts) -> Result<Self, ServeError> {
        let listener = bind("listen", config.listen).await?;
        let monitoring = match config.metrics.listen {
            Some(address) => Some(bind(METRICS_LISTEN, address).await?),
            None => None,
        };
        let address = listener.local_addr()?;
        let monitored = monitoring.as_ref().map(TcpListener::local_addr).transpose()?;
        let core = open(&config, config.origin_at(address)?, parts).await?;
        publish::prepare(&core, &config.dir).await?;
        let damaged = damaged_files(&*core.store, &core.objects).await?;
        if let Some(first) = damaged.first() {
            let (files, first) = (damaged.len(), &first.place);
            tracing::error!(files, %first, "published files are missing or damaged: `operator check` lists them");
        }
        core.store.hold_lease().await?;
        let app = Server::new(config, core)?;
        let (stop, stopped) = watch::channel(false);
        let limits = &app.config.limits;
        let per_address = (!app.config.behind_proxy).then_some(limits.connections_per_address.max(1));
        let caps = Caps { all: limits.connections.max(1), per_address };
        let version = env!("CARGO_PKG_VERSION");
        if let Some(monitored) = monitored {
            tracing::info!(address = %monitored, "metrics");
        }
        if app.core.payments.get(SANDBOX).is_some() && !app.origin().is_plain_http() {
            tracing::warn!(
                "the sandbox is on: everybody buys without paying. `sandbox = false` before anything is sold"
            );
        }
        tracing::info!(%address, origin = %app.origin(), version, "serving");
        let monitoring = monitoring.map(|listener| {
            let caps = Caps { all: MONITORS, per_address: None };
            tokio::spawn(connections::serve(listener, monitoring::router(app.clone()), caps, stopped.clone()))
        });
        let housekeeping = tokio::spawn(keep_house(app.clone(), stopped.clone()));
        let uploads = tokio::spawn(look_after_uploads(app.clone(), stopped.clone()));
        let effects = tokio::spawn(effects::run(app.core.clone(), stopped.clone()));
        let (closing, ending, mut stopping) = (app.clone(), app.clone(), stopped.clone());
        tokio::spawn(async move {
            let _ = stopping.wait_for(|stop| *stop).await;
            ending.streams.end();
        });
        let task = tokio::spawn(async move {
            connections::serve(listener, router(closing.clone()), caps, stopped).await;
            // Requests are answered by now; what they wrote is committed before the process ends.
            let _ = tokio::join!(housekeeping, effects, uploads);
            if let Some(monitoring) = monitoring {
                let _ = monitoring.await;
            }
            closing.core.store.close().await.map_err(std::io::Error::other)?;
            tracing::info!("stopped");
            Ok(())
        });
        Ok(Self { address, monitored, app, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it says what it counted, if it does.
    #[must_use]
    pub const fn monitored(&self) -> Option<SocketAddr> {
        self.monitored
    }

    /// The server itself.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Takes no new requests, finishes those under way, for ten seconds at most, and the writer's work.
    ///
    /// # Errors
    /// If the last of it failed.
    pub async fn stop(self) -> std::io::Result<()> {
        tracing::info!("stopping");
        self.stop.send_replace(true);
        self.task.await.map_err(std::io::Error::other)?
    }
}

/// What to look at first.
fn listen_advice(cause: &std::io::Error, key: &str) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::AddrInUse if key == METRICS_LISTEN => {
            "Is another process of this server running? Each needs an address of its own for this: set \
             PORTCULLIS_SERVER_METRICS_LISTEN for each of them, or choose another address here"
        }
        std::io::ErrorKind::AddrInUse => "Is another server running there?",
        std::io::ErrorKind::AddrNotAvailable => "It is no address of this machine: see `ip address`",
        std::io::ErrorKind::PermissionDenied => "Choose a port from 1024 on: those below are the system's",
        _ => "Choose another address",
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { key, address, cause })
}

/// The rounds of a task that goes on until the server stops.
struct Rounds {
    ticks: Interval,
    stopped: watch::Receiver<bool>,
}

impl Rounds {
    fn every(period: Duration, stopped: watch::Receiver<bool>) -> Self {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stopped }
    }

    /// Waits for the next round. Returns false once the server stops.
    async fn next(&mut self) -> bool {
        tokio::select! {
            () = stop(&mut self.stopped) => false,
            _ = self.ticks.tick() => true,
        }
    }

    /// Whether the server stops.
    fn are_over(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Does the work of a round, unless the server stops before it is done.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = stop(&mut self.stopped) => None,
            done = work => Some(done),
        }
    }
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: then nobody can stop it properly any more.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Clears away what broken uploads left behind. It may wait for the service that keeps the files, so it holds nothing
/// else up, and is broken off when the server stops.
async fn look_after_uploads(app: App, stopped: watch::Receiver<bool>) {
    let (mut rounds, mut looked) = (Rounds::every(HOUSEKEEPING, stopped), Instant::now());
    while rounds.next().await {
        rounds.unless_stopped(clear_uploads(&app, &mut looked)).await;
    }
}

async fn clear_uploads(app: &App, looked: &mut Instant) {
    if let Err(error) = publish::clear(&app.core, &app.config.dir).await {
        tracing::error!(%error, "what broken uploads left behind could not be cleared");
    }
    if looked.elapsed() >= FORGOTTEN_UPLOADS {
        *looked = Instant::now();
        match app.core.objects.abort_forgotten(SystemTime::now()).await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "forgotten uploads in parts were given up"),
            Err(error) => tracing::error!(%error, "forgotten uploads in parts could not be given up"),
        }
    }
}

/// Batches of transfers that one round adds to the sums of the books.
const FOLDS: usize = 10;

async fn fold_books(core: &Core) -> Result<(), StoreError> {
    for _ in 0..FOLDS {
        if !core.store.fold_books().await? {
            break;
        }
    }
    Ok(())
}

/// Renews keys and releases what has expired.
async fn keep_house(app: App, stopped: watch::Receiver<bool>) {
    let (mut rounds, mut heads) = (Rounds::every(HOUSEKEEPING, stopped), Heads::default());
    while rounds.next().await {
        for chore in Chore::ALL {
            // What is begun is done to its end: with a database that does not answer, each takes seconds.
            if rounds.are_over() {
                return;
            }
            chore.run(&app.core, &mut heads).await;
        }
    }
}

/// One of the things that a round is for.
#[derive(Debug, Clone, Copy)]
enum Chore {
    RenewKeys,
    RefreshKeys,
    SignHead,
    FoldBooks,
    CountEffects,
    Sweep,
}

impl Chore {
    const ALL: [Self; 6] =
        [Self::RenewKeys, Self::RefreshKeys, Self::SignHead, Self::FoldBooks, Self::CountEffects, Self::Sweep];

    async fn run(self, core: &Core, heads: &mut Heads) {
        match self {
            Self::RenewKeys if core.keys.want_renewal(core.clock.now()) => {
                let act = Act::of_server(core, "signing key add", "").with("why", "the last key's end is near");
                match act.scope(keys::renew_signing_key(&*core.store, &core.secrets)).await {
                    Ok(None) => {}
                    Ok(Some(key)) => {
                        tracing::info!(key = %key.thumbprint(), "a new signing key was added: the last one's end is near")
                    }
                    Err(error) => tracing::error!(%error, "signing keys could not be renewed"),
                }
            }
            Self::RenewKeys => {}
            Self::RefreshKeys => {
                if let Err(error) = core.keys.refresh(&*core.store, &core.secrets).await {
                    tracing::error!(%error, "signing keys could not be refreshed");
                }
            }
            Self::SignHead => match heads.renew(core).await {
                Ok(None) => {}
                // Whoever keeps the server's log elsewhere keeps the heads there, too.
                Ok(Some(HeadRecord { head, .. })) => tracing::info!(%head, "a head of the audit log was signed"),
                Err(error) => tracing::error!(%error, "no head of the audit log was signed"),
            },
            Self::FoldBooks => {
                if let Err(error) = fold_books(core).await {
                    tracing::error!(%error, "the sums of the books for monitoring could not be renewed");
                }
            }
            Self::CountEffects => match core.store.effect_queues().await {
                Ok(queues) => core.metrics.waits(&queues),
                Err(error) => tracing::error!(%error, "the effects that wait could not be counted"),
            },
            Self::Sweep => match core.store.sweep().await {
                Ok(0) => {}
                Ok(released) => tracing::info!(released, "expired holds were released"),
                Err(error) => tracing::error!(%error, "expired holds could not be released"),
            },
        }
    }
}
