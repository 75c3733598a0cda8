//! Fields as forms and queries write them (`application/x-www-form-urlencoded`), whoever sends them. None holds the
//! character U+0000: no text of ours has it, and PostgreSQL takes no text that has.

use serde::de::DeserializeOwned;
use url::form_urlencoded;

/// All fields of a form or a query. None if they are not those that are wanted, or one of them is no text.
pub(crate) fn read<T: DeserializeOwned>(encoded: &[u8]) -> Option<T> {
    if holds_nul(encoded) { None } else { serde_urlencoded::from_bytes(encoded).ok() }
}

/// The first value that a query has for a name, if it has one that is text.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let value = fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    value.filter(|value| !value.contains('\0'))
}

/// A percent sign that stands for itself is written `%25`, so that these three always are the character.
fn holds_nul(encoded: &[u8]) -> bool {
    encoded.contains(&0) || encoded.windows(3).any(|three| three == b"%00")
}

#[cfg(test)]
mod tests {
    use super::{read, value};
    use std::collections::BTreeMap;

    #[test]
    fn a_field_with_nul_is_no_field() {
        for (encoded, name) in [("a=%00", "a"), ("a=b%00c&d=e", "a"), ("a=%%00", "a"), ("a=\0", "a")] {
            assert_eq!(read::<BTreeMap<String, String>>(encoded.as_bytes()), None, "{encoded}");
            assert_eq!(value(encoded, name), None, "{encoded}");
        }
        // The control: what only looks like it.
        for (encoded, meant) in [("a=%2500", "%00"), ("a=%0a0", "\n0"), ("a=b%200", "b 0"), ("a=", "")] {
            let fields = BTreeMap::from([("a".to_owned(), meant.to_owned())]);
            assert_eq!(read(encoded.as_bytes()), Some(fields), "{encoded}");
            assert_eq!(value(encoded, "a").as_deref(), Some(meant), "{encoded}");
        }
    }
}
