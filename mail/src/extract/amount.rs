//! Amounts as people write them. What can be read in two ways is not read.

use crate::extract::Refusal;
use portcullis_protocol::{Currency, Money};

/// Signs and words that stand for one currency.
const SIGNS: [(&str, &str); 22] = [
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("C$", "CAD"),
    ("AU$", "AUD"),
    ("A$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("R$", "BRL"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("₴", "UAH"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("Ft", "HUF"),
    ("Fr.", "CHF"),
    ("euros", "EUR"),
    ("euro", "EUR"),
];
/// Signs that several currencies have: they mean what the biller's registration says.
const SHARED: [&str; 3] = ["$", "¥", "kr"];
/// What stands between groups of digits.
const SPACES: [char; 6] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '\u{2019}'];

/// The amount in a piece of text; `None` if there is no number with a currency beside it.
pub(super) fn amount(text: &str, hint: Option<Currency>) -> Option<Result<Money, Refusal>> {
    // What is in brackets explains: the tax in it, another currency.
    let text = text.split('(').next().unwrap_or_default();
    let mut found: Option<Money> = None;
    let mut rest = text;
    let mut before = "";
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = number(rest.get(start..).unwrap_or_default());
        let prefix = rest.get(..start).unwrap_or_default();
        let prefix = if prefix.is_empty() { before } else { prefix };
        let after = rest.get(start + number.len()..).unwrap_or_default();
        if let Some(marked) = marked(prefix, number, after, hint) {
            match (marked, found) {
                (Err(refusal), _) => return Some(Err(refusal)),
                (Ok(money), None) => found = Some(money),
                (Ok(money), Some(first)) if money.currency() != first.currency() => {
                    return Some(Err(Refusal::Currency));
                }
                (Ok(money), Some(first)) if money != first => return Some(Err(Refusal::AmbiguousAmount)),
                (Ok(_), Some(_)) => {}
            }
        }
        before = "";
        rest = after;
    }
    found.map(Ok)
}

/// The digits at the start of `text`, with the separators between them.
fn number(text: &str) -> &str {
    let mut end = 0;
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let next = at + c.len_utf8();
        let follows = text.get(next..).unwrap_or_default();
        if c.is_ascii_digit() {
            end = next;
        } else {
            let group = follows.bytes().take_while(u8::is_ascii_digit).count();
            let joins = match c {
                '.' | ',' => group > 0,
                _ => SPACES.contains(&c) && group == 3,
            };
            if !joins {
                break;
            }
        }
        at = next;
    }
    text.get(..end).unwrap_or_default()
}

fn marked(before: &str, number: &str, after: &str, hint: Option<Currency>) -> Option<Result<Money, Refusal>> {
    let left = before.trim_end();
    let right = after.trim_start_matches(SPACES);
    let minus = |text: &str| text.ends_with(['-', '\u{2212}', '\u{2013}']);
    // `EUR -10,00`: the sign may stand between the currency and the number.
    let unsigned = if minus(before) { left.trim_end_matches(['-', '\u{2212}', '\u{2013}']).trim_end() } else { left };
    let leading = currency_at_end(unsigned, hint);
    // `12,50- EUR`, as some ledgers print it.
    let trailing = currency_at_start(right.trim_start_matches(['-', '\u{2212}', ' ']), hint);
    let (currency, signed) = match (leading, trailing) {
        (Some((a, _)), Some(b)) if a != b => return Some(Err(Refusal::Currency)),
        (Some((currency, rest)), _) => (currency, minus(rest.trim_end()) || minus(left)),
        (None, Some(currency)) => (currency, minus(left) && before.ends_with(['-', '\u{2212}', '\u{2013}'])),
        (None, None) => return None,
    };
    // `CR` behind an amount is a credit.
    let credit = right.starts_with(['-', '\u{2212}']) || after.trim_start().starts_with("CR");
    if signed || credit {
        return Some(Err(Refusal::AmountOutOfRange));
    }
    match currency {
        Some(currency) => Some(units(number, currency)),
        None => Some(Err(Refusal::Currency)),
    }
}

/// The currency that a text ends with, and the text before it. `Some(None)`: a sign that several have, without a hint.
fn currency_at_end(text: &str, hint: Option<Currency>) -> Option<(Option<Currency>, &str)> {
    for (sign, code) in SIGNS {
        if let Some(rest) = text.strip_suffix(sign) {
            return Some((code.parse().ok(), rest));
        }
    }
    let cut = text.len().checked_sub(3).filter(|cut| text.is_char_boundary(*cut));
    if let Some((rest, code)) = cut.map(|cut| text.split_at(cut))
        && let Ok(currency) = code.parse()
        && !rest.ends_with(|c: char| c.is_alphanumeric())
    {
        return Some((Some(currency), rest));
    }
    SHARED.iter().find_map(|sign| text.strip_suffix(sign)).map(|rest| (hint, rest))
}

