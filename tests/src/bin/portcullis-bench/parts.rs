//! P5: what unsealing a part costs beside its cipher alone, over all cores, and beside the `age` crate.

use crate::Bench;
use crate::held::now;
use crate::resource::Asset;
use anyhow::{Context as _, Result, anyhow, ensure};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use portcullis_load::duel::duel;
use portcullis_load::row::{Row, Targets};
use portcullis_protocol::sealed::Sealed;
use std::fs::{self, File};
use std::io::Cursor;
use std::num::NonZero;
use std::thread;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Bytes of a part, with what they are called.
const SIZES: [(usize, &str, &str); 5] = [
    (KIB, "P5 1 KiB", "unseal a part of 1 KiB"),
    (32 * KIB, "P5 32 KiB", "unseal a part of 32 KiB"),
    (MIB, "P5 1 MiB", "unseal a part of 1 MiB"),
    (10 * MIB, "P5 10 MiB", "unseal a part of 10 MiB"),
    (100 * MIB, "P5", "unseal a part of 100 MiB"),
];
/// Plaintext of a chunk, as age has it.
const CHUNK: usize = 64 * KIB;
/// From here on threads are worth their start, and the targets hold.
const LARGE: usize = MIB;

/// P5.
pub(crate) fn unseal(bench: &Bench) -> Result<Vec<Row>> {
    let asset = Asset::new()?;
    let mut rows = Vec::new();
    for (size, id, what) in SIZES.into_iter().filter(|(size, ..)| !bench.quick || *size < LARGE) {
        let large = size >= LARGE;
        let targets = Targets {
            bare: large.then_some(1.0 / 0.8),
            other: large.then_some(0.5),
            ours: (size == 100 * MIB).then_some(60e6),
            ..Targets::default()
        };
        rows.push(row(bench, &asset, size, id, what, targets)?);
    }
    rows.push(streamed(bench, &asset)?);
    Ok(rows)
}

/// Bytes that do not repeat within a chunk.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn row(
    bench: &Bench,
    asset: &Asset,
    size: usize,
    id: &'static str,
    what: &'static str,
    targets: Targets,
) -> Result<Row> {
    let plain = content(size);
    let mut file = Cursor::new(Vec::new());
    asset.seal(&plain, &mut file)?;
    let sealed = Sealed::open(file.into_inner())?;
    let part = Asset::part()?;
    let key = sealed.unwrap_key(&part, [asset.identity()])?;

    let mut buffer = vec![0; size];
    let mut ours = |repetitions| {
        for _ in 0..repetitions {
            let mut reader = sealed.part(&part, &key)?;
            let read = reader.read_at(0, &mut buffer)?;
            ensure!(read == size && buffer.last() == plain.last(), "the part is another");
        }
        Ok(())
    };
    ours(1)?;
    let cipher = Ciphertext::of(&plain)?;
    let mut least = vec![0; size];
    let mut bare = |repetitions| {
        for _ in 0..repetitions {
            cipher.open(&mut least)?;
            ensure!(least.last() == plain.last(), "the cipher gave something else");
        }
        Ok(())
    };
    bare(1)?;
    let [taken, lower] = duel(bench.pace, [&mut ours, &mut bare])?;
    ensure!(buffer == plain && least == plain, "not every byte came out");
    Ok(Row::new(id, what, &taken, &lower, targets).against("the age crate", bench.others.get(id)))
}

/// Chunks under ChaCha20-Poly1305 of AWS-LC, each with its tag.
struct Ciphertext {
    key: LessSafeKey,
    chunks: Vec<u8>,
    tags: Vec<[u8; 16]>,
}

impl Ciphertext {
    fn of(plain: &[u8]) -> Result<Self> {
        let key = key()?;
        let mut chunks = plain.to_vec();
        let tags: Result<Vec<_>> = chunks
            .chunks_mut(CHUNK)
            .enumerate()
            .map(|(index, chunk)| {
                let tag =
                    key.seal_in_place_separate_tag(nonce(index), Aad::empty(), chunk).map_err(|_| anyhow!("seal"))?;
                tag.as_ref().try_into().context("a tag has 16 bytes")
            })
            .collect();
        Ok(Self { key, chunks, tags: tags? })
    }

