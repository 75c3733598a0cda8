//! Resources.

use super::{Database, Lock, Tx, TxError, TxResult, offers, publishers, search, withdrawal};
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, checked, count, json, maybe_time, octets, text, to_json};
use crate::store::{
    Listing, ListingVersion, NewResource, OpenedPart, OperationFacts, PublishOutcome, PublisherId, ResourceFacts,
    Resources, RestoreOutcome, SearchPage, SearchQuery, StoreError, WithdrawOutcome,
};
use async_trait::async_trait;
use portcullis_protocol::limits::{MAX_OPENINGS, MAX_RESOURCES, MAX_VERSIONS};
use portcullis_protocol::wire::PartOpening;
use portcullis_protocol::{
    AccountId, Digest, Manifest, OperationName, PartEntry, PartName, PublicKey, PublisherName, ResourceName, Version,
    version,
};

/// What the cycle needs of a resource.
pub(super) fn facts(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<ResourceFacts>> {
    let sql = format!("SELECT {FACTS} FROM resources r JOIN publishers p ON p.id = r.publisher WHERE r.digest = ?1");
    tx.one(&sql, [digest.as_bytes()], facts_of)
}

/// The same, and one of its operations, if it has it.
pub(super) fn with_operation(
    tx: &Tx<'_>,
    digest: &Digest,
    operation: &OperationName,
) -> TxResult<Option<(ResourceFacts, Option<OperationFacts>)>> {
    let sql = format!(
        "SELECT {FACTS}, o.name, o.parts FROM resources r JOIN publishers p ON p.id = r.publisher
         LEFT JOIN operations o ON o.resource = r.digest AND o.name = ?2 WHERE r.digest = ?1"
    );
    tx.one(&sql, (digest.as_bytes(), operation.as_str()), |row| {
        let operation = match row.get::<Option<String>>(10)? {
            None => None,
            Some(names) => {
                let parts = names.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
                Some(OperationFacts { name: text(row, 9)?, parts: parts.map_err(|_| TxError::Damaged)? })
            }
        };
        Ok((facts_of(row)?, operation))
    })
}

/// Of a resource `r` and its publisher `p`.
const FACTS: &str = "r.digest, r.publisher, p.name, r.name, r.version, r.run_max, r.size, r.withdrawn_at,
                     r.withdrawn_reason";

fn facts_of(row: &Row<'_>) -> TxResult<ResourceFacts> {
    Ok(ResourceFacts {
        digest: bytes(row, 0, Digest::from_bytes)?,
        publisher: octets(row, 1).map(PublisherId)?,
        publisher_name: text(row, 2)?,
        name: text(row, 3)?,
        version: text(row, 4)?,
        run_max: row.get(5)?,
        size: count(row, 6)?,
        withdrawn: maybe_time(row, 7)?,
        withdrawn_reason: row.get::<Option<String>>(8)?.unwrap_or_default(),
    })
}

/// The publisher of a name.
pub(super) fn publisher_id(tx: &Tx<'_>, name: &PublisherName) -> TxResult<Option<PublisherId>> {
    tx.one("SELECT id FROM publishers WHERE name = ?1", [name.as_str()], |row| octets(row, 0).map(PublisherId))
}

/// The publisher of a name, if the account owns it.
pub(super) fn owned(tx: &Tx<'_>, account: &AccountId, name: &PublisherName) -> TxResult<Option<PublisherId>> {
    let sql = "SELECT id FROM publishers WHERE name = ?1 AND owner = ?2";
    tx.one(sql, (name.as_str(), account.as_bytes()), |row| octets(row, 0).map(PublisherId))
}

/// The version that terminals take, of those that are withdrawn if all are.
pub(super) fn newest(versions: &[ListingVersion]) -> Option<&ListingVersion> {
    let sold = versions.iter().filter(|version| !version.withdrawn);
    version::newest(sold, |version| &version.version).or_else(|| version::newest(versions, |version| &version.version))
}

/// Whether a version that is sold has an operation: it is not withdrawn, and the publisher's key stands for it.
pub(super) fn is_sold(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
    operation: &OperationName,
) -> TxResult<bool> {
    let found = tx.one(
        "SELECT 1 FROM resources r JOIN operations o ON o.resource = r.digest AND o.name = ?3
         WHERE r.publisher = ?1 AND r.name = ?2 AND r.withdrawn_at IS NULL AND r.stands = 1 LIMIT 1",
        (publisher.0.0, name.as_str(), operation.as_str()),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// A part that is not public and that an operation opens, in any version that is not withdrawn: an offer is for the
/// operation of a name, and so for that of every version.
pub(super) fn opened_by(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
    operation: &OperationName,
) -> TxResult<Option<OpenedPart>> {
    tx.one(
        "SELECT o.name, p.name, r.version
         FROM resources r
         JOIN operations o ON o.resource = r.digest AND o.name = ?3
         JOIN parts p ON p.resource = r.digest AND p.public = 0
         WHERE r.publisher = ?1 AND r.name = ?2 AND r.withdrawn_at IS NULL
           AND replace(' ' || o.parts || ' ', ' ' || p.name || ' ', '') <> ' ' || o.parts || ' '
         ORDER BY r.published_at DESC, p.name LIMIT 1",
        (publisher.0.0, name.as_str(), operation.as_str()),
        |row| Ok(OpenedPart { operation: text(row, 0)?, part: text(row, 1)?, version: text(row, 2)? }),
    )
}

/// The same, in a version that was withdrawn and is about to be on sale again.
pub(super) fn would_open_restored(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<OpenedPart>> {
    let sql = "SELECT publisher, manifest FROM resources WHERE digest = ?1";
    let found =
        tx.one(sql, [digest.as_bytes()], |row| Ok((octets(row, 0).map(PublisherId)?, json::<Manifest>(row, 1)?)))?;
    found.map_or(Ok(None), |(publisher, manifest)| would_open(tx, &publisher, &manifest))
}

/// The same, in a version that is about to be published, under the offers in force.
fn would_open(tx: &Tx<'_>, publisher: &PublisherId, manifest: &Manifest) -> TxResult<Option<OpenedPart>> {
    let offers = offers::in_force(tx, publisher, &manifest.name)?;
    let free = |operation: &OperationName| {
        offers.iter().any(|revision| {
            revision.offer.operation == *operation && revision.offer.rights.cost_nothing_at(revision.offer.price)
        })
    };
    let opened = manifest.operations.iter().filter(|operation| free(&operation.name)).find_map(|operation| {
        let hidden = |part: &&PartEntry| !part.public && operation.parts.contains(&part.name);
        let part = manifest.parts.iter().find(hidden)?;
        Some(OpenedPart {
            operation: operation.name.clone(),
            part: part.name.clone(),
            version: manifest.version.clone(),
        })
    });
    Ok(opened)
}

/// The manifest of the newest version, of one that is withdrawn if all are.
pub(super) fn newest_manifest(
    tx: &Tx<'_>,
    publisher: &PublisherName,
    name: &ResourceName,
) -> TxResult<Option<Manifest>> {
    let Some(id) = publisher_id(tx, publisher)? else { return Ok(None) };
    let versions = versions(tx, &id, name)?;
    let Some(newest) = newest(&versions) else { return Ok(None) };
    let sql = "SELECT manifest FROM resources WHERE digest = ?1";
    tx.one(sql, [newest.digest.as_bytes()], |row| json(row, 0))
}

/// Newest first. Of equal precedence, which no store takes any more, the one that was published last goes first.
pub(super) fn versions(tx: &Tx<'_>, publisher: &PublisherId, name: &ResourceName) -> TxResult<Vec<ListingVersion>> {
    let mut versions = tx.all(
        "SELECT version, digest, size, withdrawn_at IS NOT NULL OR stands = 0 FROM resources WHERE publisher = ?1 AND name = ?2
         ORDER BY published_at DESC",
        (publisher.0.0, name.as_str()),
        |row| {
            Ok(ListingVersion {
                version: text::<Version>(row, 0)?,
                digest: bytes(row, 1, Digest::from_bytes)?,
                size: count(row, 2)?,
                withdrawn: row.get(3)?,
            })
        },
    )?;
    version::sort_newest_first(&mut versions, |version| &version.version);
    Ok(versions)
}

pub(super) fn listing(tx: &Tx<'_>, publisher: &PublisherName, name: &ResourceName) -> TxResult<Option<Listing>> {
    let found = tx.one("SELECT id, key FROM publishers WHERE name = ?1", [publisher.as_str()], |row| {
        let key = checked(row, 1, |key: [u8; 32]| PublicKey::from_bytes(&key))?;
        Ok((octets(row, 0).map(PublisherId)?, key))
    })?;
    let Some((id, publisher_key)) = found else { return Ok(None) };
    let versions = versions(tx, &id, name)?;
    let Some(newest) = newest(&versions) else { return Ok(None) };
    let sql = "SELECT kind, title, description FROM resources WHERE digest = ?1";
    let texts: Option<(String, String, String)> =
        tx.one(sql, [newest.digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (kind, title, description) = texts.ok_or(TxError::Damaged)?;
    Ok(Some(Listing {
        publisher: publisher.clone(),
        publisher_key,
        name: name.clone(),
        kind,
        title,
        description,
        versions,
        offers: offers::of_resource(tx, &id, name)?,
        vouches: publishers::vouches(tx, publisher)?,
        adoption: publishers::adoption(tx, &id, name)?,
        cover: tx.one(
            "SELECT newest FROM catalogue WHERE publisher = ?1 AND name = ?2 AND cover = 1 AND sold = 1",
            (id.0.0, name.as_str()),
            |row| bytes(row, 0, Digest::from_bytes),
        )?,
    }))
}

fn publish(tx: &Tx<'_>, new: &NewResource) -> TxResult<PublishOutcome> {
    let manifest = &new.manifest;
    // Under the account's lock: it publishes no two names at once, each as the last one.
    tx.lock(Lock::Account(&new.account))?;
    tx.lock(Lock::Publisher(&manifest.publisher.name))?;
    tx.lock(Lock::Catalogue)?;
    // Everything that can be refused comes before the first write: an outcome is not a rollback.
    let publisher = match may_publish(tx, new)? {
        Ok(publisher) => publisher,
        Err(refused) => return Ok(refused),
    };
    insert(tx, new, &publisher)?;
    search::refresh(tx, &manifest.publisher.name, &manifest.name)?;
    tx.log("resource published", Some(&new.account), None, new.digest.as_bytes())?;
    Ok(PublishOutcome::Published)
}

/// Whose resource it is, or why it is not published.
fn may_publish(tx: &Tx<'_>, new: &NewResource) -> TxResult<Result<PublisherId, PublishOutcome>> {
    let manifest = &new.manifest;
    let owner = tx.one(
        "SELECT id FROM publishers WHERE name = ?1 AND owner = ?2 AND key = ?3",
        (manifest.publisher.name.as_str(), new.account.as_bytes(), manifest.publisher.jwk.to_bytes()),
        |row| octets(row, 0).map(PublisherId),
    )?;
    let Some(publisher) = owner else { return Ok(Err(PublishOutcome::NotOwner)) };
    if facts(tx, &new.digest)?.is_some() {
        return Ok(Err(PublishOutcome::Already));
    }
    let published = versions(tx, &publisher, &manifest.name)?;
    if published.len() >= MAX_VERSIONS {
        return Ok(Err(PublishOutcome::TooManyVersions));
    }
    if published.is_empty() {
        let sql = "SELECT count(*) FROM catalogue c JOIN publishers p ON p.id = c.publisher WHERE p.owner = ?1";
        let resources = tx.one(sql, [new.account.as_bytes()], |row| count(row, 0))?.unwrap_or(0);
        if resources >= MAX_RESOURCES {
            return Ok(Err(PublishOutcome::TooManyResources));
        }
    }
    let bytes = published_bytes(tx, &new.account)?.saturating_add(new.size);
    if bytes > new.account_bytes {
        return Ok(Err(PublishOutcome::TooManyBytes(bytes)));
    }
    if let Some(highest) = published.first().filter(|highest| !manifest.version.is_newer_than(&highest.version)) {
        return Ok(Err(PublishOutcome::NotNewer(highest.version.clone())));
    }
    if let Some(opened) = would_open(tx, &publisher, manifest)? {
        return Ok(Err(PublishOutcome::OpensPart(opened)));
    }
    for part in &new.parts {
        let sql = "SELECT publisher FROM commitments WHERE commitment = ?1";
        let first = tx.one(sql, [part.commitment.0], |row| octets(row, 0).map(PublisherId))?;
        if first.is_some_and(|first| first != publisher) {
            return Ok(Err(PublishOutcome::CommitmentTaken(part.name.clone())));
        }
    }
    Ok(Ok(publisher))
}

/// Bytes of all sealed files that an account has published, withdrawn ones too.
fn published_bytes(tx: &Tx<'_>, account: &AccountId) -> TxResult<u64> {
    let sql = "SELECT CAST(coalesce(sum(r.size), 0) AS BIGINT)
               FROM resources r JOIN publishers p ON p.id = r.publisher WHERE p.owner = ?1";
    Ok(tx.one(sql, [account.as_bytes()], |row| count(row, 0))?.unwrap_or(0))
}

fn insert(tx: &Tx<'_>, new: &NewResource, publisher: &PublisherId) -> TxResult<()> {
    let (manifest, digest) = (&new.manifest, new.digest.as_bytes());
    tx.change(
        "INSERT INTO resources
             (digest, publisher, name, version, kind, title, description, manifest, run_max, size, published_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            digest,
            publisher.0.0,
            manifest.name.as_str(),
            manifest.version.to_string(),
            &manifest.kind,
            &manifest.title,
            &manifest.description,
            to_json(manifest)?,
            manifest.limits.run_max,
            i64::try_from(new.size).unwrap_or(i64::MAX),
            tx.now().millis(),
        ),
    )?;
    for operation in &manifest.operations {
        let parts: Vec<&str> = operation.parts.iter().map(|part| part.as_str()).collect();
        tx.change(
            "INSERT INTO operations (resource, name, parts) VALUES (?1, ?2, ?3)",
            (digest, operation.name.as_str(), parts.join(" ")),
        )?;
    }
    let is_public = |name: &PartName| manifest.parts.iter().any(|part| part.name == *name && part.public);
    for part in &new.parts {
        tx.change(
            "INSERT INTO parts (resource, name, key, public) VALUES (?1, ?2, ?3, ?4)",
            (digest, part.name.as_str(), part.key.as_bytes(), is_public(&part.name)),
        )?;
        tx.change(
            "INSERT INTO commitments (commitment, publisher) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            (part.commitment.0, publisher.0.0),
        )?;
    }
    Ok(())
}

/// What opens the parts of a version that are not public.
fn opens(tx: &Tx<'_>, resource: &Digest) -> TxResult<Vec<PartOpening>> {
    let hidden: Vec<PartName> = tx.all(
        "SELECT name FROM parts WHERE resource = ?1 AND public = 0 ORDER BY name",
        [resource.as_bytes()],
        |row| text(row, 0),
    )?;
    let operations: Vec<(OperationName, String)> =
        tx.all("SELECT name, parts FROM operations WHERE resource = ?1 ORDER BY name", [resource.as_bytes()], |row| {
            Ok((text(row, 0)?, row.get(1)?))
        })?;
    let opening = |part: PartName| {
        let opening =
            operations.iter().filter(|(_, parts)| parts.split_ascii_whitespace().any(|name| name == part.as_str()));
        PartOpening { operations: opening.map(|(name, _)| name.clone()).collect(), part }
    };
    Ok(hidden.into_iter().map(opening).collect())
}

#[async_trait]
impl<D: Database> Resources for D {
    async fn publish(&self, resource: NewResource) -> Result<PublishOutcome, StoreError> {
        self.write(Write::ResourcePublish, move |tx| publish(tx, &resource)).await
    }

    async fn may_publish(&self, resource: &NewResource) -> Result<Option<PublishOutcome>, StoreError> {
        let resource = resource.clone();
        self.read_many("publishable", move |tx| Ok(may_publish(tx, &resource)?.err())).await
    }

    async fn withdraw(
        &self,
        account: &AccountId,
        digest: &Digest,
        reason: String,
    ) -> Result<WithdrawOutcome, StoreError> {
        let (account, digest) = (*account, *digest);
        self.write(Write::ResourceWithdraw, move |tx| withdrawal::withdraw(tx, &account, &digest, &reason)).await
    }

    async fn take_down(&self, digest: &Digest, reason: String) -> Result<WithdrawOutcome, StoreError> {
        let digest = *digest;
        self.write(Write::ResourceWithdraw, move |tx| withdrawal::take_down(tx, &digest, &reason)).await
    }

    async fn restore(&self, by: Option<&AccountId>, digest: &Digest) -> Result<RestoreOutcome, StoreError> {
        let (by, digest) = (by.copied(), *digest);
        self.write(Write::ResourceRestore, move |tx| withdrawal::restore(tx, by.as_ref(), &digest)).await
    }

    async fn resource(&self, digest: &Digest) -> Result<Option<ResourceFacts>, StoreError> {
        let digest = *digest;
        self.read("resource", move |tx| facts(tx, &digest)).await
    }

    async fn newest_manifest(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
    ) -> Result<Option<Manifest>, StoreError> {
        let (publisher, name) = (publisher.clone(), name.clone());
        self.read_many("manifest", move |tx| newest_manifest(tx, &publisher, &name)).await
    }

    async fn listing(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Option<Listing>, StoreError> {
        let (publisher, name) = (publisher.clone(), name.clone());
        self.read_many("listing", move |tx| listing(tx, &publisher, &name)).await
    }

    async fn openings(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
    ) -> Result<Vec<(Digest, Vec<PartOpening>)>, StoreError> {
        let (publisher, name) = (publisher.clone(), name.clone());
        self.read_many("openings", move |tx| {
            let Some(id) = publisher_id(tx, &publisher)? else { return Ok(Vec::new()) };
            let versions =
                versions(tx, &id, &name)?.into_iter().filter(|version| !version.withdrawn).take(MAX_OPENINGS);
            versions.map(|version| Ok((version.digest, opens(tx, &version.digest)?))).collect()
        })
        .await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchPage, StoreError> {
        self.read_many("search", move |tx| search::search(tx, &query)).await
    }

    async fn newest_listing(&self) -> Result<i64, StoreError> {
        self.read("newest listing", |tx| {
            let sql = "SELECT coalesce(max(number), 0) FROM catalogue";
            Ok(tx.one(sql, (), |row| row.get(0))?.unwrap_or(0))
        })
        .await
    }
}
