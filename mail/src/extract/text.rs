//! Bills that only say in words what is due.

use crate::extract::amount::{self, Currencies, Stated};
use crate::extract::dates::dates;
use crate::extract::line::{Found, Line, line, lines};
use crate::extract::template::Labels;
use crate::extract::{Bill, Extracted, Refusal, Template, Templates, period};
use crate::iban::Iban;
use portcullis_protocol::{Currency, Money};

/// Words of a line that can be a heading.
const HEADING_WORDS: usize = 6;

/// With which words texts are read.
pub(super) struct Reading<'r> {
    /// The sender's.
    pub(super) domain: Option<&'r str>,
    /// The biller's currency, as the registry says: of a sign that several have, and of amounts in a text that names
    /// none.
    pub(super) currency: Option<Currency>,
    pub(super) templates: &'r Templates,
}

impl Reading<'_> {
    /// The bill that texts describe: those of a mail, or that of a document. If `has_pdf`, the mail need not say the
    /// amount.
    pub(super) fn bill(&self, subject: &str, texts: &[String], has_pdf: bool) -> Extracted {
        let (subject, mut attached) = (line(subject), false);
        let texts: Vec<Vec<Line>> = texts.iter().map(|text| lines(text)).collect();
        let mut found: Vec<Result<Bill, Refusal>> = Vec::new();
        let templates = self.templates.of_domain(self.domain);
        for lines in &texts {
            // Most mail is no bill in any language: then nothing else is searched.
            let announced = templates.iter().map(|own| Words { own, base: own.base() });
            let announced: Vec<Words<'_>> = announced.filter(|words| words.announces(&subject, lines)).collect();
            if announced.is_empty() {
                continue;
            }
            let text = Text::new(lines, self.currency);
            for words in announced {
                match words.read(&text) {
                    Some(read) => found.push(read),
                    None => attached |= has_pdf,
                }
            }
        }
        if found.is_empty() {
            // Its amount is in the document.
            return attached.then_some(Err(Refusal::NoAmount));
        }
        settled(found)
    }
}

/// Read through the words of two languages, or in text and HTML, a bill must say the same.
fn settled(found: Vec<Result<Bill, Refusal>>) -> Extracted {
    let good: Vec<&Bill> = found.iter().filter_map(|read| read.as_ref().ok()).collect();
    match good.first() {
        None => found.into_iter().next(),
        Some(first) if good.iter().any(|other| other.amount != first.amount) => Some(Err(Refusal::AmbiguousAmount)),
        Some(_) if found.iter().any(|read| matches!(read, Err(Refusal::BadDate | Refusal::AmountOutOfRange))) => {
            found.into_iter().find(Result::is_err)
        }
        Some(first) => {
            // The one that says the most.
            let says = |bill: &&&Bill| usize::from(bill.due.is_some()) + usize::from(bill.account.is_some());
            let best = good.iter().max_by_key(says).unwrap_or(first);
            Some(Ok((*best).clone()))
        }
    }
}

/// A text that is searched for a bill, and what holds for all of it.
struct Text<'t> {
    lines: &'t [Line],
    /// Where in each line the last name of a part of the total ends, in any language: what is a part in one is not the
    /// total in another.
    parts: Vec<Option<usize>>,
    /// The currencies that the text states, if any.
    stated: Stated,
    registered: Option<Currency>,
    iban: Option<Iban>,
}

impl<'t> Text<'t> {
    fn new(lines: &'t [Line], registered: Option<Currency>) -> Self {
        let (parts, totals): (Vec<&str>, Vec<&str>) = (Templates::parts().collect(), Templates::totals().collect());
        // `Total IVA incluido` is more than the `total IVA` in it.
        let is_more = |line: &Line, part: Found| {
            let longer = |total: Found| total.start <= part.start && total.end > part.end;
            totals.iter().filter_map(|label| line.find(label)).any(longer)
        };
        let last_part = |line: &Line| {
            let places = parts.iter().flat_map(|label| line.places(label));
            places.filter(|part| !is_more(line, *part)).map(|part| part.end).max()
        };
        Self {
            lines,
            parts: lines.iter().map(last_part).collect(),
            stated: amount::stated(lines.iter().map(|line| line.shown.as_str()), registered),
            registered,
            iban: iban(lines),
        }
    }

