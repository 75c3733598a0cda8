//! What is on sale, by kind, by publisher, and one at a time.

use super::resources::{listing, newest, newest_manifest, publisher_id};
use super::search::listing as listing_of_number;
use super::{Database, Tx, TxResult};
use crate::catalogue::cover;
use crate::store::database::row::{json, sealed};
use crate::store::{CoverPart, Listing, SearchPage, Shelf, Shelves, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{Digest, Manifest, PublisherName, ResourceName};

/// Kinds on sale, by name. Each is one step in an index, however much of it there is.
fn kinds(tx: &Tx<'_>, limit: u32) -> TxResult<Vec<String>> {
    let mut kinds: Vec<String> = Vec::new();
    for _ in 0..limit {
        let after = kinds.last().map_or("", String::as_str);
        let sql = "SELECT kind FROM catalogue WHERE sold = 1 AND kind > ?1 ORDER BY kind LIMIT 1";
        match tx.one(sql, [after], |row| row.get(0))? {
            Some(kind) => kinds.push(kind),
            None => break,
        }
    }
    Ok(kinds)
}

fn sold_by(tx: &Tx<'_>, publisher: &PublisherName, page: u32, per_page: u32) -> TxResult<SearchPage> {
    let Some(id) = publisher_id(tx, publisher)? else {
        return Ok(SearchPage { listings: Vec::new(), products: Vec::new(), next: None });
    };
    let before = if page == 0 { i64::MAX } else { i64::from(page) };
    // One more than the page, to know whether there is another one.
    let mut numbers: Vec<i64> = tx.all(
        "SELECT number FROM catalogue WHERE publisher = ?1 AND sold = 1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
        (id.0.0, before, i64::from(per_page) + 1),
        |row| row.get(0),
    )?;
    let size = usize::try_from(per_page).unwrap_or(usize::MAX);
    let more = numbers.len() > size;
    numbers.truncate(size);
    let next = numbers.last().filter(|_| more).and_then(|last| u32::try_from(*last).ok());
    let listings: Vec<Option<Listing>> =
        numbers.into_iter().map(|number| listing_of_number(tx, number)).collect::<TxResult<_>>()?;
    Ok(SearchPage { listings: listings.into_iter().flatten().collect(), products: Vec::new(), next })
}

fn shelf(tx: &Tx<'_>, publisher: &PublisherName, name: &ResourceName) -> TxResult<Option<Shelf>> {
    let Some(listing) = listing(tx, publisher, name)? else { return Ok(None) };
    let Some(id) = publisher_id(tx, publisher)? else { return Ok(None) };
    let Some(digest) = newest(&listing.versions).map(|version| version.digest) else { return Ok(None) };
    let Some(manifest) = newest_manifest(tx, publisher, name)? else { return Ok(None) };
    let sql = "SELECT 1 FROM catalogue WHERE publisher = ?1 AND name = ?2 AND sold = 1";
    let sold = tx.one(sql, (id.0.0, name.as_str()), |_| Ok(()))?.is_some();
    Ok(Some(Shelf { listing, manifest, digest, sold }))
}

fn cover_of(tx: &Tx<'_>, resource: &Digest) -> TxResult<Option<CoverPart>> {
    let sold =
        "SELECT r.manifest FROM resources r JOIN publishers p ON p.id = r.publisher JOIN accounts a ON a.id = p.owner
                WHERE r.digest = ?1 AND r.withdrawn_at IS NULL AND r.stands = 1 AND a.suspended_at IS NULL";
    let manifest = tx.one(sold, [resource.as_bytes()], |row| json::<Manifest>(row, 0))?;
    let Some(part) = manifest.as_ref().and_then(cover::of) else { return Ok(None) };
    let key = tx.one(
        "SELECT key FROM parts WHERE resource = ?1 AND name = ?2 AND public = 1",
        (resource.as_bytes(), part.name.as_str()),
        |row| sealed(row, 0),
    )?;
    Ok(key.map(|key| CoverPart { part: part.clone(), key }))
}

#[async_trait]
impl<D: Database> Shelves for D {
    async fn kinds(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        self.read("kinds", move |tx| kinds(tx, limit)).await
    }

    async fn sold_by(&self, publisher: &PublisherName, page: u32, per_page: u32) -> Result<SearchPage, StoreError> {
        let publisher = publisher.clone();
        self.read_many("sold by", move |tx| sold_by(tx, &publisher, page, per_page)).await
    }

    async fn shelf(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Option<Shelf>, StoreError> {
        let (publisher, name) = (publisher.clone(), name.clone());
        self.read_many("shelf", move |tx| shelf(tx, &publisher, &name)).await
    }

    async fn cover(&self, resource: &Digest) -> Result<Option<CoverPart>, StoreError> {
        let resource = *resource;
        self.read_many("cover", move |tx| cover_of(tx, &resource)).await
    }
}
