//! A mail as it is looked at: bounded before it is parsed.

use crate::account::Address;
use crate::extract::html::{self, View};
use crate::limits::{
    MAX_BOUNDARIES, MAX_BOUNDARY_LINES, MAX_ENCODED_MESSAGE, MAX_HEADER, MAX_HEADER_LINES, MAX_LINES, MAX_MAIL,
    MAX_MULTIPARTS, MAX_PARTS, MAX_SEMICOLONS, MAX_TEXT,
};
use mail_parser::parsers::MessageStream;
use mail_parser::{HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};
use std::borrow::Cow;
use std::ops::Range;

/// Why a mail is not looked at. It is counted, and shown as nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Larger than any bill.
    #[error("larger than a mail that is read may be")]
    TooLong,
    /// So many lines, headers or parts that parsing it would take too much memory.
    #[error("made of more lines, headers or parts than a mail that is read may have")]
    TooManyPieces,
    /// No header, or nothing that is one.
    #[error("not a mail")]
    NotMail,
    /// The server did not hand it out.
    #[error("the mail server cannot hand it out")]
    NotSent,
    /// Took too long, or made a parser fail.
    #[error("could not be examined")]
    Failed,
}

/// A file in a mail.
pub(crate) struct Attachment<'m> {
    /// Type and subtype in lower case.
    pub(crate) media_type: String,
    /// In lower case; empty if it has none.
    pub(crate) name: String,
    pub(crate) bytes: &'m [u8],
}

impl Attachment<'_> {
    pub(crate) fn is_pdf(&self) -> bool {
        self.media_type == "application/pdf" || self.name.ends_with(".pdf")
    }
}

/// A parsed mail.
pub struct Mail<'r> {
    raw: &'r [u8],
    message: Message<'r>,
}

impl<'r> Mail<'r> {
    /// Counts what parsing will cost, then parses.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(raw: &'r [u8]) -> Result<Self, Unreadable> {
        weigh(raw)?;
        // Only what is read is parsed into structures; a list of a million recipients stays text.
        let parser = MessageParser::new()
            .header_content_type(HeaderName::ContentType)
            .header_content_type(HeaderName::ContentDisposition)
            .header_text(HeaderName::ContentTransferEncoding)
            .header_text(HeaderName::Subject)
            .default_header_raw();
        let message = parser.parse(raw).ok_or(Unreadable::NotMail)?;
        if message.parts.len() > MAX_PARTS {
            return Err(Unreadable::TooManyPieces);
        }
        if message.root_part().headers.is_empty() {
            return Err(Unreadable::NotMail);
        }
        Ok(Self { raw, message })
    }

    /// The bytes as they arrived.
    #[must_use]
    pub const fn raw(&self) -> &'r [u8] {
        self.raw
    }

    /// The one sender. `None` if there is none, more than one, or one that is no address.
    #[must_use]
    pub fn sender(&self) -> Option<Address> {
        let mut senders = self.addresses(&HeaderName::From)?;
        if senders.len() == 1 { senders.pop() } else { None }
    }

    /// The addresses in `To`.
    #[must_use]
    pub fn recipients(&self) -> Vec<Address> {
        self.addresses(&HeaderName::To).unwrap_or_default()
    }

    /// The subject; empty if there is none.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.subject().unwrap_or_default()
    }

    /// How often a header occurs.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.message.root_part().headers.iter().filter(|header| header.name().eq_ignore_ascii_case(name)).count()
    }

    /// The mail itself, then its parts, without those of mails inside it.
    pub(crate) fn parts(&self) -> &[MessagePart<'r>] {
        &self.message.parts
    }

    /// The name that a part goes by as a file. The mail itself is none: how it says that it is to be shown is signed by
    /// nobody.
    fn file_name(&self, at: usize) -> Option<&str> {
        let part = self.message.parts.get(at)?;
        match at {
            0 => part.content_type().and_then(|of| of.attribute("name")),
            _ => part.attachment_name(),
        }
    }

    /// What a person reads, each text and page at most [`MAX_TEXT`] bytes.
    pub(crate) fn views(&self) -> Vec<View> {
        let mut views = Vec::new();
        for (at, part) in self.message.parts.iter().enumerate() {
            if at > 0 && self.file_name(at).is_some() {
                continue;
            }
            match &part.body {
                PartType::Text(text) if !text.trim().is_empty() => {
                    views.push(View { shown: clipped(text).to_owned(), ..View::default() });
                }
                PartType::Html(html) => views.push(html::view(clipped(html))),
                _ => {}
            }
        }
        views
    }

    /// A header as it arrived, folded and encoded; as often as it occurs.
    pub(crate) fn raw_headers<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'r [u8]> + 'm {
        let named = self.message.root_part().headers.iter().filter(|header| header.name().eq_ignore_ascii_case(name));
        named.filter_map(|header| self.raw.get(header.offset_start as usize..header.offset_end as usize))
    }

    /// Everything behind its header.
    pub(crate) fn body(&self) -> &'r [u8] {
        self.raw.get(self.message.root_part().offset_body as usize..).unwrap_or_default()
    }

    /// The HTML parts, each at most [`MAX_TEXT`] bytes.
    pub(crate) fn html(&self) -> impl Iterator<Item = &str> {
        self.message.parts.iter().filter_map(|part| match &part.body {
            PartType::Html(html) => Some(clipped(html)),
            _ => None,
        })
    }

    /// Everything that is not a multipart.
    pub(crate) fn files(&self) -> impl Iterator<Item = Attachment<'_>> {
        self.message.parts.iter().enumerate().filter_map(|(at, part)| {
            let bytes: &[u8] = match &part.body {
                PartType::Text(text) | PartType::Html(text) => text.as_bytes(),
                PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes,
                _ => return None,
            };
            let media_type = part.content_type().map_or(Cow::Borrowed(""), |of| {
                Cow::Owned(format!("{}/{}", of.ctype(), of.subtype().unwrap_or_default()).to_ascii_lowercase())
            });
            let name = self.file_name(at).unwrap_or_default().to_lowercase();
            Some(Attachment { media_type: media_type.into_owned(), name, bytes })
        })
    }

    /// Whether a document comes with it.
    pub(crate) fn has_pdf(&self) -> bool {
        self.files().any(|file| file.is_pdf())
    }

    fn addresses(&self, name: &HeaderName<'_>) -> Option<Vec<Address>> {
        let mut all = Vec::new();
        for header in self.message.root_part().headers.iter().filter(|header| header.name == *name) {
            // Parsed here and not with the mail: a part may list a million of them.
            let value = self.raw.get(header.offset_start as usize..header.offset_end as usize)?;
            let found = addresses(value)?;
            // Where a line is folded is signed by nobody.
            if addresses(&unfolded(value))? != found {
                return None;
            }
            all.extend(found);
        }
        Some(all)
    }
}

