//! The reader of parts, which opens many chunks at once, against age's payload reader, which opens one after the other.

use crate::sealed::{bytes, name, seal, server};
use portcullis_protocol::age::{self, PayloadReader};
use portcullis_protocol::sealed::{ReadAt, Sealed, SealedError};
use proptest::prelude::*;
use std::io::{self, Cursor, Read};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Several stretches of blocks, the last block cut.
const SIZE: usize = (10 << 20) + 77_777;

struct Specimen {
    sealed: Sealed<Vec<u8>>,
    key: age::FileKey,
    /// The part as the age file that it is.
    age_file: Vec<u8>,
    payload: u64,
}

static SPECIMEN: LazyLock<Specimen> = LazyLock::new(|| {
    let sealed = Sealed::open(seal(&[("picture", &bytes(SIZE))])).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    let mut age_file = Vec::new();
    sealed.extract(&name("picture"), &mut age_file).unwrap();
    let payload = sealed.age_header(&name("picture")).unwrap().to_bytes().len() as u64;
    Specimen { sealed, key, age_file, payload }
});

#[derive(Debug, Clone)]
enum Read1 {
    At(u64, usize),
    /// Goes on where the last one ended.
    On(usize),
}

fn reads() -> impl Strategy<Value = Vec<Read1>> {
    let len = prop_oneof![0..300_usize, 60_000..70_000_usize, 200_000..6_000_000_usize, Just(1 << 20), Just(64 << 10)];
    let at = prop_oneof![0..SIZE as u64 + 10, (0..SIZE as u64 / 65_536).prop_map(|chunk| chunk * 65_536)];
    let read = prop_oneof![(at, len.clone()).prop_map(|(at, len)| Read1::At(at, len)), len.prop_map(Read1::On)];
    proptest::collection::vec(read, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_reads_give_what_one_chunk_after_the_other_gives(reads in reads()) {
        let Specimen { sealed, key, age_file, payload } = &*SPECIMEN;
        let mut part = sealed.part(&name("picture"), key).unwrap();
        let payload_len = age_file.len() as u64 - payload;
        let mut plain = PayloadReader::new(Cursor::new(age_file), *payload, payload_len, key).unwrap();
        let mut end = 0;
        for read in reads {
            let (at, len) = match read { Read1::At(at, len) => (at, len), Read1::On(len) => (end, len) };
            let (mut fast, mut slow) = (vec![0xaa; len], vec![0xaa; len]);
            let read = part.read_at(at, &mut fast).unwrap();
            prop_assert_eq!(read, plain.read_at(at, &mut slow).unwrap());
            prop_assert!(fast == slow, "{} bytes at {}", len, at);
            end = at + read as u64;
        }
    }
}

#[test]
fn every_step_of_a_stream_gives_the_same_bytes() {
    let Specimen { sealed, key, .. } = &*SPECIMEN;
    for step in [7_000, 65_536, 1 << 20, 3 << 20, SIZE, SIZE + 1] {
        let mut part = sealed.part(&name("picture"), key).unwrap();
        let (mut all, mut piece) = (Vec::new(), vec![0; step]);
        loop {
            match part.read(&mut piece).unwrap() {
                0 => break,
                read => all.extend_from_slice(&piece[..read]),
            }
        }
        assert!(all == bytes(SIZE), "in steps of {step}");
    }
}

/// Gives wrong bytes in one place until it is told to forget them; counts what is read.
struct Poisoned {
    file: Vec<u8>,
    at: u64,
    heals: bool,
    healed: AtomicBool,
    read: AtomicU64,
}

impl ReadAt for &Poisoned {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(offset, to)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        let there = self.at.checked_sub(offset).and_then(|at| to[..read].get_mut(at as usize));
        if let Some(byte) = there.filter(|_| !self.healed.load(Ordering::Relaxed)) {
            *byte ^= 1;
        }
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn forget(&self, offset: u64, len: u64) -> bool {
        assert!((offset..offset + len).contains(&self.at), "the block at fault is named");
        self.healed.store(self.heals, Ordering::Relaxed);
        self.heals
    }
}

#[test]
fn a_source_that_forgets_wrong_bytes_is_read_again_and_others_are_refused() {
    let Specimen { sealed, key, .. } = &*SPECIMEN;
    let file = sealed.source();
    // Somewhere in every block but the first, which `part` reads too.
    for block in 0..10_u64 {
        for heals in [true, false] {
            let at = file.len() as u64 - (10 << 20) + block * (1 << 20) + 12_345;
            let source =
                Poisoned { file: file.clone(), at, heals, healed: AtomicBool::new(false), read: AtomicU64::new(0) };
            let opened = Sealed::open(&source).unwrap();
            let mut out = vec![0; SIZE];
            let read = opened.part(&name("picture"), key).and_then(|mut part| part.read_at(0, &mut out));
            if heals {
                assert_eq!(read.unwrap(), SIZE);
                assert!(out == bytes(SIZE));
            } else {
                assert!(matches!(read, Err(SealedError::Block { .. })), "block {block}: {read:?}");
                let given = out.iter().zip(bytes(SIZE)).all(|(byte, plain)| *byte == plain || *byte == 0);
                assert!(given, "what was given out before is authentic");
                assert!(matches!(opened.verify_blocks(), Err(SealedError::Block { .. })));
            }
        }
    }
}

/// Opening reads the index only, a part its first and last block, and a stream each block once.
#[test]
fn no_more_is_read_than_is_needed() {
    let Specimen { sealed, key, .. } = &*SPECIMEN;
    let source = Poisoned {
        file: sealed.source().clone(),
        at: u64::MAX,
        heals: false,
        healed: AtomicBool::new(true),
        read: AtomicU64::new(0),
    };
    let opened = Sealed::open(&source).unwrap();
    assert!(source.read.load(Ordering::Relaxed) < 16 * 1024);
    let mut part = opened.part(&name("picture"), key).unwrap();
    let before = source.read.load(Ordering::Relaxed);
    assert!(before < 3 << 20, "{before}");
    for _ in 0..3 {
        part.read_at(5 << 20, &mut [0; 100]).unwrap();
    }
    let random = source.read.load(Ordering::Relaxed) - before;
    assert!(random <= 2 << 20, "{random}");
    io::copy(&mut part, &mut io::sink()).unwrap();
    let streamed = source.read.load(Ordering::Relaxed) - before - random;
    assert!(streamed <= (SIZE + (1 << 20)) as u64, "{streamed}");
}

/// Not a measurement, which `cargo xtask bench` does: only that nothing is many times slower than one core with
/// portable code would be.
#[test]
#[cfg(feature = "fast")]
fn the_fast_reader_is_not_slow() {
    use portcullis_protocol::age::{ChunkCipher, open_payload_with};
    use std::time::Instant;
    let Specimen { sealed, key, age_file, payload } = &*SPECIMEN;
    let mut out = vec![0; SIZE];
    let best = |work: &mut dyn FnMut()| {
        let times = (0..7).map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        });
        times.min().unwrap()
    };
    let fast = best(&mut || {
        let mut part = sealed.part(&name("picture"), key).unwrap();
        assert_eq!(part.read_at(0, &mut out).unwrap(), SIZE);
    });
    let age_payload = &age_file[*payload as usize..];
    let portable = best(&mut || {
        let digest = blake3::hash(age_payload);
        let plain = open_payload_with(age_payload, |nonce| ChunkCipher::portable(key, nonce)).unwrap();
        assert_eq!((plain.len(), digest.as_bytes().len()), (SIZE, 32));
    });
    assert!(fast < portable * 4, "{fast:?} against {portable:?}");
}
