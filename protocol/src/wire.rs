//! The bodies of requests and answers, as `docs/protocol.md` has them. All JSON.
//!
//! Requests are closed, and so are the answers of the cycle: there, an unknown member is an error. All other answers
//! are open, so that they can grow: their unknown members are ignored, and an entry of a list that cannot be read is
//! an unknown entry of its [`Listed`].

use crate::code::OtherCode;
use crate::documents::WellKnown;
use crate::encoding::{BoundedOctets, Octets};
use crate::ids::{
    Digest, EpochId, GrantId, OfferId, OperationName, OrderId, PartName, PublisherName, ResourceName, TerminalId,
};
use crate::keys::{PublicKey, Thumbprint};
use crate::limits::MAX_NONCE;
use crate::listed::Listed;
use crate::money::Money;
use crate::refusal::Reason;
use crate::release::KeyRelease;
use crate::rights::Rights;
use crate::status_code::StatusCode;
use crate::version::Version;
use serde::{Deserialize, Serialize};

mod codes;
mod unpaid;

pub use codes::*;
pub use unpaid::*;

pub use crate::purchase::{Goods, PaymentStep, PaymentStepKind, Purchase};

/// The envelope of every answer to a terminal that proved itself: `{"signed": "<compact JWS>"}`. The document inside is
/// an [`crate::Answer`] or a [`crate::RefusalAnswer`]; its header says which.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signed {
    /// The compact serialisation.
    pub signed: String,
}

/// An error answer: problem details (RFC 9457). Where `signed` is present it holds the [`crate::RefusalAnswer`], and
/// only that is believed; the rest is for people and logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `about:blank`, or `urn:portcullis:refusal:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do.
    pub detail: String,
    /// Names this very answer in the server's log: `urn:portcullis:request:<number>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The registry's code, where it is a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The signed refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

/// `POST /v1/terminals`: the terminal enrols. Answer: [`TerminalAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TerminalRequest {
    /// A compact [`crate::Enrolment`], self-signed by the key that makes the proof.
    pub statement: String,
}

/// The terminal is enrolled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalAnswer {
    /// How the server names it in the account's list of terminals.
    pub terminal: TerminalId,
    /// Whose account it is, as its owner reads it.
    pub account: String,
}

/// Steps 1 and 2, `POST /v1/authorizations`: may this operation be paid for? Answer: [`AuthorisationAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthorisationRequest {
    /// The resource digest.
    pub resource: Digest,
    /// The operation.
    pub operation: OperationName,
    /// How much, at least 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000))]
    pub quantity: u32,
    /// The digest of the offer that the user accepted; `null` to use whatever rights the account holds. Money of the
    /// prepaid balance moves only under an accepted metered offer.
    pub offer: Option<Digest>,
    /// The request's own nonce, repeated in the grant; may be empty.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 86, pattern = "^([A-Za-z0-9_-]{4})*$"))]
    pub nonce: BoundedOctets<MAX_NONCE>,
}

/// It may: the code holds what it costs until it expires.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthorisationAnswer {
    /// The billing status code.
    pub code: StatusCode,
    /// Until when it can be verified, Unix seconds of the server.
    pub expires: u64,
}

/// Step 3, `POST /v1/verifications`: consume the code. Answer: [`VerificationAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerificationRequest {
    /// The billing status code.
    pub code: StatusCode,
    /// The request it was issued for, repeated exactly: the code is bound to it.
    pub request: AuthorisationRequest,
}

/// Verified: the grant, and beside it the keys. Also the answer of `GET /v1/grants/{id}`, to the same terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerificationAnswer {
    /// The compact [`crate::Grant`].
    pub grant: String,
    /// Opens the grant's `cnf`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub grant_nonce: Octets<16>,
    /// The file keys of the granted parts, sealed to the terminal (RFC 9180).
    pub keys: KeyRelease,
}

/// `POST /v1/grants/{id}/ack`: the keys arrived. Answer: [`Acknowledged`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The grant.
    pub grant: GrantId,
}

