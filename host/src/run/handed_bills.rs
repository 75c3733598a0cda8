//! Whether a resource is handed bills: its manifest asks, the operator lends them, and the user agrees.

use crate::error::Error;
use crate::ports::bills::{Bills, BillsError};
use crate::ports::consent::{Consent, HandOver};
use crate::ports::gatekeeper::Refused;
use parking_lot::Mutex;
use portcullis_protocol::bills::{BillText, BillsPage};
use portcullis_protocol::limits::MAX_BILLS_PAGE;
use portcullis_protocol::{Digest, MailboxName, Reason, SignedManifest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bills that the user handed over: evidence that he agreed, and to which mailboxes.
#[derive(Clone)]
pub(crate) struct HandedBills {
    source: Arc<dyn Bills>,
    mailboxes: Arc<[MailboxName]>,
}

impl HandedBills {
    /// The mailboxes that the user agreed to.
    pub(crate) fn mailboxes(&self) -> &[MailboxName] {
        &self.mailboxes
    }

    /// Bills of one of them.
    pub(crate) async fn read(
        &self,
        mailbox: &MailboxName,
        after: Option<&BillText>,
        at_most: u32,
    ) -> Result<BillsPage, BillsError> {
        if !self.mailboxes.contains(mailbox) {
            return Err(BillsError::NoSuchMailbox(mailbox.clone()));
        }
        let most = u32::try_from(MAX_BILLS_PAGE).unwrap_or(u32::MAX);
        let page = self.source.read(mailbox, after, at_most.clamp(1, most)).await?;
        if !page.is_bounded() {
            return Err(BillsError::Unavailable("a page is longer than pages are".into()));
        }
        Ok(page)
    }
}

/// What the operator lends of bills, and to which resources the user has handed them in this runtime.
#[derive(Default)]
pub(crate) struct LentBills {
    source: Option<Arc<dyn Bills>>,
    agreed: Mutex<BTreeMap<Digest, HandedBills>>,
}

impl LentBills {
    pub(crate) fn new(source: Option<Arc<dyn Bills>>) -> Self {
        Self { source, agreed: Mutex::default() }
    }

    /// Whether there are any.
    pub(crate) const fn is_some(&self) -> bool {
        self.source.is_some()
    }

    /// What the user has handed a resource so far.
    pub(crate) fn handed_to(&self, resource: &Digest) -> Option<HandedBills> {
        self.agreed.lock().get(resource).cloned()
    }

    /// Asks the user, if the manifest asks and he has not agreed already. Before anything is paid for: a resource that
    /// reads bills cannot begin without them.
    ///
    /// # Errors
    /// [`Error::NoBills`] if none are lent, [`Error::Bills`] if they cannot be read, [`Error::Refused`] if the user
    /// says no.
    pub(crate) async fn ask(&self, resource: &SignedManifest, consent: &dyn Consent) -> Result<(), Error> {
        let digest = resource.digest();
        if !resource.manifest().capabilities.bills || self.handed_to(&digest).is_some() {
            return Ok(());
        }
        let source = self.source.as_ref().ok_or(Error::NoBills)?;
        let mailboxes = source.mailboxes().await?;
        if !consent.hand_over(&HandOver { resource, mailboxes: &mailboxes }).await {
            return Err(Refused::because(Reason::ConfirmationRequired, "bills were not handed over").into());
        }
        let handed = HandedBills { source: Arc::clone(source), mailboxes: mailboxes.into() };
        self.agreed.lock().insert(digest, handed);
        Ok(())
    }
}