fn addresses(value: &[u8]) -> Option<Vec<Address>> {
    let HeaderValue::Address(list) = MessageStream::new(value).parse_address() else { return None };
    list.iter().map(|one| one.address.as_deref()?.parse().ok()).collect()
}

/// A header's value on one line.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii_end().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    value.chain(*b"\r\n").collect()
}

/// A mail that some server keeps with LF alone at the ends of its lines, with CRLF, as it was signed (RFC 6376 section
/// 5.3).
pub(crate) fn with_crlf(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\r') || raw.len() > MAX_MAIL {
        return Cow::Borrowed(raw);
    }
    let mut converted = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        converted.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        if line.ends_with(b"\n") {
            converted.extend_from_slice(b"\r\n");
        }
    }
    Cow::Owned(converted)
}

fn clipped(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// What a parser would make of the bytes, counted in one pass: every header and every part in memory begins with a
/// line.
fn weigh(raw: &[u8]) -> Result<(), Unreadable> {
    if raw.len() > MAX_MAIL {
        return Err(Unreadable::TooLong);
    }
    let (mut lines, mut boundaries, mut headers) = (0_usize, 0_usize, 0_usize);
    let semicolons = raw.iter().filter(|byte| **byte == b';').count();
    let mut header_end = None;
    for line in lines_of(raw) {
        let text = raw.get(line.clone()).unwrap_or_default();
        lines += 1;
        boundaries += usize::from(text.starts_with(b"--"));
        headers += usize::from(text.iter().take(80).any(|byte| *byte == b':'));
        if header_end.is_none() && (text.is_empty() || text == b"\r") {
            header_end = Some(line.end);
        }
    }
    let long_header = header_end.unwrap_or(raw.len()) > MAX_HEADER;
    if semicolons > MAX_SEMICOLONS
        || long_header
        || lines > MAX_LINES
        || boundaries > MAX_BOUNDARY_LINES
        || headers > MAX_HEADER_LINES
        || occurrences(raw, b"--") > MAX_BOUNDARIES
        || occurrences(raw, b"multipart") > MAX_MULTIPARTS
        || (raw.len() > MAX_ENCODED_MESSAGE && has_encoded_message(raw))
    {
        Err(Unreadable::TooManyPieces)
    } else {
        Ok(())
    }
}

/// How often a word stands in bytes, in any case. It begins with a letter or a sign.
fn occurrences(bytes: &[u8], word: &[u8]) -> usize {
    let Some(first) = word.first() else { return 0 };
    let begins = |byte: &u8| byte.eq_ignore_ascii_case(first);
    let (mut count, mut rest) = (0, bytes);
    while let Some(at) = rest.iter().position(begins) {
        let is_found = rest.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
        count += usize::from(is_found);
        rest = rest.get(at + if is_found { word.len() } else { 1 }..).unwrap_or_default();
    }
    count
}

/// Whether a header may say that its part is a mail, and that it is encoded.
fn has_encoded_message(raw: &[u8]) -> bool {
    let has = |header: &[u8], word: &[u8]| occurrences(header, word) > 0;
    // Parts of a digest are mails unless they say something else.
    let is_digest = has(raw, b"digest") && has(raw, b"multipart");
    let mut start = 0;
    let mut lines = lines_of(raw).peekable();
    while let Some(line) = lines.next() {
        let is_empty = matches!(raw.get(line.clone()), Some(b"" | b"\r"));
        if !is_empty && lines.peek().is_some() {
            continue;
        }
        let header = raw.get(start..line.end).unwrap_or_default();
        start = line.end;
        let is_encoded = has(header, b"base64") || has(header, b"quoted-printable");
        let is_message = || {
            let of_global = occurrences(header, b"message") > occurrences(header, b"message-id");
            has(header, b"rfc822") || (of_global && has(header, b"global"))
        };
        if is_encoded && (is_digest || is_message()) {
            return true;
        }
    }
    false
}

fn lines_of(raw: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = raw.get(at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = at..at + length;
        at += length + 1;
        Some(line)
    })
}
