//! The payload of an age file: chunks in their places, lengths, seeking, and writers that fail.

use crate::age::{SIZES, bytes, rng};
use portcullis_protocol::age::{
    AgeError, CHUNK_LEN, ChunkCipher, FileKey, NONCE_LEN, PayloadLayout, PayloadNonce, PayloadReader, PayloadWriter,
    ReadError, TAG_LEN, encrypted_len, open_payload, open_payload_with, seal_payload,
};
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

fn stream(file_key: &FileKey, nonce: &PayloadNonce, plain: &[u8], step: usize) -> Vec<u8> {
    let mut writer = PayloadWriter::new(Vec::new(), file_key, nonce).unwrap();
    plain.chunks(step).for_each(|some| writer.write_all(some).unwrap());
    assert_eq!(writer.plain_len(), plain.len() as u64);
    writer.finish().unwrap()
}

#[test]
fn chunks_do_not_move_and_the_end_does_not_either() {
    let file_key = FileKey::generate(&mut rng());
    let nonce = PayloadNonce::generate(&mut rng());
    let payload = seal_payload(&file_key, &nonce, &bytes(3 * CHUNK_LEN));
    let sealed = CHUNK_LEN + TAG_LEN;
    let refused = |payload: &[u8]| {
        let from_memory = open_payload(&file_key, payload).unwrap_err();
        let reader = PayloadReader::new(Cursor::new(payload), 0, payload.len() as u64, &file_key);
        let streamed = reader.map_err(io::Error::from).and_then(|mut reader| reader.read_to_end(&mut Vec::new()));
        assert_eq!(streamed.unwrap_err().kind(), io::ErrorKind::InvalidData);
        from_memory
    };
    // Two chunks swapped.
    let mut swapped = payload.clone();
    let (a, b) = swapped[NONCE_LEN..].split_at_mut(sealed);
    a.swap_with_slice(&mut b[..sealed]);
    assert_eq!(refused(&swapped), AgeError::Chunk { index: 0 });
    // Cut between two chunks: what is last now was not sealed as the last.
    assert_eq!(refused(&payload[..NONCE_LEN + 2 * sealed]), AgeError::Chunk { index: 1 });
    // A chunk repeated, or one more appended.
    let repeated = [&payload[..], &payload[NONCE_LEN..NONCE_LEN + sealed]].concat();
    assert_eq!(refused(&repeated), AgeError::Chunk { index: 2 });
    // An empty last chunk after a full one, sealed with the right key.
    let mut empty_last = seal_payload(&file_key, &nonce, &bytes(CHUNK_LEN));
    empty_last.extend_from_slice(&[0; TAG_LEN]);
    assert_eq!(refused(&empty_last), AgeError::PayloadLength);
    // Another nonce is another key.
    let mut renonced = payload.clone();
    renonced[0] ^= 1;
    assert_eq!(refused(&renonced), AgeError::Chunk { index: 0 });
    assert_eq!(*open_payload(&file_key, &payload).unwrap(), bytes(3 * CHUNK_LEN), "control");
}

#[test]
fn single_chunks_open_in_place_and_only_in_theirs() {
    let file_key = FileKey::generate(&mut rng());
    let nonce = PayloadNonce::generate(&mut rng());
    let plain = bytes(2 * CHUNK_LEN + 100);
    let payload = seal_payload(&file_key, &nonce, &plain);
    let layout = PayloadLayout::of_payload(payload.len() as u64).unwrap();
    assert_eq!(layout, PayloadLayout::of_plain(plain.len() as u64).unwrap());
    let cipher = ChunkCipher::new(&file_key, &nonce);
    let fetch = |index| {
        let chunk = layout.chunk(index).unwrap();
        let start = chunk.payload_offset() as usize;
        payload[start..start + chunk.sealed_len()].to_vec()
    };
    for index in (0..layout.chunk_count()).rev() {
        let chunk = layout.chunk(index).unwrap();
        let start = chunk.plain_offset() as usize;
        assert_eq!(cipher.open(&chunk, &mut fetch(index)).unwrap(), &plain[start..start + chunk.plain_len()]);
    }
    let first = layout.chunk(0).unwrap();
    let mut second = fetch(1);
    let before = second.clone();
    assert_eq!(cipher.open(&first, &mut second).unwrap_err(), AgeError::Chunk { index: 0 });
    // Untouched or wiped: what is not authentic is not left there in the clear.
    assert!(second == before || second.iter().take(first.plain_len()).all(|byte| *byte == 0));
    assert!(cipher.open(&first, &mut before[1..].to_vec()).is_err());
    assert_eq!((layout.chunk(3), layout.last_chunk().index(), layout.last_chunk().plain_len()), (None, 2, 100));
    assert!(layout.last_chunk().is_last() && !first.is_last());
}

