//! Accounts, invitations, browser sessions.

use super::sessions::end_all;
use super::{Database, Lock, Tx, TxResult, listed_products, merchants, search};
use crate::crypto::secrets::{LookupHash, TokenHash};
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, maybe_time, octets, sealed, text, time};
use crate::store::{
    Account, Accounts, BrowserSession, ChangedBy, Holder, Invitation, InvitationId, InvitationUse, NewAccount,
    NewInvitation, NewName, NewPassword, NewWebSession, OpenInvitation, RenameOutcome, SESSIONS_LISTED, SignUp,
    StoreError, WebSession,
};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};

const COLUMNS: &str = "SELECT id, name, password, operator, suspended_at, created_at, verified_at FROM accounts";

fn account(row: &Row<'_>) -> TxResult<Account> {
    Ok(Account {
        id: bytes(row, 0, AccountId::from_bytes)?,
        name: sealed(row, 1)?,
        password: row.get(2)?,
        operator: row.get(3)?,
        suspended: maybe_time(row, 4)?,
        created: time(row, 5)?,
        verified: maybe_time(row, 6)?,
    })
}

/// Whether an account other than `own` has a name under one of its forms.
fn taken<'a>(tx: &Tx<'_>, own: Option<&AccountId>, forms: impl IntoIterator<Item = &'a LookupHash>) -> TxResult<bool> {
    for form in forms {
        let sql = "SELECT 1 FROM accounts WHERE lookup = ?1 AND id IS DISTINCT FROM ?2";
        if tx.one(sql, (form.as_bytes(), own.map(AccountId::as_bytes)), |_| Ok(()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a browser session is good, for this account.
pub(super) fn signed_in(tx: &Tx<'_>, holder: &Holder) -> TxResult<bool> {
    let Holder { account, browser } = holder;
    let found = tx.one(
        "SELECT 1 FROM web_sessions s JOIN accounts a ON a.id = s.account
         WHERE s.token = ?1 AND s.account = ?2 AND s.expires_at > ?3 AND a.suspended_at IS NULL",
        (browser.as_bytes(), account.as_bytes(), tx.now().millis()),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Whether who changes an account still may.
fn may_change(tx: &Tx<'_>, account: &AccountId, by: &ChangedBy) -> TxResult<bool> {
    match by {
        ChangedBy::Operator => Ok(true),
        ChangedBy::Owner { password, browser } => {
            let sql = "SELECT 1 FROM accounts WHERE id = ?1 AND password = ?2";
            let same = tx.one(sql, (account.as_bytes(), password), |_| Ok(()))?.is_some();
            Ok(same && signed_in(tx, &Holder { account: *account, browser: *browser })?)
        }
    }
}

fn set_password(tx: &Tx<'_>, change: &NewPassword) -> TxResult<bool> {
    tx.lock(Lock::Account(&change.account))?;
    if !may_change(tx, &change.account, &change.by)? {
        return Ok(false);
    }
    let sql = "UPDATE accounts SET password = ?2 WHERE id = ?1";
    if tx.change(sql, (change.account.as_bytes(), &change.password))? == 0 {
        return Ok(false);
    }
    end_all(tx, &change.account)?;
    tx.log("password changed", Some(&change.account), None, &[])?;
    Ok(true)
}

fn rename(tx: &Tx<'_>, change: &NewName) -> TxResult<RenameOutcome> {
    tx.lock(Lock::Account(&change.account))?;
    tx.lock(Lock::Names)?;
    if !may_change(tx, &change.account, &change.by)? {
        return Ok(RenameOutcome::Gone);
    }
    if taken(tx, Some(&change.account), std::iter::once(&change.lookup).chain(&change.other_lookups))? {
        return Ok(RenameOutcome::NameTaken);
    }
    let sql = "UPDATE accounts SET lookup = ?2, name = ?3, verified_at = NULL WHERE id = ?1";
    let row = (change.account.as_bytes(), change.lookup.as_bytes(), change.name.as_bytes());
    if tx.change(sql, row)? == 0 {
        return Ok(RenameOutcome::Gone);
    }
    tx.log("sign-in name changed", Some(&change.account), None, &[])?;
    Ok(RenameOutcome::Renamed)
}

fn create(tx: &Tx<'_>, account: &NewAccount) -> TxResult<SignUp> {
    tx.lock(Lock::Names)?;
    let mut operator = account.operator;
    if taken(tx, None, std::iter::once(&account.lookup).chain(&account.other_lookups))? {
        return Ok(SignUp::NameTaken);
    }
    if let Some(invitation) = &account.invitation {
        let used = tx.one(
            "UPDATE invitations SET used_at = ?2 WHERE token = ?1 AND used_at IS NULL AND expires_at > ?2
             RETURNING operator",
            (invitation.as_bytes(), tx.now().millis()),
            |row| row.get::<bool>(0),
        )?;
        match used {
            Some(invited) => operator |= invited,
            None => return Ok(SignUp::InvitationInvalid),
        }
    }
    tx.change(
        "INSERT INTO accounts (id, lookup, name, password, operator, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            account.id.as_bytes(),
            account.lookup.as_bytes(),
            account.name.as_bytes(),
            &account.password,
            operator,
            tx.now().millis(),
        ),
    )?;
    tx.log("account created", Some(&account.id), None, &[])?;
    Ok(SignUp::Made)
}

#[async_trait]
impl<D: Database> Accounts for D {
    async fn create_account(&self, account: NewAccount) -> Result<SignUp, StoreError> {
        self.write(Write::AccountCreate, move |tx| create(tx, &account)).await
    }

    async fn account_by_name(&self, lookup: &LookupHash) -> Result<Option<Account>, StoreError> {
        let lookup = *lookup;
        self.read("account", move |tx| tx.one(&format!("{COLUMNS} WHERE lookup = ?1"), [lookup.as_bytes()], account))
            .await
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let id = *id;
        self.read("account", move |tx| tx.one(&format!("{COLUMNS} WHERE id = ?1"), [id.as_bytes()], account)).await
    }

    async fn set_suspended(&self, id: &AccountId, suspended: bool) -> Result<bool, StoreError> {
        let id = *id;
        self.write(Write::AccountChange, move |tx| {
            tx.lock(Lock::Account(&id))?;
            let changed = if suspended {
                let sql = "UPDATE accounts SET suspended_at = ?2 WHERE id = ?1 AND suspended_at IS NULL";
                tx.change(sql, (id.as_bytes(), tx.now().millis()))?
            } else {
                let sql = "UPDATE accounts SET suspended_at = NULL WHERE id = ?1 AND suspended_at IS NOT NULL";
                tx.change(sql, [id.as_bytes()])?
            };
            if changed == 0 {
                return Ok(false);
            }
            if !suspended {
                merchants::owner_restored(tx, &id)?;
            }
            // After the endpoints of merchants: in the order of every other.
            tx.lock(Lock::Catalogue)?;
            search::set_standing(tx, &id, !suspended)?;
            listed_products::set_standing_of(tx, &id)?;
            if suspended {
                end_all(tx, &id)?;
            }
            let kind = if suspended { "account suspended" } else { "account restored" };
            tx.log(kind, Some(&id), None, &[])?;
            Ok(true)
        })
        .await
    }

    async fn set_password(&self, change: NewPassword) -> Result<bool, StoreError> {
        self.write(Write::AccountChange, move |tx| set_password(tx, &change)).await
    }

    async fn rename(&self, change: NewName) -> Result<RenameOutcome, StoreError> {
        self.write(Write::AccountChange, move |tx| rename(tx, &change)).await
    }

    async fn publishers_of(
        &self,
        id: &AccountId,
        after: Option<PublisherName>,
        limit: u32,
    ) -> Result<Vec<PublisherName>, StoreError> {
        let id = *id;
        self.read_many("publishers of an account", move |tx| {
            let sql = "SELECT name FROM publishers WHERE owner = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
            let after = after.as_ref().map_or("", PublisherName::as_str);
            tx.all(sql, (id.as_bytes(), after, limit), |row| text(row, 0))
        })
        .await
    }

    async fn create_invitation(&self, invitation: NewInvitation) -> Result<(), StoreError> {
        self.write(Write::InvitationCreate, move |tx| {
            let expires = tx.now().plus(invitation.life).millis();
            tx.change(
                "INSERT INTO invitations (token, operator, expires_at) VALUES (?1, ?2, ?3)",
                (invitation.token.as_bytes(), invitation.operator, expires),
            )?;
            Ok(())
        })
        .await
    }

    async fn invitation(&self, token: &TokenHash) -> Result<InvitationUse, StoreError> {
        let token = *token;
        self.read("invitation", move |tx| {
            tx.one(
                "SELECT operator, expires_at FROM invitations WHERE token = ?1 AND used_at IS NULL AND expires_at > ?2",
                (token.as_bytes(), tx.now().millis()),
                |row| Ok(Invitation { operator: row.get(0)?, expires: time(row, 1)? }),
            )
        })
        .await
    }

    async fn invitations(&self) -> Result<Vec<OpenInvitation>, StoreError> {
        self.read("invitations", |tx| {
            tx.all(
                "SELECT substr(token, 1, 16), operator, expires_at FROM invitations
                 WHERE used_at IS NULL AND expires_at > ?1 ORDER BY expires_at, token",
                [tx.now().millis()],
                |row| Ok(OpenInvitation { id: octets(row, 0)?, operator: row.get(1)?, expires: time(row, 2)? }),
            )
        })
        .await
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        self.write(Write::InvitationRevoke, move |tx| {
            let sql = "DELETE FROM invitations WHERE substr(token, 1, 16) = ?1 AND used_at IS NULL AND expires_at > ?2";
            Ok(tx.change(sql, (id.0, tx.now().millis()))? == 1)
        })
        .await
    }

    async fn create_web_session(&self, session: NewWebSession) -> Result<bool, StoreError> {
        self.write(Write::WebSession, move |tx| {
            let NewWebSession { token, account, password, life } = &session;
            tx.lock(Lock::Account(account))?;
            let written = tx.change(
                "INSERT INTO web_sessions (token, account, created_at, expires_at, proven_at)
                 SELECT ?1, id, ?3, ?4, ?3 FROM accounts WHERE id = ?2 AND password = ?5 AND suspended_at IS NULL",
                (
                    token.as_bytes(),
                    account.as_bytes(),
                    tx.now().millis(),
                    tx.now().plus(*life).millis(),
                    password.as_str(),
                ),
            )?;
            Ok(written == 1)
        })
        .await
    }

    async fn web_session(&self, token: &TokenHash) -> Result<Option<WebSession>, StoreError> {
        let token = *token;
        self.read("browser session", move |tx| {
            tx.one(
                "SELECT s.account, s.expires_at, s.proven_at FROM web_sessions s JOIN accounts a ON a.id = s.account
                 WHERE s.token = ?1 AND s.expires_at > ?2 AND a.suspended_at IS NULL",
                (token.as_bytes(), tx.now().millis()),
                |row| {
                    let account = bytes(row, 0, AccountId::from_bytes)?;
                    Ok(WebSession { account, expires: time(row, 1)?, proven: time(row, 2)? })
                },
            )
        })
        .await
    }

    async fn prove_web_session(
        &self,
        token: &TokenHash,
        account: &AccountId,
        password: &str,
    ) -> Result<bool, StoreError> {
        let (token, account, password) = (*token, *account, password.to_owned());
        self.write(Write::WebSession, move |tx| {
            tx.lock(Lock::Account(&account))?;
            let sql = "UPDATE web_sessions SET proven_at = ?4
                       WHERE token = ?1 AND account = ?2 AND expires_at > ?4
                             AND EXISTS (SELECT 1 FROM accounts WHERE id = ?2 AND password = ?3
                                                                      AND suspended_at IS NULL)";
            let values = (token.as_bytes(), account.as_bytes(), password.as_str(), tx.now().millis());
            Ok(tx.change(sql, values)? == 1)
        })
        .await
    }

    async fn end_web_session(&self, token: &TokenHash) -> Result<(), StoreError> {
        let token = *token;
        self.write(Write::WebSession, move |tx| {
            tx.change("DELETE FROM web_sessions WHERE token = ?1", [token.as_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn browser_sessions(
        &self,
        account: &AccountId,
        current: Option<&TokenHash>,
    ) -> Result<Vec<BrowserSession>, StoreError> {
        let (account, current) = (*account, current.copied());
        self.read("browser sessions", move |tx| {
            tx.all(
                "SELECT created_at, expires_at, token IS NOT DISTINCT FROM ?2 FROM web_sessions
                 WHERE account = ?1 AND expires_at > ?3 ORDER BY created_at DESC, token LIMIT ?4",
                (account.as_bytes(), current.as_ref().map(TokenHash::as_bytes), tx.now().millis(), SESSIONS_LISTED),
                |row| Ok(BrowserSession { created: time(row, 0)?, expires: time(row, 1)?, current: row.get(2)? }),
            )
        })
        .await
    }
}
