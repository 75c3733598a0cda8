//! Who asks. An [`Asker`] is evidence that proof, token, terminal and account were checked, in that order; services
//! take it and check none of them again, except in their transactions.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::crypto::secrets::TokenRole;
use crate::store::{Authenticated, Buyer, SessionId};
use portcullis_protocol::proof::Proven;
use portcullis_protocol::{AccountId, Reason, ReleasePublicKey, TerminalId, Thumbprint};

/// A key that proved itself, with an access token that is bound to it. The terminal may not be enrolled yet.
#[derive(Debug, Clone)]
pub struct SignedIn(Authenticated);

impl SignedIn {
    /// Takes up the access token of a proven request.
    ///
    /// # Errors
    /// `not-signed-in` if the token is unknown, past its time, or another key's.
    pub async fn authenticate(core: &Core, proven: &Proven, token: &str) -> Result<Self, ServiceError> {
        let hash = core.secrets.hash_token(TokenRole::Access, token);
        match core.store.authenticate(&hash).await? {
            Some(found) if found.key == proven.key().thumbprint() => Ok(Self(found)),
            _ => Err(Reason::NotSignedIn.into()),
        }
    }

    /// The account, if it may do anything at all. For requests that need no enrolled terminal.
    ///
    /// # Errors
    /// `terminal-revoked`, `account-suspended`.
    pub fn account(&self) -> Result<AccountId, ServiceError> {
        match (&self.0.terminal, self.0.suspended) {
            (Some(terminal), _) if terminal.revoked.is_some() => Err(Reason::TerminalRevoked.into()),
            (_, Some(_)) => Err(Reason::AccountSuspended.into()),
            (_, None) => Ok(self.0.account),
        }
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.0.session
    }

    /// The key that proved itself.
    #[must_use]
    pub const fn key(&self) -> Thumbprint {
        self.0.key
    }

    /// The enrolled terminal that asks, for its account.
    ///
    /// # Errors
    /// `terminal-unknown`, `terminal-revoked`, `account-suspended`.
    pub fn asker(&self) -> Result<Asker, ServiceError> {
        let account = self.account()?;
        let terminal = self.0.terminal.as_ref().ok_or(Reason::TerminalUnknown)?;
        Ok(Asker {
            account,
            session: self.0.session,
            terminal: terminal.id,
            key: terminal.key,
            release: terminal.release,
        })
    }
}

/// An enrolled terminal, not revoked, of an account, not suspended, that proved itself.
#[derive(Debug, Clone)]
pub struct Asker {
    account: AccountId,
    session: SessionId,
    terminal: TerminalId,
    key: Thumbprint,
    release: ReleasePublicKey,
}

impl From<&Asker> for Buyer {
    fn from(asker: &Asker) -> Self {
        Self::Terminal { account: asker.account, terminal: asker.terminal }
    }
}

impl Asker {
    /// For whom.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// In which session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// From which terminal.
    #[must_use]
    pub const fn terminal(&self) -> &TerminalId {
        &self.terminal
    }

    /// The terminal's key.
    #[must_use]
    pub const fn key(&self) -> &Thumbprint {
        &self.key
    }

    /// Where part keys are released to.
    #[must_use]
    pub const fn release(&self) -> &ReleasePublicKey {
        &self.release
    }
}
