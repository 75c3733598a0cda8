//! What the household's bills come to.
//!
//! ```text
//!   pages of records ─▶ desk: read all ─▶ verdict: valid or not, and why ─▶ list, totals, warnings, plot, CSV, JSON
//! ```
//!
//! Nothing is paid here. Whatever is not valid is shown, and counts nowhere.

mod calendar;
mod export;
mod part;
mod plot;
#[cfg(test)]
mod tests;
mod totals;
mod verdict;

use calendar::{day_number, written};
use portcullis_guest::gate::bills::{self, Bill, BillsError, Date};
use std::fmt;
use totals::Totals;
use verdict::{Judged, judge};

/// The most that is read: far more than a household gets, and what fits the memory.
const MAX_BILLS: usize = 20_000;

/// Whose bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the first mailbox.
    First,
    /// Those of all.
    All,
}

/// Why there are no bills to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoBills {
    /// No mailbox was handed over.
    NoMailbox,
    /// More than [`MAX_BILLS`].
    TooMany,
    /// The terminal's answer.
    Unavailable(String),
}

impl fmt::Display for NoBills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMailbox => f.write_str("no mailbox was handed over; connect one: portcullis-mail account add"),
            Self::TooMany => write!(f, "there are more than {MAX_BILLS} bills"),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl From<BillsError> for NoBills {
    fn from(error: BillsError) -> Self {
        match error {
            BillsError::NoSuchMailbox => Self::NoMailbox,
            BillsError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Bills, each with its verdict, the latest due date first.
#[derive(Debug)]
pub struct Desk {
    bills: Vec<Judged>,
    today: Date,
}

impl Desk {
    /// Reads every bill of the scope and judges it.
    ///
    /// # Errors
    /// [`NoBills`].
    pub fn open(scope: Scope) -> Result<Self, NoBills> {
        let mut mailboxes = bills::mailboxes();
        if scope == Scope::First {
            mailboxes.truncate(1);
        }
        let (mut found, mut today) = (Vec::new(), None);
        for mailbox in mailboxes {
            let (bills, day) = read(&mailbox)?;
            found.extend(bills.into_iter().map(|bill| (mailbox.clone(), bill)));
            today = Some(day);
            if found.len() > MAX_BILLS {
                return Err(NoBills::TooMany);
            }
        }
        let today = today.ok_or(NoBills::NoMailbox)?;
        let mut bills = judge(found, today);
        bills.sort_by_key(|judged| std::cmp::Reverse(judged.bill.due.map(day_number)));
        Ok(Self { bills, today })
    }

    /// A line for each bill, and below it its reasons and what else is to be known.
    #[must_use]
    pub fn list(&self) -> String {
        let mut text = String::new();
        for judged in &self.bills {
            let (bill, verdict) = (&judged.bill, if judged.is_valid() { "valid    " } else { "NOT VALID" });
            text += &format!("{verdict}  {:>16}  {}", amount(bill), bill.biller_name);
            if let Some(account) = &bill.account {
                text += &format!(", account {account}");
            }
            if let Some(due) = bill.due {
                text += &format!(", due {}", written(due));
            }
            text.push('\n');
            for reason in judged.reasons.iter().chain(&judged.remarks) {
                text += &format!("           {reason}\n");
            }
        }
        let valid = self.valid().count();
        text + &format!("{valid} valid, {} not valid\n", self.bills.len() - valid)
    }

    /// What valid bills come to, a line for each month, biller and currency.
    #[must_use]
    pub fn totals(&self) -> String {
        Totals::of(self.valid()).text()
    }

    /// What is due within so many days, and what should have been paid already.
    #[must_use]
    pub fn due(&self, days: u16) -> String {
        let today = day_number(self.today);
        let mut due: Vec<(i64, &Bill)> =
            self.valid().filter_map(|bill| Some((day_number(bill.due?) - today, bill))).collect();
        due.retain(|(left, _)| *left <= i64::from(days));
        due.sort_by_key(|(left, _)| *left);
        let mut text = String::new();
        for (left, bill) in due {
            let when = match left {
                ..-1 => format!("was due {} days ago", -left),
                -1 => "was due yesterday".to_owned(),
                0 => "is due today".to_owned(),
                1 => "is due tomorrow".to_owned(),
                _ => format!("is due in {left} days"),
            };
            text += &format!("{:>16}  {} {when}\n", amount(bill), bill.biller_name);
        }
        let unpayable = self.bills.iter().filter(|judged| !judged.is_valid()).count();
        if unpayable > 0 {
            text +=
                &format!("Do not pay {unpayable} that are not valid before you have asked the biller: see the list\n");
        }
        text + "This program does not know what you have paid, and pays nothing.\n"
    }

    /// The totals as a chart in SVG.
    #[must_use]
    pub fn plot(&self) -> Vec<u8> {
        plot::svg(&Totals::of(self.valid())).into_bytes()
    }

    /// Every bill with its verdict, as CSV.
    #[must_use]
    pub fn csv(&self) -> Vec<u8> {
        export::csv(&self.bills)
    }

    /// Every bill with its verdict, as JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        export::json(&self.bills, self.today)
    }

    fn valid(&self) -> impl Iterator<Item = &Bill> {
        self.bills.iter().filter(|judged| judged.is_valid()).map(|judged| &judged.bill)
    }
}

/// Every bill of a mailbox, page by page, and the day on which they were handed over.
fn read(mailbox: &str) -> Result<(Vec<Bill>, Date), NoBills> {
    let (mut all, mut after): (Vec<Bill>, Option<String>) = (Vec::new(), None);
    loop {
        let page = bills::read(mailbox, after.as_deref(), 100)?;
        if page.reset {
            all.clear();
        }
        // A mail program that goes on and on is not waited for.
        if page.more && (page.bills.is_empty() || all.len() > MAX_BILLS) {
            return Err(NoBills::TooMany);
        }
        all.extend(page.bills);
        if !page.more {
            return Ok((all, page.today));
        }
        after = Some(page.next);
    }
}

fn amount(bill: &Bill) -> String {
    bill.amount.as_ref().map_or_else(|| "no amount".to_owned(), ToString::to_string)
}
