//! `portcullis:gate/bills`: records of the bills that the user handed over, page by page.

use super::GateView;
use crate::ports::bills::BillsError;
use crate::run::bindings::{bills, types};
use portcullis_protocol::bills::{Bill, BillLevel, BillText, BillsPage, Remark};
use portcullis_protocol::{Date, MailboxName};

/// What a guest is told if the mail program fails, whatever the cause.
const UNAVAILABLE: &str = "the mail program does not hand out bills now. To see why: portcullis-mail bills NAME";

impl bills::Host for GateView<'_> {
    fn mailboxes(&mut self) -> wasmtime::Result<Vec<String>> {
        let mailboxes = self.ctx.bills.as_ref().map_or(&[][..], |handed| handed.mailboxes());
        Ok(mailboxes.iter().map(ToString::to_string).collect())
    }

    async fn read(
        &mut self,
        mailbox: String,
        after: Option<String>,
        at_most: u32,
    ) -> wasmtime::Result<Result<bills::Page, bills::BillsError>> {
        let (Some(handed), Ok(mailbox)) = (&self.ctx.bills, MailboxName::new(mailbox)) else {
            return Ok(Err(bills::BillsError::NoSuchMailbox));
        };
        // A cursor that none could be begins anew, as one of other records does.
        let after = after.map(|after| BillText::try_from(after).unwrap_or_else(|_| BillText::cut("")));
        let read = handed.read(&mailbox, after.as_ref(), at_most).await;
        Ok(read.map(page).map_err(|error| match error {
            BillsError::NoSuchMailbox(_) => bills::BillsError::NoSuchMailbox,
            BillsError::Unavailable(why) => {
                // It names files of the user's.
                tracing::warn!(%why, "the mail program does not hand out bills");
                bills::BillsError::Unavailable(UNAVAILABLE.to_owned())
            }
        }))
    }
}

fn page(page: BillsPage) -> bills::Page {
    bills::Page {
        bills: page.bills.iter().map(bill).collect(),
        next: page.next.into(),
        more: page.more,
        reset: page.reset,
        today: date(page.today),
    }
}

fn bill(bill: &Bill) -> bills::Bill {
    bills::Bill {
        biller: bill.biller.as_ref().map(ToString::to_string),
        biller_name: bill.biller_name.to_string(),
        account: bill.account.as_ref().map(ToString::to_string),
        amount: bill.amount.map(|amount| types::Money {
            minor_units: amount.minor_units(),
            currency: amount.currency().as_str().to_owned(),
        }),
        due: bill.due.map(date),
        period: bill.period.map(|(first, last)| bills::Period { first: date(first), last: date(last) }),
        level: match bill.level {
            BillLevel::Verified => bills::Level::Verified,
            BillLevel::Vouched => bills::Level::Vouched,
            BillLevel::Unverified => bills::Level::Unverified,
        },
        doubts: bill.doubts.iter().map(remark).collect(),
        unread: bill.unread.as_ref().map(remark),
        evidence: bill.evidence.to_string(),
    }
}

fn remark(remark: &Remark) -> bills::Remark {
    bills::Remark { code: remark.code.to_string(), text: remark.text.to_string() }
}

fn date(date: Date) -> bills::Date {
    let (year, month, day) = date.parts();
    bills::Date { year, month, day }
}
