//! The store: everything a billing server remembers, by noun, with no word of SQL.
//!
//! A method is one consistent read or one transaction. What has to happen together is one method, and its outcome says
//! what the transaction found, because only the transaction knows: several server processes may share one store, so
//! nothing may rest on what this process remembers. Time in a transaction is the database's.
//!
//! The rules are in `transactions/`, written once. [`Sqlite`] and [`Postgres`] are what they run on; both pass the same
//! tests.

mod accounts;
mod answers;
mod approvals;
mod audit;
mod code_orders;
mod copy;
mod cycle;
mod database;
mod devices;
mod effects;
mod events;
mod figures;
mod identity;
mod keys;
mod leases;
mod ledger;
mod merchants;
mod offers;
mod orders;
mod overview;
mod page;
mod postgres;
mod prepaid;
mod publishers;
mod redemptions;
mod resources;
mod rewrap;
mod sessions;
mod shelves;
mod sqlite;
mod tables;
mod terminals;
mod transactions;
mod wakes;
mod webhooks;

pub use accounts::{
    Account, Accounts, BrowserSession, ChangedBy, Holder, Invitation, InvitationId, InvitationUse, NewAccount,
    NewInvitation, NewName, NewPassword, NewWebSession, OpenInvitation, RenameOutcome, SignUp, WebSession,
};
pub use answers::{AnswerScope, Answers, BeginOutcome, Begun, Idempotency, StoredAnswer};
pub use approvals::{ApprovalRequest, Approvals};
pub use audit::{AuditEnd, AuditLog, SealedRow};
pub use code_orders::{
    AcceptedCode, CodeComplaint, CodeDecision, CodeFailure, CodeMove, CodeOrder, CodeOrders, CodeStep, CodesOffSale,
    NewCode, SealedRecord,
};
pub use copy::{Copied, CopyError, Copyable};
pub use cycle::{
    Acknowledged, Authorisation, AuthorisationCase, AuthorisationQuery, AuthorisationState, AuthorisationTarget,
    AuthoriseOutcome, Cycle, GrantRecord, GrantState, NewAuthorisation, NewGrant, OperationFacts, VerificationCase,
    VerificationQuery, VerifyOutcome,
};
pub use devices::{DecideOutcome, Decision, Device, DeviceState, Devices, NewDevice, NewTokens, PollOutcome};
pub use effects::{
    ClaimEffect, EffectClaim, EffectId, EffectKind, EffectOf, EffectQueue, EffectVerdict, Effects, QUEUE_COUNTED,
};
pub(crate) use effects::{ClaimsAtWork, EffectGroup};
pub use events::{Cursor, EventPage, EventRecord, Events, Receiver};
pub use figures::{Commits, Figures, StoreFigures, StoreWork};
pub use identity::{Identities, IdentityRecord};
pub use keys::{KeyRecord, KeyRole, Keyring, SigningRecord};
pub(crate) use leases::{Claim, Running};
pub use leases::{Fence, Leases};
pub use ledger::{Balance, Ledger, LedgerAccount, Transfer};
pub use merchants::{
    MAX_OPEN_REQUESTS, Merchant, MerchantDecision, MerchantId, MerchantOutcome, MerchantState, MerchantVouchOutcome,
    MerchantVouchRecord, Merchants, NewMerchant, NewMerchantEndpoint, NewMerchantVouch, ProductOutcome,
    ProductRevision, RequestOutcome, RequestRecord,
};
pub use offers::{NewOffer, Offers, OffersOutcome, OpenedPart};
pub use orders::{
    BrowserCodes, Buyer, Goods, GoodsKind, NewOrder, OffSale, OpenOutcome, Order, OrderCase, OrderPhase, Ordered,
    Orders, PaymentRecord, Redundant, RefundOutcome, SettleOutcome, Settlement, StoredMeans,
};
pub use overview::Overview;
pub(crate) use overview::{PAGE, every};
pub use page::{AccountPage, CountedPage, Page};
pub use postgres::{AddressError, DatabaseAddress, Postgres, PostgresOptions};
pub use prepaid::Purse;
pub use publishers::{
    AdoptOutcome, ClaimOutcome, NewAdoption, NewVouch, Publisher, PublisherId, Publishers, VouchOutcome,
};
pub use redemptions::{Batch, BatchOutcome, NewBatch, RedeemOutcome, RedemptionLookup, Redemptions};
pub use resources::{
    ListedProduct, Listing, ListingVersion, NewPart, NewResource, PublishOutcome, ResourceFacts, Resources,
    RestoreOutcome, SearchPage, SearchQuery, WithdrawOutcome,
};
pub use rewrap::{Rewrap, RewrapOutcome};
pub use sessions::{
    Authenticated, ENROL_WITHIN, RefreshOutcome, SESSIONS_LISTED, Session, SessionId, Sessions, SignedOut,
};
pub use shelves::{CoverPart, Shelf, Shelves};
pub(crate) use sqlite::schema;
pub(crate) use sqlite::{SCHEMA, snapshot};
pub use sqlite::{Sqlite, SqliteOptions};
#[cfg(any(test, feature = "test-seams"))]
pub use sqlite::{StatementWork, work};
pub use terminals::{EnrolOutcome, NewTerminal, PresetOutcome, Terminal, Terminals};
pub use webhooks::{
    Attempt, Delivery, Endpoint, EndpointId, EndpointKeys, EndpointState, Message, NewEndpoint, NewEndpointKeys,
    NewMessage, Replayed, Webhooks,
};

