//! The sealed format: what is written is what is read, in every size, by range, and by foreign tools.

use crate::seeded::SeededRng;
use portcullis_protocol::age::{self, FileKey, Identity, Recipient};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::BLOCK;
use portcullis_protocol::sealed::{Package, ReadAt, Sealed, SealedError, Seeking, WriteError, countersign, reheader};
use portcullis_protocol::{
    Capabilities, Digest, Manifest, OperationEntry, PartEntry, PartKind, PartName, PublisherEntry, ResourceLimits,
    SecretKey, ServerEntry, SignedManifest, Version,
};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

/// The smallest component, with a section of its own.
pub(crate) const STUB: &[u8] = b"\0asm\x0d\0\x01\0\0\x05\x04stub";

pub(crate) fn name(name: &str) -> PartName {
    name.parse().unwrap()
}

pub(crate) fn publisher() -> SecretKey {
    SecretKey::generate(&mut SeededRng::new("publisher"))
}

pub(crate) fn server() -> Identity {
    Identity::generate(&mut SeededRng::new("server"))
}

/// Bytes that differ in every place, so that a chunk in the wrong one shows.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Code where the name is `code`, an asset otherwise.
pub(crate) fn manifest(parts: &[(&str, u64)], publisher: &SecretKey) -> Manifest {
    let entry = |(part, size): &(&str, u64)| PartEntry {
        name: name(part),
        kind: if *part == "code" { PartKind::Code } else { PartKind::Asset },
        media_type: if *part == "code" { "application/wasm".into() } else { "image/png".into() },
        size: *size,
        commitment: Octets([0; 32]),
        binding: Octets([0; 32]),
        public: false,
    };
    let has_code = parts.iter().any(|(part, _)| *part == "code");
    Manifest {
        v: 1,
        publisher: PublisherEntry { name: "lumen".parse().unwrap(), jwk: publisher.public().clone() },
        name: "alpine-lake".parse().unwrap(),
        version: Version::new(1, 0, 0),
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: String::new(),
        stub_digest: Digest::of(b""),
        imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
        exports: vec!["view".into()],
        parts: parts.iter().map(entry).collect(),
        operations: vec![OperationEntry {
            name: "view".parse().unwrap(),
            title: "View".into(),
            exports: if has_code { vec!["view".parse().unwrap()] } else { Vec::new() },
            parts: parts.iter().map(|(part, _)| name(part)).collect(),
        }],
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: false,
        servers: vec![ServerEntry {
            origin: "https://store.example".parse().unwrap(),
            root: publisher.public().thumbprint(),
        }],
    }
}

pub(crate) fn seal_as(
    manifest: Manifest,
    parts: &[(&str, &[u8])],
    key: &SecretKey,
    to: &[Recipient],
    seed: &'static str,
) -> Vec<u8> {
    let sources = parts.iter().map(|(_, plain)| Box::new(*plain) as Box<dyn Read>).collect();
    let package = Package { stub: STUB, manifest, sources, recipients: to };
    let mut out = Cursor::new(Vec::new());
    package.write(&mut out, key, &mut SeededRng::new(seed)).unwrap();
    out.into_inner()
}

/// A sealed resource of these parts, for the server's identity.
pub(crate) fn seal(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let sizes: Vec<_> = parts.iter().map(|(part, plain)| (*part, plain.len() as u64)).collect();
    let key = publisher();
    seal_as(manifest(&sizes, &key), parts, &key, &[*server().recipient()], "seal")
}

#[test]
fn every_size_comes_back() {
    let chunk = age::CHUNK_LEN;
    // Around a chunk, around a block (whose border lies inside a chunk), and several blocks.
    let mib = BLOCK as usize;
    let sizes = [0, 1, 15, chunk - 1, chunk, chunk + 1, mib - 272, mib - 273, mib - 271, mib, 3 * mib + 5];
    for size in sizes {
        let plain = bytes(size);
        let file = seal(&[("code", &plain), ("picture", &plain)]);
        let sealed = Sealed::open(file).unwrap();
        sealed.verify_blocks().unwrap();
        let key = sealed.unwrap_key(&name("code"), [&server()]).unwrap();
        assert!(*sealed.read_code(&name("code"), &key).unwrap() == plain, "code of {size} bytes");
        let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
        let mut part = sealed.part(&name("picture"), &key).unwrap();
        assert_eq!(part.size(), size as u64);
        let mut read = Vec::new();
        part.read_to_end(&mut read).unwrap();
        assert!(read == plain, "asset of {size} bytes");
    }
}

