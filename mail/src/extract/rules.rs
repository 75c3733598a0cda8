//! Whether an invoice keeps the rules of EN 16931, as its committee publishes them.
//!
//! Those of the standard itself decide, not those that a country or a network adds: what `BR-DE-15` misses is nothing
//! to a person who pays. An invoice that does not say that it follows the standard, such as UBL of other countries or
//! the lesser profiles of Factur-X, only has to add up.

use crate::extract::xml::all;
use crate::extract::{cii, xml};
use en16931::validation::{Severity, rules::CORE};
use en16931::{Invoice, profiles};
use en16931_formats::report::{Entry, Kind};
use portcullis_protocol::Currency;
use roxmltree::Node;

/// How the specifications begin that an invoice of EN 16931 names (BT-24).
const CLAIM: &str = "urn:cen.eu:en16931:2017";
/// That the totals add up, from the lines to what is due.
const SUMS: [&str; 7] = ["BR-CO-10", "BR-CO-11", "BR-CO-12", "BR-CO-13", "BR-CO-14", "BR-CO-15", "BR-CO-16"];
/// That there are totals at all.
const TOTALS: [&str; 4] = ["BR-12", "BR-13", "BR-14", "BR-15"];
/// Rules that are named. More say nothing new.
const MAX_NAMED: usize = 8;

/// That something is there. The model of an invoice has zero for an amount that is missing, and nothing for a group
/// that is empty, so this is asked of the document itself.
struct Presence {
    rule: &'static str,
    /// Wherever this is …
    context: &'static [&'static str],
    /// … if it is a charge, or if it is an allowance …
    charge: Option<bool>,
    /// … there has to be this.
    wanted: &'static [&'static str],
}

const fn presence(
    rule: &'static str,
    context: &'static [&'static str],
    charge: Option<bool>,
    wanted: &'static [&'static str],
) -> Presence {
    Presence { rule, context, charge, wanted }
}

const UBL: [Presence; 27] = [
    presence("BR-03", &[], None, &["IssueDate"]),
    presence("BR-08", &[], None, &["AccountingSupplierParty", "Party", "PostalAddress"]),
    presence("BR-10", &[], None, &["AccountingCustomerParty", "Party", "PostalAddress"]),
    presence("BR-12", &["LegalMonetaryTotal"], None, &["LineExtensionAmount"]),
    presence("BR-13", &["LegalMonetaryTotal"], None, &["TaxExclusiveAmount"]),
    presence("BR-14", &["LegalMonetaryTotal"], None, &["TaxInclusiveAmount"]),
    presence("BR-15", &["LegalMonetaryTotal"], None, &["PayableAmount"]),
    presence("BR-19", &["TaxRepresentativeParty"], None, &["PostalAddress"]),
    presence("BR-22", &["InvoiceLine"], None, &["InvoicedQuantity"]),
    presence("BR-22", &["CreditNoteLine"], None, &["CreditedQuantity"]),
    presence("BR-24", &["InvoiceLine"], None, &["LineExtensionAmount"]),
    presence("BR-24", &["CreditNoteLine"], None, &["LineExtensionAmount"]),
    presence("BR-26", &["InvoiceLine"], None, &["Price", "PriceAmount"]),
    presence("BR-26", &["CreditNoteLine"], None, &["Price", "PriceAmount"]),
    presence("BR-31", &["AllowanceCharge"], Some(false), &["Amount"]),
    presence("BR-32", &["AllowanceCharge"], Some(false), &["TaxCategory", "ID"]),
    presence("BR-36", &["AllowanceCharge"], Some(true), &["Amount"]),
    presence("BR-37", &["AllowanceCharge"], Some(true), &["TaxCategory", "ID"]),
    presence("BR-41", &["InvoiceLine", "AllowanceCharge"], Some(false), &["Amount"]),
    presence("BR-41", &["CreditNoteLine", "AllowanceCharge"], Some(false), &["Amount"]),
    presence("BR-43", &["InvoiceLine", "AllowanceCharge"], Some(true), &["Amount"]),
    presence("BR-43", &["CreditNoteLine", "AllowanceCharge"], Some(true), &["Amount"]),
    presence("BR-45", &["TaxTotal", "TaxSubtotal"], None, &["TaxableAmount"]),
    presence("BR-46", &["TaxTotal", "TaxSubtotal"], None, &["TaxAmount"]),
    presence("BR-47", &["TaxTotal", "TaxSubtotal"], None, &["TaxCategory", "ID"]),
    presence("BR-52", &["AdditionalDocumentReference"], None, &["ID"]),
    presence("BR-55", &["BillingReference"], None, &["InvoiceDocumentReference", "ID"]),
];

const SUMMATION: &[&str] = &[
    "SupplyChainTradeTransaction",
    "ApplicableHeaderTradeSettlement",
    "SpecifiedTradeSettlementHeaderMonetarySummation",
];
const CII: [Presence; 4] = [
    presence("BR-12", SUMMATION, None, &["LineTotalAmount"]),
    presence("BR-13", SUMMATION, None, &["TaxBasisTotalAmount"]),
    presence("BR-14", SUMMATION, None, &["GrandTotalAmount"]),
    presence("BR-15", SUMMATION, None, &["DuePayableAmount"]),
];

