//! The generated corpus: what is found, what is verified, and that nothing else is.

use crate::signer::{names, python};
use crate::stage::{fetcher, registry, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::Level;
use portcullis_protocol::Digest;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

#[derive(Deserialize)]
struct Sample {
    raw: String,
    bill: bool,
    held_out: bool,
    language: String,
    kind: String,
    amount: i64,
    due: String,
    account: String,
}

/// Which layouts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Group {
    /// Those that the words were chosen for.
    Tuned,
    /// Those that were set aside.
    HeldOut,
}

/// Of each group how many bills there are, and how many are verified and right. Whatever is verified and wrong is a
/// panic.
pub(crate) async fn count() -> [[u32; 2]; 2] {
    let made = python("corpus.py", "");
    let samples: Vec<Sample> = serde_json::from_value(made["mails"].clone()).expect("samples");
    let kinds: BTreeSet<&str> =
        samples.iter().filter(|sample| sample.bill).map(|sample| sample.kind.as_str()).collect();
    let languages: BTreeSet<&str> = samples.iter().map(|sample| sample.language.as_str()).collect();
    let bills = samples.iter().filter(|sample| sample.bill).count();
    assert!(kinds.len() >= 15 && languages.len() == 4 && bills >= 300 && samples.len() - bills >= 300);

    let domains: Vec<String> = kinds.iter().map(|kind| format!("{kind}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let raw: Vec<Vec<u8>> = samples.iter().map(|sample| STANDARD.decode(&sample.raw).expect("base64")).collect();
    let digests: Vec<Digest> = raw.iter().map(|raw| Digest::of(raw)).collect();
    let (records, summary) = run(&fetcher(names(&made["keys"]), registry(&domains)), raw).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    let records: HashMap<Digest, _> = records.into_iter().map(|record| (record.evidence, record)).collect();

    let mut wrong = Vec::new();
    let (mut found, mut of) = ([0_u32; 2], [0_u32; 2]);
    let mut due_read = 0;
    for (sample, digest) in samples.iter().zip(digests) {
        let verified = records.get(&digest).filter(|record| record.level == Level::Verified);
        let right = verified.is_some_and(|record| {
            record.amount.is_some_and(|amount| amount.minor_units() == sample.amount)
                && record.due.is_none_or(|due| due.to_string() == sample.due)
                && record.account.as_deref().is_none_or(|account| account.ends_with(&sample.account))
        });
        if verified.is_some() && !(sample.bill && right) {
            wrong.push((sample.kind.clone(), sample.language.clone(), verified.cloned()));
        }
        if sample.bill {
            of[usize::from(sample.held_out)] += 1;
            found[usize::from(sample.held_out)] += u32::from(right);
            due_read += u32::from(verified.is_some_and(|record| record.due.is_some()));
        }
    }
    println!("tuned {}/{}, held out {}/{}, due dates {due_read}", found[0], of[0], found[1], of[1]);
    assert!(wrong.is_empty(), "precision of the verified level: {wrong:#?}");
    [[of[0], found[0]], [of[1], found[1]]]
}

#[tokio::test]
async fn verified_bills_are_bills_and_most_are_found() {
    for [of, found] in count().await {
        assert!(f64::from(found) >= 0.95 * f64::from(of), "recall: {found} of {of}");
    }
}
