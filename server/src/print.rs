//! What the program says on its standard streams: for people, without anything that a terminal obeys; for programs,
//! JSON.

use anyhow::Context as _;
use portcullis_protocol::text::{json_escaped, shown};
use serde_json::Value;
use std::error::Error as _;
use std::io::{self, Write as _};
use std::num::{IntErrorKind, ParseIntError};
use std::process::ExitCode;

/// A report. Names, titles and labels in it are what others chose.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    line(&shown(text))
}

/// One JSON value.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    line(&json_escaped(&value.to_string()))
}

/// Standard output, for lines of JSON that are escaped already.
pub(crate) fn json_lines() -> impl io::Write {
    io::stdout()
}

/// What the command line's own parser answers: help, a version, a complaint, which repeats what was typed.
pub(crate) fn answer(answer: &clap::Error) -> ExitCode {
    let written = if answer.use_stderr() { write!(io::stderr(), "{}", shown(&plain(answer))) } else { answer.print() };
    match written {
        Ok(()) => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// What somebody should know, though the program does what was asked.
pub(crate) fn note(note: &str) {
    writeln!(io::stderr(), "note: {}", shown(note)).ok();
}

/// A complaint about what was typed, in words for people: what Rust says of a number is for programmers.
fn plain(answer: &clap::Error) -> String {
    let said = answer.render().to_string();
    let Some(cause) = answer.source().and_then(|cause| cause.downcast_ref::<ParseIntError>()) else { return said };
    let words = match cause.kind() {
        IntErrorKind::PosOverflow => "the number is too large",
        IntErrorKind::NegOverflow => "the number is too small",
        _ => "not a whole number",
    };
    said.replacen(&cause.to_string(), words, 1)
}

/// Why the program ends with an error.
pub(crate) fn error(error: &str) {
    // Without anybody to hear it there is nobody to tell.
    writeln!(io::stderr(), "error: {}", shown(error).replace('\n', "\n  ")).ok();
}

fn line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        // The reader has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
