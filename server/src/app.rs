//! What every handler is given: the services of one server, and the gates before them.

use crate::answers::No;
use crate::config::{Config, SignUp};
use crate::email::Email;
use crate::passwords::{HashFailed, Passwords};
use crate::rate::{Buckets, Rate};
use crate::services::Core;
use crate::uploads::Uploads;
use portcullis_protocol::{AccountId, Origin, Thumbprint};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Sign-in attempts, user codes and device codes are counted over this time.
const ATTEMPTS_PERIOD: Duration = Duration::from_secs(600);

/// A server, shared by all its requests.
pub type App = Arc<Server>;

/// A server: the core's services and what stands between them and strangers.
pub struct Server {
    /// What the operator wrote.
    pub config: Config,
    /// Store, keys, cycle, orders.
    pub core: Core,
    /// Password hashing.
    pub passwords: Passwords,
    /// Rate limits.
    pub gates: Gates,
    /// Uploads that may still begin.
    pub uploads: Arc<Uploads>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.core.origin)
    }
}

/// Who may do how much. Per process.
#[derive(Debug)]
pub struct Gates {
    /// Requests, by address, before anything is known.
    pub address: Buckets<IpAddr>,
    /// Requests, by terminal key, once it is proven.
    pub terminal: Buckets<Thumbprint>,
    /// Sign-in attempts, by account name: an attacker has many addresses, an account one owner.
    pub sign_in: Buckets<Email>,
    /// Sign-in attempts, by address: a guesser has many accounts.
    pub sign_in_address: Buckets<IpAddr>,
    /// User codes typed, by account.
    pub user_code: Buckets<AccountId>,
    /// Device codes asked for, by address.
    pub device_code: Buckets<IpAddr>,
}

impl Server {
    /// Puts a server together.
    ///
    /// # Errors
    /// [`HashFailed`] where passwords cannot be hashed on this machine.
    pub fn new(config: Config, core: Core) -> Result<App, HashFailed> {
        let limits = &config.limits;
        let attempts = Rate::per_period(limits.sign_in_attempts, ATTEMPTS_PERIOD);
        let gates = Gates {
            address: Buckets::new(Rate::per_second(limits.address_rate, limits.address_burst)),
            terminal: Buckets::new(Rate::per_second(limits.terminal_rate, limits.terminal_burst)),
            sign_in: Buckets::new(attempts),
            sign_in_address: Buckets::new(Rate::per_period(limits.sign_in_attempts.saturating_mul(5), ATTEMPTS_PERIOD)),
            user_code: Buckets::new(Rate::per_period(limits.sign_in_attempts.saturating_mul(3), ATTEMPTS_PERIOD)),
            device_code: Buckets::new(Rate::per_period(limits.device_codes, ATTEMPTS_PERIOD)),
        };
        let uploads = Arc::new(Uploads::new(limits.uploads, limits.uploads_per_account));
        Ok(Arc::new(Self { config, core, passwords: Passwords::new()?, gates, uploads }))
    }

    /// Whether everyone may make an account.
    #[must_use]
    pub fn sign_up_is_open(&self) -> bool {
        self.config.sign_up == SignUp::Open
    }

    /// What terminals call it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.core.origin
    }

    /// The sign-in name of an account.
    pub(crate) async fn name_of(&self, id: &AccountId) -> Result<String, No> {
        let account = self.core.store.account(id).await?.ok_or(No::NotFound)?;
        Ok(self.core.secrets.open_name(id, &account.name)?)
    }
}