/// The acknowledgement is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {}

/// Nothing more to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Done {}

/// `POST /v1/orders`: buy. The amount is the server's own; a client names what it accepted. Answer: [`OrderAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// The digest of the signed offer that the user agreed to.
    pub offer: Digest,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// The user knows that it gives nothing new, or that the same is on order, and wants it all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// How an order is paid: a provider of the server and what that provider needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PaymentMethod {
    /// The provider: `sandbox` moves no money.
    pub provider: String,
    /// The provider's token for the payer's means; `docs/operations.md` lists those of `sandbox`. With every provider
    /// `saved` stands for the means that the account last saved there.
    pub token: String,
}

/// The keys that sign the webhooks of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookKeysAnswer {
    /// Compact `portcullis-webhook-keys+jwt`.
    pub signed: String,
}

/// A server-sent event of a stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushedEvent {
    /// Compact `portcullis-event+jwt`, for the request that opened the stream.
    pub data: String,
}

/// Events of a receiver, after its cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventsAnswer {
    /// The epoch that they are numbered in. If it is another one than the cursor's, what the cursor says is forgotten.
    pub epoch: EpochId,
    /// Compact `portcullis-event+jwt`, oldest first, each for this very request.
    pub events: Vec<String>,
    /// The number of the last event there is. If it is greater than that of the last one here, there is more to pull.
    pub last: u64,
    /// Whether events between the cursor and these are not kept any more, or the epoch is another one: whoever counts
    /// on events asks anew for what they are about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// What became of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderAnswer {
    /// The order.
    pub order: OrderId,
    /// Its state.
    pub state: OrderState,
    /// The compact [`crate::Receipt`], once paid; for a top-up the [`crate::TopUpReceipt`].
    pub receipt: Option<String>,
    /// What the buyer has to do before the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PaymentStep>,
    /// Another request had opened it before, for the same, and it is not paid yet: this one has opened nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
}

/// The states of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// The provider has not decided.
    Pending,
    /// Paid, and the rights are given.
    Paid,
    /// The provider declined; nothing is owed.
    Declined,
    /// Paid back; the rights are taken back.
    Refunded,
    /// A state that this version does not know. It is shown as it is, and nothing is ever taken as paid in it.
    #[serde(untagged)]
    Other(OtherCode),
}

/// `POST /v1/publishers`: claim a name. Answer: [`Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublisherRequest {
    /// A compact [`crate::PublisherClaim`], self-signed by the publisher key.
    pub claim: String,
}

/// `POST /v1/publishers/{name}/vouches`: the publisher changes its key. Answer: [`Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VouchRequest {
    /// A compact [`crate::Vouch`] for the new key, signed by the one in use.
    pub vouch: String,
    /// A compact [`crate::PublisherClaim`] to the name, signed by the new key: that it is held, and is nobody else's.
    /// Optional in the form, as older terminals do not send it; stores refuse to go without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
}

/// `PUT /v1/catalogue/{publisher}/{name}/adoption`: a publisher's key stands for versions that earlier ones signed.
/// Answer: [`Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdoptionRequest {
    /// A compact [`crate::Adoption`], signed by the key in use or by the one that comes next.
    pub adoption: String,
}

/// Answer to `GET /v1/publishers/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublisherAnswer {
    /// The publisher.
    pub name: PublisherName,
    /// The key that signs what it publishes now.
    pub publisher_key: PublicKey,
    /// Compact [`crate::Vouch`]es, oldest first.
    pub vouches: Vec<String>,
}

/// Answer to `GET /v1/publishers/{name}/resources` and `…/{page}`: for the publisher alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedAnswer {
    /// What was published, by name, on sale or not.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ResourceName>))]
    pub resources: Listed<ResourceName>,
    /// The next page, if there is one.
    pub next: Option<u32>,
}

/// Answer to `PUT /v1/resources`, whose body is the sealed file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishAnswer {
    /// The resource digest, now countersigned.
    pub resource: Digest,
    /// The publisher.
    pub publisher: PublisherName,
    /// The name.
    pub name: ResourceName,
    /// The version.
    pub version: Version,
}

