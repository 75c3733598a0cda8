//! The title of an offer whose count changes: what it says of the count changes with it.

/// Numbers up to a thousand that are written in one word.
const WORDS: [(&str, u64); 31] = [
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("dozen", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("hundred", 100),
    ("thousand", 1000),
    ("once", 1),
];

/// The title with the new count in place of the old one: "Ten measurements" for 20 is "20 measurements". `None` if it
/// does not say the old count in digits or in one English word.
pub(crate) fn recounted(title: &str, before: u64, after: u64) -> Option<String> {
    let (mut text, mut rest, mut found) = (String::new(), title, false);
    while !rest.is_empty() {
        let is_word = rest.starts_with(char::is_alphanumeric);
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (piece, others) = rest.split_at(end);
        if is_word && number(piece) == Some(before) {
            text += &after.to_string();
            found = true;
        } else {
            text += piece;
        }
        rest = others;
    }
    found.then_some(text)
}

fn number(word: &str) -> Option<u64> {
    let named = || WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, number)| *number);
    word.parse().ok().or_else(named)
}

#[cfg(test)]
mod tests {
    use super::recounted;

    #[test]
    fn a_count_in_a_title_follows() {
        let to_twenty = |title: &str| recounted(title, 10, 20);
        assert_eq!(to_twenty("Ten measurements").as_deref(), Some("20 measurements"));
        assert_eq!(to_twenty("A pack of 10").as_deref(), Some("A pack of 20"));
        assert_eq!(to_twenty("10 (ten!) times").as_deref(), Some("20 (20!) times"));
        assert_eq!(to_twenty("Tenfold, tennis, 100"), None);
        assert_eq!(to_twenty("Some measurements"), None);
        assert_eq!(recounted("Two counts", 2, 1).as_deref(), Some("1 counts"));
    }
}
