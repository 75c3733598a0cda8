//! Bodies that misbehave, as a table: one small component each, which does honest work as well.
//!
//! Every body exports `add`, `count` (its calls so far, which shows whether an instance is a new one) and `attack`,
//! which does nothing if its first parameter is 0.

use portcullis_fixtures::{Fixture, description, operation, rng};
use portcullis_host::{Bound, Error, Val};
use portcullis_protocol::SecretKey;
use portcullis_protocol::census::Need;

/// A body and how it is to end.
pub(super) struct Kind {
    /// What has to be imported besides billing, and lowered: `$name` of core functions.
    imports: &'static str,
    /// Those core functions as the module gets them.
    lowered: &'static str,
    /// What the module consists of, `attack` included.
    module: &'static str,
    /// The type of `attack` after its first parameter, and the options that it is lifted with.
    lifted: [&'static str; 2],
    /// More at the component's level, where the attack is in being instantiated.
    more: fn() -> String,
    /// How it ends.
    pub(super) end: End,
}

/// How a call ends that has to be ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// At its deadline.
    InTime,
    /// At a bound, long before.
    Bound(Bound),
    /// Before anything is compiled, for what its instances would take from the start.
    Needs(Need),
    /// By a trap of which the text says this much.
    Trap(&'static str),
}

impl End {
    /// The refusal's text, in part.
    pub(super) fn text(self) -> String {
        match self {
            Self::InTime => format!("bound on {}", Bound::Time),
            Self::Bound(bound) => format!("bound on {bound}"),
            Self::Needs(need) => format!("bound on {need}"),
            Self::Trap(text) => text.to_owned(),
        }
    }

    /// Whether `error` is this end.
    pub(super) fn is(self, error: &Error) -> bool {
        match (self, error) {
            (Self::InTime, Error::Limit(hit)) => *hit == Bound::Time,
            (Self::Bound(bound), Error::Limit(hit)) => *hit == bound,
            (Self::Needs(need), Error::Needs(said)) => said.need == need,
            (Self::Trap(text), Error::Trap(said)) => said.contains(text),
            _ => false,
        }
    }
}

fn nothing() -> String {
    String::new()
}

/// `attack` has one parameter, no result, and works at once or by what it calls.
const PLAIN: Kind = Kind { imports: "", lowered: "", module: "", lifted: ["", ""], more: nothing, end: End::InTime };

const BYTES: [&str; 2] = ["(result (list u8))", r#"(memory (core memory $libc "memory"))"#];

/// Calls itself for ever without growing.
pub(super) const LOOPS: Kind = Kind { module: "(func $attack (loop $again (br $again)))", ..PLAIN };

/// Grows its memory until it is stopped.
pub(super) const ALLOCATES: Kind = Kind {
    module: "(func $attack (loop $again (drop (memory.grow (i32.const 16))) (br $again)))",
    end: End::Bound(Bound::Memory),
    ..PLAIN
};

/// Calls itself until the stack ends.
pub(super) const RECURSES: Kind =
    Kind { module: "(func $attack (call $attack) (call $attack))", end: End::Bound(Bound::Stack), ..PLAIN };

/// Grows a table instead of a memory.
pub(super) const GROWS_TABLES: Kind = Kind {
    module: "(table $t 1 funcref)
      (func $attack (loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)))",
    end: End::Bound(Bound::Tables),
    ..PLAIN
};

/// Writes all of its memory again and again: one instruction, during which nothing is looked at.
pub(super) const FILLS_MEMORY: Kind = Kind {
    module: "(func $attack
      (drop (memory.grow (i32.const 3000)))
      (loop $again
        (memory.fill (i32.const 131072) (i32.const 7) (i32.const 196608000))
        (br $again)))",
    ..PLAIN
};

/// Asks the host for its grant and drops it, for ever.
pub(super) const FLOODS_HOST_CALLS: Kind =
    Kind { module: "(func $attack (loop $again (call $drop (call $entry)) (br $again)))", ..PLAIN };

/// Asks for its grant and keeps it, for ever.
pub(super) const LEAKS_HANDLES: Kind = Kind {
    module: "(func $attack (loop $again (drop (call $entry)) (br $again)))",
    end: End::Bound(Bound::Handles),
    ..PLAIN
};

/// Uses a handle that it was never given.
pub(super) const FORGES_HANDLES: Kind =
    Kind { module: "(func $attack (call $drop (i32.const 4000)))", end: End::Trap("handle"), ..PLAIN };

const CLOCK: &str = r#"
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $p (eq $outer)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (core func $now (canon lower (func $clock "now")))
  (core func $after (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))"#;
const CLOCK_LOWERED: &str =
    r#"(export "now" (func $now)) (export "after" (func $after)) (export "block" (func $block))"#;

/// Looks at the clock for ever.
pub(super) const POLLS_THE_CLOCK: Kind = Kind {
    imports: CLOCK,
    lowered: CLOCK_LOWERED,
    module: r#"(import "host" "now" (func $now (result i64)))
      (func $attack (loop $again (drop (call $now)) (br $again)))"#,
    ..PLAIN
};

