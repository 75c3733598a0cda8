//! Key release: the vectors of RFC 9180, our own, and whoever wants a key that was not released to him.

use crate::seeded::SeededRng;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use portcullis_protocol::age::{AgeError, FileKey, Header, Identity};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::release::{self, KeyRelease, ReleaseError, ReleasePublicKey, ReleaseSecretKey};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const GRANT: &str = "eyJhbGciOiJFZERTQSJ9.eyJwYXJ0cyI6WyJmdWxsIiwidGh1bWJuYWlscyJdfQ.c2lnbmF0dXJl";
const OTHER_GRANT: &str = "eyJhbGciOiJFZERTQSJ9.eyJwYXJ0cyI6WyJmdWxsIiwidGh1bWJuYWlscyJdfQ.c2lnbmF0dXJm";

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name)
}

/// Gives out exactly the bytes it was given: the RFC states them.
struct Scripted(Vec<u8>);

impl TryRng for Scripted {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only whole keys are drawn")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only whole keys are drawn")
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.copy_from_slice(&self.0.drain(..to.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

#[test]
fn rfc_9180_appendix_a_2_1() {
    let text = std::fs::read_to_string(vector("hpke-rfc9180-a2.json")).unwrap();
    let vector: Value = serde_json::from_str(&text).unwrap();
    let hex = |value: &Value| -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let info = hex(&vector["info"]);
    let (secret, public) = X25519HkdfSha256::derive_keypair(&hex(&vector["ikmR"]));
    // The RFC prints the key before clamping.
    let printed = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&hex(&vector["skRm"])).unwrap();
    assert!(secret == printed);
    assert_eq!(public.to_bytes().as_slice(), hex(&vector["pkRm"]));
    let (enc, mut sender) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        &info,
        &mut Scripted(hex(&vector["ikmE"])),
    )
    .unwrap();
    assert_eq!(enc.to_bytes().as_slice(), hex(&vector["enc"]));
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&hex(&vector["enc"])).unwrap();
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeR::Base, &secret, &enc, &info).unwrap();
    let mut sequence = 0;
    for message in vector["encryptions"].as_array().unwrap() {
        let (plain, aad) = (hex(&message["pt"]), hex(&message["aad"]));
        while sequence < message["sequence"].as_u64().unwrap() {
            let skipped = sender.seal(b"skipped", b"").unwrap();
            receiver.open(&skipped, b"").unwrap();
            sequence += 1;
        }
        let sealed = sender.seal(&plain, &aad).unwrap();
        assert_eq!(sealed, hex(&message["ct"]), "message {sequence}");
        assert_eq!(receiver.open(&sealed, &aad).unwrap(), plain);
        sequence += 1;
    }
    assert_eq!(sequence, 257);
    for export in vector["exports"].as_array().unwrap() {
        let mut exported = [0; 32];
        receiver.export(&hex(&export["exporter_context"]), &mut exported).unwrap();
        assert_eq!(exported.as_slice(), hex(&export["exported_value"]));
    }
}

struct Case {
    terminal: ReleaseSecretKey,
    full: FileKey,
    thumbnails: FileKey,
    release: KeyRelease,
}

fn case() -> Case {
    let mut rng = SeededRng::new("release");
    let terminal = ReleaseSecretKey::generate(&mut rng);
    let (full, thumbnails) = (FileKey::generate(&mut rng), FileKey::generate(&mut rng));
    let keys = [("full", &full), ("thumbnails", &thumbnails)];
    let release = release::seal(&terminal.public(), GRANT, &keys, &mut rng).unwrap();
    Case { terminal, full, thumbnails, release }
}

