//! The command `portcullis-mail`: finds the bills in a mailbox.

#![forbid(unsafe_code)]

mod commands;

use portcullis_protocol::text::shown;
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A server's words may stand in it.
            eprintln!("error: {}", shown(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
