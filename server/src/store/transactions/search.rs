//! The catalogue as it is searched. The index is an ordinary table of trigrams; what it costs to ask it is bounded by
//! [`POSTINGS`] and [`CANDIDATES`], however large the catalogue is and whatever is asked.

use super::resources::{newest, newest_manifest, publisher_id, versions};
use super::{Tx, TxError, TxResult, listed_products, offers};
use crate::catalogue::cover;
use crate::catalogue::search::{Query, Texts, Trigram, Word, score};
use crate::store::database::row::{checked, json, maybe_bytes, octets, text, to_json};
use crate::store::{Listing, ListingVersion, PublisherId, SearchPage, SearchQuery};
use portcullis_protocol::{AccountId, Digest, PublicKey, PublisherName, ResourceName};
use std::collections::{BTreeMap, HashMap};

/// Listings that are looked up for a trigram: the best and newest that have it. A trigram that more have says little.
const POSTINGS: u32 = 512;
/// Listings that are read and ranked for a query: those that have the most and the rarest of its trigrams.
const CANDIDATES: usize = 200;
/// Listings of another kind, or of somebody who is suspended, that are passed over for them.
const PASSED_OVER: usize = 600;
/// How much more a trigram counts of which all listings are known than all those together of which they are not.
const RARE: i64 = 1_000;
/// Versions of a resource that a search shows, newest first: it is to be chosen from, and its entry has the others.
const SHOWN_VERSIONS: usize = 8;

/// Brings the catalogue up to date with a resource of which a version was published, withdrawn or restored, in the
/// transaction that does it.
pub(super) fn refresh(tx: &Tx<'_>, publisher: &PublisherName, name: &ResourceName) -> TxResult<()> {
    let Some(id) = publisher_id(tx, publisher)? else { return Ok(()) };
    let versions = versions(tx, &id, name)?;
    let (Some(newest), Some(manifest)) = (newest(&versions), newest_manifest(tx, publisher, name)?) else {
        return Ok(());
    };
    let newest = newest.digest;
    let shown = shown(versions);
    let texts = Texts::of(&manifest);
    let sold = !shown.is_empty() && in_good_standing(tx, &id)?;
    // What is withdrawn is not in the index. What is suspended is passed over: it may be back tomorrow.
    let before = tx.one(
        "SELECT texts FROM catalogue WHERE publisher = ?1 AND name = ?2 AND versions <> '[]'",
        (id.0.0, name.as_str()),
        |row| json::<Texts>(row, 0),
    )?;
    let number = tx.one(
        "INSERT INTO catalogue (publisher, name, newest, kind, versions, texts, sold, cover)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (publisher, name) DO UPDATE
         SET newest = excluded.newest, kind = excluded.kind, versions = excluded.versions, texts = excluded.texts,
             sold = excluded.sold, cover = excluded.cover
         RETURNING number",
        (
            id.0.0,
            name.as_str(),
            newest.as_bytes(),
            &manifest.kind,
            to_json(&shown)?,
            to_json(&texts)?,
            sold,
            cover::of(&manifest).is_some(),
        ),
        |row| row.get::<i64>(0),
    )?;
    let number = number.ok_or(TxError::Damaged)?;
    let old = before.map(|texts| texts.trigrams()).unwrap_or_default();
    let new = if shown.is_empty() { BTreeMap::new() } else { texts.trigrams() };
    index(tx, number, &old, &new)
}

/// Brings the index up to date with a listing.
pub(super) fn index(
    tx: &Tx<'_>,
    number: i64,
    old: &BTreeMap<Trigram, i64>,
    new: &BTreeMap<Trigram, i64>,
) -> TxResult<()> {
    for (trigram, weight) in old.iter().filter(|(trigram, weight)| new.get(*trigram) != Some(*weight)) {
        let sql = "DELETE FROM trigrams WHERE trigram = ?1 AND weight = ?2 AND listing = ?3";
        tx.change(sql, (trigram, weight, number))?;
    }
    for (trigram, weight) in new.iter().filter(|(trigram, weight)| old.get(*trigram) != Some(*weight)) {
        let sql = "INSERT INTO trigrams (trigram, weight, listing) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        tx.change(sql, (trigram, weight, number))?;
    }
    Ok(())
}

