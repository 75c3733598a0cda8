//! What a bill says: structured forms first, then what a person reads.
//!
//! ```text
//!   UBL, CII (EN 16931) ─┬─ one bill, or a refusal: what is ambiguous is not guessed
//!   Factur-X (in a PDF) ─┤
//!   JSON-LD, microdata ──┤
//!   text of the mail ────┤  template of the biller, else the words of a language and what was learned of other mail
//!   text of its PDFs ────┘
//! ```
//! A structured form counts if the words say nothing else, and what is shown if what may be hidden says nothing else.

mod amount;
mod assertion;
mod cii;
mod dates;
mod features;
pub(crate) mod html;
mod json_ld;
mod label;
mod likeness;
mod line;
mod marks;
mod microdata;
mod passage;
mod payees;
mod ranking;
mod remainder;
mod rules;
mod schedule;
mod sentence;
mod style;
mod table;
mod template;
mod text;
mod total;
#[cfg(test)]
mod training;
mod ubl;
mod weights;
mod xml;

use crate::extract::html::View;
use crate::extract::payees::Ends;
use crate::iban::Iban;
use crate::limits::{MAX_PDFS, MAX_TEXT};
use crate::mail::{Attachment, Mail};
use crate::pdf::{PdfContents, PdfReader, UnreadablePdf};
use crate::registry::Biller;
use portcullis_protocol::Date;
use portcullis_protocol::{Currency, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

pub use template::{Template, TemplateError, Templates};

/// Before the sender, where a text says who wrote what follows.
const SENDER: [&str; 5] = ["from", "von", "de", "van", "da"];
/// Lines in which it does.
const HEAD_LINES: usize = 8;
/// Words of a person's or a firm's name.
const NAME_WORDS: usize = 4;
/// Lines of a signature at the end of a letter.
const END_LINES: usize = 4;

/// Why no amount is taken from what looks like a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// An invoice that is not well-formed, has a DTD, or is larger or deeper than invoices are.
    Malformed,
    /// No amount, or one that is no number.
    NoAmount,
    /// An amount that can be read in two ways.
    AmbiguousAmount,
    /// Below zero, or more than money is counted in.
    AmountOutOfRange,
    /// Amounts in two currencies, or in none that is known.
    Currency,
    /// A credit note, or an invoice that the buyer writes: nothing is due.
    CreditNote,
    /// A document that asks for no money, such as a pro forma invoice, or an invoice that says that it was paid.
    NotOwed,
    /// Several bills in one mail, or forms of one bill that say different things.
    SeveralBills,
    /// A date that no calendar has.
    BadDate,
    /// A PDF that is damaged, locked by a password, or takes more than documents take.
    UnreadablePdf,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the invoice in it is not well-formed",
            Self::NoAmount => "it has no amount",
            Self::AmbiguousAmount => "its amount can be read in two ways",
            Self::AmountOutOfRange => "its amount is negative or too large",
            Self::Currency => "its currency is missing, unknown or not the same everywhere",
            Self::CreditNote => "it is a credit note, or an invoice that its sender owes",
            Self::NotOwed => "it asks for no money, or says that it was paid",
            Self::SeveralBills => "it has several bills that differ",
            Self::BadDate => "it has a date that no calendar has",
            Self::UnreadablePdf => "the PDF in it cannot be read",
        })
    }
}

/// A bill, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) amount: Money,
    pub(crate) due: Option<Date>,
    pub(crate) period: Option<(Date, Date)>,
    pub(crate) account: Option<String>,
    pub(crate) iban: Option<Iban>,
    /// Every account that the mail names anywhere.
    pub(crate) payees: Vec<Iban>,
    /// Rules of EN 16931 that it breaks, if it is an invoice of that standard.
    pub(crate) broken: Vec<String>,
}

/// What a mail holds: `None` if it is no bill.
pub(crate) type Extracted = Option<Result<Bill, Refusal>>;

