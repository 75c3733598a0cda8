//! The bodies of requests and answers about electronic codes (`docs/protocol.md`, section 15).

use crate::codes::{
    CodeContext, CodeError, Codes, Generation, MAX_CIPHERTEXT, Quantity, ReportedState, SealedBytes, seal,
};
use crate::documents::{SealedCode, Verification};
use crate::encoding::{BoundedOctets, Octets};
use crate::ids::{
    BatchId, CodeSerial, Digest, MerchantName, OperationName, OrderId, PublisherName, ResourceName, TerminalId, Title,
    WebhookUrl,
};
use crate::jws::Verified;
use crate::keys::{PublicKey, SecretKey};
use crate::listed::{Listed, ListedEntry};
use crate::money::Money;
use crate::rights::Rights;
use crate::wire::PaymentMethod;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize};

/// `POST /v1/merchants`: claim a merchant's name. Answer: [`MerchantAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MerchantRequest {
    /// A compact [`crate::MerchantClaim`], self-signed by the merchant's key.
    pub claim: String,
}

/// Where a merchant stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MerchantAnswer {
    /// Its name.
    pub merchant: MerchantName,
    /// `claimed`, `proven`, `approved` or `suspended`.
    pub state: String,
}

/// `POST /v1/merchant/ownership`: have the endpoint challenged. Answer: [`MerchantAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnershipRequest {}

/// What a merchant's endpoint answers a challenge with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnershipProof {
    /// A compact [`crate::Ownership`].
    pub ownership: String,
}

/// `GET /v1/merchant`: what a merchant needs to know of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MerchantStatus {
    /// Its name.
    pub merchant: MerchantName,
    /// `claimed`, `proven`, `approved` or `suspended`.
    pub state: String,
    /// Where it is told of orders.
    pub webhook: WebhookUrl,
    /// The keys that its webhooks are signed with.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<WebhookKeys>))]
    pub keys: Listed<WebhookKeys>,
    /// How many orders were decided within the last hour.
    pub orders: u32,
    /// How many of them got their code in time.
    pub in_time: u32,
}

/// A pair of webhook keys and its time.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookKeys {
    /// The secret of `v1`: `whsec_…`.
    pub v1: String,
    /// The public key of `v1a`: `whpk_…`.
    pub v1a: String,
    /// From when on it signs, Unix seconds.
    pub from: u64,
    /// Until when, Unix seconds; absent if no end is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl std::fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookKeys({}, from {})", self.v1a, self.from)
    }
}

/// `GET /v1/merchants/{name}`: public; the products are signed by the merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MerchantEntry {
    /// Its name.
    pub name: MerchantName,
    /// What buyers read.
    pub title: Title,
    /// The key in use.
    pub key: PublicKey,
    /// The keys before it, oldest first: each has signed the vouch that ended it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<PublicKey>,
    /// Whether the operator has suspended it: then it sells nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Compact [`crate::MerchantVouch`]es, oldest first.
    pub vouches: Vec<String>,
    /// Compact [`crate::Product`]s that are sold.
    pub products: Vec<String>,
}

/// A product of a merchant, among what a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductEntry {
    /// The merchant.
    pub merchant: MerchantName,
    /// What it calls itself.
    pub title: Title,
    /// Its key.
    pub key: PublicKey,
    /// The compact [`crate::Product`], signed by that key.
    pub product: String,
    /// How many entries of the page come before it, resources and products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
}

/// `PUT /v1/merchant/products`: sell a product, or a new revision of it. Answer: [`ProductAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProductRequest {
    /// A compact [`crate::Product`].
    pub product: String,
}

/// The product is sold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductAnswer {
    /// The digest that names this revision.
    pub product: Digest,
}

/// `POST /v1/merchant/requests`: ask to be paid. Answer: [`PaymentRequestAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PaymentRequestRequest {
    /// A compact [`crate::PaymentRequest`].
    pub request: String,
}

/// The request can be paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PaymentRequestAnswer {
    /// The digest that names it.
    pub request: Digest,
    /// Where it can be paid.
    pub url: String,
}

/// `GET /v1/payment-requests/{digest}`: public; both documents are signed by the merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PaymentRequestEntry {
    /// The compact [`crate::PaymentRequest`].
    pub request: String,
    /// The compact [`crate::Product`].
    pub product: String,
    /// The merchant's key.
    pub key: PublicKey,
}

/// `POST /v1/merchant/verifications`, the second interface: what was ordered? Answer: [`OrderVerificationAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderVerificationRequest {
    /// The order.
    pub order: OrderId,
    /// The nonce that the platform sent for it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub nonce: Octets<32>,
    /// The digest of the payment request that was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
}

/// What was ordered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderVerificationAnswer {
    /// A compact [`crate::Verification`].
    pub verification: String,
}

