//! Attempts to have a sealed resource accepted that its publisher did not make. Each attack stands beside the honest
//! file, which is accepted.

use crate::sealed::{STUB, bytes, manifest, name, publisher, seal, seal_as, server};
use crate::seeded::SeededRng;
use portcullis_protocol::age::{self, FileKey, Identity, seal_payload};
use portcullis_protocol::encoding::{Octets, base64url, from_base64url};
use portcullis_protocol::sealed::{BindingOf, Defect, Sealed, SealedError, binding, check_binding, commitment};
use portcullis_protocol::{SecretKey, SignedManifest, Version};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The stage that refuses. Nothing after these could compile what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stage {
    Open,
    Blocks,
    Key,
    Parts,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Blocks => "blocks",
            Self::Key => "key",
            Self::Parts => "parts",
        }
    }
}

/// What a terminal does until it has a body that it could compile, with the key unwrapped or released.
fn load(
    file: &[u8],
    key_of: impl Fn(&Sealed<&[u8]>, &str) -> Result<FileKey, SealedError>,
) -> Result<(), (Stage, SealedError)> {
    let sealed = Sealed::open(file).map_err(|error| (Stage::Open, error))?;
    sealed.verify_blocks().map_err(|error| (Stage::Blocks, error))?;
    for part in &sealed.manifest().parts {
        let key = key_of(&sealed, part.name.as_str()).map_err(|error| (Stage::Key, error))?;
        sealed.check_key(&part.name, &key).map_err(|error| (Stage::Key, error))?;
        let read = match part.kind {
            portcullis_protocol::PartKind::Code => sealed.read_code(&part.name, &key).map(|_| ()),
            portcullis_protocol::PartKind::Asset => sealed.part(&part.name, &key).and_then(|mut part| {
                std::io::copy(&mut part, &mut std::io::sink()).map(|_| ()).map_err(SealedError::from_io)
            }),
        };
        read.map_err(|error| (Stage::Parts, error))?;
    }
    Ok(())
}

fn load_as_server(file: &[u8]) -> Result<(), (Stage, SealedError)> {
    let server = server();
    load(file, |sealed, part| sealed.unwrap_key(&name(part), [&server]))
}

const PARTS: [(&str, &[u8]); 2] = [("code", b"the body of the resource"), ("picture", b"a lake")];

/// A small resource with everything in it: two parts, two recipients, two stores.
fn small() -> Vec<u8> {
    let key = publisher();
    let sizes = PARTS.map(|(part, plain)| (part, plain.len() as u64));
    let recipients = [*server().recipient(), *Identity::generate(&mut SeededRng::new("second")).recipient()];
    let file = seal_as(manifest(&sizes, &key), &PARTS, &key, &recipients, "small");
    let store = SecretKey::generate(&mut SeededRng::new("store"));
    let mut file = Sealed::open(file).unwrap();
    for origin in ["https://store.example", "https://other.example"] {
        let mut out = Vec::new();
        portcullis_protocol::sealed::countersign(&file, origin.parse().unwrap(), &store, 7, &mut out).unwrap();
        file = Sealed::open(out).unwrap();
    }
    file.source().clone()
}

/// The keys as a grant releases them.
fn released() -> impl Fn(&Sealed<&[u8]>, &str) -> Result<FileKey, SealedError> {
    let honest = Sealed::open(small()).unwrap();
    let keys = PARTS.map(|(part, _)| (part, honest.unwrap_key(&name(part), [&server()]).unwrap()));
    move |_, part| Ok(keys.iter().find(|(name, _)| *name == part).unwrap().1.clone())
}

