//! `--invoke 'name(argument, …)'`: an export and its arguments as text.

use portcullis_host::{Authorised, Type, Val};
use portcullis_protocol::Manifest;
use std::path::PathBuf;
use std::str::FromStr;

use crate::document::nearest;
use crate::failure::{Failure, OrFail as _, Outcome};

/// A call, not yet read against any type. An argument is a value in WAVE, or `@FILE`: the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// `function`, or `interface#function`.
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

/// Splits at the commas that stand in no bracket and no quotation. `None` where brackets or quotes do not match.
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
    /// The export that is meant: by its whole name, or by its function's where that is clear.
    pub(crate) fn export<'m>(&self, manifest: &'m Manifest) -> Outcome<&'m str> {
        let function = |export: &'m str| export.rsplit_once('#').map_or(export, |(_, function)| function);
        let exports = || manifest.exports.iter().map(String::as_str);
        if let Some(exact) = exports().find(|export| *export == self.function) {
            return Ok(exact);
        }
        let fitting: Vec<&str> = exports().filter(|export| function(export) == self.function).collect();
        match fitting.as_slice() {
            [export] => Ok(export),
            [] => {
                let names: Vec<&str> = exports().map(function).collect();
                let fix = match nearest(&self.function, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has: {}", names.join(", ")),
                };
                Err(Failure::usage(format!("the resource has no export `{}`", self.function), fix))
            }
            several => Err(Failure::usage(
                format!("several interfaces have a function `{}`", self.function),
                format!("write the whole name: {}", several.join(" or ")),
            )),
        }
    }

    /// Reads the files among the arguments. Done before anything is paid for.
    pub(crate) fn load(self) -> Outcome<Vec<Loaded>> {
        let load = |argument| match argument {
            Argument::Text(text) => Ok(Loaded::Text(text)),
            Argument::File(path) => {
                let bytes = std::fs::read(&path).or_fail(format_args!("read `{}`", path.display()), "check the path after the `@`")?;
                Ok(Loaded::Bytes(bytes))
            }
        };
        self.arguments.into_iter().map(load).collect()
    }
}

/// An argument with its file read.
pub(crate) enum Loaded {
    /// WAVE.
    Text(String),
    /// The bytes of a file.
    Bytes(Vec<u8>),
}

/// Reads the arguments against the types of an export.
pub(crate) fn values(authorised: &Authorised, export: &str, arguments: Vec<Loaded>) -> Outcome<Vec<Val>> {
    let parameters = authorised.parameters(export)?;
    if parameters.len() != arguments.len() {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure::usage(
            format!("{} arguments are given, and `{export}` takes {}", arguments.len(), parameters.len()),
            format!("give it: ({})", names.join(", ")),
        ));
    }
    let mut values = Vec::new();
    for ((name, ty), argument) in parameters.iter().zip(arguments) {
        values.push(match (argument, ty) {
            (Loaded::Bytes(bytes), Type::List(list)) if matches!(list.ty(), Type::U8) => {
                Val::List(bytes.into_iter().map(Val::U8).collect())
            }
            (Loaded::Bytes(bytes), Type::String) => {
                let text = String::from_utf8(bytes).map_err(|_| {
                    Failure::usage(format!("`{name}` is a text, and the file is not UTF-8"), "give it a text file")
                })?;
                Val::String(text)
            }
            (Loaded::Bytes(_), _) => {
                return Err(Failure::usage(format!("`{name}` takes no file: it is neither list<u8> nor string"), "write a value in WAVE"));
            }
            (Loaded::Text(_), Type::Own(_) | Type::Borrow(_)) => {
                return Err(Failure::usage(format!("`{name}` is a handle, which has no text form"), "call it from a program: docs/embedding.md"));
            }
            (Loaded::Text(text), ty) => Val::from_wave(ty, &text).map_err(|error| {
                Failure::usage(format!("`{name}`: {error}"), "write a value in WAVE, as in 1, \"text\", [1, 2], {width: 640}, some(1)")
            })?,
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let call = |text: &str| text.parse::<Invocation>().expect(text);
        let texts = |text: &str| -> Vec<String> {
            call(text).arguments.into_iter().map(|argument| match argument {
                Argument::Text(text) => text,
                Argument::File(path) => format!("@{}", path.display()),
            }).collect()
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
