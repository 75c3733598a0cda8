//! What `verify` checks, and what it says that it does not.

use crate::guest;
use crate::stage::Stage;
use portcullis_fixtures::{Fixture, rng};
use portcullis_protocol::sealed::{Package, Sealed};
use portcullis_protocol::{Manifest, ResourceLimits};
use std::fs;
use std::io::{Cursor, Read};

/// What `verify` says of these bytes: its exit code, and everything that it prints.
fn verify(stage: &Stage, bytes: &[u8]) -> (Option<i32>, String) {
    fs::write(stage.path("some.wasm"), bytes).expect("written");
    let output = stage.run("user", &["verify", "some.wasm"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The first age header of a file with what a change makes of the text of its first stanza.
fn with_stanza(file: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    const MARK: &[u8] = b"-> X25519 ";
    let mut bytes = file.to_vec();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("a header") + MARK.len();
    change(&mut bytes[at..at + 43]);
    bytes
}

/// The same resource with another manifest, signed by its publisher.
fn with_manifest(fixture: &Fixture, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let sealed = Sealed::open(fixture.file.clone()).expect("opens");
    let mut manifest = sealed.manifest().clone();
    change(&mut manifest);
    let source = |name| Box::new(sealed.part(name, &fixture.keys[name]).expect("a part")) as Box<dyn Read>;
    let sources = sealed.manifest().parts.iter().map(|part| source(&part.name)).collect();
    let recipient = portcullis_protocol::age::Identity::generate(&mut rng());
    let recipients = std::slice::from_ref(recipient.recipient());
    let mut out = Cursor::new(Vec::new());
    let package = Package { stub: sealed.stub(), manifest, sources, recipients };
    package.write(&mut out, &fixture.publisher, &mut rng()).expect("written");
    out.into_inner()
}

#[test]
fn it_says_what_was_checked_and_what_was_not() {
    let (stage, fixture) = (Stage::new(), Fixture::new());
    let (code, said) = verify(&stage, &fixture.file);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("every byte\n") && said.contains("every byte of the ciphertext of 5 parts"), "{said}");
    for part_of_it in ["checked", "not checked", "the headers of the parts", "1 signature", "imports", "exports"] {
        assert!(said.contains(part_of_it), "{part_of_it}: {said}");
    }
    // Nobody can see this change without the part's key: it is named among what was not checked.
    let changed = with_stanza(&fixture.file, |share| share[3] = if share[3] == b'A' { b'B' } else { b'A' });
    assert_ne!(changed, fixture.file);
    let (code, said) = verify(&stage, &changed);
    assert!(code == Some(0) && said.contains("only who opens a part can check its header"), "{said}");
    // This one opens for nobody, and anybody can see it.
    let (code, said) = verify(&stage, &with_stanza(&fixture.file, |share| share.fill(b'A')));
    assert!(code == Some(43) && said.contains("part `main`"), "{said}");
}

#[test]
fn a_manifest_that_contradicts_its_stub_is_refused() {
    let (stage, fixture) = (Stage::new(), Fixture::new());
    let import = "wasi:sockets/tcp@0.2.0#connect";
    let added = with_manifest(&fixture, |manifest| {
        manifest.imports.push(import.into());
        manifest.imports.sort();
    });
    let (code, said) = verify(&stage, &added);
    assert!(code == Some(43) && said.contains("contradict") && said.contains(import), "{said}");
    let lost = with_manifest(&fixture, |manifest| drop(manifest.imports.pop()));
    let (code, said) = verify(&stage, &lost);
    assert!(code == Some(43) && said.contains("contradict"), "{said}");
    let greedy = with_manifest(&fixture, |manifest| {
        manifest.limits = ResourceLimits { run_max: Some(100_000), ..ResourceLimits::default() };
    });
    let (code, said) = verify(&stage, &greedy);
    assert!(code == Some(43) && said.contains("`run_max` is 100000") && said.contains("300"), "{said}");
    let (code, said) = verify(&stage, &with_manifest(&fixture, |_| ()));
    assert_eq!(code, Some(0), "the control: {said}");
}

#[test]
fn a_file_that_no_store_has_countersigned_is_not_a_matter_of_signing_in() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    guest::project(&stage.path("sketch"), "1.0.0");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "-o", "own.wasm"]);
    for (who, advice) in [("publisher", "has not countersigned it"), ("stranger", "no store has countersigned it")] {
        let output = stage.run(who, &["run", "own.wasm", "--invoke", "preview()", "-o", "line.txt"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(42), "{who}: {said}");
        assert!(said.contains(advice) && said.contains("portcullis publish"), "{who}: {said}");
    }
    stage.succeed("publisher", &["publish", "own.wasm", "--project", "sketch"]);
    let output = stage.succeed("publisher", &["verify", "own.wasm"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("countersigned the copy that you published; this one is as it was sealed; you trust it"),
        "one's own copy stays as it was: {said}"
    );
}
