//! Whether words are said, or denied or only supposed: `has been paid`, `has not been paid`, `if it has been paid`.

use crate::extract::Templates;
use crate::extract::amount;
use crate::extract::label::Labels;
use crate::extract::line::{Found, GAP, Line, folded};
use crate::extract::total::MAX_PLACES;

/// Words between a negation and what it denies.
const REACH: usize = 3;
/// Letters of a word that may be cut off by a point: `Invoice no. 4711`.
const MAX_ABBREVIATION: usize = 3;
/// Short words that a point may stand behind within a sentence.
const ABBREVIATIONS: [&str; 30] = [
    "bzw", "ggf", "ca", "vgl", "inc", "ltd", "exc", "est", "max", "min", "no", "nr", "art", "abs", "tel", "str", "ref",
    "etc", "op", "av", "vs", "núm", "pág", "fig", "cod", "ex", "par", "lt", "ust", "zzg",
];
/// Words that deny a clause that begins with them.
const BEGIN_DENIED: [&str; 14] = [
    "kein", "keine", "keinen", "aucun", "aucune", "no", "ningún", "ninguna", "non", "nessun", "nessuna", "geen", "não",
    "nenhum",
];
/// Words from there that are denied.
const BEGIN_REACH: usize = 5;
/// Words that another clause begins with.
const AS: [&str; 16] = [
    "because", "as", "since", "weil", "da", "denn", "car", "comme", "puisque", "porque", "pues", "perché", "poiché",
    "omdat", "want", "pois",
];
/// Words between two that belong together.
const APART: usize = 12;

/// Whether the words at a place are said as a fact.
pub(super) fn is_asserted(line: &Line, found: Found) -> bool {
    !is_denied(line, found) && !is_supposed(last_sentence(line.before(found)))
}

/// Whether a text has a word by which something is only supposed; `dès lors` is none.
pub(super) fn is_supposed(text: &str) -> bool {
    let condition = &Templates::any_language().condition;
    let mut all = words(text).peekable();
    while let Some(word) = all.next() {
        if is_one(condition, word) && all.peek().is_none_or(|next| folded(next) != "lors") {
            return true;
        }
    }
    false
}

/// Whether the words at a place are denied: shortly before, or by the word that their clause begins with.
pub(super) fn is_denied(line: &Line, found: Found) -> bool {
    let before = last_sentence(line.before(found));
    // `Nothing more to do, we received it`: a comma ends what is denied.
    let clause = before.rsplit_once(", ").map_or(before, |(_, clause)| clause);
    let words: Vec<&str> = words(clause).collect();
    let negation = &Templates::any_language().negation;
    let denies = |at: usize, word: &str| {
        // `Invoice no. 4711`
        let next = words.get(at + 1).copied().unwrap_or_else(|| line.shown.get(found.start..).unwrap_or_default());
        let is_number =
            word.trim_end_matches('.').eq_ignore_ascii_case("no") && next.starts_with(|c: char| c.is_ascii_digit());
        is_one(negation, word) && !is_number
    };
    let near = words.len().saturating_sub(REACH);
    words.iter().enumerate().skip(near).any(|(at, word)| denies(at, word)) || begins_denied(before)
}

/// Whether a clause begins with a word that denies all of it: `No tienes un método de pago registrado`.
fn begins_denied(clause: &str) -> bool {
    let words: Vec<String> = clause.split_whitespace().map(str::to_lowercase).collect();
    let is_near = (1..=BEGIN_REACH).contains(&words.len()) && !clause.contains([',', ':', '-', '\u{2013}', GAP]);
    // `No. 4711`, `nothing to do, as we received it`
    let is_other = |word: &String| word.starts_with(|c: char| c.is_ascii_digit()) || AS.contains(&word.as_str());
    is_near && words.first().is_some_and(|first| BEGIN_DENIED.contains(&first.as_str())) && !words.iter().any(is_other)
}

fn is_one(labels: &Labels, word: &str) -> bool {
    let folded = folded(word);
    labels.iter().any(|label| label.folded == folded)
}

/// Whether a line says one of each as something that is over, in one sentence and in either order.
pub(super) fn says_of_past(line: &Line, pair: &[Labels; 2]) -> bool {
    let ahead = &Templates::any_language().ahead;
    says_in(line, pair, |first, second| {
        let before = last_sentence(line.before(first));
        let between = line.shown.get(first.end..second.start).unwrap_or_default();
        !words(before).chain(words(between)).any(|word| is_one(ahead, word))
    })
}

/// Whether a line says one of each as a fact, in one sentence and in either order.
pub(super) fn says_together(line: &Line, pair: &[Labels; 2]) -> bool {
    says_in(line, pair, |_, _| true)
}

fn says_in(line: &Line, [first, second]: &[Labels; 2], also: impl Fn(Found, Found) -> bool) -> bool {
    let places = |labels: &Labels| -> Vec<Found> {
        // `invoice.example` is no example.
        line.places_of(labels.iter()).filter(|found| !line.is_in_address(*found)).take(MAX_PLACES).collect()
    };
    let firsts = places(first);
    if firsts.is_empty() {
        return false;
    }
    let seconds = places(second);
    let is_one = |a: &Found, b: &Found| {
        let (before, after) = if a.start <= b.start { (a, b) } else { (b, a) };
        let between = line.shown.get(before.end..after.start);
        between.is_some_and(|between| last_sentence(between).len() == between.len() && words(between).count() <= APART)
            && is_asserted(line, *before)
            && is_asserted(line, *after)
            && also(*before, *after)
    };
    firsts.iter().any(|a| seconds.iter().any(|b| is_one(a, b)))
}

