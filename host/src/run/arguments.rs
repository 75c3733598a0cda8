//! Arguments of a call: read and checked against the public type of an export, before anything is asked of a server and
//! before a use is drawn.

use crate::error::Error;
use crate::run::limits::Limits;
use portcullis_protocol::nearest;
use portcullis_protocol::surface::{FunctionType, ValueType};
use std::fmt;
use wasm_wave::ast::{Node, NodeType};
use wasm_wave::untyped::UntypedValue;
use wasmtime::component::Val;

/// An argument before it is read: [`crate::Resource::read_arguments`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Argument<'a> {
    /// A value in WAVE, the text form of component values: `1`, `"text"`, `[1, 2]`, `{width: 640}`, `some(1)`.
    Text(&'a str),
    /// Bytes, for a parameter of the type `list<u8>` or `string`.
    Bytes(&'a [u8]),
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Argument<'a> {
    fn from(text: &'a T) -> Self {
        Self::Text(text.as_ref())
    }
}

impl<'a> From<&'a Argument<'a>> for Argument<'a> {
    fn from(argument: &'a Argument<'a>) -> Self {
        *argument
    }
}

impl fmt::Debug for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

impl Argument<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Reads arguments, one for each parameter.
pub(crate) fn read(ty: &FunctionType, arguments: &[Argument<'_>], limits: &Limits) -> Result<Vec<Val>, Error> {
    right_count(ty, arguments.len())?;
    in_bounds(arguments.iter().map(|argument| argument.len() as u64).sum(), limits)?;
    let read = |((name, ty), argument): (&(String, ValueType), &Argument<'_>)| {
        let value = match argument {
            Argument::Text(text) => read_text(text, ty),
            Argument::Bytes(bytes) => read_bytes(bytes, ty),
        };
        value.map_err(|wrong| wrong.of(name))
    };
    ty.params.iter().zip(arguments).map(read).collect()
}

/// Checks values, one for each parameter.
pub(crate) fn check(ty: &FunctionType, values: &[Val], limits: &Limits) -> Result<(), Error> {
    right_count(ty, values.len())?;
    in_bounds(values.iter().map(weight).fold(0, u64::saturating_add), limits)?;
    let check = |((name, ty), value): (&(String, ValueType), &Val)| fits(value, ty).map_err(|wrong| wrong.of(name));
    ty.params.iter().zip(values).try_for_each(check)
}

/// Checks the arguments of a command, which are texts.
pub(crate) fn check_texts(texts: &[String], limits: &Limits) -> Result<(), Error> {
    in_bounds(texts.iter().map(|text| text.len() as u64 + 8).sum(), limits)
}

fn right_count(ty: &FunctionType, given: usize) -> Result<(), Error> {
    let expected = ty.params.len();
    if given == expected {
        return Ok(());
    }
    let params: Vec<String> = ty.params.iter().map(|(name, ty)| format!("{name}: {}", shown(ty))).collect();
    Err(Error::Arguments(format!("{given} given, {expected} expected: ({})", params.join(", "))))
}

fn in_bounds(bytes: u64, limits: &Limits) -> Result<(), Error> {
    let most = limits.argument.min(limits.memory);
    if bytes <= most {
        return Ok(());
    }
    Err(Error::Arguments(format!("they have {bytes} bytes, and the resource may be given {most} here")))
}

/// Bytes that a value takes in the guest, at least.
fn weight(value: &Val) -> u64 {
    let of = |payload: &Option<Box<Val>>| payload.as_deref().map_or(0, weight);
    let all = |values: &[Val]| values.iter().map(weight).fold(0, u64::saturating_add);
    match value {
        Val::Bool(_) | Val::U8(_) | Val::S8(_) => 1,
        Val::U16(_) | Val::S16(_) => 2,
        Val::U64(_) | Val::S64(_) | Val::Float64(_) => 8,
        Val::String(text) => text.len() as u64 + 8,
        Val::List(values) | Val::FixedLengthList(values) | Val::Tuple(values) => all(values).saturating_add(8),
        Val::Map(entries) => {
            entries.iter().map(|(key, value)| weight(key).saturating_add(weight(value))).fold(8, u64::saturating_add)
        }
        Val::Record(fields) => fields.iter().map(|(_, value)| weight(value)).fold(0, u64::saturating_add),
        Val::Variant(_, payload) | Val::Option(payload) => of(payload).saturating_add(1),
        Val::Result(Ok(payload) | Err(payload)) => of(payload).saturating_add(1),
        _ => 4,
    }
}

/// What does not fit, and where inside the argument.
struct Wrong {
    place: String,
    what: String,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { place: String::new(), what: what.into() }
    }

    /// Of another type than it has to be.
    fn ty(ty: &ValueType, found: impl fmt::Display) -> Self {
        Self::new(format!("must be {}, and is {found}", described(ty)))
    }

    /// Not one of the names that a type has.
    fn name<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Self {
        let known: Vec<&str> = known.collect();
        Self::new(match nearest(name, known.iter().copied()) {
            Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
            None => format!("there is no {kind} `{name}`; there is {}", some_of(&known)),
        })
    }

    fn within(mut self, place: impl fmt::Display) -> Self {
        self.place.insert_str(0, &place.to_string());
        self
    }

    fn of(self, parameter: &str) -> Error {
        Error::Arguments(format!("`{parameter}{}`: {}", self.place, self.what))
    }
}

/// The beginning of a type's text.
fn shown(ty: &ValueType) -> String {
    const SHOWN: usize = 120;
    let text = ty.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The first of some names.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let names: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    format!("{}{more}", names.join(", "))
}

/// A type as a person writes a value of it.
fn described(ty: &ValueType) -> String {
    if let Some((least, most)) = range(ty) {
        return format!("a whole number from {least} to {most} ({ty})");
    }
    match ty {
        ValueType::Bool => "`true` or `false`".into(),
        ValueType::F32 | ValueType::F64 => format!("a number ({ty})"),
        ValueType::Char => "one character in single quotes (char)".into(),
        ValueType::String => "a text in double quotes (string)".into(),
        ValueType::Enum(names) => {
            format!("one of {}", some_of(&names.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        ty => format!("of the type {}", shown(ty)),
    }
}

/// The least and the largest whole number of a type.
const fn range(ty: &ValueType) -> Option<(i128, i128)> {
    Some(match ty {
        ValueType::U8 => (0, u8::MAX as i128),
        ValueType::U16 => (0, u16::MAX as i128),
        ValueType::U32 => (0, u32::MAX as i128),
        ValueType::U64 => (0, u64::MAX as i128),
        ValueType::S8 => (i8::MIN as i128, i8::MAX as i128),
        ValueType::S16 => (i16::MIN as i128, i16::MAX as i128),
        ValueType::S32 => (i32::MIN as i128, i32::MAX as i128),
        ValueType::S64 => (i64::MIN as i128, i64::MAX as i128),
        _ => return None,
    })
}

fn read_bytes(bytes: &[u8], ty: &ValueType) -> Result<Val, Wrong> {
    match ty {
        ty if ty.is_bytes() => Ok(Val::List(bytes.iter().copied().map(Val::U8).collect())),
        ValueType::String => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Val::String(text.to_owned())),
            Err(error) => Err(Wrong::new(format!(
                "is a text, and the bytes given are not UTF-8: byte {} is where they stop being it",
                error.valid_up_to()
            ))),
        },
        ty => Err(Wrong::ty(ty, "bytes, which fit list<u8> and string only")),
    }
}

fn read_text(text: &str, ty: &ValueType) -> Result<Val, Wrong> {
    let value = UntypedValue::parse(text).map_err(|error| unreadable(text, ty, &error))?;
    read_node(value.node(), text, ty)
}

fn unreadable(text: &str, ty: &ValueType, error: &impl fmt::Display) -> Wrong {
    let hint = if text.contains('\\') {
        "; escapes are \\\\, \\\", \\', \\t, \\n, \\r and \\u{…}"
    } else if matches!(ty, ValueType::String) && !text.starts_with('"') {
        "; text is written in double quotes"
    } else {
        ""
    };
    Wrong::new(format!("must be {}, and cannot be read: {error}{hint}", described(ty)))
}

/// Reads one value. As WAVE has it, `some(…)` and `ok(…)` may be left out around a plain value, and fields that are
/// options may be left out of a record.
fn read_node(node: &Node, source: &str, ty: &ValueType) -> Result<Val, Wrong> {
    let text = source.get(node.span()).unwrap_or_default();
    let other = || Wrong::ty(ty, found(node.ty()));
    if range(ty).is_some() {
        return whole_number(node, text, ty);
    }
    Ok(match ty {
        ValueType::Bool => Val::Bool(node.as_bool().map_err(|_| other())?),
        ValueType::F32 => Val::Float32(node.as_number(source).map_err(|_| other())?),
        ValueType::F64 => Val::Float64(node.as_number(source).map_err(|_| other())?),
        ValueType::Char => Val::Char(match node.ty() {
            NodeType::Char => node.as_char(source).map_err(|error| unreadable(text, ty, &error))?,
            _ => return Err(other()),
        }),
        ValueType::String => Val::String(match node.ty() {
            NodeType::String | NodeType::MultilineString => {
                node.as_str(source).map_err(|error| unreadable(text, ty, &error))?.into_owned()
            }
            _ => return Err(other()),
        }),
        ValueType::List(element) => Val::List(elements(node, source, element, &other)?),
        ValueType::FixedList(element, length) => {
            let values = elements(node, source, element, &other)?;
            same_length(values.len(), *length as usize)?;
            Val::FixedLengthList(values)
        }
        ValueType::Map(key, value) => {
            let entries = node.as_list().map_err(|_| other())?.enumerate().map(|(at, entry)| {
                let pair: Vec<&Node> = entry.as_tuple().map_err(|_| other())?.collect();
                let [left, right] = pair.as_slice() else { return Err(other()) };
                let entry = read_node(left, source, key).and_then(|key| Ok((key, read_node(right, source, value)?)));
                entry.map_err(|wrong| wrong.within(format_args!("[{at}]")))
            });
            Val::Map(entries.collect::<Result<_, _>>()?)
        }
        ValueType::Tuple(types) => {
            let nodes: Vec<&Node> = node.as_tuple().map_err(|_| other())?.collect();
            same_length(nodes.len(), types.len())?;
            let read = |(at, (node, ty)): (usize, (&&Node, &ValueType))| {
                read_node(node, source, ty).map_err(|wrong| wrong.within(format_args!("[{at}]")))
            };
            Val::Tuple(nodes.iter().zip(types).enumerate().map(read).collect::<Result<_, _>>()?)
        }
        ValueType::Record(fields) => record(node, source, fields, &other)?,
        ValueType::Variant(cases) => {
            let (name, payload) = case(node, text, source).ok_or_else(other)?;
            let known = || cases.iter().map(|(name, _)| name.as_str());
            let (_, ty) =
                cases.iter().find(|(known, _)| known == name).ok_or_else(|| Wrong::name("case", name, known()))?;
            Val::Variant(name.to_owned(), read_payload(name, payload, source, ty.as_ref())?)
        }
        ValueType::Enum(names) => match case(node, text, source) {
            Some((name, None)) if names.iter().any(|known| known == name) => Val::Enum(name.to_owned()),
            Some((name, None)) => return Err(Wrong::name("case", name, names.iter().map(String::as_str))),
            _ => return Err(other()),
        },
        ValueType::Option(some) => match node.ty() {
            NodeType::OptionSome => {
                Val::Option(read_payload("some", node.as_option().ok().flatten(), source, Some(some))?)
            }
            NodeType::OptionNone => Val::Option(None),
            _ if is_flat(some) => Val::Option(Some(Box::new(read_node(node, source, some)?))),
            _ => return Err(other()),
        },
        ValueType::Result(ok, err) => match (node.as_result(), ok) {
            (Ok(Ok(payload)), ok) => Val::Result(Ok(read_payload("ok", payload, source, ok.as_deref())?)),
            (Ok(Err(payload)), _) => Val::Result(Err(read_payload("err", payload, source, err.as_deref())?)),
            (Err(_), Some(ok)) if is_flat(ok) => Val::Result(Ok(Some(Box::new(read_node(node, source, ok)?)))),
            (Err(_), _) => return Err(other()),
        },
        ValueType::Flags(names) => {
            let flags: Vec<&str> = node.as_flags(source).map_err(|_| other())?.map(label).collect();
            if let Some(unknown) = flags.iter().find(|flag| !names.iter().any(|known| known == *flag)) {
                return Err(Wrong::name("flag", unknown, names.iter().map(String::as_str)));
            }
            Val::Flags(flags.into_iter().map(str::to_owned).collect())
        }
        _ => return Err(Wrong::new("is a handle, which has no text form: call it from a program")),
    })
}

fn whole_number(node: &Node, text: &str, ty: &ValueType) -> Result<Val, Wrong> {
    let out = |number: &dyn fmt::Display| Wrong::ty(ty, number);
    if node.ty() != NodeType::Number {
        return Err(Wrong::ty(ty, found(node.ty())));
    }
    let number: i128 = text.parse().map_err(|_| out(&text))?;
    let value = match ty {
        ValueType::U8 => u8::try_from(number).map(Val::U8),
        ValueType::U16 => u16::try_from(number).map(Val::U16),
        ValueType::U32 => u32::try_from(number).map(Val::U32),
        ValueType::U64 => u64::try_from(number).map(Val::U64),
        ValueType::S8 => i8::try_from(number).map(Val::S8),
        ValueType::S16 => i16::try_from(number).map(Val::S16),
        ValueType::S32 => i32::try_from(number).map(Val::S32),
        _ => i64::try_from(number).map(Val::S64),
    };
    value.map_err(|_| out(&number))
}

fn elements(node: &Node, source: &str, ty: &ValueType, other: &impl Fn() -> Wrong) -> Result<Vec<Val>, Wrong> {
    let read =
        |(at, node): (usize, &Node)| read_node(node, source, ty).map_err(|wrong| wrong.within(format_args!("[{at}]")));
    node.as_list().map_err(|_| other())?.enumerate().map(read).collect()
}

fn record(node: &Node, source: &str, types: &[(String, ValueType)], other: &impl Fn() -> Wrong) -> Result<Val, Wrong> {
    let given: Vec<(&str, &Node)> = match node.ty() {
        NodeType::Record => node.as_record(source).map_err(|_| other())?.collect(),
        // `{}` is also how flags are written of which none is set.
        NodeType::Flags if node.as_flags(source).is_ok_and(|mut flags| flags.next().is_none()) => Vec::new(),
        _ => return Err(other()),
    };
    if let Some((unknown, _)) = given.iter().find(|(name, _)| !types.iter().any(|(known, _)| known == name)) {
        return Err(Wrong::name("field", unknown, types.iter().map(|(name, _)| name.as_str())));
    }
    let field = |(name, ty): &(String, ValueType)| {
        let value = match given.iter().find(|(given, _)| given == name) {
            Some((_, node)) => read_node(node, source, ty).map_err(|wrong| wrong.within(format_args!(".{name}")))?,
            None if matches!(ty, ValueType::Option(_)) => Val::Option(None),
            None => return Err(Wrong::new(format!("the field `{name}` is missing: {}", shown(ty)))),
        };
        Ok((name.clone(), value))
    };
    types.iter().map(field).collect::<Result<_, _>>().map(Val::Record)
}

/// A case and what it carries. A case that is called as a word of WAVE is (`none`, `true`) is taken as a case.
fn case<'s>(node: &'s Node, text: &'s str, source: &'s str) -> Option<(&'s str, Option<&'s Node>)> {
    match node.ty() {
        NodeType::Label | NodeType::VariantWithPayload => node.as_variant(source).ok(),
        NodeType::BoolTrue | NodeType::BoolFalse | NodeType::OptionNone => Some((text, None)),
        NodeType::OptionSome => Some(("some", node.as_option().ok().flatten())),
        NodeType::ResultOk => Some(("ok", node.as_result().ok().and_then(Result::ok).flatten())),
        NodeType::ResultErr => Some(("err", node.as_result().ok().and_then(Result::err).flatten())),
        _ => None,
    }
}

fn read_payload(
    case: &str,
    node: Option<&Node>,
    source: &str,
    ty: Option<&ValueType>,
) -> Result<Option<Box<Val>>, Wrong> {
    match (node, ty) {
        (None, None) => Ok(None),
        (Some(node), Some(ty)) => {
            let value = read_node(node, source, ty).map_err(|wrong| wrong.within(format_args!(".{case}")))?;
            Ok(Some(Box::new(value)))
        }
        (None, Some(ty)) => Err(Wrong::new(format!("`{case}` carries a value, {case}(…): {}", shown(ty)))),
        (Some(_), None) => Err(Wrong::new(format!("`{case}` carries no value"))),
    }
}

fn same_length(given: usize, expected: usize) -> Result<(), Wrong> {
    if given == expected {
        return Ok(());
    }
    Err(Wrong::new(format!("{given} values are given, {expected} expected")))
}

/// Whether `some(…)` or `ok(…)` around it may be left out.
const fn is_flat(ty: &ValueType) -> bool {
    !matches!(ty, ValueType::Option(_) | ValueType::Result(..))
}

fn label(text: &str) -> &str {
    text.strip_prefix('%').unwrap_or(text)
}

const fn found(ty: NodeType) -> &'static str {
    match ty {
        NodeType::BoolTrue | NodeType::BoolFalse => "`true` or `false`",
        NodeType::Number => "a number",
        NodeType::Char => "a character",
        NodeType::String | NodeType::MultilineString => "a text",
        NodeType::Tuple => "a tuple",
        NodeType::List => "a list",
        NodeType::Record => "a record",
        NodeType::Label => "a name without quotes",
        NodeType::VariantWithPayload => "a case with a value",
        NodeType::OptionSome | NodeType::OptionNone => "an option",
        NodeType::ResultOk | NodeType::ResultErr => "a result",
        NodeType::Flags => "a set of flags",
    }
}

