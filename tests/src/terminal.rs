//! A terminal: a home directory, and the command `portcullis` as its user types it.

use crate::{Browser, Server, checkout};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A home directory of `portcullis`.
#[derive(Debug, Clone)]
pub struct Terminal {
    home: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line, as one would type it.
    pub line: String,
    /// The exit code; -1 where a signal ended it.
    pub exit: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.stdout)
            .with_context(|| format!("`{}` printed no JSON: {}", self.line, String::from_utf8_lossy(&self.stdout)))
    }

    /// The run itself, where it ended with 0.
    ///
    /// # Errors
    /// If it did not: with what it said.
    pub fn done(self) -> Result<Self> {
        if self.exit != 0 {
            let out = String::from_utf8_lossy(&self.stdout);
            bail!("`{}` ended with {}:\n{out}{}", self.line, self.exit, self.stderr);
        }
        Ok(self)
    }
}

impl Terminal {
    /// A terminal whose state lies in `home`.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), environment: Vec::new() }
    }

    /// The same terminal, whose commands see this variable as well.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Its state directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The command, ready for more arguments.
    ///
    /// # Errors
    /// If the program is missing.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(checkout::program("portcullis")?);
        command.env("PORTCULLIS_HOME", &self.home).env("NO_COLOR", "1").stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        Ok(command)
    }

    /// Runs `portcullis` with these arguments, in `folder`.
    ///
    /// # Errors
    /// If it cannot be started. How it ended is in the result.
    pub fn run_in(&self, folder: &Path, arguments: &[&str]) -> Result<Ran> {
        let output = self.command()?.current_dir(folder).args(arguments).output().context("cannot start portcullis")?;
        Ok(Ran {
            line: line(arguments),
            exit: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs `portcullis` in its home directory's parent.
    ///
    /// # Errors
    /// As [`Terminal::run_in`].
    pub fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.run_in(self.home.parent().unwrap_or(&self.home), arguments)
    }

    /// Signs in at `server`, pinning its root by fingerprint, with `browser` approving. The browser's user is signed
    /// in.
    ///
    /// # Errors
    /// If the command fails, or shows no code.
    pub async fn login(&self, server: &Server, browser: &mut Browser) -> Result<Ran> {
        self.login_at(server.origin(), server.words(), browser).await
    }

    /// Signs in at the server of `origin` whose root key has these fingerprint words.
    ///
    /// # Errors
    /// As [`Terminal::login`].
    pub async fn login_at(&self, origin: &str, words: &str, browser: &mut Browser) -> Result<Ran> {
        let arguments = ["login", origin, "--fingerprint", words];
        let mut child = self
            .command()?
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start portcullis")?;
        // A person reads both streams: the code may stand on either.
        let (send, receive) = std::sync::mpsc::channel::<String>();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().context("no standard output")?),
            Box::new(child.stderr.take().context("no standard error")?),
        ];
        let readers: Vec<_> = streams
            .into_iter()
            .map(|stream| {
                let send = send.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let _ = send.send(line);
                    }
                })
            })
            .collect();
        drop(send);
        let mut shown = Vec::new();
        let mut approved = false;
        for line in receive {
            shown.push(line);
            if !approved && let (Some(code), Some(words)) = (user_code(&shown), terminal_words(&shown, words)) {
                browser.approve(&code, &words).await?;
                approved = true;
            }
        }
        for reader in readers {
            let _ = reader.join();
        }
        let status = child.wait()?;
        let said = shown.join("\n");
        ensure!(approved, "login showed no code and words to approve:\n{said}");
        Ok(Ran {
            line: line(&arguments),
            exit: status.code().unwrap_or(-1),
            stdout: said.into_bytes(),
            stderr: String::new(),
        })
    }
}

/// A user code as RFC 8628 section 6.1 suggests them: two groups of four capital letters.
fn user_code(lines: &[String]) -> Option<String> {
    let is_code = |word: &str| {
        word.len() == 9
            && word
                .char_indices()
                .all(|(at, c)| if at == 4 { c == '-' } else { c.is_ascii_uppercase() || c.is_ascii_digit() })
    };
    lines
        .iter()
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')))
        .find(|w| is_code(w))
        .map(str::to_owned)
}

/// The fingerprint words of the terminal: eight words that are not the server's.
fn terminal_words(lines: &[String], server: &str) -> Option<String> {
    let is_words =
        |word: &str| word.matches('-').count() == 7 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    lines
        .iter()
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')))
        .find(|word| is_words(word) && *word != server)
        .map(str::to_owned)
}

/// The command line as one would type it.
fn line(arguments: &[&str]) -> String {
    let words = arguments.iter().map(|word| {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"()*&;<>|$".contains(c)) {
            format!("'{word}'")
        } else {
            (*word).to_owned()
        }
    });
    std::iter::once("portcullis".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
