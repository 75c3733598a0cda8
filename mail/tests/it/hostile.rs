//! Mail that means harm: never a panic, never beyond stated memory and time, never shown as verified. All of it is
//! signed by the registered biller, so that only the reading stands between it and `verified`.

use crate::signer::sign;
use crate::stage::{BILL, USER, fetcher, mail, registry, run};
use crate::stopwatch::Stopwatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::fuzzing::TARGETS;
use portcullis_mail::{BillRecord, Level, Mail, Refusal, Summary, Unreadable};
use serde_json::json;
use std::time::Duration;

const POWER: &str = "power.example";
const UBL: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";

/// What a mail may take of memory while it is parsed, beside its own bytes.
const MEMORY: u64 = 192 * 1024 * 1024;

async fn read(raw: Vec<String>) -> (Vec<BillRecord>, Summary) {
    let requests: Vec<_> = raw.iter().map(|raw| json!({"raw": raw, "domain": POWER, "selector": "k1"})).collect();
    let (mails, names) = sign(&requests);
    let start = Stopwatch::start();
    let read = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    read
}

/// A mail with one XML attachment.
fn with_xml(xml: &str) -> String {
    mail(POWER, USER, "Invoice", "See the attachment.").replace(
        "text/plain; charset=utf-8\r\n\r\nSee",
        "multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nSee",
    ) + &format!("--m\r\nContent-Type: application/xml\r\n\r\n{}\r\n--m--\r\n", xml.replace('\n', "\r\n"))
}

fn ubl(inside: &str) -> String {
    format!("<Invoice xmlns=\"{UBL}\">{inside}</Invoice>")
}

fn total(amount: &str) -> String {
    format!("<LegalMonetaryTotal><PayableAmount currencyID=\"EUR\">{amount}</PayableAmount></LegalMonetaryTotal>")
}

const EURO: &str = "<DocumentCurrencyCode>EUR</DocumentCurrencyCode>";

#[tokio::test]
async fn hostile_invoices_are_refused_for_what_they_are() {
    let good = ubl(&format!("{EURO}{}", total("10.00")));
    let laughs: String = (1..30).map(|at| format!("<!ENTITY l{at} \"&l{};&l{};\">", at - 1, at - 1)).collect();
    let attacks = [
        (
            format!(
                "<!DOCTYPE Invoice [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{}",
                ubl(&format!("{EURO}{}", total("&x;")))
            ),
            Refusal::Malformed,
        ),
        (format!("<!DOCTYPE Invoice SYSTEM \"http://evil.example/x.dtd\">{good}"), Refusal::Malformed),
        (
            format!("<!DOCTYPE Invoice [<!ENTITY l0 \"1\">{laughs}]>{}", ubl(&format!("{EURO}{}", total("&l29;")))),
            Refusal::Malformed,
        ),
        (ubl(&format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000))), Refusal::Malformed),
        (ubl(&"<a/>".repeat(400_000)), Refusal::Malformed),
        (good.replace("</Invoice>", ""), Refusal::Malformed),
        (ubl(EURO), Refusal::NoAmount),
        (ubl(&format!("{EURO}{}{}", total("10.00"), total("99.00"))), Refusal::NoAmount),
        (ubl(&format!("{EURO}{}", total("1<!-- -->0.00"))), Refusal::NoAmount),
        (ubl(&format!("{EURO}{}", total("-10.00"))), Refusal::AmountOutOfRange),
        (ubl(&format!("{EURO}{}", total(&"9".repeat(25)))), Refusal::AmountOutOfRange),
        (ubl(&format!("{EURO}{}", total("10.001"))), Refusal::AmbiguousAmount),
        (ubl(&format!("<DocumentCurrencyCode>USD</DocumentCurrencyCode>{}", total("10.00"))), Refusal::Currency),
        (ubl(&format!("<DocumentCurrencyCode>ZZZ</DocumentCurrencyCode>{}", total("10.00"))), Refusal::Currency),
        (ubl(&format!("<DueDate>2026-02-30</DueDate>{EURO}{}", total("10.00"))), Refusal::BadDate),
        (ubl(&format!("<DueDate>99999-01-01</DueDate>{EURO}{}", total("10.00"))), Refusal::BadDate),
        (ubl(&format!("<InvoiceTypeCode>389</InvoiceTypeCode>{EURO}{}", total("10.00"))), Refusal::CreditNote),
        (ubl(&format!("<InvoiceTypeCode>262</InvoiceTypeCode>{EURO}{}", total("10.00"))), Refusal::CreditNote),
        (ubl(&format!("<InvoiceTypeCode>325</InvoiceTypeCode>{EURO}{}", total("10.00"))), Refusal::NotOwed),
        (ubl(&format!("<InvoiceTypeCode>381</InvoiceTypeCode>{EURO}{}", total("10.00"))), Refusal::CreditNote),
        (good.replace("10.00", "10.00\u{fffd}"), Refusal::Malformed),
    ];
    let (_, parse) = TARGETS.iter().find(|(name, _)| *name == "invoice").expect("a target");
    for (xml, _) in &attacks {
        let begun = Stopwatch::start();
        let measured = allocation_counter::measure(|| parse(xml.as_bytes()));
        let shown: String = xml.chars().take(120).collect();
        assert!(measured.bytes_max < MEMORY, "{} MiB: {shown}", measured.bytes_max / 1024 / 1024);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}: {shown}", begun.elapsed());
    }
    let mut mails = vec![with_xml(&good)];
    mails.extend(attacks.iter().map(|(xml, _)| with_xml(xml)));
    // `sign.py` carries bytes as Latin-1: what is beyond it stands for any invalid byte.
    let mails = mails.iter().map(|mail| mail.replace('\u{fffd}', "\u{e9}")).collect();
    let (records, _) = read(mails).await;
    assert_eq!(records[0].level, Level::Verified, "the control: {:?}", records[0]);
    assert_eq!(records.len(), attacks.len() + 1);
    for (record, (xml, refusal)) in records[1..].iter().zip(&attacks) {
        let shown: String = xml.chars().take(120).collect();
        assert_eq!(record.refusal, Some(*refusal), "{shown}");
        assert_eq!((record.level, record.amount), (Level::Unverified, None), "{shown}");
    }
}