/// `PUT /v1/catalogue/{publisher}/{name}/offers`: the whole price list. Answer: [`OffersAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OffersRequest {
    /// All offers of the resource; those not listed end.
    pub offers: Vec<OfferTerms>,
}

/// The terms of one offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OfferTerms {
    /// The offer to revise; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<OfferId>,
    /// The operation.
    pub operation: OperationName,
    /// What a person reads.
    pub title: String,
    /// What it gives.
    pub rights: Rights,
    /// What it costs.
    pub price: Money,
}

/// The price list as it now stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OffersAnswer {
    /// Compact [`crate::Offer`]s.
    pub offers: Vec<String>,
}

/// `POST /v1/resources/{digest}/withdraw`. Answer: [`Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Why, for people; may be empty.
    pub reason: String,
}

/// `POST /v1/resources/{digest}/restore`: takes a withdrawal back. Answer: [`Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {}

/// `GET /v1/catalogue/{publisher}/{name}`: public, not signed as a whole; each offer and each file is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogueEntry {
    /// The publisher.
    pub publisher: PublisherName,
    /// The publisher key.
    pub publisher_key: PublicKey,
    /// The name.
    pub name: ResourceName,
    /// The kind.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// Newest first.
    pub versions: Vec<CatalogueVersion>,
    /// Compact [`crate::Offer`]s in force.
    pub offers: Vec<String>,
    /// Compact [`crate::Vouch`]es of the publisher, oldest first.
    pub vouches: Vec<String>,
    /// A compact [`crate::Adoption`]: what the publisher key stands for of what earlier ones signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<String>,
}

/// A version in the catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogueVersion {
    /// The version.
    pub version: Version,
    /// The resource digest; the file is at `/v1/files/{digest}`.
    pub digest: Digest,
    /// Bytes of the sealed file.
    pub size: u64,
    /// Whether it is sold no more: it was withdrawn, or the publisher key neither signed nor adopted it.
    pub withdrawn: bool,
    /// The parts that are not public, with the operations of this version that open each: an offer for one of these
    /// operations, whatever version it was made for, opens the part. Left out in a search, of a withdrawn version, and
    /// beyond the newest [`MAX_OPENINGS`](crate::limits::MAX_OPENINGS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<PartOpening>,
}

/// What opens a part of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartOpening {
    /// The part.
    pub part: PartName,
    /// The operations that open it, by name.
    pub operations: Vec<OperationName>,
}

/// `GET /v1/search?q=…&kind=…&page=…`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchAnswer {
    /// What was found, best first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<CatalogueEntry>))]
    pub results: Listed<CatalogueEntry>,
    /// What merchants sell among it, best first.
    #[serde(default, skip_serializing_if = "<[ProductEntry]>::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<ProductEntry>>))]
    pub products: Listed<ProductEntry>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// `GET /v1/account`. What the account's owner sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountAnswer {
    /// The sign-in name.
    pub account: String,
    /// Its terminals.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<TerminalInfo>))]
    pub terminals: Listed<TerminalInfo>,
    /// The publishers it owns.
    pub publishers: Vec<PublisherName>,
}

/// A terminal in the account's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalInfo {
    /// Its identifier.
    pub terminal: TerminalId,
    /// What the user calls it.
    pub label: String,
    /// The thumbprint of its key.
    pub key: Thumbprint,
    /// When it enrolled, Unix seconds.
    pub enrolled: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it is the one asking.
    pub current: bool,
}

/// `GET /v1/account/sessions`: what is signed in to the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionsAnswer {
    /// Its sessions that have not ended.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<SessionInfo>))]
    pub sessions: Listed<SessionInfo>,
    /// How many browsers are signed in.
    pub browsers: u32,
}

