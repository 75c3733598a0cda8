//! The type of a function as data, read from its structural signature: what arguments are checked against before
//! anything is asked of a server.

use super::SurfaceError;
use std::fmt;
use std::str::FromStr;

/// Types inside types. The engine accepts no deeper ones.
const MAX_DEPTH: usize = 100;

/// Parameters and result of a function: `(width: u32, png: list<u8>) -> result<list<u8>, string>`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionType {
    /// Whether it is asynchronous.
    pub is_async: bool,
    /// Names and types, in order.
    pub params: Vec<(String, ValueType)>,
    /// What it returns.
    pub result: Option<ValueType>,
}

/// The type of a value, with names of plain types left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the type of the same name in WIT")]
pub enum ValueType {
    Bool,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F32,
    F64,
    Char,
    String,
    List(Box<ValueType>),
    FixedList(Box<ValueType>, u32),
    Map(Box<ValueType>, Box<ValueType>),
    Record(Vec<(String, ValueType)>),
    Tuple(Vec<ValueType>),
    Variant(Vec<(String, Option<ValueType>)>),
    Enum(Vec<String>),
    Option(Box<ValueType>),
    Result(Option<Box<ValueType>>, Option<Box<ValueType>>),
    Flags(Vec<String>),
    /// What only a program can hold: a resource, a stream, a future. As the signature spells it.
    Handle(String),
}

impl FunctionType {
    /// Whether it returns bytes: `list<u8>`, or `result<list<u8>, _>`.
    #[must_use]
    pub fn gives_bytes(&self) -> bool {
        match &self.result {
            Some(ValueType::Result(Some(ok), _)) => ok.is_bytes(),
            Some(result) => result.is_bytes(),
            None => false,
        }
    }
}

impl ValueType {
    /// Whether it is `list<u8>`.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        matches!(self, Self::List(element) if **element == Self::U8)
    }
}

impl FromStr for FunctionType {
    type Err = SurfaceError;

    fn from_str(signature: &str) -> Result<Self, SurfaceError> {
        let mut reader = Reader { rest: signature, depth: 0 };
        let read = reader.function().filter(|_| reader.rest.is_empty());
        read.ok_or_else(|| SurfaceError::Unreadable("a function has a type of unknown form".into()))
    }
}

