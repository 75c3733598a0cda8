//! Calls under a grant, and every way in which one may not begin.

use crate::fixture::{Bench, Fixture, Rule, api, honest};
use portcullis_host::{Argument, Directory, Ended, Error, Lent, Limits, Terms, Type, Val, blocking, to_text};
use portcullis_protocol::Reason;
use std::path::PathBuf;
use std::sync::Arc;

async fn count(authorised: &portcullis_host::Authorised) -> Result<u32, Error> {
    authorised.call_typed::<(), (u32,)>(&api("count"), ()).await.map(|(count,)| count)
}

#[tokio::test]
async fn values_types_and_text_give_the_same_results() {
    let view = Bench::new().view().await;
    let add = api("add");
    assert_eq!(view.call(&add, &[Val::U32(2), Val::U32(3)]).await.expect("called"), [Val::U32(5)]);
    assert_eq!(honest(&view).await.expect("called"), 5);
    let arguments = view.read_arguments(&add, &["2", "3"]).expect("arguments");
    assert_eq!(view.call(&add, &arguments).await.expect("called"), [Val::U32(5)]);

    let greet = api("greet");
    let arguments = view.read_arguments(&greet, &["\"you\""]).expect("arguments");
    let results = view.call(&greet, &arguments).await.expect("called");
    assert_eq!(to_text(&results[0]).as_deref(), Some("ok(\"you\")"));
    assert!(matches!(view.parameters(&greet).expect("parameters")[0], (ref name, Type::String) if name == "name"));
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused() {
    let view = Bench::new().view().await;
    let add = api("add");
    assert!(matches!(view.call(&add, &[Val::U32(2)]).await, Err(Error::Arguments(_))));
    assert!(matches!(view.read_arguments(&add, &["2"]), Err(Error::Arguments(_))));
    assert!(matches!(view.read_arguments(&add, &["2", "\"x\""]), Err(Error::Arguments(_))));
    assert!(matches!(view.call_typed::<(u64,), (u32,)>(&add, (1,)).await, Err(Error::Arguments(_))));
    assert_eq!(honest(&view).await.expect("called"), 5);
}

#[tokio::test]
async fn what_does_not_fit_draws_no_use() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Uses(1));
    let view = bench.view().await;
    let wrong = |outcome: Result<Vec<Val>, Error>| assert!(matches!(outcome, Err(Error::Arguments(_))), "{outcome:?}");
    wrong(view.call("add", &[Val::U32(1), Val::U64(1)]).await);
    wrong(view.call("add", &[Val::U32(1)]).await);
    wrong(view.call("greet", &[Val::List(vec![])]).await);
    wrong(view.call("echo", &[Val::List(vec![Val::U8(1), Val::U16(1)])]).await);
    let mut few = Limits::default();
    few.argument = 100;
    let small = Bench::limited(few);
    wrong(small.view().await.call("echo", &[Val::List(vec![Val::U8(1); 101])]).await);
    assert!(matches!(view.call_typed::<(u64, u64), (u32,)>("add", (1, 1)).await, Err(Error::Arguments(_))));
    assert!(matches!(view.call_typed::<(u32, u32), (String,)>("add", (1, 1)).await, Err(Error::Arguments(_))));
    assert!(view.typed::<(u32,), (u32,)>("add").is_err(), "when it is looked up");
    let no_bytes = view.call_for_bytes("add", &[Val::U32(1), Val::U32(1)]).await;
    assert!(matches!(no_bytes, Err(Error::Arguments(_))));
    assert!(matches!(view.call("ad", &[]).await, Err(Error::UnknownExport(_))));
    assert_eq!(view.uses_left(), Some(1), "nothing was drawn");
    // The control: what fits draws it.
    assert_eq!(honest(&view).await.expect("called"), 5);
    assert_eq!(view.uses_left(), Some(0));
}

