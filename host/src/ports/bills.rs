//! Who has the records of the bills in the user's mailboxes.

use async_trait::async_trait;
use portcullis_protocol::MailboxName;
use portcullis_protocol::bills::{BillText, BillsPage};

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BillsError {
    /// There is no mailbox of this name.
    #[error("there is no mailbox `{0}`; see `portcullis-mail account list`")]
    NoSuchMailbox(MailboxName),
    /// The mail program does not answer, or not as it should.
    #[error("the mail program cannot hand out bills: {0}")]
    Unavailable(String),
}

/// Hands out records of bills: [`MailProgram`](crate::MailProgram), or an embedder's own. A resource reaches it only if
/// its manifest asks for bills and the user agrees ([`Consent::hand_over`](crate::Consent::hand_over)).
#[async_trait]
pub trait Bills: Send + Sync {
    /// The mailboxes that there are. The user is asked about these, and a resource reads these alone.
    ///
    /// # Errors
    /// [`BillsError`]; then nothing is handed over.
    async fn mailboxes(&self) -> Result<Vec<MailboxName>, BillsError>;

    /// At most `at_most` bills of a mailbox after a cursor, from the beginning if there is none.
    ///
    /// # Errors
    /// [`BillsError`].
    async fn read(
        &self,
        mailbox: &MailboxName,
        after: Option<&BillText>,
        at_most: u32,
    ) -> Result<BillsPage, BillsError>;
}
