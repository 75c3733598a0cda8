//! The cycle: list what is new, read each mail once, keep what is a bill.

use crate::account::Account;
use crate::authenticity::{Dns, Doubt, Findings, examine};
use crate::error::MailError;
use crate::extract::{Bill, Extracted, Refusal, Templates, extract};
use crate::iban::Iban;
use crate::ledger::Ledger;
use crate::limits::{CHECKPOINT, EXAMINE_TIMEOUT, EXAMINED_AT_ONCE, LOOK_TIMEOUT};
use crate::mail::{Mail, Unreadable, with_crlf};
use crate::pdf::PdfReader;
use crate::record::{BillRecord, Level, masked};
use crate::registry::BillerRegistry;
use crate::sealed_folder::SealedFolder;
use crate::source::{Fetched, Source};
use futures::StreamExt as _;
use futures::future::join;
use futures::stream;
use portcullis_protocol::Digest;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// What a run needs beside the mailbox.
#[derive(Clone)]
pub struct Fetcher {
    /// Whose mail it is.
    pub account: Arc<Account>,
    /// Who is known to send bills.
    pub registry: Arc<BillerRegistry>,
    /// How billers write.
    pub templates: Arc<Templates>,
    /// Who is asked for keys.
    pub dns: Arc<dyn Dns>,
    /// Who reads PDFs. Without one, a bill whose amount is only in a PDF is shown without it.
    pub pdf: Option<PdfReader>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Mails that were transferred.
    pub read: usize,
    /// Bills among them that were not known.
    pub bills: usize,
    /// Mails that could not be judged now, such as bills whose key could not be looked up. The next run reads them once
    /// more.
    pub postponed: usize,
    /// Mails that were not looked at, by reason.
    pub unreadable: HashMap<Unreadable, usize>,
    /// Bytes that the server sent.
    pub received: u64,
}

/// Reads what is new in a mailbox into its ledger. What was read when a run ends early is kept, and not read again.
///
/// # Errors
/// [`MailError`].
pub async fn fetch(fetcher: &Fetcher, folder: &SealedFolder, source: &mut dyn Source) -> Result<Summary, MailError> {
    let name = &fetcher.account.name;
    let mut ledger = Ledger::load(folder, name)?;
    let before = ledger.clone();
    let mut summary = Summary::default();
    ledger.open_mailbox(fetcher.account.mailbox_digest());
    let changes = source.changes(ledger.cursor()).await?;
    ledger.listed(changes);
    if ledger != before {
        ledger.store(folder, name)?;
    }
    let mut arrived = Vec::new();
    let first = ledger.next_mails(0);
    let mut transferred = if first.is_empty() { Ok(()) } else { source.fetch(&first, &mut arrived).await };
    let (mut stored, mut is_stored) = (Instant::now(), true);
    while !arrived.is_empty() {
        // What comes next is on its way while these are examined.
        let next = if transferred.is_ok() { ledger.next_mails(arrived.len()) } else { Vec::new() };
        let mut coming = Vec::new();
        let transfer = async {
            match next.as_slice() {
                [] => Ok(()),
                next => source.fetch(next, &mut coming).await,
            }
        };
        let (looked, then) = join(fetcher.look_at_all(arrived), transfer).await;
        for looked in looked {
            if looked.is_open() && ledger.postpone() {
                summary.read += 1;
                summary.postponed += 1;
            } else {
                summary.add(looked, &mut ledger);
                ledger.mail_read();
            }
        }
        is_stored = stored.elapsed() >= CHECKPOINT;
        if is_stored {
            ledger.store(folder, name)?;
            stored = Instant::now();
        }
        arrived = coming;
        transferred = transferred.and(then);
    }
    // What the server says of this mail is wrong, or what it has of it is damaged. Others come after it.
    if let Err(MailError::Protocol { .. }) = &transferred {
        is_stored = false;
        if !ledger.mail_failed() {
            *summary.unreadable.entry(Unreadable::NotSent).or_default() += 1;
        }
    }
    if !is_stored {
        ledger.store(folder, name)?;
    }
    summary.received = source.received();
    transferred.map(|()| summary)
}

/// What became of one mail.
enum Looked {
    /// Not transferred, and why if it is known.
    Not(Option<Unreadable>),
    /// Transferred; no bill, or one.
    At(Result<Option<Box<Found>>, Unreadable>),
}

impl Looked {
    /// Whether another run may find out what this one could not.
    fn is_open(&self) -> bool {
        match self {
            Self::At(Ok(Some(found))) => found.findings.doubts.contains(&Doubt::KeyUnavailable),
            Self::At(Err(unreadable)) => *unreadable == Unreadable::Failed,
            _ => false,
        }
    }
}