#[test]
fn every_change_of_one_byte_is_refused_before_anything_could_be_compiled() {
    let honest = small();
    let released = released();
    load_as_server(&honest).unwrap();
    load(&honest, &released).unwrap();
    let mut refused_at = std::collections::BTreeSet::new();
    for at in 0..honest.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut file = honest.clone();
            file[at] ^= flip;
            let (stage, _) =
                load_as_server(&file).expect_err(&format!("byte {at} ^ {flip:#x}: accepted by the server"));
            load(&file, &released).expect_err(&format!("byte {at} ^ {flip:#x}: accepted by a terminal"));
            refused_at.insert(stage);
        }
    }
    // Headers are refused with the key, payloads by their blocks, all else at once; nothing gets as far as the parts.
    assert_eq!(refused_at.into_iter().collect::<Vec<_>>(), [Stage::Open, Stage::Blocks, Stage::Key]);
}

#[test]
fn every_truncation_and_every_appended_byte_is_refused() {
    let honest = small();
    for len in 0..honest.len() {
        let (stage, _) = load_as_server(&honest[..len]).expect_err(&format!("cut to {len} bytes"));
        assert_eq!(stage, Stage::Open, "cut to {len} bytes");
    }
    for appended in [&b"\0"[..], b"\0\x02\x01x", b"\x01\0", &honest] {
        let file = [&honest, appended].concat();
        assert!(matches!(Sealed::open(file), Err(SealedError::Structure { defect: Defect::Trailing, .. })));
    }
}

/// One section of a file: where it begins, its name, where its data begins, where it ends.
#[derive(Debug, Clone)]
struct Part {
    start: usize,
    name: String,
    data: usize,
    end: usize,
}

/// Reads the sections with no help from the crate.
fn sections(file: &[u8]) -> Vec<Part> {
    let leb = |mut at: usize| {
        let (mut number, mut shift) = (0_usize, 0);
        loop {
            number |= usize::from(file[at] & 0x7f) << shift;
            shift += 7;
            at += 1;
            if file[at - 1] & 0x80 == 0 {
                return (number, at);
            }
        }
    };
    let (mut at, mut found) = (8, Vec::new());
    while at < file.len() {
        let start = at;
        assert_eq!(file[at], 0, "these files hold custom sections only");
        let (size, content) = leb(at + 1);
        let (name_len, name) = leb(content);
        at = content + size;
        let data = name + name_len;
        found.push(Part { start, name: String::from_utf8(file[name..data].to_vec()).unwrap(), data, end: at });
    }
    found
}

fn find(file: &[u8], name: &str) -> Part {
    sections(file).into_iter().find(|section| section.name == name).unwrap()
}

fn minimal(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn padded(number: usize) -> Vec<u8> {
    let mut bytes = minimal(number);
    *bytes.last_mut().unwrap() |= 0x80;
    bytes.push(0);
    bytes
}

fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    let inside = [minimal(name.len()), name.as_bytes().to_vec(), data.to_vec()].concat();
    [vec![0], minimal(inside.len()), inside].concat()
}

fn replace(file: &[u8], section: &Part, with: &[u8]) -> Vec<u8> {
    [&file[..section.start], with, &file[section.end..]].concat()
}

fn rename(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let section = find(file, from);
    replace(file, &section, &custom(to, &file[section.data..section.end]))
}

fn insert(file: &[u8], before: &str, bytes: &[u8]) -> Vec<u8> {
    let at = find(file, before).start;
    [&file[..at], bytes, &file[at..]].concat()
}

fn swap(file: &[u8], first: &str, second: &str) -> Vec<u8> {
    let (a, b) = (find(file, first), find(file, second));
    [&file[..a.start], &file[b.start..b.end], &file[a.end..b.start], &file[a.start..a.end], &file[b.end..]].concat()
}

