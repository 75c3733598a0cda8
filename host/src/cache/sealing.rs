//! The form of a piece of compiled code on the disk: sealed, in chunks that several threads open at once.
//!
//! ```text
//! "PCCACHE1" ‖ length of the label (u32) ‖ label ‖ salt (32) ‖ chunk ‖ tag ‖ … ‖ last chunk ‖ tag
//!
//! label = what it is, sealed under the cache's secret alone, so that it can be listed
//! key   = HKDF-SHA-256(part file key ‖ the cache's secret; salt; label string, resource digest, engine, part name)
//! chunk = AES-256-GCM(key; nonce = index ‖ whether it is the last; associated data = everything before the salt)
//! ```
//!
//! Each blob has a salt and so a key of its own, and no nonce comes twice under it.

use crate::random;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use parking_lot::Mutex;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::labels::CACHE_CODE;
use portcullis_protocol::{Digest, PartName, Plaintext};
use sha2::{Digest as _, Sha256};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read};
use wasmtime::Engine;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"PCCACHE1";
const SALT: usize = 32;
const TAG: usize = 16;
/// Large enough that the cost of a chunk is its bytes, small enough that its ciphertext is still in the processor's
/// cache when it is opened.
const CHUNK: usize = 256 * 1024;
/// A label has four names and two numbers.
pub(crate) const MAX_LABEL: usize = 4 * 1024;
/// Compiled code of a body of the largest size is about ten times as large; none is larger.
pub(crate) const MAX_CODE: u64 = 2 << 30;
/// More threads than this wait for memory rather than for the cipher.
const MAX_THREADS: usize = 8;

/// Stands for the engine, its version and settings, the processor's features, and this version of the host, whose
/// checks a body passed before it was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineId([u8; 32]);

impl EngineId {
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut all = Collector(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut all);
        engine.precompile_compatibility_hash().hash(&mut all);
        Self(all.0.finalize().into())
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Takes what is hashed into a digest that nobody finds a second preimage of.
struct Collector(Sha256);

impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken instead")
    }
}

/// What the key of a blob is derived from. Compiled code opens only as what it was sealed as.
pub(crate) struct SealedAs<'a> {
    pub(crate) resource: Digest,
    pub(crate) part: &'a PartName,
    /// The part's file key, which travels only in a grant.
    pub(crate) file_key: &'a FileKey,
    /// The secret of this terminal's cache.
    pub(crate) secret: &'a [u8; 32],
    pub(crate) engine: EngineId,
}

/// Compiled code that this host sealed on this terminal, for this part of this resource and this engine: evidence that
/// it may run. Wiped when dropped.
pub(crate) struct Opened {
    code: Plaintext,
    engine: EngineId,
}

impl Opened {
    pub(crate) fn code(&self) -> &[u8] {
        &self.code
    }

    pub(crate) const fn engine(&self) -> EngineId {
        self.engine
    }
}