/// Reads the bill in a mail.
pub(crate) fn extract(
    mail: &Mail<'_>,
    domain: Option<&str>,
    biller: Option<&Biller>,
    templates: &Templates,
    pdf: Option<&PdfReader>,
) -> Extracted {
    let views = mail.views();
    if is_by_reader(mail, &views) {
        return None;
    }
    let mut found: Vec<Result<Bill, Refusal>> = Vec::new();
    for file in mail.files().filter(is_xml) {
        found.extend(xml::invoice(file.bytes));
    }
    found.extend(mail.html().flat_map(json_ld::invoices));
    let documents = pdf.map(|reader| documents(mail, reader)).unwrap_or_default();
    for document in documents.iter().flatten() {
        found.extend(document.files.iter().filter_map(|file| xml::invoice(file.as_bytes())));
    }
    let structured = if found.is_empty() { None } else { one(found) };
    // A sign that several currencies have means what the invoice says.
    let stated = structured.as_ref().and_then(|read| read.as_ref().ok()).map(|bill| bill.amount.currency());
    let currency = biller.and_then(|biller| biller.currency).or(stated);
    let words = text::Reading { domain, currency, templates };
    let written = seen(&words, mail, &views);
    let printed = documents
        .iter()
        .flatten()
        .filter_map(|document| words.bill(mail.subject(), std::slice::from_ref(&document.text), false, false));
    let printed: Vec<Result<Bill, Refusal>> = printed.filter(|read| *read != Err(Refusal::NoAmount)).collect();
    let read = match (structured, written) {
        (Some(Ok(bill)), written) => Some(confirmed(bill, written, printed, &words.amounts(&shown(&views), None))),
        (Some(refused), _) => Some(refused),
        // What the mail leaves to its document.
        (None, None | Some(Err(Refusal::NoAmount))) if !printed.is_empty() => one(printed),
        (None, Some(Err(Refusal::NoAmount))) if documents.iter().any(Result::is_err) => {
            Some(Err(Refusal::UnreadablePdf))
        }
        (None, Some(Ok(bill))) => {
            one(std::iter::once(Ok(bill)).chain(printed.into_iter().filter(Result::is_ok)).collect())
        }
        (None, other) => other,
    };
    read.map(|read| read.map(|bill| Bill { payees: payees(mail, &views, &documents, bill.iban.as_ref()), ..bill }))
}

fn shown(views: &[View]) -> Vec<String> {
    views.iter().map(|view| view.shown.clone()).collect()
}

/// Whether the reader wrote it: a copy of a bill to others. It says so at its beginning, as in
/// `From: Kim <kim@user.example>`, in an entry (`From | Kim Consulting`), or ends with the reader's name and address. Nor
/// is an answer to a letter of the reader that names an amount a bill to the reader.
fn is_by_reader(mail: &Mail<'_>, views: &[View]) -> bool {
    let readers = mail.recipients();
    views.iter().any(|view| readers.iter().any(|reader| is_letter_of(&view.shown, reader.as_str())))
}

fn is_letter_of(text: &str, address: &str) -> bool {
    let has_address = |line: &str| line.to_lowercase().contains(address);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_sender = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name.trim().to_lowercase());
        name.is_some_and(|name| SENDER.contains(&name.as_str())) && has_address(line)
    };
    if lines().take(HEAD_LINES).any(is_sender) {
        return true;
    }
    let quoted = |line: &str| line.strip_prefix('>').map(|line| line.trim_start_matches(['>', ' ']).to_owned());
    let mut answered = lines().skip_while(|line| !quoted(line).is_some_and(|line| is_sender(&line)));
    if answered.by_ref().map_while(quoted).any(|line| amount::has_currency(&line)) {
        return true;
    }
    let name = address.split(['@', '.', '_', '+']).next().unwrap_or_default();
    let is_reader = |text: &str| text.split([' ', '\t']).next().is_some_and(|word| word.to_lowercase() == name);
    let is_entered = |line: &str| {
        let entry = line.split_once('\t').filter(|(_, who)| who.split_whitespace().count() <= NAME_WORDS);
        entry.is_some_and(|(from, who)| {
            let from = from.trim().trim_end_matches(':').to_lowercase();
            SENDER.contains(&from.as_str()) && is_reader(who.trim())
        })
    };
    if lines().any(is_entered) {
        return true;
    }
    let mut last: Vec<&str> = lines().rev().take(END_LINES).collect();
    last.reverse();
    let at = last.iter().position(|line| line.to_lowercase() == address);
    at.is_some_and(|at| last.iter().take(at).any(|line| is_reader(line)))
}

/// What the mail says as a person sees it, if it would say nothing else to one who sees less or more of it: what styles
/// hide in one program is shown by another.
fn seen(words: &text::Reading<'_>, mail: &Mail<'_>, views: &[View]) -> Extracted {
    // What else may be seen counts as the rules read it.
    let read = |texts: &[String]| words.bill(mail.subject(), texts, mail.has_pdf(), false);
    let other = |of: fn(&View) -> Option<&str>| -> Option<Vec<String>> {
        let is_there = views.iter().any(|view| of(view).is_some());
        is_there.then(|| views.iter().map(|view| of(view).unwrap_or(&view.shown).to_owned()).collect())
    };
    let usual = words.bill(mail.subject(), &shown(views), mail.has_pdf(), true);
    let (less, more) = (other(|view| view.sure.as_deref()), other(|view| view.all.as_deref()));
    let is_ambiguous = match &usual {
        Some(Ok(bill)) => {
            let differs = |read: Extracted| matches!(read, Some(Ok(other)) if other.amount != bill.amount);
            let contradicts = |read: Extracted| match read {
                Some(Ok(other)) => other.amount != bill.amount || is_other(other.due, bill.due),
                Some(Err(_)) => true,
                None => false,
            };
            let lacks = |texts: &[String]| {
                let amounts = words.amounts(texts, Some(bill.amount.currency()));
                !amounts.is_empty() && !amounts.contains(&bill.amount)
            };
            less.is_some_and(|texts| differs(read(&texts)) || lacks(&texts))
                || more.is_some_and(|texts| contradicts(read(&texts)))
                || views.iter().any(|view| view.is_written_by_styles)
        }
        None | Some(Err(Refusal::NoAmount)) => more.is_some_and(|texts| matches!(read(&texts), Some(Ok(_)))),
        Some(Err(_)) => false,
    };
    if is_ambiguous { Some(Err(Refusal::AmbiguousAmount)) } else { usual }
}