/// Files made by tampering with the small one, each named after its defect.
fn tampered() -> Vec<(&'static str, Stage, Vec<u8>)> {
    let honest = small();
    let whole = |section: &Part| honest[section.start..section.end].to_vec();
    let [m, bc, pc] = ["portcullis:manifest", "portcullis:blocks/code", "portcullis:part/code"];
    let manifest_data = honest[find(&honest, m).data..find(&honest, m).end].to_vec();
    let part = find(&honest, pc);
    let header_len = find_header(&honest, &part);
    let payload = part.data + header_len;
    let changed = |at: usize| {
        let mut file = honest.clone();
        file[at] ^= 1;
        file
    };
    let with_manifest = |data: &[u8]| replace(&honest, &find(&honest, m), &custom(m, data));
    let json = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&manifest_data).unwrap();
        change(&mut value);
        with_manifest(&serde_json::to_vec(&value).unwrap())
    };
    let overlong_size = {
        let content = [minimal(m.len()), m.as_bytes().to_vec(), manifest_data.clone()].concat();
        replace(&honest, &find(&honest, m), &[vec![0], padded(content.len()), content].concat())
    };
    let overlong_name = {
        let content = [padded(pc.len()), pc.as_bytes().to_vec(), honest[part.data..part.end].to_vec()].concat();
        replace(&honest, &part, &[vec![0], minimal(content.len()), content].concat())
    };
    let thief = SecretKey::generate(&mut SeededRng::new("thief"));
    vec![
        ("not-a-component", Stage::Open, [b"\0asm\x01\0\0\0", &honest[8..]].concat()),
        ("no-manifest", Stage::Open, STUB.to_vec()),
        ("empty-file", Stage::Open, Vec::new()),
        ("stub-changed", Stage::Open, changed(12)),
        ("stub-section-added", Stage::Open, insert(&honest, m, &custom("added", b""))),
        ("section-between", Stage::Open, insert(&honest, bc, &custom("added", b""))),
        ("unknown-section-of-ours", Stage::Open, insert(&honest, m, &custom("portcullis:extra", b""))),
        ("second-manifest", Stage::Open, insert(&honest, bc, &whole(&find(&honest, m)))),
        ("second-manifest-at-the-end", Stage::Open, [honest.clone(), whole(&find(&honest, m))].concat()),
        ("part-twice", Stage::Open, insert(&honest, "portcullis:blocks/picture", &whole(&part))),
        ("part-missing", Stage::Open, replace(&honest, &part, b"")),
        (
            "parts-in-another-order",
            Stage::Open,
            swap(&swap(&honest, pc, "portcullis:part/picture"), bc, "portcullis:blocks/picture"),
        ),
        ("part-renamed", Stage::Open, rename(&honest, pc, "portcullis:part/kode")),
        ("parts-exchanged", Stage::Open, {
            let picture = find(&honest, "portcullis:part/picture");
            let file = replace(&honest, &picture, &custom("portcullis:part/picture", &honest[part.data..part.end]));
            replace(&file, &part, &custom(pc, &honest[picture.data..picture.end]))
        }),
        ("trailing-byte", Stage::Open, [honest.clone(), vec![0]].concat()),
        ("overlong-section-length", Stage::Open, overlong_size),
        ("overlong-name-length", Stage::Open, overlong_name),
        ("section-name-too-long", Stage::Open, insert(&honest, m, &custom(&"x".repeat(257), b""))),
        ("manifest-with-a-space", Stage::Open, with_manifest(&[b" ", manifest_data.as_slice()].concat())),
        ("manifest-without-signature", Stage::Open, json(&|value| value["signatures"] = json!([]))),
        (
            "manifest-signed-by-another",
            Stage::Open,
            json(&|value| {
                let text = format!(
                    "{}.{}",
                    value["signatures"][0]["protected"].as_str().unwrap(),
                    value["payload"].as_str().unwrap()
                );
                value["signatures"][0]["signature"] = thief.sign(text.as_bytes()).to_string().into();
            }),
        ),
        (
            "manifest-with-another-title",
            Stage::Open,
            json(&|value| {
                let payload = from_base64url(value["payload"].as_str().unwrap()).unwrap();
                let payload = String::from_utf8(payload).unwrap().replace("Alpine lake", "Alpine pond");
                value["payload"] = base64url(payload.as_bytes()).into();
            }),
        ),
        (
            "countersignature-that-does-not-verify",
            Stage::Open,
            json(&|value| {
                let first = value["signatures"][0]["signature"].clone();
                value["signatures"][2]["signature"] = first;
            }),
        ),
        ("block-digest-changed", Stage::Open, changed(find(&honest, bc).data)),
        ("block-list-too-long", Stage::Open, {
            let list = find(&honest, bc);
            replace(&honest, &list, &custom(bc, &[&honest[list.data..list.end], &[0; 32]].concat()))
        }),
        ("payload-shorter", Stage::Open, replace(&honest, &part, &custom(pc, &honest[part.data..part.end - 1]))),
        (
            "payload-longer",
            Stage::Open,
            replace(&honest, &part, &custom(pc, &[&honest[part.data..part.end], b"x"].concat())),
        ),
        ("age-version", Stage::Open, changed(part.data + 20)),
        ("age-stanza-changed", Stage::Key, changed(part.data + 40)),
        ("age-mac-changed", Stage::Key, changed(payload - 20)),
        ("age-recipient-removed", Stage::Key, {
            let header = &honest[part.data..payload];
            let second = header.windows(3).rposition(|window| window == b"-> ").unwrap();
            let mac = header.windows(4).rposition(|window| window == b"--- ").unwrap();
            let file = [&header[..second], &header[mac..], &honest[payload..part.end]].concat();
            replace(&honest, &part, &custom(pc, &file))
        }),
        ("age-recipient-of-another-type", Stage::Open, {
            let (version, rest) = honest[part.data..part.end].split_at(22);
            replace(&honest, &part, &custom(pc, &[version, b"-> other x\n\n", rest].concat()))
        }),
        ("nonce-changed", Stage::Blocks, changed(payload)),
        ("ciphertext-changed", Stage::Blocks, changed(payload + 16)),
        ("tag-changed", Stage::Blocks, changed(part.end - 1)),
    ]
}

