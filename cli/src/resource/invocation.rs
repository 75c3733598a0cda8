//! `--invoke 'name(argument, …)'`: an export and its arguments as text.

use portcullis_host::{Resource, Val};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::screen::output::{readable, size};

/// A call, not yet read against any type. An argument is a value in WAVE, or `@FILE`: the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// Its name, whole or short.
    pub(crate) function: String,
    /// The texts of the arguments.
    pub(crate) arguments: Vec<Argument>,
}

/// An argument as it stands on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Argument {
    /// WAVE.
    Text(String),
    /// `@FILE`.
    File(PathBuf),
}

impl FromStr for Invocation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write a call, as in 'view()' or 'resize(@photo.png, 640, 480, lanczos3)'".to_owned();
        let text = text.trim();
        let Some((function, rest)) = text.split_once('(') else {
            return Ok(Self { function: text.to_owned(), arguments: Vec::new() });
        };
        let inside = rest.strip_suffix(')').ok_or_else(form)?;
        if function.is_empty() {
            return Err(form());
        }
        let arguments = split(inside).ok_or_else(form)?;
        let argument = |text: &str| match text.strip_prefix('@') {
            Some(path) => Argument::File(PathBuf::from(path)),
            None => Argument::Text(text.to_owned()),
        };
        Ok(Self { function: function.trim().to_owned(), arguments: arguments.into_iter().map(argument).collect() })
    }
}

/// Splits at the commas that stand in no bracket and no quotation. `None` if brackets or quotes do not match.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut pieces = Vec::new();
    let (mut begin, mut depth, mut quote) = (0, 0_u32, None);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => {
                letters.next();
            }
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                pieces.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    let last = text[begin..].trim();
    if !last.is_empty() || !pieces.is_empty() {
        pieces.push(last);
    }
    (depth == 0 && quote.is_none() && pieces.iter().all(|piece| !piece.is_empty())).then_some(pieces)
}

impl Invocation {
    /// Reads the files among the arguments, none of which may be longer than the resource may be given. Done before
    /// anything is paid for.
    pub(crate) fn load(&self, most: u64) -> Outcome<Vec<Loaded>> {
        let load = |argument: &Argument| match argument {
            Argument::Text(text) => Ok(Loaded::Text(text.clone())),
            Argument::File(path) => file(path, most).map(Loaded::Bytes),
        };
        self.arguments.iter().map(load).collect()
    }

    /// Reads the arguments against the public type of the export that is called.
    pub(crate) fn values(&self, resource: &Resource) -> Outcome<Vec<Val>> {
        let limits = resource.inspect().limits;
        let loaded = self.load(limits.argument.min(limits.memory))?;
        let arguments: Vec<portcullis_host::Argument<'_>> = loaded.iter().map(Loaded::as_argument).collect();
        resource.read_arguments(&self.function, &arguments).map_err(|error| match error {
            portcullis_host::Error::Arguments(what) => self.wrong(resource, &what),
            error => error.into(),
        })
    }

    fn wrong(&self, resource: &Resource, what: &str) -> Failure {
        let fix = match resource.function(&self.function) {
            Ok(function) => {
                let signature = readable(&function.signature);
                format!("call it as {}{signature}; values are WAVE, @FILE is a file's bytes", function.name())
            }
            Err(_) => "values are WAVE, @FILE is a file's bytes".to_owned(),
        };
        Failure::usage(format!("the arguments of `{}` do not fit: {what}", self.function), fix)
    }
}

/// The bytes of a file.
fn file(path: &Path, most: u64) -> Outcome<Vec<u8>> {
    let cannot = format!("read `{}`", path.display());
    let fix = "check the path after the `@`";
    let file = File::open(path).or_fail(&cannot, fix)?;
    let mut bytes = Vec::new();
    // Of whatever has no end, no more than shows that it is too much.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).or_fail(&cannot, fix)?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(
            format!("`{}` is larger than the {} that a resource may be given", path.display(), size(most)),
            "give it a smaller file",
        ));
    }
    Ok(bytes)
}

/// An argument with its file read.
pub(crate) enum Loaded {
    /// WAVE.
    Text(String),
    /// The bytes of a file.
    Bytes(Vec<u8>),
}

impl Loaded {
    fn as_argument(&self) -> portcullis_host::Argument<'_> {
        match self {
            Self::Text(text) => portcullis_host::Argument::Text(text),
            Self::Bytes(bytes) => portcullis_host::Argument::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let call = |text: &str| text.parse::<Invocation>().expect(text);
        let texts = |text: &str| -> Vec<String> {
            call(text)
                .arguments
                .into_iter()
                .map(|argument| match argument {
                    Argument::Text(text) => text,
                    Argument::File(path) => format!("@{}", path.display()),
                })
                .collect()
        };
        assert_eq!(call("view").arguments, []);
        assert_eq!(call(" view ( ) ").function, "view");
        assert_eq!(texts("f(1, \"a,b)\", [1, 2], {x: (3, 4)})"), ["1", "\"a,b)\"", "[1, 2]", "{x: (3, 4)}"]);
        assert_eq!(texts("f(@a b.png, some(1))"), ["@a b.png", "some(1)"]);
        assert_eq!(texts(r#"f("a\"b", ',')"#), [r#""a\"b""#, "','"]);
        for text in ["f(", "f(1", "f(1,)", "f(])", "f(\")", "(1)", "f(1))"] {
            assert!(text.parse::<Invocation>().is_err(), "{text}");
        }
    }
}