/// Whether the account that owns a publisher may sell.
fn in_good_standing(tx: &Tx<'_>, publisher: &PublisherId) -> TxResult<bool> {
    let sql = "SELECT 1 FROM publishers p JOIN accounts a ON a.id = p.owner WHERE p.id = ?1 AND a.suspended_at IS NULL";
    Ok(tx.one(sql, [publisher.0.0], |_| Ok(()))?.is_some())
}

/// Takes what an account publishes off sale, or puts it back, in the transaction that suspends or restores it.
pub(super) fn set_standing(tx: &Tx<'_>, owner: &AccountId, good: bool) -> TxResult<()> {
    let publishers = tx
        .all("SELECT id FROM publishers WHERE owner = ?1", [owner.as_bytes()], |row| octets(row, 0).map(PublisherId))?;
    for publisher in publishers {
        tx.change(
            "UPDATE catalogue SET sold = ?2 WHERE publisher = ?1 AND versions <> '[]' AND sold <> ?2",
            (publisher.0.0, good),
        )?;
    }
    Ok(())
}

/// Fills the catalogue of a database that was made before there was one, oldest resource first.
pub(crate) fn fill(tx: &Tx<'_>) -> TxResult<()> {
    let names: Vec<(PublisherName, ResourceName)> = tx.all(
        "SELECT (SELECT p.name FROM publishers p WHERE p.id = publisher), name FROM resources GROUP BY publisher, name
         ORDER BY min(published_at), min(version)",
        (),
        |row| Ok((text(row, 0)?, text(row, 1)?)),
    )?;
    names.iter().try_for_each(|(publisher, name)| refresh(tx, publisher, name))
}

/// The newest few that are sold, and among them the newest that is no pre-release: terminals take that one.
fn shown(mut versions: Vec<ListingVersion>) -> Vec<ListingVersion> {
    versions.retain(|version| !version.withdrawn);
    if let Some(stable) = versions.iter().position(|version| !version.version.is_pre_release())
        && stable >= SHOWN_VERSIONS
    {
        versions.swap(SHOWN_VERSIONS - 1, stable);
    }
    versions.truncate(SHOWN_VERSIONS);
    versions
}

/// A page of what is found.
pub(super) fn search(tx: &Tx<'_>, query: &SearchQuery) -> TxResult<SearchPage> {
    let kind = query.kind.as_deref();
    let (numbers, next) = match Query::parse(&query.text) {
        Query::Everything => browse(tx, kind, query.page, query.per_page)?,
        Query::Words(words) => {
            let all = ranked(tx, &words, kind)?;
            let size = usize::try_from(query.per_page).unwrap_or(usize::MAX);
            let before = size.saturating_mul(usize::try_from(query.page).unwrap_or(usize::MAX));
            let more = all.len() > before.saturating_add(size);
            (all.into_iter().skip(before).take(size).collect(), if more { query.page.checked_add(1) } else { None })
        }
    };
    let (mut listings, mut products) = (Vec::new(), Vec::new());
    for number in numbers {
        match listing(tx, number)? {
            Some(listing) => listings.push(listing),
            None => products.extend(listed_products::find(tx, number, listings.len() + products.len())?),
        }
    }
    Ok(SearchPage { listings, products, next })
}

