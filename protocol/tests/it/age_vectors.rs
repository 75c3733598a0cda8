//! age's published test vectors: every file that should open does, every other is refused for the right reason.

use portcullis_protocol::age::{self, AgeError, ChunkCipher, Header, Identity, PayloadLayout, PayloadNonce};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A vector: what it says of itself, and the file.
struct Vector {
    name: String,
    fields: BTreeMap<String, String>,
    identities: Vec<Identity>,
    file: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/age")
}

fn load(path: &Path) -> Vector {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    let mut fields = BTreeMap::new();
    let mut identities = Vec::new();
    for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
        let (key, value) = line.split_once(": ").unwrap();
        if key == "identity" {
            identities.push(value.parse().unwrap());
        } else {
            fields.insert(key.to_owned(), value.to_owned());
        }
    }
    let body = &bytes[end + 2..];
    let file = match fields.get("compressed").map(String::as_str) {
        None => body.to_vec(),
        Some("zlib") => miniz_oxide::inflate::decompress_to_vec_zlib(body).unwrap(),
        Some(other) => panic!("{name}: unknown compression {other}"),
    };
    Vector { name, fields, identities, file }
}

fn vectors() -> Vec<Vector> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let data = entries.filter(|path| path.extension().is_none() && !path.ends_with(".gitattributes"));
    let mut vectors: Vec<_> = data.map(|path| load(&path)).collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

fn open(vector: &Vector) -> Result<Vec<u8>, AgeError> {
    let (header, len) = Header::parse(&vector.file)?;
    let file_key = header.unwrap_file_key(&vector.identities)?;
    let payload = &vector.file[len..];
    // By the cipher of this build, which may be the fast one, and by the portable one.
    let opened = age::open_payload(&file_key, payload);
    let portable = age::open_payload_with(payload, |nonce| ChunkCipher::portable(&file_key, nonce));
    assert_eq!(opened, portable, "{}: the ciphers disagree", vector.name);
    Ok(opened?.to_vec())
}

#[test]
fn every_vector_is_judged_as_published() {
    let mut judged = BTreeMap::<String, usize>::new();
    for vector in vectors() {
        let (name, outcome) = (&vector.name, open(&vector));
        let expected = vector.fields["expect"].as_str();
        if vector.fields.contains_key("armored") {
            assert_eq!(outcome, Err(AgeError::NotAge), "{name}");
        } else if vector.fields.contains_key("passphrase") {
            assert_eq!(outcome, Err(AgeError::Passphrase), "{name}");
        } else {
            match (expected, &outcome) {
                ("success", Ok(plain)) => {
                    let digest: String = Sha256::digest(plain).iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(digest, vector.fields["payload"], "{name}");
                }
                ("no match", Err(AgeError::NoMatch)) | ("HMAC failure", Err(AgeError::HeaderMac)) => {}
                (
                    "header failure",
                    Err(
                        AgeError::NotAge
                        | AgeError::HeaderTruncated
                        | AgeError::MalformedHeader { .. }
                        | AgeError::LowOrderPoint,
                    ),
                ) => {}
                // The vectors count the nonce to the header; here it belongs to the payload.
                ("header failure", Err(AgeError::PayloadLength)) => {
                    assert!(["stream_no_nonce", "stream_short_nonce"].contains(&name.as_str()), "{name}");
                }
                ("payload failure", Err(AgeError::PayloadLength | AgeError::Chunk { .. })) => {}
                _ => panic!("{name}: expected {expected}, got {:?}", outcome.map(|plain| plain.len())),
            }
        }
        *judged.entry(expected.to_owned()).or_default() += 1;
    }
    // None was overlooked.
    let judged: Vec<_> = judged.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(
        judged,
        [("HMAC failure", 1), ("header failure", 32), ("no match", 3), ("payload failure", 18), ("success", 16)]
    );
}

#[test]
fn a_parsed_header_encodes_to_the_bytes_it_was_read_from() {
    let mut checked = 0;
    for vector in vectors() {
        if let Ok((header, len)) = Header::parse(&vector.file) {
            assert_eq!(header.to_bytes(), vector.file[..len], "{}", vector.name);
            let mut reader = &vector.file[..];
            assert_eq!(Header::read(&mut reader).unwrap(), header, "{}", vector.name);
            assert_eq!(reader, &vector.file[len..], "{}: the reader stands at the payload", vector.name);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn sealing_again_gives_the_published_payload() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector.fields["expect"] == "success") {
        let Ok(plain) = open(vector) else { continue };
        let (header, len) = Header::parse(&vector.file).unwrap();
        let file_key = header.unwrap_file_key(&vector.identities).unwrap();
        let payload = &vector.file[len..];
        let nonce = PayloadNonce::from_bytes(payload[..16].try_into().unwrap());
        assert!(age::seal_payload(&file_key, &nonce, &plain) == payload, "{}", vector.name);
        assert_eq!(PayloadLayout::of_payload(payload.len() as u64).unwrap().plain_len(), plain.len() as u64);
        checked += 1;
    }
    assert_eq!(checked, 14);
}
