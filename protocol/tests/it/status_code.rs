//! A billing status code is bound to every field of the request, the account and the terminal.

use crate::fixtures::request;
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::wire::AuthorisationRequest;
use portcullis_protocol::{AccountId, CodeBinding, CodeId, CodeKey, Digest, StatusCode, TerminalId};

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const TERMINAL: TerminalId = TerminalId::from_bytes([2; 16]);

#[test]
fn a_code_serves_only_what_it_is_bound_to() {
    let key = CodeKey::new([7; 32]);
    let binding = CodeBinding::of(&ACCOUNT, &TERMINAL, &request());
    let code = key.issue(CodeId::from_bytes([3; 16]), &binding);
    assert!(key.accepts(&code, &binding), "control");
    assert_eq!(code, key.issue(CodeId::from_bytes([3; 16]), &binding), "a retry recomputes the same code");
    let other = |change: fn(&mut AuthorisationRequest)| {
        let mut request = request();
        change(&mut request);
        CodeBinding::of(&ACCOUNT, &TERMINAL, &request)
    };
    for (what, binding) in [
        ("account", CodeBinding::of(&AccountId::from_bytes([9; 16]), &TERMINAL, &request())),
        ("terminal", CodeBinding::of(&ACCOUNT, &TerminalId::from_bytes([9; 16]), &request())),
        ("resource", other(|r| r.resource = Digest::of(b"other"))),
        ("operation", other(|r| r.operation = "render".parse().expect("name"))),
        ("quantity", other(|r| r.quantity = 2)),
        ("offer", other(|r| r.offer = Some(Digest::of(b"offer")))),
        ("nonce", other(|r| r.nonce = BoundedOctets::new(b"other".to_vec()).expect("nonce"))),
    ] {
        assert!(!key.accepts(&code, &binding), "{what}");
    }
    assert!(!CodeKey::new([8; 32]).accepts(&code, &binding), "another server's key");
}

#[test]
fn every_changed_character_of_a_code_is_refused() {
    let key = CodeKey::new([7; 32]);
    let binding = CodeBinding::of(&ACCOUNT, &TERMINAL, &request());
    let text = key.issue(CodeId::from_bytes([3; 16]), &binding).expose();
    for index in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ascii");
        assert!(!changed.parse::<StatusCode>().is_ok_and(|code| key.accepts(&code, &binding)));
    }
}

#[test]
fn a_code_prints_redacted() {
    let key = CodeKey::new([7; 32]);
    let code = key.issue(CodeId::from_bytes([3; 16]), &CodeBinding::of(&ACCOUNT, &TERMINAL, &request()));
    assert!(!format!("{code:?}").contains(&code.expose()[24..]));
}
