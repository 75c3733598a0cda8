//! Bills and other mail that somebody wrote who had not seen the extractor, and signed. Nobody who works on the
//! extractor has looked at them, at what they say or at what became of which: they are only counted, by language.

use crate::signer::names;
use crate::stage::{account, fetcher, run};
use portcullis_mail::{Biller, BillerRegistry, Fetcher, Level};
use portcullis_protocol::{Currency, Digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// What a mail is; of what else is said of it nothing is looked at.
#[derive(Deserialize)]
struct Truth {
    file: String,
    from: String,
    language: String,
    is_bill: bool,
    /// With a point before its decimals, if there are any.
    amount: Option<String>,
    currency: Option<Currency>,
    due: Option<String>,
}

#[derive(Deserialize)]
struct Keys {
    txt: String,
    names: Vec<String>,
}

/// Who they are written to.
const USER: &str = "kim@example.org";

/// What was measured in December 2026. It is no aim: that is 95 % of the bills, and nothing wrong.
pub(crate) const MEASURED: Tally = Tally { bills: 131, right: 102, wrong: 4, others: 55, taken: 3 };

/// What became of the mails of a language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) bills: usize,
    /// Bills that are verified with the right amount.
    pub(crate) right: usize,
    /// Bills that are verified with another amount, currency or due date.
    pub(crate) wrong: usize,
    /// Mails that are no bills.
    pub(crate) others: usize,
    /// Of these the ones that are verified with an amount.
    pub(crate) taken: usize,
}

impl Tally {
    /// Adds a mail; `read` says whether what was read of it is right, if an amount was.
    pub(crate) fn count(&mut self, is_bill: bool, read: Option<bool>) {
        if is_bill {
            self.bills += 1;
            self.right += usize::from(read == Some(true));
            self.wrong += usize::from(read == Some(false));
        } else {
            self.others += 1;
            self.taken += usize::from(read.is_some());
        }
    }

    /// Whether no less is right and no more is wrong or taken.
    pub(crate) fn is_as_good_as(self, other: Self) -> bool {
        self.right >= other.right && self.wrong <= other.wrong && self.taken <= other.taken
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            bills: self.bills + other.bills,
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
            others: self.others + other.others,
            taken: self.taken + other.taken,
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/held-out")
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(folder().join(name)).expect("a file")).expect("JSON")
}

fn domain(from: &str) -> &str {
    from.rsplit('@').next().unwrap_or_default().trim_end_matches('>')
}

/// In minor units.
fn units(amount: &str, currency: Currency) -> i64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let decimals = currency.exponent().expect("an active currency") as usize;
    format!("{whole}{part:0<decimals$}").parse().expect("digits")
}

/// Each biller with the currency that its bills are in.
fn billers(truths: &[Truth]) -> BillerRegistry {
    let mut currencies: BTreeMap<&str, Option<Currency>> = BTreeMap::new();
    for truth in truths {
        let currency = currencies.entry(domain(&truth.from)).or_default();
        *currency = currency.or(truth.currency);
    }
    let biller = |(domain, currency): (&str, Option<Currency>)| Biller {
        id: domain.replace('.', "-"),
        name: domain.to_owned(),
        domains: vec![domain.to_owned()],
        ibans: vec![],
        currency,
    };
    BillerRegistry { iat: 1, billers: currencies.into_iter().map(biller).collect() }
}

/// Reads them all, once.
async fn count() -> BTreeMap<String, Tally> {
    let truths: Vec<Truth> = read("truth.json");
    let keys: Keys = read("keys.json");
    let records: HashMap<&String, &String> = keys.names.iter().map(|name| (name, &keys.txt)).collect();
    let mut account = account();
    account.addresses = vec![USER.parse().expect("an address")];
    let fetcher = Fetcher {
        account: Arc::new(account),
        ..fetcher(names(&serde_json::to_value(records).expect("names")), billers(&truths))
    };
    let raw: Vec<Vec<u8>> = truths.iter().map(|truth| fs::read(folder().join(&truth.file)).expect("a mail")).collect();
    let digests: Vec<Digest> = raw.iter().map(|raw| Digest::of(raw)).collect();
    let (found, _) = run(&fetcher, raw).await;
    let found: HashMap<Digest, _> = found.into_iter().map(|record| (record.evidence, record)).collect();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (truth, digest) in truths.iter().zip(digests) {
        let tally = tallies.entry(truth.language.clone()).or_default();
        let verified = found.get(&digest).filter(|record| record.level == Level::Verified);
        let read = verified.and_then(|record| Some((record.amount?, record.due.map(|due| due.to_string()))));
        let owed =
            truth.amount.as_deref().zip(truth.currency).map(|(amount, currency)| (units(amount, currency), currency));
        let is_right = read.map(|(amount, due)| {
            owed == Some((amount.minor_units(), amount.currency())) && (due.is_none() || due == truth.due)
        });
        tally.count(truth.is_bill, is_right);
    }
    tallies
}

/// They are read no worse than they were, which is far from the aim: `docs/bill-mail.md` says so.
#[tokio::test]
async fn what_nobody_looked_at_is_read_as_well_as_it_was() {
    let tallies = count().await;
    println!("{tallies:#?}");
    let all = tallies.values().fold(Tally::default(), |all, tally| all.plus(*tally));
    assert_eq!((all.bills, all.others), (MEASURED.bills, MEASURED.others), "{all:?}");
    assert!(all.is_as_good_as(MEASURED), "{all:?}");
}