/// The vectors that `tests/vectors/release.json` holds, made anew.
fn vectors() -> Value {
    let case = case();
    let good = serde_json::to_value(&case.release).unwrap();
    let keys = [("full", &case.full), ("thumbnails", &case.thumbnails)];
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut release = good.clone();
        change(&mut release);
        release
    };
    let flip = |value: &mut Value| {
        let text = value.as_str().unwrap();
        let first = if text.starts_with('A') { "B" } else { "A" };
        *value = format!("{first}{}", &text[1..]).into();
    };
    let open = |name: &str, grant: &str, release: Value| json!({"name": name, "refused_at": "open", "grant": grant, "release": release});
    let read =
        |name: &str, release: Value| json!({"name": name, "refused_at": "read", "grant": GRANT, "release": release});
    let other_terminal = {
        let mut rng = SeededRng::new("another terminal");
        let key = ReleaseSecretKey::generate(&mut rng).public();
        serde_json::to_value(release::seal(&key, GRANT, &keys, &mut rng).unwrap()).unwrap()
    };
    json!({
        "about": "Key release (docs/protocol.md): HPKE base mode, X25519-HKDF-SHA256, HKDF-SHA256, ChaCha20Poly1305. \
                  A case refused at `read` breaks the wire form; one refused at `open` is well-formed and does not open.",
        "terminal_secret": base64url(&*case.terminal.to_bytes()),
        "terminal_public": base64url(case.terminal.public().as_bytes()),
        "positive": [
            {
                "name": "two-parts",
                "grant": GRANT,
                "release": good,
                "keys": keys.map(|(part, key)| json!({"part": part, "key": base64url(key.expose())})),
            },
            {
                "name": "no-parts",
                "grant": GRANT,
                "release": release::seal(&case.terminal.public(), GRANT, &[], &mut SeededRng::new("none")).unwrap(),
                "keys": [],
            },
            {
                "name": "last-key-cut-off",
                "note": "opens, with fewer keys: the terminal compares the parts with those of the grant",
                "grant": GRANT,
                "release": changed(&|release| drop(release["keys"].as_array_mut().unwrap().pop())),
                "keys": [{"part": "full", "key": base64url(case.full.expose())}],
            },
        ],
        "negative": [
            open("another-grant", OTHER_GRANT, good.clone()),
            open("another-terminal", GRANT, other_terminal),
            open("renamed-part", GRANT, changed(&|release| release["keys"][0]["part"] = "preview".into())),
            open("swapped-names", GRANT, changed(&|release| {
                release["keys"][0]["part"] = "thumbnails".into();
                release["keys"][1]["part"] = "full".into();
            })),
            open("reordered-keys", GRANT, changed(&|release| release["keys"].as_array_mut().unwrap().reverse())),
            open("first-key-cut-off", GRANT, changed(&|release| drop(release["keys"].as_array_mut().unwrap().remove(0)))),
            open("flipped-key", GRANT, changed(&|release| flip(&mut release["keys"][1]["key"]))),
            open("flipped-encapsulation", GRANT, changed(&|release| flip(&mut release["enc"]))),
            open("low-order-encapsulation", GRANT, changed(&|release| release["enc"] = base64url(&[0; 32]).into())),
            read("unknown-suite", changed(&|release| release["suite"] = 2.into())),
            read("suite-as-text", changed(&|release| release["suite"] = "1".into())),
            read("no-suite", changed(&|release| drop(release.as_object_mut().unwrap().remove("suite")))),
            read("unknown-field", changed(&|release| release["alg"] = "none".into())),
            read("unknown-field-in-key", changed(&|release| release["keys"][0]["kid"] = "1".into())),
            read("duplicate-part", changed(&|release| release["keys"][1]["part"] = "full".into())),
            read("too-many-keys", changed(&|release| {
                let key = release["keys"][0]["key"].clone();
                release["keys"] = (0..65).map(|at| json!({"part": format!("p{at}"), "key": key})).collect();
            })),
            read("part-name-with-slash", changed(&|release| release["keys"][0]["part"] = "../full".into())),
            read("empty-part-name", changed(&|release| release["keys"][0]["part"] = "".into())),
            read("short-key", changed(&|release| release["keys"][0]["key"] = base64url(&[0; 31]).into())),
            read("long-key", changed(&|release| release["keys"][0]["key"] = base64url(&[0; 33]).into())),
            read("padded-base64", changed(&|release| release["enc"] = format!("{}=", release["enc"].as_str().unwrap()).into())),
            read("short-encapsulation", changed(&|release| release["enc"] = base64url(&[0; 31]).into())),
            read("non-canonical-base64", changed(&|release| {
                // 43 characters carry 258 bits; the last two must be zero.
                release["enc"] = format!("{}B", &base64url(&[0; 32])[..42]).into();
            })),
        ],
    })
}

