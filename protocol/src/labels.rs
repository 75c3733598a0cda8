//! Every document type and every domain-separation label, in one place.
//!
//! A signed document names its type in the protected header (`typ`), so that a signature over one document can never
//! serve as another. A label separates the uses of one secret in the same way.

/// `typ` of the publisher's signature over a manifest.
pub const TYP_MANIFEST: &str = "portcullis-manifest+jws";
/// `typ` of a store's countersignature over a manifest.
pub const TYP_COUNTERSIGNATURE: &str = "portcullis-countersignature+jws";
/// `typ` of an offer.
pub const TYP_OFFER: &str = "portcullis-offer+jwt";
/// `typ` of a grant.
pub const TYP_GRANT: &str = "portcullis-grant+jwt";
/// `typ` of a receipt.
pub const TYP_RECEIPT: &str = "portcullis-receipt+jwt";
/// `typ` of the receipt of a top-up.
pub const TYP_TOP_UP: &str = "portcullis-top-up+jwt";
/// `typ` of the receipt of a refund.
pub const TYP_REFUND: &str = "portcullis-refund+jwt";
/// `typ` of a key document.
pub const TYP_KEYS: &str = "portcullis-keys+jwt";
/// `typ` of a terminal's enrolment statement.
pub const TYP_ENROLMENT: &str = "portcullis-enrolment+jwt";
/// `typ` of a publisher's claim to a name.
pub const TYP_PUBLISHER: &str = "portcullis-publisher+jwt";
/// `typ` of a vouch: one publisher key names its successor.
pub const TYP_VOUCH: &str = "portcullis-vouch+jwt";
/// `typ` of an adoption: a publisher key stands for versions that an earlier one signed.
pub const TYP_ADOPTION: &str = "portcullis-adoption+jwt";
/// `typ` of a registry of billers, of which `portcullis-mail` believes mail.
pub const TYP_BILLERS: &str = "portcullis-billers+jwt";
/// `typ` of a merchant's claim to a name.
pub const TYP_MERCHANT: &str = "portcullis-merchant+jwt";
/// `typ` of a merchant's proof that an endpoint is its own.
pub const TYP_OWNERSHIP: &str = "portcullis-ownership+jwt";
/// `typ` of a vouch: one merchant key names its successor.
pub const TYP_MERCHANT_VOUCH: &str = "portcullis-merchant-vouch+jwt";
/// `typ` of a merchant's product.
pub const TYP_PRODUCT: &str = "portcullis-product+jwt";
/// `typ` of a merchant's payment request.
pub const TYP_PAYMENT_REQUEST: &str = "portcullis-payment-request+jwt";
/// `typ` of what a merchant sealed for an order.
pub const TYP_SEALED_CODE: &str = "portcullis-sealed-code+jwt";
/// `typ` of the answer of the second interface.
pub const TYP_VERIFICATION: &str = "portcullis-verification+jwt";
/// `typ` of the record that a code was accepted for an order.
pub const TYP_CODE_ACCEPTED: &str = "portcullis-code-accepted+jwt";
/// `typ` of the record that no code was ever accepted for an order.
pub const TYP_ORDER_REFUNDED: &str = "portcullis-order-refunded+jwt";
/// `typ` of the receipt of an order of codes.
pub const TYP_CODE_RECEIPT: &str = "portcullis-code-receipt+jwt";
/// `typ` of a positive answer to a terminal.
pub const TYP_ANSWER: &str = "portcullis-answer+jwt";
/// `typ` of a refusal to a terminal.
pub const TYP_REFUSAL: &str = "portcullis-refusal+jwt";
/// `typ` of a head of a server's audit log.
pub const TYP_AUDIT_HEAD: &str = "portcullis-audit-head+jwt";
/// `typ` of an event, and of a heartbeat.
pub const TYP_EVENT: &str = "portcullis-event+jwt";
/// `typ` of the keys that sign the webhooks of an endpoint.
pub const TYP_WEBHOOK_KEYS: &str = "portcullis-webhook-keys+jwt";
/// `typ` of a proof of possession (RFC 9449 section 4.2).
pub const TYP_PROOF: &str = "dpop+jwt";

