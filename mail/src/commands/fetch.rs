//! `portcullis-mail fetch`.

use super::{bills, counted, registry, templates};
use anyhow::{Context as _, Result};
use clap::Args;
use portcullis_mail::limits::MAX_PAGE;
use portcullis_mail::{Account, AccountName, Fetcher, Ledger, PdfReader, Resolver, SealedFolder, fetch, sign_in};
use portcullis_protocol::text::shown;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The mailbox
    name: AccountName,
    /// A folder of templates, in place of `templates` beside the accounts
    #[arg(long, env = "PORTCULLIS_MAIL_TEMPLATES")]
    templates: Option<PathBuf>,
    /// The address of a resolver that you trust, such as 127.0.0.1, with its port if that is not 53. Without one, only
    /// keys that DNSSEC proves are trusted
    #[arg(long, env = "PORTCULLIS_MAIL_RESOLVER", value_parser = resolver)]
    resolver: Option<SocketAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, folder: &SealedFolder) -> Result<()> {
        let (account, _lock) = Account::load_locked(folder, &self.name)?;
        let templates = templates(self.templates, folder)?;
        let registry = registry::current(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start threads")?;
        let before = Ledger::load(folder, &self.name)?;
        let seen = last(&before);
        let fetched = runtime.block_on(async {
            let resolver = self.resolver.map_or_else(Resolver::system, Resolver::trusted);
            let dns = Arc::new(resolver.context("no name server is known. Name one with --resolver")?);
            let (account, mut source) = sign_in(account, folder).await?;
            let account = Arc::new(account);
            // This program itself.
            let pdf = std::env::current_exe().ok().map(PdfReader::new);
            let (registry, templates) = (Arc::new(registry), Arc::new(templates));
            let fetcher = Fetcher { account, registry, templates, dns, pdf };
            anyhow::Ok(fetch(&fetcher, folder, &mut *source).await?)
        });
        // A mail that takes too long is not waited for.
        runtime.shutdown_background();
        let summary = fetched?;
        let ledger = Ledger::load(folder, &self.name)?;
        let mut after = seen;
        loop {
            let page = ledger.page(after, MAX_PAGE);
            let more = page.more;
            after = Some(page.next);
            // One page of JSON a line.
            bills::print(&portcullis_mail::Page { more: more && self.json, ..page }, self.json)?;
            if !more {
                break;
            }
        }
        let unreadable: usize = summary.unreadable.values().sum();
        eprintln!(
            "{} read, {}, {} not looked at",
            counted(summary.read, "new mail"),
            counted(summary.bills, "new bill"),
            counted(unreadable, "mail")
        );
        if summary.postponed > 0 {
            let postponed = counted(summary.postponed, "mail");
            eprintln!("{postponed} could not be judged now: the next run looks at what is left");
        }
        for (why, count) in &summary.unreadable {
            eprintln!("  {count}: {}", shown(&why.to_string()));
        }
        Ok(())
    }
}

/// The address of a name server, at the usual port (RFC 1035 section 4.2) unless it has one.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let at_usual_port = || Some(SocketAddr::new(text.trim_matches(['[', ']']).parse().ok()?, 53));
    let found = text.parse().ok().or_else(at_usual_port).filter(|at: &SocketAddr| at.port() != 0);
    found.ok_or_else(|| "write its IP address, with the port if that is not 53, such as 127.0.0.1:5353".to_owned())
}

/// Where the ledger ends; `None` if it is new.
fn last(ledger: &Ledger) -> Option<portcullis_mail::ChangeCursor> {
    let mut after = None;
    loop {
        let page = ledger.page(after, MAX_PAGE);
        if page.changes.is_empty() && after.is_none() {
            return None;
        }
        after = Some(page.next);
        if !page.more {
            return after;
        }
    }
}
