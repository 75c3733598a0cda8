//! The terminal, opened: everything that a program does with billing servers and stores begins here.

pub(crate) mod checkup;
pub(crate) mod cycle;
pub(crate) mod grants;

use crate::cache::CompiledCache;
use crate::cache::blobs::{BlobDir, DEFAULT_CACHE_SIZE, SealedBlobs};
use crate::client::checkup::{ClockCheckup, JournalCheckup, ServerCheckup};
use crate::client::cycle::Cycle;
use crate::client::grants::{GrantRecord, Grants};
use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::BillingServer;
use crate::run::runtime::{Runtime, RuntimeBuilder};
use crate::server::events::{EventCursor, Events};
use crate::server::pending_sign_ins::Pending;
use crate::server::retry::Retry;
use crate::server::session::Sessions;
use crate::server::sign_in::SignIn;
use crate::server::terminal::Terminal;
use crate::server::tokens::Tokens;
use crate::server::trust::{self, Pin};
use crate::state::clock::{Clock, ServerClocks, SystemClock};
use crate::state::folder::{StateDir, StateError};
use crate::state::journal::Journal;
use crate::state::key_store::{FileKeyStore, KeyStore};
use crate::state::sealing_key::StateKey;
use crate::store::file_judge::FileJudge;
use crate::store::library::Library;
use crate::store::merchant_desk::MerchantDesk;
use crate::store::open_streams::OpenStreams;
use crate::store::publishing::Publishing;
use crate::store::storefront::Storefront;
use crate::store::taken_from::TakenFrom;
use portcullis_protocol::{Origin, Reason, SecretKey};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a client is opened with. Everything has a default.
#[derive(Clone, Default)]
pub struct ClientOptions {
    state_dir: Option<PathBuf>,
    server: Option<Arc<dyn BillingServer>>,
    key_store: Option<Arc<dyn KeyStore>>,
    clock: Option<Arc<dyn Clock>>,
    retry: Retry,
    cache: Cache,
}

/// Where compiled code is kept.
#[derive(Clone)]
enum Cache {
    /// In the state directory, up to so many bytes.
    Own(u64),
    Elsewhere(Arc<dyn SealedBlobs>),
}

impl Default for Cache {
    fn default() -> Self {
        Self::Own(DEFAULT_CACHE_SIZE)
    }
}

impl ClientOptions {
    /// State in [`StateDir::default_path`], secrets in files there, HTTPS, the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the terminal keeps its state.
    #[must_use]
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// How billing servers are reached.
    #[must_use]
    pub fn billing_server(mut self, server: Arc<dyn BillingServer>) -> Self {
        self.server = Some(server);
        self
    }

    /// Where secrets are kept.
    #[must_use]
    pub fn key_store(mut self, keys: Arc<dyn KeyStore>) -> Self {
        self.key_store = Some(keys);
        self
    }

    /// The machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How many bytes of compiled code are kept in the state directory at most; [`DEFAULT_CACHE_SIZE`] unless set.
    #[must_use]
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.cache = Cache::Own(bytes);
        self
    }

    /// Where else than in the state directory compiled code is kept. It is sealed before it gets there.
    #[must_use]
    pub fn cache_in(mut self, blobs: Arc<dyn SealedBlobs>) -> Self {
        self.cache = Cache::Elsewhere(blobs);
        self
    }

    /// How often what got no answer is repeated.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// A terminal: its state, its trust and its sessions. Cheap to clone; all clones are one terminal. Several processes
/// may open the same state.
#[derive(Clone)]
pub struct Client {
    sessions: Arc<Sessions>,
    journal: Journal,
    grants: Grants,
    pending: Pending,
    cycle: Cycle,
    cache: CompiledCache,
    taken_from: TakenFrom,
    files: FileJudge,
    streams: OpenStreams,
}

