//! The header of an age file: the file key, wrapped for each recipient, under a MAC.

use super::error::{AgeError, HeaderDefect, ReadError};
use super::file_key::FileKey;
use super::lines::Lines;
use super::stanza::{STANZA_MARK, Stanza, decode_32};
use super::x25519::{Identity, Recipient};
use crate::limits::{MAX_AGE_HEADER, MAX_AGE_RECIPIENTS};
use base64ct::{Base64Unpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::io::{BufRead, Read};

const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
const MAC_MARK: &[u8] = b"---";
const MAC_INFO: &[u8] = b"header";

/// A well-formed age v1 header. What it says is authentic only for who holds the file key:
/// [`Header::unwrap_file_key`] and [`Header::verify_mac`] check that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    stanzas: Vec<Stanza>,
    mac: [u8; 32],
}

impl Header {
    /// Wraps a new file's key for each recipient.
    ///
    /// # Errors
    /// [`AgeError::NoRecipients`], [`AgeError::TooManyRecipients`].
    pub fn wrap(file_key: &FileKey, recipients: &[Recipient], rng: &mut impl CryptoRng) -> Result<Self, AgeError> {
        Self::authenticate(Vec::new(), file_key, recipients, rng)
    }

    /// The same header with further recipients. The payload stays as it is.
    ///
    /// # Errors
    /// [`AgeError::HeaderMac`] if the key is not this header's; [`AgeError::TooManyRecipients`] and
    /// [`AgeError::HeaderTooLong`] if the result would pass the limits.
    pub fn with_recipients(
        &self,
        file_key: &FileKey,
        recipients: &[Recipient],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, AgeError> {
        self.verify_mac(file_key)?;
        Self::authenticate(self.stanzas.clone(), file_key, recipients, rng)
    }

    fn authenticate(
        mut stanzas: Vec<Stanza>,
        file_key: &FileKey,
        recipients: &[Recipient],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, AgeError> {
        match stanzas.len().saturating_add(recipients.len()) {
            0 => return Err(AgeError::NoRecipients),
            1..=MAX_AGE_RECIPIENTS => {}
            _ => return Err(AgeError::TooManyRecipients),
        }
        for recipient in recipients {
            stanzas.push(Stanza::X25519(recipient.wrap(file_key, rng)?));
        }
        let mac = mac(file_key, &stanzas).finalize().into_bytes().into();
        let header = Self { stanzas, mac };
        if header.to_bytes().len() > MAX_AGE_HEADER { Err(AgeError::HeaderTooLong) } else { Ok(header) }
    }

    /// Reads the header at the beginning of `bytes`, and says how many of them it takes. More may follow.
    ///
    /// # Errors
    /// [`AgeError`] of the kinds that speak of the header.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), AgeError> {
        if !bytes.starts_with(VERSION_LINE) {
            return Err(if VERSION_LINE.starts_with(bytes) { AgeError::HeaderTruncated } else { AgeError::NotAge });
        }
        let mut lines = Lines::new(bytes);
        lines.next()?;
        let mut stanzas = Vec::new();
        loop {
            let line = lines.next()?;
            if let Some(arguments) = line.strip_prefix(STANZA_MARK) {
                if stanzas.len() == MAX_AGE_RECIPIENTS {
                    return Err(AgeError::TooManyRecipients);
                }
                stanzas.push(Stanza::parse(arguments, &mut lines)?);
            } else if let Some(rest) = line.strip_prefix(MAC_MARK).filter(|_| !stanzas.is_empty()) {
                let mac = rest.strip_prefix(b" ").and_then(decode_32);
                let mac = mac.ok_or_else(|| lines.malformed(HeaderDefect::Mac))?;
                return Ok((Self { stanzas, mac }, lines.consumed()));
            } else {
                return Err(lines.malformed(HeaderDefect::Mark));
            }
        }
    }

    /// Reads a header and leaves the reader at the payload. Takes at most
    /// [`MAX_AGE_HEADER`] bytes.
    ///
    /// # Errors
    /// [`ReadError::Io`] from the reader, [`ReadError::Age`] as [`Header::parse`].
    pub fn read(reader: &mut impl BufRead) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        let mut limited = reader.take(MAX_AGE_HEADER as u64);
        loop {
            let start = bytes.len();
            let ended = limited.read_until(b'\n', &mut bytes)? == 0 || bytes.last() != Some(&b'\n');
            if ended || bytes[start..].starts_with(MAC_MARK) {
                return Ok(Self::parse(&bytes)?.0);
            }
        }
    }

    /// The one encoding of this header: parsing and encoding again gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = authenticated(&self.stanzas);
        bytes.push(b' ');
        bytes.extend_from_slice(Base64Unpadded::encode_string(&self.mac).as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// Stanzas in the header, unknown ones included.
    #[must_use]
    pub fn recipient_count(&self) -> usize {
        self.stanzas.len()
    }

    /// Whether every stanza is an X25519 one.
    #[must_use]
    pub fn is_x25519_only(&self) -> bool {
        self.stanzas.iter().all(|stanza| matches!(stanza, Stanza::X25519(_)))
    }

    /// Checks what can be checked without any key beyond the form: that no share is a low-order point, which no
    /// identity accepts. Whether the header belongs to its payload, only its MAC says: [`Header::verify_mac`].
    ///
    /// # Errors
    /// [`AgeError::LowOrderPoint`].
    pub fn check_shares(&self) -> Result<(), AgeError> {
        for stanza in &self.stanzas {
            if let Stanza::X25519(stanza) = stanza {
                Recipient::from_bytes(stanza.share)?;
            }
        }
        Ok(())
    }

    /// The file key, from the first stanza that one of the identities opens. The MAC is checked with it.
    ///
    /// # Errors
    /// [`AgeError::NoMatch`] if no identity fits, [`AgeError::LowOrderPoint`] if a share is one,
    /// [`AgeError::HeaderMac`] if the header was changed.
    pub fn unwrap_file_key<'a>(
        &self,
        identities: impl IntoIterator<Item = &'a Identity> + Clone,
    ) -> Result<FileKey, AgeError> {
        for stanza in &self.stanzas {
            let Stanza::X25519(stanza) = stanza else {
                continue;
            };
            for identity in identities.clone() {
                if let Some(file_key) = identity.unwrap(stanza)? {
                    self.verify_mac(&file_key)?;
                    return Ok(file_key);
                }
            }
        }
        Err(AgeError::NoMatch)
    }

    /// Checks, in constant time, that this header belongs to the file key. A key that came beside the file, as in a
    /// key release, is used only after this.
    ///
    /// # Errors
    /// [`AgeError::HeaderMac`].
    pub fn verify_mac(&self, file_key: &FileKey) -> Result<(), AgeError> {
        mac(file_key, &self.stanzas).verify_slice(&self.mac).map_err(|_| AgeError::HeaderMac)
    }
}

/// The part of the header that the MAC covers: up to and with `---`.
fn authenticated(stanzas: &[Stanza]) -> Vec<u8> {
    let mut bytes = VERSION_LINE.to_vec();
    stanzas.iter().for_each(|stanza| stanza.encode(&mut bytes));
    bytes.extend_from_slice(MAC_MARK);
    bytes
}

fn mac(file_key: &FileKey, stanzas: &[Stanza]) -> Hmac<Sha256> {
    let key = file_key.derive(b"", MAC_INFO);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
    mac.update(&authenticated(stanzas));
    mac
}
