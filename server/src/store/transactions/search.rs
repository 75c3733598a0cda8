//! The catalogue as it is searched. The index is an ordinary table of trigrams; what it costs to ask it is bounded by
//! [`POSTINGS`] and [`CANDIDATES`], however large the catalogue is and whatever is asked.

use super::resources::{newest, newest_manifest, publisher_id, versions};
use super::{Tx, TxError, TxResult, listed_products, offers};
use crate::catalogue::cover;
use crate::catalogue::search::{Query, Texts, Trigram, Word, score};
use crate::store::database::row::{Row, checked, json, maybe_bytes, octets, text, to_json};
use crate::store::{Listing, ListingVersion, PublisherId, SearchPage, SearchQuery};
use portcullis_protocol::{AccountId, Digest, PublicKey, PublisherName, ResourceName};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Listings that are looked up for a trigram: the best and newest that have it. A trigram that more have says little.
const POSTINGS: u32 = 512;
/// Listings that are read and ranked for a query: those that have the most and the rarest of its trigrams.
const CANDIDATES: usize = 200;
/// Listings of another kind, or of somebody who is suspended, that are passed over for them.
const PASSED_OVER: usize = 600;
/// Listings of one seller that are ranked before others are looked at.
const OF_ONE: usize = 20;
/// Listings of one seller after which its next ones count for half, for a third and so on.
const IN_A_ROW: u32 = 5;
/// Listings that are called exactly what is looked for, and that are always among the candidates.
const OF_NAME: u32 = 20;
/// Oldest listings that are looked up for a trigram that more have than are looked up, of each weight.
const OLDEST: u32 = 128;
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
        match good {
            true => tx.change(
                "UPDATE catalogue SET sold = 1 WHERE publisher = ?1 AND versions <> '[]' AND sold = 0
                     AND EXISTS (SELECT 1 FROM resources r WHERE r.publisher = catalogue.publisher
                                     AND r.name = catalogue.name AND r.stands = 1)",
                [publisher.0.0],
            )?,
            false => tx.change("UPDATE catalogue SET sold = 0 WHERE publisher = ?1 AND sold = 1", [publisher.0.0])?,
        };
    }
    Ok(())
}

/// Takes off sale what a publisher's key stands for no version of.
pub(super) fn end_sale(tx: &Tx<'_>, publisher: &PublisherId) -> TxResult<()> {
    let sql = "UPDATE catalogue SET sold = 0 WHERE publisher = ?1 AND sold = 1
                   AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.publisher = catalogue.publisher
                                       AND r.name = catalogue.name AND r.stands = 1)";
    tx.change(sql, [publisher.0.0]).map(drop)
}

/// Some of what is in the index although its publisher's key stands for no version of it.
pub(super) fn listed_in_vain(tx: &Tx<'_>, publisher: &PublisherId, limit: u32) -> TxResult<Vec<ResourceName>> {
    let sql = "SELECT c.name FROM catalogue c WHERE c.publisher = ?1 AND c.versions <> '[]'
                   AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.publisher = c.publisher AND r.name = c.name
                                       AND r.stands = 1)
               ORDER BY c.name LIMIT ?2";
    tx.all(sql, (publisher.0.0, limit), |row| text(row, 0))
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

/// What answers a query, best first; of equals the newest. After each [`IN_A_ROW`] of one seller the next count for
/// less: whoever lists a thousand things of a name hides nobody else's.
fn ranked(tx: &Tx<'_>, words: &[Word], kind: Option<&str>) -> TxResult<Vec<i64>> {
    let (mut candidates, mut more) = (Vec::new(), Vec::new());
    let mut proposed_of: HashMap<[u8; 16], usize> = HashMap::new();
    let mut seen = HashSet::new();
    for number in named(tx, words)?.into_iter().chain(proposed(tx, words)?).filter(|number| seen.insert(*number)) {
        if candidates.len() == CANDIDATES {
            break;
        }
        let seller = tx.one(
            "SELECT coalesce(p.owner, m.owner) FROM catalogue c LEFT JOIN publishers p ON p.id = c.publisher
                 LEFT JOIN merchants m ON m.id = c.merchant
             WHERE c.number = ?1 AND c.sold = 1 AND c.kind = coalesce(?2, c.kind)",
            (number, kind),
            |row| row.get::<[u8; 16]>(0),
        )?;
        let Some(seller) = seller else { continue };
        let proposed = proposed_of.entry(seller).or_default();
        *proposed += 1;
        if *proposed <= OF_ONE { &mut candidates } else { &mut more }.push((number, seller));
    }
    let mut found: Vec<(u32, i64, [u8; 16])> = Vec::new();
    for (number, seller) in candidates.into_iter().chain(more).take(CANDIDATES) {
        let texts = tx.one("SELECT texts FROM catalogue WHERE number = ?1", [number], |row| json::<Texts>(row, 0))?;
        found.extend(texts.and_then(|texts| score(words, &texts)).map(|score| (score, number, seller)));
    }
    found.sort_unstable_by_key(|found| Reverse(*found));
    let mut shown_of: HashMap<[u8; 16], u32> = HashMap::new();
    let mut shown: Vec<(u32, i64)> = found
        .into_iter()
        .map(|(score, number, seller)| {
            let before = shown_of.entry(seller).or_default();
            let worth = score / (1 + *before / IN_A_ROW);
            *before += 1;
            (worth, number)
        })
        .collect();
    // Stable, so that what one seller lists stays in the order in which it answers.
    shown.sort_by_key(|(worth, _)| Reverse(*worth));
    Ok(shown.into_iter().map(|(_, number)| number).collect())
}