/// A rule about what the model of an invoice does not hold, asked of the document itself.
type Check = (&'static str, fn(Node<'_, '_>) -> bool);

/// True if the rule is broken.
const CHECKS: [Check; 4] = [
    ("BR-CL-03", has_unknown_currency),
    ("BR-CL-24", has_unknown_media_type),
    ("BR-CO-15", has_two_tax_totals),
    ("BR-CO-19", has_period_without_days),
];
/// Types of files that may be inside an invoice (BT-125).
const MEDIA_TYPES: [&str; 6] = [
    "application/pdf",
    "image/png",
    "image/jpeg",
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
];

/// Codes of ISO 4217 that have no minor units: metals, funds, tests.
const WITHOUT_UNITS: [&str; 13] =
    ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"];

/// An amount in a currency that ISO 4217 does not have.
fn has_unknown_currency(invoice: Node<'_, '_>) -> bool {
    let codes = invoice.descendants().filter_map(|node| node.attribute("currencyID"));
    let mut codes = codes.filter(|code| !WITHOUT_UNITS.contains(code));
    codes.any(|code| code.parse().ok().and_then(|code: Currency| code.exponent()).is_none())
}

fn has_unknown_media_type(invoice: Node<'_, '_>) -> bool {
    let files = ["EmbeddedDocumentBinaryObject", "AttachmentBinaryObject"];
    let files = invoice.descendants().filter(|node| files.contains(&node.tag_name().name()));
    let mut types = files.filter_map(|node| node.attribute("mimeCode"));
    types.any(|media_type| !MEDIA_TYPES.contains(&media_type))
}

/// Two taxes in the currency of the invoice: the totals would come to either.
fn has_two_tax_totals(invoice: Node<'_, '_>) -> bool {
    let currency = xml::text(invoice, &["DocumentCurrencyCode"]);
    let is_own = |amount: &Node<'_, '_>| currency.is_some() && amount.attribute("currencyID") == currency;
    all(invoice, &["TaxTotal", "TaxAmount"]).iter().filter(|amount| is_own(amount)).count() > 1
}

fn has_period_without_days(invoice: Node<'_, '_>) -> bool {
    let days = ["StartDate", "EndDate", "DescriptionCode"];
    let has_day = |period: &Node<'_, '_>| days.iter().any(|day| xml::text(*period, &[day]).is_some());
    all(invoice, &["InvoicePeriod"]).iter().any(|period| !has_day(period))
}

impl Presence {
    fn is_broken(&self, invoice: Node<'_, '_>) -> bool {
        let concerns = |group: &Node<'_, '_>| match self.charge {
            None => true,
            Some(charge) => (xml::text(*group, &["ChargeIndicator"]) == Some("true")) == charge,
        };
        all(invoice, self.context).into_iter().filter(concerns).any(|group| all(group, self.wanted).is_empty())
    }
}

fn presences(invoice: Node<'_, '_>) -> &'static [Presence] {
    if invoice.tag_name().namespace() == Some(cii::INVOICE) { &CII } else { &UBL }
}

/// The rules that an invoice breaks, each once; a few if they are many.
pub(super) fn broken(invoice: Node<'_, '_>) -> Vec<String> {
    let text = invoice.document().input_text().as_bytes();
    let Ok(read) = en16931_formats::read(text) else { return vec!["syntax".into()] };
    let claims = read.invoice.specification_id.as_deref().is_some_and(|id| id.trim().starts_with(CLAIM));
    let has_totals =
        !presences(invoice).iter().any(|wanted| TOTALS.contains(&wanted.rule) && wanted.is_broken(invoice));
    let mut found: Vec<String> = Vec::new();
    let mut name = |rule: String| {
        if !found.contains(&rule) && found.len() < MAX_NAMED {
            found.push(rule);
        }
    };
    let checked = CHECKS.iter().filter(|(_, is_broken)| is_broken(invoice)).map(|(rule, _)| (*rule).to_owned());
    if claims {
        checked.for_each(&mut name);
        read.entries.iter().filter(|entry| is_fatal(entry)).map(named).for_each(&mut name);
        let missing = presences(invoice).iter().filter(|wanted| wanted.is_broken(invoice));
        missing.map(|wanted| wanted.rule.to_owned()).for_each(&mut name);
        let is_asked = |rule: &String| presences(invoice).iter().any(|wanted| wanted.rule == rule);
        fatal(&read.invoice).filter(|rule| !is_asked(rule)).for_each(&mut name);
    } else if has_totals {
        checked.filter(|rule| SUMS.contains(&rule.as_str())).for_each(&mut name);
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

/// Whether a fragment of an invoice breaks a rule, for the tests of the committee; `None` if it cannot be told.
pub(super) fn verdict(fragment: Node<'_, '_>, rule: &str) -> Option<bool> {
    let known = CORE.iter().find(|core| core.id.matches(rule))?.id.as_str();
    if CHECKS.iter().any(|(rule, is_broken)| *rule == known && is_broken(fragment)) {
        return Some(true);
    }
    let mut asked = presences(fragment).iter().filter(|wanted| wanted.rule == known).peekable();
    if asked.peek().is_some() {
        return Some(asked.any(|wanted| wanted.is_broken(fragment)));
    }
    let read = en16931_formats::read(fragment.document().input_text().as_bytes()).ok()?;
    if en16931::validate(&read.invoice).has(known) {
        return Some(true);
    }
    // An amount with three decimals is none for the model: the reader finds it.
    let is_of_form = known.starts_with("BR-DEC-");
    Some(is_of_form && read.entries.iter().any(|entry| entry.kind == Kind::Malformed))
}
