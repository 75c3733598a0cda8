//! Whether an invoice keeps the rules of EN 16931, as its committee publishes them.
//!
//! Those of the standard itself decide, not those that a country or a network adds: what `BR-DE-15` misses is nothing to
//! a person who pays. An invoice that does not say that it follows the standard, such as UBL of other countries or the
//! lesser profiles of Factur-X, only has to add up.

use en16931::validation::{Severity, rules::CORE};
use en16931::{Invoice, profiles};
use en16931_formats::report::{Entry, Kind};

/// How the specifications begin that an invoice of EN 16931 names (BT-24).
const CLAIM: &str = "urn:cen.eu:en16931:2017";
/// That the totals add up, from the lines to what is due.
const SUMS: [&str; 7] = ["BR-CO-10", "BR-CO-11", "BR-CO-12", "BR-CO-13", "BR-CO-14", "BR-CO-15", "BR-CO-16"];
/// Rules that are named. More say nothing new.
const MAX_NAMED: usize = 8;

/// The rules that an invoice breaks, each once; a few if they are many.
pub(crate) fn broken(xml: &[u8]) -> Vec<String> {
    let Ok(read) = en16931_formats::read(xml) else { return vec!["syntax".into()] };
    let claims = read.invoice.specification_id.as_deref().is_some_and(|id| id.trim().starts_with(CLAIM));
    let mut found: Vec<String> = Vec::new();
    let mut name = |rule: String| {
        if !found.contains(&rule) && found.len() < MAX_NAMED {
            found.push(rule);
        }
    };
    if claims {
        read.entries.iter().filter(|entry| is_fatal(entry)).map(named).for_each(&mut name);
        fatal(&read.invoice).for_each(&mut name);
    } else if !read.entries.iter().any(lacks_a_total) {
        fatal(&read.invoice).filter(|rule| SUMS.contains(&rule.as_str())).for_each(&mut name);
    }
    found
}

/// The rules of the standard that are broken. A national extension may put another in the place of one.
fn fatal(invoice: &Invoice) -> impl Iterator<Item = String> {
    let declared = profiles::classify(invoice.specification_id.as_deref());
    let report = declared.profile().unwrap_or(&profiles::EN16931).validate(invoice);
    let of_the_standard = |rule: &String| CORE.iter().any(|core| core.id.as_str() == rule);
    let rules: Vec<String> = report.fatal().map(|finding| finding.rule.clone()).filter(of_the_standard).collect();
    rules.into_iter()
}

/// Whether something that is there cannot be held, or stands twice.
fn is_fatal(entry: &Entry) -> bool {
    entry.kind.level() == Severity::Fatal
}

fn named(entry: &Entry) -> String {
    entry.rule.clone().or_else(|| entry.term.clone()).unwrap_or_else(|| "syntax".into())
}

/// Whether a total is missing that EN 16931 asks for and other forms of invoice do not.
fn lacks_a_total(entry: &Entry) -> bool {
    let total = entry.path.contains("MonetaryTotal") || entry.path.contains("MonetarySummation");
    entry.kind == Kind::Malformed && entry.value.is_none() && total
}

/// What the rules say of a fragment of an invoice, for the tests of the committee: the rules that are broken.
pub(crate) fn verdict(xml: &[u8], rule: &str) -> Option<bool> {
    let read = en16931_formats::read(xml).ok()?;
    let known = CORE.iter().find(|core| core.id.matches(rule))?;
    if en16931::validate(&read.invoice).has(known.id.as_str()) {
        return Some(true);
    }
    // What the model cannot hold at all, such as a total that is missing or has three decimals, is found by the reader.
    let by_reader = known.id.as_str().starts_with("BR-DEC-") || BY_READER.contains(&known.id.as_str());
    Some(by_reader && read.entries.iter().any(|entry| entry.kind == Kind::Malformed))
}

/// Rules that the reader keeps: without the value there is nothing that others could be applied to.
const BY_READER: [&str; 8] = ["BR-12", "BR-13", "BR-14", "BR-15", "BR-22", "BR-24", "BR-26", "BR-CL-03"];
