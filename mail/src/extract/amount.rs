//! Amounts as people write them. What can be read in two ways is not read.

use crate::extract::Refusal;
use crate::extract::line::GAP;
use portcullis_protocol::{Currency, Money};

/// Signs and words that stand for one currency.
const SIGNS: [(&str, &str); 45] = [
    ("RM", "MYR"),
    ("U$S", "USD"),
    ("€.", "EUR"),
    ("$US", "USD"),
    ("$ US", "USD"),
    ("$ CA", "CAD"),
    ("$U", "UYU"),
    ("$CA", "CAD"),
    ("SFr.", "CHF"),
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("C$", "CAD"),
    ("AU$", "AUD"),
    ("A$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("R$", "BRL"),
    ("RD$", "DOP"),
    ("S$", "SGD"),
    ("S/.", "PEN"),
    ("S/", "PEN"),
    ("Php", "PHP"),
    ("Q.", "GTQ"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("₴", "UAH"),
    ("₡", "CRC"),
    ("₱", "PHP"),
    ("₦", "NGN"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("Ft", "HUF"),
    ("Fr.", "CHF"),
    ("fr.", "CHF"),
    ("euros", "EUR"),
    ("euro", "EUR"),
    ("reais", "BRL"),
    ("soles", "PEN"),
    ("franken", "CHF"),
    ("rand", "ZAR"),
];
/// Signs that several currencies have, and which: they mean what the biller's registration says.
const SHARED: [(&str, &[&str]); 7] = [
    ("$", &["USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU", "DOP"]),
    ("¥", &["JPY", "CNY"]),
    ("kr", &["SEK", "NOK", "DKK", "ISK"]),
    ("Rs.", &["INR", "PKR", "LKR", "NPR", "MUR", "SCR"]),
    ("Rs", &["INR", "PKR", "LKR", "NPR", "MUR", "SCR"]),
    ("FCFA", &["XOF", "XAF"]),
    ("F CFA", &["XOF", "XAF"]),
];
/// Names of currencies whose sign others have as well, in lower case.
const NAMES: [(&str, &str); 20] = [
    ("canadian dollars", "CAD"),
    ("dollars canadiens", "CAD"),
    ("australian dollars", "AUD"),
    ("new zealand dollars", "NZD"),
    ("singapore dollars", "SGD"),
    ("hong kong dollars", "HKD"),
    ("us dollars", "USD"),
    ("u.s. dollars", "USD"),
    ("dollars américains", "USD"),
    ("us-dollar", "USD"),
    ("dólares estadounidenses", "USD"),
    ("dólares americanos", "USD"),
    ("pesos argentinos", "ARS"),
    ("pesos mexicanos", "MXN"),
    ("moneda nacional", "MXN"),
    (" m.n.", "MXN"),
    ("pesos chilenos", "CLP"),
    ("pesos colombianos", "COP"),
    ("pesos uruguayos", "UYU"),
    ("indian rupees", "INR"),
];
/// What only documents of one country name: its ways to pay and its taxes tell what a sign means there.
const DOCUMENTS: [(&str, &str); 13] = [
    ("UPI", "INR"),
    ("NEFT", "INR"),
    ("NACH", "INR"),
    ("GSTIN", "INR"),
    ("CUIT", "ARS"),
    ("CBU", "ARS"),
    ("HST", "CAD"),
    ("TVQ", "CAD"),
    ("QST", "CAD"),
    ("ABN", "AUD"),
    ("BPAY", "AUD"),
    ("RFC", "MXN"),
    ("CFDI", "MXN"),
];
/// Codes that a document's text may have alone, such as "all amounts in EUR". Others, as ALL, TRY or TOP, are words
/// too.
const COMMON: [&str; 45] = [
    "EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "CAD", "AUD", "NZD", "JPY", "INR", "BRL",
    "MXN", "ZAR", "SGD", "HKD", "XOF", "XAF", "ARS", "CLP", "COP", "UYU", "DOP", "CRC", "GTQ", "PHP", "MYR", "IDR",
    "THB", "AED", "SAR", "ILS", "RON", "BGN", "MAD", "TND", "EGP", "KES", "NGN", "TWD", "CNY",
];
/// Words before a day and a month, which without a year look like an amount.
const BEFORE_DATES: [&str; 18] = [
    "by", "on", "until", "before", "from", "to", "bis", "am", "zum", "vom", "au", "le", "du", "el", "al", "del",
    "hasta", "dia",
];
/// Words before the time of a day, which without a currency looks like an amount.
const BEFORE_TIMES: [&str; 6] = ["ore", "alle", "dalle", "um", "om", "kl"];
/// Between two amounts of which something is one or anything between them.
const UNTIL: [&str; 6] = ["to", "bis", "à", "a", "tot", "até"];
/// Different amounts of three digits behind a sign that prove that it stands between thousands.
const MIN_GROUPED: usize = 3;
/// Those of them that are looked at.
const MAX_GROUPED: usize = 8;
/// Currencies whose minor units nobody writes any more, though they have some: what stands before three digits there
/// separates thousands.
const WHOLE: [&str; 9] = ["COP", "CRC", "HUF", "IDR", "LAK", "MMK", "TZS", "UZS", "YER"];
/// Before what something is at most.
const LIMITS: [&str; 10] =
    ["up to", "bis zu", "bis max", "jusqu'à", "jusqu\u{2019}à", "hasta", "fino a", "tot maximaal", "até", "no máximo"];
/// What stands between groups of digits.
const SPACES: [char; 6] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '\u{2019}'];

/// What amounts are in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Currencies {
    /// What a sign means that several currencies have.
    pub(super) shared: Option<Currency>,
    /// What an amount is in that has no currency beside it. `None` if nothing says so: then it is not guessed.
    pub(super) bare: Option<Currency>,
    /// What stands before decimals in this document, if its amounts prove it: then `1.234` is not one and a bit.
    pub(super) decimal: Option<char>,
}

/// The decimal sign that the amounts of a document prove; `None` if there is none, or two.
pub(super) fn proven_decimal<'t>(lines: impl Iterator<Item = &'t str>) -> Option<char> {
    let mut proven = None;
    let mut grouped: Vec<(String, char)> = Vec::new();
    let mut short = 0;
    for line in lines {
        for number in numbers(line).filter(|number| number.has_currency()) {
            let Some((at, sign)) = number.number.char_indices().rfind(|(_, c)| matches!(c, '.' | ',')) else {
                continue;
            };
            let is_decimal = number.number.len() - at - 1 == 2;
            if is_decimal && proven.is_some_and(|proven| proven != sign) {
                return None;
            }
            proven = if is_decimal { Some(sign) } else { proven };
            // `38.420`: three digits behind it, and two or three before it; one does if there are more of them.
            let is_group = number.number.len() - at - 1 == 3 && (1..=3).contains(&at);
            if is_group && grouped.len() < MAX_GROUPED && !grouped.iter().any(|(known, _)| known == number.number) {
                grouped.push((number.number.to_owned(), sign));
                short += usize::from(at == 1);
            }
        }
    }
    // Nobody writes several amounts with three decimals.
    let grouping = grouped
        .first()
        .filter(|_| grouped.len() - short >= MIN_GROUPED || (grouped.len() > MIN_GROUPED && short < grouped.len()))
        .filter(|(_, sign)| grouped.iter().all(|(_, other)| other == sign));
    proven.or_else(|| grouping.map(|(_, sign)| if *sign == '.' { ',' } else { '.' }))
}

