//! How a section begins: its number, its length, and for a custom section its name.

use super::error::{Defect, SealedError};
use super::read_at::ReadAt;
use crate::limits::MAX_SECTION_NAME;

/// The first eight bytes of a component: magic, version 13, layer 1.
pub(crate) const PREAMBLE: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// What begins the name of every section of ours.
pub(super) const OURS: &str = "portcullis:";
pub(super) const MANIFEST: &str = "portcullis:manifest";
pub(super) const BLOCKS: &str = "portcullis:blocks/";
pub(super) const PART: &str = "portcullis:part/";
const CUSTOM: u8 = 0;
/// Number, length, length of the name.
const MAX_PREFIX: usize = 1 + 5 + 5;

/// A section: where its data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Where it begins.
    pub(super) start: u64,
    /// The name of a custom section.
    pub(super) name: Option<String>,
    /// Where its data begins, after the name.
    pub(super) data: u64,
    /// Bytes of data.
    pub(super) len: u64,
}

impl Section {
    /// Reads the head of the section at `start`. Never its data.
    pub(super) fn read(source: &(impl ReadAt + ?Sized), start: u64, file_len: u64) -> Result<Self, SealedError> {
        let fail = |defect| SealedError::Structure { offset: start, defect };
        let mut head = [0; MAX_PREFIX + MAX_SECTION_NAME];
        let there = usize::try_from(file_len.saturating_sub(start)).unwrap_or(usize::MAX).min(head.len());
        let head = &mut head[..there];
        source.read_exact_at(start, head)?;
        let (&id, rest) = head.split_first().ok_or_else(|| fail(Defect::CutShort))?;
        let (size, size_len) = leb(rest).map_err(fail)?;
        let content = start + 1 + size_len as u64;
        let end = content + u64::from(size);
        if end > file_len {
            return Err(fail(Defect::CutShort));
        }
        if id != CUSTOM {
            return Ok(Self { start, name: None, data: content, len: u64::from(size) });
        }
        // What belongs to the section, as far as it was read.
        let inside = &rest[size_len..];
        let inside = &inside[..inside.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        let (name_len, prefix) = leb(inside).map_err(fail)?;
        let name_len = usize::try_from(name_len).unwrap_or(usize::MAX);
        if name_len > MAX_SECTION_NAME {
            return Err(fail(Defect::NameTooLong));
        }
        let name = inside[prefix..].get(..name_len).ok_or_else(|| fail(Defect::CutShort))?;
        let name = std::str::from_utf8(name).map_err(|_| fail(Defect::NameNotText))?.to_owned();
        let data = content + (prefix + name_len) as u64;
        Ok(Self { start, name: Some(name), data, len: end - data })
    }

    /// Where the next section begins.
    pub(super) const fn end(&self) -> u64 {
        self.data + self.len
    }

    /// Whether it is one of ours by name.
    pub(super) fn is_ours(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.starts_with(OURS))
    }
}

/// The head of a custom section with this name and so many bytes of data. `None` where a section cannot hold them.
pub(super) fn custom_head(name: &str, data_len: u64) -> Option<Vec<u8>> {
    let name_len = u32::try_from(name.len()).ok()?;
    let mut inside = Vec::with_capacity(name.len() + 5);
    put_leb(name_len, &mut inside);
    inside.extend_from_slice(name.as_bytes());
    let size = u32::try_from(data_len.checked_add(inside.len() as u64)?).ok()?;
    let mut head = vec![CUSTOM];
    put_leb(size, &mut head);
    head.extend_from_slice(&inside);
    Some(head)
}

/// Appends the shortest LEB128 form of a number.
pub(crate) fn put_leb(mut number: u32, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Reads a number in its shortest LEB128 form, and says how many bytes that took.
pub(super) fn leb(bytes: &[u8]) -> Result<(u32, usize), Defect> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        let bits = u32::from(byte & 0x7f);
        if index == 4 && bits > 0x0f {
            return Err(Defect::LengthTooLarge);
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || *byte != 0;
            return if shortest { Ok((number, index + 1)) } else { Err(Defect::LengthOverlong) };
        }
    }
    Err(if bytes.len() < 5 { Defect::CutShort } else { Defect::LengthTooLarge })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_one_spelling() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, u32::MAX] {
            let mut bytes = Vec::new();
            put_leb(number, &mut bytes);
            assert_eq!(leb(&bytes), Ok((number, bytes.len())));
            if bytes.len() < 5 {
                let last = bytes.len() - 1;
                bytes[last] |= 0x80;
                bytes.push(0);
                assert_eq!(leb(&bytes), Err(Defect::LengthOverlong), "{number} with a superfluous byte");
            }
        }
        assert_eq!(leb(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Defect::LengthTooLarge));
        assert_eq!(leb(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(Defect::LengthTooLarge));
        assert_eq!(leb(&[0x80]), Err(Defect::CutShort));
    }
}
