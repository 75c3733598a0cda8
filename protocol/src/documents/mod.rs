//! The signed documents, one file each.

mod adoption;
mod answer;
mod audit_head;
mod code_order;
mod enrolment;
mod event;
mod grant;
mod key_document;
mod manifest;
mod merchant;
mod offer;
mod product;
mod publisher;
mod receipt;
mod refund;
mod resource_limits;
mod webhook_keys;

pub use adoption::{AdoptedVersions, Adoption, AdoptionError};
pub use answer::{Answer, More, RefusalAnswer};
pub use audit_head::AuditHead;
pub use code_order::{CodeAccepted, CodeReceipt, OrderRefunded, SealedCode, Verification};
pub use enrolment::Enrolment;
pub use event::{Event, EventBody};
pub use grant::{Grant, GrantLimits, confirmation};
pub use key_document::{KeyDocument, KeyDocumentError, ServerKey, WellKnown};
pub use manifest::{
    Capabilities, Countersignature, Manifest, ManifestError, OperationEntry, PartEntry, PartKind, PublisherEntry,
    ServerEntry, SignedManifest,
};
pub use merchant::{MerchantClaim, MerchantVouch, Ownership};
pub use offer::Offer;
pub use product::{PaymentRequest, Product};
pub use publisher::{PublisherClaim, Vouch};
pub use receipt::{Receipt, TopUpReceipt};
pub use refund::RefundReceipt;
pub use resource_limits::{LimitsRefused, ResourceLimits};
pub use webhook_keys::{WebhookKey, WebhookKeys};