impl SealedAs<'_> {
    fn key(&self, salt: &[u8; SALT]) -> LessSafeKey {
        let secret = Zeroizing::new([self.file_key.expose().as_slice(), self.secret].concat());
        let info = [CACHE_CODE, self.resource.as_bytes(), self.engine.as_bytes(), self.part.as_str().as_bytes()];
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(salt), &secret);
        hkdf.expand_multi_info(&info, &mut *key).expect("32 bytes are far below the limit");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("the key has the cipher's length"))
    }

    /// Seals code under a fresh salt. `label` stands before it as it is.
    pub(crate) fn seal(&self, label: &[u8], code: &[u8]) -> Vec<u8> {
        let salt = random::octets::<SALT>().0;
        let key = self.key(&salt);
        let head = head(label);
        let chunks = chunks(code.len());
        let mut blob = vec![0; head.len() + SALT + code.len() + chunks * TAG];
        let (front, body) = blob.split_at_mut(head.len() + SALT);
        front[..head.len()].copy_from_slice(&head);
        front[head.len()..].copy_from_slice(&salt);
        let work = Mutex::new(code.chunks(CHUNK).zip(body.chunks_mut(CHUNK + TAG)).enumerate());
        in_parallel(chunks, || {
            loop {
                let next = work.lock().next();
                let Some((index, (plain, sealed))) = next else { return };
                let (text, tag) = sealed.split_at_mut(plain.len());
                key.seal_out_of_place_scatter(nonce(index, chunks), Aad::from(&head), plain, text, &[], tag)
                    .expect("a chunk is far below the cipher's limit");
            }
        });
        blob
    }

    /// Opens what follows the label: `size` bytes of code, and nothing after them. `None` if one bit is not as it
    /// was sealed, or it was sealed as anything else.
    pub(crate) fn open(&self, label: &[u8], size: u64, blob: &mut (dyn Read + Send)) -> Option<Opened> {
        let size = usize::try_from(size).ok().filter(|_| (1..=MAX_CODE).contains(&size))?;
        let mut salt = [0; SALT];
        blob.read_exact(&mut salt).ok()?;
        let key = self.key(&salt);
        let head = head(label);
        let chunks = chunks(size);
        let mut code = Plaintext::zeroed(size);
        // Whoever is free reads the next chunk and opens it while others read on.
        let work = Mutex::new((&mut *blob, code.chunks_mut(CHUNK).enumerate(), true));
        in_parallel(chunks, || {
            let mut sealed = vec![0; CHUNK.min(size) + TAG];
            loop {
                let (index, plain, sealed) = {
                    let mut work = work.lock();
                    let (blob, rest, whole) = &mut *work;
                    if !*whole {
                        return;
                    }
                    let Some((index, plain)) = rest.next() else { return };
                    let sealed = &mut sealed[..plain.len() + TAG];
                    if blob.read_exact(sealed).is_err() {
                        *whole = false;
                        return;
                    }
                    (index, plain, sealed)
                };
                let (text, tag) = sealed.split_at(plain.len());
                let opened = key.open_separate_gather(nonce(index, chunks), Aad::from(&head), text, tag, plain);
                if opened.is_err() {
                    work.lock().2 = false;
                    return;
                }
            }
        });
        let (_, mut rest, whole) = work.into_inner();
        let whole = whole && rest.next().is_none() && blob.read(&mut [0]).is_ok_and(|more| more == 0);
        whole.then_some(Opened { code, engine: self.engine })
    }
}

/// Reads the label that a blob begins with.
pub(crate) fn read_label(blob: &mut (dyn Read + Send)) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut start = [0; MAGIC.len() + 4];
    blob.read_exact(&mut start)?;
    let (magic, length) = start.split_at(MAGIC.len());
    let length = u32::from_be_bytes(length.try_into().map_err(|_| damaged())?) as usize;
    if magic != MAGIC || length > MAX_LABEL {
        return Err(damaged());
    }
    let mut label = vec![0; length];
    blob.read_exact(&mut label)?;
    Ok(label)
}

fn head(label: &[u8]) -> Vec<u8> {
    let length = u32::try_from(label.len()).expect("a label is short");
    [MAGIC, &length.to_be_bytes()[..], label].concat()
}

const fn chunks(size: usize) -> usize {
    size.div_ceil(CHUNK)
}

fn nonce(index: usize, chunks: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(index as u64).to_be_bytes());
    nonce[11] = u8::from(index + 1 == chunks);
    Nonce::assume_unique_for_key(nonce)
}