    /// What its amounts are in: of a template for this biller, of the document, of the registry, of the account that is
    /// to be paid to. SEPA transfers are in euros, whatever else an account in the euro area holds.
    fn currencies(&self, own: Option<Currency>) -> Currencies {
        let elsewhere = || self.registered.or_else(|| self.iban.as_ref().and_then(Iban::currency));
        let bare = match self.stated {
            Stated::One(currency) => own.is_none_or(|own| own == currency).then_some(currency),
            Stated::Nothing => own.or_else(elsewhere),
            Stated::Unclear => None,
        };
        Currencies { shared: own.or(self.registered), bare }
    }
}

/// A template's labels, and those of its language if it has none.
struct Words<'t> {
    own: &'t Template,
    base: &'t Template,
}

impl<'t> Words<'t> {
    fn labels(&self, of: impl Fn(&Template) -> &Labels) -> Vec<&'t str> {
        let own = of(self.own);
        if own.is_empty() { of(self.base).folded().collect() } else { of(self.own).folded().collect() }
    }

    /// Whether the mail calls itself a bill and nothing that makes it none.
    fn announces(&self, subject: &Line, lines: &[Line]) -> bool {
        let bill = self.labels(|words| &words.bill);
        let mentions = |label: &&str| subject.has(label) || lines.iter().any(|line| line.has(label));
        if !bill.iter().any(mentions) {
            return false;
        }
        // One word, such as the `avoir` of French, decides in a heading or beside an amount: elsewhere it may mean
        // something else.
        let decides = |line: &Line| line.words() <= HEADING_WORDS || amount::has_currency(&line.shown);
        let is_said = |(label, words): (&str, usize)| {
            subject.has(label) || lines.iter().any(|line| line.has(label) && (words > 1 || decides(line)))
        };
        if self.own.domains.is_empty() || self.own.not_bill.is_empty() {
            // In any language: a mail may have several.
            !Templates::not_bills().any(is_said)
        } else {
            !self.own.not_bill.with_words().any(is_said)
        }
    }

    fn read(&self, text: &Text<'_>) -> Option<Result<Bill, Refusal>> {
        Some(self.total(text)?.and_then(|amount| self.bill(text, amount)))
    }

    fn bill(&self, text: &Text<'_>, amount: Money) -> Result<Bill, Refusal> {
        let (lines, months) = (text.lines, &self.base.months);
        let mut due = None;
        for value in self.values_of(lines, |words| &words.due) {
            if let Some(day) = dates(value, months)?.first() {
                due = Some(*day);
                break;
            }
        }
        let mut covered = None;
        for value in self.values_of(lines, |words| &words.period) {
            if let [start, end, ..] = dates(value, months)?.as_slice() {
                covered = period(Some(*start), Some(*end))?;
                break;
            }
        }
        let account = self.values_of(lines, |words| &words.account).into_iter().find_map(number);
        Ok(Bill { amount, due, period: covered, account, iban: text.iban.clone(), broken: Vec::new() })
    }

    /// What stands behind any of the labels, in the order of the lines.
    fn values_of<'l>(&self, lines: &'l [Line], of: impl Fn(&Template) -> &Labels) -> Vec<&'l str> {
        let labels = self.labels(of);
        let of_line = |at: usize| labels.iter().filter_map(move |label| value(lines, at, lines.get(at)?.find(label)?));
        (0..lines.len()).flat_map(of_line).collect()
    }

    /// The amount behind the label that is believed the most.
    fn total(&self, text: &Text<'_>) -> Option<Result<Money, Refusal>> {
        let currencies = text.currencies(self.own.currency);
        let own_parts: Vec<&str> = self.own.part.folded().collect();
        let last_part = |(line, known): (&Line, &Option<usize>)| {
            let own = own_parts.iter().flat_map(|label| line.places(label)).map(|part| part.end).max();
            own.max(*known)
        };
        let parts: Vec<Option<usize>> = text.lines.iter().zip(&text.parts).map(last_part).collect();
        let totals = Totals { lines: text.lines, parts: &parts, currencies };
        // A biller's own labels are all there are.
        let is_own = !self.own.total.is_empty() || !self.own.total_if_largest.is_empty();
        let words = if is_own { self.own } else { self.base };
        for label in words.total.folded() {
            if let Some(read) = totals.settled(totals.behind(label, false)) {
                return Some(read);
            }
        }
        // `Total: 12,00` is worth more than `Total calls: 2,00`.
        for alone in [true, false] {
            for label in words.total_if_largest.folded() {
                if let Some(read) = totals.settled(totals.behind(label, alone)) {
                    return Some(read.and_then(|amount| totals.if_largest(amount)));
                }
            }
        }
        None
    }
}

