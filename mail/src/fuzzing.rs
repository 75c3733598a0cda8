//! Each parser of strangers' bytes, for whoever throws bytes at it: `mail/fuzz/`, and the test that replays its corpus.

use crate::authenticity;
use crate::extract::{self, Template, Templates};
use crate::mail::Mail;
use crate::registry::BillerRegistry;
use crate::{pdf, source};
use portcullis_protocol::bills::{BillsAnswer, BillsRequest};
use portcullis_protocol::{PublicKey, Unverified};
use serde_json::Value;

/// Whether a fragment of an invoice breaks a rule of EN 16931, for the tests of its committee; `None` if it cannot be
/// told.
#[must_use]
pub fn breaks_rule(xml: &[u8], rule: &str) -> Option<bool> {
    extract::breaks_rule(xml, rule)
}

/// A parser: its name, and what runs it. It must return, whatever it is given.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("mail", mail),
    ("invoice", |bytes| drop(extract::invoice(bytes))),
    ("html", |bytes| drop(extract::page(&String::from_utf8_lossy(bytes)))),
    ("words", words),
    ("pdf", pdf::parse),
    ("imap", source::fuzz_imap),
    ("pop3", source::fuzz_pop3),
    ("jmap", |bytes| drop(serde_json::from_slice::<Value>(bytes))),
    ("dns", authenticity::fuzz_txt),
    ("data", data),
    ("handout", handout),
];

/// A mail, weighed and parsed, its sender, and the bill in it.
fn mail(bytes: &[u8]) {
    if let Ok(mail) = Mail::parse(bytes) {
        let sender = mail.sender();
        let domain = sender.as_ref().map(crate::account::Address::domain);
        let _ = extract::extract(&mail, domain, None, &Templates::none(), None);
        drop(mail.recipients());
    }
}

/// The words of a mail or a document, in every language.
fn words(bytes: &[u8]) {
    let _ = extract::words("Invoice, Rechnung, facture, factura", &String::from_utf8_lossy(bytes));
}

/// What a person installs: a registry and templates.
fn data(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(template) = Template::parse(&text) {
        drop(template.lint());
    }
    let _ = Unverified::<BillerRegistry>::parse(text.trim()).is_ok();
    let _ = serde_json::from_slice::<PublicKey>(bytes).is_ok();
}

/// What terminals ask, and what they are answered.
fn handout(bytes: &[u8]) {
    drop(serde_json::from_slice::<BillsRequest>(bytes));
    drop(serde_json::from_slice::<BillsAnswer>(bytes));
}
