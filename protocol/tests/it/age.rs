//! The age format against the `age` crate, and against whoever changes a file.

use crate::seeded::SeededRng;
use portcullis_protocol::age::{
    self as ours, AgeError, CHUNK_LEN, ChunkCipher, FileKey, Header, HeaderDefect, Identity, PayloadNonce,
    PayloadReader, PayloadWriter, ReadError, Recipient, encrypted_len,
};
use portcullis_protocol::limits::{MAX_AGE_HEADER, MAX_AGE_RECIPIENTS};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::io::{self, Cursor, Read, Write};

/// Around every edge of the chunks.
pub(crate) const SIZES: [usize; 13] = [
    0,
    1,
    15,
    16,
    CHUNK_LEN - 1,
    CHUNK_LEN,
    CHUNK_LEN + 1,
    2 * CHUNK_LEN - 1,
    2 * CHUNK_LEN,
    3 * CHUNK_LEN,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
];

pub(crate) fn rng() -> SeededRng {
    SeededRng::new("age")
}

pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at / 65_536) as u8).collect()
}

#[test]
fn the_age_crate_opens_what_we_write() {
    let theirs = age::x25519::Identity::generate();
    let recipient: Recipient = theirs.to_public().to_string().parse().unwrap();
    for size in SIZES {
        let plain = bytes(size);
        let file = ours::encrypt(&plain, &[recipient], &mut rng()).unwrap();
        assert!(age::decrypt(&theirs, &file).unwrap() == plain, "{size}");
    }
}

#[test]
fn we_open_what_the_age_crate_writes() {
    let identity = Identity::generate(&mut rng());
    let recipient: age::x25519::Recipient = identity.recipient().to_string().parse().unwrap();
    for size in SIZES {
        let plain = bytes(size);
        let file = age::encrypt(&recipient, &plain).unwrap();
        assert!(*ours::decrypt(&file, &identity).unwrap() == plain, "{size}");
        let mut reader = &file[..];
        let header = Header::read(&mut reader).unwrap();
        let file_key = header.unwrap_file_key([&identity]).unwrap();
        assert_eq!(reader.len() as u64, encrypted_len(size as u64).unwrap());
        let mut streamed = Vec::new();
        let start = (file.len() - reader.len()) as u64;
        let mut reader = PayloadReader::new(Cursor::new(&file), start, reader.len() as u64, &file_key).unwrap();
        assert_eq!(reader.plain_len(), size as u64);
        reader.read_to_end(&mut streamed).unwrap();
        assert!(streamed == plain, "{size}");
    }
}

#[test]
fn keys_are_written_as_the_age_crate_writes_them() {
    use age::secrecy::ExposeSecret;
    let theirs = age::x25519::Identity::generate();
    let identity: Identity = theirs.to_string().expose_secret().parse().unwrap();
    assert_eq!(identity.expose_text().as_str(), theirs.to_string().expose_secret());
    assert_eq!(identity.recipient().to_string(), theirs.to_public().to_string());
    assert_eq!(Identity::from_bytes(*identity.expose()).recipient(), identity.recipient());
}

