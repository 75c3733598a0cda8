//! Layouts that the extractor is tuned on: how bills are built in the main, and what resembles them and is none. They
//! say what must stay readable, not how well bills of strangers are read: `ordinary.rs` and `held_out.rs` do.

use crate::held_out::Tally;
use crate::signer::{names, python_with};
use crate::stage::{fetcher, registry, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::{BillRecord, BillerRegistry, Level};
use portcullis_protocol::Digest;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// A mail that was written to be read.
#[derive(Deserialize)]
pub(crate) struct Sample {
    raw: String,
    /// The file it is in.
    pub(crate) file: String,
    layout: String,
    /// The sender's.
    domain: String,
    /// In minor units; `None` if nothing is owed.
    owed: Option<i64>,
    currency: Option<String>,
    due: Option<String>,
}

/// How many there are at least of bills, and of what is none.
const AT_LEAST: (usize, usize) = (1_653, 930);
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

/// What was read of a mail.
pub(crate) struct Outcome {
    pub(crate) sample: Sample,
    record: Option<BillRecord>,
}

impl Outcome {
    pub(crate) fn is_bill(&self) -> bool {
        self.sample.owed.is_some()
    }

    /// Whether what is shown is right, if an amount is. That nothing is owed is right of what is no bill.
    pub(crate) fn is_right(&self) -> Option<bool> {
        let record = self.record.as_ref()?;
        let amount = record.amount.filter(|amount| self.is_bill() || amount.minor_units() > 0)?;
        let is_owed = self.sample.owed == Some(amount.minor_units())
            && self.sample.currency.as_deref() == Some(amount.currency().as_str());
        Some(is_owed && self.due().is_none_or(|due| Some(due) == self.sample.due))
    }

    pub(crate) fn is_verified(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.level == Level::Verified)
    }

    fn due(&self) -> Option<String> {
        Some(self.record.as_ref()?.due?.to_string())
    }

    /// What is wrong with it, in a line.
    fn said(&self) -> String {
        let record = self.record.as_ref();
        let (amount, refusal) = (record.and_then(|record| record.amount), record.map(|record| record.refusal));
        format!("{}: {amount:?} {:?} {refusal:?}", self.sample.layout, self.due())
    }
}

/// Reads the mails of a folder beside this one.
pub(crate) async fn outcomes(folder: &str) -> Vec<Outcome> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let made = python_with("layouts.py", &[&folder], "");
    let samples: Vec<Sample> = serde_json::from_value(made["mails"].clone()).expect("samples");
    let raw: Vec<Vec<u8>> = samples.iter().map(|sample| STANDARD.decode(&sample.raw).expect("base64")).collect();
    let digests: Vec<Digest> = raw.iter().map(|raw| Digest::of(raw)).collect();
    let (records, summary) = run(&fetcher(names(&made["keys"]), billers(&samples)), raw).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    let mut records: HashMap<Digest, _> = records.into_iter().map(|record| (record.evidence, record)).collect();
    let outcome = |(sample, digest)| Outcome { sample, record: records.remove(&digest) };
    samples.into_iter().zip(digests).map(outcome).collect()
}

#[tokio::test]
async fn layouts_that_were_looked_at_stay_readable_and_nothing_else_is_owed() {
    let outcomes = outcomes("layouts").await;
    let (mut unread, mut wrong) = (Vec::new(), Vec::new());
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for outcome in &outcomes {
        let sample = &outcome.sample;
        let is_right = outcome.is_right();
        tallies.entry(&sample.file).or_default().count(outcome.is_bill(), is_right);
        match is_right {
            Some(false) => wrong.push(outcome.said()),
            None if outcome.is_bill() => unread.push(outcome.said()),
            Some(true) if outcome.due() != sample.due => println!("no due date: {}", sample.layout),
            _ => {}
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