#[tokio::test]
async fn hostile_words_are_refused_for_what_they_are() {
    let with = |lines: &str| mail(POWER, USER, "Invoice", &format!("Your invoice\n{lines}"));
    let attacks = [
        ("Amount due: EUR -10.00", Refusal::AmountOutOfRange),
        ("Amount due: 1.234 EUR", Refusal::AmbiguousAmount),
        ("Amount due: EUR 10.00\nAmount due: EUR 12.00", Refusal::AmbiguousAmount),
        ("Amount due: 10.00 USD 10.00 EUR", Refusal::Currency),
        ("Amount due: $10.00", Refusal::Currency),
        ("Amount due: EUR 10.00\nDue date: 31.02.2026", Refusal::BadDate),
        ("Amount due: EUR 99999999999999999.00", Refusal::AmountOutOfRange),
    ];
    let mut mails = vec![with("Amount due: EUR 10.00")];
    mails.extend(attacks.iter().map(|(lines, _)| with(lines)));
    let (records, _) = read(mails).await;
    assert_eq!(records[0].level, Level::Verified, "the control");
    for (record, (lines, refusal)) in records[1..].iter().zip(attacks) {
        assert_eq!((record.refusal, record.level, record.amount), (Some(refusal), Level::Unverified, None), "{lines}");
    }
}

/// What was learned from other bills decides nothing that a bill says twice: its sender can always add a line.
#[tokio::test]
async fn amounts_that_contest_each_other_are_not_shown() {
    let letter = |lines: &str| {
        let text =
            format!("Dear Kim,\nyour electricity bill for November is ready.\n{lines}\nDue date: 14 December 2026");
        mail(POWER, USER, "Your electricity bill", &text)
    };
    let attacks = [
        "Amount due: EUR 10.00\nBalance due: EUR 12.00",
        "Please pay EUR 10.00.\nPlease pay EUR 12.00.",
        "Please pay EUR 10.00 by 14 December.\nAmount due: EUR 12.00",
        "Total: EUR 10.00\nTotal: EUR 12.00",
        "For November: EUR 10.00\nFor November: EUR 912.00",
        "To pay:\nEUR 10.00\nTo pay:\nEUR 12.00",
        "Amount due\tEUR 10.00\nAmount due\tEUR 912.00",
    ];
    let mut mails = vec![letter("Amount due: EUR 10.00")];
    mails.extend(attacks.iter().map(|lines| letter(lines)));
    let (records, _) = read(mails).await;
    assert_eq!(records[0].level, Level::Verified, "the control");
    for record in &records[1..] {
        assert_eq!((record.level, record.amount), (Level::Unverified, None), "{records:#?}");
    }
}

