//! A value of any plain type, to call an export with when nobody says which.

use portcullis_host::Val;
use portcullis_protocol::surface::ValueType;

/// The text that a library gets which takes one.
const TEXT: &str = "Who goes there? A friend. Then pass.";

/// A value of the type; `None` if one would need a handle.
pub(crate) fn value(ty: &ValueType) -> Option<Val> {
    let boxed = |ty: &Option<Box<ValueType>>| match ty {
        Some(ty) => value(ty).map(|value| Some(Box::new(value))),
        None => Some(None),
    };
    Some(match ty {
        ValueType::Bool => Val::Bool(true),
        ValueType::S8 => Val::S8(1),
        ValueType::U8 => Val::U8(1),
        ValueType::S16 => Val::S16(1),
        ValueType::U16 => Val::U16(1),
        ValueType::S32 => Val::S32(1),
        ValueType::U32 => Val::U32(1),
        ValueType::S64 => Val::S64(1),
        ValueType::U64 => Val::U64(1),
        ValueType::F32 => Val::Float32(1.0),
        ValueType::F64 => Val::Float64(1.0),
        ValueType::Char => Val::Char('a'),
        ValueType::String => Val::String(TEXT.into()),
        ty if ty.is_bytes() => Val::List(TEXT.bytes().map(Val::U8).collect()),
        ValueType::List(element) => Val::List(vec![value(element)?]),
        ValueType::FixedList(element, length) => {
            Val::FixedLengthList((0..*length).map(|_| value(element)).collect::<Option<_>>()?)
        }
        ValueType::Map(key, element) => Val::Map(vec![(value(key)?, value(element)?)]),
        ValueType::Record(fields) => {
            let fields = fields.iter().map(|(name, ty)| Some((name.clone(), value(ty)?)));
            Val::Record(fields.collect::<Option<_>>()?)
        }
        ValueType::Tuple(types) => Val::Tuple(types.iter().map(value).collect::<Option<_>>()?),
        ValueType::Variant(cases) => {
            let (name, ty) = cases.first()?;
            let inner = match ty {
                Some(ty) => Some(Box::new(value(ty)?)),
                None => None,
            };
            Val::Variant(name.clone(), inner)
        }
        ValueType::Enum(names) => Val::Enum(names.first()?.clone()),
        ValueType::Option(_) => Val::Option(None),
        ValueType::Result(ok, _) => Val::Result(Ok(boxed(ok)?)),
        ValueType::Flags(_) => Val::Flags(Vec::new()),
        _ => return None,
    })
}
