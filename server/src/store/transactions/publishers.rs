//! Publishers.

use super::{Database, Lock, Tx, TxError, TxResult, resources, search};
use crate::ops::faults::Write;
use crate::store::database::row::{bytes, checked, count, octets, text, time};
use crate::store::{
    AdoptOutcome, ClaimOutcome, NewAdoption, NewVouch, Publisher, PublisherId, Publishers, StoreError, VouchOutcome,
};
use async_trait::async_trait;
use portcullis_protocol::limits::{MAX_PUBLISHERS, MAX_VOUCHES};
use portcullis_protocol::{
    AccountId, AdoptedVersions, Adoption, Digest, PublicKey, PublisherName, ResourceName, Unverified, Verified,
};
use std::collections::{BTreeMap, BTreeSet};

/// Resources that one transaction takes out of the index: each takes some hundred statements, and everybody waits for
/// all of them.
const UNLISTED: u32 = 50;

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
    // Under the account's lock: it claims no two names at once, each as the last one.
    tx.lock(Lock::Account(&publisher.owner))?;
    tx.lock(Lock::Publisher(&publisher.name))?;
    if let Some(known) = find(tx, &publisher.name)? {
        let same = known.owner == publisher.owner && known.key == publisher.key;
        return Ok(if same { ClaimOutcome::Claimed } else { ClaimOutcome::Taken });
    }
    let sql = "SELECT count(*) FROM publishers WHERE owner = ?1";
    let claimed = tx.one(sql, [publisher.owner.as_bytes()], |row| count(row, 0))?.unwrap_or(0);
    if claimed >= MAX_PUBLISHERS {
        return Ok(ClaimOutcome::TooMany);
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
    tx.lock(Lock::Catalogue)?;
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
    stand_by(tx, &known.id, &new.name)?;
    tx.log("publisher key changed", Some(&new.account), None, &known.id.0.0)?;
    Ok(VouchOutcome::Vouched)
}

fn adopt(tx: &Tx<'_>, new: &NewAdoption) -> TxResult<AdoptOutcome> {
    let Adoption { publisher, name, jwk, versions, .. } = &new.adoption;
    tx.lock(Lock::Publisher(publisher))?;
    tx.lock(Lock::Catalogue)?;
    let Some(known) = find(tx, publisher)?.filter(|known| known.owner == new.account) else {
        return Ok(AdoptOutcome::NotFound);
    };
    let published: BTreeSet<Digest> = published(tx, &known.id, name)?.into_iter().collect();
    if published.is_empty() {
        return Ok(AdoptOutcome::NotFound);
    }
    if let Some(unknown) = versions.iter().find(|version| !published.contains(version)) {
        return Ok(AdoptOutcome::NoSuchVersion(*unknown));
    }
    if *jwk == known.key
        && let Some(before) = adoption(tx, &known.id, name)?
        && let Some(left_out) = read(&before)?.versions.iter().find(|version| !versions.contains(version))
    {
        return Ok(AdoptOutcome::LeavesOut(*left_out));
    }
    tx.change(
        "DELETE FROM adoptions WHERE publisher = ?1 AND name = ?2 AND key <> ?3",
        (known.id.0.0, name.as_str(), known.key.to_bytes()),
    )?;
    tx.change(
        "INSERT INTO adoptions (publisher, name, key, compact) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (publisher, name, key) DO UPDATE SET compact = excluded.compact",
        (known.id.0.0, name.as_str(), jwk.to_bytes(), &new.compact),
    )?;
    if *jwk == known.key {
        stand_by_versions(tx, &known.id, name, versions)?;
        search::refresh(tx, publisher, name)?;
    }
    tx.log("versions adopted", Some(&new.account), None, &known.id.0.0)?;
    Ok(AdoptOutcome::Adopted)
}

/// After another key came into use: of what was published before it, it stands for what it has adopted.
fn stand_by(tx: &Tx<'_>, publisher: &PublisherId, called: &PublisherName) -> TxResult<()> {
    let before = standing(tx, publisher)?;
    tx.change("UPDATE resources SET stands = 0 WHERE publisher = ?1", [publisher.0.0])?;
    for name in before.keys() {
        if let Some(compact) = adoption(tx, publisher, name)? {
            stand_by_versions(tx, publisher, name, &read(&compact)?.versions)?;
        }
    }
    // What is sold as before is left alone, and of what is not sold at all that is all that is written: everybody waits
    // for this transaction. It leaves the index in others.
    let after = standing(tx, publisher)?;
    for (name, versions) in after.iter().filter(|(_, versions)| !versions.is_empty()) {
        if before.get(name) != Some(versions) {
            search::refresh(tx, called, name)?;
        }
    }
    search::end_sale(tx, publisher)?;
    // Of keys before, and of keys that did not come.
    tx.change(
        "DELETE FROM adoptions WHERE publisher = ?1 AND key <> (SELECT key FROM publishers WHERE id = ?1)",
        [publisher.0.0],
    )?;
    Ok(())
}