#[tokio::test]
async fn two_forms_of_a_bill_that_differ_are_no_bill() {
    let one = ubl(&format!("{EURO}{}", total("10.00")));
    let two = with_xml(&one)
        .replace("--m--", &format!("--m\r\nContent-Type: text/xml\r\n\r\n{}\r\n--m--", one.replace("10.00", "90.00")));
    let same = with_xml(&one).replace("--m--", &format!("--m\r\nContent-Type: text/xml\r\n\r\n{one}\r\n--m--"));
    let (records, _) = read(vec![two, same]).await;
    assert_eq!((records[0].refusal, records[0].level), (Some(Refusal::SeveralBills), Level::Unverified));
    assert_eq!((records[1].refusal, records[1].level), (None, Level::Verified), "the control");
}

/// Mails made of a great many pieces.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let head = "From: a@power.example\r\nTo: kim@user.example\r\nSubject: Invoice\r\n";
    let multipart = format!("{head}Content-Type: multipart/mixed; boundary=m\r\n\r\n");
    let nested: String =
        (0..100_000).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")).collect();
    // One file of zeros, as an archive has it (APPNOTE section 4.3.7): of 100 MiB when it is opened, which nothing does.
    let packed = miniz_oxide::deflate::compress_to_vec(&vec![0; 100 * 1024 * 1024], 9);
    let archive = [&b"PK\x03\x04\x14\0\0\0\x08\0"[..], &[0; 16], b"\x0b\0\0\0invoice.xml", &packed].concat();
    let archive = format!(
        "--m\r\nContent-Type: application/zip; name=\"invoice.xml.zip\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--m--\r\n",
        STANDARD.encode(archive)
    );
    // No boundary stands at the beginning of a line, and those inside never come.
    let hidden = " --m\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n".repeat(59_000);
    let inside = format!("{multipart}{hidden}{}", "x".repeat(5 * 1024 * 1024));
    let inside = format!(
        "{head}Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        STANDARD.encode(inside)
    );
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(200_000);
    vec![
        (
            "100,000 attachments",
            (multipart.clone() + &"--m\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(100_000)).into_bytes(),
        ),
        (
            "59,000 multiparts that do not end",
            (multipart.clone() + &hidden + &"x".repeat(12 * 1024 * 1024)).into_bytes(),
        ),
        ("multiparts that do not end, in a mail inside the mail", inside.into_bytes()),
        ("parts in the middle of lines", (multipart.clone() + &" --m\r\n\r\n".repeat(1_900_000)).into_bytes()),
        ("an archive of 100 MiB of zeros", (multipart.clone() + &archive).into_bytes()),
        ("3,000,000 empty parts", (multipart.clone() + &"--m\r\n\r\n".repeat(1_900_000)).into_bytes()),
        ("100,000 multiparts inside each other", (head.to_owned() + &nested).into_bytes()),
        ("200,000 messages inside each other", (head.to_owned() + &messages).into_bytes()),
        ("a header of 15 MiB", (head.to_owned() + &"X: y\r\n".repeat(2_500_000)).into_bytes()),
        ("headers of a part", (multipart.clone() + "--m\r\n" + &"X: y\r\n".repeat(2_500_000)).into_bytes()),
        ("a list of recipients", format!("{head}Cc: {}\r\n\r\nx", "a@b.example,".repeat(1_300_000)).into_bytes()),
        (
            "a list of recipients in a part",
            (multipart.clone() + "--m\r\nTo: " + &"a,".repeat(8_000_000) + "\r\n\r\n").into_bytes(),
        ),
        (
            "parameters",
            (multipart.clone() + "--m\r\nContent-Type: a/b" + &";a=b".repeat(4_000_000) + "\r\n\r\n").into_bytes(),
        ),
        ("folded headers", (head.to_owned() + "X: y" + &"\r\n y".repeat(3_000_000) + "\r\n\r\n").into_bytes()),
        ("too long", vec![b'a'; 17 * 1024 * 1024]),
        ("nothing", Vec::new()),
        ("no header", b"\r\n\r\nInvoice".to_vec()),
        ("zeros", vec![0; 1024 * 1024]),
        ("invalid UTF-8", (0..=255).cycle().take(1024 * 1024).collect()),
        ("one line", [head.as_bytes(), b"\r\n", &vec![b'x'; 15 * 1024 * 1024]].concat()),
        (
            "unclosed tags",
            [head.as_bytes(), b"Content-Type: text/html\r\n\r\n", "<".repeat(900_000).as_bytes()].concat(),
        ),
        (
            "unclosed scripts",
            [head.as_bytes(), b"Content-Type: text/html\r\n\r\n", "<script>".repeat(120_000).as_bytes()].concat(),
        ),
        (
            "unclosed comments",
            [head.as_bytes(), b"Content-Type: text/html\r\n\r\n", "<!--".repeat(240_000).as_bytes()].concat(),
        ),
        ("references", [head.as_bytes(), b"Content-Type: text/html\r\n\r\n", "&".repeat(900_000).as_bytes()].concat()),
        ("labels", [head.as_bytes(), b"\r\nInvoice\r\n", "total ".repeat(170_000).as_bytes()].concat()),
        (
            "headings",
            [head.as_bytes(), b"\r\nInvoice\r\n", "Total amount\tTax\n1.00\t2.00\n".repeat(30_000).as_bytes()].concat(),
        ),
        (
            "rows",
            [head.as_bytes(), b"\r\nInvoice\r\nTotal amount\tTax\n", "1.00 EUR\t2.00\n".repeat(60_000).as_bytes()]
                .concat(),
        ),
        (
            "instalments",
            [head.as_bytes(), b"\r\nInvoice\r\n", "Instalment 2 of 3: 1.00 EUR\n".repeat(30_000).as_bytes()].concat(),
        ),
        (
            "demands",
            [head.as_bytes(), b"\r\n\r\n", "Please pay 1.00 EUR by 3 December 2026.\n".repeat(30_000).as_bytes()]
                .concat(),
        ),
        (
            "cells",
            [
                head.as_bytes(),
                b"Content-Type: text/html\r\n\r\nInvoice",
                "<table><tr><td>Total<td>1<br>2".repeat(30_000).as_bytes(),
            ]
            .concat(),
        ),
        ("digits", [head.as_bytes(), b"\r\nInvoice\r\ntotal ", "1 234 ".repeat(170_000).as_bytes()].concat()),
    ]
}

