//! The age v1 file format (<https://age-encryption.org/v1>), with X25519 recipients: how each part of a resource is
//! encrypted.
//!
//! ```text
//! age-encryption.org/v1                 ┐
//! -> X25519 <ephemeral share>           │ header: the file key, wrapped for each recipient,
//! <file key under HKDF(shared secret)>  │ then an HMAC under the file key
//! --- <HMAC>                            ┘
//! nonce (16 bytes)                      ┐ payload: chunks of 64 KiB under HKDF(file key; nonce),
//! chunk 0 ‖ chunk 1 ‖ … ‖ last chunk    ┘ each numbered, the last one marked
//! ```
//!
//! The file is a standard one: any age tool opens it with the identity, and this module opens what any age tool
//! encrypted for an X25519 recipient. Passphrases, armour and plugins are not supported and are refused.
//!
//! Whole files: [`encrypt`], [`decrypt`]. Pieces: [`Header`] and [`PayloadWriter`] to write a stream,
//! [`PayloadReader`] to read it anywhere, [`PayloadLayout`] and [`ChunkCipher`] for callers that fetch the ciphertext
//! themselves.

mod aead;
mod cipher;
mod error;
mod file_key;
mod header;
mod layout;
mod lines;
mod reader;
mod stanza;
mod writer;
mod x25519;

pub use cipher::{ChunkCipher, PayloadNonce, open_payload, open_payload_with, seal_payload};
pub use error::{AgeError, HeaderDefect, ReadError};
pub use file_key::FileKey;
pub use header::Header;
pub use layout::{CHUNK_LEN, Chunk, NONCE_LEN, PayloadLayout, TAG_LEN, encrypted_len};
pub use reader::PayloadReader;
pub use writer::PayloadWriter;
pub use x25519::{Identity, Recipient};

use crate::plaintext::Plaintext;
use rand_core::CryptoRng;

/// Encrypts a whole plaintext into an age file under a fresh key.
///
/// # Errors
/// [`AgeError::NoRecipients`], [`AgeError::TooManyRecipients`].
pub fn encrypt(plain: &[u8], recipients: &[Recipient], rng: &mut impl CryptoRng) -> Result<Vec<u8>, AgeError> {
    let file_key = FileKey::generate(rng);
    let mut file = Header::wrap(&file_key, recipients, rng)?.to_bytes();
    file.extend_from_slice(&seal_payload(&file_key, &PayloadNonce::generate(rng), plain));
    Ok(file)
}

/// Decrypts a whole age file. Returns the plaintext only where all of it is authentic.
///
/// # Errors
/// Any [`AgeError`] that speaks of a file.
pub fn decrypt(file: &[u8], identity: &Identity) -> Result<Plaintext, AgeError> {
    let (header, header_len) = Header::parse(file)?;
    let file_key = header.unwrap_file_key([identity])?;
    open_payload(&file_key, &file[header_len..])
}