#[test]
fn a_part_is_read_anywhere_by_several_readers_at_once() {
    let plain = bytes(2 * BLOCK as usize + 12_345);
    let sealed = Sealed::open(seal(&[("picture", &plain)])).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    std::thread::scope(|scope| {
        for reader in 0..4_usize {
            let mut part = sealed.part(&name("picture"), &key).unwrap();
            let plain = &plain;
            scope.spawn(move || {
                for step in 0..40 {
                    let offset = (step * 52_361 + reader * 777_777) % plain.len();
                    let mut out = vec![0; 70_000];
                    let read = part.read_at(offset as u64, &mut out).unwrap();
                    assert_eq!(read, out.len().min(plain.len() - offset));
                    assert!(out[..read] == plain[offset..offset + read], "{offset}");
                }
            });
        }
    });
    let mut part = sealed.part(&name("picture"), &key).unwrap();
    assert_eq!(part.read_at(plain.len() as u64, &mut [0; 8]).unwrap(), 0);
    assert_eq!(part.read_at(u64::MAX, &mut [0; 8]).unwrap(), 0);
    part.seek(SeekFrom::End(-3)).unwrap();
    let mut end = Vec::new();
    part.read_to_end(&mut end).unwrap();
    assert_eq!(end, plain[plain.len() - 3..]);
}

#[test]
fn a_part_outlives_the_value_it_came_from() {
    let sealed = Sealed::open(Seeking::new(Cursor::new(seal(&[("picture", b"a lake")])))).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    let part = sealed.part(&name("picture"), &key).unwrap();
    drop(sealed);
    let read = std::thread::spawn(move || io::read_to_string(part).unwrap());
    assert_eq!(read.join().unwrap(), "a lake");
}

#[test]
fn many_parts_stand_in_the_manifests_order() {
    let names: Vec<String> = (0..64).map(|at| format!("p{at}")).collect();
    let plains: Vec<Vec<u8>> = (0..64).map(|at| bytes(at * 7)).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().zip(&plains).map(|(n, p)| (n.as_str(), p.as_slice())).collect();
    let sealed = Sealed::open(seal(&parts)).unwrap();
    for (part, plain) in parts {
        let key = sealed.unwrap_key(&name(part), [&server()]).unwrap();
        let mut read = Vec::new();
        sealed.part(&name(part), &key).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, plain);
    }
}

#[test]
fn an_asset_is_not_taken_for_code_and_a_missing_part_is_named() {
    let sealed = Sealed::open(seal(&[("picture", b"not code")])).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    assert!(matches!(sealed.read_code(&name("picture"), &key), Err(SealedError::NotCode(_))));
    assert!(
        matches!(sealed.check_key(&name("video"), &key), Err(SealedError::NoSuchPart(part)) if part == name("video"))
    );
}

#[test]
fn writing_begins_where_the_output_stands_and_ends_after_the_last_byte() {
    let key = publisher();
    let recipient = [*server().recipient()];
    let package = Package {
        stub: STUB,
        manifest: manifest(&[("picture", 6)], &key),
        sources: vec![Box::new(&b"a lake"[..])],
        recipients: &recipient,
    };
    let mut out = Cursor::new(b"before".to_vec());
    out.seek(SeekFrom::End(0)).unwrap();
    let signed = package.write(&mut out, &key, &mut SeededRng::new("seal")).unwrap();
    assert_eq!(out.position(), out.get_ref().len() as u64);
    let file = out.into_inner().split_off(6);
    assert!(file == seal(&[("picture", b"a lake")]));
    assert_eq!(Sealed::open(file).unwrap().digest(), signed.digest());
}

#[test]
fn a_source_that_changed_its_length_is_refused() {
    let key = publisher();
    let recipient = [*server().recipient()];
    let write = |announced: u64, there: usize| {
        let plain = bytes(there);
        let package = Package {
            stub: STUB,
            manifest: manifest(&[("picture", announced)], &key),
            sources: vec![Box::new(plain.as_slice())],
            recipients: &recipient,
        };
        let mut out = Cursor::new(Vec::new());
        let result = package.write(&mut out, &key, &mut SeededRng::new("seal"));
        (result.map(|_| ()), out.into_inner())
    };
    for (announced, there) in [(1, 0), (70_000, 69_999), (65_536, 65_535)] {
        let (result, file) = write(announced, there);
        assert!(matches!(result, Err(WriteError::Shorter { size, .. }) if size == announced));
        Sealed::open(file).expect_err("what was written until then opens");
    }
    for (announced, there) in [(0, 1), (1, 2), (65_536, 65_537), (65_535, 65_536), (10, 1_000_000)] {
        let (result, file) = write(announced, there);
        assert!(matches!(result, Err(WriteError::Longer { size, .. }) if size == announced), "{announced} {there}");
        Sealed::open(file).expect_err("what was written until then opens");
    }
    assert!(write(65_536, 65_536).0.is_ok());
}