/// The cipher of this build and the portable one: each opens what the other sealed, and refuses the same.
#[test]
fn both_ciphers_give_the_same_bytes_and_the_same_refusals() {
    let file_key = FileKey::generate(&mut rng());
    let nonce = PayloadNonce::generate(&mut rng());
    for size in SIZES {
        let payload = seal_payload(&file_key, &nonce, &bytes(size));
        let portable = || open_payload_with(&payload, |nonce| ChunkCipher::portable(&file_key, nonce));
        assert_eq!(*portable().unwrap(), bytes(size), "{size}");
        assert_eq!(open_payload(&file_key, &payload), portable(), "{size}");
    }
    let payload = seal_payload(&file_key, &nonce, &bytes(CHUNK_LEN + 100));
    let layout = PayloadLayout::of_payload(payload.len() as u64).unwrap();
    for cipher in [ChunkCipher::new(&file_key, &nonce), ChunkCipher::portable(&file_key, &nonce)] {
        let chunk = layout.last_chunk();
        let sealed = &payload[chunk.payload_offset() as usize..];
        let mut out = vec![7; chunk.plain_len()];
        cipher.open_to(&chunk, sealed, &mut out).unwrap();
        assert_eq!(out, bytes(CHUNK_LEN + 100)[CHUNK_LEN..], "control");
        for at in 0..sealed.len() {
            let mut damaged = sealed.to_vec();
            damaged[at] ^= 1;
            assert_eq!(cipher.open_to(&chunk, &damaged, &mut out), Err(AgeError::Chunk { index: 1 }), "byte {at}");
            assert!(out.iter().all(|byte| *byte == 0), "byte {at}: nothing is given out that is not authentic");
        }
        assert!(cipher.open_to(&chunk, &sealed[1..], &mut out).is_err());
        assert!(cipher.open_to(&chunk, sealed, &mut out[1..]).is_err());
        assert!(cipher.open_to(&layout.chunk(0).unwrap(), sealed, &mut out).is_err());
    }
}

#[test]
fn lengths_are_exact_both_ways() {
    for size in SIZES {
        let payload = encrypted_len(size as u64).unwrap();
        assert_eq!(
            seal_payload(&FileKey::from_bytes([1; 16]), &PayloadNonce::from_bytes([2; 16]), &bytes(size)).len() as u64,
            payload
        );
        assert_eq!(PayloadLayout::of_payload(payload).unwrap().plain_len(), size as u64);
    }
    let sealed = (CHUNK_LEN + TAG_LEN) as u64;
    for impossible in (0..32).chain(sealed + 17..=sealed + 32).chain(2 * sealed + 17..=2 * sealed + 32) {
        assert_eq!(PayloadLayout::of_payload(impossible), Err(AgeError::PayloadLength), "{impossible}");
    }
    assert_eq!(encrypted_len(u64::MAX), None);
    assert_eq!(PayloadLayout::of_plain(u64::MAX), Err(AgeError::PayloadLength));
    let huge = PayloadLayout::of_payload(u64::MAX).unwrap();
    assert_eq!(huge.payload_len(), u64::MAX);
    assert!(huge.last_chunk().payload_offset() < u64::MAX);
}

/// Takes `room` bytes, fails once, then takes everything.
#[derive(Debug)]
struct FailsOnce {
    taken: Vec<u8>,
    room: usize,
    failed: bool,
}

