//! What a command prints: one report on standard output, as text or as one JSON value; progress on standard error.
//!
//! Everything leaves by a [`Screen`], through the filter of [`crate::screen::style`]; a test looks for ways around it.

use parking_lot::Mutex;
use portcullis_protocol::Thumbprint;
pub(crate) use portcullis_protocol::text::size;
use portcullis_protocol::text::{json_escaped, shown_line};
use serde::Serialize;
use serde_json::Value;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
pub(crate) use crate::payment::offer_line::{OfferLine, UNKNOWN, UnknownLine, unshown};
pub(crate) use crate::screen::moment::date;
pub(crate) use crate::screen::style;
use crate::screen::tty::Tty;

/// What a verb has to say. Serialised it is the JSON; its field names are part of the interface.
pub(crate) trait Report: Serialize {
    /// The text for a person, with styles in it.
    fn text(&self) -> String;

    /// What a person should know beside it, on standard error: no record of a list.
    fn notes(&self) -> String {
        String::new()
    }
}

/// Where reports and progress go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
}

impl Screen {
    /// `json`: one JSON value on standard output, and nothing for people on standard error but questions.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the caller is a program.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints the one report of a command.
    pub(crate) fn report(self, report: &impl Report) {
        keep(self.write(report));
    }

    /// As [`Screen::report`], of what is kept nowhere else afterwards: it is written when this returns, and if it went
    /// into a file, on the disk.
    pub(crate) fn deliver(self, report: &impl Report) -> io::Result<()> {
        self.write(report)?;
        on_disk()
    }

    fn write(self, report: &impl Report) -> io::Result<()> {
        if self.json {
            write_json(&serde_json::to_value(report).unwrap_or_default())
        } else {
            let text = report.text();
            let written = write(anstream::AutoStream::auto(io::stdout().lock()), style::render(&text).as_bytes());
            err(&report.notes());
            written
        }
    }

    /// Prints a failure: on standard output for a program, on standard error for a person.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            keep(write_json(&failure.to_json()));
        } else {
            err(&failure.to_text());
        }
    }

    /// A line of progress or a hint.
    pub(crate) fn note(self, line: impl Display) {
        if !self.json {
            err(&format!("{line}\n"));
        }
    }

    /// A warning, which a program gets too (on standard error).
    pub(crate) fn warn(self, line: impl Display) {
        let warn = style::WARN;
        err(&format!("{warn}warning{warn:#}: {line}\n"));
    }

    /// What the user of a program has to know too, on standard error.
    pub(crate) fn tell(self, text: impl Display) {
        err(&text.to_string());
    }

    /// What the command line's own parser answers: help, a version, a complaint. Its styles are kept.
    pub(crate) fn answer(self, error: &clap::Error) {
        let text = error.render();
        if error.use_stderr() {
            // A complaint repeats what was typed.
            let plain = text.to_string();
            let bad = style::BAD;
            let complaint = plain.strip_prefix("error:").map(|rest| format!("{bad}error{bad:#}:{rest}"));
            err(&complaint.unwrap_or(plain));
        } else {
            let own = portcullis_host::ScreenFilter::new().filter(text.ansi().to_string().as_bytes());
            keep(write(anstream::AutoStream::auto(io::stdout().lock()), &own));
        }
    }

    /// Writes bytes as they are to standard output, which is not a terminal.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        write(io::stdout().lock(), bytes)
    }

    /// Whether a person sits there who can be asked: one of the standard streams is a terminal, and there is one to
    /// ask at.
    pub(crate) fn can_ask(self) -> bool {
        let attended = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        !self.json && attended && Tty::open().is_some()
    }

    /// Asks; only `y` and `yes` mean yes. Never asks if nobody can answer.
    pub(crate) fn ask(self, question: impl Display) -> bool {
        self.ask_until(question, &AtomicBool::new(false))
    }

    /// As [`Screen::ask`]; the answer is no once `over` is set.
    pub(crate) fn ask_until(self, question: impl Display, over: &AtomicBool) -> bool {
        matches!(self.reply(question, "[y/N] ", over).as_str(), "y" | "yes")
    }

    /// Asks at the controlling terminal, and returns the answer in small letters: nothing if nobody can answer.
    pub(crate) fn reply(self, question: impl Display, choices: &str, over: &AtomicBool) -> String {
        let Some(tty) = self.can_ask().then(Tty::open).flatten() else { return String::new() };
        ASKING.store(true, Ordering::Relaxed);
        let answer = tty.ask(&question.to_string(), choices, over).ok().flatten();
        ASKING.store(false, Ordering::Relaxed);
        answer.map_or_else(String::new, |answer| answer.trim().to_ascii_lowercase())
    }

    /// Puts a text on the clipboard of the controlling terminal. Returns whether there is one to put it on.
    pub(crate) fn copy(self, text: &str) -> bool {
        // Whoever keeps what is said in a file has no clipboard.
        io::stderr().is_terminal() && Tty::open().is_some_and(|tty| tty.copy(text).is_ok())
    }

    /// A bar on standard error while `total` bytes move; hidden if nobody looks.
    pub(crate) fn bar(self, what: impl Display, total: Option<u64>) -> indicatif::ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let bar = match total {
            Some(total) => indicatif::ProgressBar::new(total),
            None => indicatif::ProgressBar::new_spinner(),
        };
        let form = if total.is_some() {
            "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
        } else {
            "{msg} {binary_bytes} {binary_bytes_per_sec}"
        };
        if let Ok(form) = indicatif::ProgressStyle::with_template(form) {
            bar.set_style(form);
        }
        bar.set_message(shown_line(&what.to_string()).into_owned());
        bar
    }
}