fn currency_at_start(text: &str, hint: Option<Currency>) -> Option<Option<Currency>> {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    for (sign, code) in SIGNS {
        if text.strip_prefix(sign).is_some_and(ends) {
            return Some(code.parse().ok());
        }
    }
    if let Some((code, rest)) = text.split_at_checked(3)
        && ends(rest)
        && let Ok(currency) = code.parse()
    {
        return Some(Some(currency));
    }
    SHARED.iter().any(|sign| text.strip_prefix(sign).is_some_and(ends)).then_some(hint)
}

/// Minor units of a number whose currency is known. `1.234` in a currency with two decimals may be one or a thousand.
fn units(number: &str, currency: Currency) -> Result<Money, Refusal> {
    let decimals = currency.exponent().ok_or(Refusal::Currency)? as usize;
    let number = number.replace(SPACES, " ");
    let points: Vec<(usize, char)> = number.char_indices().filter(|(_, c)| matches!(c, '.' | ',')).collect();
    let tail = |at: usize| number.len() - at - 1;
    let (whole, fraction) = match points.as_slice() {
        [] => (number.as_str(), ""),
        [.., (at, last)] => {
            let single = points.iter().filter(|(_, c)| c == last).count() == 1;
            if single && tail(*at) == decimals && decimals > 0 {
                // With three decimals a lone separator may be either.
                if decimals == 3 && points.len() == 1 && *at <= 3 && !number.contains(' ') {
                    return Err(Refusal::AmbiguousAmount);
                }
                number.split_at(*at)
            } else if points.iter().all(|(_, c)| c == last) && (points.len() > 1 || decimals == 0) {
                (number.as_str(), "")
            } else {
                return Err(Refusal::AmbiguousAmount);
            }
        }
    };
    let groups: Vec<&str> = whole.split([' ', '.', ',']).collect();
    let marks: Vec<char> = whole.chars().filter(|c| !c.is_ascii_digit()).collect();
    let grouped = groups.len() == 1
        || (groups.first().is_some_and(|first| (1..=3).contains(&first.len()))
            && groups.iter().skip(1).all(|group| group.len() == 3));
    if !grouped || marks.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Refusal::AmbiguousAmount);
    }
    let digits = groups.concat();
    let fraction = fraction.trim_start_matches(['.', ',']);
    if digits.len() > 15 {
        return Err(Refusal::AmountOutOfRange);
    }
    let units: i64 = format!("{digits}{fraction:0<decimals$}").parse().map_err(|_| Refusal::AmountOutOfRange)?;
    Money::new(units, currency).map_err(|_| Refusal::AmountOutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_country_writes_amounts_its_own_way() {
        for (text, expected) in [
            ("1.234,56 €", "1234.56 EUR"),
            ("€1,234.56", "1234.56 EUR"),
            ("1 234,56 €", "1234.56 EUR"),
            ("1\u{202f}234,56\u{a0}€", "1234.56 EUR"),
            ("CHF 1'234.50", "1234.50 CHF"),
            (": EUR 12,00", "12.00 EUR"),
            ("12 EUR", "12.00 EUR"),
            ("US$ 7.05", "7.05 USD"),
            ("£1,234,567.00", "1234567.00 GBP"),
            ("1.234.567 EUR", "1234567.00 EUR"),
            ("JPY 1,200", "1200 JPY"),
            ("12,50 euros", "12.50 EUR"),
            ("12,50 EUR (inkl. 2,00 EUR MwSt.)", "12.50 EUR"),
            ("KWD 1,234.500", "1234.500 KWD"),
            ("by 15 December: 20.00 GBP", "20.00 GBP"),
        ] {
            let read = amount(text, None).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.map(|money| money.to_string()), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_twice_is_refused() {
        for (text, expected) in [
            ("1.234 EUR", Refusal::AmbiguousAmount),
            ("1,234 €", Refusal::AmbiguousAmount),
            ("12.3 EUR", Refusal::AmbiguousAmount),
            ("1.23.456,00 EUR", Refusal::AmbiguousAmount),
            ("1,234.567,00 EUR", Refusal::AmbiguousAmount),
            ("KWD 1.234", Refusal::AmbiguousAmount),
            ("10,00 EUR 12,00 EUR", Refusal::AmbiguousAmount),
            ("10,00 EUR 12,00 USD", Refusal::Currency),
            ("USD 10.00 EUR", Refusal::Currency),
            ("$10.00", Refusal::Currency),
            ("-10,00 EUR", Refusal::AmountOutOfRange),
            ("EUR -10,00", Refusal::AmountOutOfRange),
            ("-€10.00", Refusal::AmountOutOfRange),
            ("\u{2212}10,00 €", Refusal::AmountOutOfRange),
            ("10,00- EUR", Refusal::AmountOutOfRange),
            ("99999999999999999,00 EUR", Refusal::AmountOutOfRange),
        ] {
            assert_eq!(amount(text, None), Some(Err(expected)), "{text}");
        }
        for none in ["", "12.12.2026", "20 %", "Nr. 4711", "EUR", "١٢ EUR"] {
            assert_eq!(amount(none, None), None, "{none}");
        }
        let dollars = "USD".parse().expect("code");
        assert_eq!(amount("$10.00", Some(dollars)).expect("found").expect("read").to_string(), "10.00 USD");
    }
}