/// The currency that a document speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stated {
    Nothing,
    One(Currency),
    /// Several, or a sign that may be several.
    Unclear,
}

/// Which currencies the lines of a document name, beside an amount or alone.
pub(super) fn stated<'t>(lines: impl Iterator<Item = &'t str>, shared: Option<Currency>) -> Stated {
    let mut found = Stated::Nothing;
    for line in lines {
        for currency in named(line, shared) {
            found = match (found, currency) {
                (Stated::Nothing, Some(currency)) => Stated::One(currency),
                (Stated::One(first), Some(currency)) if first == currency => found,
                _ => return Stated::Unclear,
            };
        }
    }
    found
}

/// What a sign means that several currencies have, in a document that names one of these by its code and no other
/// currency: `$` beside `USD`.
pub(super) fn shared_sign<'t>(lines: impl Iterator<Item = &'t str> + Clone) -> Option<Currency> {
    let mut codes = lines.clone().flat_map(|line| named(line, None)).flatten().peekable();
    let first = if codes.peek().is_some() { only(codes) } else { only(lines.flat_map(documented)) };
    first.filter(|first| SHARED.iter().any(|(_, shared)| shared.contains(&first.as_str())))
}

fn only(mut currencies: impl Iterator<Item = Currency>) -> Option<Currency> {
    let first = currencies.next()?;
    currencies.all(|other| other == first).then_some(first)
}

/// The currencies of the countries whose documents have the words of a line.
fn documented(line: &str) -> impl Iterator<Item = Currency> {
    let words = line.split(|c: char| !c.is_alphanumeric());
    words
        .filter_map(|word| DOCUMENTS.iter().find(|(known, _)| *known == word))
        .filter_map(|(_, code)| code.parse().ok())
}

/// The one currency that a text names, if it names no other.
pub(super) fn only_named(text: &str) -> Option<Currency> {
    match named(text, None).as_slice() {
        [Some(currency)] => Some(*currency),
        _ => None,
    }
}

/// The currencies that a line names; `None` for a sign that may be several.
fn named(line: &str, shared: Option<Currency>) -> Vec<Option<Currency>> {
    let lower = line.to_lowercase();
    let names = NAMES.iter().filter(|(name, _)| lower.contains(name));
    let mut found: Vec<Option<Currency>> = names.filter_map(|(_, code)| code.parse().ok()).map(Some).collect();
    let mut at = 0;
    while let Some(c) = line.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = line.get(at..).unwrap_or_default();
        let next = at + c.len_utf8();
        if c.is_alphabetic() {
            let word = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            let signed = rest.get(word.len()..).is_some_and(|after| after.starts_with('$'));
            let currency = match word {
                _ if signed => code_of(&format!("{word}$")).or_else(|| shared_by("$", word.parse().ok())),
                "zł" | "Kč" | "Php" | "RM" => code_of(word),
                "S" | "Q" => code_of(rest.get(..2).unwrap_or_default()),
                "Rs" | "FCFA" => {
                    found.push(shared_by(word, shared));
                    None
                }
                "F" if rest.starts_with("F CFA") => {
                    found.push(shared_by("FCFA", shared));
                    None
                }
                "R" if is_rand(rest.get(1..).unwrap_or_default()) => "ZAR".parse().ok(),
                _ if word.eq_ignore_ascii_case("euro") || word.eq_ignore_ascii_case("euros") => code_of("euro"),
                "reais" | "soles" | "rand" => code_of(word),
                _ => COMMON.contains(&word).then(|| word.parse().ok()).flatten(),
            };
            at += word.len();
            if currency.is_some() {
                at += usize::from(signed);
                found.push(currency);
            }
            continue;
        }
        let sign = rest.get(..c.len_utf8()).unwrap_or_default();
        if let Some(currency) = code_of(sign) {
            found.push(Some(currency));
        } else if matches!(sign, "$" | "¥") {
            found.push(shared_by(sign, shared));
        }
        at = next;
    }
    found
}

