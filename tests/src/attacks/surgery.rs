//! The cheater's knife: takes a sealed file apart section by section and puts it together otherwise.

use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::labels::TYP_MANIFEST;
use portcullis_protocol::{Manifest, SecretKey};
use std::ops::Range;

/// The section of the manifest.
pub(super) const MANIFEST: &str = "portcullis:manifest";

/// A sealed file in pieces: the stub, then the sections of ours by name.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    pub(super) stub: Vec<u8>,
    pub(super) sections: Vec<(String, Vec<u8>)>,
}

impl Pieces {
    /// Takes a file apart.
    pub(super) fn of(file: &[u8]) -> Result<Self> {
        let (mut at, mut stub, mut sections) = (8, None, Vec::new());
        while at < file.len() {
            let start = at;
            let id = file[at];
            let (size, after) = leb(file, at + 1)?;
            let end = after + size;
            ensure!(end <= file.len(), "a section is cut short");
            if id == 0 {
                let (name_len, name_at) = leb(file, after)?;
                let name = String::from_utf8_lossy(&file[name_at..name_at + name_len]).into_owned();
                if name.starts_with("portcullis:") {
                    stub.get_or_insert(start);
                    sections.push((name, file[name_at + name_len..end].to_vec()));
                }
            }
            at = end;
        }
        let stub = stub.context("not a sealed file")?;
        Ok(Self { stub: file[..stub].to_vec(), sections })
    }

    /// Puts it together.
    pub(super) fn file(&self) -> Vec<u8> {
        let sections = self.sections.iter().flat_map(|(name, data)| section(name, data));
        self.stub.iter().copied().chain(sections).collect()
    }

    /// The data of a section.
    pub(super) fn data(&mut self, name: &str) -> Result<&mut Vec<u8>> {
        let found = self.sections.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, data)| data).with_context(|| format!("no section {name}"))
    }

    /// Where a part's age payload lies in its section: behind the header.
    pub(super) fn payload(&mut self, part: &str) -> Result<(Range<usize>, &mut Vec<u8>)> {
        let data = self.data(&format!("portcullis:part/{part}"))?;
        // The header's last line is `--- ` and an HMAC.
        let mac = data.windows(5).position(|bytes| bytes == b"\n--- ").context("no age header")?;
        let line = data[mac + 1..].iter().position(|byte| *byte == b'\n').context("no end of the header")?;
        Ok((mac + 1 + line + 1..data.len(), data))
    }
}

/// A custom section in its one proper form.
pub(super) fn section(name: &str, data: &[u8]) -> Vec<u8> {
    section_with(name, data, shortest)
}

/// A custom section whose length is written by `spell`.
pub(super) fn section_with(name: &str, data: &[u8], spell: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut inside = shortest(name.len());
    inside.extend_from_slice(name.as_bytes());
    inside.extend_from_slice(data);
    let mut bytes = vec![0];
    bytes.extend(spell(inside.len()));
    bytes.extend(inside);
    bytes
}

/// LEB128 in its shortest form.
pub(super) fn shortest(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// LEB128 in five bytes, whatever the number.
pub(super) fn overlong(value: usize) -> Vec<u8> {
    (0..5).map(|index| ((value >> (7 * index)) & 0x7f) as u8 | if index < 4 { 0x80 } else { 0 }).collect()
}

fn leb(bytes: &[u8], mut at: usize) -> Result<(usize, usize)> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(at).context("a length is cut short")?;
        value |= usize::from(byte & 0x7f) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            return Ok((value, at));
        }
        shift += 7;
        ensure!(shift < 35, "a length is too long");
    }
}

/// A manifest signed by any key, whatever key it names: what the library's own signer refuses to make.
pub(super) fn sign_as(manifest: &Manifest, key: &SecretKey) -> Result<Vec<u8>> {
    let kid = manifest.publisher.jwk.thumbprint();
    let protected = base64url(format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{TYP_MANIFEST}"}}"#).as_bytes());
    let payload = base64url(&serde_json::to_vec(manifest)?);
    let signature = key.sign(format!("{protected}.{payload}").as_bytes());
    Ok(format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#)
        .into_bytes())
}