/// `POST /v1/merchant/codes`: here is the code. Answer: [`CodeSubmissionAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CodeSubmission {
    /// A compact [`crate::SealedCode`].
    pub code: String,
    /// The encapsulated key.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub enc: Octets<32>,
    /// The codes, sealed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 21867))]
    pub ciphertext: BoundedOctets<MAX_CIPHERTEXT>,
}

impl CodeSubmission {
    /// Seals codes for what a verification says, whose digest is `verification`, and signs for them. `iat` is in Unix
    /// seconds.
    ///
    /// # Errors
    /// [`CodeError::LowOrderKey`], [`CodeError::TooLong`].
    pub fn seal(
        said: &Verification,
        verification: Digest,
        codes: &Codes,
        serials: Vec<CodeSerial>,
        iat: u64,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CodeError> {
        let Verification { iss, merchant, order, recipient, generation, .. } = said;
        let context = CodeContext { order, merchant, generation: *generation, verification: &verification };
        let sealed = seal(recipient, &context, codes, rng)?;
        let code = SealedCode {
            merchant: merchant.clone(),
            aud: iss.clone(),
            order: *order,
            generation: *generation,
            verification,
            recipient: *recipient,
            ciphertext: sealed.digest(),
            serials,
            iat,
        };
        let SealedBytes { enc, ciphertext } = sealed;
        Ok(Self { code: Verified::sign(code, key).compact().to_owned(), enc, ciphertext })
    }
}

/// It was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeSubmissionAnswer {
    /// A compact [`crate::CodeAccepted`].
    pub accepted: String,
}

/// `POST /v1/merchant/orders/{id}/decline`: there is no code for it. Answer: [`MerchantOrder`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeclineRequest {
    /// Why, for the buyer and the operator; may be empty.
    pub reason: String,
}

/// `GET /v1/merchant/orders/{id}`: an order as its merchant sees it. Whose it is, no merchant is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MerchantOrder {
    /// The order.
    pub order: OrderId,
    /// Where it stands.
    pub state: ReportedState,
    /// The digest of the product.
    pub product: Digest,
    /// How many codes.
    pub quantity: Quantity,
    /// What was paid.
    pub amount: Money,
    /// Which sealing is wanted, or was accepted last.
    pub generation: Generation,
    /// Which sealing was accepted last. One that is wanted and not accepted is to be submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Generation>,
    /// The nonce of the sealing that is wanted, if one is: what the webhook said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub nonce: Option<Octets<32>>,
    /// Until when a code is taken, Unix seconds.
    pub deadline: u64,
    /// The digest of the payment request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// A compact [`crate::OrderRefunded`] or [`crate::CodeAccepted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// `GET /v1/merchant/open` and `…/{after}`: the orders that are not final.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MerchantOrdersAnswer {
    /// Oldest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<MerchantOrder>))]
    pub orders: Listed<MerchantOrder>,
    /// Names the next page, if there is one: the last order of this one.
    pub next: Option<OrderId>,
}

/// `POST /v1/merchant/vouches`: the merchant changes its key. Answer: [`crate::wire::Done`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MerchantVouchRequest {
    /// A compact [`crate::MerchantVouch`] for the new key, signed by the one in use.
    pub vouch: String,
    /// A compact [`crate::MerchantClaim`] by the new key: that it is held.
    pub claim: String,
}

/// `POST /v1/codes`: order codes of a merchant. Answer: [`crate::wire::OrderAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CodeOrderRequest {
    /// The digest of the product that the user agreed to.
    pub product: Digest,
    /// How many codes.
    pub quantity: Quantity,
    /// The X25519 key of this order, which the terminal has stored.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub recipient: Octets<32>,
    /// The digest of the payment request that is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// The user knows that the same is on order, and wants it all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// `GET /v1/account/codes` and `…/{page}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeOrdersAnswer {
    /// Newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<CodeOrderInfo>))]
    pub codes: Listed<CodeOrderInfo>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// `GET /v1/account/code-receipts` and `…/{page}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeReceiptsAnswer {
    /// Compact [`crate::CodeReceipt`]s, newest first.
    pub receipts: Vec<String>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// An order of codes as its buyer sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeOrderInfo {
    /// The order.
    pub order: OrderId,
    /// The merchant.
    pub merchant: MerchantName,
    /// The compact [`crate::Product`], as it was ordered.
    pub product: String,
    /// How many codes.
    pub quantity: Quantity,
    /// What was paid.
    pub amount: Money,
    /// Where it stands.
    pub state: ReportedState,
    /// Which sealing is delivered; if none is, which is wanted, or was accepted last.
    pub generation: Generation,
    /// Which sealing was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Generation>,
    /// The key of that `generation`, once a terminal has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub recipient: Option<Octets<32>>,
    /// It was bought in a browser, and the terminal that asks is to make its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_wanted: bool,
    /// The terminal of the account that it is delivered to, if one is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalId>,
    /// Why its merchant declined it, in the merchant's words: to be shown as text, and nothing follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/codes/{order}`: an order of codes, and what was delivered for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeOrderAnswer {
    /// The order.
    #[serde(flatten)]
    pub info: CodeOrderInfo,
    /// The sealed code, while this terminal may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// A sealed code on its way to its terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// The compact [`crate::Verification`] that the merchant answered.
    pub verification: String,
    /// The compact [`crate::SealedCode`].
    pub code: String,
    /// The encapsulated key.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub enc: Octets<32>,
    /// The codes, sealed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 21867))]
    pub ciphertext: BoundedOctets<MAX_CIPHERTEXT>,
}

