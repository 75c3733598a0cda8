//! The rows of the cycle: entitlements, authorisations, grants.

use super::{AccountPage, AnswerScope, Begun, Idempotency, Page, PublisherId, ResourceFacts, StoreError, StoredAnswer};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{
    AccountId, CodeBinding, CodeId, Digest, GrantId, OperationName, PairwiseId, PartName, Reason, Rights, TerminalId,
};

/// An operation and what its grant releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFacts {
    /// Its name.
    pub name: OperationName,
    /// The parts, in the manifest's order.
    pub parts: Vec<PartName>,
}

/// What step 2 asks the store.
#[derive(Debug, Clone)]
pub struct AuthorisationQuery {
    /// Who asks.
    pub account: AccountId,
    /// From which terminal.
    pub terminal: TerminalId,
    /// The request's identity.
    pub request: Idempotency,
    /// The resource.
    pub resource: Digest,
    /// The operation.
    pub operation: OperationName,
    /// How much.
    pub quantity: u32,
    /// The digest of the offer that the user accepted, if he did.
    pub accepted: Option<Digest>,
}

/// Everything step 2 decides on, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct AuthorisationCase {
    /// The moment.
    pub now: Timestamp,
    /// What this very request found before. Where it is not [`Begun::New`], nothing else is filled.
    pub begun: Begun,
    /// What was asked for, where this server sells it.
    pub resource: Option<AuthorisationTarget>,
}

/// A resource, one of its operations, and how it can be paid for.
#[derive(Debug, Clone)]
pub struct AuthorisationTarget {
    /// The resource.
    pub facts: ResourceFacts,
    /// The operation, if the resource has it.
    pub operation: Option<OperationFacts>,
    /// The offers for the operation in force.
    pub offers: Vec<OfferRevision>,
    /// What counts of what the account holds for the operation, oldest first: not all, if that is much.
    pub entitlements: Vec<Entitlement>,
    /// The account's prepaid balance in the currency of the accepted offer, if one in force was accepted.
    pub prepaid: Vec<Prepaid>,
}

/// A hold to be made.
#[derive(Debug, Clone)]
pub struct NewAuthorisation {
    /// The status code's row.
    pub code: CodeId,
    /// Whose.
    pub account: AccountId,
    /// Whose code it is.
    pub terminal: TerminalId,
    /// What the code is bound to.
    pub binding: CodeBinding,
    /// The resource.
    pub resource: Digest,
    /// The operation.
    pub operation: OperationName,
    /// The rights under which it is paid for.
    pub rights: Rights,
    /// What to hold.
    pub draw: Draw,
    /// The quantity asked for.
    pub quantity: u32,
    /// Seconds that the code lives.
    pub life: u64,
    /// The request's identity.
    pub request: Idempotency,
}

/// What became of a hold.
#[derive(Debug, Clone)]
pub enum AuthoriseOutcome {
    /// Held until this moment.
    Held {
        /// Until when the code can be verified.
        expires: Timestamp,
    },
    /// The same request was answered meanwhile.
    Begun(Begun),
    /// Entitlement or balance no longer carry it, the rights have ended, or the accepted offer has ended: look again.
    Changed,
    /// The terminal was revoked or the account suspended meanwhile.
    ShutOut(Reason),
}

/// What step 3 asks the store.
#[derive(Debug, Clone)]
pub struct VerificationQuery {
    /// Who asks.
    pub account: AccountId,
    /// From which terminal.
    pub terminal: TerminalId,
    /// The request's identity.
    pub request: Idempotency,
    /// The status code's row.
    pub code: CodeId,
}

/// Everything step 3 decides on, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct VerificationCase {
    /// The moment.
    pub now: Timestamp,
    /// What this very request found before. Where it is not [`Begun::New`], nothing else is filled.
    pub begun: Begun,
    /// The authorisation that the code names, whoever's it is.
    pub authorisation: Option<Authorisation>,
    /// The resource it is for. Filled for an authorisation of the asking terminal that is held.
    pub resource: Option<ResourceFacts>,
    /// The operation it is for.
    pub operation: Option<OperationFacts>,
    /// The wrapped keys of the operation's parts, in its order.
    pub keys: Vec<Sealed>,
    /// The entitlement that pays.
    pub entitlement: Option<Entitlement>,
    /// The user as the publisher sees him, where he has been seen.
    pub pairwise: Option<PairwiseId>,
}

/// `held → consumed | released`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorisationState {
    /// What it draws is held.
    Held,
    /// Its code was verified.
    Consumed,
    /// Its code expired, or its rights were taken back.
    Released,
}

/// An authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorisation {
    /// The status code's row.
    pub code: CodeId,
    /// Whose.
    pub account: AccountId,
    /// Whose code it is.
    pub terminal: TerminalId,
    /// What the code is bound to.
    pub binding: CodeBinding,
    /// Where it stands.
    pub state: AuthorisationState,
    /// Until when its code can be verified.
    pub expires: Timestamp,
    /// The rights under which it is paid for.
    pub rights: Rights,
    /// What is held.
    pub draw: Draw,
    /// The quantity.
    pub quantity: u32,
}