/// Whether an amount stands at the start, behind an `R`: with decimals, for numbers of other things begin so as well.
fn is_rand(text: &str) -> bool {
    let text = text.trim_start_matches([' ', GAP]);
    has_decimals(number(text))
}

/// Whether a number has two digits behind its last separator.
fn has_decimals(number: &str) -> bool {
    number.len() > 3
        && number.len().checked_sub(3).and_then(|at| number.get(at..)).is_some_and(|end| end.starts_with(['.', ',']))
}

fn code_of(sign: &str) -> Option<Currency> {
    SIGNS.iter().find(|(known, _)| *known == sign).and_then(|(_, code)| code.parse().ok())
}

/// The hint, if it is one of the currencies that have the sign.
fn shared_by(sign: &str, hint: Option<Currency>) -> Option<Currency> {
    let known = SHARED.iter().find(|(known, _)| *known == sign)?;
    hint.filter(|hint| known.1.contains(&hint.as_str()))
}

/// Whether these letters are a currency, with or without a word before it: `USD`, `enEuros`.
pub(super) fn is_glued_currency(letters: &str) -> bool {
    let is_currency = |word: &str| COMMON.contains(&word) || matches!(word.to_lowercase().as_str(), "euro" | "euros");
    is_currency(letters)
        || ["en", "in", "EN", "IN"].iter().any(|word| letters.strip_prefix(word).is_some_and(is_currency))
}

/// Whether a text is a number with a sign or a code at most.
pub(super) fn is_amount_like(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.chars().filter(|c| c.is_alphabetic()).count() <= 3
}

/// Whether a word is the code of a currency, or its name.
pub(super) fn is_code(word: &str) -> bool {
    COMMON.contains(&word) || word.eq_ignore_ascii_case("euro") || word.eq_ignore_ascii_case("euros")
}

/// Whether all letters of a text belong to names of currencies, or to signs that have letters: `EUR`, `R$`, `US$`.
pub(super) fn is_only_currency(text: &str) -> bool {
    let is_sign = |word: &str| {
        let word = word.trim_matches(['-', '+', '(', ')', ':', '\u{2212}', '\u{2013}']);
        word.contains(['$', '/']) && SIGNS.iter().any(|(sign, _)| *sign == word)
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_ascii_digit()).filter(|word| !is_sign(word));
    words.flat_map(|word| word.split(|c: char| !c.is_alphabetic())).all(|word| word.is_empty() || is_code(word))
}

/// The amount in a piece of text; `None` if it has none.
pub(super) fn amount(text: &str, currencies: Currencies) -> Option<Result<Money, Refusal>> {
    // What is in brackets explains: the tax in it, another currency.
    let text = outside_brackets(text);
    with_currency(&text, currencies).or_else(|| without_currency(&text, currencies))
}

/// Whether a number in the line has a currency beside it.
pub(super) fn has_currency(line: &str) -> bool {
    numbers(line).any(|number| number.has_currency())
}

/// Whether a text has no amounts but two, from one to the other: `61,355 € to 73,626 €`.
pub(super) fn is_range(text: &str) -> bool {
    let mut marked = numbers(text).filter(Number::has_currency);
    let (Some(_), Some(second), None) = (marked.next(), marked.next(), marked.next()) else { return false };
    let is_between = |word: &str| UNTIL.contains(&word.to_lowercase().as_str());
    let is_sign = |word: &str| is_only_currency(word) || SIGNS.iter().any(|(sign, _)| *sign == word);
    let between = second.before.split_whitespace().filter(|word| !is_sign(word));
    let words: Vec<&str> = between.collect();
    matches!(words.as_slice(), [word] if is_between(word))
}

/// Every amount of a line, in whatever it is.
pub(super) fn amounts(line: &str, currencies: Currencies) -> Vec<Money> {
    let mut found = Vec::new();
    for number in numbers(line) {
        match number.marked(currencies) {
            Some(read) => found.extend(read.ok()),
            None if number.stands_alone() => found.extend(number.bare(currencies.bare, currencies.decimal).ok()),
            None => {}
        }
    }
    found
}

/// An amount with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) money: Money,
    pub(super) is_negative: bool,
}

/// Every amount of a line, those below zero among them.
pub(super) fn signed(line: &str, currencies: Currencies) -> Vec<Signed> {
    let of = |number: Number<'_>| {
        let (is_negative, read) = match marked(number.before, number.number, number.after, currencies) {
            Some(marked) => (marked.is_negative, marked.read),
            None if number.stands_alone() => {
                (number.is_negative(), number.magnitude(currencies.bare, currencies.decimal))
            }
            None => return None,
        };
        read.ok().map(|money| Signed { money, is_negative })
    };
    numbers(line).filter_map(of).collect()
}

/// Whether a line has an amount below zero, in whatever it is.
pub(super) fn has_negative(line: &str) -> bool {
    numbers(line).any(|number| match marked(number.before, number.number, number.after, Currencies::default()) {
        Some(marked) => marked.is_negative,
        None => number.stands_alone() && number.is_negative(),
    })
}

/// The amount of a line that says nothing else.
pub(super) fn only_amount(line: &str, currencies: Currencies) -> Option<Result<Money, Refusal>> {
    if is_only_currency(line) { amount(line, currencies) } else { None }
}

/// The percentages of a line, in hundredths: `19 %`, `5,5 %`.
pub(super) fn rates(line: &str) -> Vec<i64> {
    let of = |number: Number<'_>| {
        let is_rate = number.after.trim_start_matches(SPACES).starts_with('%');
        let (whole, part) = number.number.split_once(['.', ',']).unwrap_or((number.number, ""));
        let is_short = whole.len() <= 2 && part.len() <= 2;
        (is_rate && is_short).then(|| format!("{whole}{part:0<2}").parse().ok()).flatten()
    };
    numbers(line).filter_map(of).collect()
}