/// The sentences of a text.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (sentence, after) = rest.split_at(first_end(rest).unwrap_or(rest.len()));
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// What stands behind the last end of a sentence.
fn last_sentence(text: &str) -> &str {
    ends(text).last().and_then(|at| text.get(at..)).unwrap_or(text)
}

fn first_end(text: &str) -> Option<usize> {
    ends(text).next()
}

/// Where sentences end. A point is an end behind a word that is no abbreviation.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let ends = text.match_indices(['.', '!', '?', ';']).filter(move |(at, sign)| {
        let before = text.get(..*at).unwrap_or_default();
        let letters = before.chars().rev().take_while(|c| c.is_alphabetic()).count();
        // `12.00 EUR.`, `2026.`, `5 %.`; but not `am 3. Dezember`.
        let digits = before.chars().rev().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).count();
        let is_value = digits > 2 || is_of_several(before) || is_signed(before) || has_currency_end(before);
        let after = text.get(at + 1..).unwrap_or_default();
        let is_new = after.trim_start().starts_with(char::is_uppercase);
        let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let is_short_word = letters > 1 && word.chars().all(char::is_lowercase) && !ABBREVIATIONS.contains(&word);
        (*sign != "." || letters > MAX_ABBREVIATION || is_value || (is_new && is_short_word))
            && (after.is_empty() || after.starts_with(' '))
    });
    ends.map(|(at, _)| at + 1)
}

/// Whether a text ends with which one it is of how many: `2 of 5`.
fn is_of_several(text: &str) -> bool {
    let mut words = text.rsplit(' ');
    let is_number =
        |word: Option<&str>| word.is_some_and(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()));
    is_number(words.next())
        && words.next().is_some_and(|of| of.chars().all(char::is_lowercase))
        && is_number(words.next())
}

/// Whether a text ends with an amount or a percentage and its sign, or with brackets.
fn is_signed(text: &str) -> bool {
    let number = text.trim_end_matches(['€', '£', '$', '%']).trim_end();
    text.ends_with(')') || (number.len() < text.len() && number.ends_with(|c: char| c.is_ascii_digit()))
}

/// Whether a text ends with the code of a currency behind a number.
fn has_currency_end(text: &str) -> bool {
    let Some((number, code)) = text.rsplit_once(' ') else { return false };
    amount::is_code(code) && number.ends_with(|c: char| c.is_ascii_digit())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ':' | '"')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::extract::Refusal;

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Invoice 4711, Rechnung 4711, facture 4711", text);
        bill.map(|bill| bill.map(|bill| bill.amount.to_string()))
    }

    #[test]
    fn sentences_end_behind_values_and_short_words_but_not_in_abbreviations() {
        let count = |text: &str| super::sentences(text).count();
        for text in [
            "Due on 1 December 2026. Deposit 12.00 EUR",
            "It costs 12.00 EUR. More later",
            "Wir ziehen den Betrag ein. Danke",
            "Plazo 2 de 5. Importe",
            "Up 5 %. From now",
        ] {
            assert_eq!(count(text), 2, "{text}");
        }
        for text in ["am 3. Dezember", "Invoice no. 4711", "bzw. Rechnung", "of €. 12,00"] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn what_is_denied_or_only_supposed_does_not_make_a_mail_no_bill() {
        for text in [
            "Invoice 4711 dated 2 November 2026 for 12.00 EUR has not been paid.",
            "We have not received your payment. Amount due: 12.00 EUR",
            "Amount due: 12.00 EUR\nIf this invoice has been paid, please disregard this message.",
            "Zu zahlen: 12,00 EUR\nLeider konnten wir noch keinen Zahlungseingang feststellen.",
            "Zu zahlen: 12,00 EUR\nSollte die Rechnung bereits bezahlt sein, ist nichts zu tun.",
            // A clause that begins with a denial.
            "Invoice 4711: 12.00 EUR\nNo tienes un método de pago automático registrado.",
            // What has to be or will be is not over.
            "Amount due: 12.00 EUR\nYour payment must have been received by 3 December 2026.",
            "Zu zahlen: 12,00 EUR\nDer Betrag muss bis zum 03.12.2026 auf unserem Konto eingegangen sein.",
            "Montant à payer : 12,00 EUR\nMerci d'effectuer votre règlement avant le 3 décembre 2026.",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }

    #[test]
    fn what_is_over_makes_it_none_in_whatever_order_it_is_said() {
        for text in [
            "We've received your payment of 12.00 EUR. Total: 12.00 EUR",
            "Total: 12.00 EUR\nThe payment for invoice 4711 has been received.",
            "Nous avons bien reçu votre règlement de 12,00 EUR pour la facture 4711. Total : 12,00 EUR",
            "Ihre Zahlung über 12,00 EUR zur Rechnung 4711 ist bei uns eingegangen. Gesamt: 12,00 EUR",
            "The amount of 12.00 EUR for invoice 4711 no longer has to be paid.",
            // What is denied is another clause.
            "Total: 12,00 EUR\nNo hace falta nada más, hemos recibido tu pago de la factura.",
            // A number is not a denial.
            "Total: 12.00 EUR\nThe payment of invoice no. 4711 has been received.",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
