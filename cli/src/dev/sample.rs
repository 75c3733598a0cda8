//! A value of any plain type, to call an export with when nobody says which.

use portcullis_host::{Type, Val};

/// The text that a library gets which takes one.
const TEXT: &str = "Who goes there? A friend. Then pass.";

/// A value of the type; `None` where one would need a handle.
pub(crate) fn value(ty: &Type) -> Option<Val> {
    Some(match ty {
        Type::Bool => Val::Bool(true),
        Type::S8 => Val::S8(1),
        Type::U8 => Val::U8(1),
        Type::S16 => Val::S16(1),
        Type::U16 => Val::U16(1),
        Type::S32 => Val::S32(1),
        Type::U32 => Val::U32(1),
        Type::S64 => Val::S64(1),
        Type::U64 => Val::U64(1),
        Type::Float32 => Val::Float32(1.0),
        Type::Float64 => Val::Float64(1.0),
        Type::Char => Val::Char('a'),
        Type::String => Val::String(TEXT.into()),
        Type::List(list) if matches!(list.ty(), Type::U8) => Val::List(TEXT.bytes().map(Val::U8).collect()),
        Type::List(list) => Val::List(vec![value(&list.ty())?]),
        Type::Record(record) => {
            let fields = record.fields().map(|field| Some((field.name.to_owned(), value(&field.ty)?)));
            Val::Record(fields.collect::<Option<_>>()?)
        }
        Type::Tuple(tuple) => Val::Tuple(tuple.types().map(|ty| value(&ty)).collect::<Option<_>>()?),
        Type::Variant(variant) => {
            let case = variant.cases().next()?;
            let inner = match case.ty {
                Some(ty) => Some(Box::new(value(&ty)?)),
                None => None,
            };
            Val::Variant(case.name.to_owned(), inner)
        }
        Type::Enum(names) => Val::Enum(names.names().next()?.to_owned()),
        Type::Option(_) => Val::Option(None),
        Type::Result(result) => match result.ok() {
            Some(ty) => Val::Result(Ok(Some(Box::new(value(&ty)?)))),
            None => Val::Result(Ok(None)),
        },
        Type::Flags(_) => Val::Flags(Vec::new()),
        _ => return None,
    })
}