/// Whether a text ends with an amount and the currency beside it.
pub(super) fn ends(text: &str, currencies: Currencies) -> bool {
    let Some(last) = numbers(text).filter(|number| number.marked(currencies).is_some()).last() else { return false };
    let behind = last.after.trim_start_matches(SPACES);
    behind.is_empty() || currency_at_start(behind, currencies.shared).is_some() && is_only_sign(behind)
}

/// Whether nothing stands in a text but the sign or the code of a currency.
fn is_only_sign(text: &str) -> bool {
    let text = text.trim();
    is_only_currency(text) && text.chars().count() <= 5
}

/// Where the first amount of a text ends.
pub(super) fn first_end(text: &str, currencies: Currencies) -> Option<usize> {
    let first = numbers(text).find(|number| number.marked(currencies).is_some() || number.stands_alone())?;
    Some(text.len() - first.after.len())
}

/// Where the last amount of a text ends, behind the currency beside it.
pub(super) fn last_end_with_sign(text: &str, currencies: Currencies) -> Option<usize> {
    let mut end = 0;
    while let Some(next) = first_end_with_sign(text.get(end..)?, currencies).filter(|next| *next > 0) {
        end += next;
    }
    (end > 0).then_some(end)
}

/// The same of the first one.
pub(super) fn first_end_with_sign(text: &str, currencies: Currencies) -> Option<usize> {
    let end = first_end(text, currencies)?;
    let rest = text.get(end..)?;
    let after = rest.trim_start_matches(SPACES);
    let sign = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic() || "€$£¥₹".contains(c)).len();
    let is_sign = after.get(..sign).is_some_and(|sign| currency_at_start(sign, currencies.shared).is_some());
    Some(if is_sign { text.len() - after.len() + sign } else { end })
}

/// What stands before the first amount of a text that has a currency beside it, and what behind it.
pub(super) fn around_marked(text: &str, currencies: Currencies) -> Option<(&str, &str)> {
    let first = numbers(text).find(|number| number.marked(currencies).is_some())?;
    let before = text.len() - first.after.len() - first.number.len();
    let after = first.after.trim_start_matches(SPACES);
    let sign = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic() || "€$£¥₹".contains(c)).len();
    let is_sign = after.get(..sign).is_some_and(|sign| currency_at_start(sign, currencies.shared).is_some());
    Some((text.get(..before)?, if is_sign { after.get(sign..)? } else { after }))
}

/// A text without what it has in brackets.
pub(super) fn outside_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

/// A number and what stands around it: before it up to the last number, after it to the end.
struct Number<'t> {
    before: &'t str,
    number: &'t str,
    after: &'t str,
    /// One space before it stands a number that it may belong to: `1.234 567,00`.
    is_joined: bool,
    /// Nothing but a sign stands between it and the number before, as in a time or a date.
    is_chained: bool,
}

fn numbers(text: &str) -> impl Iterator<Item = Number<'_>> {
    let (mut rest, mut is_group, mut is_first) = (text, false, true);
    let all = std::iter::from_fn(move || {
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        let (before, from) = rest.split_at(start);
        let number = number(from);
        let after = from.get(number.len()..).unwrap_or_default();
        let run = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let is_space = before.chars().count() == 1 && before.starts_with(SPACES);
        let is_joined = is_space && is_group && run(number) == 3;
        // `7,77` is an amount of its own.
        let last_run = number.bytes().rev().take_while(u8::is_ascii_digit).count();
        is_group = (1..=3).contains(&last_run) && !(last_run == 2 && number.len() > 2);
        let is_chained = !is_first && matches!(before, "/" | ":" | ".");
        // `58.90€ | 3 December`: the sign belongs to the cell before.
        let own =
            before.split_once(GAP).filter(|(sign, _)| !is_first && !sign.trim().is_empty() && is_only_currency(sign));
        let before = own.map_or(before, |(_, cell)| cell);
        (rest, is_first) = (after, false);
        Some(Number { before, number, after, is_joined, is_chained })
    });
    // `•••• 2204`, `****5519`: what is left of the number of a card.
    all.filter(|number| {
        let before = number.before.trim_end_matches(SPACES);
        !before.ends_with('•') && !before.ends_with("**") && !is_date(number.number) && !is_limit(number)
    })
}

/// Whether an amount is a limit: `insured up to 3,000 €`.
fn is_limit(number: &Number<'_>) -> bool {
    let before = number.before.trim_end_matches(|c: char| !c.is_alphabetic());
    let ends_with = |limit: &str| {
        let (rest, end) = before.len().checked_sub(limit.len()).and_then(|at| before.split_at_checked(at))?;
        (end.eq_ignore_ascii_case(limit) && !rest.ends_with(char::is_alphanumeric)).then_some(())
    };
    LIMITS.iter().any(|limit| ends_with(limit).is_some()) && number.has_currency()
}

/// Whether a number has the form of a date: `31.12.2026` before `CHF 12.00` is no amount.
fn is_date(number: &str) -> bool {
    let parts: Vec<usize> = number.split('.').map(str::len).collect();
    matches!(parts.as_slice(), [1 | 2, 1 | 2, 2 | 4])
}

/// What several readings of one text come to: one amount, or a refusal. Of three in columns the last is the total, if
/// it is what the net amount and the tax before it come to.
fn agreed(readings: impl Iterator<Item = Result<Money, Refusal>>) -> Option<Result<Money, Refusal>> {
    let mut found: Vec<Money> = Vec::new();
    for read in readings {
        match read {
            Err(refusal) => return Some(Err(refusal)),
            Ok(money) if found.last() == Some(&money) => {}
            Ok(money) if found.iter().any(|first| first.currency() != money.currency()) => {
                return Some(Err(Refusal::Currency));
            }
            Ok(money) => found.push(money),
        }
    }
    match found.as_slice() {
        [] => None,
        [money] => Some(Ok(*money)),
        [net, tax, total] if net.checked_add(*tax) == Ok(*total) => Some(Ok(*total)),
        _ => Some(Err(Refusal::AmbiguousAmount)),
    }
}