/// Sleeps for five hundred years.
pub(super) const SLEEPS: Kind = Kind {
    imports: CLOCK,
    lowered: CLOCK_LOWERED,
    module: r#"(import "host" "after" (func $after (param i64) (result i32)))
      (import "host" "block" (func $block (param i32)))
      (func $attack (call $block (call $after (i64.const -1))))"#,
    ..PLAIN
};

/// Makes alarms and never waits for one.
pub(super) const LEAKS_ALARMS: Kind = Kind {
    imports: CLOCK,
    lowered: CLOCK_LOWERED,
    module: r#"(import "host" "after" (func $after (param i64) (result i32)))
      (func $attack (loop $again (drop (call $after (i64.const -1))) (br $again)))"#,
    end: End::Bound(Bound::Handles),
    ..PLAIN
};

const RANDOM: &str = r#"
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core func $bytes (canon lower (func $random "get-random-bytes")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#;
const RANDOM_LOWERED: &str = r#"(export "bytes" (func $bytes))"#;

/// Has the host make random bytes for ever, as many at once as it may.
pub(super) const FLOODS_RANDOM: Kind = Kind {
    imports: RANDOM,
    lowered: RANDOM_LOWERED,
    module: r#"(import "host" "bytes" (func $bytes (param i64 i32)))
      (func $attack (loop $again (call $bytes (i64.const 65536) (i32.const 0)) (br $again)))"#,
    ..PLAIN
};

/// Wants all random bytes that there are at once.
pub(super) const WANTS_ENDLESS_RANDOM: Kind = Kind {
    imports: RANDOM,
    lowered: RANDOM_LOWERED,
    module: r#"(import "host" "bytes" (func $bytes (param i64 i32)))
      (func $attack (call $bytes (i64.const -1) (i32.const 0)))"#,
    end: End::Bound(Bound::Data),
    ..PLAIN
};

/// Passes the host a name of 192 MiB.
pub(super) const PASSES_HUGE_STRINGS: Kind = Kind {
    imports: r#"
  (import "portcullis:gate/vault@0.1.0" (instance $vault
    (alias outer 1 $grant (type $outer))
    (export "grant" (type $g (eq $outer)))
    (export "part" (type $part (sub resource)))
    (type $error (variant (case "no-such-part") (case "not-granted") (case "expired") (case "damaged")))
    (export "vault-error" (type $e (eq $error)))
    (export "open" (func (param "grant" (borrow $g)) (param "name" string) (result (result (own $part) (error $e)))))))
  (core func $open (canon lower (func $vault "open") (memory (core memory $libc "memory"))))"#,
    lowered: r#"(export "open" (func $open))"#,
    module: r#"(import "host" "open" (func $open (param i32 i32 i32 i32)))
      (func $attack
        (drop (memory.grow (i32.const 3100)))
        (call $open (call $entry) (i32.const 65536) (i32.const 201326592) (i32.const 0)))"#,
    end: End::Bound(Bound::Data),
    ..PLAIN
};

/// Gives 192 MiB back.
pub(super) const GIVES_HUGE_RESULTS: Kind = Kind {
    module: "(func $attack
        (drop (memory.grow (i32.const 3100)))
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 201326592)))",
    lifted: BYTES,
    end: End::Bound(Bound::Data),
    ..PLAIN
};

/// Gives a list of lists of lists, which all lie in the same place: 16 KiB of memory stand for 2^44 values.
pub(super) const GIVES_DEEP_VALUES: Kind = Kind {
    module: "(func $attack (local $at i32)
        (local.set $at (i32.const 65536))
        (loop $again
          (i32.store (local.get $at) (i32.const 65536))
          (i32.store offset=4 (local.get $at) (i32.const 2048))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 81920))))
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 2048)))",
    lifted: ["(result (list (list (list (list u8)))))", r#"(memory (core memory $libc "memory"))"#],
    end: End::Bound(Bound::Data),
    ..PLAIN
};

/// Gives a list that lies where it has no memory.
pub(super) const LIES_ABOUT_RESULTS: Kind = Kind {
    module: "(func $attack
        (i32.store (i32.const 0) (i32.const -16))
        (i32.store (i32.const 4) (i32.const 4096)))",
    lifted: BYTES,
    end: End::Trap("out of bounds"),
    ..PLAIN
};