/// What a text may say as its total.
struct Totals<'t> {
    lines: &'t [Line],
    parts: &'t [Option<usize>],
    currencies: Currencies,
}

impl Totals<'_> {
    /// The amounts beside a label, but not those of parts: behind a part's name another label has to follow. If
    /// `alone`, of lines that say nothing but the label.
    fn behind(&self, label: &str, alone: bool) -> Vec<Result<Money, Refusal>> {
        let mut amounts = Vec::new();
        for (at, (line, part)) in self.lines.iter().zip(self.parts).enumerate() {
            let is_behind = |found: &Found| part.is_none_or(|end| found.start >= end);
            let Some(found) = line.places(label).find(is_behind) else { continue };
            let is_alone = amount::is_only_currency(line.before(found)) && amount::is_only_currency(line.after(found));
            if alone && !is_alone {
                continue;
            }
            let value = if self.parts.get(at + 1).is_some_and(Option::is_some) {
                // What follows is not its value.
                value(self.lines.get(..=at).unwrap_or_default(), at, found)
            } else {
                value(self.lines, at, found)
            };
            amounts.extend(value.and_then(|value| amount::amount(value, self.currencies)));
        }
        amounts
    }

    /// The one amount of several places, or the one that the tax makes of another of them.
    fn settled(&self, amounts: Vec<Result<Money, Refusal>>) -> Option<Result<Money, Refusal>> {
        let read: Result<Vec<Money>, Refusal> = amounts.into_iter().collect();
        let mut amounts = match read {
            Ok(amounts) => amounts,
            Err(refusal) => return Some(Err(refusal)),
        };
        amounts.sort_unstable_by_key(Money::minor_units);
        amounts.dedup();
        let total = *amounts.last()?;
        match amounts.as_slice() {
            [_] => Some(Ok(total)),
            [net, _] if net.currency() == total.currency() && self.is_tax(total.minor_units() - net.minor_units()) => {
                Some(Ok(total))
            }
            _ if amounts.iter().any(|amount| amount.currency() != total.currency()) => Some(Err(Refusal::Currency)),
            _ => Some(Err(Refusal::AmbiguousAmount)),
        }
    }

    /// Whether a line that names a tax says this amount.
    fn is_tax(&self, units: i64) -> bool {
        let taxes: Vec<&str> = Templates::taxes().collect();
        self.lines.iter().any(|line| {
            taxes.iter().any(|label| line.has(label))
                && amount::amounts(&line.shown, self.currencies).iter().any(|amount| amount.minor_units() == units)
        })
    }

    /// The amount, unless a larger one of its currency stands anywhere: then its label names something else.
    fn if_largest(&self, total: Money) -> Result<Money, Refusal> {
        let all = self.lines.iter().flat_map(|line| amount::amounts(&line.shown, self.currencies));
        let larger = |other: Money| other.currency() == total.currency() && other.minor_units() > total.minor_units();
        if all.into_iter().any(larger) { Err(Refusal::AmbiguousAmount) } else { Ok(total) }
    }
}

/// What stands behind a label: the rest of the line; if that has no digit, the cell below it in a table, what stands
/// before it if that is nothing but an amount, or the next line.
fn value(lines: &[Line], at: usize, found: Found) -> Option<&str> {
    let line = lines.get(at)?;
    let (before, rest) = (line.before(found), line.after(found));
    let digits = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    if digits(rest) {
        return Some(rest);
    }
    if digits(before) && rest.trim().is_empty() && amount::is_only_currency(before) {
        // `12,00 € TTC`
        return Some(before);
    }
    let next = lines.get(at + 1)?;
    if let (cell, count) = line.cell_of(found)
        && count > 1
        && let Some(below) = next.cell(cell, count)
    {
        return Some(below);
    }
    rest.chars().all(|c| !c.is_alphanumeric()).then_some(next.shown.as_str())
}

/// What stands behind one label, in the order of the lines.
fn values<'l>(lines: &'l [Line], label: &str) -> Vec<&'l str> {
    let of_line = |at: usize| value(lines, at, lines.get(at)?.find(label)?);
    (0..lines.len()).filter_map(of_line).collect()
}

