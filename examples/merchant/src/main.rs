//! `example-merchant`: see README.md beside it.

#![forbid(unsafe_code)]

use example_merchant::{Watch, commands};
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main(Watch::none())
}