/// Whether a value is of a type, as the engine has it: fields in order, every name known.
fn fits(value: &Val, ty: &ValueType) -> Result<(), Wrong> {
    let other = || Err(Wrong::ty(ty, kind(value)));
    let each = |values: &[Val], ty: &ValueType| {
        let fits = |(at, value)| fits(value, ty).map_err(|wrong: Wrong| wrong.within(format_args!("[{at}]")));
        values.iter().enumerate().try_for_each(fits)
    };
    match (value, ty) {
        (Val::Bool(_), ValueType::Bool)
        | (Val::U8(_), ValueType::U8)
        | (Val::U16(_), ValueType::U16)
        | (Val::U32(_), ValueType::U32)
        | (Val::U64(_), ValueType::U64)
        | (Val::S8(_), ValueType::S8)
        | (Val::S16(_), ValueType::S16)
        | (Val::S32(_), ValueType::S32)
        | (Val::S64(_), ValueType::S64)
        | (Val::Float32(_), ValueType::F32)
        | (Val::Float64(_), ValueType::F64)
        | (Val::Char(_), ValueType::Char)
        | (Val::String(_), ValueType::String)
        | (Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_), ValueType::Handle(_)) => Ok(()),
        (Val::List(values), ValueType::List(ty)) => each(values, ty),
        (Val::FixedLengthList(values), ValueType::FixedList(ty, length)) => {
            same_length(values.len(), *length as usize)?;
            each(values, ty)
        }
        (Val::Map(entries), ValueType::Map(key, value)) => {
            entries.iter().try_for_each(|entry| fits(&entry.0, key).and_then(|()| fits(&entry.1, value)))
        }
        (Val::Tuple(values), ValueType::Tuple(types)) => {
            same_length(values.len(), types.len())?;
            let fits = |(at, (value, ty))| fits(value, ty).map_err(|wrong| wrong.within(format_args!("[{at}]")));
            values.iter().zip(types).enumerate().try_for_each(fits)
        }
        (Val::Record(fields), ValueType::Record(types)) => {
            for (at, (name, ty)) in types.iter().enumerate() {
                match fields.get(at) {
                    Some((given, value)) if given == name => {
                        fits(value, ty).map_err(|wrong| wrong.within(format_args!(".{name}")))?;
                    }
                    _ => return Err(Wrong::new(format!("the field `{name}` is missing at place {at}: {}", shown(ty)))),
                }
            }
            same_length(fields.len(), types.len())
        }
        (Val::Variant(name, payload), ValueType::Variant(cases)) => {
            let known = || cases.iter().map(|(name, _)| name.as_str());
            let case = cases.iter().find(|(known, _)| known == name);
            let (_, ty) = case.ok_or_else(|| Wrong::name("case", name, known()))?;
            payload_fits(name, payload.as_deref(), ty.as_ref())
        }
        (Val::Enum(name), ValueType::Enum(names)) if names.contains(name) => Ok(()),
        (Val::Enum(name), ValueType::Enum(names)) => Err(Wrong::name("case", name, names.iter().map(String::as_str))),
        (Val::Option(None), ValueType::Option(_)) => Ok(()),
        (Val::Option(Some(value)), ValueType::Option(ty)) => payload_fits("some", Some(value), Some(ty)),
        (Val::Result(Ok(value)), ValueType::Result(ty, _)) => payload_fits("ok", value.as_deref(), ty.as_deref()),
        (Val::Result(Err(value)), ValueType::Result(_, ty)) => payload_fits("err", value.as_deref(), ty.as_deref()),
        (Val::Flags(flags), ValueType::Flags(names)) => match flags.iter().find(|flag| !names.contains(flag)) {
            Some(unknown) => Err(Wrong::name("flag", unknown, names.iter().map(String::as_str))),
            None => Ok(()),
        },
        _ => other(),
    }
}

