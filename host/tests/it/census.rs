//! What a body consists of and what its instances take: at each bound it is sealed and runs, beyond it nobody takes it.

use crate::fixture::{Bench, Fixture, Heavy, description, operation, part, rng};
use portcullis_host::{Error, Limits};
use portcullis_protocol::census::{Census, CensusError, Counted, Need, TooMuch};
use portcullis_protocol::seal::{SealRefused, Sealer};
use portcullis_protocol::surface::{Surface, SurfaceError};
use portcullis_protocol::{ResourceLimits, SecretKey};

/// What sealing a body says.
fn seal(body: &[u8], limits: ResourceLimits) -> Result<(), SealRefused> {
    let key = SecretKey::generate(&mut rng());
    let mut description = description(&key, vec![operation("view", &["add"], &["main"])]);
    description.limits = limits;
    Sealer::new(description).code(part("main"), false, body).check().map(drop)
}

/// Seals a body, opens it as a terminal does, and has it add two and three.
async fn run(fixture: &Fixture, limits: Limits) -> Result<u32, Error> {
    let bench = Bench::of(fixture, |builder| builder.limits(limits));
    let view = bench.resource.authorize("view").await?;
    view.call_typed::<(u32, u32), (u32,)>("add", (2, 3)).await.map(|(sum,)| sum)
}

fn needs(body: &[u8], need: Need) -> u64 {
    Census::of(body).expect("counted").needs().of(need)
}

#[tokio::test]
async fn what_hosts_give_is_sealed_and_runs_and_what_they_do_not_is_refused() {
    let light = Fixture::single(&Heavy::Instances.body(1), &["add"]);
    // Beside it, each body has one core instance of its own.
    for (kind, at, need) in [
        (Heavy::Instances, 127, Need::Instances),
        (Heavy::Memories, 32, Need::Memories),
        (Heavy::Pages, 4_096, Need::Memory),
        (Heavy::Tables, 256, Need::Tables),
        (Heavy::TableElements, 100_000, Need::TableElements),
    ] {
        let body = kind.body(at);
        assert_eq!(needs(&body, need), need.given(), "{kind:?} is at the bound");
        let sum = run(&Fixture::single(&body, &["add"]), Limits::default()).await;
        assert_eq!(sum.expect("runs at the bound"), 5, "{kind:?}");

        let over = kind.body(at + 1);
        let (count, most) = (needs(&over, need), need.given());
        let error = seal(&over, ResourceLimits::default()).expect_err("over the bound");
        let refused = TooMuch { need, count, most };
        assert_eq!(error, SealRefused::NeverRuns { part: part("main"), error: refused }, "{kind:?}");
        let said = error.to_string();
        assert!(said.contains(&count.to_string()) && said.contains(&most.to_string()), "{said}");
        // What a patched tool sealed: the host says so before it compiles anything.
        let error = run(&light.with_body(&over), Limits::default()).await.expect_err("over the bound");
        assert!(matches!(error, Error::Needs(said) if said == refused), "{error}");
    }
}

#[tokio::test]
async fn an_operator_with_lower_bounds_is_told_before_anything_is_compiled() {
    let mut limits = Limits::default();
    limits.instances = 10;
    let fixture = Fixture::single(&Heavy::Instances.body(20), &["add"]);
    let error = run(&fixture, limits).await.expect_err("more than the operator gives");
    let refused = TooMuch { need: Need::Instances, count: 21, most: 10 };
    assert!(matches!(error, Error::Needs(said) if said == refused), "{error}");
}