/// Amounts with a currency beside them. What stands among them without one, as in columns, is in the same.
fn with_currency(text: &str, currencies: Currencies) -> Option<Result<Money, Refusal>> {
    let first = numbers(text).find_map(|number| number.marked(currencies))?;
    let beside = match first {
        Ok(money) => Some(money.currency()),
        Err(refusal) => return Some(Err(refusal)),
    };
    agreed(numbers(text).filter_map(|number| match number.marked(currencies) {
        None if number.stands_alone() => Some(number.bare(beside, currencies.decimal)),
        None => None,
        Some(_) if number.is_joined => Some(Err(Refusal::AmbiguousAmount)),
        read => read,
    }))
}

/// An amount that only its place tells.
fn without_currency(text: &str, currencies: Currencies) -> Option<Result<Money, Refusal>> {
    let alone = numbers(text).filter(Number::stands_alone);
    agreed(alone.map(|number| number.bare(currencies.bare, currencies.decimal)))
}

impl Number<'_> {
    /// It as an amount in the currency beside it, if there is one.
    fn marked(&self, currencies: Currencies) -> Option<Result<Money, Refusal>> {
        let Marked { is_negative, read } = marked(self.before, self.number, self.after, currencies)?;
        Some(if is_negative { Err(Refusal::AmountOutOfRange) } else { read })
    }

    fn has_currency(&self) -> bool {
        self.marked(Currencies::default()).is_some()
    }

    /// It as an amount in this currency.
    fn bare(&self, currency: Option<Currency>, decimal: Option<char>) -> Result<Money, Refusal> {
        if self.is_negative() { Err(Refusal::AmountOutOfRange) } else { self.magnitude(currency, decimal) }
    }

    /// Whether a minus stands before or behind it.
    fn is_negative(&self) -> bool {
        let minus = ['-', '\u{2212}', '\u{2013}'];
        self.before.trim_end().ends_with(minus) || self.after.trim_start_matches(SPACES).starts_with(minus)
    }

    /// It as an amount in this currency, whatever its sign.
    fn magnitude(&self, currency: Option<Currency>, decimal: Option<char>) -> Result<Money, Refusal> {
        if self.is_joined {
            return Err(Refusal::AmbiguousAmount);
        }
        units(self.number, currency.ok_or(Refusal::Currency)?, decimal)
    }

    /// Whether it can be an amount without a currency: two digits behind its last separator, groups of thousands before
    /// it, and no unit, percentage, date or other word joined to it.
    fn stands_alone(&self) -> bool {
        let Self { before, number, after, .. } = self;
        let whole =
            number.len().checked_sub(3).filter(|at| number.get(*at..).is_some_and(|end| end.starts_with(['.', ','])));
        let Some(whole) = whole.and_then(|at| number.get(..at)) else { return false };
        let groups: Vec<usize> = whole.split(|c: char| !c.is_ascii_digit()).map(str::len).collect();
        let is_grouped =
            matches!(groups.as_slice(), [_] | [1..=3, ..]) && groups.iter().skip(1).all(|group| *group == 3);
        let follows = after.trim_start_matches(SPACES);
        let joins = |c: char| c.is_alphanumeric() || matches!(c, '%' | '/' | ':' | '.' | '°');
        // Another number may follow, but nothing that this one counts.
        let next = follows.len() < after.len() && follows.starts_with(|c: char| c.is_ascii_digit());
        let is_free = next || !follows.starts_with(joins);
        let is_glued = self.is_chained || before.ends_with(|c: char| c.is_alphanumeric() || c == '#');
        let word = before.split(|c: char| !c.is_alphabetic()).rfind(|word| !word.is_empty()).unwrap_or_default();
        let is_dated = BEFORE_DATES.contains(&word.to_lowercase().as_str());
        // `Ore 24.00`
        let is_time = BEFORE_TIMES.contains(&word.to_lowercase().as_str()) && number.len() <= "24.00".len();
        is_grouped && is_free && !is_glued && !is_dated && !is_time
    }
}

/// The digits at the start of `text`, with the separators between them.
fn number(text: &str) -> &str {
    let mut end = 0;
    let mut at = 0;
    let (mut run, mut is_decimal) = (0, false);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let next = at + c.len_utf8();
        let follows = text.get(next..).unwrap_or_default();
        if c.is_ascii_digit() {
            end = next;
            run += 1;
        } else {
            let group = follows.bytes().take_while(u8::is_ascii_digit).count();
            let joins = match c {
                '.' | ',' => group > 0,
                // A year before it, or the decimals of another number, are no group of thousands.
                _ => SPACES.contains(&c) && group == 3 && run <= 3 && !is_decimal,
            };
            if !joins {
                break;
            }
            run = 0;
            is_decimal |= matches!(c, '.' | ',');
        }
        at = next;
    }
    text.get(..end).unwrap_or_default()
}

/// A number with a currency beside it.
struct Marked {
    is_negative: bool,
    /// What it is without its sign.
    read: Result<Money, Refusal>,
}