use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use std::path::PathBuf;

/// Why the store did not do something. Nothing happened, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed ({what}): {cause}")]
    Backend {
        /// The write or read.
        what: &'static str,
        /// What the database said. It holds no values of rows.
        cause: String,
    },
    /// There is no room for what is to be written; nothing was.
    #[error(
        "the disk of the database is full ({0}). Nothing was changed: free some space there, or make it larger, and do it \
         again"
    )]
    Full(&'static str),
    /// A row does not hold what this server writes.
    #[error("the database holds a {0} that this server cannot read: was it written by a newer version?")]
    Unreadable(&'static str),
    /// The database was made by a newer version of this server.
    #[error(
        "the database has schema {found}, and this server knows {known}: it was in use by a newer server. Start that one, \
         or restore the backup that was made before the upgrade. Nothing was changed"
    )]
    Newer {
        /// The schema of the database.
        found: i64,
        /// The newest schema this server knows.
        known: i64,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The outcome is unknown: it may have happened. The same request may be made again.
    #[error("the outcome of {0} is unknown")]
    Unknown(&'static str),
    /// Another process works on the same request by now; nothing was written.
    #[error("{0}: another server process has taken this request over")]
    TakenOver(&'static str),
    /// The database was sealed by another master key since this process opened it; nothing was written.
    #[error(
        "the master key was changed since this process opened the database. Nothing was written: start it again, with the \
         new master key"
    )]
    KeyChanged,
    /// There is no database where one is expected.
    #[error(
        "{0} does not exist, or does not contain a server: if it is the right name of the database, restore it from the \
         backup"
    )]
    Missing(String),
    /// There is something else where a new database was to be made.
    #[error(
        "the database {address} is not empty, there is `{found}` in it: name a new, empty one. Nothing was changed"
    )]
    Occupied {
        /// Where it is, without a password.
        address: String,
        /// A table, or the like.
        found: String,
    },
    /// The database can be read and not written.
    #[error("{0} cannot be written: check its owner and permissions, and that the disk is not mounted read-only")]
    ReadOnly(PathBuf),
    /// There is no way to a database, or it is not one that a server can work on.
    #[error("the database {address} cannot be used: {cause}")]
    Unreachable {
        /// Where it is, without a password.
        address: String,
        /// Why.
        cause: String,
    },
    /// A test made it fail.
    #[error("{0}: a test made this step fail")]
    Faulted(&'static str),
}

/// Everything together: what a server is given.
#[async_trait]
pub trait Store:
    Accounts
    + Answers
    + Approvals
    + AuditLog
    + CodeOrders
    + Cycle
    + Devices
    + Figures
    + Effects
    + Events
    + Identities
    + Keyring
    + Leases
    + Ledger
    + Merchants
    + Offers
    + Orders
    + Overview
    + Publishers
    + Purse
    + Redemptions
    + Resources
    + Rewrap
    + Sessions
    + Shelves
    + Terminals
    + Webhooks
    + Send
    + Sync
{
    /// The database's time.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Releases expired holds and deletes what nobody can ask for any more. Returns how many holds were released.
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// Stops taking writes and waits until those under way are committed.
    async fn close(&self) -> Result<(), StoreError>;
}
