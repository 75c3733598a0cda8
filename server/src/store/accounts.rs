//! Accounts, invitations, browser sessions.

use super::StoreError;
use crate::crypto::secrets::{LookupHash, Sealed, TokenHash};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, PublisherName};

/// An account to be made. The sign-in name is stored sealed, and found by a keyed hash.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its identifier.
    pub id: AccountId,
    /// The keyed hash of the sign-in name, in its canonical form.
    pub lookup: LookupHash,
    /// The keyed hashes of other forms of the same name, under which older servers kept it: they are taken too.
    pub other_lookups: Vec<LookupHash>,
    /// The sign-in name, sealed to this account.
    pub name: Sealed,
    /// The password, as a PHC string (argon2id).
    pub password: String,
    /// Whether it may do what operators do.
    pub operator: bool,
    /// The invitation that lets it be made, if the server asks for one.
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
    /// Since when its e-mail address is known to be its owner's, if it is.
    pub verified: Option<Timestamp>,
}

/// A browser session of somebody who has just typed the password.
#[derive(Debug, Clone)]
pub struct NewWebSession {
    /// Its token.
    pub token: TokenHash,
    /// The account.
    pub account: AccountId,
    /// The stored password that was matched: it has to be the account's still.
    pub password: String,
    /// How long it lasts, in seconds.
    pub life: u64,
}

/// Another password for an account. Everything else that is signed in ends with it.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// The account.
    pub account: AccountId,
    /// The password, as a PHC string.
    pub password: String,
    /// Who changes it.
    pub by: ChangedBy,
}

/// Who changes an account.
#[derive(Debug, Clone)]
pub enum ChangedBy {
    /// Its owner, who typed the current password.
    Owner {
        /// The stored password that was matched: it has to be the account's still.
        password: String,
        /// The browser session; it has to be good still.
        browser: TokenHash,
    },
    /// The operator.
    Operator,
}

/// Another sign-in name for an account, by its owner.
#[derive(Debug, Clone)]
pub struct NewName {
    /// The account.
    pub account: AccountId,
    /// The keyed hash of the name.
    pub lookup: LookupHash,
    /// The keyed hashes of other forms of it.
    pub other_lookups: Vec<LookupHash>,
    /// The name, sealed to the account.
    pub name: Sealed,
    /// Who changes it.
    pub by: ChangedBy,
}

/// What became of a new sign-in name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameOutcome {
    /// It is the account's, and counts as unverified.
    Renamed,
    /// Another account has it.
    NameTaken,
    /// The password or the browser session is another one by now.
    Gone,
}

/// Who holds an account, in a browser that was signed in to it when it asked. Whatever is done for him asks once more,
/// in its own transaction, whether it still is: nothing that was signed out meanwhile acts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// The browser session.
    pub browser: TokenHash,
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

/// An invitation that is still good, as the operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInvitation {
    /// Names it. The token cannot be had from it.
    pub id: InvitationId,
    /// Whether the account becomes an operator.
    pub operator: bool,
    /// Until when.
    pub expires: Timestamp,
}

impl NewInvitation {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        let token = self.token.as_bytes();
        Octets(std::array::from_fn(|index| token[index]))
    }
}

/// Names an invitation: the first half of the keyed hash of its token.
pub type InvitationId = Octets<16>;

/// Whether an invitation can be used.
pub type InvitationUse = Option<Invitation>;

/// A browser session that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSession {
    /// Whose.
    pub account: AccountId,
    /// Until when.
    pub expires: Timestamp,
    /// When the password was last typed in it.
    pub proven: Timestamp,
}

/// A browser session, as its account's owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserSession {
    /// When it began.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
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

    /// Suspends an account, which ends all its sessions, or restores it. False if there is none, or it is so already:
    /// then nothing is changed.
    async fn set_suspended(&self, id: &AccountId, suspended: bool) -> Result<bool, StoreError>;

    /// Replaces a password and ends every session. False if there is no such account, or its password or the browser
    /// session of the owner who asks is another one by now.
    async fn set_password(&self, change: NewPassword) -> Result<bool, StoreError>;

    /// Replaces a sign-in name. The new one is not verified.
    async fn rename(&self, change: NewName) -> Result<RenameOutcome, StoreError>;

    /// The publishers that an account owns, by name: at most `limit` after the one given.
    async fn publishers_of(
        &self,
        id: &AccountId,
        after: Option<PublisherName>,
        limit: u32,
    ) -> Result<Vec<PublisherName>, StoreError>;

    /// Makes an invitation.
    async fn create_invitation(&self, invitation: NewInvitation) -> Result<(), StoreError>;

    /// An invitation, if it is still good.
    async fn invitation(&self, token: &TokenHash) -> Result<InvitationUse, StoreError>;

    /// The invitations that are still good, those that end first before the others.
    async fn invitations(&self) -> Result<Vec<OpenInvitation>, StoreError>;

    /// Takes an invitation back. False if there is none of this identifier that is still good.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;

    /// Begins a browser session. False, and nothing is written, if the password is not the account's any more, or the
    /// account is suspended: what ends everything that is signed in may have come between.
    async fn create_web_session(&self, session: NewWebSession) -> Result<bool, StoreError>;

    /// A browser session, if it is still good and its account is not suspended.
    async fn web_session(&self, token: &TokenHash) -> Result<Option<WebSession>, StoreError>;

    /// The password was typed again in a browser session. `password` is the stored one that was matched. Returns
    /// whether session and password are the account's still.
    async fn prove_web_session(
        &self,
        token: &TokenHash,
        account: &AccountId,
        password: &str,
    ) -> Result<bool, StoreError>;

    /// Ends a browser session.
    async fn end_web_session(&self, token: &TokenHash) -> Result<(), StoreError>;

    /// The browser sessions of an account that are still good, newest first, [`super::SESSIONS_LISTED`] at most;
    /// `current` is the one that asks.
    async fn browser_sessions(
        &self,
        account: &AccountId,
        current: Option<&TokenHash>,
    ) -> Result<Vec<BrowserSession>, StoreError>;
}