/// Does the work on as many threads as there are processors, this one among them.
fn in_parallel(chunks: usize, work: impl Fn() + Sync) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(MAX_THREADS).min(chunks) {
            scope.spawn(&work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const LABEL: &[u8] = b"a label";

    struct Terminal {
        part: PartName,
        file_key: FileKey,
        secret: [u8; 32],
    }

    impl Terminal {
        fn new() -> Self {
            Self {
                part: PartName::new("main").expect("a name"),
                file_key: FileKey::from_bytes([7; FileKey::LEN]),
                secret: [9; 32],
            }
        }

        fn sealed_as(&self) -> SealedAs<'_> {
            SealedAs {
                resource: Digest::of(b"resource"),
                part: &self.part,
                file_key: &self.file_key,
                secret: &self.secret,
                engine: EngineId([3; 32]),
            }
        }
    }

    fn code(size: usize) -> Vec<u8> {
        (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
    }

    fn open(what: &SealedAs<'_>, size: u64, blob: &[u8]) -> Option<Vec<u8>> {
        let mut blob = Cursor::new(blob.to_vec());
        let label = read_label(&mut blob).ok()?;
        what.open(&label, size, &mut blob).map(|opened| opened.code().to_vec())
    }

    #[test]
    fn what_was_sealed_opens() {
        let terminal = Terminal::new();
        for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7] {
            let plain = code(size);
            let blob = terminal.sealed_as().seal(LABEL, &plain);
            assert_eq!(open(&terminal.sealed_as(), size as u64, &blob), Some(plain), "{size}");
        }
        assert_eq!(open(&terminal.sealed_as(), 0, &terminal.sealed_as().seal(LABEL, &[])), None);
    }

    #[test]
    fn nothing_opens_with_one_byte_changed_missing_or_added() {
        let terminal = Terminal::new();
        let plain = code(100);
        let blob = terminal.sealed_as().seal(LABEL, &plain);
        let opens = |blob: &[u8]| open(&terminal.sealed_as(), 100, blob).is_some();
        assert!(opens(&blob));
        for at in 0..blob.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = blob.clone();
                changed[at] ^= flip;
                assert!(!opens(&changed), "byte {at}");
            }
            assert!(!opens(&blob[..at]), "cut at {at}");
        }
        assert!(!opens(&[&blob[..], &[0]].concat()));
        for size in [0, 99, 101, MAX_CODE + 1, u64::MAX] {
            assert_eq!(open(&terminal.sealed_as(), size, &blob), None, "{size}");
        }
    }

    #[test]
    fn chunks_do_not_change_places_and_none_is_left_out() {
        let terminal = Terminal::new();
        let plain = code(3 * CHUNK);
        let blob = terminal.sealed_as().seal(LABEL, &plain);
        let begin = blob.len() - 3 * (CHUNK + TAG);
        let chunk = |index: usize| &blob[begin + index * (CHUNK + TAG)..][..CHUNK + TAG];
        let of = |chunks: &[usize]| {
            let chunks = chunks.iter().map(|index| chunk(*index));
            [&blob[..begin]].into_iter().chain(chunks).collect::<Vec<_>>().concat()
        };
        let opens =
            |chunks: &[usize]| open(&terminal.sealed_as(), (chunks.len() * CHUNK) as u64, &of(chunks)).is_some();
        assert!(opens(&[0, 1, 2]));
        for chunks in [&[1, 0, 2][..], &[0, 2, 1], &[0, 1], &[0], &[0, 0, 2], &[0, 1, 2, 2], &[2]] {
            assert!(!opens(chunks), "{chunks:?}");
        }
    }

    #[test]
    fn it_opens_as_what_it_was_sealed_as_and_nothing_else() {
        let terminal = Terminal::new();
        let blob = terminal.sealed_as().seal(LABEL, &code(10));
        let other = Terminal {
            part: PartName::new("side").expect("a name"),
            file_key: FileKey::from_bytes([8; FileKey::LEN]),
            secret: [10; 32],
        };
        let is = |what: SealedAs<'_>| open(&what, 10, &blob).is_some();
        assert!(is(terminal.sealed_as()));
        assert!(!is(SealedAs { resource: Digest::of(b"another"), ..terminal.sealed_as() }));
        assert!(!is(SealedAs { part: &other.part, ..terminal.sealed_as() }));
        assert!(!is(SealedAs { file_key: &other.file_key, ..terminal.sealed_as() }));
        assert!(!is(SealedAs { secret: &other.secret, ..terminal.sealed_as() }));
        assert!(!is(SealedAs { engine: EngineId([4; 32]), ..terminal.sealed_as() }));
    }
}