/// A session: one sign-in of one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Its identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub session: Octets<16>,
    /// What the user called the terminal when it asked.
    pub label: String,
    /// The thumbprint of the key that its tokens are bound to.
    pub key: Thumbprint,
    /// When it began, Unix seconds.
    pub began: u64,
    /// When its tokens were last renewed, Unix seconds.
    pub renewed: u64,
    /// When it ends by itself, Unix seconds.
    pub ends: u64,
    /// The terminal of its key; absent if none has enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalId>,
    /// Whether it is the one asking.
    pub current: bool,
}

/// `GET /v1/account/entitlements` and `…/{page}`: a signed answer is bounded, so lists come in pages. The first has no
/// number, each of the others the one that the page before it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntitlementsAnswer {
    /// The rights that the account holds or held.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<EntitlementInfo>))]
    pub entitlements: Listed<EntitlementInfo>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// One entitlement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntitlementInfo {
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The operation.
    pub operation: OperationName,
    /// What was bought.
    pub rights: Rights,
    /// What is left, where the model counts; what is held counts as gone.
    pub remaining: Option<u64>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// When its time began, Unix seconds; absent if it has none, or it has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Until when a use may begin, Unix seconds; absent if it does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
}

/// `GET /v1/account/receipts` and `…/{page}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptsAnswer {
    /// Compact [`crate::Receipt`]s, newest first. A later version may list other documents beside them.
    pub receipts: Vec<String>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// `GET /v1/account/refunds` and `…/{page}`, counted from 0. A server that does not have it answers 404.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefundsAnswer {
    /// Newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<RefundInfo>))]
    pub refunds: Listed<RefundInfo>,
    /// The number of the next page, if there is one.
    pub next: Option<u32>,
}

/// An order that was paid back, or is being paid back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefundInfo {
    /// The order.
    pub order: OrderId,
    /// How much goes back: of a top-up, what was left of it.
    pub amount: Money,
    /// When it began, or was completed, Unix seconds.
    pub at: u64,
    /// Whether the payment provider has confirmed it.
    pub done: bool,
    /// The compact [`crate::RefundReceipt`], once it is done. Servers from before do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// `POST /v1/account/top-ups`: pay money into the account's prepaid balance. Answer: [`OrderAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// How much, above zero.
    pub amount: Money,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// The user knows that a top-up of the same amount is pending, and wants another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// `GET /v1/account/top-ups` and `…/{page}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopUpsAnswer {
    /// Compact [`crate::TopUpReceipt`]s, newest first.
    pub receipts: Vec<String>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// `GET /v1/account/balances`: the prepaid money of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BalancesAnswer {
    /// One per currency, at most [`MAX_BALANCES`](crate::limits::MAX_BALANCES).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<BalanceInfo>))]
    pub balances: Listed<BalanceInfo>,
}

/// The prepaid balance of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BalanceInfo {
    /// What is left, holds not taken off.
    pub amount: Money,
    /// How much of it status codes hold that can still be verified.
    pub held: Money,
}

/// `POST /oauth/device_authorization` (RFC 8628 section 3.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceAuthorisation {
    /// What the terminal polls with.
    pub device_code: String,
    /// What the user types, `WDJB-MJHT`.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where, with the code filled in.
    pub verification_uri_complete: String,
    /// Seconds until it ends.
    pub expires_in: u32,
    /// Seconds between polls, at least.
    pub interval: u32,
}

/// `POST /oauth/token` (RFC 6749 section 5.1, RFC 9449 section 5).
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenAnswer {
    /// The access token, bound to the terminal key.
    pub access_token: String,
    /// `DPoP`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u32,
    /// Renews it, once.
    pub refresh_token: String,
}

impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenAnswer(expires_in {})", self.expires_in)
    }
}

/// An OAuth error (RFC 6749 section 5.2, RFC 8628 section 3.5, RFC 9449 section 8).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OAuthError {
    /// `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`, `use_dpop_nonce`, …
    pub error: String,
    /// For a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

/// What `GET /.well-known/portcullis` answers.
pub type WellKnownAnswer = WellKnown;
