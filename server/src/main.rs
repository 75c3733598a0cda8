//! `portcullis-server`: the billing authentication server as a command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_server::commands::main(portcullis_server::Parts::default())
}
