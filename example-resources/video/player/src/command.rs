//! The command: `[START [SECONDS]]` writes the film to standard output.

use std::io::{self, Write};

use portcullis_guest::{Grant, paid};

use crate::Video;
use crate::bindings::exports::ridgeline::first_light::film::Error;
use crate::bindings::exports::wasi::cli::run::Guest;
use crate::bindings::wasi::cli::{environment, stderr, stdout};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};
use crate::scene::Scene;

impl Guest for Video {
    fn run() -> Result<(), ()> {
        // The first argument is the command's own name.
        let arguments: Vec<String> = environment::get_arguments().into_iter().skip(1).collect();
        let Some((start, seconds)) = parse(&arguments) else {
            return complain("usage: [START [SECONDS]], in seconds");
        };
        match watch(start, seconds, Stream(stdout::get_stdout())) {
            Ok(()) => Ok(()),
            Err(Error::Refused(refusal)) => complain(&refusal.to_string()),
            Err(Error::Unreadable(what) | Error::OutOfRange(what)) => complain(&what),
        }
    }
}

/// Writes a scene, or what follows `start`.
#[paid(operation = "watch")]
pub(crate) fn watch(grant: &Grant, start: f64, seconds: Option<f64>, to: impl Write) -> Result<(), Error> {
    Scene::find(grant.open("film")?, start, seconds)?.write(to)
}

/// Where to begin, and for how long.
pub(crate) fn parse(arguments: &[String]) -> Option<(f64, Option<f64>)> {
    match arguments {
        [] => Some((0.0, None)),
        [start] => Some((start.parse().ok()?, None)),
        [start, seconds] => Some((start.parse().ok()?, Some(seconds.parse().ok()?))),
        _ => None,
    }
}

fn complain(what: &str) -> Result<(), ()> {
    // Where nobody reads it there is nobody to tell.
    let _ = writeln!(Stream(stderr::get_stderr()), "{what}");
    Err(())
}

/// A stream of the terminal, which takes as much at once as it says.
struct Stream(OutputStream);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let room = self.0.check_write().map_err(closed)?;
            let length = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            if length > 0 || bytes.is_empty() {
                self.0.write(&bytes[..length]).map_err(closed)?;
                return Ok(length);
            }
            self.0.subscribe().block();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.blocking_flush().map_err(closed)
    }
}

/// Who read the stream has gone, or its bound is reached.
fn closed(_: StreamError) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
