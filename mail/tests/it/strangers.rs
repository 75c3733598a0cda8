//! Bills as strangers write them: the layouts of more than a hundred billers, and what shops and ledgers print. The
//! words of the extractor may be chosen by the half of the layouts that is called tuned, and since they were opened, in
//! November 2026, by the others as well: `held_out.rs` says what is read of what nobody looked at.

use crate::signer::{foreign, names, python_with};
use crate::stage::{fetcher, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::{Biller, BillerRegistry, Level};
use portcullis_protocol::Digest;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Deserialize)]
struct Sample {
    raw: String,
    source: Source,
    language: String,
    biller: String,
    amount: i64,
    currency: String,
    due: Option<String>,
    readable: bool,
}

/// Where bills are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// Templates of invoice2data that words were chosen by.
    Tuned,
    /// The other half, which nobody looked at until November 2026.
    Opened,
    /// Those that came later, or that are of other countries. They were opened at the same time.
    Later,
    /// Words of shops and ledgers, as others translated them.
    Printed,
}

impl Source {
    /// As the page names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tuned => "strangers' layouts, the half that words were chosen by",
            Self::Opened => "strangers' layouts, the half that was opened later",
            Self::Later => "strangers' layouts of a later version, opened as well",
            Self::Printed => "words of shops and ledgers, as others translated them",
        }
    }
}

/// What became of some bills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// How many there are.
    pub(crate) all: usize,
    /// Verified, with the right amount.
    pub(crate) right: usize,
    /// Verified, with another amount, currency or due date.
    pub(crate) wrong: usize,
}

/// By source, and whether a person could tell the total from the lines of the bill.
pub(crate) type Counts = BTreeMap<(Source, bool), Count>;

/// Reads them all, once.
pub(crate) async fn count() -> Counts {
    let made = python_with("strangers.py", &[&foreign("invoices")], "");
    let samples: Vec<Sample> = serde_json::from_value(made["mails"].clone()).expect("samples");
    let billers: BTreeMap<&str, &str> =
        samples.iter().map(|sample| (sample.biller.as_str(), sample.currency.as_str())).collect();
    assert!(samples.len() >= 300 && billers.len() >= 100, "{} bills of {} billers", samples.len(), billers.len());
    let languages: BTreeSet<&str> = samples.iter().map(|sample| sample.language.as_str()).collect();
    assert!(languages.len() >= 4, "{languages:?}");
    let biller = |(domain, currency): (&&str, &&str)| Biller {
        id: domain.replace('.', "-"),
        name: (*domain).to_owned(),
        domains: vec![(*domain).to_owned()],
        ibans: vec![],
        currency: currency.parse().ok(),
    };
    let registry = BillerRegistry { iat: 1, billers: billers.iter().map(biller).collect() };
    let raw: Vec<Vec<u8>> = samples.iter().map(|sample| STANDARD.decode(&sample.raw).expect("base64")).collect();
    let digests: Vec<Digest> = raw.iter().map(|raw| Digest::of(raw)).collect();
    let (records, summary) = run(&fetcher(names(&made["keys"]), registry), raw).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    let records: HashMap<Digest, _> = records.into_iter().map(|record| (record.evidence, record)).collect();
    let mut counts = Counts::new();
    for (sample, digest) in samples.iter().zip(digests) {
        let count = counts.entry((sample.source, sample.readable)).or_default();
        count.all += 1;
        let verified = records.get(&digest).filter(|record| record.level == Level::Verified);
        let Some(record) = verified else {
            if sample.readable {
                println!("not read: {} {:?}", sample.biller, records.get(&digest).and_then(|record| record.refusal));
            }
            continue;
        };
        let amount = record.amount.map(|amount| (amount.minor_units(), amount.currency().as_str().to_owned()));
        let due = record.due.map(|due| due.to_string());
        // If the template does not say what the due date is, nobody can tell whether it is right.
        let is_due = due.is_none() || sample.due.is_none() || due == sample.due;
        let is_right = amount == Some((sample.amount, sample.currency.clone())) && is_due;
        count.right += usize::from(is_right);
        count.wrong += usize::from(!is_right);
        if !is_right {
            println!("{} {:?}: {amount:?} {due:?}", sample.biller, sample.source);
        }
    }
    counts
}

/// Whatever is verified of them is right, and most of what a person could tell is read.
#[tokio::test]
async fn what_is_verified_of_strangers_bills_is_right() {
    let counts = count().await;
    println!("{counts:#?}");
    assert_eq!(counts.values().map(|count| count.wrong).sum::<usize>(), 0, "{counts:#?}");
    for source in [Source::Tuned, Source::Opened, Source::Later, Source::Printed] {
        assert!(counts.contains_key(&(source, true)), "the corpora are there: {counts:#?}");
    }
    // Of the later ones fewer are read, and the page says how many.
    for source in [Source::Tuned, Source::Opened, Source::Printed] {
        let count = counts[&(source, true)];
        assert!(count.right * 100 >= count.all * 95, "recall of {source:?}: {count:?}");
    }
}
