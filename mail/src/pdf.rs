//! What a PDF says, read by a process of its own. Documents are written by strangers, and their readers unpack without
//! end: so the reader has little memory, little time and nothing else, and whatever happens to it costs one document.

mod reader;

use crate::limits::{MAX_PDF, MAX_PDF_ANSWER, PDF_TIMEOUT};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

pub use reader::read_pdf;

/// Reads a document in this very process, without any bound: for whoever looks for what breaks its reader.
pub(crate) fn parse(document: &[u8]) {
    drop(reader::contents(document));
}

/// What is taken out of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PdfContents {
    /// What a person reads in it.
    pub(crate) text: String,
    /// XML files inside it: Factur-X and ZUGFeRD have one.
    pub(crate) files: Vec<String>,
}

/// The document cannot be read: it is damaged, locked by a password, or takes more than documents take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadablePdf;

/// Starts the process that reads a document.
#[derive(Debug, Clone)]
pub struct PdfReader {
    program: PathBuf,
}

impl PdfReader {
    /// `program` is `portcullis-mail`, which reads documents when it is started with `read-pdf`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Reads one document.
    pub(crate) fn read(&self, document: &[u8]) -> Result<PdfContents, UnreadablePdf> {
        if document.len() > MAX_PDF {
            return Err(UnreadablePdf);
        }
        let mut command = Command::new(&self.program);
        // One arena and one thread: address space is what is bounded.
        command.arg("read-pdf").env_clear().env("MALLOC_ARENA_MAX", "1").env("RAYON_NUM_THREADS", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|_| UnreadablePdf)?;
        let (Some(mut input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(UnreadablePdf);
        };
        let (document, (done, answers)) = (document.to_vec(), channel());
        std::thread::spawn(move || {
            // One that ends early does not take the rest.
            let _ = input.write_all(&document);
        });
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let read = output.take(MAX_PDF_ANSWER).read_to_end(&mut answer);
            let _ = done.send(read.is_ok().then_some(answer));
        });
        let answer = answers.recv_timeout(PDF_TIMEOUT);
        // Over or not: one that is over cannot be ended, and one that is not shall be.
        let _ = process.kill();
        let status = process.wait();
        let answer = answer.ok().flatten().ok_or(UnreadablePdf)?;
        // Killed between its last byte and its end it has still said everything.
        let is_whole = status.is_ok_and(|status| status.success() || status.code().is_none());
        if !is_whole {
            return Err(UnreadablePdf);
        }
        serde_json::from_slice(&answer).map_err(|_| UnreadablePdf)
    }
}
