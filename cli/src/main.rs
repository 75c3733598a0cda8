//! The command `portcullis`: what users, publishers and stores type.
//!
//! ```text
//!   args ──▶ commands/<verb> ──▶ one report (text or JSON) on standard output
//!                │          └──▶ or one failure: cause, fix, exit code
//!                ├─ project, publisher_key, template     what a publisher has on disk
//!                └─ portcullis-host                      everything that runs or talks to a server
//! ```

#![forbid(unsafe_code)]

mod advice;
mod args;
mod commands;
mod context;
mod dev;
mod doctor;
mod endpoint;
mod failure;
mod guest;
mod payment;
mod project;
mod random;
#[cfg(test)]
mod reference;
mod resource;
mod screen;
mod verbs;

use std::process::ExitCode;

use crate::context::Context;
use crate::failure::Failure;
use crate::screen::hint;
use crate::screen::output::Screen;

fn main() -> ExitCode {
    let json = std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    let screen = Screen::new(json);
    hint::follow(std::env::args_os(), verbs::headings().into_iter().flat_map(|(_, verbs)| verbs));
    let code = match verbs::read() {
        Ok(cli) => {
            let context = Context::new(screen, cli.home.clone());
            cli.run(&context).unwrap_or_else(|failure| fail(screen, &failure))
        }
        // Help and version are answers, not errors.
        Err(error) if !json || !error.use_stderr() => {
            screen.answer(&error);
            u8::try_from(error.exit_code()).unwrap_or(1)
        }
        Err(error) => {
            let text = error.render().to_string();
            // Some complaints go on in further lines, before what is the same for all.
            let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
            let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
            let message = lines.join(" ");
            let message = message.trim_start_matches("error: ");
            fail(screen, &Failure::usage(message, "see `portcullis help`, and `portcullis help VERB`"))
        }
    };
    ExitCode::from(screen::output::lost().map_or(code, |failure| fail(screen, &failure)))
}

fn fail(screen: Screen, failure: &Failure) -> u8 {
    screen.failure(failure);
    failure.code()
}
