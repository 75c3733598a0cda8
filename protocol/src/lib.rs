//! The documents, formats and states of Portcullis, without I/O.
//!
//! Portcullis sells encrypted WebAssembly components. This crate is what the terminal (`portcullis-host`), the billing
//! server (`portcullis-server`) and the tools have in common. It reads no clock and draws no randomness: both are
//! arguments. It compiles for `wasm32` too.
//!
//! ```text
//!            sealed file                             the cycle
//!  ┌──────────────────────────────┐      Request → Authorised → Granted → keys
//!  │ stub │ manifest │ blocks,part…│          ▲          ▲           ▲
//!  └──────────────────────────────┘       proof      status code   grant, key release
//!    sealed   documents   sealed, age     (proof)   (status_code)  (documents, release)
//! ```
//!
//! - [`cycle`]: request → authenticate → verify, each state a type of its own. Start reading there.
//! - `documents`: what is signed: manifest, offer, grant, refusal, receipt, key document, enrolment. `jws`: how.
//! - [`sealed`]: the sealed resource as a file; [`age`]: its encrypted parts; [`release`]: how their keys travel.
//! - `census`: what a body consists of, bounded before anything is built from it; `surface`: what it imports and
//!   exports.
//! - [`codes`]: electronic codes that merchants sell: states, sealing, redemption.
//! - [`bills`]: what a mail program hands a terminal, by pages.
//! - [`wire`]: the bodies of requests and answers. [`Reason`]: the closed registry of refusals.
//! - [`labels`] and [`limits`]: every domain-separation label and every bound, in one place each.

#![forbid(unsafe_code)]

pub mod age;
mod agreement;
pub mod bills;
#[cfg(feature = "surface")]
pub mod census;
mod code;
pub mod codes;
mod currency;
pub mod cycle;
mod date;
mod documents;
mod encapsulation;
pub mod encoding;
mod ids;
mod jws;
mod keys;
pub mod labels;
pub mod limits;
mod listed;
mod money;
mod nearest;
mod parallel;
pub mod paths;
mod plaintext;
mod private_jwk;
pub mod proof;
mod public_address;
mod purchase;
mod refusal;
pub mod release;
mod rights;
#[cfg(feature = "openapi")]
pub mod schemas;
#[cfg(feature = "seal")]
pub mod seal;
pub mod sealed;
mod span;
mod status_code;
#[cfg(feature = "surface")]
pub mod surface;
pub mod text;
pub mod version;
pub mod wire;

pub use code::OtherCode;
pub use currency::Currency;
pub use date::{BadDate, Date};
pub use documents::{
    AdoptedVersions, Adoption, AdoptionError, Answer, AuditHead, Capabilities, CodeAccepted, CodeReceipt,
    Countersignature, Enrolment, Event, EventBody, Grant, GrantLimits, KeyDocument, KeyDocumentError, LimitsRefused,
    Manifest, ManifestError, MerchantClaim, MerchantVouch, More, Offer, OperationEntry, OrderRefunded, Ownership,
    PartEntry, PartKind, PaymentRequest, Product, PublisherClaim, PublisherEntry, Receipt, RefundReceipt,
    RefusalAnswer, ResourceLimits, SealedCode, ServerEntry, ServerKey, SignedManifest, TopUpReceipt, Verification,
    Vouch, WebhookKey, WebhookKeys, WellKnown, confirmation,
};
pub use ids::{
    AccountId, BadId, BatchId, CodeId, CodeSerial, Description, Digest, EpochId, ExportName, GrantId, IdempotencyKey,
    MailboxName, MerchantName, OfferId, OperationName, OrderId, Origin, PairwiseId, PartName, ProductName,
    PublisherName, ResourceName, TerminalId, Title, WebhookUrl,
};
pub use jws::{Document, JwsError, SelfSigned, Unverified, Verified};
pub use keys::{KeyError, PublicKey, SecretKey, Thumbprint};
pub use listed::{Listed, ListedEntry, UnknownEntry};
pub use money::{Money, MoneyError};
pub use nearest::nearest;
pub use plaintext::Plaintext;
pub use private_jwk::PrivateJwkError;
pub use public_address::is_public_address;
pub use refusal::{Reason, ReasonOrigin, UnknownReason};
pub use release::{KeyRelease, ReleasePublicKey, ReleaseSecretKey};
pub use rights::{Rights, Sale};
pub use span::Span;
pub use status_code::{CodeBinding, CodeKey, StatusCode};
pub use version::Version;