    /// Opens every chunk into `to`, with all cores where that pays.
    fn open(&self, to: &mut [u8]) -> Result<()> {
        let cores = if to.len() < LARGE { 1 } else { thread::available_parallelism().map_or(1, NonZero::get) };
        let share = self.tags.len().div_ceil(cores);
        thread::scope(|scope| {
            let shares =
                to.chunks_mut(share * CHUNK).zip(self.chunks.chunks(share * CHUNK)).zip(self.tags.chunks(share));
            let mut shares =
                shares.enumerate().map(|(at, ((to, from), tags))| move || self.share(at * share, from, tags, to));
            // The last share is this thread's own.
            let own = shares.next();
            let others: Vec<_> = shares.map(|work| scope.spawn(work)).collect();
            own.map_or(Ok(()), |mut work| work())?;
            others.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
        })
    }

    fn share(&self, first: usize, from: &[u8], tags: &[[u8; 16]], to: &mut [u8]) -> Result<()> {
        for (at, ((to, from), tag)) in to.chunks_mut(CHUNK).zip(from.chunks(CHUNK)).zip(tags).enumerate() {
            self.key
                .open_separate_gather(nonce(first + at), Aad::empty(), from, tag, to)
                .map_err(|_| anyhow!("chunk {} is not authentic", first + at))?;
        }
        Ok(())
    }
}

/// Some key.
pub(crate) fn key() -> Result<LessSafeKey> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).map_err(|_| anyhow!("no key"))?))
}

/// The nonce of a chunk.
pub(crate) fn nonce(index: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(index as u64).to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A part that does not fit into what may be held of it: read from a file, a piece at a time.
fn streamed(bench: &Bench, asset: &Asset) -> Result<Row> {
    let size = if bench.quick { 2 * CHUNK } else { 100 * MIB };
    let path = bench.folder.join("streamed.wasm");
    asset.seal(&content(size), &mut File::create(&path)?)?;
    let sealed = Sealed::open(File::open(&path)?)?;
    let part = Asset::part()?;
    let key = sealed.unwrap_key(&part, [asset.identity()])?;
    let mut piece = vec![0; MIB];
    let mut ours = |repetitions| {
        for _ in 0..repetitions {
            let mut reader = sealed.part(&part, &key)?;
            let mut at = 0;
            while at < size {
                let read = reader.read_at(at as u64, &mut piece)?;
                ensure!(read > 0, "the part ends at {at}");
                at += read;
            }
        }
        Ok(())
    };
    let before = resident_peak()?;
    let begun = now();
    ours(1)?;
    let took = now() - begun;
    let after = resident_peak_since()?;
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64);
    // The least that streams: the cipher alone, chunk by chunk, on one core.
    let cipher = Ciphertext::of(&content(size))?;
    let mut to = vec![0; CHUNK];
    let mut bare = |repetitions| {
        for _ in 0..repetitions {
            for (at, (from, tag)) in cipher.chunks.chunks(CHUNK).zip(&cipher.tags).enumerate() {
                cipher.share(at, from, std::slice::from_ref(tag), &mut to[..from.len()])?;
            }
        }
        Ok(())
    };
    let [taken, least] = duel(bench.pace, [&mut ours, &mut bare])?;
    ensure!(took > 0, "the clock stands");
    let targets = Targets { memory: Some(16.0 * MIB as f64), ..Targets::default() };
    let what = "stream a part of 100 MiB from a file, 1 MiB at a time, beside the cipher on one core";
    Ok(Row::new("P5 streamed", what, &taken, &least, targets).growing(grown))
}

/// Forgets the highest memory so far, and gives what is resident now, in bytes. `None` where the system does not say.
fn resident_peak() -> Result<Option<u64>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    // proc(5): 5 resets the peak.
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")?;
    status("VmRSS:")
}

/// The most that was resident since then.
fn resident_peak_since() -> Result<Option<u64>> {
    if cfg!(target_os = "linux") { status("VmHWM:") } else { Ok(None) }
}

fn status(line: &str) -> Result<Option<u64>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let found =
        status.lines().find_map(|text| text.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(found.map(|kibibytes| kibibytes * 1024))
}
