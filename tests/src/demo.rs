//! The recorder of the demo: each step runs a command line, is printed with it, and is judged.

use crate::Ran;
use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The demo's steps, in order. A test holds the report against this list.
pub const STEPS: &[&str] = &[
    "server-init",
    "server-start",
    "publisher-keys",
    "publisher-sign-in",
    "seal-picture",
    "seal-software",
    "seal-music",
    "seal-theme",
    "seal-video",
    "seal-bills",
    "inspect-sealed",
    "verify-sealed",
    "publish-picture",
    "publish-software",
    "publish-music",
    "publish-theme",
    "publish-video",
    "publish-bills",
    "user-sign-in",
    "search",
    "install-picture",
    "install-software",
    "picture-preview-free",
    "picture-refused-unpaid",
    "cycle-inside-refused-unpaid",
    "buy-picture",
    "view-picture",
    "cycle-inside-the-resource",
    "software-thumbnail-free",
    "software-refused-unpaid",
    "top-up",
    "resize-from-the-balance",
    "balance-drawn",
    "buy-software",
    "resize",
    "server-killed-between-authorise-and-verify",
    "uses-counted-once",
    "install-music",
    "music-preview-free",
    "music-refused-unpaid",
    "buy-music",
    "play-music",
    "install-theme",
    "theme-preview-free",
    "theme-refused-unpaid",
    "buy-theme",
    "apply-theme",
    "install-video",
    "video-preview-free",
    "video-refused-unpaid",
    "buy-video",
    "watch-video",
    "mailbox-filled",
    "billers-known",
    "mailbox-connected",
    "bills-fetched",
    "install-bills",
    "bills-not-handed-over-unasked",
    "bills-listed",
    "bills-plotted",
    "all-bills-refused-unpaid",
    "buy-all-bills",
    "bills-totalled",
    "imports-of-the-bill-reader",
    "shop-opened",
    "shop-sells",
    "code-paid",
    "payment-request-paid",
    "shop-killed-while-it-delivers",
    "codes-listed",
    "shop-reconciled",
    "cheat-second-code",
    "cheat-verify-an-order-of-another",
    "cheat-code-after-the-refund",
    "cheat-read-the-code-in-the-database",
    "cheat-store-substitutes-the-key",
    "receipts",
    "cheat-unpack-the-resource",
    "cheat-run-it-in-a-plain-engine",
    "cheat-always-yes-billing",
    "cheat-change-one-byte",
    "cheat-append-a-manifest",
    "cheat-run-on-another-terminal",
    "cheat-fake-server",
];

/// What became of one step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// From [`STEPS`].
    pub name: &'static str,
    /// The command line, or what was done.
    pub command: String,
    /// The exit code of the command.
    pub exit: i32,
    /// The reason of the refusal, where there was one.
    pub refusal: Option<String>,
    /// SHA-256 of what was written, in hexadecimal.
    pub artifact_sha256: Option<String>,
    /// Whether it went as it should: refused where it had to be.
    pub ok: bool,
}

/// The steps done so far.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In order.
    pub steps: Vec<Step>,
}

/// What a step has to show.
pub enum Expect<'a> {
    /// Success.
    Success,
    /// Success, and this file.
    Artifact(&'a Path),
    /// A refusal for this reason, and its exit code.
    Refusal(&'static str),
}

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const COMMAND: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl Report {
    /// Records a step that was a command of `portcullis`.
    ///
    /// # Errors
    /// If the artifact cannot be read. That a step failed is no error: it is recorded.
    pub fn ran(&mut self, name: &'static str, ran: &Ran, expect: &Expect<'_>, began: Instant) -> Result<bool> {
        let refusal = reason_of(ran);
        let artifact = match expect {
            Expect::Artifact(file) if file.is_file() => Some(sha256(file)?),
            _ => None,
        };
        let ok = match expect {
            Expect::Success => ran.exit == 0,
            Expect::Artifact(_) => ran.exit == 0 && artifact.is_some(),
            Expect::Refusal(reason) => ran.exit != 0 && refusal.as_deref() == Some(reason),
        };
        if !ok {
            anstream::eprintln!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
        }
        Ok(self.push(
            Step { name, command: ran.line.clone(), exit: ran.exit, refusal, artifact_sha256: artifact, ok },
            began,
        ))
    }

    /// Records a step that was more than one command: what was done, and whether it went as it should.
    pub fn did(&mut self, name: &'static str, what: &str, refusal: Option<&str>, ok: bool, began: Instant) -> bool {
        let refusal = refusal.map(str::to_owned);
        self.push(
            Step { name, command: what.to_owned(), exit: i32::from(!ok), refusal, artifact_sha256: None, ok },
            began,
        )
    }

    fn push(&mut self, step: Step, began: Instant) -> bool {
        let number = self.steps.len() + 1;
        let verdict = match (&step.refusal, step.ok) {
            (Some(reason), true) => format!("{GOOD}refused: {reason}{GOOD:#}"),
            (None, true) => format!("{GOOD}ok{GOOD:#}"),
            (Some(reason), false) => format!("{BAD}FAILED ({reason}){BAD:#}"),
            (None, false) => format!("{BAD}FAILED (exit {}){BAD:#}", step.exit),
        };
        anstream::println!("{number:>3}. {NAME}{}{NAME:#}", step.name);
        anstream::println!("     {COMMAND}$ {}{COMMAND:#}", step.command);
        anstream::println!("     {verdict} {COMMAND}· {:.2} s{COMMAND:#}", began.elapsed().as_secs_f32());
        let ok = step.ok;
        self.steps.push(step);
        ok
    }

    /// Whether every step of the list was done, in order, and went as it should.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.ok) && self.steps.iter().map(|step| step.name).eq(STEPS.iter().copied())
    }
}

/// The refusal in what a command with `--json` printed.
fn reason_of(ran: &Ran) -> Option<String> {
    let printed: serde_json::Value = serde_json::from_slice(&ran.stdout).ok()?;
    Some(printed["error"]["reason"].as_str()?.to_owned())
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// If it cannot be read.
pub fn sha256(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