/// Everything on sale, newest first. A page is named by the listing before it, so that none is passed over or shown
/// twice while others are published.
fn browse(tx: &Tx<'_>, kind: Option<&str>, page: u32, per_page: u32) -> TxResult<(Vec<i64>, Option<u32>)> {
    let before = if page == 0 { i64::MAX } else { i64::from(page) };
    // One more than the page, to know whether there is another one.
    let limit = i64::from(per_page) + 1;
    let mut numbers: Vec<i64> = match kind {
        Some(kind) => tx.all(
            "SELECT number FROM catalogue WHERE kind = ?1 AND sold = 1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            (kind, before, limit),
            |row| row.get(0),
        )?,
        None => tx.all(
            "SELECT number FROM catalogue WHERE sold = 1 AND number < ?1 ORDER BY number DESC LIMIT ?2",
            (before, limit),
            |row| row.get(0),
        )?,
    };
    let more = numbers.len() > usize::try_from(per_page).unwrap_or(usize::MAX);
    numbers.truncate(usize::try_from(per_page).unwrap_or(usize::MAX));
    let last = numbers.last().filter(|_| more);
    Ok((numbers.clone(), last.and_then(|last| u32::try_from(*last).ok())))
}

/// What answers a query, best first; of equals the newest.
fn ranked(tx: &Tx<'_>, words: &[Word], kind: Option<&str>) -> TxResult<Vec<i64>> {
    let (mut found, mut read) = (Vec::new(), 0);
    for number in proposed(tx, words)? {
        if read == CANDIDATES {
            break;
        }
        let texts = tx.one(
            "SELECT texts FROM catalogue WHERE number = ?1 AND sold = 1 AND kind = coalesce(?2, kind)",
            (number, kind),
            |row| json::<Texts>(row, 0),
        )?;
        read += usize::from(texts.is_some());
        found.extend(texts.and_then(|texts| score(words, &texts)).map(|score| (score, number)));
    }
    found.sort_unstable_by_key(|found| std::cmp::Reverse(*found));
    Ok(found.into_iter().map(|(_, number)| number).collect())
}

/// What the index proposes: what has the most and rarest trigrams of the words. One that more listings have than are
/// looked up says nothing against those that are not among them, so it only decides between equals.
fn proposed(tx: &Tx<'_>, words: &[Word]) -> TxResult<Vec<i64>> {
    let mut points: HashMap<i64, i64> = HashMap::new();
    for trigram in words.iter().flat_map(Word::asked) {
        let listings: Vec<(i64, i64)> = tx.all(
            "SELECT listing, weight FROM trigrams WHERE trigram = ?1 ORDER BY weight DESC, listing DESC LIMIT ?2",
            (trigram, POSTINGS),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let worth = match u32::try_from(listings.len()).unwrap_or(POSTINGS) {
            POSTINGS.. => 1,
            few => RARE * i64::from((POSTINGS / few.max(1)).ilog2() + 1),
        };
        for (listing, weight) in listings {
            *points.entry(listing).or_default() += weight * worth;
        }
    }
    let mut best: Vec<(i64, i64)> = points.into_iter().map(|(number, points)| (points, number)).collect();
    best.sort_unstable_by_key(|best| std::cmp::Reverse(*best));
    Ok(best.into_iter().take(CANDIDATES + PASSED_OVER).map(|(_, number)| number).collect())
}

/// A listing as a search shows it.
pub(super) fn listing(tx: &Tx<'_>, number: i64) -> TxResult<Option<Listing>> {
    let found = tx.one(
        "SELECT p.id, p.name, p.key, c.name, r.kind, r.title, r.description, c.versions, 
                CASE WHEN c.cover = 1 THEN c.newest END
         FROM catalogue c JOIN publishers p ON p.id = c.publisher JOIN resources r ON r.digest = c.newest
         WHERE c.number = ?1",
        [number],
        |row| {
            let listing = Listing {
                publisher: text(row, 1)?,
                publisher_key: checked(row, 2, |key: [u8; 32]| PublicKey::from_bytes(&key))?,
                name: text(row, 3)?,
                kind: row.get(4)?,
                title: row.get(5)?,
                description: row.get(6)?,
                versions: json(row, 7)?,
                offers: Vec::new(),
                vouches: Vec::new(),
                cover: maybe_bytes(row, 8, Digest::from_bytes)?,
            };
            Ok((octets(row, 0).map(PublisherId)?, listing))
        },
    )?;
    let Some((publisher, listing)) = found else { return Ok(None) };
    let offers = offers::of_resource(tx, &publisher, &listing.name)?;
    Ok(Some(Listing { offers, ..listing }))
}