#[test]
fn what_cannot_be_sealed_is_refused_before_a_byte_is_written() {
    let key = publisher();
    let sealed = seal(&[("picture", b"a lake")]);
    let recipient = [*server().recipient()];
    let write = |stub: &[u8], size: u64, sources: usize, recipients: &[Recipient]| {
        let sources = (0..sources).map(|_| Box::new(&b"a lake"[..]) as Box<dyn Read>).collect();
        let package = Package { stub, manifest: manifest(&[("picture", size)], &key), sources, recipients };
        package.write(&mut Cursor::new(Vec::new()), &key, &mut SeededRng::new("seal")).map(|_| ())
    };
    write(STUB, 6, 1, &recipient).unwrap();
    assert!(matches!(write(&sealed, 6, 1, &recipient), Err(WriteError::StubIsSealed)));
    assert!(matches!(write(b"\0asm\x01\0\0\0", 6, 1, &recipient), Err(WriteError::Stub(_))));
    assert!(matches!(write(&vec![0; 5 << 20], 6, 1, &recipient), Err(WriteError::Stub(_))));
    assert!(matches!(write(STUB, 6, 2, &recipient), Err(WriteError::Sources { sources: 2, parts: 1 })));
    assert!(matches!(write(STUB, 6, 1, &[]), Err(WriteError::Age(age::AgeError::NoRecipients))));
    // The plaintext fits in a section, what it becomes does not.
    assert!(matches!(write(STUB, u64::from(u32::MAX) - 64 * 1024, 1, &recipient), Err(WriteError::TooLarge { .. })));
    assert!(matches!(write(STUB, 1 << 33, 1, &recipient), Err(WriteError::Manifest(_))));
}

#[test]
fn the_age_crate_opens_an_extracted_part() {
    let theirs = ::age::x25519::Identity::generate();
    let ours: Recipient = theirs.to_public().to_string().parse().unwrap();
    let plain = bytes(200_000);
    let key = publisher();
    let draft = manifest(&[("picture", plain.len() as u64)], &key);
    let file = seal_as(draft, &[("picture", &plain)], &key, &[*server().recipient(), ours], "seal");
    let mut extracted = Vec::new();
    Sealed::open(file).unwrap().extract(&name("picture"), &mut extracted).unwrap();
    assert!(::age::decrypt(&theirs, &extracted).unwrap() == plain);
}

#[test]
fn a_countersignature_changes_the_manifest_alone() {
    let plain = bytes(100_000);
    let before = Sealed::open(seal(&[("code", &plain), ("picture", &plain)])).unwrap();
    let store = SecretKey::generate(&mut SeededRng::new("store"));
    let mut out = Vec::new();
    let signed = countersign(&before, "https://store.example".parse().unwrap(), &store, 7, &mut out).unwrap();
    let after = Sealed::open(out).unwrap();
    assert_eq!(after.digest(), before.digest());
    assert_eq!(after.signed().to_bytes(), signed.to_bytes());
    assert_eq!(after.signed().countersignatures().len(), 1);
    after.verify_blocks().unwrap();
    // Everything after the manifest is the same, byte for byte.
    let rest = before.source().len() - STUB.len() - before.signed().to_bytes().len() - 64;
    assert!(after.source().ends_with(&before.source()[before.source().len() - rest..]));
    // Renewed, not added; and a second store beside it.
    let mut renewed = Vec::new();
    countersign(&after, "https://store.example".parse().unwrap(), &store, 8, &mut renewed).unwrap();
    let renewed = Sealed::open(renewed).unwrap();
    assert_eq!(renewed.signed().countersignatures().len(), 1);
    let mut both = Vec::new();
    countersign(&renewed, "https://other.example".parse().unwrap(), &store, 9, &mut both).unwrap();
    assert_eq!(Sealed::open(both).unwrap().signed().countersignatures().len(), 2);
}

#[test]
fn a_damaged_file_is_not_countersigned() {
    let mut file = seal(&[("picture", &bytes(1000))]);
    *file.last_mut().unwrap() ^= 1;
    let sealed = Sealed::open(file).unwrap();
    let result = countersign(&sealed, "https://store.example".parse().unwrap(), &publisher(), 7, &mut Vec::new());
    assert!(matches!(result, Err(SealedError::Block { index: 0, .. })));
}

