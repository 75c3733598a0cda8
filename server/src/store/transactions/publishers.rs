//! Publishers.

use super::{Database, Lock, Tx, TxResult};
use crate::ops::faults::Write;
use crate::store::database::row::{bytes, checked, count, octets, text, time};
use crate::store::{ClaimOutcome, NewVouch, Publisher, PublisherId, Publishers, StoreError, VouchOutcome};
use async_trait::async_trait;
use portcullis_protocol::limits::MAX_VOUCHES;
use portcullis_protocol::{AccountId, PublicKey, PublisherName};

fn find(tx: &Tx<'_>, name: &PublisherName) -> TxResult<Option<Publisher>> {
    tx.one("SELECT id, name, key, owner, created_at FROM publishers WHERE name = ?1", [name.as_str()], |row| {
        Ok(Publisher {
            id: octets(row, 0).map(PublisherId)?,
            name: text(row, 1)?,
            key: checked(row, 2, |key: [u8; 32]| PublicKey::from_bytes(&key))?,
            owner: bytes(row, 3, AccountId::from_bytes)?,
            created: time(row, 4)?,
        })
    })
}

fn claim(tx: &Tx<'_>, publisher: &Publisher) -> TxResult<ClaimOutcome> {
    tx.lock(Lock::Publisher(&publisher.name))?;
    if let Some(known) = find(tx, &publisher.name)? {
        let same = known.owner == publisher.owner && known.key == publisher.key;
        return Ok(if same { ClaimOutcome::Claimed } else { ClaimOutcome::Taken });
    }
    tx.change(
        "INSERT INTO publishers (id, name, key, owner, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            publisher.id.0.0,
            publisher.name.as_str(),
            publisher.key.to_bytes(),
            publisher.owner.as_bytes(),
            tx.now().millis(),
        ),
    )?;
    tx.log("publisher claimed", Some(&publisher.owner), None, &publisher.id.0.0)?;
    Ok(ClaimOutcome::Claimed)
}

fn vouch(tx: &Tx<'_>, new: &NewVouch) -> TxResult<VouchOutcome> {
    tx.lock(Lock::Publisher(&new.name))?;
    let Some(known) = find(tx, &new.name)?.filter(|known| known.owner == new.account) else {
        return Ok(VouchOutcome::NotOwner);
    };
    let last = tx.one(
        "SELECT seq, compact FROM vouches WHERE publisher = ?1 ORDER BY seq DESC LIMIT 1",
        [known.id.0.0],
        |row| Ok((count(row, 0)?, row.get::<String>(1)?)),
    )?;
    if last.as_ref().is_some_and(|(_, compact)| *compact == new.compact) {
        return Ok(VouchOutcome::Vouched);
    }
    if known.key != new.by || Some(new.seq) != last.map_or(0, |(seq, _)| seq).checked_add(1) {
        return Ok(VouchOutcome::Stale);
    }
    if new.seq > MAX_VOUCHES as u64 {
        return Ok(VouchOutcome::TooMany);
    }
    let sql = "INSERT INTO vouches (publisher, seq, compact) VALUES (?1, ?2, ?3)";
    tx.change(sql, (known.id.0.0, new.seq.cast_signed(), &new.compact))?;
    tx.change("UPDATE publishers SET key = ?2 WHERE id = ?1", (known.id.0.0, new.key.to_bytes()))?;
    tx.log("publisher key changed", Some(&new.account), None, &known.id.0.0)?;
    Ok(VouchOutcome::Vouched)
}

/// The compact vouches of a publisher, oldest first.
pub(super) fn vouches(tx: &Tx<'_>, name: &PublisherName) -> TxResult<Vec<String>> {
    let sql = "SELECT v.compact FROM vouches v JOIN publishers p ON p.id = v.publisher
               WHERE p.name = ?1 ORDER BY v.seq";
    tx.all(sql, [name.as_str()], |row| row.get(0))
}

#[async_trait]
impl<D: Database> Publishers for D {
    async fn claim_publisher(&self, publisher: Publisher) -> Result<ClaimOutcome, StoreError> {
        self.write(Write::PublisherClaim, move |tx| claim(tx, &publisher)).await
    }

    async fn publisher(&self, name: &PublisherName) -> Result<Option<Publisher>, StoreError> {
        let name = name.clone();
        self.read("publisher", move |tx| find(tx, &name)).await
    }

    async fn vouch(&self, new: NewVouch) -> Result<VouchOutcome, StoreError> {
        self.write(Write::PublisherVouch, move |tx| vouch(tx, &new)).await
    }

    async fn vouches(&self, name: &PublisherName) -> Result<Vec<String>, StoreError> {
        let name = name.clone();
        self.read("vouches", move |tx| vouches(tx, &name)).await
    }
}
