//! `portcullis-mail bills`.

use super::{say, say_json};
use anyhow::Result;
use clap::Args;
use portcullis_mail::{Account, AccountName, BillRecord, ChangeCursor, Ledger, Level, Page, SealedFolder};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The mailbox
    name: AccountName,
    /// Only what was found after this cursor, which an earlier answer ended with
    #[arg(long)]
    after: Option<ChangeCursor>,
    /// How many at most
    #[arg(long, default_value = "100", value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, folder: &SealedFolder) -> Result<()> {
        Account::load(folder, &self.name)?;
        let page = Ledger::load(folder, &self.name)?.page(self.after, self.limit);
        if page.changes.is_empty() && !self.json {
            eprintln!("No bills. To read what is new: portcullis-mail fetch {}", self.name);
        }
        print(&page, self.json)
    }
}

/// With 0, what there is would look like nothing.
fn limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| "write a whole number from 1 on".to_owned())
}

pub(super) fn print(page: &Page, json: bool) -> Result<()> {
    if json {
        return say_json(page);
    }
    for change in &page.changes {
        say(&line(&change.record))?;
    }
    if page.more {
        say(&format!("There are more. Next: --after {}", page.next))?;
    }
    Ok(())
}

/// A record as a person reads it. Every text in it is the registry's or made of ASCII.
fn line(record: &BillRecord) -> String {
    let amount = record.amount.map_or_else(|| "no amount".to_owned(), |amount| amount.to_string());
    let mut line = format!("{:<10}  {:>16}  {}", record.level.to_string(), amount, record.biller_name);
    if let Some(account) = &record.account {
        line += &format!(", account {account}");
    }
    if let Some(due) = record.due {
        line += &format!(", due {due}");
    }
    if let Some((start, end)) = record.period {
        line += &format!(", for {start} to {end}");
    }
    if let Some(refusal) = record.refusal {
        line += &format!("\n            not read: {refusal}");
    }
    for doubt in record.doubts.iter().filter(|_| record.level < Level::Verified) {
        line += &format!("\n            {}", record.explained(*doubt));
    }
    line
}