/// A grant to be stored, with all that the transaction has to do for it.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// The grant.
    pub id: GrantId,
    /// The code it is given for.
    pub code: CodeId,
    /// Whose.
    pub account: AccountId,
    /// Whose terminal.
    pub terminal: TerminalId,
    /// The resource.
    pub resource: Digest,
    /// Its publisher.
    pub publisher: PublisherId,
    /// The operation.
    pub operation: OperationName,
    /// The user as the publisher sees him. Another one on record turns the outcome into `Changed`.
    pub pairwise: PairwiseId,
    /// What to debit: what the code holds.
    pub draw: Draw,
    /// What was recorded of the entitlement that pays when the grant was made, nothing if none does. Anything else on
    /// record turns the outcome into `Changed`.
    pub rests_on: Holding,
    /// How many seconds the entitlement lasts from now on, if its time begins with this grant.
    pub begins: Option<u64>,
    /// Whether time bounds it, so that it supersedes an unacknowledged one of the same terminal and operation.
    pub supersedes: bool,
    /// The compact grant.
    pub compact: String,
    /// Opens the grant's `cnf`.
    pub nonce: Octets<16>,
    /// The key release as JSON: sealed to the terminal, so it is no secret of this server.
    pub keys: String,
    /// Until when calls may begin.
    pub expires: Timestamp,
    /// The grant that it replaces, if it is one that is issued once more.
    pub replaces: Option<GrantId>,
    /// The request's identity.
    pub request: Idempotency,
}

/// What became of a code.
#[derive(Debug, Clone)]
pub enum VerifyOutcome {
    /// Consumed, debited, written down: the grant stands.
    Granted,
    /// The same request was answered meanwhile.
    Begun(Begun),
    /// The code is no longer held, or something it rests on has changed: look again.
    Changed,
    /// The terminal was revoked or the account suspended meanwhile.
    ShutOut(Reason),
}

/// `issued → acknowledged | superseded | revoked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// Stored and sent; it may not have arrived.
    Issued,
    /// It arrived.
    Acknowledged,
    /// The terminal has a newer one, or it was issued once more.
    Superseded,
    /// Taken back.
    Revoked,
}

/// A grant on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// The grant.
    pub id: GrantId,
    /// Where it stands.
    pub state: GrantState,
    /// The compact grant.
    pub compact: String,
    /// Opens the grant's `cnf`.
    pub nonce: Octets<16>,
    /// The key release as JSON.
    pub keys: String,
    /// Until when calls may begin.
    pub expires: Timestamp,
    /// The grant that it replaces, if it was issued once more.
    pub replaces: Option<GrantId>,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is on record. It may have been before.
    Yes,
    /// The grant was revoked.
    Revoked,
    /// The terminal has no such grant.
    Unknown,
}

/// The rows of the cycle.
#[async_trait]
pub trait Cycle {
    /// Reads what step 2 decides on.
    async fn authorisation_case(&self, query: AuthorisationQuery) -> Result<AuthorisationCase, StoreError>;

    /// Holds, in one transaction: releases what has expired of the entitlement or the balance, holds units or money by
    /// one conditional update, records the authorisation and the answer.
    async fn authorise(&self, authorisation: NewAuthorisation) -> Result<AuthoriseOutcome, StoreError>;

    /// Reads what step 3 decides on.
    async fn verification_case(&self, query: VerificationQuery) -> Result<VerificationCase, StoreError>;

    /// Consumes a code, in one transaction: `held → consumed` by one conditional update, the debit by another, ledger,
    /// log, grant and answer.
    async fn verify(&self, grant: NewGrant) -> Result<VerifyOutcome, StoreError>;

    /// Reads what issuing a grant once more is decided on: what step 3 was decided on, whose code is consumed by now.
    async fn reissue_case(&self, query: VerificationQuery) -> Result<VerificationCase, StoreError>;

    /// Issues a grant once more, in one transaction: `issued → superseded` of the one it replaces by one conditional
    /// update, log, grant and answer. Nothing is debited.
    async fn reissue(&self, grant: NewGrant) -> Result<VerifyOutcome, StoreError>;

    /// A grant of a terminal, with the moment of reading.
    async fn grant(
        &self,
        terminal: &TerminalId,
        grant: &GrantId,
    ) -> Result<(Timestamp, Option<GrantRecord>), StoreError>;

    /// Records that a grant arrived.
    async fn acknowledge(&self, terminal: &TerminalId, grant: &GrantId) -> Result<Acknowledged, StoreError>;

    /// A page of what an account holds and held, newest first.
    async fn entitlements(&self, account: &AccountId, page: AccountPage) -> Result<Page<Entitlement>, StoreError>;
}

impl From<StoredAnswer> for Begun {
    fn from(answer: StoredAnswer) -> Self {
        Self::Answered(answer)
    }
}

impl From<TerminalId> for AnswerScope {
    fn from(terminal: TerminalId) -> Self {
        Self::Terminal(terminal)
    }
}
