//! The terminal's side of the cycle: what moves it on, and everything that must not.

use crate::fixtures::{NOW, grant, key, key_document, origin, request};
use portcullis_protocol::age::FileKey;
use portcullis_protocol::cycle::{AwaitingVerification, Disbelief, Reply, Request, Terminal, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::release::{self, ReleaseSecretKey};
use portcullis_protocol::wire::{AuthorisationAnswer, Done, VerificationAnswer};
use portcullis_protocol::{
    AccountId, Answer, CodeBinding, CodeId, CodeKey, Digest, Grant, JwsError, More, Reason, RefusalAnswer, SecretKey,
    TerminalId, Verified,
};

const NONCE: Octets<16> = Octets([6; 16]);

fn authorised() -> AwaitingVerification {
    let binding = CodeBinding::of(&AccountId::from_bytes([1; 16]), &TerminalId::from_bytes([2; 16]), &request());
    let code = CodeKey::new([7; 32]).issue(CodeId::from_bytes([3; 16]), &binding);
    Request::new(request(), vec!["full".parse().expect("part")])
        .authorised(AuthorisationAnswer { code, expires: NOW + 30 })
}

fn release_key() -> ReleaseSecretKey {
    ReleaseSecretKey::from_bytes([11; 32])
}

fn answer(grant: Grant, signer: &SecretKey, recipient: &ReleaseSecretKey, part: &str) -> VerificationAnswer {
    let grant = Verified::sign(grant, signer).compact().to_owned();
    let file_key = FileKey::from_bytes([12; 16]);
    let keys = release::seal(&recipient.public(), &grant, &[(part, &file_key)], &mut getrandom_rng()).expect("seals");
    VerificationAnswer { grant, grant_nonce: NONCE, keys }
}

fn getrandom_rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

#[test]
fn the_honest_cycle_ends_with_the_part_keys() {
    let (server, terminal) = (key(1), key(5));
    let thumbprint = terminal.public().thumbprint();
    let me = Terminal { thumbprint: &thumbprint, origin: &origin(), now: NOW };
    let granted = authorised()
        .verified(answer(grant(&terminal, &NONCE), &server, &release_key(), "full"), &key_document(&server), &me)
        .expect("verified");
    let (grant, keys) = granted.open_keys(&release_key()).expect("opens");
    assert_eq!(grant.document().operation.as_str(), "view");
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_grant_for_anything_else_is_not_believed() {
    let (server, terminal) = (key(1), key(5));
    let thumbprint = terminal.public().thumbprint();
    let me = Terminal { thumbprint: &thumbprint, origin: &origin(), now: NOW };
    type Change = fn(&mut Grant);
    let cases: [(&str, Change); 6] = [
        ("server", |g| g.iss = "https://other.example".parse().expect("origin")),
        ("resource", |g| g.resource = Digest::of(b"other")),
        ("operation", |g| g.operation = "preview".parse().expect("name")),
        ("nonce", |g| g.nonce = Default::default()),
        ("list of parts", |g| g.parts.push("more".parse().expect("part"))),
        ("terminal", |g| g.cnf = Digest::of(b"another terminal")),
    ];
    for (what, change) in cases {
        let mut other = grant(&terminal, &NONCE);
        change(&mut other);
        let refused = authorised()
            .verified(answer(other, &server, &release_key(), "full"), &key_document(&server), &me)
            .expect_err(what);
        assert_eq!(refused, Disbelief::Grant(what));
    }
    let forged = answer(grant(&terminal, &NONCE), &key(66), &release_key(), "full");
    let refused = authorised().verified(forged, &key_document(&server), &me).expect_err("another key");
    assert_eq!(refused, Disbelief::Signature(JwsError::Key));
}

#[test]
fn keys_sealed_to_another_terminal_or_for_another_grant_do_not_open() {
    let (server, terminal) = (key(1), key(5));
    let thumbprint = terminal.public().thumbprint();
    let me = Terminal { thumbprint: &thumbprint, origin: &origin(), now: NOW };
    let verified = |answer| authorised().verified(answer, &key_document(&server), &me).expect("verified");
    let stranger = ReleaseSecretKey::from_bytes([13; 32]);
    let for_stranger = answer(grant(&terminal, &NONCE), &server, &stranger, "full");
    assert!(matches!(verified(for_stranger).open_keys(&release_key()), Err(Disbelief::Keys(_))));
    // The keys of one grant moved to another: the grant is part of the key schedule.
    let mut later = grant(&terminal, &NONCE);
    later.exp += 1_000_000;
    let mut moved = answer(grant(&terminal, &NONCE), &server, &release_key(), "full");
    moved.grant = Verified::sign(later, &server).compact().to_owned();
    assert!(matches!(verified(moved).open_keys(&release_key()), Err(Disbelief::Keys(_))));
    // A key under another part's name.
    let renamed = answer(grant(&terminal, &NONCE), &server, &release_key(), "preview");
    assert!(verified(renamed).open_keys(&release_key()).is_err());
}

#[test]
fn only_a_signed_answer_to_this_very_request_is_read() {
    let server = key(1);
    let keys = key_document(&server);
    let req = Digest::of(b"proof");
    let signed =
        |req, key: &SecretKey| Verified::sign(Answer { req, iat: NOW, body: Done {} }, key).compact().to_owned();
    assert!(matches!(read_reply::<Done>(&signed(req, &server), &keys, &req, NOW), Ok(Reply::Yes { at: NOW, .. })));
    let old = signed(Digest::of(b"an earlier proof"), &server);
    assert_eq!(read_reply::<Done>(&old, &keys, &req, NOW).expect_err("replayed"), Disbelief::Request);
    let forged = signed(req, &key(66));
    assert!(matches!(read_reply::<Done>(&forged, &keys, &req, NOW), Err(Disbelief::Signature(_))));
    for nonsense in ["", "paid", "{}", "a.b.c"] {
        assert!(matches!(read_reply::<Done>(nonsense, &keys, &req, NOW), Err(Disbelief::Signature(_))));
    }
}

#[test]
fn a_refusal_is_believed_only_when_signed_for_this_request_with_a_servers_reason() {
    let server = key(1);
    let keys = key_document(&server);
    let req = Digest::of(b"proof");
    let refusal = |reason, req, key: &SecretKey| {
        let document = RefusalAnswer {
            req,
            iat: NOW,
            reason,
            detail: None,
            offers: Vec::new(),
            retry_after: None,
            more: More::new(),
        };
        Verified::sign(document, key).compact().to_owned()
    };
    let no = read_reply::<Done>(&refusal(Reason::PaymentRequired, req, &server), &keys, &req, NOW);
    assert!(matches!(no, Ok(Reply::No(no)) if no.reason == Reason::PaymentRequired));
    let forged = refusal(Reason::Offline, req, &server);
    assert_eq!(read_reply::<Done>(&forged, &keys, &req, NOW).expect_err("made on a terminal"), Disbelief::Reason);
    let forged = refusal(Reason::PaymentRequired, req, &key(66));
    assert!(matches!(read_reply::<Done>(&forged, &keys, &req, NOW), Err(Disbelief::Signature(_))));
    let replayed = refusal(Reason::PaymentRequired, Digest::of(b"other"), &server);
    assert_eq!(read_reply::<Done>(&replayed, &keys, &req, NOW).expect_err("replayed"), Disbelief::Request);
}
