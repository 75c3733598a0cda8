//! From a file to a compiled body: nothing is compiled that was not verified.

use crate::fixture::{Bench, Fixture, GUEST_WAT, GUEST_WIT, PLAINTEXT, Rule, api, component, honest, plugged};
use portcullis_host::{Error, Limits, Progress, Runtime, Step};
use portcullis_protocol::sealed::SealedError;
use portcullis_protocol::surface::SurfaceError;
use portcullis_protocol::{Reason, ResourceLimits, SignedManifest};
use std::sync::{Arc, Mutex};

/// Notes the steps, to show what was not reached.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Progress for Steps {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        self.0.lock().expect("steps").push(format!("{step:?}"));
    }
}

impl Steps {
    fn compiled(&self) -> bool {
        self.0.lock().expect("steps").iter().any(|step| step.starts_with("Compiling"))
    }
}

#[tokio::test]
async fn an_honest_resource_is_loaded_authorised_and_called() {
    let steps = Steps::default();
    let bench = Bench::of(&Fixture::new(), |builder| builder.progress(steps.clone()));
    assert!(!steps.compiled(), "loading compiles nothing");
    assert_eq!(honest(&bench.view().await).await.expect("called"), 5);
    assert!(steps.compiled());
}

#[tokio::test]
async fn it_is_loaded_from_a_path_that_may_vanish() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guest.wasm");
    std::fs::write(&path, &fixture.file).expect("written");
    let bench = Bench::of(&fixture, |builder| builder);
    let runtime = Runtime::builder().gatekeeper(Arc::clone(&bench.signer)).build().expect("a runtime");
    let resource = runtime.load(&path).expect("loads");
    std::fs::write(&path, b"something else").expect("written");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(folder.path().join("guest.wasm"), b"a trap").expect("written");
    assert_eq!(resource.digest(), bench.resource.digest());
}

#[tokio::test]
async fn a_refusal_comes_through_with_its_offers() {
    let bench = Bench::new();
    let Err(Error::Refused(refused)) = bench.resource.authorize("side").await else { panic!("refused") };
    assert_eq!((refused.reason, refused.offers.len()), (Reason::PaymentRequired, 1));
    assert_eq!(Error::Refused(refused).reason(), Some(Reason::PaymentRequired));
}

#[tokio::test]
async fn without_a_gatekeeper_everything_is_refused() {
    let resource = Runtime::builder().build().expect("a runtime").load(Fixture::new().file).expect("loads");
    let Err(Error::Refused(refused)) = resource.authorize("view").await else { panic!("refused") };
    assert_eq!(refused.reason, Reason::NotSignedIn);
}

#[tokio::test]
async fn operations_that_cannot_be_run_are_refused_by_name() {
    let bench = Bench::new();
    assert!(matches!(bench.resource.authorize("nothing").await, Err(Error::UnknownOperation(_))));
    assert!(matches!(bench.resource.authorize("No Name").await, Err(Error::UnknownOperation(_))));
    assert!(matches!(bench.resource.authorize("extra").await, Err(Error::NothingToCall(_))));
    assert_eq!(bench.requests(), 0, "nobody was asked");
}

#[tokio::test]
async fn a_grant_for_another_operation_is_not_believed() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Lie);
    let Err(Error::Refused(refused)) = bench.resource.authorize("view").await else { panic!("refused") };
    assert_eq!(refused.reason, Reason::ServerUntrusted);
    bench.signer.rule("view", Rule::Timed(30));
    assert_eq!(honest(&bench.view().await).await.expect("called"), 5);
}

#[tokio::test]
async fn a_key_of_another_part_opens_nothing() {
    let (fixture, stolen) = (Fixture::new(), Fixture::new());
    let mut mixed = Fixture::new();
    mixed.file.clone_from(&fixture.file);
    mixed.keys.clone_from(&stolen.keys);
    let bench = Bench::of(&mixed, |builder| builder);
    assert!(matches!(bench.resource.authorize("view").await, Err(Error::Sealed(_))));
}

