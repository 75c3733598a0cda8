//! Mail that is not what it says: forged bills, other people's, and invoices that are bombs.

use super::{Arena, Outcome, Trial, attacks};
use crate::mailbox::{self, USER};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use portcullis_mail::{
    Account, BillRecord, Biller, BillerRegistry, Changes, Cursor, Dns, DnsFailure, Doubt, Encryption, Fetched, Fetcher,
    Ledger, Level, MailError, MailId, PdfReader, Protocol, Refusal, SealedFolder, Secret, Source, Templates, TxtAnswer,
    fetch,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

attacks! {
    "forged-bill" => forged_bill,
    "bill-of-somebody-else" => bill_of_somebody_else,
    "bill-with-another-account" => another_account,
    "account-in-another-spelling" => account_spelled,
    "form-that-says-something-else" => form_and_words,
    "words-that-nobody-sees" => hidden_words,
    "bill-with-one-signature-at-a-time" => signed_twice,
    "document-that-is-a-bomb" => document_bomb,
    "invoice-that-is-a-bomb" => invoice_bomb,
}

/// Mails on a shelf.
struct Shelf(Vec<Vec<u8>>);

#[async_trait]
impl Source for Shelf {
    async fn changes(&mut self, _: Option<&Cursor>) -> Result<Changes, MailError> {
        let new = (0..self.0.len()).map(|id| MailId { id: id.to_string(), size: 0 }).collect();
        let next_uid = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        Ok(Changes { fresh: false, new, cursor: Cursor::Imap { uid_validity: 1, next_uid, highest_modseq: None } })
    }

    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError> {
        for mail in mails {
            let found = mail.id.parse().ok().and_then(|at: usize| self.0.get(at));
            arrived.push(found.map_or(Fetched::Gone, |raw| Fetched::Whole(raw.clone())));
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        0
    }
}

struct Names(HashMap<String, String>);

#[async_trait]
impl Dns for Names {
    async fn txt(&self, name: &str) -> Result<TxtAnswer, DnsFailure> {
        let record = self.0.get(name).ok_or(DnsFailure::NotFound)?;
        Ok(TxtAnswer { records: vec![record.clone().into_bytes()], trusted: true })
    }
}

/// The records of a run over these mails, in their order.
async fn records(mails: Vec<Vec<u8>>, ibans: &[&str]) -> Result<Vec<BillRecord>> {
    let power = Biller {
        id: "power".into(),
        name: "Power & Light".into(),
        domains: vec!["power.example".into()],
        ibans: ibans.iter().map(|iban| iban.parse()).collect::<Result<_, _>>()?,
        currency: None,
    };
    let water =
        Biller { id: "water".into(), name: "Water".into(), domains: vec!["water.example".into()], ..power.clone() };
    let account = Account {
        name: "home".parse()?,
        protocol: Protocol::Imap,
        server: "localhost".into(),
        port: 993,
        encryption: Encryption::Tls,
        user: "kim".into(),
        secret: Secret::Password(Zeroizing::new("secret".into())),
        mailbox: "INBOX".into(),
        addresses: vec![USER.parse()?],
        forwarders: Vec::new(),
        authority: None,
        renewal: None,
    };
    let fetcher = Fetcher {
        account: Arc::new(account),
        registry: Arc::new(BillerRegistry { iat: 1, billers: vec![power, water] }),
        templates: Arc::new(Templates::none()),
        dns: Arc::new(Names(mailbox::names()?)),
        pdf: Some(PdfReader::new(crate::checkout::program("portcullis-mail")?)),
    };
    let home = tempfile::tempdir()?;
    let folder = SealedFolder::open(home.path().join("mail"))?;
    fetch(&fetcher, &folder, &mut Shelf(mails)).await?;
    let page = Ledger::load(&folder, &fetcher.account.name)?.page(None, 100);
    Ok(page.changes.into_iter().map(|change| change.record).collect())
}

/// The record of the last of these mails.
async fn last(mails: Vec<Vec<u8>>) -> Result<BillRecord> {
    records(mails, &[]).await?.pop().context("a bill is shown")
}

fn replaced(name: &str, from: &str, to: &str) -> Result<Vec<u8>> {
    let mail = String::from_utf8(mailbox::mail(name)?)?;
    anyhow::ensure!(mail.contains(from), "`{name}` has no `{from}`");
    Ok(mail.replacen(from, to, 1).into_bytes())
}

/// Shown, with this doubt, and never verified.
fn doubted(trial: &mut Trial, what: &str, record: &BillRecord, doubt: Doubt) {
    let is_shown = record.level == Level::Unverified && record.doubts.contains(&doubt);
    trial.attack_fails(what, &doubt.to_string(), is_shown);
    if !is_shown {
        trial.note(format!("{record:?}"));
    }
}

async fn forged_bill(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let appended = |name: &str| -> Result<Vec<u8>> {
        Ok([mailbox::mail(name)?, b"Please pay to GB82 WEST 1234 5698 7654 32 instead.\r\n".to_vec()].concat())
    };
    for (what, mail, doubt) in [
        ("a bill in the biller's name", mailbox::mail("forged")?, Doubt::NotSigned),
        ("another amount in a signed bill", replaced("power", "84.20", "94.20")?, Doubt::BadSignature),
        ("a sentence after a signed bill", appended("power")?, Doubt::BadSignature),
        ("one after a bill that is signed in part", appended("partly-signed")?, Doubt::PartlySigned),
        ("a second sender", replaced("power", "From:", "From: Power <pay@evil.example>\r\nFrom:")?, Doubt::Sender),
        (
            "a second subject",
            replaced("power", "Subject:", "Subject: Last reminder\r\nSubject:")?,
            Doubt::DoubledHeader,
        ),
        ("a domain that looks alike, signed well", mailbox::mail("look-alike")?, Doubt::UnknownBiller),
    ] {
        doubted(&mut trial, what, &last(vec![mail]).await?, doubt);
    }
    let genuine = last(vec![mailbox::mail("power")?]).await?;
    trial.control("the bill itself is verified", genuine.level == Level::Verified && genuine.doubts.is_empty());
    Ok(trial.finish())
}

async fn bill_of_somebody_else(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let other = last(vec![mailbox::mail("of-another")?]).await?;
    doubted(&mut trial, "another person's bill, signed well, put into this mailbox", &other, Doubt::NotToUser);
    // Not the same bytes, so that it is another mail; the signature is the same.
    let again = [b"X-Delivered: again\r\n".to_vec(), mailbox::mail("power")?].concat();
    let both = records(vec![mailbox::mail("power")?, again], &[]).await?;
    let [first, second] = both.as_slice() else { anyhow::bail!("two bills are shown: {both:?}") };
    doubted(&mut trial, "a signed bill delivered a second time", second, Doubt::Replayed);
    trial.control("the first delivery is verified", first.level == Level::Verified);
    Ok(trial.finish())
}

async fn another_account(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let mails = || Ok::<_, anyhow::Error>(vec![mailbox::mail("power")?, mailbox::mail("other-iban")?]);
    let changed = last(mails()?).await?;
    doubted(
        &mut trial,
        "a signed bill that wants the money elsewhere than the one before",
        &changed,
        Doubt::IbanChanged,
    );
    let registered = ["DE89370400440532013000"];
    let alone = records(vec![mailbox::mail("other-iban")?], &registered).await?.pop().context("a bill")?;
    doubted(&mut trial, "one that wants it elsewhere than the list of billers says", &alone, Doubt::IbanChanged);
    let both = records(mails()?, &["DE89370400440532013000", "GB82WEST12345698765432"]).await?;
    let verified = both.iter().all(|record| record.level == Level::Verified);
    trial.control("where the list has both accounts, both are verified", verified && both.len() == 2);
    Ok(trial.finish())
}

async fn account_spelled(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let registered = ["DE89370400440532013000"];
    let spelled = records(vec![mailbox::mail("other-spelling")?], &registered).await?.pop().context("a bill")?;
    doubted(&mut trial, "another account behind the known one, without a label", &spelled, Doubt::IbanChanged);
    let genuine = records(vec![mailbox::mail("power")?], &registered).await?.pop().context("a bill")?;
    trial.control("with the known account alone it is verified", genuine.level == Level::Verified);
    Ok(trial.finish())
}

async fn form_and_words(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let other = last(vec![mailbox::mail("form-and-words")?]).await?;
    let is_refused = (other.level, other.amount) == (Level::Unverified, None);
    trial.attack_fails(
        "1.00 for programs, 984.20 for people",
        "forms of a bill that differ",
        is_refused && other.refusal == Some(Refusal::SeveralBills),
    );
    let same = last(vec![mailbox::mail("form-as-words")?]).await?;
    trial.control("both say the same, and it is verified", same.level == Level::Verified);
    Ok(trial.finish())
}

async fn hidden_words(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let hidden = last(vec![mailbox::mail("hidden-words")?]).await?;
    let is_refused = (hidden.level, hidden.amount) == (Level::Unverified, None);
    trial.attack_fails(
        "9.20 where nobody sees it, 984.20 where people do",
        "an amount that can be read in two ways",
        is_refused && hidden.refusal == Some(Refusal::AmbiguousAmount),
    );
    let shown = last(vec![mailbox::mail("form-as-words")?]).await?;
    trial.control("without hidden words it is verified", shown.level == Level::Verified);
    Ok(trial.finish())
}

async fn signed_twice(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let both = String::from_utf8(mailbox::mail("signed-twice")?)?;
    let from = both.find("From: ").context("a header")?;
    let (signatures, rest) = both.split_at(from);
    let second = signatures.rfind("DKIM-Signature").context("a signature")?;
    let (one, other) = signatures.split_at(second);
    let delivered = [both.clone(), format!("{one}{rest}"), format!("{other}{rest}")].map(String::into_bytes);
    let found = records(delivered.to_vec(), &[]).await?;
    let [first, again @ ..] = found.as_slice() else { anyhow::bail!("no bill is shown") };
    trial.control("with both signatures it is verified", first.level == Level::Verified && again.len() == 2);
    for (which, record) in ["one signature", "the other"].iter().zip(again) {
        doubted(&mut trial, &format!("delivered again with {which} alone"), record, Doubt::Replayed);
    }
    Ok(trial.finish())
}

/// A document of one page with this text; `filter` says how the text is packed.
fn document(text: &[u8], filter: &str, trailer: &str) -> Vec<u8> {
    let mut document = format!(
        "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\n\
         endobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R \
         >> >> >>\nendobj\n5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>\nendobj\n\
         4 0 obj\n<< {filter} /Length {} >>\nstream\n",
        text.len()
    )
    .into_bytes();
    document.extend(text);
    document.extend(b"\nendstream\nendobj\n");
    let mut places = vec![String::from("0000000000 65535 f \n")];
    for number in 1..=5 {
        let mark = format!("\n{number} 0 obj\n");
        let at = document.windows(mark.len()).position(|window| window == mark.as_bytes()).map_or(0, |at| at + 1);
        places.push(format!("{at:010} 00000 n \n"));
    }
    let start = document.len();
    let end = format!("trailer\n<< /Size 6 /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n");
    document.extend(format!("xref\n0 6\n{}{end}", places.concat()).bytes());
    document
}

/// A mail that leaves its amount to a document.
fn with_document(document: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(document);
    let lines: Vec<String> =
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!(
        "From: <billing@power.example>\r\nTo: <{USER}>\r\nSubject: Your invoice\r\nMIME-Version: 1.0\r\nContent-Type: \
         multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nDear customer,\r\nyour invoice is \
         attached.\r\n--b\r\nContent-Type: application/pdf; name=\"invoice.pdf\"\r\nContent-Transfer-Encoding: \
         base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

async fn document_bomb(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let words = b"BT /F1 12 Tf 72 720 Td (Your invoice) Tj 0 -20 Td (Amount due: EUR 42.50) Tj ET";
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 900 << 20], 9);
    let deep = format!("/X {}{}", "[".repeat(500_000), "]".repeat(500_000));
    let locked = "/Encrypt << /Filter /Standard /V 1 /R 2 /O (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) \
                  /U (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) /P -4 >> /ID [(aaaaaaaaaaaaaaaa) (aaaaaaaaaaaaaaaa)]";
    for (what, bomb) in [
        ("a text that unpacks to 900 MiB", document(&packed, "/Filter /FlateDecode", "")),
        ("arrays inside each other, 500,000 deep", document(words, "", &deep)),
        ("a document that a password locks", document(words, "", locked)),
    ] {
        let begun = Instant::now();
        let found = records(vec![with_document(&bomb), mailbox::mail("power")?], &[]).await?;
        let [shown, after] = found.as_slice() else { anyhow::bail!("two bills are shown: {found:?}") };
        let is_contained = shown.amount.is_none() && after.level == Level::Verified;
        trial.attack_fails(
            what,
            "shown as unreadable, and the run goes on",
            is_contained && begun.elapsed() < Duration::from_secs(60),
        );
    }
    let honest = last(vec![with_document(&document(words, "", ""))]).await?;
    trial.control(
        "the document itself is read",
        honest.amount.map(|amount| amount.to_string()).as_deref() == Some("42.50 EUR"),
    );
    Ok(trial.finish())
}

async fn invoice_bomb(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let entities: String =
        (1..10).map(|at| format!("<!ENTITY e{at} \"{}\">", format!("&e{};", at - 1).repeat(10))).collect();
    let laughs = format!("{head}<!DOCTYPE Invoice [<!ENTITY e0 \"ha\">{entities}]>");
    let file = format!("{head}<!DOCTYPE Invoice [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>");
    let deep = format!("<cbc:ID>{}{}</cbc:ID>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for (what, mail) in [
        ("a billion laughs", replaced("water", head, &laughs)?),
        ("an entity that is a file of this machine", replaced("water", head, &file)?),
        ("100,000 elements inside each other", replaced("water", "<cbc:ID>W-2026-11</cbc:ID>", &deep)?),
    ] {
        let begun = Instant::now();
        let record = last(vec![mail]).await?;
        let is_refused = record.refusal == Some(Refusal::Malformed) && record.amount.is_none();
        let quickly = begun.elapsed() < Duration::from_secs(10);
        trial.attack_fails(
            what,
            "not well-formed as invoices are",
            is_refused && quickly && record.level == Level::Unverified,
        );
    }
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(100_000);
    let many = replaced("water", "application/xml", "multipart/mixed; boundary=b")?;
    let many = [many, parts.into_bytes()].concat();
    let found = records(vec![many, mailbox::mail("water")?], &[]).await?;
    trial.attack_fails("100,000 parts", "not looked at, and the run goes on", found.len() == 1);
    let genuine = found.first().context("the honest one")?;
    let amount = genuine.amount.map(|amount| amount.to_string());
    trial.control(
        "the invoice itself is read",
        genuine.level == Level::Verified && amount.as_deref() == Some("31.50 EUR"),
    );
    Ok(trial.finish())
}
