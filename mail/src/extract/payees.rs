//! Accounts that money can be sent to, wherever in a mail they stand and however they are written: a bill that names
//! one that its biller is not known by is doubted, whatever it calls it.

use crate::iban::Iban;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;

/// Accounts of a mail that are told apart. Bills name one to five.
const MAX_PAYEES: usize = 64;
/// How long the accounts of each country are (ISO 13616), so that what follows is not taken for more of them.
const LENGTHS: [(&str, usize); 88] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// Where an account may begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// One end at least beside something else: letters may be joined to the other.
    One,
    /// Both: in addresses of pages and pictures, any letters stand.
    Both,
}

/// What stands before a letter or digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Another one.
    Joined,
    /// White space, dots, hyphens: an account may be written with them.
    Gap,
    /// Anything else.
    Break,
}

/// Adds the accounts in a text: in any case and width, with gaps anywhere, and without a label.
pub(super) fn find(text: &str, ends: Ends, found: &mut BTreeSet<Iban>) {
    let (mut signs, mut before, mut next) = (Vec::new(), Vec::new(), Before::Break);
    let mut push = |c: char| {
        let c = c.to_ascii_uppercase();
        if c.is_ascii_alphanumeric() {
            signs.push(c);
            before.push(std::mem::replace(&mut next, Before::Joined));
        } else if is_gap(c) {
            next = if next == Before::Break { next } else { Before::Gap };
        } else {
            next = Before::Break;
        }
    };
    for c in text.chars() {
        // Most text is made of these, and they are what they are.
        if c.is_ascii() { push(c) } else { std::iter::once(c).nfkc().for_each(&mut push) }
    }
    for at in 0..signs.len() {
        if found.len() >= MAX_PAYEES {
            return;
        }
        let Some([a, b, c, d]) = signs.get(at..at + 4) else { return };
        if !(c.is_ascii_digit() && d.is_ascii_digit() && a.is_ascii_alphabetic()) {
            continue;
        }
        let country = [*a, *b];
        let Some((_, length)) = LENGTHS.iter().find(|(code, _)| code.chars().eq(country)) else { continue };
        let (Some(account), Some(inside)) = (signs.get(at..at + length), before.get(at + 1..at + length)) else {
            continue;
        };
        let is_open = |at: usize| before.get(at).is_none_or(|before| *before != Before::Joined);
        let is_free = match ends {
            Ends::One => is_open(at) || is_open(at + length),
            Ends::Both => is_open(at) && is_open(at + length),
        };
        if is_free && !inside.contains(&Before::Break) {
            found.extend(account.iter().collect::<String>().parse::<Iban>().ok());
        }
    }
}

/// What people and programs write between the groups of an account.
fn is_gap(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '.' | '-' | '_' | '/' | '\u{ad}' | '\u{b7}' | '\u{200b}'..='\u{200f}' | '\u{2010}'..='\u{2015}'
            | '\u{2022}' | '\u{2060}' | '\u{2212}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, ends: Ends) -> Vec<String> {
        let mut found = BTreeSet::new();
        find(text, ends, &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_account_is_found_however_it_is_written() {
        for text in [
            "IBAN GB82 WEST 1234 5698 7654 32",
            "iban gb82 west 1234 5698 7654 32 bic x",
            "Pay to account GB82WEST12345698765432.",
            "GB82-WEST-1234-5698-7654-32",
            "G.B.8.2.WEST12345698765432",
            "GB82\nWEST\t1234\u{a0}5698\u{200b}7654 32",
            "ＧＢ８２ ＷＥＳＴ １２３４ ５６９８ ７６５４ ３２",
            "IBANGB82WEST12345698765432",
            "GB82WEST12345698765432now",
        ] {
            assert_eq!(all(text, Ends::One), ["GB82WEST12345698765432"], "{text}");
        }
        assert_eq!(all("<a title='GB82 WEST 1234 5698 7654 32'>", Ends::Both), ["GB82WEST12345698765432"]);
        let two = all("DE89 3704 0044 0532 0130 00 is closed. Pay to GB82 WEST 1234 5698 7654 32", Ends::One);
        assert_eq!(two, ["DE89370400440532013000", "GB82WEST12345698765432"]);
        for text in
            ["GB82 WEST 1234 5698 7654 33", "GB82 WEST, 1234 5698 7654 32", "xGB82WEST12345698765432x", "GB82", ""]
        {
            assert_eq!(all(text, Ends::One), [""; 0], "{text}");
        }
        assert_eq!(all("/tGB82WEST12345698765432", Ends::Both), [""; 0]);
    }
}
