//! Means of payment that providers keep for accounts: one per account and provider.

use super::{Tx, TxResult};
use crate::store::StoredMeans;
use crate::store::database::row::sealed;
use portcullis_protocol::AccountId;

/// Keeps means of payment in the place of those before.
pub(super) fn save(tx: &Tx<'_>, account: &AccountId, provider: &str, means: &StoredMeans) -> TxResult<()> {
    tx.change(
        "INSERT INTO saved_means (account, provider, reference, label, saved_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (account, provider)
         DO UPDATE SET reference = excluded.reference, label = excluded.label, saved_at = excluded.saved_at",
        (account.as_bytes(), provider, means.reference.as_bytes(), &means.label, tx.now().millis()),
    )?;
    Ok(())
}

/// Those of an account.
pub(super) fn find(tx: &Tx<'_>, account: &AccountId, provider: &str) -> TxResult<Option<StoredMeans>> {
    let sql = "SELECT reference, label FROM saved_means WHERE account = ?1 AND provider = ?2";
    tx.one(sql, (account.as_bytes(), provider), |row| {
        Ok(StoredMeans { reference: sealed(row, 0)?, label: row.get(1)? })
    })
}

/// Forgets them. Returns whether there were any.
pub(super) fn forget(tx: &Tx<'_>, account: &AccountId, provider: &str) -> TxResult<bool> {
    let sql = "DELETE FROM saved_means WHERE account = ?1 AND provider = ?2";
    Ok(tx.change(sql, (account.as_bytes(), provider))? == 1)
}
