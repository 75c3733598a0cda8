//! What every handler is given: the services of one server, and the gates before them.

use crate::catalogue::cover::Covers;
use crate::catalogue::uploads::Uploads;
use crate::catalogue::usage::Usages;
use crate::crypto::secrets::{LookupHash, TokenHash};
use crate::http::address_buckets::AddressBuckets;
use crate::http::places::Places;
use crate::http::rate::{Buckets, Rate};
use crate::identity::passwords::{HashFailed, Passwords};
use crate::notices::events::Streams;
use crate::ops::config::{Config, SignUp};
use crate::ops::figures::LastFigures;
use crate::ops::health::Health;
use crate::ops::log::TooFast;
use crate::services::Core;
use crate::store::MerchantId;
use portcullis_protocol::encoding::Octets;
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
    /// Requests that are being answered behind a proxy: a client has at most as many as it has connections elsewhere.
    pub(crate) answering: Arc<Places<IpAddr>>,
    /// Uploads that may still begin.
    pub uploads: Uploads,
    /// Covers that were opened.
    pub(crate) covers: Covers,
    /// How resources are run, as it was read.
    pub(crate) usages: Usages,
    /// Whether it can do its work.
    pub(crate) health: Health,
    /// What the store says of itself.
    pub(crate) figures: LastFigures,
    /// Streams of events.
    pub(crate) streams: Arc<Streams>,
    /// Requests of which the log says how many there were.
    pub(crate) too_fast: TooFast,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.core.origin)
    }
}

/// Challenges of an account's endpoints in ten minutes: more than it takes to set one up, and nothing that a third
/// party would notice.
const CHALLENGES: u32 = 20;
/// Products that a merchant sells, or changes, in a second: as many as prices can follow a market, while searches go on
/// beside it.
const PRODUCT_RATE: u32 = 2;
/// And at once: everything that it may sell, after it has changed its key.
const PRODUCT_BURST: u32 = 1_000;

/// Payment requests of a merchant in a second, and at once: customers who come to pay. What nobody pays is kept for two
/// days.
const REQUEST_RATE: u32 = 10;
const REQUEST_BURST: u32 = 1_000;
/// Offers that an account puts into price lists in a second: each is kept for good, for those who have bought by it.
const OFFER_RATE: u32 = 2;
/// And at once: one for each resource that it may publish.
const OFFER_BURST: u32 = 5_000;
/// Names of merchants that an account claims, or claims with another title or address, within [`CLAIMS_PERIOD`].
const CLAIMS: u32 = 20;
const CLAIMS_PERIOD: Duration = Duration::from_secs(3600);

/// Who may do how much. Per process.
#[derive(Debug)]
pub struct Gates {
    /// Requests, by address, before anything is known.
    pub address: Buckets<IpAddr>,
    /// Requests, by terminal key, once it is proven.
    pub terminal: Buckets<Thumbprint>,
    /// Requests, by merchant, whose key is proven.
    pub merchant: Buckets<MerchantId>,
    /// Challenges of endpoints, by the account that answers for the merchant: each is a request to an address that it
    /// has made up.
    pub challenges: Buckets<AccountId>,
    /// The same, by the host that is challenged: many accounts may name the same one.
    pub challenged_hosts: Buckets<String>,
    /// Products sold, or sold in another revision, by merchant: each is a change of the index that everybody searches.
    pub products: Buckets<MerchantId>,
    /// Payment requests, by merchant.
    pub requests: Buckets<MerchantId>,
    /// Offers in price lists, by account.
    pub offers: Buckets<AccountId>,
    /// Claims of merchants' names, by account: another address makes an endpoint with keys of its own.
    pub claims: Buckets<AccountId>,
    /// Wrong passwords, by account and address: a stranger uses up his own tries, and not the owner's.
    pub sign_in: Buckets<(LookupHash, IpAddr)>,
    /// Wrong passwords, by address: a guesser has many accounts.
    pub sign_in_address: AddressBuckets,
    /// Wrong passwords, by account, from whatever address. Once they are too many each address has fewer tries, but
    /// never none: an attacker has many addresses, and may not lock the owner out.
    pub sign_in_account: Buckets<LookupHash>,
    /// Wrong passwords, by account and browser that signed in to it before.
    pub known_browser: Buckets<(AccountId, Octets<16>)>,
    /// Right passwords, by account: only who knows it can use them up, and each costs the server a hash.
    pub right_password: Buckets<AccountId>,
    /// Wrong passwords typed to change an account, by browser session.
    pub confirmation: Buckets<TokenHash>,
    /// Accounts asked for, by address. Apart from sign-ins, so that guessing keeps nobody from signing up.
    pub sign_up: AddressBuckets,
    /// Accounts asked for with an invitation, by invitation: whoever was invited depends on no address.
    pub invitation: Buckets<TokenHash>,
    /// User codes typed that there are not, by account.
    pub user_code: Buckets<AccountId>,
    /// Device codes asked for, by address.
    pub device_code: AddressBuckets,
}

impl Server {
    /// Puts a server together.
    ///
    /// # Errors
    /// [`HashFailed`] if passwords cannot be hashed on this machine.
    pub fn new(config: Config, core: Core) -> Result<App, HashFailed> {
        let limits = &config.limits;
        let times = |n: u32| Rate::per_period(limits.sign_in_attempts.saturating_mul(n), ATTEMPTS_PERIOD);
        let gates = Gates {
            address: Buckets::new(Rate::per_second(limits.address_rate, limits.address_burst)),
            terminal: Buckets::new(Rate::per_second(limits.terminal_rate, limits.terminal_burst)),
            merchant: Buckets::new(Rate::per_second(limits.merchant_rate, limits.merchant_burst)),
            challenges: Buckets::new(Rate::per_period(CHALLENGES, ATTEMPTS_PERIOD)),
            challenged_hosts: Buckets::new(Rate::per_period(CHALLENGES.saturating_mul(5), ATTEMPTS_PERIOD)),
            products: Buckets::new(Rate::per_second(PRODUCT_RATE, PRODUCT_BURST)),
            requests: Buckets::new(Rate::per_second(REQUEST_RATE, REQUEST_BURST)),
            offers: Buckets::new(Rate::per_second(OFFER_RATE, OFFER_BURST)),
            claims: Buckets::new(Rate::per_period(CLAIMS, CLAIMS_PERIOD)),
            sign_in: Buckets::new(times(1)),
            sign_in_address: AddressBuckets::new(times(5)),
            sign_in_account: Buckets::new(times(10)),
            known_browser: Buckets::new(times(1)),
            right_password: Buckets::new(times(10)),
            confirmation: Buckets::new(times(1)),
            sign_up: AddressBuckets::new(times(5)),
            invitation: Buckets::new(times(5)),
            user_code: Buckets::new(times(3)),
            device_code: AddressBuckets::new(Rate::per_period(limits.device_codes, ATTEMPTS_PERIOD)),
        };
        let uploads = Uploads::new(limits.uploads, limits.uploads_per_account);
        let answering = Places::new();
        let (covers, usages, health) = (Covers::default(), Usages::default(), Health::default());
        let (passwords, figures) = (Passwords::new()?, LastFigures::default());
        let (streams, too_fast) = (Arc::new(Streams::new(limits.streams)), TooFast::default());
        Ok(Arc::new(Self {
            config,
            core,
            passwords,
            gates,
            answering,
            uploads,
            covers,
            usages,
            health,
            figures,
            streams,
            too_fast,
        }))
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
}
