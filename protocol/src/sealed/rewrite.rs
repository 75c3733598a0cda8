//! The two changes that leave a resource's digest alone: another signature, another recipient.

use super::error::{Defect, SealedError};
use super::open::Sealed;
use super::read_at::ReadAt;
use super::section::{BLOCKS, MANIFEST, PART, custom_head};
use crate::age::{FileKey, Header, Recipient};
use crate::documents::{ManifestError, SignedManifest};
use crate::ids::{Origin, PartName};
use crate::keys::SecretKey;
use crate::limits::MAX_MANIFEST;
use rand_core::CryptoRng;
use std::io::Write;

/// Writes the resource with a store's countersignature added, or renewed where it had one of this store. Only the
/// manifest's section changes. Each block is checked as it is copied.
///
/// # Errors
/// [`SealedError::Manifest`] if there are too many signatures, [`SealedError::Block`] if the file is damaged,
/// [`SealedError::Io`].
pub fn countersign<R: ReadAt>(
    sealed: &Sealed<R>,
    iss: Origin,
    key: &SecretKey,
    now: u64,
    out: &mut impl Write,
) -> Result<SignedManifest, SealedError> {
    let mut signed = sealed.signed().clone();
    signed.countersign(iss, key, now)?;
    let headers: Vec<Header> = headers(sealed).collect();
    write(sealed, &signed, &headers, out)?;
    Ok(signed)
}

/// Writes the resource with further recipients of every part. Only the age headers change. `key_of` gives the file key
/// of a part, as [`Sealed::unwrap_key`] does.
///
/// # Errors
/// Those of `key_of`; [`SealedError::Age`] if a key is not its part's or there are too many recipients;
/// [`SealedError::Block`] if the file is damaged, [`SealedError::Io`].
pub fn reheader<R: ReadAt>(
    sealed: &Sealed<R>,
    recipients: &[Recipient],
    mut key_of: impl FnMut(&PartName) -> Result<FileKey, SealedError>,
    rng: &mut impl CryptoRng,
    out: &mut impl Write,
) -> Result<(), SealedError> {
    let mut changed = Vec::new();
    for (entry, header) in sealed.manifest().parts.iter().zip(headers(sealed)) {
        let key = key_of(&entry.name)?;
        let header = header.with_recipients(&key, recipients, rng);
        changed.push(header.map_err(|error| SealedError::Age { part: entry.name.clone(), error })?);
    }
    write(sealed, sealed.signed(), &changed, out)
}

fn headers<R>(sealed: &Sealed<R>) -> impl Iterator<Item = Header> {
    (0..sealed.manifest().parts.len()).map(|part| sealed.place(part).header.clone())
}

fn write<R: ReadAt>(
    sealed: &Sealed<R>,
    signed: &SignedManifest,
    headers: &[Header],
    out: &mut impl Write,
) -> Result<(), SealedError> {
    let manifest = signed.to_bytes();
    if manifest.len() > MAX_MANIFEST {
        return Err(ManifestError::TooLong.into());
    }
    out.write_all(sealed.stub())?;
    out.write_all(&head(MANIFEST, manifest.len() as u64)?)?;
    out.write_all(&manifest)?;
    for (part, (entry, header)) in sealed.manifest().parts.iter().zip(headers).enumerate() {
        let place = sealed.place(part);
        out.write_all(&head(&format!("{BLOCKS}{}", entry.name), 32 * place.blocks.len() as u64)?)?;
        out.write_all(place.blocks.as_flattened())?;
        let header = header.to_bytes();
        out.write_all(&head(&format!("{PART}{}", entry.name), header.len() as u64 + place.payload_len)?)?;
        out.write_all(&header)?;
        sealed.copy_payload(part, out)?;
    }
    out.flush()?;
    Ok(())
}

fn head(name: &str, len: u64) -> Result<Vec<u8>, SealedError> {
    custom_head(name, len).ok_or(SealedError::Structure { offset: 0, defect: Defect::LengthTooLarge })
}
