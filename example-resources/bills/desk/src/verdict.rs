//! Whether a bill is valid, and why not.

use crate::calendar::{day_number, written};
use portcullis_guest::gate::bills::{Bill, Date, Level};
use std::collections::HashMap;

/// How far ahead a bill may be due or begin: one for a whole year, announced in time.
const MAX_DAYS_AHEAD: i64 = 400;
/// How long a bill may be for: a year, a leap day, and a week of grace.
const MAX_PERIOD: i64 = 373;

/// A bill and what is held against it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The mailbox that it came to.
    pub(crate) mailbox: String,
    pub(crate) bill: Bill,
    /// Why it is not valid. Empty if it is.
    pub(crate) reasons: Vec<String>,
    /// What else is to be known of it.
    pub(crate) remarks: Vec<String>,
}

impl Judged {
    pub(crate) fn is_valid(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// What makes two bills the same one, sent twice.
type Likeness = (Option<String>, String, Option<String>, Option<(i64, String)>, Option<i64>, Option<(i64, i64)>);

/// Judges bills, in the order in which they came: of the same bill sent twice the first counts.
pub(crate) fn judge(bills: Vec<(String, Bill)>, today: Date) -> Vec<Judged> {
    let mut seen: HashMap<Likeness, String> = HashMap::new();
    let mut mails: HashMap<String, String> = HashMap::new();
    let mut all = Vec::with_capacity(bills.len());
    for (mailbox, bill) in bills {
        let (mut reasons, mut remarks) = (Vec::new(), Vec::new());
        genuine(&bill, &mut reasons);
        dated(&bill, today, &mut reasons);
        if let Some(first) = mails.get(&bill.evidence) {
            reasons.push(format!("the same mail came to `{first}` as well; it counts once"));
        } else if let Some(first) = seen.get(&likeness(&bill)) {
            // A flat fee is the same each month. Only days tell a bill from its copy.
            if bill.due.is_some() || bill.period.is_some() {
                reasons.push(format!("the same bill came before, to `{first}`; it counts once"));
            } else {
                remarks.push(format!("a bill like it came before, to `{first}`; neither says for when"));
            }
        }
        if reasons.is_empty() {
            // Only a valid bill takes another's place: a forged one must not put the real one out.
            seen.insert(likeness(&bill), mailbox.clone());
            mails.insert(bill.evidence.clone(), mailbox.clone());
        }
        all.push(Judged { mailbox, bill, reasons, remarks });
    }
    all
}

fn genuine(bill: &Bill, reasons: &mut Vec<String>) {
    match bill.level {
        Level::Verified => {}
        Level::Vouched => reasons.push("it is vouched for, not proven: ask the biller before you pay".into()),
        Level::Unverified => reasons.push("nothing proves that it comes from the biller".into()),
    }
    if bill.level != Level::Verified {
        reasons.extend(bill.doubts.iter().map(|doubt| doubt.text.clone()));
    }
    if bill.biller.is_none() {
        reasons.push("its sender is not a biller that is known".into());
    }
    if bill.amount.is_none() {
        let why = bill.unread.as_ref().map_or("its amount is not known", |unread| &unread.text);
        reasons.push(why.to_owned());
    }
}

fn dated(bill: &Bill, today: Date, reasons: &mut Vec<String>) {
    let today = day_number(today);
    if let Some(due) = bill.due.filter(|due| day_number(*due) - today > MAX_DAYS_AHEAD) {
        reasons.push(format!("it is due on {}, too far ahead", written(due)));
    }
    let Some(period) = &bill.period else { return };
    let (first, last) = (day_number(period.first), day_number(period.last));
    if last < first || last - first > MAX_PERIOD {
        reasons.push("the days that it is for cannot be".into());
    }
    if first - today > MAX_DAYS_AHEAD {
        reasons.push(format!("it is for days from {} on, too far ahead", written(period.first)));
    }
    if bill.due.is_some_and(|due| day_number(due) + MAX_PERIOD < first) {
        reasons.push("it is due long before the days that it is for".into());
    }
}

fn likeness(bill: &Bill) -> Likeness {
    (
        bill.biller.clone(),
        bill.biller_name.clone(),
        bill.account.clone(),
        bill.amount.as_ref().map(|amount| (amount.minor_units, amount.currency.clone())),
        bill.due.map(day_number),
        bill.period.as_ref().map(|period| (day_number(period.first), day_number(period.last))),
    )
}