fn find_header(file: &[u8], part: &Part) -> usize {
    age::Header::parse(&file[part.data..part.end]).unwrap().1
}

fn vectors() -> Value {
    let honest = small();
    let sealed = Sealed::open(honest.clone()).unwrap();
    let part = |(part, plain): (&str, &[u8])| {
        let entry = sealed.manifest().part(&name(part)).unwrap();
        let key = sealed.unwrap_key(&name(part), [&server()]).unwrap();
        json!({
            "name": part,
            "file_key": base64url(key.expose()),
            "plaintext": base64url(plain),
            "commitment": entry.commitment,
            "binding": entry.binding,
        })
    };
    let negative = tampered().into_iter();
    let negative =
        negative.map(|(name, stage, file)| json!({"name": name, "refused_at": stage.name(), "file": base64url(&file)}));
    json!({
        "about": "Sealed resources (docs/protocol.md section 12). A case refused at `open` breaks sections, manifest, stub, \
                  block lists or the form of an age header; at `blocks`, a block differs from its digest; at `key`, the \
                  header's MAC or the part's binding does not fit the file key.",
        "publisher_seed": base64url(&*publisher().to_seed()),
        "identity": server().expose_text().as_str(),
        "positive": [{
            "name": "two-parts-two-recipients-two-stores",
            "file": base64url(&honest),
            "stub": base64url(STUB),
            "digest": sealed.digest(),
            "parts": PARTS.map(part),
        }],
        "negative": negative.collect::<Vec<_>>(),
    })
}

fn vector_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/sealed.json")
}