impl Summary {
    fn add(&mut self, looked: Looked, ledger: &mut Ledger) {
        let unreadable = match looked {
            Looked::Not(why) => why,
            Looked::At(found) => {
                self.read += 1;
                match found {
                    Ok(found) => {
                        self.bills += usize::from(found.is_some_and(|found| enter(*found, ledger)));
                        None
                    }
                    Err(unreadable) => Some(unreadable),
                }
            }
        };
        if let Some(unreadable) = unreadable {
            *self.unreadable.entry(unreadable).or_default() += 1;
        }
    }
}

/// What was found in one mail.
struct Found {
    bill: Result<Bill, Refusal>,
    findings: Findings,
    evidence: Digest,
}

impl Fetcher {
    /// Looks at mails, a few at once, and returns what became of them in their order.
    async fn look_at_all(&self, mails: Vec<Fetched>) -> Vec<Looked> {
        let look = |fetched| async {
            match fetched {
                Fetched::Whole(raw) => Looked::At(self.look(raw).await),
                Fetched::TooLong => Looked::Not(Some(Unreadable::TooLong)),
                Fetched::Gone => Looked::Not(None),
            }
        };
        stream::iter(mails).map(look).buffered(EXAMINED_AT_ONCE).collect().await
    }

    /// On a thread of its own: what a parser might do wrong costs one mail, not the run.
    async fn look(&self, raw: Vec<u8>) -> Result<Option<Box<Found>>, Unreadable> {
        let (fetcher, runtime) = (self.clone(), Handle::current());
        let looked = tokio::task::spawn_blocking(move || fetcher.look_at(&raw, &runtime));
        match timeout(LOOK_TIMEOUT, looked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(Unreadable::Failed),
        }
    }

    fn look_at(&self, raw: &[u8], runtime: &Handle) -> Result<Option<Box<Found>>, Unreadable> {
        let converted = with_crlf(raw);
        let mail = Mail::parse(&converted)?;
        let sender = mail.sender();
        let domain = sender.as_ref().map(crate::account::Address::domain);
        let claimed = domain.and_then(|domain| self.registry.of_domain(domain));
        // Nobody is asked about mail that is no bill: a look-up tells name servers that it arrived.
        let extracted: Extracted = extract(&mail, domain, claimed, &self.templates, self.pdf.as_ref());
        let Some(bill) = extracted else { return Ok(None) };
        let examined = examine(&mail, &self.account, &self.registry, &*self.dns);
        let findings = runtime.block_on(timeout(EXAMINE_TIMEOUT, examined)).map_err(|_| Unreadable::Failed)?;
        Ok(Some(Box::new(Found { bill, findings, evidence: Digest::of(raw) })))
    }
}

/// Makes a record of what was found. Returns whether it is new.
fn enter(found: Found, ledger: &mut Ledger) -> bool {
    let Found { bill, mut findings, evidence } = found;
    let payees: Vec<Iban> = bill.as_ref().map_or_else(|_| Vec::new(), |bill| bill.payees.clone());
    let remembered = findings.biller.as_ref().map_or(&[][..], |biller| ledger.ibans(&biller.id)).to_vec();
    findings.check_payees(&payees, &remembered);
    if findings.level > Level::Unverified
        && findings.signature.is_some_and(|signature| ledger.has_signature(&signature))
    {
        findings.doubt(Doubt::Replayed);
    }
    let rules = bill.as_ref().map_or_else(|_| Vec::new(), |bill| bill.broken.clone());
    if !rules.is_empty() {
        findings.doubt(Doubt::InvoiceRules);
    }
    if bill.is_err() {
        // What cannot be read cannot be paid.
        findings.level = Level::Unverified;
    }
    let biller_name = match (&findings.biller, &findings.domain) {
        (Some(biller), _) => biller.name.clone(),
        (None, Some(domain)) => domain.clone(),
        (None, None) => "unknown sender".to_owned(),
    };
    let (bill, refusal) = match bill {
        Ok(bill) => (Some(bill), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let record = BillRecord {
        biller: findings.biller.as_ref().map(|biller| biller.id.clone()),
        biller_name,
        account: bill.as_ref().and_then(|bill| bill.account.as_deref()).and_then(masked),
        amount: bill.as_ref().map(|bill| bill.amount),
        due: bill.as_ref().and_then(|bill| bill.due),
        period: bill.as_ref().and_then(|bill| bill.period),
        level: findings.level,
        doubts: findings.doubts,
        rules,
        refusal,
        evidence,
    };
    ledger.add(record, findings.signature, &payees)
}
