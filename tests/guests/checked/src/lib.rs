//! A guest that checks the documents of its grants, and does the same work without a check.

mod bindings {
    portcullis_guest::generate!("test:checked/checked");
}

use portcullis_guest::{Refusal, paid};

struct Checked;

impl bindings::exports::test::checked::api::Guest for Checked {
    #[cfg(feature = "check")]
    #[paid(operation = "work", check = check(&keys)?)]
    fn work(keys: String) -> Result<u32, Refusal> {
        Ok(42)
    }

    #[cfg(not(feature = "check"))]
    #[paid(operation = "work")]
    fn work(_keys: String) -> Result<u32, Refusal> {
        Ok(42)
    }

    #[paid(operation = "work")]
    fn believe() -> Result<u32, Refusal> {
        Ok(7)
    }
}

/// The root key of the tests' billing server: of the seed of 32 times 7.
#[cfg(feature = "check")]
fn check(keys: &str) -> Result<portcullis_guest::check::GrantCheck, Refusal> {
    const ROOTS: portcullis_guest::check::RootKeys =
        portcullis_guest::roots!("6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw");
    Ok(portcullis_guest::check::GrantCheck::new(&ROOTS, keys)?.of("tester", "checked"))
}

bindings::export!(Checked with_types_in bindings);
