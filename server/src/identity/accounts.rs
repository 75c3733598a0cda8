//! Accounts: the one place that makes them, finds them, and changes their names and passwords. Pages, the interface for
//! programs and the operator's commands come here; how often somebody may try is theirs to say.

use crate::audit::Act;
use crate::crypto::secrets::{self, LookupHash, SecretError, TokenHash};
use crate::http::app::Server;
use crate::identity::email::Email;
use crate::identity::passwords::{HashFailed, Password, Passwords};
use crate::services::Core;
use crate::store::{Account, ChangedBy, NewAccount, NewName, NewPassword, RenameOutcome, SignUp, StoreError};
use portcullis_protocol::AccountId;

/// The accounts of a server.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<'a> {
    core: &'a Core,
    passwords: &'a Passwords,
}

/// An account that is asked for.
pub(crate) struct Wanted {
    /// Its sign-in name.
    pub(crate) email: Email,
    /// Its password.
    pub(crate) password: Password,
    /// Whether it may do what operators do.
    pub(crate) operator: bool,
    /// The invitation that lets it be made, if the server asks for one.
    pub(crate) invitation: Option<TokenHash>,
}

/// What became of an account that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is made.
    Account(AccountId),
    /// Another account has the name.
    NameTaken,
    /// The invitation is unknown, used or past its time.
    InvitationInvalid,
}

/// Who was found under what somebody typed as a name.
pub(crate) enum Found {
    /// An account, and the form of the name that it has.
    Account(Box<Account>, LookupHash),
    /// Nobody. A try to sign in counts against this name all the same.
    Nobody(LookupHash),
    /// What was typed is no name.
    NoName,
}

/// Nothing was decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretError),
    #[error(transparent)]
    Hash(#[from] HashFailed),
    #[error("the account is gone")]
    Gone,
}

impl Server {
    /// Its accounts.
    pub(crate) const fn accounts(&self) -> Accounts<'_> {
        Accounts { core: &self.core, passwords: &self.passwords }
    }
}

impl Accounts<'_> {
    /// Makes an account.
    pub(crate) async fn create(self, wanted: Wanted) -> Result<Made, AccountError> {
        let Wanted { email, password, operator, invitation } = wanted;
        let id = AccountId::generate(self.core.clock.now().id_millis(), &mut secrets::rng());
        let password = self.passwords.hash(password).await?;
        let Name { lookup, other_lookups } = self.name(&email);
        let name = self.core.secrets.seal_name(&id, email.as_str());
        Act::makes(id);
        let account = NewAccount { id, lookup, other_lookups, name, password, operator, invitation };
        Ok(match self.core.store.create_account(account).await? {
            SignUp::Made => Made::Account(id),
            SignUp::NameTaken => Made::NameTaken,
            SignUp::InvitationInvalid => Made::InvitationInvalid,
        })
    }

    /// The account of what was typed, under whatever form of the name it was made with.
    pub(crate) async fn find(self, typed: &str) -> Result<Found, AccountError> {
        let lookups: Vec<LookupHash> =
            Email::forms(typed).iter().map(|form| self.core.secrets.lookup_name(form)).collect();
        for lookup in &lookups {
            if let Some(account) = self.core.store.account_by_name(lookup).await? {
                return Ok(Found::Account(Box::new(account), *lookup));
            }
        }
        Ok(lookups.first().map_or(Found::NoName, |lookup| Found::Nobody(*lookup)))
    }

    /// The sign-in name of an account, in the clear.
    pub(crate) async fn name_of(self, id: &AccountId) -> Result<String, AccountError> {
        let account = self.core.store.account(id).await?.ok_or(AccountError::Gone)?;
        Ok(self.core.secrets.open_name(id, &account.name)?)
    }

    /// Whether a password is an account's. Without an account it takes as long, and is not.
    pub(crate) async fn matches(self, typed: Password, account: Option<&Account>) -> Result<bool, AccountError> {
        let stored = account.map(|account| account.password.as_str());
        Ok(self.passwords.matches(typed, stored).await?)
    }

    /// What a change by the owner takes: the current password, and the browser session in which it was typed, which is
    /// proven by that. `None` if it is another password.
    pub(crate) async fn confirm(
        self,
        id: &AccountId,
        typed: Password,
        browser: TokenHash,
    ) -> Result<Option<ChangedBy>, AccountError> {
        let account = self.core.store.account(id).await?.ok_or(AccountError::Gone)?;
        // A password or a session that is another one by now has confirmed nothing.
        let is_confirmed = self.matches(typed, Some(&account)).await?
            && self.core.store.prove_web_session(&browser, id, &account.password).await?;
        Ok(is_confirmed.then_some(ChangedBy::Owner { password: account.password, browser }))
    }

    /// Gives an account another password. Everything that is signed in to it ends. Returns the password as it is stored
    /// now; `None` if it was not changed, since the account or the owner's browser session is gone.
    pub(crate) async fn set_password(
        self,
        account: AccountId,
        new: Password,
        by: ChangedBy,
    ) -> Result<Option<String>, AccountError> {
        let password = self.passwords.hash(new).await?;
        let changed = self.core.store.set_password(NewPassword { account, password: password.clone(), by }).await?;
        Ok(changed.then_some(password))
    }

    /// Gives an account another sign-in name.
    pub(crate) async fn rename(
        self,
        account: AccountId,
        new: &Email,
        by: ChangedBy,
    ) -> Result<RenameOutcome, AccountError> {
        let Name { lookup, other_lookups } = self.name(new);
        let name = self.core.secrets.seal_name(&account, new.as_str());
        Ok(self.core.store.rename(NewName { account, lookup, other_lookups, name, by }).await?)
    }

    fn name(self, email: &Email) -> Name {
        let lookup = |form: &str| self.core.secrets.lookup_name(form);
        Name { lookup: lookup(email.as_str()), other_lookups: email.others().iter().map(|form| lookup(form)).collect() }
    }
}

/// How the store finds a name.
struct Name {
    lookup: LookupHash,
    other_lookups: Vec<LookupHash>,
}