impl Client {
    /// Opens the terminal's state; makes it if there is none. No server is contacted.
    ///
    /// # Errors
    /// [`ClientError::State`], [`ClientError::KeyStore`].
    pub fn open(options: ClientOptions) -> Result<Self, ClientError> {
        let ClientOptions { state_dir, server, key_store, clock, retry, cache } = options;
        let path = state_dir.map_or_else(StateDir::default_path, Ok)?;
        let state = Arc::new(StateDir::open(path)?);
        let keys: Arc<dyn KeyStore> = key_store.unwrap_or_else(|| Arc::new(FileKeyStore::new(Arc::clone(&state))));
        let server = server.map_or_else(default_server, Ok)?;
        let state_key = StateKey::of(&*keys)?;
        let machine = clock.unwrap_or_else(|| Arc::new(SystemClock));
        let trusted = || -> Result<Vec<Origin>, StateError> {
            Ok(trust::pins(&state)?.into_iter().map(|pin| pin.origin).collect())
        };
        let clocks = Arc::new(ServerClocks::open(machine, Arc::clone(&state), state_key.clone(), trusted)?);
        let blobs = match cache {
            Cache::Own(most) => Arc::new(BlobDir::new(state.path("cache"), most)),
            Cache::Elsewhere(blobs) => blobs,
        };
        let cache = CompiledCache::of_terminal(blobs, &state_key);
        let sessions = Arc::new(Sessions::new(Arc::clone(&state), keys, server, clocks, retry));
        let journal = Journal::new(Arc::clone(&state), state_key.clone());
        let pending = Pending::new(Arc::clone(&state), state_key);
        let grants = Grants::new(Arc::clone(&state));
        let taken_from = TakenFrom::new(state);
        let files = FileJudge::new(Arc::clone(&sessions), taken_from.clone());
        let (own, streams) = (Arc::clone(&sessions), OpenStreams::default());
        let cycle = Cycle::new(own, journal.clone(), grants.clone(), taken_from.clone(), files.clone());
        Ok(Self { sessions, journal, grants, pending, cycle, cache, taken_from, files, streams })
    }

    /// The directory that holds the terminal's state.
    #[must_use]
    pub fn state_dir(&self) -> &StateDir {
        &self.sessions.state
    }

