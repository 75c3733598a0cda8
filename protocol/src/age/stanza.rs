//! One recipient's part of an age header.

use super::error::{AgeError, HeaderDefect};
use super::lines::Lines;
use base64ct::{Base64Unpadded, Encoding};

/// What begins a stanza.
pub(super) const STANZA_MARK: &[u8] = b"-> ";
/// Characters in a full line of a stanza's body.
const COLUMNS: usize = 64;
const X25519: &str = "X25519";
const SCRYPT: &str = "scrypt";

/// A file key wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stanza {
    X25519(X25519Stanza),
    /// Of a type unknown here, which age wants ignored and kept.
    Other {
        arguments: Vec<String>,
        body: Vec<u8>,
    },
}

/// A file key wrapped for an X25519 recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct X25519Stanza {
    pub(super) share: [u8; 32],
    pub(super) wrapped: [u8; Self::WRAPPED_LEN],
}

impl X25519Stanza {
    /// A file key and its tag.
    pub(super) const WRAPPED_LEN: usize = 32;
}

impl Stanza {
    /// Reads the stanza whose first line, after the mark, is `arguments`.
    pub(super) fn parse(arguments: &[u8], lines: &mut Lines<'_>) -> Result<Self, AgeError> {
        let first = lines.number();
        let arguments = parse_arguments(arguments).ok_or_else(|| lines.malformed(HeaderDefect::Argument))?;
        let body = parse_body(lines)?;
        match arguments.as_slice() {
            [kind, rest @ ..] if kind == X25519 => match (rest, <[u8; X25519Stanza::WRAPPED_LEN]>::try_from(body)) {
                ([share], Ok(wrapped)) => {
                    decode_32(share.as_bytes()).map(|share| Self::X25519(X25519Stanza { share, wrapped }))
                }
                _ => None,
            }
            .ok_or(AgeError::MalformedHeader { line: first, defect: HeaderDefect::X25519 }),
            [kind, ..] if kind == SCRYPT => Err(AgeError::Passphrase),
            _ => Ok(Self::Other { arguments, body }),
        }
    }

    /// Appends the one encoding that [`Stanza::parse`] accepts.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(STANZA_MARK);
        match self {
            Self::X25519(stanza) => {
                to.extend_from_slice(X25519.as_bytes());
                to.push(b' ');
                to.extend_from_slice(Base64Unpadded::encode_string(&stanza.share).as_bytes());
                encode_body(&stanza.wrapped, to);
            }
            Self::Other { arguments, body } => {
                to.extend_from_slice(arguments.join(" ").as_bytes());
                encode_body(body, to);
            }
        }
    }
}

fn parse_arguments(line: &[u8]) -> Option<Vec<String>> {
    let visible = |argument: &[u8]| !argument.is_empty() && argument.iter().all(u8::is_ascii_graphic);
    line.split(|byte| *byte == b' ')
        .map(|argument| if visible(argument) { String::from_utf8(argument.to_vec()).ok() } else { None })
        .collect()
}

fn parse_body(lines: &mut Lines<'_>) -> Result<Vec<u8>, AgeError> {
    let mut body = Vec::new();
    loop {
        let line = lines.next()?;
        if line.len() > COLUMNS {
            return Err(lines.malformed(HeaderDefect::Wrapping));
        }
        body.extend(decode(line).ok_or_else(|| lines.malformed(HeaderDefect::Body))?);
        if line.len() < COLUMNS {
            return Ok(body);
        }
    }
}

fn encode_body(body: &[u8], to: &mut Vec<u8>) {
    to.push(b'\n');
    let text = Base64Unpadded::encode_string(body);
    let mut full = text.as_bytes().chunks_exact(COLUMNS);
    for line in &mut full {
        to.extend_from_slice(line);
        to.push(b'\n');
    }
    to.extend_from_slice(full.remainder());
    to.push(b'\n');
}

/// Base64 without padding, canonical only (RFC 4648 section 3.5).
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let bytes = Base64Unpadded::decode_vec(text).ok()?;
    (Base64Unpadded::encode_string(&bytes) == text).then_some(bytes)
}

/// Exactly 32 bytes of it.
pub(super) fn decode_32(text: &[u8]) -> Option<[u8; 32]> {
    decode(text)?.try_into().ok()
}