#[test]
fn a_recipient_is_added_and_the_digest_stays() {
    let before = Sealed::open(seal(&[("code", b"code"), ("picture", b"a lake")])).unwrap();
    let second = Identity::generate(&mut SeededRng::new("second"));
    let mut out = Vec::new();
    let mut rng = SeededRng::new("reheader");
    reheader(&before, &[*second.recipient()], |part| before.unwrap_key(part, [&server()]), &mut rng, &mut out).unwrap();
    let after = Sealed::open(out).unwrap();
    assert_eq!((after.digest(), after.signed().to_bytes()), (before.digest(), before.signed().to_bytes()));
    for identity in [&server(), &second] {
        let key = after.unwrap_key(&name("code"), [identity]).unwrap();
        assert_eq!(after.read_code(&name("code"), &key).unwrap().as_slice(), b"code");
    }
    before.unwrap_key(&name("code"), [&second]).expect_err("the second had it before");
    // Only who has the keys can.
    let wrong = |_: &PartName| Ok(FileKey::from_bytes([7; 16]));
    let result = reheader(&before, &[*second.recipient()], wrong, &mut rng, &mut Vec::new());
    assert!(matches!(result, Err(SealedError::Age { error: age::AgeError::HeaderMac, .. })));
}

/// Zeros without end, and how many were asked for at once.
struct Zeros {
    left: u64,
    most: usize,
}

impl Read for &mut Zeros {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.most = self.most.max(to.len());
        let read = to.len().min(usize::try_from(self.left).unwrap());
        to[..read].fill(0);
        self.left -= read as u64;
        Ok(read)
    }
}

/// Peak memory of this process, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Counts what is written, and keeps only the longest write.
struct Counting {
    file: std::fs::File,
    most: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.most = self.most.max(bytes.len());
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn a_large_asset_takes_little_memory() {
    const SIZE: u64 = 256 << 20;
    let key = publisher();
    let recipient = [*server().recipient()];
    let mut zeros = Zeros { left: SIZE, most: 0 };
    let mut out = Counting { file: tempfile::tempfile().unwrap(), most: 0 };
    let before = peak();
    let package = Package {
        stub: STUB,
        manifest: manifest(&[("picture", SIZE)], &key),
        sources: vec![Box::new(&mut zeros)],
        recipients: &recipient,
    };
    package.write(&mut out, &key, &mut SeededRng::new("seal")).unwrap();
    assert!(out.most <= 3 * BLOCK as usize, "wrote {} bytes at once", out.most);
    let sealed = Sealed::open(out.file).unwrap();
    sealed.verify_blocks().unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    let mut part = sealed.part(&name("picture"), &key).unwrap();
    for offset in [0, SIZE / 2 + 13, SIZE - 100] {
        let mut read = [1; 100];
        assert_eq!(part.read_at(offset, &mut read).unwrap(), 100);
        assert_eq!(read, [0; 100]);
    }
    drop(part);
    assert!(zeros.most <= 2 << 20, "asked for {} bytes at once", zeros.most);
    // Other tests may run in this process; together they stay far below the asset.
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 64 << 10, "memory grew by {} KiB for an asset of 256 MiB", after - before);
    }
}

#[test]
fn the_index_reads_neither_parts_nor_more_than_it_must() {
    /// Notes which bytes were read.
    struct Noting(Vec<u8>, std::sync::Mutex<Vec<bool>>);
    impl ReadAt for Noting {
        fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read_at(offset, to)?;
            self.1.lock().unwrap()[offset as usize..offset as usize + read].fill(true);
            Ok(read)
        }
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }
    }
    let file = seal(&[("picture", &bytes(1 << 20))]);
    let len = file.len();
    let sealed = Sealed::open(Noting(file, std::sync::Mutex::new(vec![false; len]))).unwrap();
    let read = sealed.source().1.lock().unwrap();
    // All but what stands in the payload, of which the head of the section shows the beginning at most.
    assert!(!read[len - (1 << 20)..].contains(&true));
}

#[test]
fn a_signed_manifest_says_what_was_written() {
    let plain = bytes(5000);
    let sealed = Sealed::open(seal(&[("code", &plain), ("picture", b"")])).unwrap();
    let again = SignedManifest::verify(&sealed.signed().to_bytes()).unwrap();
    assert_eq!(again.manifest(), sealed.manifest());
    assert_eq!(sealed.manifest().stub_digest, Digest::of(STUB));
    assert_eq!(sealed.stub(), STUB);
    assert_eq!(sealed.age_header(&name("code")).unwrap().recipient_count(), 1);
}