/// What is called exactly so: the name of a thing, with or without its seller's before it, and what a seller sells.
/// However many listings have the same trigrams, these are among the candidates.
fn named(tx: &Tx<'_>, words: &[Word]) -> TxResult<Vec<i64>> {
    let name = |words: &[Word]| words.iter().map(Word::text).collect::<Vec<_>>().join("-");
    let whole = name(words);
    let number = |row: &Row<'_>| row.get::<i64>(0);
    let mut found = Vec::new();
    for cut in 1..words.len() {
        let (seller, thing) = (name(&words[..cut]), name(&words[cut..]));
        for sql in [
            "SELECT c.number FROM catalogue c JOIN publishers p ON p.id = c.publisher WHERE p.name = ?1 AND c.name = ?2",
            "SELECT c.number FROM catalogue c JOIN merchants m ON m.id = c.merchant WHERE m.name = ?1 AND c.name = ?2",
        ] {
            found.extend(tx.one(sql, (&seller, &thing), number)?);
        }
    }
    // The first that were called so, whoever calls something so later.
    let sql = "SELECT number FROM catalogue WHERE name = ?1 AND sold = 1 ORDER BY number LIMIT ?2";
    found.extend(tx.all(sql, (&whole, OF_NAME), number)?);
    for sql in [
        "SELECT c.number FROM publishers p JOIN catalogue c ON c.publisher = p.id AND c.sold = 1
         WHERE p.name = ?1 ORDER BY c.number DESC LIMIT ?2",
        "SELECT c.number FROM merchants m JOIN catalogue c ON c.merchant = m.id AND c.sold = 1
         WHERE m.name = ?1 ORDER BY c.number DESC LIMIT ?2",
    ] {
        found.extend(tx.all(sql, (&whole, OF_NAME), number)?);
    }
    Ok(found)
}

/// What the index proposes: what has the most and rarest trigrams of the words. One that more listings have than are
/// looked up says nothing against those that are not among them, so it only decides between equals. Of those the
/// newest and the oldest are looked up, and proposed in turn: no later listing takes the place of an older one.
fn proposed(tx: &Tx<'_>, words: &[Word]) -> TxResult<Vec<i64>> {
    let mut points: HashMap<i64, (i64, usize)> = HashMap::new();
    let read = |row: &Row<'_>| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?));
    for trigram in words.iter().flat_map(Word::asked) {
        let newest: Vec<(i64, i64)> = tx.all(
            "SELECT listing, weight FROM trigrams WHERE trigram = ?1 ORDER BY weight DESC, listing DESC LIMIT ?2",
            (trigram, POSTINGS),
            read,
        )?;
        let count = u32::try_from(newest.len()).unwrap_or(POSTINGS);
        let is_whole = count < POSTINGS;
        let worth = if is_whole { RARE * i64::from((POSTINGS / count.max(1)).ilog2() + 1) } else { 1 };
        // Of each weight: the oldest listings may have the trigram in their description only.
        let mut oldest = Vec::new();
        for weight in (1..=Texts::MOST_WEIGHT).rev().filter(|_| !is_whole) {
            oldest.extend(tx.all(
                "SELECT listing, weight FROM trigrams WHERE trigram = ?1 AND weight = ?2 ORDER BY listing LIMIT ?3",
                (trigram, weight, OLDEST),
                read,
            )?);
        }
        let mut counted = HashSet::new();
        for (place, (listing, weight)) in newest.into_iter().enumerate().chain(oldest.into_iter().enumerate()) {
            let (points, best) = points.entry(listing).or_insert((0, place));
            *best = place.min(*best);
            if counted.insert(listing) {
                *points += weight * worth;
            }
        }
    }
    let mut best: Vec<(i64, Reverse<usize>, i64)> =
        points.into_iter().map(|(number, (points, place))| (points, Reverse(place), number)).collect();
    best.sort_unstable_by_key(|best| Reverse(*best));
    Ok(best.into_iter().take(CANDIDATES + PASSED_OVER).map(|(_, _, number)| number).collect())
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
                adoption: None,
                cover: maybe_bytes(row, 8, Digest::from_bytes)?,
            };
            Ok((octets(row, 0).map(PublisherId)?, listing))
        },
    )?;
    let Some((publisher, listing)) = found else { return Ok(None) };
    let offers = offers::of_resource(tx, &publisher, &listing.name)?;
    Ok(Some(Listing { offers, ..listing }))
}
