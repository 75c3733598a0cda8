//! EN 16931 in the syntax of UBL 2.1 (business terms BT-… and groups BG-… as that standard numbers them).

use crate::extract::xml::{all, own_text, text};
use crate::extract::{Bill, Refusal, date, decimal, period};
use en16931::codes::generated::CREDIT_NOTE_TYPE_CODES;
use portcullis_protocol::Currency;
use roxmltree::Node;

pub(super) const INVOICE: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
pub(super) const CREDIT_NOTE: &str = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2";

/// Codes of UNTDID 1001 by which the sender asks for money: invoices and requests for payment.
const ASKING: [&str; 28] = [
    "71", "80", "82", "84", "218", "219", "326", "331", "380", "382", "383", "384", "385", "386", "387", "388", "390",
    "393", "394", "395", "553", "575", "623", "633", "780", "875", "876", "877",
];
/// Those of invoices that the buyer writes: its sender owes what it says.
const SELF_BILLED: [&str; 4] = ["389", "500", "501", "527"];

/// Whether a document of this type (BT-3) asks for money. One without a type is left to the rules of its standard.
pub(super) fn asks(code: Option<&str>) -> Result<(), Refusal> {
    match code {
        None => Ok(()),
        Some(code) if ASKING.contains(&code) => Ok(()),
        Some(code) if CREDIT_NOTE_TYPE_CODES.contains(&code) || SELF_BILLED.contains(&code) => Err(Refusal::CreditNote),
        Some(_) => Err(Refusal::NotOwed),
    }
}

pub(super) fn bill(invoice: Node<'_, '_>) -> Result<Bill, Refusal> {
    asks(text(invoice, &["InvoiceTypeCode"]))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use en16931::codes::generated::INVOICE_TYPE_CODES;

    #[test]
    fn only_documents_that_ask_for_money_are_bills() {
        for code in ["380", "384", "326", "71", "877"] {
            assert_eq!(asks(Some(code)), Ok(()), "{code}");
        }
        for code in CREDIT_NOTE_TYPE_CODES.iter().chain(&["262", "296", "308", "420", "458", "389", "527"]) {
            assert_eq!(asks(Some(code)), Err(Refusal::CreditNote), "{code}");
        }
        for code in ["325", "751", "0380", "", "9999"] {
            assert_eq!(asks(Some(code)), Err(Refusal::NotOwed), "{code}");
        }
        assert!(ASKING.iter().all(|code| INVOICE_TYPE_CODES.contains(code)));
    }
}