/// Spins while the engine cleans up behind a call that has given its result.
pub(super) const SPINS_AFTER_RETURNING: Kind = Kind {
    module: r#"(global $spins (mut i32) (i32.const 0))
      (func $attack (i64.store (i32.const 0) (i64.const 0)) (global.set $spins (i32.const 1)))
      (func (export "after") (param i32) (if (global.get $spins) (then (loop $again (br $again)))))"#,
    lifted: ["(result (list u8))", r#"(memory (core memory $libc "memory")) (post-return (core func $m "after"))"#],
    ..PLAIN
};

/// Spins when the host asks it for memory in the midst of a host call.
pub(super) const SPINS_IN_REALLOC: Kind = Kind {
    imports: RANDOM,
    lowered: RANDOM_LOWERED,
    module: r#"(import "host" "bytes" (func $bytes (param i64 i32)))
      (func $attack (call $bytes (i64.const 4321) (i32.const 0)))"#,
    ..PLAIN
};

/// Spins when it drops something of its own.
pub(super) const SPINS_IN_A_DESTRUCTOR: Kind = Kind {
    imports: r#"
  (core module $d (func (export "destroy") (param i32) (loop $again (br $again))))
  (core instance $d (instantiate $d))
  (type $thing (resource (rep i32) (dtor (core func $d "destroy"))))
  (core func $make (canon resource.new $thing))
  (core func $unmake (canon resource.drop $thing))"#,
    lowered: r#"(export "make" (func $make)) (export "unmake" (func $unmake))"#,
    module: r#"(import "host" "make" (func $make (param i32) (result i32)))
      (import "host" "unmake" (func $unmake (param i32)))
      (func $attack (call $unmake (call $make (i32.const 1))))"#,
    ..PLAIN
};

/// Spins before it can be called.
pub(super) const SPINS_AT_THE_START: Kind = Kind {
    module: "(func $attack)",
    more: || {
        "(core module $s (func $spin (loop $again (br $again))) (start $spin)) (core instance (instantiate $s))".into()
    },
    ..PLAIN
};

/// Consists of nine hundred instances.
pub(super) const MAKES_MANY_INSTANCES: Kind = Kind {
    module: "(func $attack)",
    more: || format!("(core module $s) {}", "(core instance (instantiate $s))".repeat(400)),
    end: End::Needs(Need::Instances),
    ..PLAIN
};

/// Has fifty memories of a page.
pub(super) const MAKES_MANY_MEMORIES: Kind = Kind {
    module: "(func $attack)",
    more: || format!("(core module $s (memory 1)) {}", "(core instance (instantiate $s))".repeat(50)),
    end: End::Needs(Need::Memories),
    ..PLAIN
};

/// Wants 4 GiB from the start.
pub(super) const STARTS_HUGE: Kind = Kind {
    module: "(func $attack)",
    more: || "(core module $s (memory 65536)) (core instance (instantiate $s))".into(),
    end: End::Needs(Need::Memory),
    ..PLAIN
};

impl Kind {
    /// Whether it attacks in being instantiated: then `attack` does nothing, and what does honest work is another body.
    pub(super) fn is_instantiated(&self) -> bool {
        !(self.more)().is_empty()
    }

    /// The arguments of `attack`.
    pub(super) fn arguments(how: u32) -> [Val; 1] {
        [Val::U32(how)]
    }

    /// The body; without what attacks where `tame`.
    fn body(&self, tame: bool) -> Vec<u8> {
        let Self { imports, lowered, module, lifted: [ty, options], .. } = self;
        let more = if tame { String::new() } else { (self.more)() };
        // A result in memory is returned as its address.
        let (result, zero) = if ty.is_empty() { ("", "") } else { ("(result i32)", "(i32.const 0)") };
        let (own_imports, own): (Vec<&str>, Vec<&str>) =
            module.split_inclusive('\n').partition(|line| line.trim_start().starts_with("(import"));
        let (own_imports, own) = (own_imports.concat(), own.concat());
        wat::parse_str(format!(
            r#"(component
  (import "portcullis:gate/billing@0.1.0" (instance $billing
    (export "grant" (type $g (sub resource)))
    (export "entry" (func (result (own $g))))))
  (alias export $billing "grant" (type $grant))
  (core func $entry (canon lower (func $billing "entry")))
  (core func $drop (canon resource.drop $grant))
  (core module $libc
    (memory (export "memory") 4)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.eq (local.get 3) (i32.const 4321)) (then (loop $again (br $again))))
      (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  {imports}
  (core module $m
    (import "host" "entry" (func $entry (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "libc" "memory" (memory 4))
    {own_imports}
    (global $calls (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
    {own}
    (func (export "attack") (param i32) {result}
      (i64.store (i32.const 0) (i64.const 0))
      (if (local.get 0) (then (call $attack)))
      {zero}))
  (core instance $m (instantiate $m
    (with "host" (instance (export "entry" (func $entry)) (export "drop" (func $drop)) {lowered}))
    (with "libc" (instance $libc))))
  {more}
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "add")))
  (func (export "count") (result u32) (canon lift (core func $m "count")))
  (func (export "attack") (param "how" u32) {ty} (canon lift (core func $m "attack") {options})))"#
        ))
        .expect("the attacks write WAT well")
    }

    /// A resource with this body. One that attacks in being instantiated may not be sealed: a patched tool makes it.
    pub(super) fn sealed(&self, tame: bool) -> Fixture {
        let key = SecretKey::generate(&mut rng());
        let exports = ["add", "count", "attack"];
        let description = description(&key, vec![operation("view", &exports, &["main"])]);
        if self.is_instantiated() && !tame {
            return Fixture::sealed(description, &self.body(true), key).with_body(&self.body(false));
        }
        Fixture::sealed(description, &self.body(tame), key)
    }
}
