//! A server from its configuration to its last answer.

use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::faults::Faults;
use crate::keys::{self, Keys, KeysError};
use crate::passwords::HashFailed;
use crate::payment::{Payments, Sandbox};
use crate::secrets::{SecretError, Secrets};
use crate::store::{Sqlite, SqliteOptions, Store, StoreError};
use crate::{App, Core, Server, publish, router};
use portcullis_protocol::Origin;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The file of the master key, in the server's directory.
pub const MASTER_KEY: &str = "master.key";
/// The database, in the server's directory.
pub const DATABASE: &str = "portcullis.sqlite";
/// How often expired holds are released, and keys of other processes are taken up.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How long the last requests may take once the server is asked to stop: an upload from far away would hold it for ever.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}. Is another server running there?")]
    Listen {
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
    #[error("the server's directory: {0}")]
    Io(#[from] std::io::Error),
}

/// Opens the core of the server in a directory.
///
/// # Errors
/// [`ServeError`]; [`ServeError::NoServer`] before `init`.
pub async fn open(config: &Config, origin: Origin, clock: Clock, faults: Faults) -> Result<Core, ServeError> {
    let master = config.dir.join(MASTER_KEY);
    if !master.is_file() {
        return Err(ServeError::NoServer { dir: config.dir.clone() });
    }
    let secrets = Secrets::open(&master)?;
    let store = open_store(&config.dir, clock.clone(), faults.clone())?;
    let keys = Arc::new(Keys::open(&*store, &secrets, origin.clone()).await?);
    let payments = if config.payment.sandbox { Payments::none().with(Sandbox) } else { Payments::none() };
    let currencies = config.currencies.clone();
    Ok(Core { store, keys, secrets, origin, payments, currencies, clock, faults })
}

/// Opens the database of a directory.
///
/// # Errors
/// [`StoreError`].
pub fn open_store(dir: &Path, clock: Clock, faults: Faults) -> Result<Arc<dyn Store>, StoreError> {
    let options = SqliteOptions { clock, faults, ..SqliteOptions::new(dir.join(DATABASE)) };
    Ok(Arc::new(Sqlite::open(options)?))
}

/// A server that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
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
        Self::start_with(config, Clock::system(), Faults::from_env()).await
    }

    /// As [`Running::start`], with a clock and faults of the caller's.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start_with(config: Config, clock: Clock, faults: Faults) -> Result<Self, ServeError> {
        let failed = |cause| ServeError::Listen { address: config.listen, cause };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr()?;
        let core = open(&config, config.origin_at(address)?, clock, faults).await?;
        publish::prepare(&config.dir)?;
        let app = Server::new(config, core)?;
        let (stop, stopped) = watch::channel(false);
        let service = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let housekeeping = tokio::spawn(keep_house(app.clone(), stopped.clone()));
        let closing = app.clone();
        let task = tokio::spawn(async move {
            let serving = axum::serve(listener, service).with_graceful_shutdown(until(stopped.clone()));
            let served = tokio::select! {
                served = serving.into_future() => served,
                () = out_of_patience(stopped) => Ok(()),
            };
            // Requests are answered by now; what they wrote is committed before the process ends.
            let _ = housekeeping.await;
            closing.core.store.close().await.map_err(std::io::Error::other)?;
            served
        });
        Ok(Self { address, app, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server itself.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Takes no new requests, finishes those under way and the writer's work.
    ///
    /// # Errors
    /// Where the last of it failed.
    pub async fn stop(self) -> std::io::Result<()> {
        self.stop.send_replace(true);
        self.task.await.map_err(std::io::Error::other)?
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error is a sender that is gone: then nobody can stop it properly any more.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn out_of_patience(stopped: watch::Receiver<bool>) {
    until(stopped).await;
    tokio::time::sleep(LAST_REQUESTS).await;
}

async fn keep_house(app: App, stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(until(stopped));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let core = &app.core;
        if core.keys.want_renewal(core.clock.now()) {
            match keys::renew_signing_key(&*core.store, &core.secrets).await {
                Ok(None) => {}
                Ok(Some(key)) => {
                    tracing::info!(key = %key.thumbprint(), "a new signing key was added: the last one's end is near")
                }
                Err(error) => tracing::error!(%error, "signing keys could not be renewed"),
            }
        }
        if let Err(error) = core.keys.refresh(&*core.store, &core.secrets).await {
            tracing::error!(%error, "signing keys could not be refreshed");
        }
        let dir = app.config.dir.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || publish::clear(&dir)).await {
            tracing::error!(%error, "what broken uploads left behind could not be cleared");
        }
        match core.store.sweep().await {
            Ok(0) => {}
            Ok(released) => tracing::info!(released, "expired holds were released"),
            Err(error) => tracing::error!(%error, "expired holds could not be released"),
        }
    }
}