impl Write for &mut FailsOnce {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.failed && self.taken.len() + bytes.len() > self.room {
            self.failed = true;
            return Err(io::Error::other("disk full"));
        }
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_write_does_not_let_plaintext_out_on_the_next() {
    let mut disk = FailsOnce { taken: Vec::new(), room: 20, failed: false };
    let mut writer =
        PayloadWriter::new(&mut disk, &FileKey::from_bytes([1; 16]), &PayloadNonce::from_bytes([2; 16])).unwrap();
    let plain = vec![b'p'; CHUNK_LEN];
    writer.write_all(&plain).unwrap();
    assert_eq!(writer.write_all(b"more").unwrap_err().to_string(), "disk full");
    assert_eq!(writer.write_all(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(writer.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(disk.taken.len(), NONCE_LEN, "only the nonce left before the failure");
}

#[test]
fn a_payload_that_was_not_finished_is_refused() {
    let file_key = FileKey::from_bytes([1; 16]);
    let mut payload = Vec::new();
    let mut writer = PayloadWriter::new(&mut payload, &file_key, &PayloadNonce::from_bytes([2; 16])).unwrap();
    writer.write_all(&bytes(CHUNK_LEN + 1)).unwrap();
    drop(writer);
    assert_eq!(payload.len(), NONCE_LEN + CHUNK_LEN + TAG_LEN);
    assert_eq!(open_payload(&file_key, &payload), Err(AgeError::Chunk { index: 0 }));
}

#[test]
fn damage_in_the_middle_stops_only_the_reads_that_meet_it() {
    let file_key = FileKey::from_bytes([1; 16]);
    let plain = bytes(3 * CHUNK_LEN);
    let mut payload = seal_payload(&file_key, &PayloadNonce::from_bytes([2; 16]), &plain);
    payload[NONCE_LEN + CHUNK_LEN + TAG_LEN + 5] ^= 1;
    let mut reader = PayloadReader::new(Cursor::new(&payload), 0, payload.len() as u64, &file_key).unwrap();
    let mut out = [0; 10];
    assert_eq!(reader.read_at(CHUNK_LEN as u64 - 10, &mut out).unwrap(), 10);
    assert_eq!(out, plain[CHUNK_LEN - 10..CHUNK_LEN]);
    let damaged = |result| matches!(result, Err(ReadError::Age(AgeError::Chunk { index: 1 })));
    assert!(damaged(reader.read_at(CHUNK_LEN as u64 - 5, &mut out)));
    assert!(damaged(reader.read_at(2 * CHUNK_LEN as u64 - 1, &mut out)), "also when asked again");
    assert_eq!(reader.read_at(2 * CHUNK_LEN as u64, &mut out).unwrap(), 10);
    assert_eq!(out, plain[2 * CHUNK_LEN..2 * CHUNK_LEN + 10]);
}

#[test]
fn seeking_follows_the_plaintext() {
    let file_key = FileKey::from_bytes([1; 16]);
    let plain = bytes(CHUNK_LEN + 10);
    let payload = seal_payload(&file_key, &PayloadNonce::from_bytes([2; 16]), &plain);
    let file = [b"before", &payload[..], b"after"].concat();
    let mut reader = PayloadReader::new(Cursor::new(&file), 6, payload.len() as u64, &file_key).unwrap();
    assert_eq!(reader.seek(SeekFrom::End(-12)).unwrap(), CHUNK_LEN as u64 - 2);
    let mut rest = Vec::new();
    assert_eq!(reader.read_to_end(&mut rest).unwrap(), 12);
    assert_eq!(rest, plain[CHUNK_LEN - 2..]);
    assert_eq!(reader.seek(SeekFrom::Current(-1)).unwrap(), plain.len() as u64 - 1);
    assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err() && reader.seek(SeekFrom::End(-(1 << 40))).is_err());
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    // A payload said to be elsewhere, or where the file has ended.
    assert!(PayloadReader::new(Cursor::new(&file), 5, payload.len() as u64, &file_key).is_err());
    assert!(PayloadReader::new(Cursor::new(&file), u64::MAX, payload.len() as u64, &file_key).is_err());
    assert!(
        PayloadReader::new(Cursor::new(&payload[..payload.len() - 1]), 0, payload.len() as u64, &file_key).is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reads_anywhere_give_the_plaintext(
        size in prop::sample::select(SIZES.to_vec()).prop_flat_map(|edge| edge.saturating_sub(3)..edge + 4),
        reads in prop::collection::vec((0..1_100_000_u64, 0..200_000_usize), 1..12),
    ) {
        let file_key = FileKey::from_bytes([3; 16]);
        let plain = bytes(size);
        let payload = seal_payload(&file_key, &PayloadNonce::from_bytes([4; 16]), &plain);
        let mut reader = PayloadReader::new(Cursor::new(&payload), 0, payload.len() as u64, &file_key).unwrap();
        for (offset, len) in reads {
            let mut out = vec![0; len];
            let got = reader.read_at(offset, &mut out).unwrap();
            let from = usize::try_from(offset).unwrap().min(size);
            prop_assert!(out[..got] == plain[from..size.min(from + len)]);
            reader.seek(SeekFrom::Start(offset)).unwrap();
            let mut streamed = Vec::new();
            reader.by_ref().take(len as u64).read_to_end(&mut streamed).unwrap();
            prop_assert!(streamed == out[..got]);
        }
    }

    #[test]
    fn how_the_plaintext_is_cut_into_writes_does_not_matter(size in 0..200_000_usize, step in 1..100_000_usize) {
        let file_key = FileKey::from_bytes([3; 16]);
        let nonce = PayloadNonce::from_bytes([4; 16]);
        let plain = bytes(size);
        let payload = stream(&file_key, &nonce, &plain, step);
        prop_assert!(payload == seal_payload(&file_key, &nonce, &plain));
        prop_assert_eq!(payload.len() as u64, encrypted_len(size as u64).unwrap());
    }
}
