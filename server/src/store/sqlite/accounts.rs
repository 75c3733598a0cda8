//! Accounts, invitations, browser sessions.

use super::row::{bytes, maybe_time, sealed, text, time};
use super::{Sqlite, Tx, search};
use crate::faults::Write;
use crate::secrets::{LookupHash, TokenHash};
use crate::store::{
    Account, Accounts, Invitation, InvitationUse, NewAccount, NewInvitation, SignUp, StoreError, WebSession,
};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};
use rusqlite::Row;

const COLUMNS: &str = "SELECT id, name, password, operator, suspended_at, created_at FROM accounts";

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: bytes(row, 0, AccountId::from_bytes)?,
        name: sealed(row, 1)?,
        password: row.get(2)?,
        operator: row.get(3)?,
        suspended: maybe_time(row, 4)?,
        created: time(row, 5)?,
    })
}

fn create(tx: &Tx<'_>, account: &NewAccount) -> rusqlite::Result<SignUp> {
    let mut operator = account.operator;
    if tx.one("SELECT 1 FROM accounts WHERE lookup = ?1", [account.lookup.as_bytes()], |_| Ok(()))?.is_some() {
        return Ok(SignUp::NameTaken);
    }
    if let Some(invitation) = &account.invitation {
        let used = tx.one(
            "UPDATE invitations SET used_at = ?2 WHERE token = ?1 AND used_at IS NULL AND expires_at > ?2
             RETURNING operator",
            (invitation.as_bytes(), tx.now.millis()),
            |row| row.get::<_, bool>(0),
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
            tx.now.millis(),
        ),
    )?;
    tx.log("account created", Some(&account.id), None, &[])?;
    Ok(SignUp::Made)
}

#[async_trait]
impl Accounts for Sqlite {
    async fn create_account(&self, account: NewAccount) -> Result<SignUp, StoreError> {
        self.write(Write::AccountCreate, move |tx| create(tx, &account)).await
    }

    async fn account_by_name(&self, lookup: &LookupHash) -> Result<Option<Account>, StoreError> {
        self.read("account", |tx| tx.one(&format!("{COLUMNS} WHERE lookup = ?1"), [lookup.as_bytes()], account))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        self.read("account", |tx| tx.one(&format!("{COLUMNS} WHERE id = ?1"), [id.as_bytes()], account))
    }

    async fn set_suspended(&self, id: &AccountId, suspended: bool) -> Result<bool, StoreError> {
        let id = *id;
        self.write(Write::AccountChange, move |tx| {
            let since = suspended.then_some(tx.now.millis());
            let sql = "UPDATE accounts SET suspended_at = ?2 WHERE id = ?1";
            let found = tx.change(sql, (id.as_bytes(), since))? == 1;
            if found {
                search::set_standing(tx, &id, !suspended)?;
                let kind = if suspended { "account suspended" } else { "account restored" };
                tx.log(kind, Some(&id), None, &[])?;
            }
            Ok(found)
        })
        .await
    }

    async fn set_password(&self, id: &AccountId, password: String) -> Result<bool, StoreError> {
        let id = *id;
        self.write(Write::AccountChange, move |tx| {
            let sql = "UPDATE accounts SET password = ?2 WHERE id = ?1";
            let found = tx.change(sql, (id.as_bytes(), &password))? == 1;
            tx.change("DELETE FROM web_sessions WHERE account = ?1", [id.as_bytes()])?;
            if found {
                tx.log("password changed", Some(&id), None, &[])?;
            }
            Ok(found)
        })
        .await
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
            let expires = tx.now.plus(invitation.life).millis();
            tx.change(
                "INSERT INTO invitations (token, operator, expires_at) VALUES (?1, ?2, ?3)",
                (invitation.token.as_bytes(), invitation.operator, expires),
            )?;
            Ok(())
        })
        .await
    }

    async fn invitation(&self, token: &TokenHash) -> Result<InvitationUse, StoreError> {
        self.read("invitation", |tx| {
            tx.one(
                "SELECT operator, expires_at FROM invitations WHERE token = ?1 AND used_at IS NULL AND expires_at > ?2",
                (token.as_bytes(), tx.now.millis()),
                |row| Ok(Invitation { operator: row.get(0)?, expires: time(row, 1)? }),
            )
        })
    }

    async fn create_web_session(&self, token: TokenHash, account: AccountId, life: u64) -> Result<(), StoreError> {
        self.write(Write::WebSession, move |tx| {
            let expires = tx.now.plus(life).millis();
            tx.change(
                "INSERT INTO web_sessions (token, account, expires_at) VALUES (?1, ?2, ?3)",
                (token.as_bytes(), account.as_bytes(), expires),
            )?;
            Ok(())
        })
        .await
    }

    async fn web_session(&self, token: &TokenHash) -> Result<Option<WebSession>, StoreError> {
        self.read("browser session", |tx| {
            tx.one(
                "SELECT s.account, s.expires_at FROM web_sessions s JOIN accounts a ON a.id = s.account
                 WHERE s.token = ?1 AND s.expires_at > ?2 AND a.suspended_at IS NULL",
                (token.as_bytes(), tx.now.millis()),
                |row| Ok(WebSession { account: bytes(row, 0, AccountId::from_bytes)?, expires: time(row, 1)? }),
            )
        })
    }

    async fn end_web_session(&self, token: &TokenHash) -> Result<(), StoreError> {
        let token = *token;
        self.write(Write::WebSession, move |tx| {
            tx.change("DELETE FROM web_sessions WHERE token = ?1", [token.as_bytes()])?;
            Ok(())
        })
        .await
    }
}
