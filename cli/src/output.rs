//! What a command prints: one report on standard output, as text or as one JSON value; progress on standard error.

use portcullis_protocol::{Offer, Rights, Thumbprint, Verified};
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::IsTerminal as _;
use std::time::{Duration, UNIX_EPOCH};

use crate::failure::Failure;

/// The few colours. They vanish where the output is no terminal, or `NO_COLOR` is set.
pub(crate) mod style {
    use anstyle::{AnsiColor, Style};

    /// What went well.
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
    /// What did not.
    pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
    /// What deserves a second look.
    pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
    /// Names.
    pub(crate) const STRONG: Style = Style::new().bold();
    /// Labels.
    pub(crate) const DIM: Style = Style::new().dimmed();
}

/// What a verb has to say. Serialised it is the JSON; its field names are part of the interface.
pub(crate) trait Report: Serialize {
    /// The text for a person, with styles in it.
    fn text(&self) -> String;
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
        if self.json {
            print_json(&serde_json::to_value(report).unwrap_or_default());
        } else {
            anstream::print!("{}", report.text());
        }
    }

    /// Prints a failure: on standard output for a program, on standard error for a person.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            print_json(&failure.to_json());
        } else {
            anstream::eprint!("{}", failure.to_text());
        }
    }

    /// A line of progress or a hint.
    pub(crate) fn note(self, line: impl Display) {
        if !self.json {
            anstream::eprintln!("{line}");
        }
    }

    /// A warning, which a program gets too (on standard error).
    pub(crate) fn warn(self, line: impl Display) {
        let warn = style::WARN;
        anstream::eprintln!("{warn}warning{warn:#}: {line}");
    }

    /// Whether a person sits there who can be asked.
    pub(crate) fn can_ask(self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks; only `y` and `yes` mean yes. Never asks where nobody can answer.
    pub(crate) fn ask(self, question: impl Display) -> bool {
        matches!(self.answer(format_args!("{question} [y/N] ")).as_str(), "y" | "yes")
    }

    /// Asks, and gives the answer in small letters: nothing where nobody can answer.
    pub(crate) fn answer(self, question: impl Display) -> String {
        if !self.can_ask() {
            return String::new();
        }
        anstream::eprint!("{question}");
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(_) => answer.trim().to_ascii_lowercase(),
            Err(_) => String::new(),
        }
    }

    /// A bar on standard error while `total` bytes move; hidden where nobody looks.
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
        bar.set_message(what.to_string());
        bar
    }
}

fn print_json(value: &serde_json::Value) {
    // Pretty: a person reads it too, and a program does not mind.
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// An offer in one line, and in JSON.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OfferLine {
    /// Its identifier, for `buy --offer`.
    pub(crate) id: String,
    /// The operation it pays for.
    pub(crate) operation: String,
    /// What a person reads.
    pub(crate) title: String,
    /// `free`, `perpetual`, `uses`, `metered`.
    pub(crate) model: &'static str,
    /// How much one order buys, where the model counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// `1.99 EUR`.
    pub(crate) price: String,
    #[serde(skip)]
    rights: Rights,
    #[serde(skip)]
    minor_units: i64,
}

impl OfferLine {
    /// The price, for comparison within a currency.
    pub(crate) const fn minor_units(&self) -> i64 {
        self.minor_units
    }

    /// Reads a verified offer.
    pub(crate) fn of(offer: &Verified<Offer>) -> Self {
        let offer = offer.document();
        Self {
            id: offer.id.to_string(),
            operation: offer.operation.to_string(),
            title: offer.title.clone(),
            model: offer.rights.model(),
            count: offer.rights.quantity(),
            price: offer.price.to_string(),
            rights: offer.rights,
            minor_units: offer.price.minor_units(),
        }
    }
}

impl Display for OfferLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (strong, dim) = (style::STRONG, style::DIM);
        let price = if self.rights.is_free() { "free".to_owned() } else { format!("{}, {}", self.price, self.rights) };
        write!(f, "{strong}{}{strong:#}: {} ({price})  {dim}{}{dim:#}", self.operation, self.title, self.id)
    }
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

/// A structural signature for people: the refusal, a variant of 24 cases, by its name alone.
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

/// A count of bytes as a person reads it: `1,234 bytes`, `58.1 KiB`, `4.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    // Tenths, so that no floating point rounds a size.
    let tenths = |unit: u64| {
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..0x10_0000 => format!("{} KiB", tenths(KIB)),
        0x10_0000..0x4000_0000 => format!("{} MiB", tenths(KIB * KIB)),
        _ => format!("{} GiB", tenths(KIB * KIB * KIB)),
    }
}

/// Unix seconds as `2026-11-22 07:30:00 UTC` (RFC 3339 with a space).
pub(crate) fn date(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_dates_read_well() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(59_500), "58.1 KiB");
        assert_eq!(size(1024 * 1024), "1.0 MiB");
        assert_eq!(size(5 * 1024 * 1024 * 1024), "5.0 GiB");
        assert_eq!(date(1_700_000_000), "2023-11-14 22:13:20 UTC");
    }

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
        assert_eq!(anstream::adapter::strip_str(&lines.to_string()).to_string(), "  a     1\n  long  2\n        3\n");
    }
}
