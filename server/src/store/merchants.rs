//! Merchants: who they are, what they sell, what they ask to be paid.

use super::{EndpointId, NewEndpointKeys, Receiver, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::codes::Health;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{
    AccountId, Digest, MerchantName, PaymentRequest, Product, ProductName, PublicKey, Thumbprint, Title, WebhookUrl,
};

/// A merchant at this server. Never leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MerchantId(pub Octets<16>);

impl MerchantId {
    /// The merchant as its events and its endpoints belong to it.
    #[must_use]
    pub const fn receiver(self) -> Receiver {
        Receiver::Merchant(self.0)
    }
}

/// Where a merchant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantState {
    /// The name is claimed; the endpoint has not shown that it is the merchant's.
    Claimed,
    /// It has; the operator has not decided.
    Proven,
    /// It sells.
    Approved,
    /// The operator has ended that.
    Suspended,
}

impl MerchantState {
    /// Its word in answers and on screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Proven => "proven",
            Self::Approved => "approved",
            Self::Suspended => "suspended",
        }
    }
}

/// A merchant.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// Its identifier.
    pub id: MerchantId,
    /// Its name.
    pub name: MerchantName,
    /// What buyers read.
    pub title: Title,
    /// The key that signs for it.
    pub key: PublicKey,
    /// The account that answers for it.
    pub owner: AccountId,
    /// Where it is told of orders.
    pub webhook: WebhookUrl,
    /// Where it stands.
    pub state: MerchantState,
    /// Whether the operator has approved it, whatever became of it since.
    pub was_approved: bool,
    /// When its name was claimed.
    pub created: Timestamp,
}

/// A claim to be stored. The key has signed it.
#[derive(Debug, Clone)]
pub struct NewMerchant {
    /// Its identifier, if the name is new.
    pub id: MerchantId,
    /// The name.
    pub name: MerchantName,
    /// What buyers read.
    pub title: Title,
    /// The key.
    pub key: PublicKey,
    /// The account.
    pub owner: AccountId,
    /// Where it is told of orders.
    pub webhook: WebhookUrl,
    /// The endpoint there, if it is a new one.
    pub endpoint: NewMerchantEndpoint,
}

/// The endpoint of a merchant, if it has none at that address.
#[derive(Debug, Clone)]
pub struct NewMerchantEndpoint {
    /// Its identifier.
    pub id: EndpointId,
    /// Its keys.
    pub keys: NewEndpointKeys,
}

/// What became of a claim to a merchant's name.
#[derive(Debug, Clone)]
pub enum MerchantOutcome {
    /// The name is the account's, with this key, title and webhook.
    Claimed(Box<Merchant>),
    /// The name is another account's, or has another key; or the key is another merchant's.
    Taken,
    /// The account has [`MAX_MERCHANTS`](portcullis_protocol::limits::MAX_MERCHANTS) others.
    TooMany,
}

/// A verified vouch of a merchant's key, to be stored.
#[derive(Debug, Clone)]
pub struct NewMerchantVouch {
    /// The merchant.
    pub merchant: MerchantId,
    /// The key that signed it, which has to be the one in use.
    pub by: PublicKey,
    /// The successor.
    pub key: PublicKey,
    /// Its number, which has to be the next one.
    pub seq: u64,
    /// The vouch itself.
    pub compact: String,
}

/// A vouch that a merchant's key was changed by.
#[derive(Debug, Clone)]
pub struct MerchantVouchRecord {
    /// The key that signed it.
    pub by: PublicKey,
    /// The vouch itself.
    pub compact: String,
}

/// What became of a vouch of a merchant's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantVouchOutcome {
    /// The merchant's key is the successor.
    Vouched,
    /// Another key is in use, or another number is next; or the successor is another merchant's key.
    Stale,
    /// There are as many as terminals follow.
    TooMany,
}

/// What the operator decides of a merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantDecision {
    /// It may sell.
    Approve,
    /// It may not, and its key can only read. Orders that are under way wait for a person.
    Suspend,
    /// It may again.
    Restore,
    /// The same as suspending it, until the account that answers for it registers the key of this thumbprint.
    Rekey(Thumbprint),
}

/// A revision of a product.
#[derive(Debug, Clone)]
pub struct ProductRevision {
    /// What the merchant signed.
    pub product: Product,
    /// That, as it was signed.
    pub compact: String,
    /// Its digest.
    pub digest: Digest,
    /// Whether it is the revision that is sold.
    pub is_sold: bool,
    /// Whose it is.
    pub merchant: MerchantId,
}

