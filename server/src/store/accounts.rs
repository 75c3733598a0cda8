//! Accounts, invitations, browser sessions.

use super::StoreError;
use crate::clock::Timestamp;
use crate::secrets::{LookupHash, Sealed, TokenHash};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};

/// An account to be made. The sign-in name is stored sealed, and found by a keyed hash.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its identifier.
    pub id: AccountId,
    /// The keyed hash of the sign-in name, in its canonical form.
    pub lookup: LookupHash,
    /// The sign-in name, sealed to this account.
    pub name: Sealed,
    /// The password, as a PHC string (argon2id).
    pub password: String,
    /// Whether it may do what operators do.
    pub operator: bool,
    /// The invitation that lets it be made, where the server asks for one.
    pub invitation: Option<TokenHash>,
}

/// What became of a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// The account is made, and its invitation used up.
    Made,
    /// There is an account of this sign-in name.
    NameTaken,
    /// The invitation is unknown, used or past its time.
    InvitationInvalid,
}

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// The sign-in name, sealed to this account.
    pub name: Sealed,
    /// The password, as a PHC string.
    pub password: String,
    /// Whether it may do what operators do.
    pub operator: bool,
    /// Since when it is suspended, if it is.
    pub suspended: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

/// An invitation to be made. Whoever holds its token may make one account.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The keyed hash of the token.
    pub token: TokenHash,
    /// Whether the account becomes an operator.
    pub operator: bool,
    /// How long it is good for, in seconds.
    pub life: u64,
}

/// An invitation that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// Whether the account becomes an operator.
    pub operator: bool,
    /// Until when.
    pub expires: Timestamp,
}

/// Whether an invitation can be used.
pub type InvitationUse = Option<Invitation>;

/// A browser session that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSession {
    /// Whose.
    pub account: AccountId,
    /// Until when.
    pub expires: Timestamp,
}

/// Accounts, invitations and browser sessions.
#[async_trait]
pub trait Accounts {
    /// Makes an account, and uses up its invitation in the same transaction. An invitation's `operator` is added.
    async fn create_account(&self, account: NewAccount) -> Result<SignUp, StoreError>;

    /// The account of a sign-in name.
    async fn account_by_name(&self, lookup: &LookupHash) -> Result<Option<Account>, StoreError>;

    /// An account.
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError>;

    /// Suspends an account or restores it. False where there is none.
    async fn set_suspended(&self, id: &AccountId, suspended: bool) -> Result<bool, StoreError>;

    /// Replaces a password and ends every browser session. False where there is no such account.
    async fn set_password(&self, id: &AccountId, password: String) -> Result<bool, StoreError>;

    /// The publishers that an account owns, by name: at most `limit` after the one given.
    async fn publishers_of(
        &self,
        id: &AccountId,
        after: Option<PublisherName>,
        limit: u32,
    ) -> Result<Vec<PublisherName>, StoreError>;

    /// Makes an invitation.
    async fn create_invitation(&self, invitation: NewInvitation) -> Result<(), StoreError>;

    /// An invitation, where it is still good.
    async fn invitation(&self, token: &TokenHash) -> Result<InvitationUse, StoreError>;

    /// Begins a browser session of so many seconds.
    async fn create_web_session(&self, token: TokenHash, account: AccountId, life: u64) -> Result<(), StoreError>;

    /// A browser session, where it is still good and its account is not suspended.
    async fn web_session(&self, token: &TokenHash) -> Result<Option<WebSession>, StoreError>;

    /// Ends a browser session.
    async fn end_web_session(&self, token: &TokenHash) -> Result<(), StoreError>;
}
