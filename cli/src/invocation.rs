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
                let bytes = std::fs::read(&path)
                    .or_fail(format_args!("read `{}`", path.display()), "check the path after the `@`")?;
                Ok(Loaded::Bytes(bytes))
            }
        };
        self.arguments.into_iter().map(load).collect()
    }
}

/// What can be known to be wrong with arguments before anything is paid for: their number, and the form of those of a
/// simple type. `signature` is the structural one of the export, `(a: u32, b: list<u8>) -> …`.
pub(crate) fn check(export: &str, signature: &str, arguments: &[Loaded]) -> Outcome {
    let Some(parameters) = parameters(signature) else { return Ok(()) };
    if parameters.len() != arguments.len() {
        return Err(Failure::usage(
            format!("{} arguments are given, and `{export}` takes {}", arguments.len(), parameters.len()),
            format!("give it: ({})", parameters.join(", ")),
        ));
    }
    for (parameter, argument) in parameters.iter().zip(arguments) {
        let (name, ty) = parameter.split_once(':').map_or(("", *parameter), |(name, ty)| (name, ty.trim()));
        let fits = match argument {
            Loaded::Bytes(_) => matches!(ty, "list<u8>" | "string"),
            Loaded::Text(text) => fits(text, ty),
        };
        if !fits {
            return Err(Failure::usage(
                format!("`{name}` is of the type {ty}, and what is given for it is not"),
                "write a value in WAVE, as in 1, \"text\", [1, 2], {width: 640}, some(1); @FILE for list<u8> or string",
            ));
        }
    }
    Ok(())
}

/// The parameters of a structural signature, each as `name: type`.
fn parameters(signature: &str) -> Option<Vec<&str>> {
    let mut depth = 0_u32;
    let mut begin = None;
    let mut pieces = Vec::new();
    for (at, letter) in signature.char_indices() {
        match letter {
            '(' | '{' | '<' => {
                depth += 1;
                if depth == 1 {
                    begin = Some(at + 1);
                }
            }
            // The arrow before the result is no bracket.
            '>' if signature[..at].ends_with('-') => {}
            ')' | '}' | '>' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let last = signature[begin?..at].trim();
                    pieces.extend((!last.is_empty()).then_some(last));
                    return Some(pieces);
                }
            }
            ',' if depth == 1 => {
                pieces.push(signature[begin?..at].trim());
                begin = Some(at + 1);
            }
            _ => {}
        }
    }
    None
}

/// Whether a text has the form of a value of a simple type. Of other types nothing is said here.
fn fits(text: &str, ty: &str) -> bool {
    let bits = |signed: bool| ty[1..].parse::<u32>().map(|bits| (bits, signed)).ok();
    match ty {
        "bool" => matches!(text, "true" | "false"),
        "string" => text.len() >= 2 && text.starts_with('"') && text.ends_with('"'),
        "char" => text.len() >= 3 && text.starts_with('\'') && text.ends_with('\''),
        "f32" | "f64" => text.parse::<f64>().is_ok(),
        "u8" | "u16" | "u32" | "u64" => {
            bits(false).is_some_and(|(bits, _)| text.parse::<u64>().is_ok_and(|n| bits == 64 || n < 1 << bits))
        }
        "s8" | "s16" | "s32" | "s64" => bits(true).is_some_and(|(bits, _)| {
            text.parse::<i64>().is_ok_and(|n| bits == 64 || (-(1 << (bits - 1))..1 << (bits - 1)).contains(&n))
        }),
        _ if ty.starts_with("list<") => text.starts_with('['),
        _ => true,
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
                return Err(Failure::usage(
                    format!("`{name}` takes no file: it is neither list<u8> nor string"),
                    "write a value in WAVE",
                ));
            }
            (Loaded::Text(_), Type::Own(_) | Type::Borrow(_)) => {
                return Err(Failure::usage(
                    format!("`{name}` is a handle, which has no text form"),
                    "call it from a program: docs/embedding.md",
                ));
            }
            (Loaded::Text(text), ty) => Val::from_wave(ty, &text).map_err(|error| {
                Failure::usage(
                    format!("`{name}`: {error}"),
                    "write a value in WAVE, as in 1, \"text\", [1, 2], {width: 640}, some(1)",
                )
            })?,
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_found_before_it_costs() {
        let text = |text: &str| Loaded::Text(text.to_owned());
        let signature = "(png: list<u8>, width: u16, filter: enum{a, b}, by: s8) -> result<list<u8>, variant{x: u8}>";
        let fits = |png, width: &str, by: &str| check("f", signature, &[png, text(width), text("b"), text(by)]).is_ok();
        assert!(fits(Loaded::Bytes(vec![1]), "65535", "-128"));
        assert!(fits(text("[1]"), "0", "127"));
        assert!(!fits(text("1"), "0", "0"));
        assert!(!fits(text("[1]"), "65536", "0"));
        assert!(!fits(text("[1]"), "\"1\"", "0"));
        assert!(!fits(text("[1]"), "1", "128"));
        assert!(check("f", signature, &[text("[]")]).is_err());
        assert!(check("f", "() -> string", &[]).is_ok());
        assert!(check("f", "() -> string", &[text("1")]).is_err());
        assert!(check("f", "(text: string)", &[text("\"a, b\"")]).is_ok());
        assert!(check("f", "(text: string)", &[text("a")]).is_err());
    }

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