/// A payment request that was stored.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// What the merchant signed.
    pub request: PaymentRequest,
    /// That, as it was signed.
    pub compact: String,
    /// The product.
    pub product: ProductRevision,
    /// Whether an order stands for it.
    pub is_spent: bool,
    /// Whether the key that signed it is not the merchant's any more.
    pub has_ended: bool,
}

impl RequestRecord {
    /// Whether nobody can pay it any more, and nobody has.
    #[must_use]
    pub const fn has_ended_unpaid(&self) -> bool {
        self.has_ended && !self.is_spent
    }
}

/// Payment requests of a merchant that somebody could pay at once, at most: several thousand customers at the till.
/// They all end in one transaction when the merchant changes its key.
pub const MAX_OPEN_REQUESTS: u32 = 10_000;

/// What became of a payment request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It can be paid.
    Stored,
    /// The merchant has as many that can be paid as it may have.
    TooMany,
    /// The key that signed it is not the merchant's any more, or the merchant is not approved, or suspended.
    NotSigned,
}

/// What became of a product that is to be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductOutcome {
    /// It is sold.
    Sold,
    /// The merchant has as many as a list can have.
    TooMany,
    /// The key that signed it is not the merchant's any more, or the merchant is suspended.
    NotSigned,
}

/// Merchants.
#[async_trait]
pub trait Merchants {
    /// Claims a name for a key, or changes title and webhook of one that is claimed. Another webhook is to be proven
    /// again.
    async fn claim_merchant(&self, merchant: NewMerchant) -> Result<MerchantOutcome, StoreError>;

    /// The merchant of a name.
    async fn merchant(&self, name: &MerchantName) -> Result<Option<Merchant>, StoreError>;

    /// The merchant that a key signs for.
    async fn merchant_of_key(&self, key: &PublicKey) -> Result<Option<Merchant>, StoreError>;

    /// Merchants by name, after one: at most `limit`.
    async fn merchants(&self, after: Option<&MerchantName>, limit: u32) -> Result<Vec<Merchant>, StoreError>;

    /// Records that the endpoint at this address has shown to be the merchant's. It alone is sent messages from then
    /// on, those about open orders once more. False if the merchant has another address by now.
    async fn prove_merchant(&self, merchant: &MerchantId, webhook: &WebhookUrl) -> Result<bool, StoreError>;

    /// Records what the operator decides, and says whether that has changed anything. `None` if there is no such
    /// merchant.
    async fn decide_merchant(
        &self,
        name: &MerchantName,
        decision: MerchantDecision,
    ) -> Result<Option<(Merchant, bool)>, StoreError>;

    /// Changes a merchant's key to the one that the key in use vouches for. What that one has signed ends: products,
    /// and requests that nobody has paid.
    async fn vouch_merchant(&self, vouch: NewMerchantVouch) -> Result<MerchantVouchOutcome, StoreError>;

    /// The vouches of a merchant, oldest first.
    async fn merchant_vouches(&self, merchant: &MerchantId) -> Result<Vec<MerchantVouchRecord>, StoreError>;

    /// Sells a revision of a product, which a key has signed, in place of the one before it.
    async fn sell_product(&self, revision: ProductRevision, by: &PublicKey) -> Result<ProductOutcome, StoreError>;

    /// Ends the sale of a product. False if it was not sold.
    async fn end_product(&self, merchant: &MerchantId, name: &ProductName) -> Result<bool, StoreError>;

    /// The products that a merchant sells, by name.
    async fn products(&self, merchant: &MerchantId) -> Result<Vec<ProductRevision>, StoreError>;

    /// The revision of a product that a merchant sells.
    async fn product_on_sale(
        &self,
        merchant: &MerchantId,
        name: &ProductName,
    ) -> Result<Option<ProductRevision>, StoreError>;

    /// A revision of a product, sold or not any more.
    async fn product(&self, digest: &Digest) -> Result<Option<ProductRevision>, StoreError>;

    /// Stores a payment request, which a key has signed, of the merchant whose product it names. The same again changes
    /// nothing.
    async fn store_request(
        &self,
        merchant: &MerchantId,
        by: &PublicKey,
        digest: &Digest,
        request: &PaymentRequest,
        compact: &str,
    ) -> Result<RequestOutcome, StoreError>;

    /// A payment request.
    async fn payment_request(&self, digest: &Digest) -> Result<Option<RequestRecord>, StoreError>;

    /// How a merchant's orders of the last hour went.
    async fn merchant_health(&self, merchant: &MerchantId) -> Result<Health, StoreError>;
}
