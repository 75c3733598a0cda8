//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// Bytes of a mail that is read. Providers deliver 25 to 50 MB; a bill with its PDF has below 2 MB. Larger ones are
/// counted.
pub const MAX_MAIL: usize = 16 * 1024 * 1024;
/// Bytes of a mail's own header. Long chains of forwarding take 30 KB.
pub const MAX_HEADER: usize = 256 * 1024;
/// Lines of a mail. Each may become a header or a part of some hundred bytes in memory; 16 MiB of base64 have 220,000.
pub const MAX_LINES: usize = 300_000;
/// Lines that may begin or end a part. Each may become a part in memory.
pub const MAX_BOUNDARY_LINES: usize = 2_000;
/// Places where a boundary may stand, wherever in a line: two hyphens. Each may become a part in memory. Rules of
/// hyphens take 40 a line, comments of a page two each.
pub const MAX_BOUNDARIES: usize = 100_000;
/// How often a mail may speak of multiparts. For each the parser may look for its boundary through the whole mail.
pub const MAX_MULTIPARTS: usize = 64;
/// Bytes of a mail that has another one inside in base64 or quoted-printable, which RFC 2046 section 5.2.1 forbids:
/// what is in it is parsed without having been counted.
pub const MAX_ENCODED_MESSAGE: usize = 256 * 1024;
/// Lines inside parts' headers, estimated as lines with a colon near their beginning: each may become a header in
/// memory.
pub const MAX_HEADER_LINES: usize = 60_000;
/// Semicolons of a mail, which may separate parameters of a header. A newsletter with its styles has 5,000; base64 has
/// none.
pub const MAX_SEMICOLONS: usize = 200_000;
/// Parts of a mail. Bills have three to ten.
pub const MAX_PARTS: usize = 200;
/// DKIM signatures of a mail that are verified. Each costs a look-up and two hashes; mails have one to three.
pub const MAX_SIGNATURES: usize = 8;
/// Bytes of an XML attachment. The largest example of the published corpora has 200 KB.
pub const MAX_XML: usize = 4 * 1024 * 1024;
/// Nodes of an XML attachment, 100 bytes each in memory. An invoice with 1,000 lines has 60,000.
pub const MAX_XML_NODES: u32 = 200_000;
/// XML elements inside each other. UBL and CII use eleven levels.
pub const MAX_XML_DEPTH: usize = 64;
/// Bytes of a PDF that is read. A bill with its pictures has 2 MB.
pub const MAX_PDF: usize = 8 * 1024 * 1024;
/// PDFs of a mail that are read: a bill, its details, its terms. Each costs a process.
pub const MAX_PDFS: usize = 4;
/// XML files inside a PDF that are looked at. Factur-X has one.
pub const MAX_PDF_FILES: usize = 8;
/// Bytes that the reader of a PDF may answer: its text and its XML files, with JSON's escapes.
pub const MAX_PDF_ANSWER: u64 = 16 * 1024 * 1024;
/// How long the reader of a PDF may take. It may compute for five seconds; on a busy machine that takes longer.
pub const PDF_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a mail's text or HTML that is looked at. Advertising takes 100 KB.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Bytes of one JSON-LD block. Real ones have below 4 KB.
pub const MAX_JSON_LD: usize = 64 * 1024;
/// JSON-LD blocks of a mail that are looked at.
pub const MAX_JSON_LD_BLOCKS: usize = 16;
/// Elements inside each other in a page with microdata. Mails whose layout is made of tables have 40.
pub const MAX_MICRODATA_DEPTH: usize = 256;
/// Tables, rows and cells inside each other in a page. Each level takes three; layouts have ten levels.
pub const MAX_TABLE_DEPTH: usize = 96;
/// Bytes of HTML that are a property's value: a number, a day, a name.
pub const MAX_MICRODATA_TEXT: usize = 4 * 1024;
/// Properties and items in a page with microdata. An invoice has ten, an order with its parts a hundred.
pub const MAX_MICRODATA_VALUES: usize = 1_000;
/// Bytes of a label in a template: half a line.
pub const MAX_LABEL: usize = 80;
/// Labels of one kind in a template. A whole language has 80.
pub const MAX_LABELS: usize = 128;
/// Templates of one folder.
pub const MAX_TEMPLATES: usize = 2_000;
/// Bytes of a template file.
pub const MAX_TEMPLATE: usize = 16 * 1024;
/// Billers of one registry: what fits a signed document of 64 KiB.
pub const MAX_BILLERS: usize = 1_000;
/// Bytes of one line of IMAP or POP3, without literals. `FETCH` answers of ours take below 200, capabilities 500.
pub const MAX_PROTOCOL_LINE: usize = 64 * 1024;
/// Responses to one IMAP command beside one for each mail asked about: flags, capabilities, alerts.
pub const MAX_RESPONSES: usize = 4_096;
/// Mails of one mailbox. Ids of so many take 100 MB of memory.
pub const MAX_MAILBOX: usize = 1_000_000;
/// Bytes of a JMAP answer: 500 ids with sizes take 60 KB.
pub const MAX_JMAP_ANSWER: usize = 4 * 1024 * 1024;
/// Bytes that a token endpoint answers. Tokens of large providers have 2 KB.
pub const MAX_TOKEN_ANSWER: usize = 64 * 1024;
/// Mails that are asked about at once over JMAP: what RFC 8620 section 2 has every server take.
pub const JMAP_BATCH: usize = 500;
/// Bytes of a TXT answer. DKIM keys of RSA with 4,096 bits take 750.
pub const MAX_TXT: usize = 8 * 1024;
/// How long a server may take to accept a connection, its TLS hand-shake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take for the answers to what was sent at once, beside a second for each [`SLOWEST`] bytes.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Bytes a second that a server sends at least.
pub const SLOWEST: u64 = 8 * 1024;
/// How long one answer over HTTP may take: [`MAX_MAIL`] at 18 KiB a second.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Brackets that may be open in a line of IMAP. Answers of ours have four; the parser goes down into each.
pub const MAX_BRACKETS: usize = 32;
/// Bytes of the id of a mail (RFC 8620 section 1.2).
pub const MAX_ID: usize = 255;
/// How long a server may be silent. Large mailboxes take seconds to open.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the signatures of one mail may be examined, look-ups included: three rounds of [`LOOKUP_TIMEOUT`].
pub const EXAMINE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one mail may take in all: what [`MAX_PDFS`] documents and its signatures may take, and half a minute.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(120);
/// Runs in which a mail may fail to arrive, take too long or wait for a key, before it is passed over or judged
/// without.
pub const MAX_TRIES: u8 = 5;
/// How long one name may be looked up. Resolvers ask twice within it; a bill takes two or three rounds.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);
/// How often the state is written during a run: what is fetched once more after a crash. It is one file for all that
/// was found and all that is still to be read, and takes some milliseconds.
pub const CHECKPOINT: Duration = Duration::from_secs(5);
/// Mails that are asked for at once, so that the way to the server and back is taken once for all of them.
pub const BATCH_MAILS: usize = 64;
/// Bytes of mails that are asked for at once, as the server lists them; one mail may have more. While these are
/// examined, as many are on their way.
pub const BATCH_BYTES: u64 = 2 * 1024 * 1024;
/// Mails that are examined at once: as many as small machines have processors. Each may start the reader of PDFs, which
/// may take half a GiB.
pub const EXAMINED_AT_ONCE: usize = 2;
/// Downloads that are on their way at once over JMAP: RFC 8620 section 2 has servers take four requests at least.
pub const JMAP_DOWNLOADS: usize = 4;
/// Records on a page.
pub const MAX_PAGE: usize = 100;
/// Bytes of a sealed record: a ledger of 100,000 bills takes 40 MB, one with [`MAX_MAILBOX`] mails of the longest ids
/// that are still to be read 350 MB.
pub const MAX_SEALED: u64 = 512 * 1024 * 1024;
