//! `example-merchant`, which ends without any clean-up at the step that `PORTCULLIS_FAULT` names: for crash tests, and
//! for nothing else.

#![forbid(unsafe_code)]

use example_merchant::{STEPS, Watch, commands};
use std::process::ExitCode;

fn main() -> ExitCode {
    let fault = std::env::var("PORTCULLIS_FAULT").unwrap_or_default();
    let step = fault.strip_suffix(":kill").unwrap_or_default().to_owned();
    // A test with a typing error must not pass.
    assert!(STEPS.contains(&step.as_str()), "PORTCULLIS_FAULT is STEP:kill with a step of {STEPS:?}, not `{fault}`");
    commands::main(Watch::by(move |passed| {
        if passed == step {
            std::process::abort();
        }
    }))
}