#[test]
fn bounds_that_no_host_gives_and_bounds_under_which_nothing_runs_are_not_sealed() {
    let body = Heavy::Pages.body(4);
    let with = |change: fn(&mut ResourceLimits)| {
        let mut limits = ResourceLimits::default();
        change(&mut limits);
        seal(&body, limits).map_err(|error| error.to_string())
    };
    for (change, names) in [
        ((|limits| limits.memory = Some((256 << 20) + 1)) as fn(&mut ResourceLimits), ["268435457", "268435456"]),
        (|limits| limits.run_max = Some(301), ["301", "300"]),
        (|limits| limits.run_max = Some(0), ["is 0", "1 to 300"]),
        (|limits| limits.result = Some(u64::MAX), ["18446744073709551615", "67108864"]),
        (|limits| limits.output = Some(1 << 40), ["1099511627776", "268435456"]),
        // Four pages are needed from the start.
        (|limits| limits.memory = Some(3 * 65_536), ["262144", "196608"]),
    ] {
        let error = with(change).expect_err("refused");
        assert!(names.iter().all(|name| error.contains(name)), "{error}");
    }
    with(|limits| {
        *limits = ResourceLimits {
            memory: Some(256 << 20),
            run_max: Some(300),
            result: Some(64 << 20),
            output: Some(256 << 20),
        };
    })
    .expect("what hosts give");
    with(|limits| limits.memory = Some(4 * 65_536)).expect("as much as is needed");
}

#[tokio::test]
async fn what_costs_too_much_is_refused_alike_by_all_who_read_it() {
    let light = Fixture::single(&Heavy::Instances.body(1), &["add"]);
    for (kind, over, what) in [
        (Heavy::Functions, Counted::Functions.most() + 1, Counted::Functions),
        (Heavy::Modules, Counted::Functions.most() + 1_000, Counted::Functions),
        (Heavy::EmptyModules, Counted::Modules.most(), Counted::Modules),
        (Heavy::ModuleTables, 101, Counted::ModuleTables),
        (Heavy::Instances, 500, Counted::Instances),
        (Heavy::Targets, 65_522, Counted::Targets),
        (Heavy::LongFunction, 900_000, Counted::FunctionBytes),
        (Heavy::Flow, 4_500, Counted::FunctionFlow),
        (Heavy::Stack, 4_000, Counted::FunctionFlow),
        (Heavy::Values, 1_000, Counted::FunctionWork),
        (Heavy::Indirect, 60_000, Counted::FunctionFlow),
        (Heavy::Nesting, Counted::FunctionNesting.most() + 1, Counted::FunctionNesting),
        (Heavy::Signatures, Counted::Signatures.most() + 1, Counted::Signatures),
        (Heavy::Types, Counted::Types.most(), Counted::TypeMembers),
        (Heavy::Lifts, 200, Counted::Linking),
        (Heavy::Components, 24, Counted::Linking),
        (Heavy::Nested, Counted::Nesting.most() + 1, Counted::Nesting),
        (Heavy::Globals, Counted::Variables.most() + 1, Counted::Variables),
        (Heavy::Segments, Counted::Segments.most() + 1, Counted::Segments),
        (Heavy::Elements, Counted::Elements.most() + 1, Counted::Elements),
        (Heavy::Exports, Counted::Links.most() + 1, Counted::Links),
    ] {
        let body = kind.body(usize::try_from(over).expect("a number"));
        let refused = match Census::of(&body) {
            Err(error @ CensusError::TooMany { .. }) => error,
            other => panic!("{kind:?}: {other:?}"),
        };
        let CensusError::TooMany { what: found, count, most } = refused else { unreachable!() };
        assert_eq!(found, what, "{kind:?}");
        assert!(count > most && most == what.most(), "{kind:?}: {refused}");
        let said = refused.to_string();
        assert!(said.contains(&count.to_string()) && said.contains(&most.to_string()), "{said}");
        // Sealing counts before it builds, and once more what was built.
        match seal(&body, ResourceLimits::default()) {
            Err(SealRefused::TooMany { error, .. }) => assert_eq!(error, refused),
            other => panic!("{kind:?}: {other:?}"),
        }
        let error = run(&light.with_body(&body), Limits::default()).await.expect_err("refused");
        assert!(matches!(&error, Error::Census(error) if *error == refused), "{kind:?}: {error}");
        // A stub is read before anything is paid for.
        match Surface::of(&body) {
            Err(SurfaceError::TooMany(error)) => assert_eq!(error, refused),
            // Steps of linking are those of instances, and a surface has none.
            surface => assert!(what == Counted::Linking && surface.is_ok(), "{kind:?}: {surface:?}"),
        }
    }
}
