//! EN 16931 in the syntax of UN/CEFACT Cross Industry Invoice D16B, which Factur-X and ZUGFeRD use too.

use crate::extract::ubl::asks;
use crate::extract::xml::{all, own_text, text};
use crate::extract::{Bill, Refusal, decimal, period};
use portcullis_protocol::Currency;
use portcullis_protocol::Date;
use roxmltree::Node;

pub(super) const INVOICE: &str = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100";

pub(super) fn bill(invoice: Node<'_, '_>) -> Result<Bill, Refusal> {
    asks(text(invoice, &["ExchangedDocument", "TypeCode"]))?;
    let transactions = all(invoice, &["SupplyChainTradeTransaction"]);
    let [transaction] = transactions.as_slice() else { return Err(Refusal::Malformed) };
    let settlements = all(*transaction, &["ApplicableHeaderTradeSettlement"]);
    let [settlement] = settlements.as_slice() else { return Err(Refusal::Malformed) };
    // BT-5
    let currency = text(*settlement, &["InvoiceCurrencyCode"]).ok_or(Refusal::Currency)?;
    let currency: Currency = currency.parse().map_err(|_| Refusal::Currency)?;
    // BT-115; the MINIMUM and BASIC WL profiles have it as well.
    let totals = all(*settlement, &["SpecifiedTradeSettlementHeaderMonetarySummation", "DuePayableAmount"]);
    let [total] = totals.as_slice() else { return Err(Refusal::NoAmount) };
    if total.attribute("currencyID").is_some_and(|code| code != currency.as_str()) {
        return Err(Refusal::Currency);
    }
    let amount = decimal(own_text(*total).ok_or(Refusal::NoAmount)?, currency)?;
    // BT-9
    let due = day(*settlement, &["SpecifiedTradePaymentTerms", "DueDateDateTime", "DateTimeString"])?;
    // BG-14
    let start = day(*settlement, &["BillingSpecifiedPeriod", "StartDateTime", "DateTimeString"])?;
    let end = day(*settlement, &["BillingSpecifiedPeriod", "EndDateTime", "DateTimeString"])?;
    // BT-46
    let buyer = ["ApplicableHeaderTradeAgreement", "BuyerTradeParty", "ID"];
    let account = text(*transaction, &buyer).map(str::to_owned);
    // BT-84
    let payee = ["SpecifiedTradeSettlementPaymentMeans", "PayeePartyCreditorFinancialAccount", "IBANID"];
    let iban = text(*settlement, &payee).and_then(|iban| iban.parse().ok());
    Ok(Bill { amount, due, period: period(start, end)?, account, iban, payees: Vec::new(), broken: Vec::new() })
}

/// A day in format 102, `20261129`, which is the only one that EN 16931 allows.
fn day(node: Node<'_, '_>, path: &[&str]) -> Result<Option<Date>, Refusal> {
    let Some(found) = all(node, path).into_iter().next() else { return Ok(None) };
    let format = found.attribute("format").unwrap_or("102");
    let text = own_text(found).filter(|_| format == "102");
    text.and_then(Date::compact).map(Some).ok_or(Refusal::BadDate)
}