impl Delivery {
    /// The codes as they were sealed.
    #[must_use]
    pub fn sealed(&self) -> SealedBytes {
        SealedBytes { enc: self.enc, ciphertext: self.ciphertext.clone() }
    }
}

/// `POST /v1/codes/{order}/ack`: the code arrived, or cannot be read. Answer: [`CodeAckAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CodeAckRequest {
    /// Which sealing.
    pub generation: Generation,
    /// The digest of what was sealed.
    pub ciphertext: Digest,
    /// Whether it was opened and durably stored.
    pub readable: bool,
}

/// The acknowledgement is on record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeAckAnswer {
    /// Where the order stands.
    pub state: ReportedState,
}

/// `POST /v1/codes/{order}/recipient`: deliver to this terminal from now on. Answer: [`RecipientAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecipientRequest {
    /// The new X25519 key of the order, which the terminal has stored.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub recipient: Octets<32>,
    /// It is the first key of an order that was bought in a browser, and replaces none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
}

/// The order is the terminal's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecipientAnswer {
    /// Which sealing will be for it.
    pub generation: Generation,
}

/// `POST /v1/redemptions`: turn a code into rights. Answer: [`RedemptionAnswer`].
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RedemptionRequest {
    /// The code, as it was typed.
    pub code: String,
}

impl std::fmt::Debug for RedemptionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedemptionRequest(redacted)")
    }
}

/// Seconds for which something that is asked for again was done just now: longer than a terminal repeats a request.
const JUST_NOW: u64 = 120;

/// What the code gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedemptionAnswer {
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The operation.
    pub operation: OperationName,
    /// The rights.
    pub rights: Rights,
    /// When the code was redeemed, Unix seconds: by this request, or by an earlier one of the account. A store may not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

impl RedemptionAnswer {
    /// Whether the code was redeemed before, and not just now: a request that is repeated since its answer was lost is
    /// the same one. `now` in Unix seconds.
    #[must_use]
    pub fn was_before(&self, now: u64) -> bool {
        self.at.is_some_and(|at| at.saturating_add(JUST_NOW) < now)
    }
}

/// `POST /v1/catalogue/{publisher}/{name}/gifts`: make redemption codes. Answer: [`GiftsAnswer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GiftsRequest {
    /// The digest of the offer whose rights each code gives.
    pub offer: Digest,
    /// How many codes, 1 to [`MAX_BATCH`](crate::limits::MAX_BATCH).
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub count: u32,
    /// What they are for, for the publisher; may be empty.
    pub note: String,
    /// Until when they can be redeemed, Unix seconds; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// The codes, shown now and when the same request is repeated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiftsAnswer {
    /// Names them together.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub batch: BatchId,
    /// The codes.
    pub codes: Vec<GiftCode>,
}

/// A redemption code and its public half.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiftCode {
    /// What its owner types.
    pub code: String,
    /// Names it, and says nothing of it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub serial: CodeSerial,
}

impl std::fmt::Debug for GiftCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GiftCode({})", self.serial)
    }
}

/// `GET /v1/catalogue/{publisher}/{name}/gifts` and `…/{page}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchesAnswer {
    /// Newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<BatchInfo>))]
    pub batches: Listed<BatchInfo>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// A batch of redemption codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchInfo {
    /// Names it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub batch: BatchId,
    /// The digest of the offer.
    pub offer: Digest,
    /// The operation that each code gives. A store may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationName>,
    /// The rights in it; none, too, if this version does not know their model.
    #[serde(default, deserialize_with = "known_rights", skip_serializing_if = "Option::is_none")]
    pub rights: Option<Rights>,
    /// How many codes it has.
    pub count: u32,
    /// How many were redeemed.
    pub redeemed: u32,
    /// How many are void, those among them that expired and were deleted.
    pub void: u32,
    /// What they are for.
    pub note: String,
    /// When they were made, Unix seconds.
    pub made: u64,
    /// Until when they can be redeemed, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Rights of a model that this version knows: of another one nothing follows.
fn known_rights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rights>, D::Error> {
    Ok(match ListedEntry::deserialize(deserializer)? {
        ListedEntry::Known(rights) => Some(rights),
        ListedEntry::Unknown(_) => None,
    })
}

/// `DELETE /v1/catalogue/{publisher}/{name}/gifts/batches/{batch}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VoidAnswer {
    /// How many codes ended that nobody had redeemed.
    pub void: u32,
}