fn marked(before: &str, number: &str, after: &str, currencies: Currencies) -> Option<Marked> {
    let refused = |refusal| Marked { is_negative: false, read: Err(refusal) };
    let hint = currencies.shared;
    // `12,- €`, `CHF 12.–`: no minor units.
    let dashes =
        after.strip_prefix(['.', ',']).map(|rest| (rest, rest.trim_start_matches(['-', '\u{2013}', '\u{2014}'])));
    let after = dashes.filter(|(rest, whole)| whole.len() < rest.len()).map_or(after, |(_, whole)| whole);
    // `EUR: 12,00`
    let left = before.trim_end().trim_end_matches(':').trim_end();
    // The sign in the next cell may belong to the number behind it.
    let right = after.trim_start_matches(SPACES);
    let next = right.trim_start_matches(GAP);
    let is_next = next.len() < right.len() && next.contains(|c: char| c.is_ascii_digit());
    let right = if is_next { right } else { next };
    // `5,000/-`: no minor units.
    let is_whole = after.starts_with("/-") || after.starts_with("/=");
    let right = if is_whole { right.get(2..).unwrap_or_default() } else { right };
    let decimal = if is_whole { currencies.decimal.or(Some('.')) } else { currencies.decimal };
    let minus = |text: &str| text.ends_with(['-', '\u{2212}', '\u{2013}']);
    // `EUR -10,00`: the sign may stand between the currency and the number.
    let unsigned = if minus(before) { left.trim_end_matches(['-', '\u{2212}', '\u{2013}']).trim_end() } else { left };
    let rand =
        || unsigned.strip_suffix('R').filter(|rest| has_decimals(number) && !rest.ends_with(char::is_alphanumeric));
    let leading = currency_at_end(unsigned, hint).or_else(|| rand().map(|rest| ("ZAR".parse().ok(), rest)));
    // `12,50- EUR`, as some ledgers print it.
    // `12.00 - for the boiler`: a dash between spaces separates.
    let dashed = right.strip_prefix(['-', '\u{2212}']);
    let is_apart = dashed.is_some_and(|rest| right.len() < after.len() && rest.starts_with(' '));
    // `On 4 December 2026 € 39.00`: the sign belongs to what follows.
    // So it does of `instalment 3/12 R$ 20.00`.
    let is_before = (is_year(number) || before == "/") && begins_amount(right, hint);
    let trailing = if is_apart || is_before {
        None
    } else {
        currency_at_start(right.trim_start_matches(['-', '\u{2212}', ' ']), hint)
    };
    let (currency, signed) = match (leading, trailing) {
        // `$12.00 USD`: the code says which dollar it is.
        (Some((None, rest)), Some(Some(code))) if is_shared_by(unsigned, code) => {
            (Some(code), minus(rest) || minus(left))
        }
        (Some((a, _)), Some(b)) if a != b => return Some(refused(Refusal::Currency)),
        // `Total - EUR 12,00`: a dash with a space behind it separates, but not one that a cell begins with.
        (Some((currency, rest)), _) => (currency, minus(rest) || minus(left) || is_cell_of_minus(rest)),
        (None, Some(currency)) => (currency, minus(before) || is_cell_of_minus(before)),
        (None, None) => return None,
    };
    // `CR` behind an amount is a credit.
    let credit = (dashed.is_some() && !is_apart) || after.trim_start().starts_with("CR");
    let read = currency.map_or(Err(Refusal::Currency), |currency| units(number, currency, decimal));
    Some(Marked { is_negative: signed || credit, read })
}

/// Whether nothing but a minus stands in the last cell of a text, or behind its last colon.
fn is_cell_of_minus(text: &str) -> bool {
    let before = text.trim_end().strip_suffix(['-', '\u{2212}', '\u{2013}']).map(|before| before.trim_end_matches(' '));
    before.is_some_and(|before| before.ends_with([GAP, ':']))
}

fn is_year(number: &str) -> bool {
    number.len() == 4 && (number.starts_with("19") || number.starts_with("20")) && !number.contains(['.', ','])
}