fn payload_fits(case: &str, value: Option<&Val>, ty: Option<&ValueType>) -> Result<(), Wrong> {
    match (value, ty) {
        (None, None) => Ok(()),
        (Some(value), Some(ty)) => fits(value, ty).map_err(|wrong| wrong.within(format_args!(".{case}"))),
        (None, Some(ty)) => Err(Wrong::new(format!("`{case}` carries a value: {}", shown(ty)))),
        (Some(_), None) => Err(Wrong::new(format!("`{case}` carries no value"))),
    }
}

const fn kind(value: &Val) -> &'static str {
    match value {
        Val::Bool(_) => "a bool",
        Val::U8(_) => "a u8",
        Val::U16(_) => "a u16",
        Val::U32(_) => "a u32",
        Val::U64(_) => "a u64",
        Val::S8(_) => "an s8",
        Val::S16(_) => "an s16",
        Val::S32(_) => "an s32",
        Val::S64(_) => "an s64",
        Val::Float32(_) => "an f32",
        Val::Float64(_) => "an f64",
        Val::Char(_) => "a char",
        Val::String(_) => "a string",
        Val::List(_) => "a list",
        Val::FixedLengthList(_) => "a list of fixed length",
        Val::Map(_) => "a map",
        Val::Record(_) => "a record",
        Val::Tuple(_) => "a tuple",
        Val::Variant(..) => "a variant",
        Val::Enum(_) => "an enum",
        Val::Option(_) => "an option",
        Val::Result(_) => "a result",
        Val::Flags(_) => "a set of flags",
        _ => "a handle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(ty: &str, text: &str) -> Result<Val, String> {
        let function: FunctionType = format!("(x: {ty})").parse().expect(ty);
        let read = read(&function, &[text.into()], &Limits::default());
        if let Ok(values) = &read {
            check(&function, values, &Limits::default()).expect("what was read fits");
        }
        read.map(|mut values| values.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_of_every_type_are_read() {
        for (ty, text, value) in [
            ("bool", "true", Val::Bool(true)),
            ("u8", "255", Val::U8(255)),
            ("s8", "-128", Val::S8(-128)),
            ("u64", "18446744073709551615", Val::U64(u64::MAX)),
            ("s64", "-9223372036854775808", Val::S64(i64::MIN)),
            ("f64", "-1.5e3", Val::Float64(-1500.0)),
            ("f32", "inf", Val::Float32(f32::INFINITY)),
            ("char", "'\\u{e9}'", Val::Char('é')),
            ("string", "\"a\\n\\\"b\"", Val::String("a\n\"b".into())),
            ("list<u8>", "[1, 2]", Val::List(vec![Val::U8(1), Val::U8(2)])),
            ("enum{nearest, none}", "none", Val::Enum("none".into())),
            ("option<u8>", "3", Val::Option(Some(Box::new(Val::U8(3))))),
            ("option<u8>", "none", Val::Option(None)),
            ("result<u8, string>", "err(\"no\")", Val::Result(Err(Some(Box::new(Val::String("no".into())))))),
            ("result<_, _>", "ok", Val::Result(Ok(None))),
            ("flags{a, b}", "{b}", Val::Flags(vec!["b".into()])),
            ("flags{a, b}", "{}", Val::Flags(vec![])),
            ("record{a: option<u8>}", "{}", Val::Record(vec![("a".into(), Val::Option(None))])),
            ("variant{a, b: u8}", "b(1)", Val::Variant("b".into(), Some(Box::new(Val::U8(1))))),
            ("variant{a, b: u8}", "a", Val::Variant("a".into(), None)),
            ("tuple<u8, bool>", "(1, false)", Val::Tuple(vec![Val::U8(1), Val::Bool(false)])),
            ("map<string, u8>", "[(\"a\", 1)]", Val::Map(vec![(Val::String("a".into()), Val::U8(1))])),
            ("list-2<u8>", "[1, 2]", Val::FixedLengthList(vec![Val::U8(1), Val::U8(2)])),
        ] {
            assert_eq!(read_one(ty, text), Ok(value), "{ty} {text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        for (ty, text, said) in [
            ("u8", "700", "`x`: must be a whole number from 0 to 255 (u8), and is 700"),
            ("u8", "-1", "0 to 255"),
            ("s64", "9223372036854775808", "s64"),
            ("u32", "1.5", "and is 1.5"),
            ("u32", "\"1\"", "and is a text"),
            ("bool", "1", "`true` or `false`"),
            ("bool", "yes", "a name without quotes"),
            ("char", "'ab'", "cannot be read"),
            ("char", "\"a\"", "single quotes"),
            ("string", "\"x\\q\"", "escapes are"),
            ("string", "\"\\u{d800}\"", "escapes are"),
            ("string", "\"open", "cannot be read"),
            ("string", "plain", "double quotes"),
            ("string", "two words", "double quotes"),
            ("enum{nearest, bilinear}", "neerest", "there is no case `neerest`; did you mean `nearest`?"),
            ("enum{nearest, bilinear}", "x", "there is `nearest`, `bilinear`"),
            ("record{width: u32, height: u32}", "{width: 1}", "the field `height` is missing: u32"),
            ("record{width: u32}", "{wdth: 1}", "there is no field `wdth`; did you mean `width`?"),
            ("record{a: record{b: u8}}", "{a: {b: 256}}", "`x.a.b`: must be"),
            ("list<list<u8>>", "[[1], [2, 300]]", "`x[1][1]`: must be"),
            ("flags{read, write}", "{reed}", "there is no flag `reed`; did you mean `read`?"),
            ("variant{a, b: u8}", "c", "there is no case `c`"),
            ("variant{a, b: u8}", "b", "`b` carries a value"),
            ("variant{a, b: u8}", "a(1)", "`a` carries no value"),
            ("option<u8>", "some(256)", "`x.some`: must be"),
            ("option<option<u8>>", "1", "option<option<u8>>"),
            ("result<u8, _>", "err(1)", "`err` carries no value"),
            ("tuple<u8, u8>", "(1, 2, 3)", "3 values are given, 2 expected"),
            ("list-2<u8>", "[1]", "1 values are given, 2 expected"),
            ("own<a:b/c.d>", "1", "has no text form"),
            ("u8", "1 2", "cannot be read"),
            ("u8", "", "cannot be read"),
        ] {
            let said_here = read_one(ty, text).expect_err(text);
            assert!(said_here.contains(said), "{ty} {text}: {said_here}");
        }
        assert!(read_one("list<u8>", &"[".repeat(100_000)).is_err(), "and no depth ends the process");
    }

    #[test]
    fn bytes_fit_bytes_and_text_only() {
        let read = |ty: &str, bytes: &[u8], limits: &Limits| {
            let function: FunctionType = format!("(x: {ty})").parse().expect(ty);
            read(&function, &[Argument::Bytes(bytes)], limits).map_err(|error| error.to_string())
        };
        let limits = Limits::default();
        assert_eq!(read("list<u8>", b"a", &limits), Ok(vec![Val::List(vec![Val::U8(97)])]));
        assert_eq!(read("string", b"a", &limits), Ok(vec![Val::String("a".into())]));
        assert!(read("string", b"ab\xff", &limits).expect_err("no text").contains("byte 2"));
        assert!(read("u8", b"a", &limits).expect_err("no bytes").contains("list<u8> and string only"));
        let small = Limits { argument: 3, ..limits };
        assert!(read("list<u8>", b"abcd", &small).expect_err("too many").contains("4 bytes"));
        let little = Limits { memory: 3, ..limits };
        assert!(read("list<u8>", b"abcd", &little).is_err(), "what the resource has no memory for");
    }

    #[test]
    fn values_are_checked_as_the_engine_does() {
        let check = |ty: &str, value: Val| {
            let function: FunctionType = format!("(x: {ty})").parse().expect(ty);
            check(&function, &[value], &Limits::default()).map_err(|error| error.to_string())
        };
        assert!(check("u8", Val::U16(1)).expect_err("another width").contains("is a u16"));
        assert!(check("string", Val::Enum("a".into())).is_err());
        let swapped = Val::Record(vec![("b".into(), Val::U8(1)), ("a".into(), Val::U8(1))]);
        assert!(check("record{a: u8, b: u8}", swapped).expect_err("in order").contains("`a` is missing"));
        assert!(check("list<u8>", Val::List(vec![Val::U8(1), Val::Bool(true)])).expect_err("one").contains("x[1]"));
        assert!(check("enum{a}", Val::Enum("b".into())).is_err() && check("enum{a}", Val::Enum("a".into())).is_ok());
        assert!(check("option<u8>", Val::Option(None)).is_ok());
        assert!(check("variant{a: u8}", Val::Variant("a".into(), None)).is_err());
        let function: FunctionType = "(a: u32, b: u32)".parse().expect("a signature");
        let wrong = super::check(&function, &[Val::U32(1)], &Limits::default()).expect_err("one is missing");
        assert!(wrong.to_string().contains("1 given, 2 expected: (a: u32, b: u32)"), "{wrong}");
    }
}