    /// The machine's clock. Grants are judged by [`Client::server_clock`] of the server that gave them: a runtime asks
    /// [`Client::cycle`] for it by itself.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.sessions.clocks.machine())
    }

    /// A server's time, as well as this terminal knows it.
    #[must_use]
    pub fn server_clock(&self, origin: &Origin) -> Arc<dyn Clock> {
        self.sessions.clocks.of(origin) as Arc<dyn Clock>
    }

    /// The gatekeeper for a runtime: runs the cycle with the servers that the user trusts.
    #[must_use]
    pub fn cycle(&self) -> Cycle {
        self.cycle.clone()
    }

    /// A runtime to be configured that asks this terminal for grants, goes by its clocks, and keeps compiled code in
    /// its cache.
    #[must_use]
    pub fn runtime(&self) -> RuntimeBuilder {
        Runtime::builder().gatekeeper(self.cycle()).clock(self.clock()).cache(self.cache())
    }

    /// Where this terminal keeps compiled code between runs, sealed.
    #[must_use]
    pub fn cache(&self) -> CompiledCache {
        self.cache.clone()
    }

    /// Waits, but not longer than `most`, until servers have been told of what was delivered. A program calls this
    /// before it ends; what is left is done at its next start.
    pub async fn settle(&self, most: Duration) {
        self.cycle.settle(most).await;
    }

    /// The servers that the user trusts.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn servers(&self) -> Result<Vec<Pin>, StateError> {
        self.sessions.trust.pins()
    }

    /// Whether somebody is signed in at a server, as far as this terminal knows.
    ///
    /// # Errors
    /// [`ClientError::KeyStore`].
    pub fn is_signed_in(&self, origin: &Origin) -> Result<bool, ClientError> {
        Ok(Tokens::exist(&*self.sessions.keys, origin)?)
    }

    /// The server that is meant if the user names none: the only trusted one, else the only one where he is signed in.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `not-signed-in` if there is none; else [`ClientError::SeveralStores`].
    pub fn default_server(&self) -> Result<Origin, ClientError> {
        let mut pins = self.servers()?;
        if pins.len() > 1 {
            pins.retain(|pin| self.is_signed_in(&pin.origin).unwrap_or(false));
        }
        match pins.as_slice() {
            [pin] => Ok(pin.origin.clone()),
            [] => Err(Refused::because(Reason::NotSignedIn, "you are not signed in to any store").into()),
            pins => {
                let names: Vec<&str> = pins.iter().map(|pin| pin.origin.as_str()).collect();
                Err(ClientError::SeveralStores(names.join(", ")))
            }
        }
    }

    /// Asks a trusted server how things stand between it and this terminal.
    pub async fn check_server(&self, pin: &Pin) -> ServerCheckup {
        ServerCheckup::of(&self.sessions, pin).await
    }

    /// What this terminal has sent and is not done with.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn check_journal(&self) -> Result<JournalCheckup, StateError> {
        checkup::journal(&self.journal)
    }

    /// The machine's clock beside a server's. Ask the server first ([`Client::check_server`]): only a signed answer
    /// tells its time.
    #[must_use]
    pub fn check_clock(&self, origin: &Origin) -> ClockCheckup {
        checkup::clocks(&self.sessions, origin)
    }

    /// Begins a sign-in; show what it says, then [`SignIn::finish`]. `label` is what the user calls this terminal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_in(&self, origin: &Origin, label: &str) -> Result<SignIn, ClientError> {
        SignIn::begin(Arc::clone(&self.sessions), self.pending.clone(), origin, label).await
    }

    /// A sign-in that [`SignIn::set_aside`] kept, if one still waits for its user.
    ///
    /// # Errors
    /// [`ClientError`]; `server-untrusted` if the server is another one than it was begun with.
    pub async fn resume_sign_in(&self, origin: &Origin) -> Result<Option<SignIn>, ClientError> {
        SignIn::resume(Arc::clone(&self.sessions), self.pending.clone(), origin).await
    }

    /// Signs out: the sign-in is gone from this machine, and ended at the server if it could be reached; returns
    /// whether it was. The server stays trusted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_out(&self, origin: &Origin) -> Result<bool, ClientError> {
        self.pending.remove(origin)?;
        let session = match self.sessions.of(origin) {
            // The server has ended the sign-in itself, and the terminal's keys are gone.
            Err(refused) if refused.reason == Reason::TerminalRevoked => {
                self.forget_tokens(origin).await?;
                return Ok(true);
            }
            session => session?,
        };
        let heard = session.sign_out().await?;
        self.sessions.close(origin);
        Ok(heard)
    }

    /// Forgets a server altogether: sign-in, terminal keys, and the pin of its root key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn forget(&self, origin: &Origin) -> Result<(), ClientError> {
        self.pending.remove(origin)?;
        match self.sessions.of(origin) {
            Ok(session) => {
                session.sign_out().await?;
            }
            Err(_) => self.forget_tokens(origin).await?,
        }
        self.sessions.close(origin);
        Terminal::forget(&*self.sessions.keys, origin)?;
        Ok(self.sessions.trust.forget(origin).await?)
    }

    /// Removes what is left of a sign-in if there is no session to end it with.
    async fn forget_tokens(&self, origin: &Origin) -> Result<(), ClientError> {
        Ok(Tokens::forget(&*self.sessions.keys, &self.sessions.state, origin).await?)
    }

    /// Follows what a server tells this terminal, from a cursor that was kept, or from the oldest event that the server
    /// has. No server is contacted before [`Events::next`] is waited for.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `not-signed-in` if nobody is.
    pub fn events(&self, origin: &Origin, after: Option<EventCursor>) -> Result<Events, ClientError> {
        Ok(Events::new(self.sessions.of(origin)?, after))
    }

    /// The store of a server, for its customers.
    #[must_use]
    pub fn store(&self, origin: &Origin) -> Storefront {
        Storefront::new(Arc::clone(&self.sessions), self.journal.clone(), origin.clone())
    }

    /// The store of a server, for publishers.
    #[must_use]
    pub fn publishing(&self, origin: &Origin) -> Publishing {
        Publishing::new(Arc::clone(&self.sessions), origin.clone())
    }

    /// The store of a server, for the merchant of a key.
    #[must_use]
    pub fn merchant_desk(&self, origin: &Origin, key: &SecretKey) -> MerchantDesk {
        MerchantDesk::new(Arc::clone(&self.sessions), origin, key)
    }

    /// What is installed.
    #[must_use]
    pub fn library(&self) -> Library {
        let (cache, taken_from, files) = (self.cache.clone(), self.taken_from.clone(), self.files.clone());
        Library::new(Arc::clone(&self.sessions), cache, taken_from, files, self.streams.clone())
    }

    /// The grants that this terminal was given lately, newest first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn grants(&self) -> Result<Vec<GrantRecord>, StateError> {
        self.grants.recent()
    }
}

#[cfg(feature = "http")]
fn default_server() -> Result<Arc<dyn BillingServer>, ClientError> {
    Ok(Arc::new(crate::server::http::HttpBillingServer::new()?))
}

#[cfg(not(feature = "http"))]
fn default_server() -> Result<Arc<dyn BillingServer>, ClientError> {
    let none = "this program was built without an HTTP client: give `ClientOptions::billing_server`";
    Err(crate::server::trust::offline(none).into())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.sessions.state.path("").display())
    }
}
