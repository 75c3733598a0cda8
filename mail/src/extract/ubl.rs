//! EN 16931 in the syntax of UBL 2.1 (business terms BT-… and groups BG-… as that standard numbers them).

use crate::extract::xml::{all, own_text, text};
use crate::extract::{Bill, Refusal, date, decimal, period};
use portcullis_protocol::Currency;
use roxmltree::Node;

pub(super) const INVOICE: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
pub(super) const CREDIT_NOTE: &str = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2";

/// Codes of UNTDID 1001 that owe the payer something.
pub(super) const CREDIT_CODES: [&str; 6] = ["81", "83", "261", "381", "396", "532"];

pub(super) fn bill(invoice: Node<'_, '_>) -> Result<Bill, Refusal> {
    // BT-3
    if text(invoice, &["InvoiceTypeCode"]).is_some_and(|code| CREDIT_CODES.contains(&code)) {
        return Err(Refusal::CreditNote);
    }
    // BT-5
    let currency = text(invoice, &["DocumentCurrencyCode"]).ok_or(Refusal::Currency)?;
    let currency: Currency = currency.parse().map_err(|_| Refusal::Currency)?;
    // BT-115, exactly one.
    let totals = all(invoice, &["LegalMonetaryTotal", "PayableAmount"]);
    let [total] = totals.as_slice() else { return Err(Refusal::NoAmount) };
    if total.attribute("currencyID").is_some_and(|code| code != currency.as_str()) {
        return Err(Refusal::Currency);
    }
    let amount = decimal(own_text(*total).ok_or(Refusal::NoAmount)?, currency)?;
    // BT-9, in UBL 2.0 with the means of payment.
    let due = date(text(invoice, &["DueDate"]).or_else(|| text(invoice, &["PaymentMeans", "PaymentDueDate"])))?;
    // BG-14
    let start = date(text(invoice, &["InvoicePeriod", "StartDate"]))?;
    let end = date(text(invoice, &["InvoicePeriod", "EndDate"]))?;
    // BT-46: what the seller calls the buyer.
    let account = text(invoice, &["AccountingCustomerParty", "SupplierAssignedAccountID"])
        .or_else(|| text(invoice, &["AccountingCustomerParty", "Party", "PartyIdentification", "ID"]));
    // BT-84
    let iban = text(invoice, &["PaymentMeans", "PayeeFinancialAccount", "ID"]).and_then(|iban| iban.parse().ok());
    Ok(Bill {
        amount,
        due,
        period: period(start, end)?,
        account: account.map(str::to_owned),
        iban,
        payees: Vec::new(),
        broken: Vec::new(),
    })
}
