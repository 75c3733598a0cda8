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
//!   ([`Storefront`]), installs ([`Library`]), publishes ([`Publishing`]), and gives the [`Cycle`] that a runtime asks
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

// One file may: `deserialise.rs`. A test holds it to that.
#![deny(unsafe_code)]

// The engine half: load, authorise, call.
mod arguments;
mod authorised;
mod bindings;
pub mod blocking;
mod body;
mod cache;
mod cache_seal;
mod call;
mod command;
mod compile;
mod consent;
mod console;
mod deserialise;
mod engine;
mod error;
mod function;
mod gate;
mod gatekeeper;
mod held;
mod inspection;
mod limits;
mod outlet;
mod part;
mod progress;
mod resolve;
mod resource;
mod runtime;
mod screen;
mod sealed_blobs;
mod spending;
mod stdio;
mod store;
mod waiting;
mod wasi;

// The client half: the cycle over the wire, stores, what is installed.
mod billing_server;
mod checkup;
mod client;
mod clock;
mod cycle;
mod download;
mod failure;
mod grants;
#[cfg(feature = "http")]
mod http;
mod install_source;
mod journal;
mod kept;
mod key_store;
mod library;
mod own_file;
mod pending;
mod prover;
mod publisher;
mod publisher_pin;
mod random;
mod remote;
mod seen;
mod session;
mod sign_in;
mod state_dir;
mod state_key;
mod storefront;
mod streaming;
mod temp_file;
mod terminal;
mod tokens;
mod trust;

pub use arguments::Argument;
pub use authorised::Authorised;
pub use billing_server::{
    AccessToken, BillingServer, Body, Download, Downloaded, Exchange, Exchanged, MAX_ANSWER, Method, Sent,
    TransportError,
};
pub use cache::{CachedCode, CompiledCache};
pub use call::{Typed, to_text};
pub use checkup::{ClockCheckup, Exposed, JournalCheckup, OpenMatter, ServerCheckup, StateCheckup};
pub use client::{Client, ClientOptions};
pub use clock::{Clock, ServerClock, SystemClock};
pub use command::{Command, Exit};
pub use consent::{Answer, Consent, DeclineAll, Prompt};
pub use console::ConsoleTurn;
pub use cycle::Cycle;
pub use download::Moved;
pub use engine::{ENGINE, Pool, engine_config};
pub use error::Error;
pub use failure::ClientError;
pub use function::{Function, refusal_in};
pub use gatekeeper::{CycleRequest, Gatekeeper, HeldCode, Nonce, Refused, Released};
pub use grants::GrantRecord;
pub use held::Ended;
#[cfg(feature = "http")]
pub use http::HttpBillingServer;
pub use inspection::{Inspection, PartFacts};
pub use install_source::InstallSource;
pub use kept::KeptStreams;
pub use key_store::{FileKeyStore, KeyName, KeyStore, KeyStoreError};
pub use library::{Candidate, Installed, Library, LibraryEntry};
pub use limits::{Bound, Limits};
pub use progress::{PartRefusal, Progress, Quiet, Step};
pub use publisher::Publishing;
pub use publisher_pin::Standing;
pub use resolve::UnknownName;
pub use resource::{Resource, Source, Terms};
pub use runtime::{Runtime, RuntimeBuilder};
pub use screen::ScreenFilter;
pub use sealed_blobs::{Blob, BlobDir, BlobId, DEFAULT_CACHE_SIZE, SealedBlobs};
pub use session::Retry;
pub use sign_in::{SignIn, SignedIn};
pub use state_dir::{StateDir, StateError};
pub use stdio::{Input, Output, OutputBuffer};
pub use storefront::{Listing, Order, SearchPage, Storefront, TopUp};
pub use streaming::{StreamedSource, Streaming};
pub use trust::Pin;
pub use wasi::{Directory, Lent};
pub use wasmtime::component::{Type, Val};
pub use zeroize::Zeroizing;

/// The snippets of the page on embedding compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding_page {}

/// The documents and names that this crate speaks of, of the version that it speaks.
pub use portcullis_protocol as protocol;
