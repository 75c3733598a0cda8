//! The rules of EN 16931: what the committee's own tests say of them, and what becomes of an invoice that breaks one.

use crate::signer::{foreign, python_with, sign};
use crate::stage::{USER, fetcher, registry, run};
use portcullis_mail::{BillRecord, Doubt, Level, fuzzing};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Case {
    file: String,
    rule: String,
    broken: bool,
    xml: String,
}

/// How many verdicts of the committee there are, on how many of them ours agree, and how many are about the syntax of
/// UBL alone (`UBL-…`), which nothing here asks for.
pub(crate) fn agreement() -> (usize, usize, usize) {
    let cases = python_with("verdicts.py", &[&foreign("invoices")], "");
    let cases: Vec<Case> = serde_json::from_value(cases).expect("cases");
    let (syntax, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.rule.starts_with("UBL-"));
    let agrees = |case: &&Case| {
        let verdict = fuzzing::breaks_rule(case.xml.as_bytes(), &case.rule);
        if verdict != Some(case.broken) {
            println!("{} {}: CEN says broken is {}, here {verdict:?}", case.file, case.rule, case.broken);
            println!("{}", case.xml);
        }
        verdict == Some(case.broken)
    };
    let agreed = cases.iter().filter(agrees).count();
    println!("agreement with the committee: {agreed} of {}, and {} about syntax", cases.len(), syntax.len());
    (cases.len(), agreed, syntax.len())
}

#[test]
fn verdicts_are_those_of_the_committee() {
    let (all, agreed, _) = agreement();
    assert!(all >= 1_000, "the corpus is there: {all}");
    assert!(agreed * 100 >= all * 99, "{agreed} of {all}");
}

/// An invoice of EN 16931 over 119.00 EUR.
fn invoice() -> String {
    let party = |kind: &str, name: &str| {
        format!(
            "<cac:{kind}><cac:Party><cac:PostalAddress><cbc:CityName>Bonn</cbc:CityName><cac:Country>\
             <cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:PostalAddress>\
             <cac:PartyTaxScheme><cbc:CompanyID>DE123456789</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID>\
             </cac:TaxScheme></cac:PartyTaxScheme><cac:PartyLegalEntity><cbc:RegistrationName>{name}\
             </cbc:RegistrationName></cac:PartyLegalEntity></cac:Party></cac:{kind}>"
        )
    };
    let amount = |name: &str, amount: &str| format!("<cbc:{name} currencyID=\"EUR\">{amount}</cbc:{name}>");
    let category = |name: &str| {
        format!(
            "<cac:{name}><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent><cac:TaxScheme><cbc:ID>VAT</cbc:ID>\
             </cac:TaxScheme></cac:{name}>"
        )
    };
    let names = "urn:oasis:names:specification:ubl:schema:xsd:";
    [
        &format!(
            "<Invoice xmlns=\"{names}Invoice-2\" xmlns:cac=\"{names}CommonAggregateComponents-2\" \
             xmlns:cbc=\"{names}CommonBasicComponents-2\">\
             <cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID><cbc:ID>1</cbc:ID>\
             <cbc:IssueDate>2026-11-29</cbc:IssueDate><cbc:DueDate>2026-12-15</cbc:DueDate>\
             <cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode><cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>"
        ),
        &party("AccountingSupplierParty", "Power"),
        &party("AccountingCustomerParty", "Kim"),
        "<cac:TaxTotal>",
        &amount("TaxAmount", "19.00"),
        "<cac:TaxSubtotal>",
        &amount("TaxableAmount", "100.00"),
        &amount("TaxAmount", "19.00"),
        &category("TaxCategory"),
        "</cac:TaxSubtotal></cac:TaxTotal><cac:LegalMonetaryTotal>",
        &amount("LineExtensionAmount", "100.00"),
        &amount("TaxExclusiveAmount", "100.00"),
        &amount("TaxInclusiveAmount", "119.00"),
        &amount("PayableAmount", "119.00"),
        "</cac:LegalMonetaryTotal><cac:InvoiceLine><cbc:ID>1</cbc:ID><cbc:InvoicedQuantity unitCode=\"KWH\">100\
         </cbc:InvoicedQuantity>",
        &amount("LineExtensionAmount", "100.00"),
        "<cac:Item><cbc:Name>Power</cbc:Name>",
        &category("ClassifiedTaxCategory"),
        "</cac:Item><cac:Price>",
        &amount("PriceAmount", "1.00"),
        "</cac:Price></cac:InvoiceLine></Invoice>",
    ]
    .concat()
}