/// An account number: the first word behind the label, and further ones as long as they are digits.
fn number(value: &str) -> Option<String> {
    let value = value.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut number = String::new();
    for word in value.split_whitespace() {
        let word = word.trim_end_matches([',', '.', ';', ')']);
        let good = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '.'));
        let digits = word.chars().any(|c| c.is_ascii_digit());
        if !good || !digits || number.len() + word.len() > 40 {
            break;
        }
        number.push_str(word);
    }
    (!number.is_empty()).then_some(number)
}

fn iban(lines: &[Line]) -> Option<Iban> {
    values(lines, "iban").into_iter().find_map(|value| {
        let value = value.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut text: String = value
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == ' ')
            .filter(|c| *c != ' ')
            .take(34)
            .collect();
        // What follows on the line, such as a BIC, may look like more of it.
        while text.len() >= 15 {
            if let Ok(iban) = text.parse() {
                return Some(iban);
            }
            text.pop();
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_the_total() {
        let read = |text: &str| read(text).and_then(Result::ok);
        for text in [
            "Sub Total : EUR 10.00\nInvoice total: EUR 12.00",
            "Net Total EUR 10.00\nTotal EUR 12.00",
            "Total HT 10,00 €\nTotal TVA 2,00 €\nTotal TTC 12,00 €",
            "Gesamt netto 10,00 €\nGesamt: 12,00 €",
            "Total IVA 2,00 €\nTotal a pagar 12,00 €",
            // The total itself says that tax is in it.
            "Total incl. VAT: EUR 12.00",
        ] {
            assert_eq!(read(text).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for text in
            ["Untaxed total €10.00", "Total TVA 2,00 €", "Net total:\n10.00 EUR", "Total:\nNet total:\n10.00 EUR"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Invoice, Rechnung, facture, factura", text);
        bill.map(|bill| bill.map(|bill| bill.amount.to_string()))
    }

    #[test]
    fn a_label_that_parts_have_too_is_believed_if_nothing_is_larger() {
        for text in [
            "Total: EUR 12.00",
            "Total calls EUR 2.00\nTotal data EUR 3.00\nTotal: EUR 12.00",
            "12,00 € TTC\n10,00 € HT",
            "Date   Amount due   Due by\n01.11.2026   12,00 €   15.12.2026",
            "Total HT 10,00 € TVA 2,00 € Total TTC 12,00 €",
            "Total HT   TVA   Total TTC\n10,00 €   2,00 €   12,00 €",
            "Total TTC\n10,00 € 2,00 € 12,00 €",
            // The tax says which of two it is.
            "Total 10.00 EUR\nVAT 20 % 2.00 EUR\nTotal 12.00 EUR",
            // The currency stands once for the whole document, or the account to pay to says it.
            "All amounts in EUR\nDescription 10.00\nAmount due 12.00",
            "Zu zahlen: 12,00\nIBAN: DE89 3704 0044 0532 0130 00",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        for (text, refusal) in [
            ("Total: EUR 12.00\nContract value EUR 500.00", Refusal::AmbiguousAmount),
            ("Total 10.00 EUR\nTotal 12.00 EUR", Refusal::AmbiguousAmount),
            ("Total 10.00 EUR\nVAT 1.00 EUR\nTotal 12.00 EUR", Refusal::AmbiguousAmount),
            ("Amount due 12.00", Refusal::Currency),
            ("Prices in EUR and USD\nAmount due 12.00", Refusal::Currency),
            ("Zu zahlen: 12,00\nIBAN: CH93 0076 2011 6238 5295 7", Refusal::Currency),
        ] {
            assert_eq!(read(text), Some(Err(refusal)), "{text}");
        }
    }

    #[test]
    fn one_word_makes_a_mail_none_only_if_it_is_about_it() {
        assert_eq!(
            read("Montant à payer 12,00 €\nVous devez avoir payé avant le 15 décembre de cette année"),
            Some(Ok("12.00 EUR".into()))
        );
        for text in [
            "Avoir\nMontant à payer 12,00 €",
            "Total à payer 12,00 €\nNous vous devons un avoir de 12,00 € sur votre prochaine commande",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_and_accounts_stand_behind_their_labels() {
        assert_eq!(number("# 12 34 5678 Mr"), Some("12345678".into()));
        assert_eq!(number("none"), None);
        let lines = lines("IBAN: DE89 3704 0044 0532 0130 00 BIC COBADEFF\nTotal:\n12,00 €");
        assert_eq!(iban(&lines).expect("found").to_string(), "DE89370400440532013000");
        assert_eq!(values(&lines, "total"), ["12,00 €"]);
    }
}