/// Takes some of what the key in use stands for no version of out of the index. Returns whether there is more.
fn unlist(tx: &Tx<'_>, name: &PublisherName) -> TxResult<bool> {
    tx.lock(Lock::Publisher(name))?;
    tx.lock(Lock::Catalogue)?;
    let Some(publisher) = resources::publisher_id(tx, name)? else { return Ok(false) };
    let names = search::listed_in_vain(tx, &publisher, UNLISTED)?;
    names.iter().try_for_each(|resource| search::refresh(tx, name, resource))?;
    Ok(names.len() >= UNLISTED as usize)
}

/// The versions of each resource that the key in use stands for, of every resource that was published.
fn standing(tx: &Tx<'_>, publisher: &PublisherId) -> TxResult<BTreeMap<ResourceName, BTreeSet<Digest>>> {
    let sql = "SELECT name, digest, stands = 1 FROM resources WHERE publisher = ?1";
    let mut standing: BTreeMap<ResourceName, BTreeSet<Digest>> = BTreeMap::new();
    let rows = tx.all(sql, [publisher.0.0], |row| {
        Ok((text(row, 0)?, bytes(row, 1, Digest::from_bytes)?, row.get::<bool>(2)?))
    })?;
    for (name, version, stands) in rows {
        let versions = standing.entry(name).or_default();
        if stands {
            versions.insert(version);
        }
    }
    Ok(standing)
}

/// The key in use stands for what it adopts, and goes on to stand for what it signed or adopted before.
fn stand_by_versions(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
    versions: &AdoptedVersions,
) -> TxResult<()> {
    for version in versions.iter() {
        let sql = "UPDATE resources SET stands = 1 WHERE digest = ?1 AND publisher = ?2 AND name = ?3 AND stands = 0";
        tx.change(sql, (version.as_bytes(), publisher.0.0, name.as_str()))?;
    }
    Ok(())
}

/// An adoption that was verified before it was stored.
fn read(compact: &str) -> TxResult<Adoption> {
    let read = Unverified::<Adoption>::parse(compact).and_then(Unverified::verify_self_signed);
    read.map(Verified::into_document).map_err(|_| TxError::Damaged)
}

fn published(tx: &Tx<'_>, publisher: &PublisherId, name: &ResourceName) -> TxResult<Vec<Digest>> {
    let sql = "SELECT digest FROM resources WHERE publisher = ?1 AND name = ?2";
    tx.all(sql, (publisher.0.0, name.as_str()), |row| bytes(row, 0, Digest::from_bytes))
}

/// What the key in use has adopted of a resource, compact.
pub(super) fn adoption(tx: &Tx<'_>, publisher: &PublisherId, name: &ResourceName) -> TxResult<Option<String>> {
    tx.one(
        "SELECT a.compact FROM adoptions a JOIN publishers p ON p.id = a.publisher AND p.key = a.key
         WHERE a.publisher = ?1 AND a.name = ?2",
        (publisher.0.0, name.as_str()),
        |row| row.get(0),
    )
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

    async fn adopt(&self, new: NewAdoption) -> Result<AdoptOutcome, StoreError> {
        self.write(Write::PublisherAdopt, move |tx| adopt(tx, &new)).await
    }

    async fn vouch(&self, new: NewVouch) -> Result<VouchOutcome, StoreError> {
        self.write(Write::PublisherVouch, move |tx| vouch(tx, &new)).await
    }

    async fn unlist(&self, name: &PublisherName) -> Result<bool, StoreError> {
        let name = name.clone();
        self.write(Write::PublisherUnlist, move |tx| unlist(tx, &name)).await
    }

    async fn resource_names(
        &self,
        account: &AccountId,
        name: &PublisherName,
        skip: u32,
        limit: u32,
    ) -> Result<Option<Vec<ResourceName>>, StoreError> {
        let (account, name) = (*account, name.clone());
        self.read_many("resource names", move |tx| {
            let Some(owned) = resources::owned(tx, &account, &name)? else { return Ok(None) };
            let sql = "SELECT name FROM catalogue WHERE publisher = ?1 ORDER BY name LIMIT ?2 OFFSET ?3";
            tx.all(sql, (owned.0.0, limit, skip), |row| text(row, 0)).map(Some)
        })
        .await
    }

    async fn vouches(&self, name: &PublisherName) -> Result<Vec<String>, StoreError> {
        let name = name.clone();
        self.read("vouches", move |tx| vouches(tx, &name)).await
    }
}