#[tokio::test]
async fn a_damaged_body_is_refused_before_it_is_decrypted_or_compiled() {
    let mut fixture = Fixture::new();
    // The first code part's payload: behind the first age header.
    let header = fixture.file.windows(14).position(|bytes| bytes == b"age-encryption").expect("an age file");
    let at = header + 600;
    fixture.file[at] ^= 1;
    let steps = Steps::default();
    let bench = Bench::of(&fixture, |builder| builder.progress(steps.clone()));
    let refused = bench.resource.authorize("view").await;
    assert!(matches!(refused, Err(Error::Sealed(SealedError::Block { .. }))), "{refused:?}");
    assert!(matches!(bench.resource.verify(), Err(Error::Sealed(SealedError::Block { .. }))));
    assert!(!steps.compiled());
}

#[tokio::test]
async fn an_import_smuggled_into_the_body_is_refused_before_compiling() {
    let fixture = Fixture::new();
    let wit = format!("{GUEST_WIT}\nworld more {{ include guest; import extra: func() -> u32; }}");
    let wat = GUEST_WAT.replacen("(module", "(module (import \"$root\" \"extra\" (func $extra (result i32)))", 1);
    let steps = Steps::default();
    let smuggled = fixture.with_body(&component(&wat, &wit, "more"));
    let bench = Bench::of(&smuggled, |builder| builder.progress(steps.clone()));
    let refused = bench.resource.authorize("view").await;
    assert!(matches!(refused, Err(Error::Surface(SurfaceError::ImportAdded(_)))), "{refused:?}");
    assert!(!steps.compiled());
    // The control: the same tool with the honest body.
    let honest_body = fixture.with_body(&crate::fixture::guest());
    let bench = Bench::of(&honest_body, |builder| builder);
    assert_eq!(honest(&bench.view().await).await.expect("called"), 5);
}

#[tokio::test]
async fn a_body_whose_billing_import_was_plugged_is_refused_before_compiling() {
    let steps = Steps::default();
    let plugged = Fixture::new().with_body(&plugged());
    let bench = Bench::of(&plugged, |builder| builder.progress(steps.clone()));
    let refused = bench.resource.authorize("view").await;
    assert!(matches!(refused, Err(Error::Surface(SurfaceError::NoBilling))), "{refused:?}");
    assert!(!steps.compiled());
}

#[tokio::test]
async fn a_body_larger_than_the_operator_compiles_is_refused() {
    let mut limits = Limits::default();
    limits.body = 1000;
    let steps = Steps::default();
    let bench = Bench::of(&Fixture::new(), |builder| builder.limits(limits).progress(steps.clone()));
    assert!(matches!(bench.resource.authorize("view").await, Err(Error::BodyTooLarge { most: 1000, .. })));
    assert!(!steps.compiled());
}

#[tokio::test]
async fn inspection_shows_what_holds_here() {
    let fixture = Fixture::with(|description| {
        description.limits = ResourceLimits { memory: Some(1 << 20), run_max: Some(300), ..ResourceLimits::default() };
        description.capabilities.wall_clock = true;
    });
    let mut limits = Limits::default();
    limits.run_max = 20;
    let bench = Bench::of(&fixture, |builder| builder.limits(limits));
    let facts = bench.resource.inspect();
    assert_eq!((facts.limits.memory, facts.limits.run_max), (1 << 20, 20), "the lower of each");
    assert!(facts.asks.wall_clock && !facts.gets.wall_clock);
    assert_eq!(facts.operations.len(), 4);
    assert!(facts.exports.contains(&api("add")));
}

#[tokio::test]
async fn nothing_of_the_plaintext_is_printed() {
    let fixture = Fixture::new();
    let bench = Bench::of(&fixture, |builder| builder);
    let view = bench.view().await;
    honest(&view).await.expect("called");
    let trap = view.call(&api("fail"), &[]).await.expect_err("traps");
    let prints =
        format!("{view:?} {:?} {:?} {trap:?} {trap} {:?}", bench.resource, bench.resource.inspect(), view.grant());
    assert!(!prints.contains(PLAINTEXT), "{prints}");
    for key in fixture.keys.values() {
        assert!(!prints.contains(&format!("{:?}", key.expose())), "no keys");
    }
    let plain = component(GUEST_WAT, GUEST_WIT, "guest");
    assert!(plain.windows(PLAINTEXT.len()).any(|bytes| bytes == PLAINTEXT.as_bytes()), "the body has it");
}
