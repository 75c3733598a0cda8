//! What was typed and what was said, compared with a file.

use regex::Regex;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;

use crate::stage::Stage;

/// Set, transcripts are written instead of compared.
const UPDATE: &str = "PORTCULLIS_UPDATE";

/// A transcript under way.
pub(crate) struct Transcript<'s> {
    stage: &'s Stage,
    who: &'static str,
    text: String,
}

impl<'s> Transcript<'s> {
    /// Of what one user types.
    pub(crate) const fn of(stage: &'s Stage, who: &'static str) -> Self {
        Self { stage, who, text: String::new() }
    }

    /// Types a command. Gives its exit code.
    pub(crate) fn run(&mut self, arguments: &[&str]) -> i32 {
        let output = self.stage.run(self.who, arguments);
        self.note(arguments, &output)
    }

    /// Signs in.
    pub(crate) fn login(&mut self) {
        let output = self.stage.login(self.who);
        self.note(&["login", self.stage.origin(), "--fingerprint", self.stage.words(), "--label", "desk"], &output);
    }

    /// Writes down what a command said.
    pub(crate) fn note(&mut self, arguments: &[&str], output: &Output) -> i32 {
        let shown = arguments.iter().map(|word| {
            let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=@+".contains(&b));
            if plain && !word.is_empty() { (*word).to_owned() } else { format!("'{word}'") }
        });
        let line = shown.collect::<Vec<_>>().join(" ");
        let _ = writeln!(self.text, "$ portcullis {line}");
        self.text += &String::from_utf8_lossy(&output.stdout);
        // What goes to standard error is told apart.
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            let _ = writeln!(self.text, "! {line}");
        }
        let code = output.status.code().unwrap_or(-1);
        if code != 0 {
            let _ = writeln!(self.text, "[exit {code}]");
        }
        self.text.push('\n');
        code
    }

    /// Compares it with `tests/transcripts/NAME.txt`.
    pub(crate) fn check(self, name: &str) {
        let text = self.normalise();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &text).expect("the transcript can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        if written != text {
            let first = written.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or_default();
            let of = |text: &str| text.lines().skip(first.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
            panic!(
                "{name}.txt, line {}:\n--- expected\n{}\n--- said\n{}\n\nIf that is meant: {UPDATE}=1 cargo test -p portcullis-cli",
                first + 1,
                of(&written),
                of(&text)
            );
        }
    }

    /// Puts a name in place of everything that differs from run to run.
    fn normalise(&self) -> String {
        let mut text = self.text.replace(&self.stage.path("").display().to_string(), "[DIR]/");
        for (pattern, name) in [
            (r"http://127\.0\.0\.1:\d+", "http://STORE"),
            (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "[DOCUMENT]"),
            (r"\b[a-z]+(?:-[a-z]+){7}\b", "[WORDS]"),
            (r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", "[CODE]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "[TIME]"),
            (r"\b1[789]\d{8}\b", "[SECONDS]"),
            (r#""bytes": \d+"#, r#""bytes": [BYTES]"#),
            (r"\b\d+\.\d [KM]iB\b", "[SIZE]"),
            (r"\b\d+\.\d ms\b", "[MS]"),
        ] {
            text = Regex::new(pattern).expect("a pattern").replace_all(&text, name).into_owned();
        }
        // base64url has '-' and '_' at its ends too, so no word boundary helps.
        for (length, name) in [(43, "[DIGEST]"), (22, "[ID]")] {
            let letter = "A-Za-z0-9_-";
            let pattern = format!("(^|[^{letter}])[{letter}]{{{length}}}($|[^{letter}])");
            let pattern = Regex::new(&format!("(?m){pattern}")).expect("a pattern");
            text = pattern
                .replace_all(&text, |found: &regex::Captures<'_>| {
                    let inside = &found[0][found[1].len()..found[0].len() - found[2].len()];
                    // A word of only lower case letters and dashes is a name.
                    let is_name = !inside.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
                    format!("{}{}{}", &found[1], if is_name { inside } else { name }, &found[2])
                })
                .into_owned();
        }
        text
    }
}
