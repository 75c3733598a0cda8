//! Layouts that the extractor is tuned on: how bills are built in the main, and what resembles them and is none. They
//! say what must stay readable, not how well bills of strangers are read: `strangers.rs` and `corpus.rs` do.

use crate::held_out::Tally;
use crate::signer::{names, python};
use crate::stage::{fetcher, registry, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::BillerRegistry;
use portcullis_protocol::Digest;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Deserialize)]
struct Sample {
    raw: String,
    /// The file it is in.
    file: String,
    layout: String,
    /// The sender's.
    domain: String,
    /// In minor units; `None` if nothing is owed.
    owed: Option<i64>,
    currency: Option<String>,
    due: Option<String>,
}

/// How many there are at least of bills, and of what is none.
const AT_LEAST: (usize, usize) = (1_413, 690);
/// Bills in 100 that may be left unread of the earlier files.
const UNREAD_EARLIER: usize = 2;
/// The same of the later files, whose names have a number. Most of what is not read of them asks for a payment without
/// calling itself a bill, or leaves a choice.
const UNREAD_LATER: usize = 10;

/// The senders: one whose currency nobody knows, and one for each currency that the list of billers says of it.
fn billers(samples: &[Sample]) -> BillerRegistry {
    let domains: BTreeSet<&str> = samples.iter().map(|sample| sample.domain.as_str()).collect();
    let mut registry = registry(&domains.iter().copied().collect::<Vec<_>>());
    for biller in &mut registry.billers {
        let code = biller.domains[0].split('.').next().map(str::to_uppercase);
        biller.currency = code.and_then(|code| code.parse().ok());
    }
    registry
}

#[tokio::test]
async fn layouts_that_were_looked_at_stay_readable_and_nothing_else_is_owed() {
    let made = python("layouts.py", "");
    let samples: Vec<Sample> = serde_json::from_value(made["mails"].clone()).expect("samples");
    let raw: Vec<Vec<u8>> = samples.iter().map(|sample| STANDARD.decode(&sample.raw).expect("base64")).collect();
    let digests: Vec<Digest> = raw.iter().map(|raw| Digest::of(raw)).collect();
    let (records, summary) = run(&fetcher(names(&made["keys"]), billers(&samples)), raw).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    let records: HashMap<Digest, _> = records.into_iter().map(|record| (record.evidence, record)).collect();

    let (mut unread, mut wrong) = (Vec::new(), Vec::new());
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (sample, digest) in samples.iter().zip(digests) {
        let record = records.get(&digest);
        let amount = record.and_then(|record| record.amount);
        let amount = amount.map(|amount| (amount.minor_units(), amount.currency().as_str().to_owned()));
        let due = record.and_then(|record| record.due).map(|due| due.to_string());
        let owed = sample.owed.zip(sample.currency.clone());
        let is_right = amount == owed && (due.is_none() || due == sample.due);
        tallies.entry(&sample.file).or_default().count(owed.is_some(), amount.is_some().then_some(is_right));
        if amount.is_some() && !is_right {
            wrong.push(format!("{}: {amount:?} {due:?}", sample.layout));
        } else if owed.is_some() && amount.is_none() {
            unread.push(format!("{}: {:?}", sample.layout, record.map(|record| record.refusal)));
        } else if amount.is_some() && due != sample.due {
            println!("no due date: {}", sample.layout);
        }
    }
    println!("{tallies:#?}");
    let Tally { bills, others, .. } = tallies.values().fold(Tally::default(), |all, tally| all.plus(*tally));
    println!("{bills} bills, not read: {unread:?}; {others} others");
    assert!(wrong.is_empty(), "shown as owed, and wrong: {wrong:#?}\nnot read: {unread:#?}");
    let is_later = |file: &str| file.contains('-');
    let bills_of = |later: bool| -> usize {
        tallies.iter().filter(|(file, _)| is_later(file) == later).map(|(_, tally)| tally.bills).sum()
    };
    let later = unread.iter().filter(|layout| layout.split(' ').next().is_some_and(is_later)).count();
    let earlier = unread.len() - later;
    assert!(earlier * 100 <= bills_of(false) * UNREAD_EARLIER, "not read: {unread:#?}");
    assert!(later * 100 <= bills_of(true) * UNREAD_LATER, "not read: {unread:#?}");
    assert!(bills >= AT_LEAST.0 && others >= AT_LEAST.1, "{bills} bills, {others} others");
}
