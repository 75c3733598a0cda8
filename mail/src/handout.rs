//! What a terminal is handed: the names of mailboxes and the bill records in their ledgers. There is no request for
//! anything else, so whoever speaks with this process learns of no mail, address or password.

use crate::account::{Account, AccountName};
use crate::authenticity::Doubt;
use crate::ledger::{ChangeCursor, Ledger};
use crate::record::{BillRecord, Level};
use crate::sealed_folder::{FolderError, SealedFolder};
use portcullis_protocol::bills::{Bill, BillLevel, BillText, BillsAnswer, BillsPage, BillsRequest, Remark};
use portcullis_protocol::limits::{MAX_BILLS_LINE, MAX_MAILBOXES};
use portcullis_protocol::text::shown_line;
use portcullis_protocol::{Date, MailboxName};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read as _, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a request. The longest real one has 500.
const MAX_REQUEST: u64 = 4 * 1024;

/// Answers terminals from a folder. Mail is read by `fetch` alone; what that finds meanwhile is answered here.
pub struct Handout {
    folder: SealedFolder,
    /// Ledgers as they were last read, each with the stamp of its file.
    ledgers: HashMap<AccountName, ([u8; 16], Ledger)>,
}

impl Handout {
    /// Hands out what is in a folder.
    #[must_use]
    pub fn new(folder: SealedFolder) -> Self {
        Self { folder, ledgers: HashMap::new() }
    }

    /// Answers requests, one JSON value a line, until there are no more.
    ///
    /// # Errors
    /// If nothing can be read or written any more, or a request is longer than requests are.
    pub fn serve(&mut self, requests: &mut dyn BufRead, answers: &mut dyn Write) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            if requests.take(MAX_REQUEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if !line.ends_with(b"\n") && line.len() as u64 == MAX_REQUEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a request is too long"));
            }
            let mut answer = serde_json::to_vec(&self.answer(&line))?;
            if answer.len() as u64 >= MAX_BILLS_LINE {
                answer = serde_json::to_vec(&unavailable("a page is too long; ask for fewer bills at once"))?;
            }
            answer.push(b'\n');
            answers.write_all(&answer)?;
            answers.flush()?;
        }
    }

    /// The answer to one request.
    pub fn answer(&mut self, request: &[u8]) -> BillsAnswer {
        let answer = match serde_json::from_slice(request) {
            Ok(BillsRequest::Mailboxes {}) => self.mailboxes(),
            Ok(BillsRequest::Read { mailbox, after, at_most }) => self.read(&mailbox, after.as_ref(), at_most),
            Ok(_) | Err(_) => return unavailable("this is no request for bills; use a terminal of the same version"),
        };
        answer.unwrap_or_else(|error| {
            // Whoever asks may be the guest of a resource: paths are for the user.
            eprintln!("{}", shown_line(&error.to_string()));
            unavailable("the records cannot be read; portcullis-mail says why on standard error")
        })
    }

    fn mailboxes(&self) -> Result<BillsAnswer, FolderError> {
        let names = Account::names(&self.folder)?;
        Ok(BillsAnswer::Mailboxes(names.iter().filter_map(mailbox_name).take(MAX_MAILBOXES).collect()))
    }

    fn read(
        &mut self,
        mailbox: &MailboxName,
        after: Option<&BillText>,
        at_most: u32,
    ) -> Result<BillsAnswer, FolderError> {
        let names = Account::names(&self.folder)?;
        let Some(name) = names.into_iter().find(|name| name.as_str() == mailbox.as_str()) else {
            return Ok(BillsAnswer::NoSuchMailbox);
        };
        let Some(today) = today() else { return Ok(unavailable("the clock of this machine is not set")) };
        let cursor: Option<ChangeCursor> = after.and_then(|after| after.as_str().parse().ok());
        let page = self.ledger(&name)?.page(cursor, usize::try_from(at_most).unwrap_or(usize::MAX));
        Ok(BillsAnswer::Page(BillsPage {
            bills: page.changes.iter().map(|change| bill(&change.record)).collect(),
            next: BillText::cut(&page.next.to_string()),
            more: page.more,
            // A cursor that cannot be read is of other records as well.
            reset: page.reset || (after.is_some() && cursor.is_none()),
            today,
        }))
    }

    fn ledger(&mut self, name: &AccountName) -> Result<&Ledger, FolderError> {
        let stamp = Ledger::stamp(&self.folder, name)?;
        let is_current = self.ledgers.get(name).is_some_and(|(known, _)| Some(*known) == stamp);
        if !is_current {
            let ledger = Ledger::load(&self.folder, name)?;
            // Of one that is replaced meanwhile the newer is read again next time.
            self.ledgers.insert(name.clone(), (stamp.unwrap_or_default(), ledger));
        }
        Ok(&self.ledgers[name].1)
    }
}

impl fmt::Debug for Handout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handout").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn unavailable(why: &str) -> BillsAnswer {
    BillsAnswer::Unavailable(BillText::cut(why))
}

fn mailbox_name(name: &AccountName) -> Option<MailboxName> {
    MailboxName::new(name.as_str()).ok()
}

