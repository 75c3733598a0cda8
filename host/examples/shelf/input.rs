//! What the user says: lines of a script, or of the keyboard.

use crate::model::{Event, JobId, Shelf};
use std::collections::VecDeque;
use std::fmt;
use std::io::BufRead as _;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    /// Nothing further until all jobs are over.
    Wait,
    /// Nothing further until the user is asked.
    WaitQuestion,
    Answer(bool),
    Stop(JobId),
    Quit,
    Work(Work),
}

/// Something that takes time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    SignIn(String),
    List,
    Install(String),
    Preview { name: String, to: Option<PathBuf> },
    Buy { name: String, operation: String },
    Run { name: String, function: String, arguments: Vec<String>, to: Option<PathBuf> },
}

/// What came of a line.
pub(crate) enum Said {
    Do(Command),
    Nonsense(String),
}

/// Lines that were not dealt with yet.
pub(crate) struct Input {
    lines: VecDeque<String>,
    /// Whether no more will come.
    ended: bool,
    quit: bool,
}

impl Input {
    /// A script: `wait` and `wait question` hold it up, and nothing else does.
    pub(crate) fn script(text: &str) -> Self {
        let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let lines = text.lines().map(str::trim).filter(is_line).map(str::to_owned).collect();
        Self { lines, ended: true, quit: false }
    }

    /// The keyboard, read on a thread of its own.
    pub(crate) fn keyboard(events: mpsc::UnboundedSender<Event>) -> Self {
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if events.send(Event::Typed(Some(line))).is_err() {
                    return;
                }
            }
            let _ = events.send(Event::Typed(None));
        });
        Self { lines: VecDeque::new(), ended: false, quit: false }
    }

    pub(crate) fn type_in(&mut self, line: Option<String>) {
        match line {
            Some(line) if line.trim().is_empty() => {}
            Some(line) => self.lines.push_back(line),
            None => self.ended = true,
        }
    }

    /// The next thing to do now.
    pub(crate) fn next(&mut self, shelf: &Shelf) -> Option<Said> {
        let command = match parse(self.lines.front()?) {
            Ok(command) => command,
            Err(why) => {
                let line = self.lines.pop_front().unwrap_or_default();
                return Some(Said::Nonsense(format!("`{line}`: {why}")));
            }
        };
        let held_up = match command {
            Command::Wait => shelf.is_busy(),
            Command::WaitQuestion => !shelf.is_asking() && shelf.is_busy(),
            _ => false,
        };
        if held_up || self.quit {
            return None;
        }
        self.lines.pop_front();
        self.quit = command == Command::Quit;
        Some(Said::Do(command))
    }

    /// Whether there is nothing to do and nothing to wait for.
    pub(crate) fn is_over(&self, shelf: &Shelf) -> bool {
        self.quit || (self.ended && self.lines.is_empty() && !shelf.is_busy())
    }
}

fn parse(line: &str) -> Result<Command, &'static str> {
    let (line, to) = match line.split_once('>') {
        Some((line, file)) => (line, Some(PathBuf::from(file.trim()))),
        None => (line, None),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let work = match words.as_slice() {
        ["sign-in", url] => Work::SignIn((*url).to_owned()),
        ["list"] => Work::List,
        ["install", name] => Work::Install((*name).to_owned()),
        ["preview", name] => Work::Preview { name: (*name).to_owned(), to },
        ["buy", name, operation] => Work::Buy { name: (*name).to_owned(), operation: (*operation).to_owned() },
        ["run", name, function, arguments @ ..] => Work::Run {
            name: (*name).to_owned(),
            function: (*function).to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            to,
        },
        ["help"] => return Ok(Command::Help),
        ["wait"] => return Ok(Command::Wait),
        ["wait", "question"] => return Ok(Command::WaitQuestion),
        ["answer", "yes"] => return Ok(Command::Answer(true)),
        ["answer", "no"] => return Ok(Command::Answer(false)),
        ["stop", job] => {
            let job = job.trim_start_matches('#').parse().map_err(|_| "a job has a number")?;
            return Ok(Command::Stop(job));
        }
        ["quit"] => return Ok(Command::Quit),
        _ => return Err("not understood; `help` says what can be typed"),
    };
    Ok(Command::Work(work))
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help => f.write_str("help"),
            Self::Wait => f.write_str("wait"),
            Self::WaitQuestion => f.write_str("wait question"),
            Self::Answer(yes) => write!(f, "answer {}", if *yes { "yes" } else { "no" }),
            Self::Stop(job) => write!(f, "stop #{job}"),
            Self::Quit => f.write_str("quit"),
            Self::Work(work) => work.fmt(f),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn(url) => write!(f, "sign-in {url}"),
            Self::List => f.write_str("list"),
            Self::Install(name) => write!(f, "install {name}"),
            Self::Preview { name, .. } => write!(f, "preview {name}"),
            Self::Buy { name, operation } => write!(f, "buy {name} {operation}"),
            Self::Run { name, function, .. } => write!(f, "run {name} {function}"),
        }
    }
}
