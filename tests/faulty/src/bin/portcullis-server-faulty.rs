//! `portcullis-server`, with the faults that `PORTCULLIS_FAULT` names: for crash tests, and for nothing else.

#![forbid(unsafe_code)]

use portcullis_faulty::Faults;
use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_server::commands::main(Faults::from_env().parts())
}