fn today() -> Option<Date> {
    Date::of_unix(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn bill(record: &BillRecord) -> Bill {
    // What was found about a verified bill did not lower its level.
    let doubts = if record.level == Level::Verified { &[][..] } else { &record.doubts };
    Bill {
        biller: record.biller.as_deref().map(BillText::cut),
        biller_name: BillText::cut(&record.biller_name),
        account: record.account.as_deref().map(BillText::cut),
        amount: record.amount,
        due: record.due,
        period: record.period,
        level: match record.level {
            Level::Verified => BillLevel::Verified,
            Level::Vouched => BillLevel::Vouched,
            Level::Unverified => BillLevel::Unverified,
        },
        doubts: doubts.iter().map(|doubt: &Doubt| remark(doubt, &record.explained(*doubt))).collect(),
        unread: record.refusal.map(|refusal| remark(&refusal, &refusal.to_string())),
        evidence: record.evidence,
    }
}

/// The code is the name that the value has in a sealed record.
fn remark(value: &impl Serialize, text: &str) -> Remark {
    let code = serde_json::to_value(value).ok().and_then(|code| code.as_str().map(BillText::cut));
    Remark { code: code.unwrap_or_else(|| BillText::cut("other")), text: BillText::cut(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Encryption, Protocol, Secret};
    use portcullis_protocol::{Digest, Money};
    use zeroize::Zeroizing;

    fn account(name: &str) -> Account {
        Account {
            name: name.parse().expect("name"),
            protocol: Protocol::Imap,
            server: "mail.secret.example".into(),
            port: 993,
            encryption: Encryption::Tls,
            user: "kim-signs-in".into(),
            secret: Secret::Password(Zeroizing::new("hunter2".into())),
            mailbox: "INBOX".into(),
            addresses: vec!["kim@home.example".parse().expect("address")],
            forwarders: vec![],
            authority: None,
            renewal: None,
        }
    }

    fn record(at: u32, level: Level) -> BillRecord {
        BillRecord {
            biller: Some("power".into()),
            biller_name: "Power & Light".into(),
            account: Some("…0815".into()),
            amount: Some(Money::new(100 + i64::from(at), "EUR".parse().expect("code")).expect("amount")),
            due: Date::new(2026, 12, 15),
            period: None,
            level,
            doubts: vec![Doubt::NotSigned],
            rules: vec![],
            refusal: None,
            evidence: Digest::of(&at.to_be_bytes()),
        }
    }

    fn page(answer: BillsAnswer) -> BillsPage {
        let BillsAnswer::Page(page) = answer else { panic!("{answer:?}") };
        page
    }

    #[test]
    fn records_come_by_pages_with_a_cursor_and_nothing_else_ever_comes() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = || SealedFolder::open(home.path().join("mail")).expect("open");
        let (mut ledger, name) = (Ledger::new(), "home".parse().expect("name"));
        for at in 0..120 {
            ledger.add(record(at, if at == 0 { Level::Unverified } else { Level::Verified }), None, &[]);
        }
        ledger.store(&folder(), &name).expect("stored");
        account("home").store(&folder()).expect("stored");
        account("work").store(&folder()).expect("stored");
        let mut handout = Handout::new(folder());
        let mut ask = |request: &str| handout.answer(request.as_bytes());

        let BillsAnswer::Mailboxes(names) = ask(r#"{"ask":"mailboxes"}"#) else { panic!("no names") };
        assert_eq!(names.iter().map(MailboxName::as_str).collect::<Vec<_>>(), ["home", "work"]);
        let first = page(ask(r#"{"ask":"read","mailbox":"home","at_most":1000}"#));
        assert_eq!((first.bills.len(), first.more, first.reset), (100, true, false));
        assert_eq!(first.bills[0].doubts[0].code.as_str(), "not-signed");
        assert!(first.bills[1].doubts.is_empty(), "a verified bill has none");
        let next = format!(r#"{{"ask":"read","mailbox":"home","after":"{}","at_most":1000}}"#, first.next);
        let rest = page(ask(&next));
        assert_eq!((rest.bills.len(), rest.more), (20, false));
        assert!(page(ask(&next.replace(first.next.as_str(), "none of ours"))).reset);
        assert_eq!(page(ask(r#"{"ask":"read","mailbox":"work","at_most":1}"#)).bills, []);

        // What `fetch` finds while this runs.
        ledger.add(record(120, Level::Verified), None, &[]);
        ledger.store(&folder(), &name).expect("stored");
        assert_eq!(page(ask(&next)).bills.len(), 21);

        assert_eq!(ask(r#"{"ask":"read","mailbox":"other","at_most":1}"#), BillsAnswer::NoSuchMailbox);
        for bad in [
            "",
            "{}",
            r#"{"ask":"mails"}"#,
            r#"{"ask":"read","mailbox":"../key","at_most":1}"#,
            r#"{"ask":"read","mailbox":"home","at_most":1,"bodies":true}"#,
            r#"{"ask":"read","mailbox":"home","at_most":-1}"#,
            "\u{0}\u{ff}",
        ] {
            assert!(matches!(ask(bad), BillsAnswer::Unavailable(_)), "{bad}");
        }

        // What is wrong with the folder is for the user, not for whoever asks.
        std::fs::write(home.path().join("mail/ledgers/work"), b"damaged").expect("written");
        let BillsAnswer::Unavailable(why) = ask(r#"{"ask":"read","mailbox":"work","at_most":1}"#) else {
            panic!("a damaged ledger")
        };
        assert!(!why.as_str().contains('/') && !why.as_str().contains("ledgers"), "{why}");

        // Over a stream: all that is ever said.
        let requests = format!("{{\"ask\":\"mailboxes\"}}\n{next}\nnonsense\n");
        let mut said = Vec::new();
        Handout::new(folder()).serve(&mut requests.as_bytes(), &mut said).expect("served");
        let said = String::from_utf8(said).expect("text");
        assert_eq!(said.lines().count(), 3);
        for secret in ["hunter2", "kim-signs-in", "kim@home.example", "secret.example"] {
            assert!(!said.contains(secret), "{secret}");
        }
        let endless = vec![b'x'; 10_000];
        assert!(Handout::new(folder()).serve(&mut endless.as_slice(), &mut Vec::new()).is_err(), "an endless request");
    }
}
