//! Every limit of the formats, each with its reason.

/// A signed document in compact serialisation. Large enough for a key document with many keys, small enough to buffer
/// before its signature is known.
pub const MAX_DOCUMENT: usize = 64 * 1024;
/// The payload of a manifest. 64 parts and 64 operations with long lists stay below it.
pub const MAX_MANIFEST: usize = 256 * 1024;
/// Signatures on a manifest: the publisher's and those of the stores that sell it.
pub const MAX_SIGNATURES: usize = 16;
/// Parts of a resource. Each costs the server one key agreement at publish.
pub const MAX_PARTS: usize = 64;
/// Operations of a resource.
pub const MAX_OPERATIONS: usize = 64;
/// Exports that one operation maps.
pub const MAX_EXPORTS: usize = 256;
/// Servers that a manifest may name.
pub const MAX_SERVERS: usize = 16;
/// A name: resource, publisher, part, operation. It fits in a path segment and a line.
pub const MAX_NAME: usize = 64;
/// An export's name, `namespace:package/interface@version#function`.
pub const MAX_EXPORT_NAME: usize = 256;
/// A title that a person reads.
pub const MAX_TITLE: usize = 120;
/// A description that a person reads.
pub const MAX_DESCRIPTION: usize = 2_000;
/// An origin, `https://host:port`.
pub const MAX_ORIGIN: usize = 256;
/// The nonce of a request (see `billing.request`).
pub const MAX_NONCE: usize = 64;
/// The quantity of one authorisation.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// An Idempotency-Key, in bytes of visible ASCII.
pub const MAX_IDEMPOTENCY_KEY: usize = 128;
/// The stub of a sealed resource. Generated stubs are 0.6–60 KB; a publisher's own large WIT may take more.
pub const MAX_STUB: u64 = 4 * 1024 * 1024;
/// Sections of a stub. Generated stubs have below a hundred; each costs the reader one small read.
pub const MAX_STUB_SECTIONS: usize = 10_000;
/// The name of a custom section. Ours take up to 82 bytes; read together with the head of the section.
pub const MAX_SECTION_NAME: usize = 256;
/// The types of a component's functions, written out. WIT of a hundred functions takes some 20 KB; nested types can
/// stand for a text that grows with every level.
pub const MAX_SURFACE: usize = 4 * 1024 * 1024;
/// A code part, in the clear. The largest in practice is a JavaScript engine with its program, 12–20 MB.
pub const MAX_CODE_PART: u64 = 64 * 1024 * 1024;
/// The payload of a part's age file: sections of a component hold less than 4 GiB, header included.
pub const MAX_PART: u64 = u32::MAX as u64 - 64 * 1024;
/// Bytes of age payload that one block digest covers.
pub const BLOCK: u64 = 1024 * 1024;
/// A money amount, in minor units, either sign: far above any price and far below overflow when summed.
pub const MAX_MINOR_UNITS: i64 = 1_000_000_000_000;
/// Currencies in which an account may have a prepaid balance: their list is one signed answer, and few people pay in more.
pub const MAX_BALANCES: usize = 16;
/// Vouches of a publisher. Stores take and terminals follow so many; a publisher changes its key every few years.
pub const MAX_VOUCHES: usize = 64;
/// Versions that a store takes of a resource: every entry of its catalogue lists them. One a day for years.
pub const MAX_VERSIONS: usize = 1_000;
/// Versions of a resource of which its entry in the catalogue says what opens their parts, the newest first: enough to
/// choose by, and an entry stays some hundred KB whatever a publisher does.
pub const MAX_OPENINGS: usize = 32;
/// The text of a version that a store takes. It stands in the catalogue and in every grant.
pub const MAX_VERSION: usize = 128;
/// Offers of a resource, signed, in bytes: a refusal may carry all of them, and is a document of at most
/// [`MAX_DOCUMENT`] bytes when base64url has made four of three.
pub const MAX_PRICE_LIST: usize = 46 * 1024;
/// How long a billing status code lives, in seconds.
pub const STATUS_CODE_LIFE: u64 = 30;
/// How long after it was issued a grant that was paid for and never acknowledged can be issued once more, in seconds: 30
/// days, so that whoever lost an answer on a journey or with a broken machine comes back in time.
pub const REISSUE_LIFE: u64 = 30 * 24 * 3600;
/// How long a key document may be valid, in seconds: 7 days.
pub const MAX_KEY_DOCUMENT_LIFE: u64 = 7 * 24 * 3600;
/// The window of a server nonce, in seconds. A nonce of this window or the one before is accepted.
pub const SERVER_NONCE_WINDOW: u64 = 60;
/// How far the `iat` of a proof may lie from the server's clock, in seconds. The server nonce is what bounds its age;
/// this only catches a terminal whose clock is far off.
pub const PROOF_SKEW: u64 = 24 * 3600;
/// The body of a JSON request to the server.
pub const MAX_REQUEST_BODY: usize = 64 * 1024;
/// The header of an age file. A stanza of ours takes 97 bytes; the rest is room for those of other recipient types.
pub const MAX_AGE_HEADER: usize = 8 * 1024;
/// Recipients of an age file. Each costs whoever opens it one key agreement.
pub const MAX_AGE_RECIPIENTS: usize = 20;