#[test]
fn parsing_stays_within_the_stated_memory() {
    for (name, raw) in bombs() {
        let measured = allocation_counter::measure(|| {
            let _ = Mail::parse(&raw).map(|mail| mail.recipients().len());
        });
        assert!(measured.bytes_max < MEMORY, "{name}: {} MiB", measured.bytes_max / 1024 / 1024);
    }
}

#[tokio::test]
async fn bombs_take_little_time_and_nothing_after_them_is_lost() {
    let (mut mails, names) =
        sign(&[json!({"raw": mail(POWER, USER, "Invoice", BILL), "domain": POWER, "selector": "k1"})]);
    let good = mails.remove(0);
    for (name, raw) in bombs() {
        let start = Stopwatch::start();
        let (records, summary) = run(&fetcher(names.clone(), registry(&[POWER])), vec![raw, good.clone()]).await;
        assert!(start.elapsed() < Duration::from_secs(25), "{name}: {:?}", start.elapsed());
        assert!(!summary.unreadable.contains_key(&Unreadable::Failed), "{name} made a parser fail");
        let verified = records.iter().filter(|record| record.level == Level::Verified).count();
        assert_eq!((summary.read, verified), (2, 1), "{name}: only the good one is verified");
    }
}

/// Every mail of the parsers' own test sets, as they lie in the sources that cargo fetched.
#[tokio::test]
async fn the_parsers_own_test_mails_do_no_harm() {
    let home = std::env::var_os("CARGO_HOME")
        .map_or_else(|| std::env::home_dir().expect("a home").join(".cargo"), std::path::PathBuf::from);
    let mut folders: Vec<_> = std::fs::read_dir(home.join("registry/src"))
        .expect("cargo fetched the sources")
        .flat_map(|index| std::fs::read_dir(index.expect("entry").path()).expect("sources"))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("mail-parser-0.11.9") || name.starts_with("mail-auth-0.13.3")
        })
        .collect();
    let mut mails = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "eml" || extension == "msg" || extension == "txt")
            {
                mails.push(std::fs::read(path).expect("read"));
            }
        }
    }
    // Published packages may leave their tests out; then there is nothing to try.
    let count = mails.len();
    println!("{count} mails");
    let names = sign(&[]).1;
    let (records, summary) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert!(!summary.unreadable.contains_key(&Unreadable::Failed), "a parser failed");
    assert!(records.iter().all(|record| record.level < Level::Verified));
}
