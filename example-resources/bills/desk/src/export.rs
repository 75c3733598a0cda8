//! Bills with their verdicts for other programs: CSV (RFC 4180) and JSON.

use crate::calendar::written;
use crate::verdict::Judged;
use portcullis_guest::gate::bills::{Date, Level};
use serde::Serialize;

#[derive(Serialize)]
struct Row<'b> {
    mailbox: &'b str,
    valid: bool,
    level: &'static str,
    biller: Option<&'b str>,
    biller_name: &'b str,
    account: Option<&'b str>,
    /// In the currency's minor unit: 199 is 1.99 EUR.
    minor_units: Option<i64>,
    currency: Option<&'b str>,
    due: Option<String>,
    first_day: Option<String>,
    last_day: Option<String>,
    reasons: &'b [String],
    remarks: &'b [String],
    evidence: &'b str,
}

#[derive(Serialize)]
struct All<'b> {
    today: String,
    bills: Vec<Row<'b>>,
}

fn row(judged: &Judged) -> Row<'_> {
    let (bill, period) = (&judged.bill, judged.bill.period.as_ref());
    Row {
        mailbox: &judged.mailbox,
        valid: judged.is_valid(),
        level: match bill.level {
            Level::Verified => "verified",
            Level::Vouched => "vouched",
            Level::Unverified => "unverified",
        },
        biller: bill.biller.as_deref(),
        biller_name: &bill.biller_name,
        account: bill.account.as_deref(),
        minor_units: bill.amount.as_ref().map(|amount| amount.minor_units),
        currency: bill.amount.as_ref().map(|amount| amount.currency.as_str()),
        due: bill.due.map(written),
        first_day: period.map(|period| written(period.first)),
        last_day: period.map(|period| written(period.last)),
        reasons: &judged.reasons,
        remarks: &judged.remarks,
        evidence: &bill.evidence,
    }
}

pub(crate) fn json(bills: &[Judged], today: Date) -> Vec<u8> {
    let all = All { today: written(today), bills: bills.iter().map(row).collect() };
    let mut json = serde_json::to_vec_pretty(&all).expect("texts and numbers serialise");
    json.push(b'\n');
    json
}

const COLUMNS: [&str; 14] = [
    "mailbox",
    "valid",
    "level",
    "biller",
    "biller_name",
    "account",
    "amount",
    "currency",
    "due",
    "first_day",
    "last_day",
    "reasons",
    "remarks",
    "evidence",
];

pub(crate) fn csv(bills: &[Judged]) -> Vec<u8> {
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut put = |fields: [String; 14]| table.write_record(fields).expect("memory takes it");
    put(COLUMNS.map(str::to_owned));
    for judged in bills {
        let row = row(judged);
        let text = |text: Option<&str>| cell(text.unwrap_or_default());
        let amount = judged.bill.amount.as_ref().map(ToString::to_string);
        let amount = amount.as_deref().and_then(|amount| amount.split(' ').next());
        put([
            cell(row.mailbox),
            row.valid.to_string(),
            row.level.to_owned(),
            text(row.biller),
            cell(row.biller_name),
            text(row.account),
            text(amount),
            text(row.currency),
            text(row.due.as_deref()),
            text(row.first_day.as_deref()),
            text(row.last_day.as_deref()),
            cell(&row.reasons.join("; ")),
            cell(&row.remarks.join("; ")),
            // Base64url may begin with `-`, which spreadsheets take for a formula.
            cell(row.evidence),
        ]);
    }
    table.into_inner().expect("memory takes it")
}

/// A cell that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
