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
/// `typ` of a registry of billers, of which `portcullis-mail` believes mail.
pub const TYP_BILLERS: &str = "portcullis-billers+jwt";
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
pub const ALL_TYPES: [&str; 18] = [
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
    TYP_BILLERS,
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
