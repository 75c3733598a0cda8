//! Commands: `wasi:cli/run`, with bounded standard streams and an inert machine.

use crate::fixture::{Bench, Fixture, Rule, command};
use portcullis_host::{Bound, Command, Ended, Error, Input, Lent, Limits, Output, OutputBuffer};
use std::sync::Arc;

const HELLO: &str =
    "(call $write (call $stdout) (i32.const 512) (i32.const 6) (i32.const 0)) (i32.load8_u (i32.const 0))";

fn bench(fixture: &Fixture, limits: Limits, lent: Lent) -> Bench {
    let bench = Bench::of(fixture, |builder| builder.limits(limits).lend(lent));
    bench.signer.rule("run", Rule::Timed(30));
    bench
}

fn plain(run: &str) -> Bench {
    bench(&command(run, |_| {}), Limits::default(), Lent::default())
}

fn into(buffer: &OutputBuffer) -> Command {
    Command::new(vec!["hello".into()], Input::Empty, Output::Buffer(buffer.clone()), Output::Discard)
}

#[tokio::test]
async fn a_command_runs_and_its_output_is_caught() {
    let bench = plain(HELLO);
    let output = OutputBuffer::default();
    let exit = bench.resource.run(into(&output)).await.expect("ran");
    assert_eq!((exit.code, exit.output_cut, output.take()), (0, false, b"hello\n".to_vec()));
    // Twice, each in an instance of its own.
    let authorised = bench.resource.authorize("run").await.expect("authorised");
    for _ in 0..2 {
        assert_eq!(authorised.run(into(&output)).await.expect("ran").code, 0);
        assert_eq!(output.take(), b"hello\n");
    }
}

#[tokio::test]
async fn codes_and_traps_are_told_apart() {
    assert_eq!(plain("(i32.const 1)").resource.run(Command::default()).await.expect("ran").code, 1);
    assert_eq!(
        plain("(call $exit (i32.const 1)) unreachable").resource.run(Command::default()).await.expect("ran").code,
        1
    );
    assert_eq!(
        plain("(call $exit (i32.const 0)) unreachable").resource.run(Command::default()).await.expect("ran").code,
        0
    );
    let trapped = plain("unreachable").resource.run(Command::default()).await;
    assert!(matches!(trapped, Err(Error::Trap(_))), "{trapped:?}");
}

#[tokio::test]
async fn each_run_draws_a_use() {
    let bench = plain(HELLO);
    bench.signer.rule("run", Rule::Uses(2));
    let authorised = bench.resource.authorize("run").await.expect("authorised");
    for _ in 0..2 {
        assert_eq!(authorised.run(Command::default()).await.expect("ran").code, 0);
    }
    assert!(matches!(authorised.run(Command::default()).await, Err(Error::Ended(Ended::Spent))));
}

#[tokio::test]
async fn arguments_that_are_too_long_are_refused_before_anything_is_asked() {
    let mut limits = Limits::default();
    limits.argument = 100;
    let bench = bench(&command(HELLO, |_| {}), limits, Lent::default());
    let long = || Command::new(vec!["x".repeat(101)], Input::Empty, Output::Discard, Output::Discard);
    assert!(matches!(bench.resource.run(long()).await, Err(Error::Arguments(_))));
    assert_eq!(bench.requests(), 0);
    bench.signer.rule("run", Rule::Uses(1));
    let authorised = bench.resource.authorize("run").await.expect("authorised");
    assert!(matches!(authorised.run(long()).await, Err(Error::Arguments(_))));
    assert_eq!(authorised.uses_left(), Some(1), "no use was drawn");
    assert_eq!(authorised.run(Command::default()).await.expect("ran").code, 0);
}

#[tokio::test]
async fn a_guest_that_floods_its_output_is_cut_off() {
    let mut limits = Limits::default();
    limits.output = 1000;
    limits.run_max = 1;
    // Writes until it is told no, then says that it went well.
    let flood = "(local.set $out (call $stdout)) (loop $again
        (call $write (local.get $out) (i32.const 512) (i32.const 6) (i32.const 0))
        (br_if $again (i32.eqz (i32.load8_u (i32.const 0))))) (i32.const 0)";
    let output = OutputBuffer::default();
    let bench = bench(&command(flood, |_| {}), limits, Lent::default());
    let exit = bench.resource.run(into(&output)).await.expect("ran");
    assert!(exit.output_cut && exit.code == 0);
    let written = output.take().len();
    assert!((990..=1000).contains(&written), "{written}");
}

#[tokio::test]
async fn what_is_collected_in_memory_is_bounded_as_results_are() {
    let mut limits = Limits::default();
    limits.result = 4;
    let output = OutputBuffer::default();
    let bench = bench(&command(HELLO, |_| {}), limits, Lent::default());
    let exit = bench.resource.run(into(&output)).await.expect("ran");
    assert!(exit.output_cut && output.take().len() <= 4);

    // The control: what goes into a file takes no memory.
    let file = Arc::new(tempfile::tempfile().expect("a file"));
    let command = Command::new(vec![], Input::Empty, Output::File(Arc::clone(&file)), Output::Discard);
    let exit = bench.resource.run(command).await.expect("ran");
    assert!(!exit.output_cut && exit.code == 0);
    assert!(file.metadata().expect("metadata").len() > 4);
}

#[tokio::test]
async fn a_command_that_never_ends_is_ended() {
    let mut limits = Limits::default();
    limits.run_max = 1;
    let bench = bench(&command("(loop $again (br $again)) unreachable", |_| {}), limits, Lent::default());
    assert!(matches!(bench.resource.run(Command::default()).await, Err(Error::Limit(Bound::Time))));
}

#[tokio::test]
async fn the_wall_clock_is_shown_where_manifest_and_operator_agree() {
    // 0 where the clock shows the fixed time.
    let run = "(call $now (i32.const 64)) (i64.ne (i64.load (i32.const 64)) (i64.const 1577836800))";
    for (asked, lent, shown) in [(false, false, 0), (true, false, 0), (false, true, 0), (true, true, 1)] {
        let mut terms = Lent::default();
        terms.wall_clock = lent;
        let bench =
            bench(&command(run, |description| description.capabilities.wall_clock = asked), Limits::default(), terms);
        assert_eq!(bench.resource.run(Command::default()).await.expect("ran").code, shown, "{asked} {lent}");
    }
}

#[tokio::test]
async fn a_resource_without_run_is_no_command() {
    assert!(matches!(Bench::new().resource.run(Command::default()).await, Err(Error::UnknownExport(_))));
    let view = Bench::new().view().await;
    assert!(matches!(view.run(Command::default()).await, Err(Error::UnknownExport(_))));
}
