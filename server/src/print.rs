//! What the program says on its standard streams: for people, without anything that a terminal obeys; for programs,
//! JSON.

use anyhow::Context as _;
use portcullis_protocol::text::{json_escaped, shown};
use serde_json::Value;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// A report. Names, titles and labels in it are what others chose.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    line(&shown(text))
}

/// One JSON value.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    line(&json_escaped(&value.to_string()))
}

/// A writer to standard output for lines of JSON, each escaped as in [`json`].
pub(crate) fn json_lines() -> impl io::Write {
    JsonLines(Vec::new())
}

/// Buffers a line until it is complete.
struct JsonLines(Vec<u8>);

impl io::Write for JsonLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = self.0.drain(..=end).collect();
            write_line(&json_escaped(&String::from_utf8_lossy(&whole[..end])))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// What the command line's own parser answers: help, a version, a complaint, which repeats what was typed.
pub(crate) fn answer(answer: &clap::Error) -> ExitCode {
    let written = if answer.use_stderr() {
        write!(io::stderr(), "{}", shown(&answer.render().to_string()))
    } else {
        answer.print()
    };
    match written {
        Ok(()) => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why the program ends with an error.
pub(crate) fn error(error: &str) {
    // Without anybody to hear it there is nobody to tell.
    writeln!(io::stderr(), "error: {}", shown(error).replace('\n', "\n  ")).ok();
}

fn line(text: &str) -> anyhow::Result<()> {
    match write_line(text) {
        // The reader has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

fn write_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
