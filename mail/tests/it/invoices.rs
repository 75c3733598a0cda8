//! Published invoices, read by another reader as well: both have to say the same.

use crate::signer::{foreign, python_with, sign};
use crate::stage::{USER, fetcher, mail, registry, run};
use portcullis_mail::{BillRecord, Refusal};
use portcullis_protocol::Digest;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

#[derive(Deserialize)]
struct Sample {
    name: String,
    syntax: String,
    credit: bool,
    amount: Option<String>,
    currency: Option<String>,
    due: Option<String>,
    raw: String,
}

#[derive(Deserialize)]
struct Document {
    name: String,
    amount: Option<String>,
    currency: Option<String>,
    due: Option<String>,
    raw: String,
}

#[derive(Deserialize)]
struct Corpora {
    samples: Vec<Sample>,
    documents: Vec<Document>,
}

fn corpora() -> Corpora {
    let found = python_with("invoices.py", &[&foreign("invoices")], "");
    serde_json::from_value(found).expect("what the other reader says")
}

/// A mail with nothing but this file.
fn with_file(name: &str, media_type: &str, base64: &str) -> Vec<u8> {
    let lines: Vec<&str> = base64.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let kind = format!("{media_type}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64");
    mail("power.example", USER, "Your invoice", &lines.join("\n"))
        .replace("text/plain; charset=utf-8", &kind)
        .into_bytes()
}

/// What is found in each of these mails.
async fn records(mails: Vec<Vec<u8>>) -> Vec<Option<BillRecord>> {
    let digests: Vec<Digest> = mails.iter().map(|mail| Digest::of(mail)).collect();
    let (records, summary) = run(&fetcher(sign(&[]).1, registry(&["power.example"])), mails).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    let mut records: HashMap<Digest, BillRecord> =
        records.into_iter().map(|record| (record.evidence, record)).collect();
    digests.iter().map(|digest| records.remove(digest)).collect()
}

fn agrees(record: Option<&BillRecord>, sample: &Sample) -> bool {
    let Some(record) = record else { return sample.syntax == "other" };
    if sample.syntax == "other" {
        return record.amount.is_none();
    }
    let negative = sample.amount.as_deref().is_some_and(|amount| amount.starts_with('-'));
    if sample.credit {
        return record.refusal == Some(Refusal::CreditNote);
    }
    if negative {
        return record.refusal == Some(Refusal::AmountOutOfRange);
    }
    let said = sample.amount.as_deref().zip(sample.currency.as_deref());
    record.amount.map(|amount| amount.to_string()) == said.map(|(amount, currency)| format!("{amount} {currency}"))
        && record.due.map(|due| due.to_string()) == sample.due
}

/// By syntax how many samples both readers read alike, and how many there are. A difference is a panic.
pub(crate) async fn agreement() -> BTreeMap<String, (usize, usize)> {
    let samples = corpora().samples;
    let mails = samples.iter().map(|sample| with_file(&sample.name, "application/xml", &sample.raw)).collect();
    let found = records(mails).await;
    let mut agreed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (sample, record) in samples.iter().zip(&found) {
        let (good, all) = agreed.entry(sample.syntax.clone()).or_default();
        *all += 1;
        if agrees(record.as_ref(), sample) {
            *good += 1;
        } else {
            wrong.push((&sample.name, &sample.amount, &sample.due, record));
        }
    }
    println!("agreement with another reader: {agreed:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    agreed
}

#[tokio::test]
async fn published_invoices_are_read_as_another_reader_reads_them() {
    let agreed = agreement().await;
    assert!(agreed["ubl"].1 >= 60 && agreed["cii"].1 >= 5, "the corpora are there: {agreed:?}");
}

/// How many published bills in PDF are read, and how many there are. One that is read and wrong is a panic.
pub(crate) async fn documents_read() -> (usize, usize) {
    let documents = corpora().documents;
    let mails = documents.iter().map(|document| with_file(&document.name, "application/pdf", &document.raw)).collect();
    let found = records(mails).await;
    let mut read = 0;
    for (document, record) in documents.iter().zip(&found) {
        let record = record.as_ref();
        println!("{}: {:?}", document.name, record.map(|record| (record.amount, record.due, record.refusal)));
        let Some(amount) = record.and_then(|record| record.amount) else { continue };
        read += 1;
        // If nobody says what is right, it is the invoice inside that counts.
        let Some(said) = document.amount.as_ref().zip(document.currency.as_ref()) else { continue };
        assert_eq!(amount.to_string(), format!("{} {}", said.0, said.1), "{}", document.name);
        let due = record.and_then(|record| record.due).map(|due| due.to_string());
        assert!(due.is_none() || document.due.is_none() || due == document.due, "{}: {due:?}", document.name);
    }
    println!("documents read: {read} of {}", documents.len());
    let facturx = documents.iter().position(|document| document.name == "invoice_EN16931.pdf").expect("Factur-X");
    assert!(found[facturx].as_ref().is_some_and(|record| record.amount.is_some()), "{:?}", found[facturx]);
    (read, documents.len())
}

/// Whatever is read of strangers' bills has to be right. How many are read is published, not asserted: their words were
/// never looked at.
#[tokio::test]
async fn what_is_read_of_published_documents_is_right() {
    let (read, all) = documents_read().await;
    assert!(0 < read && read <= all, "{read} of {all}");
}
