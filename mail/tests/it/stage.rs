//! A mailbox in memory, and a run over it.

use crate::signer::Names;
use portcullis_mail::{
    Account, BillRecord, Biller, BillerRegistry, Changes, Cursor, Encryption, Fetched, Fetcher, Ledger, MailError,
    MailId, PdfReader, Protocol, SealedFolder, Secret, Source, Summary, Templates, fetch,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Whose mail it is.
pub(crate) const USER: &str = "kim@user.example";

/// Mails on a shelf.
pub(crate) struct Shelf(pub(crate) Vec<Vec<u8>>);

#[async_trait::async_trait]
impl Source for Shelf {
    async fn changes(&mut self, cursor: Option<&Cursor>) -> Result<Changes, MailError> {
        let first = match cursor {
            Some(Cursor::Imap { next_uid, .. }) => *next_uid,
            _ => 0,
        };
        let next_uid = u32::try_from(self.0.len()).expect("few");
        let new = (first..next_uid).map(|id| MailId { id: id.to_string(), size: 1 }).collect();
        let cursor = Cursor::Imap { uid_validity: 1, next_uid, highest_modseq: None };
        Ok(Changes { fresh: false, new, cursor })
    }

    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError> {
        let at = |mail: &MailId| mail.id.parse::<usize>().expect("ours");
        arrived.extend(mails.iter().map(|mail| Fetched::Whole(self.0[at(mail)].clone())));
        Ok(())
    }

    fn received(&self) -> u64 {
        0
    }
}

pub(crate) fn account() -> Account {
    Account {
        name: "main".parse().expect("name"),
        protocol: Protocol::Imap,
        server: "localhost".into(),
        port: 993,
        encryption: Encryption::Tls,
        user: "kim".into(),
        secret: Secret::Password(Zeroizing::new("secret".into())),
        mailbox: "INBOX".into(),
        addresses: vec![USER.parse().expect("address")],
        forwarders: vec!["forward.example".into()],
        authority: None,
        renewal: None,
    }
}

pub(crate) fn registry(domains: &[&str]) -> BillerRegistry {
    let biller = |domain: &&str| Biller {
        id: domain.replace('.', "-"),
        name: format!("The {domain} company"),
        domains: vec![(*domain).into()],
        ibans: vec![],
        currency: None,
    };
    BillerRegistry { iat: 1, billers: domains.iter().map(biller).collect() }
}

pub(crate) fn fetcher(names: Names, registry: BillerRegistry) -> Fetcher {
    Fetcher {
        account: Arc::new(account()),
        registry: Arc::new(registry),
        templates: Arc::new(Templates::none()),
        dns: Arc::new(names),
        pdf: Some(PdfReader::new(env!("CARGO_BIN_EXE_portcullis-mail"))),
    }
}

/// All records after a run over these mails, in their order, and what the run did.
pub(crate) async fn run(fetcher: &Fetcher, mails: Vec<Vec<u8>>) -> (Vec<BillRecord>, Summary) {
    let home = tempfile::tempdir().expect("a folder");
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    let summary = fetch(fetcher, &folder, &mut Shelf(mails)).await.expect("a run");
    (records(&folder), summary)
}

pub(crate) fn records(folder: &SealedFolder) -> Vec<BillRecord> {
    let ledger = Ledger::load(folder, &account().name).expect("a ledger");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.page(after, 100);
        all.extend(page.changes.into_iter().map(|change| change.record));
        after = Some(page.next);
        if !page.more {
            return all;
        }
    }
}

/// A mail of one text part, from `billing@` the domain to the user, with its lines ended as mail ends them.
pub(crate) fn mail(domain: &str, to: &str, subject: &str, body: &str) -> String {
    format!(
        "From: Billing <billing@{domain}>\nTo: <{to}>\nSubject: {subject}\nDate: Sun, 29 Nov 2026 07:00:00 +0000\n\
         Message-ID: <1@{domain}>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
    )
    .replace('\n', "\r\n")
}

/// A bill in words.
pub(crate) const BILL: &str =
    "Your invoice\nCustomer number: 4711 0815\nAmount due: EUR 42.50\nDue date: 15 December 2026";
