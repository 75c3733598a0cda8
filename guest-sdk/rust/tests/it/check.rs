//! The check of grant documents inside a resource: each way in which a patched host could say yes, and the honest one.

use portcullis_guest::billing::{Nonce, Request};
use portcullis_guest::check::{CheckError, GrantCheck, RootKeys};
use portcullis_guest::testing::{Double, Event, ServerDouble, Tampering};
use portcullis_guest::{Grant, Refusal, paid, roots};

const SEED: u8 = 7;

fn server() -> ServerDouble {
    ServerDouble::new(SEED, "lumen", "lake")
}

/// The public key of [`server`]'s root, as a publisher compiles it in.
const ROOTS: RootKeys = roots!("6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw");

fn check() -> Result<GrantCheck, CheckError> {
    Ok(GrantCheck::new(&ROOTS, &server().key_document())?.of("lumen", "lake"))
}

#[paid(operation = "view", check = check()?)]
fn pixels(grant: &Grant) -> Result<Vec<u8>, Refusal> {
    Ok(grant.open("full").expect("`view` releases it").read_all(100).expect("short"))
}

fn double(server: ServerDouble) -> Double {
    Double::new().part("full", *b"pixels").operation("view", &["full"]).enter("view").signed_by(server)
}

#[test]
fn an_honest_host_passes_and_each_call_is_a_cycle_of_its_own() {
    assert_eq!(server().root(), "6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw");
    let double = double(server()).install();
    assert_eq!(pixels().unwrap(), b"pixels");
    assert_eq!(pixels().unwrap(), b"pixels");
    assert_eq!(double.drawn("view"), 2, "the entry grant, which a host could make up, is not used");
    let nonces: Vec<Vec<u8>> = double
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Requested { nonce, .. } = event { Some(nonce) } else { None })
        .collect();
    assert!(nonces.iter().all(|nonce| nonce.len() == 16) && nonces[0] != nonces[1], "{nonces:?}");
}

#[test]
fn a_patched_host_is_found_out_before_the_body_runs() {
    for (how, expected) in [
        (Tampering::OldNonce, Refusal::BindingMismatch),
        (Tampering::OtherOperation, Refusal::BindingMismatch),
        (Tampering::OtherResource, Refusal::BindingMismatch),
        (Tampering::OwnKey, Refusal::ServerUntrusted),
        (Tampering::Forged, Refusal::ServerUntrusted),
        (Tampering::None, Refusal::ServerUntrusted),
    ] {
        let double = double(server().tampered(how)).install();
        assert_eq!(pixels(), Err(expected), "{how:?}");
        assert!(!double.events().iter().any(|event| matches!(event, Event::Opened { .. })), "{how:?}");
    }
    // A host that lies about none of it, but has no signature of any server.
    let _double = Double::new().part("full", *b"pixels").operation("view", &["full"]).install();
    assert_eq!(pixels(), Err(Refusal::ServerUntrusted));
}

#[test]
fn a_refusal_stays_what_it_is() {
    let _double = double(server()).refuse("view", Refusal::NotSignedIn).install();
    assert_eq!(pixels(), Err(Refusal::NotSignedIn));
}

fn granted(nonce: &[u8]) -> Grant {
    Request::new("view").nonce(Nonce::try_from(nonce).unwrap()).send().unwrap().verify().unwrap()
}

#[test]
fn errors_say_what_is_wrong() {
    let check = check().unwrap();
    for (how, expected) in [
        (Tampering::OldNonce, CheckError::OtherNonce),
        (Tampering::OtherOperation, CheckError::OtherOperation),
        (Tampering::OtherResource, CheckError::OtherResource),
        (Tampering::OwnKey, CheckError::UnknownKey),
        (Tampering::Forged, CheckError::Forged),
        (Tampering::None, CheckError::Form),
    ] {
        let _double = double(server().tampered(how)).install();
        assert_eq!(check.check(&granted(b"1"), "view", b"1"), Err(expected), "{how:?}");
    }
    let _double = double(server()).install();
    let grant = granted(b"1");
    assert_eq!(check.check(&grant, "view", b"1"), Ok(()));
    assert_eq!(check.check(&grant, "print", b"1"), Err(CheckError::OtherOperation));
    assert_eq!(check.check(&grant, "view", b""), Err(CheckError::OtherNonce));
    assert_eq!(check.clone().at(grant.expires()).check(&grant, "view", b"1"), Err(CheckError::Time));
    assert_eq!(check.at(grant.expires() - 1).check(&grant, "view", b"1"), Ok(()));
}

#[test]
fn keys_come_from_a_root_that_was_compiled_in() {
    let stranger = ServerDouble::new(9, "lumen", "lake");
    assert_eq!(GrantCheck::new(&ROOTS, &stranger.key_document()).err(), Some(CheckError::UnknownKey));
    assert_eq!(GrantCheck::new(&roots!("AAAA"), "").err(), Some(CheckError::BadRoot));
    // The point of order 1, under which anything verifies.
    let weak = roots!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(GrantCheck::new(&weak, "").err(), Some(CheckError::BadRoot));
    let mut key_document = server().key_document();
    key_document.truncate(key_document.len() - 4);
    assert!(GrantCheck::new(&ROOTS, &key_document).is_err());
    // A grant is not taken for a key document, though the same server signs both.
    let _double = double(server()).install();
    assert_eq!(GrantCheck::new(&ROOTS, &granted(b"1").document()).err(), Some(CheckError::Form));
}

#[test]
fn a_key_that_had_stopped_signing_is_not_believed_until_the_resource_learns_the_next_document() {
    let mut check = GrantCheck::new(&ROOTS, &server().key_document_until(1, 1_767_225_600)).unwrap();
    let _double = double(server()).install();
    assert_eq!(check.check(&granted(b"1"), "view", b"1"), Err(CheckError::Time));
    check.learn(&server().key_document()).unwrap();
    assert_eq!(check.check(&granted(b"1"), "view", b"1"), Ok(()));
}

#[test]
fn a_key_that_was_ended_early_stays_ended() {
    let mut check = check().unwrap();
    let _double = double(server()).install();
    assert_eq!(check.check(&granted(b"1"), "view", b"1"), Ok(()));
    // It was stolen; the next document ends it before the grant was issued.
    check.learn(&server().key_document_until(2, 1_767_225_600)).unwrap();
    assert_eq!(check.check(&granted(b"1"), "view", b"1"), Err(CheckError::Time));
    // Whoever has the older document gains nothing by showing it again.
    check.learn(&server().key_document()).unwrap();
    assert_eq!(check.check(&granted(b"1"), "view", b"1"), Err(CheckError::Time));
}