#[test]
fn the_key_of_the_specification() {
    let text = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let identity: Identity = text.parse().unwrap();
    assert_eq!(identity.recipient().to_string(), "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
}

#[test]
fn keys_that_are_not_exactly_right_are_refused() {
    let identity = Identity::generate(&mut rng());
    let (secret, public) = (identity.expose_text(), identity.recipient().to_string());
    let refused = |text: &str| assert_eq!(text.parse::<Identity>().unwrap_err(), AgeError::BadIdentity);
    refused(&secret.to_lowercase());
    refused(&secret[..secret.len() - 1]);
    refused(&format!("{} ", *secret));
    refused(&public);
    refused("");
    let refused = |text: &str| assert_eq!(text.parse::<Recipient>().unwrap_err(), AgeError::BadRecipient);
    refused(&public.to_uppercase());
    refused(&public.replacen("age1", "agf1", 1));
    refused(&secret);
    for at in 0..public.len() {
        let mut wrong = public.clone().into_bytes();
        wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
        refused(std::str::from_utf8(&wrong).unwrap());
    }
    // The same data under the checksum of Bech32m, and with a padding bit set.
    let hrp = bech32::Hrp::parse("age").unwrap();
    refused(&bech32::encode::<bech32::Bech32m>(hrp, identity.recipient().as_bytes()).unwrap());
    let padded = {
        use bech32::{ByteIterExt, Fe32, Fe32IterExt};
        let mut symbols: Vec<Fe32> = identity.recipient().as_bytes().iter().copied().bytes_to_fes().collect();
        let last = symbols.pop().unwrap();
        symbols.push(Fe32::try_from(last.to_u8() | 1).unwrap());
        symbols.into_iter().with_checksum::<bech32::Bech32>(&hrp).chars().collect::<String>()
    };
    refused(&padded);
    assert!(public.parse::<Recipient>().is_ok() && secret.parse::<Identity>().is_ok(), "control");
}

#[test]
fn a_recipient_that_anyone_can_stand_for_is_refused() {
    let mut order_8 = [0; 32];
    order_8.copy_from_slice(&hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"));
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    for point in [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        order_8,
        p,
    ] {
        assert_eq!(Recipient::from_bytes(point), Err(AgeError::LowOrderPoint));
    }
    assert!(Recipient::from_bytes(*Identity::generate(&mut rng()).recipient().as_bytes()).is_ok(), "control");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn secrets_do_not_print() {
    let identity = Identity::generate(&mut rng());
    let file_key = FileKey::from_bytes([0x5a; 16]);
    let cipher = ChunkCipher::new(&file_key, &PayloadNonce::from_bytes([0; 16]));
    let mut writer = PayloadWriter::new(Vec::new(), &file_key, &PayloadNonce::from_bytes([0; 16])).unwrap();
    writer.write_all(&[90; 8]).unwrap();
    let printed = format!("{file_key:?} {identity:?} {cipher:?} {writer:?}");
    assert!(!printed.contains("90, 90") && !printed.to_lowercase().contains("5a5a"), "{printed}");
    assert!(!printed.contains("SECRET-KEY") && printed.matches("redacted").count() == 3, "{printed}");
}

#[test]
fn the_bytes_written_never_change_silently() {
    let mut rng = rng();
    let recipient = *Identity::generate(&mut rng).recipient();
    let file = ours::encrypt(&bytes(CHUNK_LEN + 1), &[recipient, recipient], &mut rng).unwrap();
    let digest: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "e49f6ed88d0a7c9a35cd05fca3acabe8068972a242ce264edf69ce331690a549");
}

#[test]
fn every_change_of_one_byte_is_refused() {
    let mut rng = rng();
    let (identity, other) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let file = ours::encrypt(b"a small file", &[*identity.recipient(), *other.recipient()], &mut rng).unwrap();
    assert_eq!(ours::decrypt(&file, &identity).unwrap().as_slice(), b"a small file", "control");
    for at in 0..file.len() {
        for by in 1..=255 {
            let mut changed = file.clone();
            changed[at] ^= by;
            assert!(ours::decrypt(&changed, &identity).is_err(), "byte {at} ^ {by:#04x}");
        }
    }
    for len in 0..file.len() {
        assert!(ours::decrypt(&file[..len], &identity).is_err(), "cut to {len}");
    }
    for byte in 0..=255 {
        let mut longer = file.clone();
        longer.push(byte);
        assert!(ours::decrypt(&longer, &identity).is_err(), "with {byte} appended");
    }
}

#[test]
fn each_recipient_opens_and_nobody_else() {
    let mut rng = rng();
    let identities: Vec<_> = (0..MAX_AGE_RECIPIENTS).map(|_| Identity::generate(&mut rng)).collect();
    let recipients: Vec<_> = identities.iter().map(|identity| *identity.recipient()).collect();
    let file = ours::encrypt(b"for all", &recipients, &mut rng).unwrap();
    for identity in &identities {
        assert_eq!(ours::decrypt(&file, identity).unwrap().as_slice(), b"for all");
    }
    let stranger = Identity::generate(&mut rng);
    assert_eq!(ours::decrypt(&file, &stranger), Err(AgeError::NoMatch));
    let header = Header::parse(&file).unwrap().0;
    assert!(header.unwrap_file_key([&stranger, &identities[7]]).is_ok(), "the second identity fits");
    assert_eq!((header.recipient_count(), header.is_x25519_only()), (MAX_AGE_RECIPIENTS, true));
}

#[test]
fn a_recipient_is_added_without_touching_the_payload() {
    let mut rng = rng();
    let (first, second) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let file = ours::encrypt(b"payload", &[*first.recipient()], &mut rng).unwrap();
    let (header, len) = Header::parse(&file).unwrap();
    let file_key = header.unwrap_file_key([&first]).unwrap();
    let wider = header.with_recipients(&file_key, &[*second.recipient()], &mut rng).unwrap();
    let moved = [&wider.to_bytes()[..], &file[len..]].concat();
    for identity in [&first, &second] {
        assert_eq!(ours::decrypt(&moved, identity).unwrap().as_slice(), b"payload");
    }
    let stranger = FileKey::generate(&mut rng);
    assert_eq!(header.with_recipients(&stranger, &[*second.recipient()], &mut rng), Err(AgeError::HeaderMac));
    let many = vec![*second.recipient(); MAX_AGE_RECIPIENTS];
    assert_eq!(header.with_recipients(&file_key, &many, &mut rng), Err(AgeError::TooManyRecipients));
    assert_eq!(Header::wrap(&file_key, &[], &mut rng), Err(AgeError::NoRecipients));
}

#[test]
fn a_key_of_another_file_does_not_fit_the_header() {
    let mut rng = rng();
    let recipient = *Identity::generate(&mut rng).recipient();
    let (key, other) = (FileKey::generate(&mut rng), FileKey::generate(&mut rng));
    let header = Header::wrap(&key, &[recipient], &mut rng).unwrap();
    assert_eq!(header.verify_mac(&other), Err(AgeError::HeaderMac));
    assert_eq!(header.verify_mac(&key), Ok(()), "control");
    assert_ne!(key, other);
}

#[test]
fn headers_beyond_the_limits_are_refused() {
    let stanza = |len: usize| format!("-> unknown {}\n\n", "x".repeat(len));
    let mac = format!("--- {}\n", "A".repeat(43));
    let parse =
        |body: String| Header::parse(format!("age-encryption.org/v1\n{body}{mac}").as_bytes()).map(|found| found.0);
    assert_eq!(parse(stanza(1).repeat(MAX_AGE_RECIPIENTS)).unwrap().recipient_count(), MAX_AGE_RECIPIENTS, "control");
    assert_eq!(parse(stanza(1).repeat(MAX_AGE_RECIPIENTS + 1)), Err(AgeError::TooManyRecipients));
    let fits = MAX_AGE_HEADER - parse(stanza(1)).unwrap().to_bytes().len() + 1;
    assert_eq!(parse(stanza(fits)).unwrap().to_bytes().len(), MAX_AGE_HEADER, "control");
    assert_eq!(parse(stanza(fits + 1)), Err(AgeError::HeaderTooLong));
    // An endless line is not read to its end.
    let mut endless = io::BufReader::new(io::Cursor::new(b"age-encryption.org/v1\n-> ").chain(io::repeat(b'x')));
    assert!(matches!(Header::read(&mut endless), Err(ReadError::Age(AgeError::HeaderTooLong))));
    assert_eq!(parse(String::new()), Err(AgeError::MalformedHeader { line: 2, defect: HeaderDefect::Mark }));
}

#[test]
fn unknown_stanzas_are_kept_and_the_known_one_opens() {
    let mut rng = rng();
    let identity = Identity::generate(&mut rng);
    let file = ours::encrypt(b"x", &[*identity.recipient()], &mut rng).unwrap();
    let (header, _) = Header::parse(&file).unwrap();
    let text = String::from_utf8(header.to_bytes()).unwrap();
    let foreign = text.replacen("-> X25519", &format!("-> example.com/enigma a b\n{}\n\n-> X25519", "A".repeat(64)), 1);
    let (parsed, _) = Header::parse(foreign.as_bytes()).unwrap();
    assert_eq!(parsed.to_bytes(), foreign.as_bytes());
    assert!(!parsed.is_x25519_only());
    // The stanza was slipped in without the file key.
    assert_eq!(parsed.unwrap_file_key([&identity]), Err(AgeError::HeaderMac));
}

proptest! {
    #[test]
    fn no_input_makes_the_header_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in "(-> X25519 [A-Za-z0-9+/]{41,45}\n[A-Za-z0-9+/]{0,70}\n|--- ?[A-Za-z0-9+/]{0,44}\n|.{0,20}\n){0,6}") {
        let _ = Header::parse(&bytes);
        let input = format!("age-encryption.org/v1\n{text}");
        if let Ok((header, len)) = Header::parse(input.as_bytes()) {
            prop_assert_eq!(header.to_bytes(), &input.as_bytes()[..len]);
        }
    }
}