#[tokio::test]
async fn arguments_are_read_before_anything_is_asked() {
    let bench = Bench::new();
    let resource = &bench.resource;
    let said = |text: &str| resource.read_arguments("add", &["1", text]).expect_err(text).to_string();
    assert!(said("4294967296").contains("0 to 4294967295"));
    assert!(said("\"1\"").contains("is a text"));
    let few = resource.read_arguments("add", &["1"]).expect_err("one is missing").to_string();
    assert!(few.contains("(a: u32, b: u32)"), "{few}");
    assert!(matches!(resource.invoke("add", &[Val::Bool(true)]).await, Err(Error::Arguments(_))));
    assert!(matches!(resource.invoke("ad", &[]).await, Err(Error::UnknownExport(_))));
    assert!(matches!(resource.invoke("hidden", &[]).await, Err(Error::UnmappedExport(_))));
    assert!(matches!(resource.check_arguments("echo", &[Val::U8(1)]), Err(Error::Arguments(_))));
    assert_eq!(bench.requests(), 0, "no server was asked");
    // The control.
    let arguments = resource.read_arguments("add", &["2", "3"]).expect("they fit");
    assert_eq!(resource.invoke("add", &arguments).await.expect("called"), [Val::U32(5)]);
    let bytes = [Argument::Bytes(&[1, 2])];
    assert_eq!(resource.read_arguments("echo", &bytes).expect("bytes"), [Val::List(vec![Val::U8(1), Val::U8(2)])]);
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn what_cannot_run_here_is_not_asked_for() {
    let mut limits = Limits::default();
    limits.body = 10;
    let large = Bench::limited(limits);
    assert!(matches!(large.resource.authorize("view").await, Err(Error::BodyTooLarge { .. })));
    assert_eq!(large.requests(), 0);
    let fixture = Fixture::with(|description| description.capabilities.directories = true);
    let lend = |host: PathBuf| {
        let mut lent = Lent::default();
        lent.directories.push(Directory { host, guest: "/data".into(), writable: false });
        Bench::of(&fixture, |builder| builder.lend(lent))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let missing = lend(folder.path().join("missing"));
    let refused = missing.resource.authorize("view").await.expect_err("it is not there");
    assert!(matches!(&refused, Error::Lent { path, .. } if path.ends_with("missing")), "{refused}");
    assert_eq!(missing.requests(), 0);
    // The control.
    assert_eq!(honest(&lend(folder.path().to_owned()).view().await).await.expect("called"), 5);
}

#[tokio::test]
async fn short_names_are_understood_and_errors_say_what_there_is() {
    let bench = Bench::new();
    let whole = api("add");
    for name in ["add", "api#add", "api@1.0.0#add", "test:guest/api#add", &whole] {
        assert_eq!(bench.resource.export(name).expect(name), whole);
        assert_eq!(bench.resource.operation_of(name).expect(name).as_str(), "view");
    }
    let said = |error: Error| error.to_string();
    let unknown = said(bench.resource.operation_of("ad").expect_err("unknown"));
    assert!(unknown.contains("`ad`; did you mean `add`?"), "{unknown}");
    let far = said(bench.resource.operation_of("purchase").expect_err("unknown"));
    assert!(far.contains("it has: ") && far.contains("echo"), "{far}");
    let operation = said(bench.resource.authorize("vieww").await.expect_err("unknown"));
    assert!(operation.contains("`vieww`; did you mean `view`?"), "{operation}");
    let function = bench.resource.function("greet").expect("a function");
    assert_eq!((function.name(), function.ty.params.len()), ("greet", 1));
    assert_eq!(bench.requests(), 0);
}

#[tokio::test]
async fn bytes_go_in_and_out_in_bulk() {
    let view = Bench::new().view().await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let (back,): (Vec<u8>,) = view.call_typed(&api("echo"), (sent.clone(),)).await.expect("called");
    assert_eq!(back, sent);
    let values = [Val::List(sent[..100_000].iter().map(|byte| Val::U8(*byte)).collect())];
    assert!(view.gives_bytes(&api("echo")).expect("an export"));
    let back = view.call_for_bytes(&api("echo"), &values).await.expect("called").expect("bytes");
    assert_eq!(back, sent[..100_000]);
    assert!(matches!(view.call_for_bytes(&api("add"), &[Val::U32(1), Val::U32(1)]).await, Err(Error::Arguments(_))));
}

#[tokio::test]
async fn only_exports_of_the_granted_operation_can_be_called() {
    let bench = Bench::new();
    let view = bench.view().await;
    let other = view.call(&api("other"), &[]).await;
    assert!(
        matches!(&other, Err(Error::OtherOperation { needs, held, .. })
        if needs.as_str() == "side" && held.as_str() == "view"),
        "{other:?}"
    );
    assert!(matches!(view.call(&api("hidden"), &[]).await, Err(Error::UnmappedExport(_))));
    assert!(matches!(view.call(&api("nothing"), &[]).await, Err(Error::UnknownExport(_))));
    assert!(matches!(view.call("other", &[]).await, Err(Error::OtherOperation { .. })), "also by its short name");
    assert!(matches!(view.call("hidden", &[]).await, Err(Error::UnmappedExport(_))));
    // The control: with the other operation's grant it runs, and there alone.
    bench.signer.rule("side", Rule::Timed(30));
    let side = bench.resource.authorize("side").await.expect("authorised");
    assert_eq!(side.call(&api("other"), &[]).await.expect("called"), [Val::U32(7)]);
    assert!(matches!(honest(&side).await, Err(Error::OtherOperation { .. })));
}

#[tokio::test]
async fn state_is_kept_between_calls_and_apart_between_grants() {
    let bench = Bench::new();
    let (one, two) = (bench.view().await, bench.view().await);
    assert_eq!((count(&one).await.expect("1"), count(&one).await.expect("2")), (1, 2));
    assert_eq!(count(&two).await.expect("1"), 1);
}

#[tokio::test]
async fn a_counted_grant_gives_exactly_its_uses() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Uses(3));
    let view = bench.resource.authorize_with("view", Terms::uses(3)).await.expect("authorised");
    for left in [2, 1, 0] {
        assert_eq!(honest(&view).await.expect("called"), 5);
        assert_eq!(view.uses_left(), Some(left));
    }
    assert!(matches!(honest(&view).await, Err(Error::Ended(Ended::Spent))));
    assert_eq!(bench.requests(), 1, "nothing more was drawn");
}