static ASKING: AtomicBool = AtomicBool::new(false);

/// Whether a question stands on the screen: nothing may move there meanwhile.
pub(crate) fn asking() -> bool {
    ASKING.load(Ordering::Relaxed)
}

fn write_json(value: &Value) -> io::Result<()> {
    // Pretty: a person reads it too, and a program does not mind.
    let text = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    write(io::stdout().lock(), json_escaped(&text).as_bytes())
}

/// Waits until what was written is on the disk, if standard output is a file: some disks say only then that they are
/// full.
#[cfg(unix)]
fn on_disk() -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if output.metadata()?.is_file() { output.sync_all() } else { Ok(()) }
}

#[cfg(not(unix))]
fn on_disk() -> io::Result<()> {
    Ok(())
}

fn err(text: &str) {
    // Without anybody to hear it there is nobody to tell.
    write(anstream::AutoStream::auto(io::stderr().lock()), style::render(text).as_bytes()).ok();
}

fn write(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// Why standard output did not take what was said. The command's work is done all the same; its end says so.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

fn keep(written: io::Result<()>) {
    if let Err(error) = written {
        LOST.lock().get_or_insert(error);
    }
}

/// What of a report was lost, as a failure.
pub(crate) fn lost() -> Option<Failure> {
    let error = LOST.lock().take()?;
    Some(Failure::not_written(
        "write to standard output",
        &error,
        "free some space, or write elsewhere; what was asked for is done",
    ))
}

/// A key as people compare it and as programs name it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeyName {
    /// RFC 7638.
    pub(crate) thumbprint: String,
    /// Eight words.
    pub(crate) words: String,
}

impl From<Thumbprint> for KeyName {
    fn from(key: Thumbprint) -> Self {
        Self { thumbprint: key.to_string(), words: key.words() }
    }
}

/// Lines of `label  value`, aligned.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<(String, String)>);

impl Lines {
    /// Adds a line.
    pub(crate) fn add(&mut self, label: impl Display, value: impl Display) -> &mut Self {
        self.0.push((label.to_string(), value.to_string()));
        self
    }
}

impl Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let dim = style::DIM;
        for (label, value) in &self.0 {
            let value = value.replace('\n', &format!("\n{:width$}    ", ""));
            writeln!(f, "  {dim}{label:width$}{dim:#}  {value}")?;
        }
        Ok(())
    }
}

/// A structural signature for people: the refusal, a variant of 25 cases, by its name alone.
pub(crate) fn readable(signature: &str) -> String {
    const BEGIN: &str = "variant{payment-required: ";
    let mut text = String::new();
    let mut rest = signature;
    while let Some(at) = rest.find(BEGIN) {
        let mut depth = 0_u32;
        let end = rest[at..].char_indices().find(|(_, letter)| {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => return false,
            }
            depth == 0
        });
        let Some((end, _)) = end else { break };
        text += &rest[..at];
        text += "refusal";
        rest = &rest[at + end + 1..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_written_by_its_name() {
        let signature = "() -> result<list<u8>, variant{payment-required: list<record{id: string}>, offline}>";
        assert_eq!(readable(signature), "() -> result<list<u8>, refusal>");
        assert_eq!(readable("(a: u8) -> variant{x}"), "(a: u8) -> variant{x}");
    }

    #[test]
    fn lines_are_aligned_and_continued() {
        let mut lines = Lines::default();
        lines.add("a", "1").add("long", "2\n3");
        assert_eq!(style::plain(&lines.to_string()), "  a     1\n  long  2\n        3\n");
    }
}
