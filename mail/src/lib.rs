//! Finds the bills in a mailbox and hands out records of them, never the mail.
//!
//! ```text
//!   source/ (IMAP, POP3, JMAP) ──▶ mail ──▶ extract/ ──▶ ledger ──▶ pages of bill records
//!        reads, marks nothing        └──▶ authenticity/ ──┘
//! ```
//!
//! [`fetch`] is the whole cycle. A record says who bills, how much, until when, and at which [`Level`] that is known
//! to be true. No remote content is loaded, no link is followed, and nothing in the mailbox is marked, moved or
//! deleted.

#![forbid(unsafe_code)]

mod account;
mod authenticity;
mod error;
mod extract;
mod fetch;
mod folder_key;
#[doc(hidden)]
pub mod fuzzing;
mod handout;
mod iban;
mod ledger;
pub mod limits;
mod mail;
mod pdf;
mod record;
mod registry;
mod renewal;
mod sealed_folder;
mod source;

pub use account::{Account, AccountError, AccountName, Address, Encryption, Protocol, Secret};
pub use authenticity::{Dns, DnsFailure, Doubt, Resolver, TxtAnswer};
pub use error::MailError;
pub use extract::{Refusal, Template, TemplateError, Templates};
pub use fetch::{Fetcher, Summary, fetch};
pub use handout::Handout;
pub use iban::Iban;
pub use ledger::{Change, ChangeCursor, Ledger, Page};
pub use mail::{Mail, Unreadable};
pub use pdf::{PdfReader, read_pdf};
pub use portcullis_protocol::Date;
pub use record::{BillRecord, Level};
pub use registry::{Biller, BillerRegistry, RegistryError};
pub use renewal::{Renewal, sign_in};
pub use sealed_folder::{FolderError, FolderLock, SealedFolder};
pub use source::{Changes, Cursor, Fetched, MailId, Source, connect};
