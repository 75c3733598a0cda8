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
/// A code of a list that grows, as the reasons of refusals are. Those of the registry have up to 21 bytes; so short, a
/// code is a small value.
pub const MAX_CODE: usize = 32;
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
/// Bytes that define a core module beside its code, data and custom sections, over all modules of a body. CPython with
/// its libraries has 0.3 MB.
pub const MAX_BODY_MODULE_DEFINITIONS: u64 = 4 * 1024 * 1024;
/// Bytes that define what a body's components are made of, their types among it. CPython has 90 KB.
pub const MAX_BODY_COMPONENT_DEFINITIONS: u64 = 1024 * 1024;
/// Bytes of a body's custom sections. `seal` leaves them out but for hints about branches.
pub const MAX_BODY_CUSTOM: u64 = 4 * 1024 * 1024;
/// Bytes of code in a body. A JavaScript engine with its program has 10 MB, CPython 7 MB.
pub const MAX_BODY_CODE: u64 = 24 * 1024 * 1024;
/// Functions of a body. A JavaScript engine has 12,700, or 20,000 as its debug build; CPython has 13,400. Each takes
/// 11 KiB of a compiler, however small, if it can be called from outside.
pub const MAX_BODY_FUNCTIONS: u64 = 50_000;
/// Bytes of one function. The largest of CPython has 427 KB, and of a JavaScript engine 172 KB.
pub const MAX_FUNCTION_BYTES: u64 = 1024 * 1024;
/// Local variables of one function, parameters included. The most in practice are some hundreds.
pub const MAX_FUNCTION_LOCALS: u64 = 20_000;
/// Targets of one branch table: what the engine compiles.
pub const MAX_BRANCH_TARGETS: u64 = 65_520;
/// Control structures inside each other in one function. A `switch` of an interpreter has one for each of its cases.
pub const MAX_FUNCTION_NESTING: u64 = 10_000;
/// Instructions of one function, each with the values that it takes and gives and with what the engine makes of it.
pub const MAX_FUNCTION_WORK: u64 = 2_000_000;
/// The same over all functions of a body.
pub const MAX_BODY_WORK: u64 = 80_000_000;
/// Values that are alive, local variables among them, at each branch of one function: what following them takes.
pub const MAX_FUNCTION_FLOW: u64 = 32_000_000;
/// The same over all functions of a body.
pub const MAX_BODY_FLOW: u64 = 300_000_000;
/// Signatures of core functions in a body that differ from each other. The engine compiles an entry for each.
pub const MAX_BODY_SIGNATURES: u64 = 5_000;
/// Parameters and results of those signatures.
pub const MAX_BODY_SIGNATURE_VALUES: u64 = 100_000;
/// Core modules of a body. CPython with its libraries has 14.
pub const MAX_BODY_MODULES: u64 = 256;
/// Components inside a body's component, at every depth.
pub const MAX_BODY_COMPONENTS: u64 = 256;
/// Modules and components inside each other. Composing nests them two or three deep.
pub const MAX_BODY_NESTING: u64 = 16;
/// Imports and exports of core modules. CPython with its libraries has 6,400.
pub const MAX_BODY_LINKS: u64 = 100_000;
/// Globals, tables, memories and tags of core modules. CPython with its libraries has 900.
pub const MAX_BODY_VARIABLES: u64 = 20_000;
/// Tables of one core module: what the engine compiles.
pub const MAX_MODULE_TABLES: u64 = 100;
/// Core instances and instances of components that a body writes down, bundles of exports among them. The engine
/// compiles 1,000 for each component, imported ones included; CPython with its libraries has 65.
pub const MAX_BODY_INSTANCES: u64 = 500;
/// Elements of the tables of core modules, as they are initialised. A JavaScript engine has 7,700.
pub const MAX_BODY_ELEMENTS: u64 = 200_000;
/// Segments of data and elements. Tools that initialise a program ahead of time write 10,000.
pub const MAX_BODY_SEGMENTS: u64 = 50_000;
/// Types of components and instances, declarations inside them included. All of WASI and a large world have 2,000.
pub const MAX_BODY_TYPES: u64 = 10_000;
/// Fields, cases, flags and parameters of those types.
pub const MAX_BODY_TYPE_MEMBERS: u64 = 50_000;
/// Aliases, instances with their arguments, imports, exports and canonical functions of a body's components. CPython
/// with its libraries has 4,000.
pub const MAX_BODY_WIRING: u64 = 50_000;
/// What becomes of that wiring when every nested component is instantiated as often as the body says, and every type is
/// written out wherever it is used: what an engine goes through to link the body.
pub const MAX_BODY_LINKING: u64 = 2_000_000;
/// Linear memory of a resource in bytes, over all of its instances, that a host gives by default: a guest in C or Rust
/// needs a few MiB, one with a JavaScript engine about 100. What needs more from the start is not sold.
pub const HOST_MEMORY: u64 = 256 * 1024 * 1024;
/// Elements of one table that a host gives by default: indirect calls of a large program take some 10,000.
pub const HOST_TABLE_ELEMENTS: u64 = 100_000;
/// Core instances that a host makes of one body by default: adapters and shims of a JavaScript component take about 20.
pub const HOST_INSTANCES: u32 = 128;
/// Tables that a host gives by default: about two per instance.
pub const HOST_TABLES: u32 = 256;
/// Linear memories that a host gives by default: one per instance that has its own.
pub const HOST_MEMORIES: u32 = 32;
/// Seconds that one call may run on a host by default.
pub const HOST_RUN_MAX: u32 = 300;
/// Bytes of the results of one call that a host takes by default.
pub const HOST_RESULT: u64 = 64 * 1024 * 1024;
/// Bytes of standard output that a host takes of one command by default.
pub const HOST_OUTPUT: u64 = 256 * 1024 * 1024;
/// The payload of a part's age file: sections of a component hold less than 4 GiB, header included.
pub const MAX_PART: u64 = u32::MAX as u64 - 64 * 1024;
/// Bytes of age payload that one block digest covers.
pub const BLOCK: u64 = 1024 * 1024;
/// A money amount, in minor units, either sign: far above any price and far below overflow when summed.
pub const MAX_MINOR_UNITS: i64 = 1_000_000_000_000;
/// Currencies in which an account may have a prepaid balance: their list is one signed answer, and few people pay in
/// more.
pub const MAX_BALANCES: usize = 16;
/// Vouches of a publisher. Stores take and terminals follow so many; a publisher changes its key every few years.
pub const MAX_VOUCHES: usize = 64;
/// Names of publishers that one account claims at a store: a person, and a house with several brands. Names are taken
/// from everybody else for good.
pub const MAX_PUBLISHERS: u64 = 32;
/// Names of merchants that one account claims at a store, approved or not.
pub const MAX_MERCHANTS: u64 = 32;
/// Resources that one account publishes at a store, each under a name of its own, on sale or not: a large
/// catalogue.
pub const MAX_RESOURCES: u64 = 5_000;
/// Versions that a store takes of a resource: every entry of its catalogue lists them. One a day for years. An
/// [adoption](crate::Adoption) of as many fits into a document of [`MAX_DOCUMENT`] bytes, and into a request.
pub const MAX_VERSIONS: usize = 1_000;
/// Versions of a resource of which its entry in the catalogue says what opens their parts, the newest first: enough to
/// choose by, and an entry stays some hundred KB whatever a publisher does.
pub const MAX_OPENINGS: usize = 32;
/// The text of a version, in bytes. It stands in the catalogue, in every grant, and in the records of terminals.
pub const MAX_VERSION: usize = 128;
/// Offers of a resource, signed, in bytes: a refusal may carry all of them, and is a document of at most
/// [`MAX_DOCUMENT`] bytes when base64url has made four of three.
pub const MAX_PRICE_LIST: usize = 46 * 1024;
/// How long a billing status code lives, in seconds.
pub const STATUS_CODE_LIFE: u64 = 30;
/// How long after it was issued a grant that was paid for and never acknowledged can be issued once more, in seconds:
/// 30 days, so that whoever lost an answer on a journey or with a broken machine comes back in time.
pub const REISSUE_LIFE: u64 = 30 * 24 * 3600;
/// How long a key document may be valid, in seconds: 7 days.
pub const MAX_KEY_DOCUMENT_LIFE: u64 = 7 * 24 * 3600;
/// The window of a server nonce, in seconds. A nonce of this window or the one before is accepted.
pub const SERVER_NONCE_WINDOW: u64 = 60;
/// How far the `iat` of a proof may lie from the server's clock, in seconds. The server nonce is what bounds its age;
/// this only catches a terminal whose clock is far off.
pub const PROOF_SKEW: u64 = 24 * 3600;
/// The data of one event, as JSON: identifiers and a sealed code, not a document.
pub const MAX_EVENT_DATA: usize = 4 * 1024;
/// Signed events in one answer, in bytes: the answer is signed again, and a document of at most [`MAX_DOCUMENT`] bytes.
pub const MAX_EVENTS_ANSWER: usize = 40 * 1024;
/// Events in one answer.
pub const MAX_EVENTS: u32 = 100;
/// Seconds between two documents of a stream of events, at most: shorter than what proxies wait for.
pub const EVENT_HEARTBEAT: u64 = 15;
/// The body of a JSON request to the server.
pub const MAX_REQUEST_BODY: usize = 64 * 1024;
/// The header of an age file. A stanza of ours takes 97 bytes; the rest is room for those of other recipient types.
pub const MAX_AGE_HEADER: usize = 8 * 1024;
/// Recipients of an age file. Each costs whoever opens it one key agreement.
pub const MAX_AGE_RECIPIENTS: usize = 20;
/// Bills on one page: what a resource reads at once. A household has some tens a month.
pub const MAX_BILLS_PAGE: usize = 100;
/// A text in a bill record, in bytes: a domain name has up to 253.
pub const MAX_BILL_TEXT: usize = 256;
/// Doubts of one bill: there are below twenty kinds.
pub const MAX_BILL_REMARKS: usize = 32;
/// Mailboxes that a mail program names.
pub const MAX_MAILBOXES: usize = 100;
/// One line between a terminal and a mail program, in bytes: a page whose every text is as long as it may be, in
/// escapes, is above that; a real one has 40 KiB.
pub const MAX_BILLS_LINE: u64 = 1024 * 1024;
/// The address of a webhook.
pub const MAX_WEBHOOK_URL: usize = 512;
/// Codes of one order. A person buys a handful; who needs more places several orders.
pub const MAX_CODES: u32 = 100;
/// One electronic code, in bytes: licence files are kilobytes and are not codes.
pub const MAX_CODE_TEXT: usize = 512;
/// The codes of one order as they are sealed, in bytes. A hundred codes of 150 bytes fit.
pub const MAX_CODES_TEXT: usize = 16 * 1024;
/// How often the code of an order may be sealed: once for each terminal that is lost meanwhile, and more than anybody
/// loses.
pub const MAX_GENERATION: u32 = 16;
/// The least time that a product may give its merchant, in seconds: a webhook and two requests.
pub const MIN_DEADLINE: u32 = 10;
/// The longest time that a product may give its merchant, in seconds. A buyer waits, and his money is bound.
pub const MAX_DEADLINE: u32 = 24 * 3600;
/// How long a payment request may be open, in seconds.
pub const MAX_REQUEST_LIFE: u64 = 24 * 3600;
/// Products of a merchant: their list is one public answer.
pub const MAX_PRODUCTS: usize = 1_000;
/// The longest time that rights run for, and for which codes can be redeemed, in seconds: ten years. What is longer is
/// meant to be for good.
pub const LONGEST_TERM: u32 = 10 * 365 * 24 * 3600;
/// The longest address of a payment's next step, in bytes: twenty of them are one signed answer.
pub const MAX_STEP_URL: usize = 1_500;
/// Codes that are made in one batch: their list is one signed answer.
pub const MAX_BATCH: u32 = 1_000;