/// What is left of a signature. `None` everywhere where it has another form.
struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn take(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// A name, up to whatever no name holds.
    fn name(&mut self) -> Option<&'t str> {
        let end = self.rest.find([':', ',', '<', '>', '{', '}', '(', ')', ' ']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    /// `item, item, …` up to `end`, which is taken too.
    fn items<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while self.take(end).is_none() {
            if !items.is_empty() {
                self.take(", ")?;
            }
            items.push(item(self)?);
        }
        Some(items)
    }

    fn function(&mut self) -> Option<FunctionType> {
        let is_async = self.take("async ").is_some();
        self.take("(")?;
        let params = self.items(")", Self::field)?;
        let result = if self.take(" -> ").is_some() { Some(self.value()?) } else { None };
        Some(FunctionType { is_async, params, result })
    }

    fn field(&mut self) -> Option<(String, ValueType)> {
        let name = self.name()?.to_owned();
        self.take(": ")?;
        Some((name, self.value()?))
    }

    fn value(&mut self) -> Option<ValueType> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = self.value_here();
        self.depth -= 1;
        value
    }

    fn value_here(&mut self) -> Option<ValueType> {
        let whole = self.rest;
        let name = self.name()?;
        if self.take("{").is_some() {
            return self.named(name);
        }
        if self.take("<").is_some() {
            return self.wrapped(name, whole);
        }
        Some(match name {
            "bool" => ValueType::Bool,
            "u8" => ValueType::U8,
            "u16" => ValueType::U16,
            "u32" => ValueType::U32,
            "u64" => ValueType::U64,
            "s8" => ValueType::S8,
            "s16" => ValueType::S16,
            "s32" => ValueType::S32,
            "s64" => ValueType::S64,
            "f32" => ValueType::F32,
            "f64" => ValueType::F64,
            "char" => ValueType::Char,
            "string" => ValueType::String,
            other => ValueType::Handle(other.to_owned()),
        })
    }

    fn named(&mut self, kind: &str) -> Option<ValueType> {
        let name = |reader: &mut Self| reader.name().map(str::to_owned);
        match kind {
            "record" => self.items("}", Self::field).map(ValueType::Record),
            "enum" => self.items("}", name).map(ValueType::Enum),
            "flags" => self.items("}", name).map(ValueType::Flags),
            "variant" => {
                let case = |reader: &mut Self| {
                    let name = reader.name()?.to_owned();
                    let payload = if reader.take(": ").is_some() { Some(reader.value()?) } else { None };
                    Some((name, payload))
                };
                self.items("}", case).map(ValueType::Variant)
            }
            _ => None,
        }
    }

    /// `whole` begins with the name.
    fn wrapped(&mut self, kind: &str, whole: &'t str) -> Option<ValueType> {
        match kind {
            "own" | "borrow" | "future" | "stream" => {
                // Names of resources hold colons and slashes, and nobody writes such a value.
                let mut open = 1_u32;
                let end = self.rest.find(|letter| {
                    match letter {
                        '<' => open += 1,
                        '>' => open -= 1,
                        _ => {}
                    }
                    open == 0
                })?;
                self.rest = &self.rest[end + 1..];
                return Some(ValueType::Handle(whole[..whole.len() - self.rest.len()].to_owned()));
            }
            "result" => {
                let side = |reader: &mut Self| match reader.take("_") {
                    Some(()) => Some(None),
                    None => reader.value().map(|value| Some(Box::new(value))),
                };
                let mut sides = self.items(">", side)?.into_iter();
                let (ok, err) = (sides.next()?, sides.next()?);
                return sides.next().is_none().then_some(ValueType::Result(ok, err));
            }
            _ => {}
        }
        let types = self.items(">", Self::value)?;
        if kind == "tuple" {
            return Some(ValueType::Tuple(types));
        }
        let mut types = types.into_iter().map(Box::new);
        let first = types.next()?;
        let value = match kind {
            "list" => ValueType::List(first),
            "option" => ValueType::Option(first),
            "map" => ValueType::Map(first, types.next()?),
            fixed => ValueType::FixedList(first, fixed.strip_prefix("list-")?.parse().ok()?),
        };
        types.next().is_none().then_some(value)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::S8 => "s8",
            Self::S16 => "s16",
            Self::S32 => "s32",
            Self::S64 => "s64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::Handle(text) => text,
            Self::List(element) => return write!(f, "list<{element}>"),
            Self::FixedList(element, length) => return write!(f, "list-{length}<{element}>"),
            Self::Map(key, value) => return write!(f, "map<{key}, {value}>"),
            Self::Option(some) => return write!(f, "option<{some}>"),
            Self::Result(ok, err) => {
                let side = |side: &Option<Box<Self>>| side.as_ref().map_or("_".to_owned(), ToString::to_string);
                return write!(f, "result<{}, {}>", side(ok), side(err));
            }
            Self::Tuple(types) => return write!(f, "tuple<{}>", joined(types.iter().map(ToString::to_string))),
            Self::Record(fields) => {
                return write!(f, "record{{{}}}", joined(fields.iter().map(|(name, ty)| format!("{name}: {ty}"))));
            }
            Self::Variant(cases) => {
                let case = |(name, payload): &(String, Option<Self>)| match payload {
                    Some(ty) => format!("{name}: {ty}"),
                    None => name.clone(),
                };
                return write!(f, "variant{{{}}}", joined(cases.iter().map(case)));
            }
            Self::Enum(names) => return write!(f, "enum{{{}}}", names.join(", ")),
            Self::Flags(names) => return write!(f, "flags{{{}}}", names.join(", ")),
        };
        f.write_str(plain)
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_and_written_the_same() {
        for ty in [
            "bool",
            "list<list<u8>>",
            "list-4<f32>",
            "map<string, u64>",
            "record{a: u8, b-c: option<char>}",
            "tuple<s8, s16, s32, s64>",
            "variant{none-left, some-left: tuple<u8, u16>}",
            "enum{nearest, lanczos3}",
            "flags{read, write}",
            "result<_, string>",
            "result<list<u8>, _>",
            "result<_, _>",
            "own<wasi:io/streams@0.2.0.output-stream>",
            "borrow<thing>",
            "stream<u8>",
        ] {
            let signature = format!("(first: {ty}, second: u32) -> {ty}");
            let read: FunctionType = signature.parse().expect(ty);
            assert_eq!(read.params[0].1.to_string(), ty);
            assert_eq!(read.result.map(|result| result.to_string()).as_deref(), Some(ty));
            assert_eq!(read.params[1], ("second".to_owned(), ValueType::U32));
        }
        let nothing: FunctionType = "async ()".parse().expect("no parameters");
        assert!(nothing.is_async && nothing.params.is_empty() && nothing.result.is_none());
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for text in ["", "(", "()x", "(a: u8", "(a: u8,b: u8)", "(a: list<>)", "(a: u8) -> ", "(a: what<u8>)"] {
            assert!(text.parse::<FunctionType>().is_err(), "{text}");
        }
        let deep = format!("(a: {}u8{})", "list<".repeat(2000), ">".repeat(2000));
        assert!(deep.parse::<FunctionType>().is_err());
    }

    #[test]
    fn bytes_are_told_from_other_results() {
        let gives = |text: &str| text.parse::<FunctionType>().expect(text).gives_bytes();
        assert!(gives("() -> list<u8>") && gives("() -> result<list<u8>, string>"));
        assert!(!gives("()") && !gives("() -> list<u16>") && !gives("() -> result<_, list<u8>>"));
    }
}
