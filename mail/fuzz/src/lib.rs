//! What each fuzz target does: it hands the bytes to the parser of its name.

pub use libfuzzer_sys;

/// The parser of a name.
#[must_use]
pub fn parser(name: &str) -> fn(&[u8]) {
    let found = portcullis_mail::fuzzing::TARGETS.iter().find(|(known, _)| *known == name);
    found.expect("a target of its own for each parser").1
}

/// A fuzz target for the parser of this name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::parser($name)(bytes));
    };
}
