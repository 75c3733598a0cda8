//! The Portcullis runtime as a library: it runs sealed resources for those whom a billing server lets.
//!
//! ```text
//!  Runtime ── load ──▶ Resource ── authorize(operation) ──▶ Authorised ── call(export) ──▶ results
//!             verify      │            │                       │
//!             signatures  inspect      │ Gatekeeper: request,   │ gate: in time, a use drawn
//!                                      │ authenticate, verify   │ store: every bound set
//!                                      ▼                        ▼
//!                              decrypt, check, compile      the resource may request further operations,
//!                                                           the user is asked through Consent
//! ```
//!
//! - The engine half: [`Runtime`], [`Resource`], [`Authorised`], [`Limits`]; [`Inspection`] is what is public. What it
//!   asks of others it asks through traits: [`Gatekeeper`], [`Consent`], [`Progress`], [`SealedBlobs`] (where the
//!   [`CompiledCache`] keeps what it has sealed), [`Clock`].
//! - The client half: [`Client`] is a terminal with its state. It signs in ([`Client::sign_in`]), searches and buys
//!   ([`Storefront`]), installs ([`Library`]), publishes ([`Publishing`]), and has the [`Cycle`] that a runtime asks
//!   for grants. What it asks of others: [`BillingServer`], [`KeyStore`], [`Clock`].
//! - [`blocking`] has the same without `async`.
//!
//! Nothing is compiled that was not verified, and nothing is called that no grant covers. A refusal is a value.
//!
//! ```
//! async fn run(resource: portcullis_host::Resource) -> Result<(), portcullis_host::Error> {
//!     let authorised = resource.authorize("view").await?;
//!     authorised.call("run", &[]).await?;
//!     Ok(())
//! }
//! ```
//!
//! There is no way from a resource to a call that leaves the cycle out:
//!
//! ```compile_fail
//! async fn run(resource: portcullis_host::Resource) -> Result<(), portcullis_host::Error> {
//!     resource.call("run", &[]).await?;
//!     Ok(())
//! }
//! ```

// One file may: `cache/deserialise.rs`. A test holds it to that.
#![deny(unsafe_code)]

pub mod blocking;
mod cache;
mod client;
mod client_error;
mod error;
mod mail_program;
mod ports;
mod random;
mod run;
mod server;
mod state;
mod store;

pub use cache::blobs::{Blob, BlobDir, BlobId, DEFAULT_CACHE_SIZE, SealedBlobs};
pub use cache::{CachedCode, CompiledCache};
pub use client::checkup::{ClockCheckup, Exposed, JournalCheckup, ServerCheckup, StateCheckup};
pub use client::cycle::Cycle;
pub use client::grants::GrantRecord;
pub use client::{Client, ClientOptions};
pub use client_error::ClientError;
pub use error::{Bound, Ended, Error, UnknownName};
pub use mail_program::MailProgram;
pub use ports::bills::{Bills, BillsError};
pub use ports::consent::{Answer, Consent, DeclineAll, HandOver, Prompt};
pub use ports::gatekeeper::{Beyond, CycleRequest, Gatekeeper, HeldCode, Nonce, Refused, Released};
pub use ports::progress::{PartRefusal, Progress, Quiet, Step};
pub use ports::transport::{
    AccessToken, BillingServer, Body, Download, Downloaded, Exchange, Exchanged, MAX_ANSWER, Method, Sent, Streamed,
    TransportError,
};
pub use run::arguments::Argument;
pub use run::authorised::Authorised;
pub use run::call::{Typed, to_text};
pub use run::command::{Command, Exit};
pub use run::engine::{ENGINE, Pool, engine_config};
pub use run::function::{Function, refusal_in};
pub use run::inspection::{Inspection, PartFacts};
pub use run::limits::Limits;
pub use run::resource::{Resource, Terms};
pub use run::runtime::{Runtime, RuntimeBuilder};
pub use run::source::{Source, StreamedSource};
pub use run::streams::console::ConsoleTurn;
pub use run::streams::endpoint::{Input, Output, OutputBuffer};
pub use run::streams::screen::ScreenFilter;
pub use run::wasi::{Directory, Lent};
pub use server::events::{BadCursor, EventCursor, Events, Told};
#[cfg(feature = "http")]
pub use server::http::HttpBillingServer;
pub use server::retry::Retry;
pub use server::sign_in::{SignIn, SignedIn};
pub use server::trust::Pin;
pub use state::clock::{Clock, ServerClock, SystemClock};
pub use state::folder::{StateDir, StateError};
pub use state::journal::PendingRequestKind;
pub use state::key_store::{FileKeyStore, KeyName, KeyStore, KeyStoreError};
pub use store::codes::{AskedPayment, CodeOrder, Collected, Merchant};
pub use store::download::Moved;
pub use store::install_source::InstallSource;
pub use store::installed::Installed;
pub use store::library::{Candidate, Library, LibraryEntry};
pub use store::merchant_desk::MerchantDesk;
pub use store::ordered_codes::OrderedCodes;
pub use store::publisher_pin::Standing;
pub use store::publishing::Publishing;
pub use store::purchase::{Goods, Order, Purchase, PurchaseReceipt};
pub use store::range_cache::KeptStreams;
pub use store::storefront::{FoundProduct, Listing, SearchPage, Storefront};
pub use store::streaming::Streaming;
pub use wasmtime::component::{Type, Val};
pub use zeroize::Zeroizing;

/// The snippets of the page on embedding compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding_page {}

/// The documents and names that this crate speaks of, of the version that it speaks.
pub use portcullis_protocol as protocol;