/// A structured invoice, if whoever reads the mail is told the same.
fn confirmed(
    bill: Bill,
    written: Extracted,
    printed: Vec<Result<Bill, Refusal>>,
    amounts: &[Money],
) -> Result<Bill, Refusal> {
    let is_read = matches!(written, Some(Ok(_)));
    let others: Vec<Bill> = written.into_iter().chain(printed).filter_map(Result::ok).collect();
    let is_said = is_read || amounts.is_empty() || amounts.contains(&bill.amount);
    if !is_said || others.iter().any(|other| other.amount != bill.amount || is_other(other.due, bill.due)) {
        return Err(Refusal::SeveralBills);
    }
    Ok(bill)
}

fn is_other(a: Option<Date>, b: Option<Date>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a != b)
}

/// Every account that a mail names: where it is shown, where it is hidden, in its documents and its invoices.
fn payees(
    mail: &Mail<'_>,
    views: &[View],
    documents: &[Result<PdfContents, UnreadablePdf>],
    chosen: Option<&Iban>,
) -> Vec<Iban> {
    let mut found: BTreeSet<Iban> = chosen.cloned().into_iter().collect();
    payees::find(mail.subject(), Ends::One, &mut found);
    for view in views {
        payees::find(view.all.as_ref().unwrap_or(&view.shown), Ends::One, &mut found);
    }
    mail.html().for_each(|html| payees::find(html, Ends::Both, &mut found));
    for file in mail.files().filter(|file| file.media_type.starts_with("text/") && file.media_type != "text/html") {
        let text = file.bytes.get(..file.bytes.len().min(MAX_TEXT)).unwrap_or_default();
        payees::find(&String::from_utf8_lossy(text), Ends::One, &mut found);
    }
    for file in mail.files().filter(|file| is_xml(file)) {
        payees::find(&String::from_utf8_lossy(file.bytes), Ends::Both, &mut found);
    }
    for document in documents.iter().flatten() {
        payees::find(&document.text, Ends::One, &mut found);
        document.files.iter().for_each(|file| payees::find(file, Ends::Both, &mut found));
    }
    found.into_iter().collect()
}

fn is_xml(file: &Attachment<'_>) -> bool {
    let named = file.name.ends_with(".xml") || file.name.ends_with(".ubl") || file.name.ends_with(".cii");
    named || file.media_type.ends_with("/xml") || file.media_type.ends_with("+xml")
}

/// The invoice in an XML file, if it is one.
pub(crate) fn invoice(bytes: &[u8]) -> Extracted {
    xml::invoice(bytes)
}

/// Whether a fragment of an invoice breaks a rule of EN 16931; `None` if it cannot be told.
pub(crate) fn breaks_rule(xml: &[u8], rule: &str) -> Option<bool> {
    xml::breaks_rule(xml, rule)
}

/// The invoices in a page, and what a person reads of it.
pub(crate) fn page(html: &str) -> (Vec<Result<Bill, Refusal>>, String) {
    let View { shown, all, .. } = html::view(html);
    (json_ld::invoices(html), all.unwrap_or(shown))
}

/// The bill that a text describes in the words of any language.
pub(crate) fn words(subject: &str, text: &str) -> Extracted {
    let reading = text::Reading { domain: None, currency: None, templates: &Templates::none() };
    reading.bill(subject, &[text.to_owned()], false, false)
}

/// What the PDFs of a mail say.
fn documents(mail: &Mail<'_>, reader: &PdfReader) -> Vec<Result<PdfContents, UnreadablePdf>> {
    let pdfs = mail.files().filter(Attachment::is_pdf).take(MAX_PDFS);
    pdfs.map(|file| reader.read(file.bytes)).collect()
}

