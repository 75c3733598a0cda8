//! What a statement takes: integers, texts and bytes, each with its type even if it is null.

/// A parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// An integer; a boolean is 0 or 1.
    Int(Option<i64>),
    /// A text.
    Text(Option<&'a str>),
    /// Bytes.
    Blob(Option<&'a [u8]>),
}

/// What can be a parameter.
pub(crate) trait Param {
    /// As a value.
    fn value(&self) -> Value<'_>;
    /// Nothing, of the same type.
    fn null() -> Value<'static>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Param for $integer {
            fn value(&self) -> Value<'_> {
                Value::Int(Some(i64::from(*self)))
            }

            fn null() -> Value<'static> {
                Value::Int(None)
            }
        }
    )*};
}
integers!(i64, i32, u32, u8, bool);

impl Param for str {
    fn value(&self) -> Value<'_> {
        Value::Text(Some(self))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl Param for String {
    fn value(&self) -> Value<'_> {
        Value::Text(Some(self))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl Param for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

impl Param for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

impl<const N: usize> Param for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

impl<T: Param + ?Sized> Param for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> Value<'_> {
        match self {
            Some(value) => value.value(),
            None => T::null(),
        }
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

/// The parameters of a statement: a tuple or an array, in the order of their numbers from `?1`.
pub(crate) trait Params {
    /// Runs something with them as values.
    fn with<R>(&self, run: impl FnOnce(&[Value<'_>]) -> R) -> R;
}

impl Params for () {
    fn with<R>(&self, run: impl FnOnce(&[Value<'_>]) -> R) -> R {
        run(&[])
    }
}

impl<T: Param, const N: usize> Params for [T; N] {
    fn with<R>(&self, run: impl FnOnce(&[Value<'_>]) -> R) -> R {
        run(&self.each_ref().map(Param::value))
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {$(
        impl<$($name: Param),*> Params for ($($name,)*) {
            #[expect(non_snake_case, reason = "a name serves as type and as value")]
            fn with<R>(&self, run: impl FnOnce(&[Value<'_>]) -> R) -> R {
                let ($($name,)*) = self;
                run(&[$($name.value()),*])
            }
        }
    )*};
}
tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
    A B C D E F G H I J K L M;
    A B C D E F G H I J K L M N;
}
