//! Where mail comes from: one trait, three protocols. None of them marks, moves or deletes anything.

mod connection;
mod imap;
mod jmap;
mod pop3;

use crate::account::{Account, Protocol};
use crate::error::MailError;
use portcullis_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub(crate) use connection::certificates;
pub(crate) use jmap::{client, session_url};

/// Where a mailbox stood when its list of new mails was last taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cursor {
    /// RFC 3501 section 2.3.1.1; RFC 7162 with CONDSTORE.
    Imap {
        /// Which mailbox this is: it changes if the mailbox was made anew.
        uid_validity: u32,
        /// The first UID that was not listed.
        next_uid: u32,
        /// The modification sequence of the whole mailbox, if the server keeps one.
        highest_modseq: Option<u64>,
    },
    /// RFC 1939 section 7.
    Pop3 {
        /// How many mails there were.
        count: usize,
        /// How many bytes they had.
        size: u64,
        /// The last one's unique id.
        last: Option<String>,
        /// Digests of all unique ids: some servers allow 70 characters each.
        seen: BTreeSet<Digest>,
    },
    /// RFC 8620 section 5.2.
    Jmap {
        /// The state of all mails.
        state: String,
    },
}

/// A mail of a source, as the source names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailId {
    /// UID, unique id or blob id.
    pub id: String,
    /// Bytes, as the server says; 0 if it does not.
    pub size: u64,
}

/// What is new in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The old cursor does not belong to this mailbox: everything is new.
    pub fresh: bool,
    /// New mails, the oldest first.
    pub new: Vec<MailId>,
    /// Where the mailbox stands with these.
    pub cursor: Cursor,
}

/// A mail that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetched {
    /// As it arrived.
    Whole(Vec<u8>),
    /// Longer than [`crate::limits::MAX_MAIL`]; not transferred.
    TooLong,
    /// No longer there.
    Gone,
}

/// A mailbox that is read.
#[async_trait::async_trait]
pub trait Source: Send {
    /// Lists what came since `cursor`, without a body.
    ///
    /// # Errors
    /// [`MailError`].
    async fn changes(&mut self, cursor: Option<&Cursor>) -> Result<Changes, MailError>;

    /// Transfers mails, adds them to `arrived` in the order asked for, and leaves their flags as they are.
    ///
    /// # Errors
    /// [`MailError`]. What arrived before it is good.
    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError>;

    /// Bytes received so far, below TLS (with JMAP: of answers' bodies).
    fn received(&self) -> u64;
}

/// One response of an IMAP server, as far as it is read without asking on.
pub(crate) fn fuzz_imap(bytes: &[u8]) {
    imap::fuzz(bytes);
}

/// One line of a POP3 server.
pub(crate) fn fuzz_pop3(bytes: &[u8]) {
    pop3::fuzz(bytes);
}

/// Connects and signs in.
///
/// # Errors
/// [`MailError`].
pub async fn connect(account: &Account) -> Result<Box<dyn Source>, MailError> {
    account.check_sent()?;
    Ok(match account.protocol {
        Protocol::Imap => Box::new(imap::Imap::connect(account).await?),
        Protocol::Pop3 => Box::new(pop3::Pop3::connect(account).await?),
        Protocol::Jmap => Box::new(jmap::Jmap::connect(account)?),
    })
}

/// RFC 7628 has no padding of its own: the initial response of XOAUTH2, before base64.
fn xoauth2(user: &str, token: &str) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}