/// Every `typ` of a signed document, for the tests that hold them apart.
pub const ALL_TYPES: [&str; 29] = [
    TYP_MANIFEST,
    TYP_COUNTERSIGNATURE,
    TYP_OFFER,
    TYP_GRANT,
    TYP_RECEIPT,
    TYP_TOP_UP,
    TYP_REFUND,
    TYP_KEYS,
    TYP_ENROLMENT,
    TYP_PUBLISHER,
    TYP_VOUCH,
    TYP_ADOPTION,
    TYP_BILLERS,
    TYP_MERCHANT,
    TYP_OWNERSHIP,
    TYP_MERCHANT_VOUCH,
    TYP_PRODUCT,
    TYP_PAYMENT_REQUEST,
    TYP_SEALED_CODE,
    TYP_VERIFICATION,
    TYP_CODE_ACCEPTED,
    TYP_ORDER_REFUNDED,
    TYP_CODE_RECEIPT,
    TYP_ANSWER,
    TYP_REFUSAL,
    TYP_AUDIT_HEAD,
    TYP_EVENT,
    TYP_WEBHOOK_KEYS,
    TYP_PROOF,
];

/// HKDF `info` of the key under which a part's binding is computed.
pub const PART_BINDING: &[u8] = b"portcullis part binding v1";
/// Prefix of the digest that commits to a part's block list.
pub const PART_COMMITMENT: &[u8] = b"portcullis part commitment v1";
/// Prefix of HPKE `info` for the release of part keys.
pub const KEY_RELEASE: &[u8] = b"portcullis key release v1";
/// Prefix of HPKE `info` for electronic codes.
pub const CODE: &[u8] = b"portcullis code v1";
/// Prefix of the digest that guards a redemption code against slips.
pub const REDEMPTION_CODE: &[u8] = b"portcullis redemption code v1";
/// Prefix of the message that a redemption code is made from.
pub const REDEMPTION_SECRET: &[u8] = b"portcullis redemption secret v1";
/// Prefix of the message that a redemption code is looked up by.
pub const REDEMPTION_LOOKUP: &[u8] = b"portcullis redemption lookup v1";
/// Prefix of the message that a billing status code authenticates.
pub const STATUS_CODE: &[u8] = b"portcullis status code v1";
/// Prefix of the digest of a status code's binding.
pub const STATUS_CODE_BINDING: &[u8] = b"portcullis status code binding v1";
/// Prefix of the message that a server nonce authenticates.
pub const SERVER_NONCE: &[u8] = b"portcullis server nonce v1";
/// Prefix of the digest that confirms the terminal of a grant.
pub const GRANT_CONFIRMATION: &[u8] = b"portcullis grant confirmation v1";
/// Prefix of the digest from which fingerprint words are drawn.
pub const FINGERPRINT: &[u8] = b"portcullis fingerprint v1";
/// HKDF `info` of the keys that seal a terminal's journal.
pub const TERMINAL_JOURNAL: &[u8] = b"portcullis terminal journal v1";
/// HKDF `info` of the keys that seal the codes of a terminal, and the keys of its orders of codes.
pub const TERMINAL_CODES: &[u8] = b"portcullis terminal codes v1";
/// HKDF `info` of the keys that seal the last server time that a terminal heard.
pub const TERMINAL_CLOCK: &[u8] = b"portcullis terminal clock v1";
/// HKDF `info` of the secret that a terminal's compiled code is bound to.
pub const TERMINAL_CACHE: &[u8] = b"portcullis terminal cache v1";
/// HKDF `info` of the keys that seal the names of compiled code.
pub const CACHE_LABEL: &[u8] = b"portcullis cache label v1";
/// HKDF `info` of the names of files that hold compiled code.
pub const CACHE_FILE: &[u8] = b"portcullis cache file v1";
/// Prefix of HKDF `info` of the keys that seal compiled code.
pub const CACHE_CODE: &[u8] = b"portcullis cache code v1";
/// HKDF `info` of the keys that seal a sign-in that was set aside.
pub const TERMINAL_SIGN_IN: &[u8] = b"portcullis terminal sign-in v1";
/// Prefix of the digest of a row of a server's audit log, which covers the digest of the row before it.
pub const AUDIT_ROW: &[u8] = b"portcullis audit row v1";
/// Prefix of the digest that stands before the first row of a server's audit log.
pub const AUDIT_BEGINNING: &[u8] = b"portcullis audit beginning v1";