/// The one bill, if all forms of it say the same.
fn one(found: Vec<Result<Bill, Refusal>>) -> Extracted {
    let mut bills = Vec::new();
    for bill in found {
        match bill {
            Ok(bill) => bills.push(bill),
            Err(refusal) => return Some(Err(refusal)),
        }
    }
    let mut bills = bills.into_iter();
    let mut first = bills.next()?;
    for other in bills {
        let other_payee = first.iban.as_ref().zip(other.iban.as_ref()).is_some_and(|(a, b)| a != b);
        if other.amount != first.amount || is_other(other.due, first.due) || other_payee {
            return Some(Err(Refusal::SeveralBills));
        }
        first.due = first.due.or(other.due);
        first.period = first.period.or(other.period);
        first.account = first.account.or(other.account);
        first.iban = first.iban.or(other.iban);
        first.broken.extend(other.broken);
    }
    Some(Ok(first))
}

/// A decimal of XML Schema, `1234.5`, in minor units. Digits beyond the currency's are allowed if they are zero.
fn decimal(text: &str, currency: Currency) -> Result<Money, Refusal> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() > 30 || (whole.is_empty() && fraction.is_empty()) || !numeric(whole) || !numeric(fraction) {
        return Err(Refusal::NoAmount);
    }
    let decimals = currency.exponent().ok_or(Refusal::Currency)? as usize;
    let (kept, rest) = fraction.split_at(decimals.min(fraction.len()));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(Refusal::AmbiguousAmount);
    }
    let units: i64 = format!("0{whole}{kept:0<decimals$}").parse().map_err(|_| Refusal::AmountOutOfRange)?;
    if negative && units != 0 {
        return Err(Refusal::AmountOutOfRange);
    }
    Money::new(units, currency).map_err(|_| Refusal::AmountOutOfRange)
}

/// A date that must be one if it is there.
fn date(text: Option<&str>) -> Result<Option<Date>, Refusal> {
    text.map(|text| text.parse().map_err(|_| Refusal::BadDate)).transpose()
}

/// Days from and to, if both are there and in this order.
fn period(start: Option<Date>, end: Option<Date>) -> Result<Option<(Date, Date)>, Refusal> {
    match start.zip(end) {
        Some((start, end)) if start > end => Err(Refusal::BadDate),
        both => Ok(both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_the_reader_is_told_by_its_head_or_its_end() {
        let of = |text: &str| is_letter_of(text, "kim@user.example");
        assert!(of("This is a copy.\nFrom: Kim <kim@user.example>\nMy invoice: 12.00 EUR"));
        assert!(of("My invoice: 12.00 EUR\n\nBest wishes,\nKim\nkim@user.example"));
        assert!(of("Thank you, we will pay on the 10th.\n> From: Kim <kim@user.example>\n>\n> Total 12.00 EUR\nYours"));
        assert!(of("Hi Kim,\nInvoice\t4711\nTo\tA shop\nFrom\tKim Consulting\nAmount due\t12.00 EUR"));
        for other in [
            "Amount due: 12.00 EUR\nTo: Kim <kim@user.example>",
            "Invoice for\nKim\nkim@user.example\nAmount due 12.00 EUR\nDue date\n3 December 2026\nThank you\nThe shop",
            "Amount due: 12.00 EUR\nThis mail was sent to kim@user.example",
            "Amount due: 12.00 EUR\n> From: Kim <kim@user.example>\n> How much is it?",
            "Amount due: 12.00 EUR\nFrom\tPower & Light\nTo\tKim",
        ] {
            assert!(!of(other), "{other}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let of = |text: &str, code: &str| decimal(text, code.parse().expect("code")).map(|money| money.minor_units());
        assert_eq!(of("1234.56", "EUR"), Ok(123_456));
        assert_eq!(of(" 12 ", "EUR"), Ok(1200));
        assert_eq!(of("12.5", "EUR"), Ok(1250));
        assert_eq!(of(".5", "EUR"), Ok(50));
        assert_eq!(of("12.500000", "EUR"), Ok(1250));
        assert_eq!(of("12.505", "EUR"), Err(Refusal::AmbiguousAmount));
        assert_eq!(of("12.505", "KWD"), Ok(12505));
        assert_eq!(of("1200.00", "JPY"), Ok(1200));
        assert_eq!(of("-0.00", "EUR"), Ok(0));
        assert_eq!(of("-1.00", "EUR"), Err(Refusal::AmountOutOfRange));
        assert_eq!(of("99999999999999999999", "EUR"), Err(Refusal::AmountOutOfRange));
        for bad in ["", ".", "1e3", "1,00", "NaN", "INF", "1.2.3", "０", "--1", "0x10"] {
            assert_eq!(of(bad, "EUR"), Err(Refusal::NoAmount), "{bad}");
        }
    }
}
