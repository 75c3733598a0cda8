//! A shelf of resources: a small program that lists, previews, buys and runs them, several at a time.
//!
//! ```text
//!   main.rs      the user's thread: takes events, changes the model, shows what changed
//!   model.rs     what is on the shelf and what is under way; no I/O
//!   view.rs      the model as lines of text; no I/O
//!   desk.rs      the work, on threads of its own: everything that waits for a server or an engine
//!   dialogue.rs  questions from the work to the user, in a queue
//!   input.rs     what the user says: lines of a script, or of the keyboard
//! ```
//!
//! `cargo run --package portcullis-host --example shelf -- [--home DIR] [--seconds N] [--script FILE]`; `help` says
//! what can be typed.

#![forbid(unsafe_code)]

mod desk;
mod dialogue;
mod input;
mod model;
mod view;

use desk::Desk;
use input::{Input, Said};
use model::{Event, Shelf};
use portcullis_host::{Client, ClientOptions, Limits};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the end of the program waits for what a server is still owed.
const SETTLE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut options, mut limits, mut script) = (ClientOptions::new(), Limits::default(), None);
    // No resource of this shelf may keep a call for longer, whatever its publisher says.
    limits.run_max = 30;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--home" => options = options.state_dir(value),
            "--seconds" => {
                limits.run_max = value.parse().map_err(|_| format!("--seconds takes a whole number, not `{value}`"))?;
            }
            "--script" => script = Some(std::fs::read_to_string(&value).map_err(|error| format!("{value}: {error}"))?),
            _ => return Err("usage: shelf [--home DIR] [--seconds N] [--script FILE]".into()),
        }
    }

    // The work runs here; the user's thread is this one and never waits for it.
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (events, mut happened) = mpsc::unbounded_channel();
    let client = Client::open(options)?;
    let runtime = client
        .runtime()
        .consent(dialogue::Dialogue::new(events.clone()))
        .progress(desk::Steps::new(events.clone()))
        .limits(limits)
        .build()?;
    let desk = Desk::new(client.clone(), runtime, events.clone(), tokio.handle().clone());

    let mut shelf = Shelf::default();
    let mut input = match script {
        Some(text) => Input::script(&text),
        None => Input::keyboard(events),
    };
    loop {
        while let Some(said) = input.next(&shelf) {
            match said {
                Said::Do(command) => {
                    println!("> {command}");
                    for line in shelf.begin(&desk, command) {
                        println!("{line}");
                    }
                }
                Said::Nonsense(why) => println!("{why}"),
            }
        }
        if input.is_over(&shelf) {
            break;
        }
        let Some(event) = happened.blocking_recv() else { break };
        if let Event::Typed(line) = event {
            input.type_in(line);
            continue;
        }
        for line in shelf.apply(event) {
            println!("{line}");
        }
    }

    // What still runs is dropped: a call takes its store with it, and what was paid for is in the journal.
    shelf.stop_all();
    tokio.block_on(client.settle(SETTLE));
    tokio.shutdown_timeout(SETTLE);
    Ok(())
}
