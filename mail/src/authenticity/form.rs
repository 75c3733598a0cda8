//! The form that a mail has to have before a signature of it counts (RFC 5322 section 2).
//!
//! One library verifies the signature, another reads what the mail says. Where mail is malformed both are lenient, each
//! in its own way, and a signature leaves out white space, which each counts differently. In this form there is nothing
//! to be lenient about: CR and LF stand nowhere but together at the ends of lines, each line of a header begins with a
//! name or continues a text, no control character is in it, and one empty line ends it. Both have to have read just
//! that.

use crate::mail::Mail;
use mail_auth::AuthenticatedMessage;
use mail_parser::{Encoding, MessagePart};

/// Names and values of a header as they stand there, and its length with the empty line behind it.
struct Header<'r> {
    fields: Vec<(&'r [u8], &'r [u8])>,
    length: usize,
}

/// Whether the mail has the form, and both libraries read the same header and the same body.
pub(super) fn is_kept(mail: &Mail<'_>, message: &AuthenticatedMessage<'_>) -> bool {
    let raw = mail.raw();
    if !ends_lines_as_mail_does(raw) {
        return false;
    }
    let Some(header) = header(raw) else { return false };
    let is_verified_so = message.raw_parsed_headers() == header.fields && message.body_offset() == header.length;
    is_verified_so && mail.parts().iter().all(|part| is_read_so(raw, part) && has_whole_soft_breaks(raw, part))
}

/// CR and LF only together.
fn ends_lines_as_mail_does(raw: &[u8]) -> bool {
    let mut before = 0;
    let is_good = raw.iter().all(|byte| {
        let is_good = (before == b'\r') == (*byte == b'\n');
        before = *byte;
        is_good
    });
    is_good && before != b'\r'
}

fn header(raw: &[u8]) -> Option<Header<'_>> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = raw.get(at..)?;
        if rest.starts_with(b"\r\n") {
            return Some(Header { fields, length: at + 2 });
        }
        let colon = rest.iter().position(|byte| !is_of_name(*byte))?;
        if colon == 0 || rest.get(colon) != Some(&b':') {
            return None;
        }
        let mut end = colon + 1;
        loop {
            let line = rest.get(end..)?;
            let length = line.iter().position(|byte| *byte == b'\r')?;
            let text = line.get(..length)?;
            let is_blank = end > colon + 1 && text.trim_ascii().is_empty();
            if is_blank || text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                return None;
            }
            end += length + 2;
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        fields.push((rest.get(..colon)?, rest.get(colon + 1..end)?));
        at += end;
    }
}

/// `ftext` of RFC 5322 section 3.6.8.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b':'
}

/// Whether the part's header has the form, and is what was read as its header.
fn is_read_so(raw: &[u8], part: &MessagePart<'_>) -> bool {
    // What cannot be decoded as it says is read as something else.
    if part.is_encoding_problem {
        return false;
    }
    let (start, body) = (part.raw_header_offset() as usize, part.raw_body_offset() as usize);
    let Some(header) = raw.get(start..).and_then(header) else { return false };
    let read = part.headers.iter().map(|field| {
        let (name, value, end) = (field.offset_field as usize, field.offset_start as usize, field.offset_end as usize);
        raw.get(name..value.saturating_sub(1)).zip(raw.get(value..end))
    });
    start + header.length == body && read.eq(header.fields.into_iter().map(Some))
}

/// Whether no white space stands between the `=` that breaks a line of quoted-printable and the line's end. A signature
/// may leave it out, and then a number could be taken apart there.
fn has_whole_soft_breaks(raw: &[u8], part: &MessagePart<'_>) -> bool {
    if part.encoding != Encoding::QuotedPrintable {
        return true;
    }
    let body = raw.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize).unwrap_or_default();
    body.split(|byte| *byte == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let trimmed = line.trim_ascii_end();
        trimmed.len() == line.len() || !trimmed.ends_with(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_reading_or_none() {
        let read = |raw: &str| header(raw.as_bytes()).map(|header| (header.fields.len(), header.length));
        for (raw, fields) in [
            ("A: b\r\n\r\nbody", 1),
            ("A:\r\nB-c_1!: \u{fc}\t\r\n\tfolded\r\n  twice \r\n\r\n", 2),
            ("\r\nno header", 0),
            ("A:\r\n b\r\n\r\n", 1),
        ] {
            let length = raw.find("\r\n\r\n").map_or(2, |at| at + 4);
            assert_eq!(read(raw), Some((fields, length)), "{raw:?}");
        }
        let bad = [
            "",
            "A: b",
            "A: b\r\n",
            ": b\r\n\r\n",
            " A: b\r\n\r\n",
            "A : b\r\n\r\n",
            "A\r\n\r\n",
            "A: b\r\ngarbage\r\n\r\n",
            "A: b\r\n \r\n\r\n",
            "A: \x0c\r\n\r\n",
            "A: \0\r\n\r\n",
            "A: \x7f\r\n\r\n",
            "\u{fc}: b\r\n\r\n",
            "A: b\r\n\t",
        ];
        for raw in bad {
            assert_eq!(read(raw), None, "{raw:?}");
        }
        for (raw, is_good) in [("a\r\nb", true), ("", true), ("a\r", false), ("\n", false), ("\r\r\n", false)] {
            assert_eq!(ends_lines_as_mail_does(raw.as_bytes()), is_good, "{raw:?}");
        }
    }
}
