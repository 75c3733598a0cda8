//! schema.org `Invoice` in JSON-LD and microdata. The context is not loaded: only schema.org's own names count.

use crate::extract::amount::{self, Currencies};
use crate::extract::{Bill, Refusal, date, decimal, html, microdata, period};
use portcullis_protocol::{Currency, Money};
use serde_json::Value;

/// How deep an invoice may lie in other things: a mail about an order with an invoice takes three.
const MAX_DEPTH: usize = 8;

pub(super) fn invoices(html: &str) -> Vec<Result<Bill, Refusal>> {
    let mut found = Vec::new();
    for block in html::json_ld(html) {
        // What is not JSON is somebody's template language, and no bill.
        if let Ok(value) = serde_json::from_str::<Value>(block) {
            collect(&value, MAX_DEPTH, &mut found);
        }
    }
    for item in microdata::items(html) {
        collect(&item, MAX_DEPTH, &mut found);
    }
    found
}

fn collect(value: &Value, depth: usize, found: &mut Vec<Result<Bill, Refusal>>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Array(list) => list.iter().for_each(|value| collect(value, depth, found)),
        Value::Object(object) => {
            if is_a(&value["@type"], "Invoice") {
                found.push(bill(value));
            } else {
                object.values().for_each(|value| collect(value, depth, found));
            }
        }
        _ => {}
    }
}

/// Whether a value, or one of a list of them, is a name of schema.org.
fn is_a(value: &Value, name: &str) -> bool {
    match value {
        Value::Array(all) => all.iter().any(|one| is_a(one, name)),
        Value::String(text) => {
            let text = text.trim();
            let own = text.strip_prefix("https://schema.org/").or_else(|| text.strip_prefix("http://schema.org/"));
            own.unwrap_or(text) == name
        }
        _ => false,
    }
}

fn bill(invoice: &Value) -> Result<Bill, Refusal> {
    let status = &invoice["paymentStatus"];
    if ["PaymentComplete", "PaymentAutomaticallyApplied"].iter().any(|paid| is_a(status, paid)) {
        return Err(Refusal::NotOwed);
    }
    let amount = total(&invoice["totalPaymentDue"])?;
    let due = date(text(&invoice["paymentDueDate"]).or_else(|| text(&invoice["paymentDue"])))?;
    let billed = text(&invoice["billingPeriod"]).and_then(|interval| interval.split_once('/'));
    let period = match billed {
        // `P1M` and the like say how long, not when.
        Some((start, end)) => period(start.parse().ok(), end.parse().ok())?,
        None => None,
    };
    let account = text(&invoice["accountId"]).map(str::to_owned);
    Ok(Bill { amount, due, period, account, iban: None, payees: Vec::new(), broken: Vec::new() })
}

/// `PriceSpecification` or `MonetaryAmount`.
fn total(value: &Value) -> Result<Money, Refusal> {
    let currency = text(&value["priceCurrency"]).or_else(|| text(&value["currency"])).ok_or(Refusal::Currency)?;
    let currency: Currency = currency.parse().map_err(|_| Refusal::Currency)?;
    let amounts = [&value["price"], &value["value"]];
    let mut amounts = amounts.iter().filter(|amount| !amount.is_null());
    let (Some(amount), None) = (amounts.next(), amounts.next()) else { return Err(Refusal::NoAmount) };
    match amount {
        // People are shown it too: `$70.00`.
        Value::String(text) if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            let currencies = Currencies { shared: Some(currency), bare: Some(currency), ..Currencies::default() };
            let read = amount::amount(text, currencies).unwrap_or(Err(Refusal::NoAmount))?;
            if read.currency() == currency { Ok(read) } else { Err(Refusal::Currency) }
        }
        Value::String(text) => decimal(text, currency),
        // The shortest decimal that reads back as the same number is what was written, as long as it has 15 digits.
        Value::Number(number) => decimal(&number.to_string(), currency),
        _ => Err(Refusal::NoAmount),
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<Result<Bill, Refusal>> {
        invoices(&format!("<script type=\"application/ld+json\">{json}</script>"))
    }

    #[test]
    fn an_invoice_is_read_wherever_it_stands() {
        let found = read(
            r#"{"@context":"https://schema.org","@graph":[{"@type":"EmailMessage","about":{"@type":"https://schema.org/Invoice",
            "accountId":"A-77","paymentDueDate":"2026-12-15T00:00","billingPeriod":"2026-11-01/2026-11-30",
            "totalPaymentDue":{"@type":"PriceSpecification","price":12.50,"priceCurrency":"EUR"}}}]}"#,
        );
        let [Ok(bill)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((bill.amount.to_string(), bill.account.as_deref()), ("12.50 EUR".into(), Some("A-77")));
        assert_eq!(bill.due.map(|day| day.to_string()).as_deref(), Some("2026-12-15"));
        assert!(bill.period.is_some());
    }

    #[test]
    fn what_says_that_it_was_paid_is_no_bill() {
        let with = |status: &str| {
            read(&format!(
                r#"{{"@type":"Invoice","paymentStatus":{status},
                "totalPaymentDue":{{"price":"12.50","priceCurrency":"EUR"}}}}"#
            ))
            .remove(0)
        };
        for paid in [
            r#""https://schema.org/PaymentComplete""#,
            r#""PaymentComplete""#,
            r#"["http://schema.org/PaymentAutomaticallyApplied"]"#,
        ] {
            assert_eq!(with(paid), Err(Refusal::NotOwed), "{paid}");
        }
        for owed in [r#""https://schema.org/PaymentDue""#, r#""PaymentPastDue""#, "null"] {
            assert!(with(owed).is_ok(), "{owed}");
        }
    }

    #[test]
    fn what_is_odd_is_refused() {
        let with = |total: &str, due: &str| {
            read(&format!(r#"{{"@type":"Invoice","totalPaymentDue":{total},"paymentDueDate":"{due}"}}"#)).remove(0)
        };
        let good = r#"{"price":"1.00","priceCurrency":"EUR"}"#;
        assert!(with(good, "2026-12-01").is_ok());
        assert_eq!(with(good, "2026-02-30"), Err(Refusal::BadDate));
        assert_eq!(with(r#"{"price":"-1.00","priceCurrency":"EUR"}"#, "2026-12-01"), Err(Refusal::AmountOutOfRange));
        assert_eq!(with(r#"{"price":"1.00","priceCurrency":"ZZZ"}"#, "2026-12-01"), Err(Refusal::Currency));
        assert_eq!(
            with(r#"{"price":"1.00","value":"2.00","priceCurrency":"EUR"}"#, "2026-12-01"),
            Err(Refusal::NoAmount)
        );
        assert_eq!(with(r#"{"price":"$1.00","priceCurrency":"EUR"}"#, "2026-12-01"), Err(Refusal::Currency));
        let shown = r#"<p itemscope itemtype="https://schema.org/Invoice"><b itemprop="totalPaymentDue" itemscope>
            <i itemprop="price">$70.00</i><meta itemprop="priceCurrency" content="USD"></b></p>"#;
        let bills = invoices(shown);
        assert!(matches!(bills.as_slice(), [Ok(bill)] if bill.amount.to_string() == "70.00 USD"), "{bills:?}");
        assert!(read("{").is_empty() && read(&"[".repeat(60_000)).is_empty());
    }
}