/// Whether a text begins with a currency and a number behind it.
fn begins_amount(text: &str, hint: Option<Currency>) -> bool {
    let sign = text.split(|c: char| c.is_ascii_digit() || SPACES.contains(&c)).next().unwrap_or_default();
    let after = text.get(sign.len()..).unwrap_or_default().trim_start_matches(SPACES);
    currency_at_start(sign, hint).is_some() && after.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a text ends with a sign that this currency has as well as others.
fn is_shared_by(text: &str, currency: Currency) -> bool {
    SHARED.iter().any(|(sign, codes)| text.ends_with(sign) && codes.contains(&currency.as_str()))
}

/// The currency that a text ends with, and the text before it. `Some(None)`: a sign that several have, without a hint.
fn currency_at_end(text: &str, hint: Option<Currency>) -> Option<(Option<Currency>, &str)> {
    for (sign, code) in SIGNS {
        if let Some(rest) = strip_end(text, sign) {
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
    SHARED.iter().find_map(|(sign, codes)| {
        let rest = strip_end(text, sign)?;
        // `HKD$`: the code says which dollar it is.
        let code = codes.iter().find(|code| rest.ends_with(*code));
        code.map_or(Some((shared_by(sign, hint), rest)), |code| Some((code.parse().ok(), rest.strip_suffix(code)?)))
    })
}

/// The text before a sign; words in whatever case, and not as the end of another word.
fn strip_end<'t>(text: &'t str, sign: &str) -> Option<&'t str> {
    if !sign.bytes().all(|byte| byte.is_ascii_lowercase()) {
        let rest = text.strip_suffix(sign)?;
        let is_end = sign.starts_with(char::is_alphabetic) && rest.ends_with(char::is_alphabetic);
        return (!is_end).then_some(rest);
    }
    let (rest, end) = text.split_at_checked(text.len().checked_sub(sign.len())?)?;
    (end.eq_ignore_ascii_case(sign) && !rest.ends_with(char::is_alphabetic)).then_some(rest)
}

fn currency_at_start(text: &str, hint: Option<Currency>) -> Option<Option<Currency>> {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    for (sign, code) in SIGNS {
        let start = text.get(..sign.len()).is_some_and(|start| match sign {
            _ if sign.bytes().all(|byte| byte.is_ascii_lowercase()) => start.eq_ignore_ascii_case(sign),
            _ => start == sign,
        });
        if start && text.get(sign.len()..).is_some_and(ends) {
            return Some(code.parse().ok());
        }
    }
    if let Some((code, rest)) = text.split_at_checked(3)
        && ends(rest)
        && let Ok(currency) = code.parse()
    {
        return Some(Some(currency));
    }
    let (sign, _) = SHARED.iter().find(|(sign, _)| text.strip_prefix(sign).is_some_and(ends))?;
    Some(shared_by(sign, hint))
}

/// Minor units of a number whose currency is known. `1.234` in a currency with two decimals may be one or a thousand,
/// unless the document proves that its decimals stand behind another sign.
fn units(number: &str, currency: Currency, decimal: Option<char>) -> Result<Money, Refusal> {
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
            } else if points.iter().all(|(_, c)| c == last)
                && (points.len() > 1
                    || decimals == 0
                    || decimal.is_some_and(|decimal| decimal != *last)
                    || (decimal.is_none() && tail(*at) == 3 && WHOLE.contains(&currency.as_str())))
            {
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
    // `1,03,440` of India.
    let is_lakh = || {
        let (Some((last, rest)), "INR") = (groups.split_last(), currency.as_str()) else { return false };
        let is_first = |first: &&str| (1..=2).contains(&first.len());
        last.len() == 3 && rest.first().is_some_and(is_first) && rest.iter().skip(1).all(|group| group.len() == 2)
    };
    let grouped = grouped || is_lakh();
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
            ("12,- €", "12.00 EUR"),
            ("CHF 1'200.\u{2013}", "1200.00 CHF"),
            ("12,-- EUR", "12.00 EUR"),
            ("USD$7.05", "7.05 USD"),
            ("by 15 December: 20.00 GBP", "20.00 GBP"),
            // Nobody writes their minor units.
            ("COP 98.900", "98900.00 COP"),
            ("COP 98.900,50", "98900.50 COP"),
        ] {
            let read = amount(text, Currencies::default()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.map(|money| money.to_string()), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn signs_of_more_countries_are_known() {
        for (text, expected) in [
            ("R3 418.55", "3418.55 ZAR"),
            ("R 8 150,00", "8150.00 ZAR"),
            ("S$ 68.50", "68.50 SGD"),
            ("RD$ 2,500.00", "2500.00 DOP"),
            ("S/ 74.12", "74.12 PEN"),
            ("₡ 14 980", "14980.00 CRC"),
            ("Php 2,661.90", "2661.90 PHP"),
            ("Q. 850.00", "850.00 GTQ"),
            ("$U 1.860,00", "1860.00 UYU"),
            ("INR 1,12,408.17", "112408.17 INR"),
            ("INR 5,000/-", "5000.00 INR"),
            ("96 reais", "96.00 BRL"),
            ("€. 150,00", "150.00 EUR"),
        ] {
            let read = amount(text, Currencies::default()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.map(|money| money.to_string()), Ok(expected.into()), "{text}");
        }
        for range in ["61.355 € bis 73.626 €", "from 10.00 EUR to 20.00 EUR", "entre US$ 5 a US$ 9"] {
            assert!(is_range(range), "{range}");
        }
        for other in ["12.00 EUR", "10.00 EUR + 2.00 EUR", "10.00 EUR, to pay 12.00 EUR", "12.00 EUR to 3 May"] {
            assert!(!is_range(other), "{other}");
        }
        // Numbers of other things, and a sign that belongs to the next cell.
        for none in ["R44", "Rechnung R-2026", "•••• 2204\tx", "****5519 x", "NOV/2026\tR"] {
            assert_eq!(amount(none, Currencies::default()), None, "{none}");
        }
        let all = |text: &str| amounts(text, Currencies::default()).iter().map(Money::to_string).collect::<Vec<_>>();
        assert_eq!(all("11/2026\t€ 12,00"), ["12.00 EUR"]);
        assert_eq!(all("£156.00 - boiler"), ["156.00 GBP"], "a dash between words is no minus");
        assert_eq!(all("by 31.12.2026 CHF 12.00"), ["12.00 CHF"], "a date");
        assert_eq!(all("on 4 December 2026 € 12.00"), ["12.00 EUR"], "a year");
        assert_eq!(all("2026 € in all"), ["2026.00 EUR"]);
        assert_eq!(all("58.90€\t3 December"), ["58.90 EUR"], "the sign of another cell");
        for only in ["R$ 12,00", "US$12.00", "12.00 EUR", "S/ 12.00", "-A$12.00", "12,00 €"] {
            assert!(is_only_currency(only), "{only}");
        }
        assert!(!is_only_currency("Rate 12.00") && !is_only_currency("a $12.00"));
        for text in ["Box 12.00 EUR", "Box: €12.00", "Box (4 x 3,00 €) : 12,00 €"] {
            assert!(ends(text, Currencies::default()), "{text}");
        }
        assert!(!ends("From 12.00 EUR on you get a receipt", Currencies::default()));
        let shared = |text: &str| shared_sign(text.lines()).map(|code| code.as_str().to_owned());
        assert_eq!(shared("$ 12.00\nAll in Canadian dollars").as_deref(), Some("CAD"));
        assert_eq!(shared("$ 12.00\nCUIT 30-1").as_deref(), Some("ARS"));
        assert_eq!(shared("Rs. 12.00\npay by UPI").as_deref(), Some("INR"));
        assert_eq!(shared("$ 12.00\nCUIT 30-1\nHST 1"), None, "two countries");
        assert_eq!(shared("$ 12.00"), None);
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
            assert_eq!(amount(text, Currencies::default()), Some(Err(expected)), "{text}");
        }
        for none in ["", "12.12.2026", "20 %", "Nr. 4711", "EUR", "١٢ EUR"] {
            assert_eq!(amount(none, Currencies::default()), None, "{none}");
        }
        let dollars: Currency = "USD".parse().expect("code");
        let pounds = Currencies { shared: "GBP".parse().ok(), ..Currencies::default() };
        assert_eq!(amount("$10.00", pounds), Some(Err(Refusal::Currency)), "no pound has this sign");
        assert_eq!(
            amount("$10.00", Currencies { shared: Some(dollars), ..Currencies::default() })
                .expect("found")
                .expect("read")
                .to_string(),
            "10.00 USD"
        );
    }

    #[test]
    fn an_amount_without_a_currency_is_in_what_the_document_speaks_of() {
        let euro = "EUR".parse().ok();
        let read = |text: &str| amount(text, Currencies { bare: euro, ..Currencies::default() });
        for (text, expected) in [
            ("876,29", "876.29 EUR"),
            (" : 1.234,56", "1234.56 EUR"),
            (":38.80", "38.80 EUR"),
            ("......12,00", "12.00 EUR"),
            (" (incl. VAT) 762.32", "762.32 EUR"),
            (" EN EUROS 723.71", "723.71 EUR"),
            (" - EUR 174,40", "174.40 EUR"),
            (" 2026 100,00", "100.00 EUR"),
            // A currency beside an amount is worth more than that of the document.
            (" 10.00 GBP", "10.00 GBP"),
        ] {
            assert_eq!(read(text).map(|read| read.map(|money| money.to_string())), Some(Ok(expected.into())), "{text}");
        }
        for none in [
            "12",
            "20,5 %",
            "19,00%",
            "12.12.2026",
            "due on 15.12",
            "123,45 kWh",
            "v2.10",
            "4711",
            "12:30",
            "12:30.15",
            "1.5",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
        assert_eq!(read("100.00 19.00 119.00"), Some(Ok("119.00 EUR".parse().expect("money"))), "net, tax, total");
        assert_eq!(read("100.00 19.00 119.00 €"), Some(Ok("119.00 EUR".parse().expect("money"))));
        assert_eq!(read("100.00 19.00 120.00"), Some(Err(Refusal::AmbiguousAmount)));
        // Two columns, or a group of thousands that is set oddly.
        for twice in ["7,77 680,01", "1.234 567,00", "1.234 567,00 €", "7,77 680,01 €"] {
            assert_eq!(read(twice), Some(Err(Refusal::AmbiguousAmount)), "{twice}");
        }
        assert_eq!(read("10,00 12,00"), Some(Err(Refusal::AmbiguousAmount)));
        assert_eq!(read("-10,00"), Some(Err(Refusal::AmountOutOfRange)));
        assert_eq!(amount("10,00", Currencies::default()), Some(Err(Refusal::Currency)), "nothing says what it is in");
    }

    #[test]
    fn thousands_are_told_from_decimals_if_the_document_does_so() {
        let decimal = |text: &str| proven_decimal(text.lines());
        assert_eq!(decimal("Total 1.234 EUR\nTax 12,50 EUR"), Some(','));
        assert_eq!(decimal("€1,234\n€12.50\n12,50 kWh"), Some('.'));
        assert_eq!(decimal("12,50 EUR\n12.50 EUR"), None, "they contradict each other");
        assert_eq!(decimal("1.234 EUR"), None);
        assert_eq!(decimal("38.420 EUR\n29.110 EUR\n91.770 EUR"), Some(','), "nobody writes three decimals");
        assert_eq!(decimal("38.420 EUR\n38.420 EUR\n38.420 EUR"), None, "one amount");
        let read = |text: &str, decimal| {
            amount(text, Currencies { decimal, ..Currencies::default() })
                .map(|read| read.map(|money| money.to_string()))
        };
        assert_eq!(read("1.234 EUR", Some(',')), Some(Ok("1234.00 EUR".into())));
        assert_eq!(read("€1,234", Some('.')), Some(Ok("1234.00 EUR".into())));
        for (text, decimal) in [("1.234 EUR", '.'), ("1.23 EUR", '.'), ("1.2345 EUR", ','), ("12.3 EUR", ',')] {
            let expected = if text == "1.23 EUR" { Ok("1.23 EUR".into()) } else { Err(Refusal::AmbiguousAmount) };
            assert_eq!(read(text, Some(decimal)), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_document_states_its_currency_once_or_not_at_all() {
        let stated = |text: &str, shared: Option<&str>| {
            super::stated(text.lines(), shared.map(|code| code.parse().expect("code")))
        };
        let one = |code: &str| Stated::One(code.parse().expect("code"));
        assert_eq!(stated("Invoice\n€\nTotal 1,00", None), one("EUR"));
        assert_eq!(stated("All amounts in EUR.\n1,00 €\nTotal TTC en euros", None), one("EUR"));
        assert_eq!(stated("US$ 1.00", None), one("USD"));
        assert_eq!(stated("Total$1.00USD", Some("USD")), one("USD"));
        assert_eq!(stated("TRY THE NEW TOP PLAN FOR ALL, NEUROLOGY", None), Stated::Nothing);
        for unclear in ["1 € and 1 $", "$", "EUR USD", "£ 1.00 (EUR 1.20)"] {
            assert_eq!(stated(unclear, None), Stated::Unclear, "{unclear}");
        }
        assert!(is_only_currency("12,50 € EUR ") && !is_only_currency("from 12,50 €"));
    }
}
