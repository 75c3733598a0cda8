//! The name of an operation, as `portcullis:gate/types.operation` defines it.

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// Whether `name` is 1 to 64 bytes of `a-z`, `0-9` and single `-`, beginning with a letter and not ending with `-`.
pub(crate) fn is_valid(name: &str) -> bool {
    name.len() <= LONGEST
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names_follow_the_contract() {
        for name in ["view", "render-4k", "a", &"a".repeat(64)] {
            assert!(is_valid(name), "{name}");
        }
        for name in ["", "View", "4k", "-a", "a-", "a--b", "a b", "a_b", "é", &"a".repeat(65)] {
            assert!(!is_valid(name), "{name}");
        }
    }
}