#[test]
fn the_vectors_are_stable_and_hold() {
    let path = vector("release.json");
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("PORTCULLIS_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(stored == made, "release.json changed; if that is meant, write it with PORTCULLIS_WRITE_VECTORS=1");

    let vectors: Value = serde_json::from_str(&stored).unwrap();
    let key = case().terminal;
    for case in vectors["positive"].as_array().unwrap() {
        let release: KeyRelease = serde_json::from_value(case["release"].clone()).unwrap();
        let opened = release::open(&key, case["grant"].as_str().unwrap(), &release).unwrap();
        let opened: Vec<_> =
            opened.iter().map(|(part, key)| json!({"part": part, "key": base64url(key.expose())})).collect();
        assert_eq!(Value::from(opened), case["keys"], "{}", case["name"]);
        assert_eq!(serde_json::to_value(&release).unwrap(), case["release"], "{}", case["name"]);
    }
    for case in vectors["negative"].as_array().unwrap() {
        let name = &case["name"];
        match (case["refused_at"].as_str().unwrap(), serde_json::from_value::<KeyRelease>(case["release"].clone())) {
            ("read", read) => assert!(read.is_err(), "{name}"),
            ("open", Ok(release)) => {
                let opened = release::open(&key, case["grant"].as_str().unwrap(), &release);
                assert_eq!(opened, Err(ReleaseError::DoesNotOpen), "{name}");
            }
            (at, read) => panic!("{name}: {at}, {read:?}"),
        }
    }
}

#[test]
fn the_wire_form_is_small_and_plain() {
    let text = serde_json::to_string(&case().release).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(text.starts_with(r#"{"suite":1,"enc":""#), "{text}");
    assert_eq!(value["keys"][0]["part"], "full");
    assert_eq!(value["keys"][0]["key"].as_str().unwrap().len(), 43);
    assert_eq!(serde_json::from_str::<KeyRelease>(&text).unwrap(), case().release);
}

#[test]
fn what_cannot_be_released_is_refused() {
    let Case { terminal, full, .. } = case();
    let seal = |keys: &[(&str, &FileKey)]| release::seal(&terminal.public(), GRANT, keys, &mut SeededRng::new("x"));
    assert_eq!(seal(&[("full", &full), ("full", &full)]), Err(ReleaseError::DuplicatePart));
    assert_eq!(seal(&[("Full", &full)]), Err(ReleaseError::PartName));
    let names: Vec<_> = (0..65).map(|at| format!("p{at}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &full)).collect();
    assert_eq!(seal(&many), Err(ReleaseError::TooManyKeys));
    assert_eq!(release::open(&terminal, GRANT, &seal(&many[..64]).unwrap()).unwrap().len(), 64, "control");
    assert_eq!(ReleasePublicKey::from_bytes([0; 32]), Err(ReleaseError::LowOrderKey));
    assert!(serde_json::from_value::<ReleasePublicKey>(base64url(&[0; 32]).into()).is_err());
    let public = serde_json::to_value(terminal.public()).unwrap();
    assert_eq!(serde_json::from_value::<ReleasePublicKey>(public).unwrap(), terminal.public(), "control");
}

#[test]
fn a_key_of_another_part_is_caught_by_the_age_header() {
    let mut rng = SeededRng::new("headers");
    let Case { terminal, full, thumbnails, .. } = case();
    let server = Identity::generate(&mut rng);
    let header = Header::wrap(&full, &[*server.recipient()], &mut rng).unwrap();
    // A server that mixes up its keys.
    let keys = [("full", &thumbnails), ("thumbnails", &full)];
    let release = release::seal(&terminal.public(), GRANT, &keys, &mut rng).unwrap();
    let opened = release::open(&terminal, GRANT, &release).unwrap();
    assert_eq!(header.verify_mac(&opened[0].1), Err(AgeError::HeaderMac));
    assert_eq!(header.verify_mac(&opened[1].1), Ok(()), "control");
}

#[test]
fn two_releases_of_one_key_have_nothing_in_common() {
    let Case { terminal, full, .. } = case();
    let mut rng = SeededRng::new("twice");
    let mut seal = || {
        serde_json::to_value(release::seal(&terminal.public(), GRANT, &[("full", &full)], &mut rng).unwrap()).unwrap()
    };
    let (first, second) = (seal(), seal());
    assert_ne!(first["enc"], second["enc"]);
    assert_ne!(first["keys"][0]["key"], second["keys"][0]["key"]);
}

#[test]
fn the_secret_key_does_not_print() {
    let key = ReleaseSecretKey::from_bytes([0x5a; 32]);
    assert_eq!(format!("{key:?}"), "ReleaseSecretKey(redacted)");
    assert_eq!(*key.to_bytes(), [0x5a; 32]);
}