#[tokio::test]
async fn a_counted_grant_that_expires_is_not_renewed() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Uses(3));
    let view = bench.view().await;
    assert_eq!(honest(&view).await.expect("called"), 5);
    bench.pass(300).await;
    assert!(matches!(honest(&view).await, Err(Error::Ended(Ended::Expired))));
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_timed_grant_is_renewed_and_the_instance_lives_on() {
    let bench = Bench::new();
    let view = bench.view().await;
    let first = view.grant();
    assert_eq!(count(&view).await.expect("1"), 1);
    bench.pass(40).await;
    assert_eq!(count(&view).await.expect("2"), 2);
    assert_eq!(bench.requests(), 2);
    assert!(view.grant().document().exp > first.document().exp);
}

#[tokio::test]
async fn a_timed_grant_near_its_end_is_renewed_in_the_background_once() {
    let bench = Bench::new();
    let view = bench.view().await;
    bench.pass(25).await;
    for _ in 0..20 {
        assert_eq!(honest(&view).await.expect("called"), 5);
    }
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if bench.requests() > 1 {
            break;
        }
    }
    assert_eq!(bench.requests(), 2);
}

#[tokio::test]
async fn a_grant_that_the_server_no_longer_renews_ends_when_it_expires() {
    let bench = Bench::new();
    let view = bench.view().await;
    assert_eq!(count(&view).await.expect("1"), 1);
    bench.signer.rule("view", Rule::No(Reason::EntitlementRevoked));
    bench.pass(29).await;
    assert_eq!(count(&view).await.expect("still in time"), 2);
    bench.pass(1).await;
    let Err(Error::Refused(refused)) = count(&view).await else { panic!("refused") };
    assert_eq!(refused.reason, Reason::EntitlementRevoked);
    // Back in favour, the call runs; the instance of the ended grant is gone.
    bench.signer.rule("view", Rule::Timed(30));
    assert_eq!(count(&view).await.expect("a new instance"), 1);
}

/// What was for good was paid back, and the account has uses left: one is drawn, it serves one call, and no more go
/// without being asked for.
#[tokio::test]
async fn a_timed_grant_that_becomes_counted_draws_one_use_that_serves_a_call() {
    for pass in [25, 40] {
        let bench = Bench::new();
        let view = bench.view().await;
        bench.signer.rule("view", Rule::Uses(1));
        bench.pass(pass).await;
        let mut calls = 0;
        for _ in 0..20 {
            calls += u32::from(honest(&view).await.is_ok());
            // The renewal near the end goes on in the background.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(bench.requests(), 2, "{pass} s: one draw");
        assert!(calls >= 1, "{pass} s: the use serves a call");
        assert!(matches!(honest(&view).await, Err(Error::Ended(Ended::Spent))), "{pass} s");
    }
}

/// A publisher ends a free offer while its resource runs.
#[tokio::test]
async fn a_free_grant_is_renewed_under_a_free_offer_and_nothing_else() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Free(30));
    let view = bench.view().await;
    bench.pass(40).await;
    assert_eq!(honest(&view).await.expect("the control: still free"), 5);
    let accepted = bench.signer.accepted.lock().expect("offers").clone();
    assert!(matches!(accepted[..], [None, Some(_)]), "{accepted:?}");
    bench.signer.rule("view", Rule::Uses(5));
    bench.pass(40).await;
    for _ in 0..5 {
        let refused = honest(&view).await.expect_err("no longer free");
        assert!(matches!(&refused, Error::Refused(no) if no.reason == Reason::PaymentRequired), "{refused:?}");
    }
    assert_eq!(bench.requests(), 2, "nothing was drawn");
}