#[test]
fn the_vectors_are_stable_and_hold() {
    let path = vector_file();
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("PORTCULLIS_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(stored == made, "sealed.json changed; if that is meant, write it with PORTCULLIS_WRITE_VECTORS=1");

    let vectors: Value = serde_json::from_str(&stored).unwrap();
    let file = |case: &Value| from_base64url(case["file"].as_str().unwrap()).unwrap();
    for case in vectors["positive"].as_array().unwrap() {
        load_as_server(&file(case)).unwrap();
    }
    let negative = vectors["negative"].as_array().unwrap();
    assert!(negative.len() > 30);
    for case in negative {
        let (stage, error) = load_as_server(&file(case)).expect_err(case["name"].as_str().unwrap());
        assert_eq!(stage.name(), case["refused_at"], "{}: {error}", case["name"]);
    }
}

#[test]
fn defects_are_named() {
    let tampered = tampered();
    let defect = |wanted: &str| {
        let (_, _, file) = tampered.iter().find(|(name, ..)| *name == wanted).unwrap();
        match Sealed::open(file.as_slice()) {
            Err(SealedError::Structure { defect, .. }) => defect,
            other => panic!("{wanted}: {other:?}"),
        }
    };
    assert_eq!(defect("not-a-component"), Defect::NotAComponent);
    assert_eq!(defect("no-manifest"), Defect::NotSealed);
    assert_eq!(defect("trailing-byte"), Defect::Trailing);
    assert_eq!(defect("second-manifest-at-the-end"), Defect::Trailing);
    assert_eq!(defect("overlong-section-length"), Defect::LengthOverlong);
    assert_eq!(defect("overlong-name-length"), Defect::LengthOverlong);
    assert_eq!(defect("section-name-too-long"), Defect::NameTooLong);
    assert_eq!(defect("block-list-too-long"), Defect::BlockListLength);
    let out_of_place =
        |expected: &str, found: &str| Defect::OutOfPlace { expected: expected.into(), found: found.into() };
    assert_eq!(defect("second-manifest"), out_of_place("portcullis:blocks/code", "`portcullis:manifest`"));
    assert_eq!(defect("unknown-section-of-ours"), out_of_place("portcullis:manifest", "`portcullis:extra`"));
    assert_eq!(defect("section-between"), out_of_place("portcullis:blocks/code", "`added`"));
    let (_, _, stub) = tampered.iter().find(|(name, ..)| *name == "stub-section-added").unwrap();
    assert!(matches!(Sealed::open(stub.as_slice()), Err(SealedError::StubDigest)));
}

#[test]
fn a_stub_without_end_is_refused_without_being_read() {
    let honest = small();
    let at = find(&honest, "portcullis:manifest").start;
    let many: Vec<u8> = std::iter::repeat_n(b"\0\x02\x01x", 10_001).flatten().copied().collect();
    let file = [&honest[..at], &many, &honest[at..]].concat();
    assert!(matches!(Sealed::open(file), Err(SealedError::Structure { defect: Defect::TooManySections, .. })));
    let file = [&honest[..at], &custom("large", &vec![0; 5 << 20]), &honest[at..]].concat();
    assert!(matches!(Sealed::open(file), Err(SealedError::Structure { defect: Defect::StubTooLong, .. })));
}

/// A part lifted into another publisher's resource: he cannot read it, but would have the server open it for him.
#[test]
fn a_part_lifted_into_another_publishers_resource_is_refused_by_its_binding() {
    let honest = seal(&PARTS);
    load_as_server(&honest).unwrap();
    let victim = Sealed::open(honest.clone()).unwrap();
    let thief = SecretKey::generate(&mut SeededRng::new("thief"));
    // Everything as in the original, bindings too, under the thief's name and signature: it opens.
    let mut stolen = victim.manifest().clone();
    stolen.publisher.jwk = thief.public().clone();
    let signed = SignedManifest::sign(stolen, &thief).unwrap();
    let section = find(&honest, "portcullis:manifest");
    let file = replace(&honest, &section, &custom("portcullis:manifest", &signed.to_bytes()));
    let (stage, error) = load_as_server(&file).unwrap_err();
    assert_eq!(stage, Stage::Key);
    assert!(matches!(error, SealedError::Binding { .. }), "{error}");
    // A terminal that was granted the key of the original finds out as well, whoever sent the file.
    let (part, identity) = (name(PARTS[0].0), server());
    let key = victim.unwrap_key(&part, [&identity]).unwrap();
    let lifted = Sealed::open(file).unwrap();
    assert!(matches!(lifted.check_key(&part, &key), Err(SealedError::Binding { .. })));
    assert!(matches!(lifted.read_code(&part, &key), Err(SealedError::Binding { .. })));
    victim.check_key(&part, &key).expect("the control");
    victim.read_code(&part, &key).expect("the control");
}

/// The same publisher's parts do not move between his versions either.
#[test]
fn a_part_swapped_between_packages_is_refused() {
    let key = publisher();
    let sizes = PARTS.map(|(part, plain)| (part, plain.len() as u64));
    let first = seal(&PARTS);
    let mut draft = manifest(&sizes, &key);
    draft.version = Version::new(2, 0, 0);
    let second = seal_as(draft, &PARTS, &key, &[*server().recipient()], "second");
    load_as_server(&first).unwrap();
    load_as_server(&second).unwrap();
    let take = |file: &[u8], name: &str| file[find(file, name).start..find(file, name).end].to_vec();
    // The part alone: its blocks are others.
    let file = replace(&second, &find(&second, "portcullis:part/code"), &take(&first, "portcullis:part/code"));
    let (stage, error) = load_as_server(&file).unwrap_err();
    assert_eq!(stage, Stage::Blocks, "{error}");
    // With its block list: not the one committed to.
    let file = replace(&file, &find(&file, "portcullis:blocks/code"), &take(&first, "portcullis:blocks/code"));
    assert!(matches!(load_as_server(&file), Err((Stage::Open, SealedError::Commitment { .. }))));
    // The publisher himself signs the old part into the new version: then the binding is not its own.
    let mut moved = Sealed::open(second.clone()).unwrap().manifest().clone();
    let old = Sealed::open(first.clone()).unwrap().manifest().parts[0].clone();
    moved.parts[0] = old;
    let signed = SignedManifest::sign(moved, &key).unwrap();
    let file = replace(&file, &find(&file, "portcullis:manifest"), &custom("portcullis:manifest", &signed.to_bytes()));
    assert!(matches!(load_as_server(&file), Err((Stage::Key, SealedError::Binding { .. }))));
}

/// Who was once granted the key can encrypt with it. What he makes is not what the publisher signed.
#[test]
fn a_block_forged_with_a_known_key_is_refused() {
    let honest = seal(&PARTS);
    let sealed = Sealed::open(honest.clone()).unwrap();
    let key = sealed.unwrap_key(&name("code"), [&server()]).unwrap();
    let part = find(&honest, "portcullis:part/code");
    let payload = part.data + find_header(&honest, &part);
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&honest[payload..payload + 16]);
    let forged = seal_payload(&key, &age::PayloadNonce::from_bytes(nonce), b"the body of another one!");
    let mut file = honest.clone();
    file[payload..part.end].copy_from_slice(&forged);
    // Control: it is a perfectly good age payload under the key.
    assert_eq!(age::open_payload(&key, &file[payload..part.end]).unwrap().as_slice(), b"the body of another one!");
    let refused = Sealed::open(file.as_slice()).unwrap().read_code(&name("code"), &key).map(|_| ());
    assert!(matches!(refused, Err(SealedError::Block { index: 0, .. })));
    // With a block list to match: not the one committed to.
    let blocks = find(&file, "portcullis:blocks/code");
    file[blocks.data..blocks.end].copy_from_slice(blake3::hash(&forged).as_bytes());
    assert!(matches!(Sealed::open(file), Err(SealedError::Commitment { .. })));
}