/// What becomes of a signed mail of a registered biller with this invoice.
async fn record(xml: &str) -> BillRecord {
    let raw = format!(
        "From: Billing <billing@power.example>\r\nTo: <{USER}>\r\nSubject: Invoice\r\n\
         Date: Sun, 29 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@power.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/xml; name=\"invoice.xml\"\r\n\r\n{xml}\r\n"
    );
    let (mails, names) = sign(&[json!({ "raw": raw, "domain": "power.example", "selector": "k1" })]);
    let (mut records, summary) = run(&fetcher(names, registry(&["power.example"])), mails).await;
    assert!(summary.unreadable.is_empty(), "{summary:?}");
    records.pop().expect("a bill")
}

#[tokio::test]
async fn an_invoice_that_breaks_a_rule_is_shown_with_it_and_never_verified() {
    let good = record(&invoice()).await;
    assert_eq!((good.level, good.rules.as_slice()), (Level::Verified, &[][..]), "the control: {good:?}");
    for (from, to, rule) in [
        // What is due is not what the totals come to: a person would pay too much.
        ("<cbc:PayableAmount currencyID=\"EUR\">119.00", "<cbc:PayableAmount currencyID=\"EUR\">1190.00", "BR-CO-16"),
        (
            "<cbc:TaxInclusiveAmount currencyID=\"EUR\">119.00",
            "<cbc:TaxInclusiveAmount currencyID=\"EUR\">120.00",
            "BR-CO-15",
        ),
        (
            "<cbc:LineExtensionAmount currencyID=\"EUR\">100.00",
            "<cbc:LineExtensionAmount currencyID=\"EUR\">90.00",
            "BR-CO-13",
        ),
        ("<cbc:ID>1</cbc:ID><cbc:IssueDate>", "<cbc:IssueDate>", "BR-02"),
        // A second tax, and readers that take either.
        (
            "<cac:TaxTotal>",
            "<cac:TaxTotal><cbc:TaxAmount currencyID=\"EUR\">9.00</cbc:TaxAmount></cac:TaxTotal><cac:TaxTotal>",
            "BR-CO-15",
        ),
        ("<cbc:PriceAmount currencyID=\"EUR\">", "<cbc:PriceAmount currencyID=\"EXR\">", "BR-CL-03"),
    ] {
        let text = invoice();
        assert!(text.contains(from), "{from}");
        let bad = record(&text.replacen(from, to, 1)).await;
        assert_eq!((bad.level, bad.doubts.as_slice()), (Level::Unverified, &[Doubt::InvoiceRules][..]), "{bad:?}");
        assert!(bad.rules.iter().any(|broken| broken == rule), "{rule}: {bad:?}");
        assert!(bad.explained(Doubt::InvoiceRules).contains(rule), "a person reads which");
    }
    // One that does not say that it follows EN 16931 still has to add up, as far as it has totals.
    let claim = "<cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID>";
    let other = invoice().replace(claim, "");
    assert_eq!(
        record(&other.replace("<cbc:ID>1</cbc:ID><cbc:IssueDate>", "<cbc:IssueDate>")).await.level,
        Level::Verified
    );
    assert_eq!(record(&other.replace(">119.00</cbc:Payable", ">1190.00</cbc:Payable")).await.level, Level::Unverified);
}