#[tokio::test]
async fn a_trap_takes_its_own_instance_and_no_other() {
    let bench = Bench::new();
    let (one, two) = (bench.view().await, bench.view().await);
    assert_eq!((count(&one).await.expect("1"), count(&two).await.expect("1")), (1, 1));
    assert!(matches!(one.call(&api("fail"), &[]).await, Err(Error::Trap(_))));
    assert_eq!(count(&two).await.expect("untouched"), 2);
    assert_eq!(count(&one).await.expect("a new instance"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_of_one_grant_run_one_after_another() {
    let view = Arc::new(Bench::new().view().await);
    let calls = (0..50).map(|_| {
        let view = Arc::clone(&view);
        tokio::spawn(async move { count(&view).await.expect("called") })
    });
    let mut counts: Vec<u32> = futures::future::join_all(calls).await.into_iter().map(|n| n.expect("joined")).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_never_draw_more_uses_than_there_are() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Uses(10));
    let view = Arc::new(bench.view().await);
    let calls = (0..40).map(|_| {
        let view = Arc::clone(&view);
        tokio::spawn(async move { honest(&view).await.is_ok() })
    });
    let done = futures::future::join_all(calls).await.into_iter().filter(|ok| *ok.as_ref().expect("joined")).count();
    assert_eq!(done, 10);
}

#[tokio::test]
async fn a_dropped_future_ends_its_call_and_leaves_no_half_used_instance() {
    let view = Bench::new().view().await;
    assert_eq!(count(&view).await.expect("1"), 1);
    let spin = api("spin");
    let spinning = view.call(&spin, &[]);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), spinning).await.is_err(), "it spins");
    assert_eq!(count(&view).await.expect("a new instance"), 1);
}

#[test]
fn the_same_without_async() {
    let fixture = crate::fixture::Fixture::new();
    let other = Bench::of(&fixture, |builder| builder);
    let builder = portcullis_host::Runtime::builder().gatekeeper(Arc::clone(&other.signer));
    let runtime = blocking::Runtime::build(builder.clock(other.clock())).expect("a runtime");
    let view = runtime.load(fixture.file).expect("loads").authorize("view").expect("authorised");
    assert_eq!(view.call(&api("add"), &[Val::U32(2), Val::U32(3)]).expect("called"), [Val::U32(5)]);
}

#[tokio::test]
async fn an_export_looked_up_once_is_called_often_and_outlives_its_instance() {
    let view = Bench::new().view().await;
    let mut count = view.typed::<(), (u32,)>(&api("count")).expect("looked up");
    for expected in 1..=1000 {
        assert_eq!(count.call(()).await.expect("called"), (expected,));
    }
    assert!(matches!(view.call(&api("fail"), &[]).await, Err(Error::Trap(_))));
    assert_eq!(count.call(()).await.expect("in a new instance"), (1,));
    assert!(view.typed::<(), (u32,)>(&api("other")).is_err());
}

#[tokio::test]
async fn a_caller_who_keeps_all_others_out_passes_the_same_gate() {
    let bench = Bench::new();
    bench.signer.rule("view", Rule::Uses(5));
    let mut view = bench.resource.authorize_with("view", Terms::uses(5)).await.expect("authorised");
    assert!(view.typed_mut::<(), (u32,)>(&api("other")).is_err(), "another operation's");
    let mut count = view.typed_mut::<(), (u32,)>(&api("count")).expect("looked up");
    assert_eq!(count.call(()).await.expect("in a new instance"), (1,));
    assert_eq!(count.call(()).await.expect("in the same"), (2,));
    let mut spin = view.typed_mut::<(), ()>(&api("spin")).expect("looked up");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), spin.call(())).await.is_err(), "it spins");
    let mut count = view.typed_mut::<(), (u32,)>(&api("count")).expect("looked up");
    assert_eq!(count.call(()).await.expect("the half-used instance is gone"), (1,));
    assert_eq!(count.call(()).await.expect("the last use"), (2,));
    assert!(matches!(count.call(()).await, Err(Error::Ended(Ended::Spent))), "every call drew a use");
}

#[tokio::test]
async fn every_future_can_move_between_threads() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let bench = Bench::new();
    let view = sent(bench.resource.authorize("view")).await.expect("authorised");
    sent(view.call(&api("count"), &[])).await.expect("called");
    sent(view.call_for_bytes(&api("big"), &[Val::U32(1)])).await.expect("called").expect("bytes");
    sent(view.typed::<(), (u32,)>(&api("count")).expect("looked up").call(())).await.expect("called");
    assert!(sent(view.run(portcullis_host::Command::default())).await.is_err());
}