#[test]
fn reordered_chunks_are_refused_by_their_block() {
    let plain = bytes(200_000);
    let honest = seal(&[("picture", &plain)]);
    let part = find(&honest, "portcullis:part/picture");
    let first = part.data + find_header(&honest, &part) + 16;
    let mut file = honest.clone();
    let chunk = age::CHUNK_LEN + 16;
    let (a, b) = file[first..first + 2 * chunk].split_at_mut(chunk);
    a.swap_with_slice(b);
    let sealed = Sealed::open(file.as_slice()).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    assert!(matches!(sealed.part(&name("picture"), &key), Err(SealedError::Block { index: 0, .. })));
}

/// One block is damaged: only what lies in it is lost, and it is never given out.
#[test]
fn a_damaged_block_is_never_given_out_and_the_others_are() {
    let plain = bytes(4 << 20);
    let mut file = seal(&[("picture", &plain)]);
    let part = find(&file, "portcullis:part/picture");
    let payload = part.data + find_header(&file, &part);
    file[payload + (1 << 20) + 500_000] ^= 1;
    let sealed = Sealed::open(file).unwrap();
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    let mut reader = sealed.part(&name("picture"), &key).unwrap();
    let mut out = vec![0; 1000];
    let error = reader.read_at((1 << 20) + 400_000, &mut out).unwrap_err();
    assert!(matches!(error, SealedError::Block { index: 1, .. }), "{error}");
    assert!(out.iter().all(|byte| *byte == 0));
    reader.read_at(3 << 20, &mut out).unwrap();
    assert!(out == plain[3 << 20..][..1000]);
    assert!(matches!(sealed.verify_blocks(), Err(SealedError::Block { index: 1, .. })));
    assert!(matches!(sealed.extract(&name("picture"), &mut Vec::new()), Err(SealedError::Block { index: 1, .. })));
}

