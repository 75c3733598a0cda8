//! `portcullis-server`: the billing authentication server as a command.

#![forbid(unsafe_code)]

mod commands;
mod print;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match commands::Command::try_parse() {
        Ok(command) => command,
        Err(answer) => return print::answer(&answer),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::error(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