#[test]
fn a_key_of_another_part_is_refused() {
    let sealed = Sealed::open(seal(&PARTS)).unwrap();
    let other = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    assert!(matches!(
        sealed.read_code(&name("code"), &other).map(|_| ()),
        Err(SealedError::Age { error: age::AgeError::HeaderMac, .. })
    ));
    let stranger = Identity::generate(&mut SeededRng::new("stranger"));
    assert!(matches!(
        sealed.unwrap_key(&name("code"), [&stranger]),
        Err(SealedError::Age { error: age::AgeError::NoMatch, .. })
    ));
}

#[test]
fn a_binding_holds_for_exactly_what_it_was_made_for() {
    let key = FileKey::from_bytes([1; 16]);
    let (publisher, other) = (publisher().public().thumbprint(), SecretKey::from_seed(&[9; 32]).public().thumbprint());
    let (first, second): (portcullis_protocol::ResourceName, _) =
        ("alpine".parse().unwrap(), "alpines".parse().unwrap());
    let (v1, v2) = (Version::new(1, 0, 0), Version::new(1, 0, 1));
    let (full, preview) = (name("full"), name("preview"));
    let commitment = commitment(3, &[[0; 32]]);
    let of = BindingOf { publisher, name: &first, version: &v1, part: &full, commitment };
    let bound = binding(&key, &of);
    check_binding(&key, &of, &bound).unwrap();
    for changed in [
        BindingOf { publisher: other, ..of },
        BindingOf { name: &second, ..of },
        BindingOf { version: &v2, ..of },
        BindingOf { part: &preview, ..of },
        BindingOf { commitment: Octets([7; 32]), ..of },
    ] {
        assert!(matches!(check_binding(&key, &changed, &bound), Err(SealedError::Binding { .. })), "{changed:?}");
    }
    check_binding(&FileKey::from_bytes([2; 16]), &of, &bound).unwrap_err();
}

#[test]
fn commitments_tell_lengths_and_blocks_apart() {
    let (a, b) = ([1; 32], [2; 32]);
    let all = [
        commitment(10, &[a]),
        commitment(11, &[a]),
        commitment(10, &[b]),
        commitment(10, &[a, b]),
        commitment(10, &[b, a]),
        commitment(10, &[]),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[at + 1..].iter().all(|other| other != one));
    }
}
