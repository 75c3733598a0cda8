//! Amounts that sentences say: `your bill is 12.00 EUR`, `we will debit 12.00 EUR on 3 December 2026`.

use crate::extract::Refusal;
use crate::extract::Templates;
use crate::extract::amount::{self, Currencies};
use crate::extract::assertion::{is_asserted, is_denied, says_together, sentences};
use crate::extract::dates::{dates, is_month, names_day};
use crate::extract::label::Labels;
use crate::extract::line::{Found, Line, folded, sentence};
use crate::extract::marks::Marks;
use crate::extract::schedule::names_counted;
use crate::extract::total::{Settled, Totals};
use portcullis_protocol::Money;

/// Words of a line that is no sentence.
const LABEL_WORDS: usize = 8;
/// Words of a line that can be a heading.
const HEADING_WORDS: usize = 6;
/// Words of a line that names the amount beside them.
const CAPTION_WORDS: usize = 5;
/// Words between one for the bill and its amount that say whose bill it is.
const MAX_ASIDE: usize = 2;
/// How many parts something is paid in.
const COUNTS: [&str; 30] = [
    "two", "three", "four", "five", "six", "ten", "twelve", "zwei", "drei", "vier", "fünf", "sechs", "zwölf", "deux",
    "trois", "quatre", "dos", "tres", "cuatro", "seis", "twee", "vijf", "zes", "due", "tre", "quattro", "dois", "duas",
    "três", "quatro",
];
/// Before the amount of a sentence that tells the reader to pay it.
const PAY: [&str; 13] = [
    "please pay ",
    "pay ",
    "send us ",
    "please send us ",
    "zahlen sie ",
    "bitte zahlen sie ",
    "überweisen sie ",
    "bitte überweisen sie ",
    "betaal ",
    "paga ",
    "pague ",
    "payez ",
    "paghi ",
];
/// Words between one for the bill and its number.
const NUMBER_WORDS: usize = 3;

type Read = Option<Result<Money, Refusal>>;

impl Totals<'_> {
    /// The amount of a sentence that says that the bill is so much, if none is larger.
    pub(super) fn in_sentence(&self) -> Option<Settled> {
        let bare = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        let words = self.base.links.iter().chain(self.base.within.iter());
        let links: Vec<String> = words.map(|link| bare(&link.folded)).collect();
        let says = |at: usize, line: &Line, bill: Found| {
            let rest = line.after(bill);
            let Some((between, after)) = amount::around_marked(rest, self.currencies) else { return false };
            let is_link = |word: &str| {
                let word = bare(&folded(word));
                let is_number = word.chars().any(|c| c.is_ascii_digit());
                word.is_empty() || is_number || links.contains(&word) || is_month(&word)
            };
            // `Your bill is 20 EUR lower` is about something else.
            let ends = after.trim_start();
            let next = ends.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let is_net = self.is_net(ends);
            let compares = || self.base.comparison.iter().any(|label| label.folded == folded(next));
            let is_over = ends.starts_with(['.', '!', '?', ';']);
            let is_end = next.is_empty()
                || (!is_over && links.contains(&folded(next)))
                || (!ends.starts_with(',') && !compares() && !self.is_in_passing(at));
            let others = between.split_whitespace().filter(|word| !is_link(word) && !amount::is_only_currency(word));
            // `The bill of the canteen is 12.00 EUR`
            let is_about = || {
                let last = between.split_whitespace().next_back();
                last.is_some_and(is_link)
                    && others.clone().count() <= MAX_ASIDE
                    && !between.contains(['.', '!', '?', ':'])
            };
            (others.clone().next().is_none() || (is_about() && self.is_only(at) && !self.is_in_passing(at)))
                && is_end
                && !is_net
        };
        let only = |line: &Line| {
            let mut amounts = amount::amounts(&line.shown, self.currencies);
            amounts.dedup();
            if let [only] = amounts.as_slice() { Some(*only).filter(|only| self.is_largest(*only)) } else { None }
        };
        let said = self.lines.iter().zip(self.marks).enumerate().filter_map(|(at, (line, marks))| {
            let mut places = line.places_of(self.base.bill.iter());
            let is_said = !marks.has_part() && places.any(|bill| says(at, line, bill) && !self.is_in_several(at, bill));
            is_said.then(|| Some((only(line)?, at))).flatten()
        });
        let mut said = said;
        let first = said.next()?;
        said.all(|(other, _)| other == first.0).then_some(Ok(first))
    }

    /// What the reader is told to pay by a sentence that begins with it and says until when: `Pay 12.00 EUR by 3
    /// December`.
    pub(super) fn told_to_pay(&self) -> Read {
        let of = |text: &str| {
            let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
            let lower = text.to_lowercase();
            let opening = PAY.iter().find(|opening| lower.starts_with(**opening))?;
            let (before, _) = amount::around_marked(text, self.currencies)?;
            let between = before.get(opening.len()..).filter(|between| amount::is_only_currency(between));
            let amounts = amount::amounts(text, self.currencies);
            let only = if let [only] = amounts.as_slice() { Some(*only) } else { None };
            only.filter(|_| between.is_some() && names_day(text) && !names_several(&crate::extract::line::line(text)))
        };
        let mut found: Option<Money> = None;
        for (at, (line, marks)) in self.lines.iter().zip(self.marks).enumerate() {
            let is_part = || marks.parts.iter().any(|part| !marks.is_aside(*part));
            if !self.has_amount(at) || is_part() {
                continue;
            }
            let counted = marks.counted(line);
            let Some(said) = sentences(&counted.shown).find_map(of) else { continue };
            if found.is_some_and(|other| other != said) {
                return Some(Err(Refusal::AmbiguousAmount));
            }
            found = Some(said);
        }
        found.map(Ok)
    }

    /// The amount of sentences that ask for it, if they name no other and none is larger.
    pub(super) fn told_demand(&self) -> Read {
        let mut found: Option<(Money, usize)> = None;
        for at in 0..self.lines.len() {
            let (Some(line), Some(marks)) = (self.lines.get(at), self.marks.get(at)) else { continue };
            if line.is_row() || !self.has_amount(at) || marks.parts.iter().any(|part| !marks.is_aside(*part)) {
                continue;
            }
            let counted = marks.counted(line);
            for sentence in sentences(&counted.shown).map(crate::extract::line::line) {
                let asks = || sentence.places_of(self.base.demand.iter()).any(|found| is_asserted(&sentence, found));
                let amounts = amount::amounts(&amount::outside_brackets(&sentence.shown), self.currencies);
                match amounts.as_slice() {
                    [said] if asks() && !self.is_counted_by(&sentence, &sentence.shown) => {
                        if found.is_some_and(|(other, _)| other != *said) {
                            return None;
                        }
                        found = Some((*said, at));
                    }
                    _ => {}
                }
            }
        }
        let (said, at) = found.filter(|(said, at)| self.is_largest_of_all(*said) && !self.is_in_passing(*at))?;
        Some(self.unless_carried(said, at))
    }

    /// Whether a sentence asks for the payment in words that stand apart.
    fn asks_together(&self, line: &Line) -> bool {
        self.base.demand_together.iter().any(|pair| says_together(line, pair))
    }

    /// Whether no other amount stands in the text than that of a line.
    fn is_only(&self, line: usize) -> bool {
        let Some((_, first)) = self.amounts.first() else { return false };
        self.amounts.iter().all(|(at, other)| other == first && *at == line)
    }

    /// The amount of the subject, if that calls it a bill and the text says nothing larger: `your bill: 12.00 EUR`.
    pub(super) fn in_subject(&self) -> Option<Settled> {
        let marks = Marks::new(self.subject, None);
        let marked = Currencies { bare: None, ..self.currencies };
        let mut amounts = amount::amounts(&self.subject.shown, marked);
        amounts.dedup();
        let [only] = amounts.as_slice() else { return None };
        let units = self.amounts.iter().map(|(_, amount)| amount.minor_units());
        let is_sum = self.amounts.len() > 1 && units.fold(0_i64, i64::saturating_add) == only.minor_units();
        let is_confirmed = self.amounts.is_empty() || is_sum || self.amounts.iter().any(|(_, amount)| amount == only);
        let is_bill = self.subject.has_any(&self.base.bill) && !marks.has_part() && !marks.has_aside();
        (is_bill && is_confirmed && self.is_largest(*only)).then_some(Ok((*only, 0)))
    }

    /// What is collected or due on a day, if a sentence says so. It is less than the whole if it is an instalment.
    pub(super) fn on_a_day(&self, whole: Read) -> Read {
        let mut due: Option<(Money, bool)> = None;
        let lines: Vec<Line> = self.lines.iter().zip(self.marks).map(|(line, marks)| marks.counted(line)).collect();
        for at in 0..lines.len() {
            let Some((amount, is_instalment)) = self.due_amount(&lines, at) else { continue };
            match due {
                Some((first, _)) if first != amount => return whole,
                _ => due = Some((amount, is_instalment || due.is_some_and(|(_, is_instalment)| is_instalment))),
            }
        }
        let Some((amount, is_instalment)) = due else { return whole };
        Some(match whole {
            Some(Ok(whole)) if whole != amount && !is_instalment => Err(Refusal::AmbiguousAmount),
            Some(Err(refusal)) if refusal != Refusal::AmbiguousAmount => Err(refusal),
            _ => Ok(amount),
        })
    }

    /// The amount of a sentence that also says the day on which it is due, and whether it is an instalment.
    fn due_amount(&self, lines: &[Line], at: usize) -> Option<(Money, bool)> {
        let of_both = |sentence: &Line, dated: &Line| {
            // `It isn't payable until July`
            let says = |labels: &Labels| sentence.places_of(labels.iter()).any(|found| !is_denied(sentence, found));
            let asks = || says(&self.base.due) || says(&self.base.demand) || self.asks_together(sentence);
            let days = || dates(&dated.shown, self.order).map_or(usize::MAX, |dates| dates.len());
            let is_dated = || matches!((days(), names_day(&dated.shown)), (1, _) | (0, true));
            // What is in brackets explains.
            let outside = amount::outside_brackets(&sentence.shown);
            let result = outside.rsplit_once('=').map(|(_, result)| result);
            let mut amounts = amount::amounts(result.unwrap_or(&outside), self.currencies);
            amounts.dedup();
            match amounts.as_slice() {
                // What is paid in several parts is not due on a day.
                [amount] if amount.minor_units() > 0 && is_dated() && asks() && !names_several(sentence) => {
                    Some((*amount, self.is_one_of_several(sentence)))
                }
                _ => None,
            }
        };
        let of = |sentence: &Line| of_both(sentence, sentence);
        let (line, marks) = (lines.get(at)?, self.marks.get(at)?);
        let is_part = |at: usize| self.marks.get(at).is_some_and(|marks| marks.has_part());
        // What is about something else has parts of its own.
        let has_counted_part = marks.parts.iter().any(|part| !marks.is_aside(*part));
        let alone = || {
            let several = sentences(&line.shown).nth(1).is_some();
            let mut sentences_of = sentences(&line.shown).filter(|_| several);
            let first = sentences_of.find_map(|text| of(&crate::extract::line::line(text)));
            // `It is due on 1 December. We collect 12.00 EUR.`
            let collects = |text: &str| {
                let sentence = crate::extract::line::line(text);
                let is_due = line.has_any(&self.base.due) && sentence.has_any(&self.base.demand);
                of_both(&sentence, line).filter(|_| is_due && several && !line.is_row())
            };
            let first = first.or_else(|| sentences(&line.shown).find_map(collects));
            first.or_else(|| of(line).filter(|_| sentences(&line.shown).filter(|text| has_digit(text)).count() < 2))
        };
        let alone = (self.has_amount(at) && !has_counted_part).then(alone).flatten();
        // `12.00 EUR`, and below it `will be debited on 3 December`
        let is_alone = |at: usize| {
            let amount = lines.get(at).and_then(|line| amount::only_amount(&line.shown, self.currencies));
            amount.is_some_and(|read| read.is_ok())
        };
        let beside = || {
            let (above, below) = match (is_alone(at), at.checked_sub(1).is_some_and(is_alone)) {
                (true, false) if !self.has_amount(at + 1) && !is_part(at + 1) => (line, lines.get(at + 1)?),
                (false, true) if !self.has_amount(at) && !is_part(at) => (lines.get(at - 1)?, line),
                _ => return None,
            };
            of(&crate::extract::line::line(&format!("{} {}", above.shown, below.shown)))
        };
        alone.or_else(beside).or_else(|| {
            let goes_on = self.has_amount(at) != self.has_amount(at + 1) && !is_part(at) && !is_part(at + 1);
            let both = sentence(lines, at).filter(|_| goes_on)?;
            sentences(&both.shown).find_map(|text| of(&crate::extract::line::line(text)))
        })
    }

    /// Whether a line says which instalment it is about: `instalment 2 of 5`, `2. Rate`, `mensualité n° 2`.
    fn is_one_of_several(&self, line: &Line) -> bool {
        let is_short = |word: &str| {
            let digits = word.trim_matches(|c: char| !c.is_alphanumeric());
            !digits.is_empty() && digits.len() <= 2 && digits.chars().all(|c| c.is_ascii_digit())
        };
        let is_numbered = |found: Found| {
            let before = line.before(found).split_whitespace().next_back();
            let mut after = line.after(found).split_whitespace().take(2);
            before.is_some_and(is_short) || after.any(is_short)
        };
        // The subject may say which one it is: `instalment 4`, and below it `we debit the instalment of 12.00 EUR`.
        let names = || line.has_any(&self.base.instalment) || line.has_any(&self.base.instalment_numbered);
        line.places_of(self.base.instalment.iter()).any(is_numbered)
            || names_counted(line, self.base)
            || (names_counted(self.subject, self.base) && names())
    }

    /// What one of several instalments comes to: `instalment 2 of 5: 60.00 EUR`. If it does not say which one it is,
    /// nobody can tell whether it or the whole is to be paid.
    pub(super) fn instalment(&self, whole: Read) -> Read {
        let (Some(Ok(_) | Err(Refusal::AmbiguousAmount)), true) = (&whole, self.own.is_none()) else { return whole };
        let amount = whole.and_then(Result::ok);
        let names = |line: &Line| {
            let labels = [&self.base.instalment_numbered, &self.base.instalment];
            labels.into_iter().flat_map(Labels::iter).any(|label| line.has(label))
        };
        // What the whole is called says that it is one.
        let is_instalment = |at: usize| self.lines.get(at).is_some_and(|line| line.has_any(&self.base.instalment));
        let is_alone = |at: usize| self.amounts_of(at).len() == 1;
        let is_entry = |at: usize| self.lines.get(at).is_some_and(|line| line.is_row() || line.words() <= LABEL_WORDS);
        let is_own = |at: usize| is_instalment(at) && is_alone(at) && is_entry(at);
        if self.amounts.iter().any(|(at, other)| Some(*other) == amount && is_own(*at)) {
            return whole;
        }
        let mut all = std::iter::once(self.subject).chain(self.lines);
        // `Number of the instalment`, and below it `2 of 5`
        let is_caption = |line: &Line| line.words() <= CAPTION_WORDS;
        let is_below = |pair: &[Line]| {
            let [name, number] = pair else { return false };
            is_caption(name) && is_caption(number) && is_numbered(&number.shown) && names(name)
        };
        let is_counted = all.any(|line| is_numbered(&line.shown) && names(line)) || self.lines.windows(2).any(is_below);
        let mut parts: Vec<(Money, bool)> = Vec::new();
        let is_several = self.lines.iter().any(names_several);
        for (at, line) in self.lines.iter().enumerate() {
            let is_next = is_several && line.has_any(&self.base.next);
            let is_caption = (line.words() <= CAPTION_WORDS && is_counted) || is_next;
            let numbered = is_numbered(&line.shown) || is_caption;
            let labels = if is_numbered(&line.shown) { &self.base.instalment_numbered } else { &self.base.instalment };
            let labels = labels.iter().chain(self.base.instalment.iter());
            let next = self.base.next.iter().filter(|_| is_next);
            let place = labels.chain(next).find_map(|label| line.find(label));
            let Some(found) = place.filter(|found| self.is_stated(at, *found)) else { continue };
            let first = amount::amounts(line.after(found), self.currencies).into_iter().next();
            let below = || amount::only_amount(&self.lines.get(at + 1)?.shown, self.currencies)?.ok();
            let first = first.or_else(|| below().filter(|_| !self.has_amount(at)));
            let is_item = || amount.is_some_and(|whole| self.is_sum_around(whole, at) || self.is_sum_of(whole, at));
            // A device may be paid in parts too: which of them is asked for is not said then.
            let is_of_item = self.is_item_in_parts(line);
            let numbered = numbered && !is_of_item;
            let is_over = amount::has_negative(&line.shown)
                || line.has_any(&self.base.settled)
                || ((is_of_item || self.is_among_rows(at)) && amount.is_none())
                || self.is_included(line, found);
            parts.extend(
                first
                    .filter(|part| Some(*part) != amount && !is_over && !is_item())
                    .map(|part| (self.with_fee(part, at), numbered)),
            );
        }
        let is_part = |part: Money| {
            amount.is_none_or(|all| part.currency() == all.currency() && part.minor_units() < all.minor_units())
        };
        parts.retain(|(part, _)| is_part(*part));
        let Some((part, numbered)) = parts.first().copied() else { return whole };
        let is_one = parts.iter().all(|(other, _)| *other == part);
        Some(if is_one && numbered { Ok(part) } else { Err(Refusal::AmbiguousAmount) })
    }

    /// An instalment with the fee below it, if the row below that is what both come to: `317.00`, `5.00`, `322.00`.
    fn with_fee(&self, part: Money, at: usize) -> Money {
        let (Some(fee), Some(both)) = (self.last_amount(at + 1), self.last_amount(at + 2)) else { return part };
        if part.checked_add(fee) == Ok(both) { both } else { part }
    }

    /// Whether a line is one of three rows with amounts at least: then it may be an entry of a bill.
    fn is_among_rows(&self, at: usize) -> bool {
        let above = |rows: usize| at.checked_sub(rows).is_some_and(|at| self.has_amount(at));
        above(1) && (above(2) || self.has_amount(at + 1))
    }

    /// Whether a line says of an instalment that it is in another amount: `payment 19 of 36, 27.77 EUR included`.
    fn is_included(&self, line: &Line, name: Found) -> bool {
        let within = |text: &str| {
            let word = folded(text.trim_matches(|c: char| !c.is_alphanumeric()));
            self.base.within.iter().any(|label| label.folded == word)
        };
        let before = sentences(line.before(name)).last().unwrap_or_default();
        let is_before = before.split_whitespace().any(within);
        let after = line.after(name);
        let behind = amount::first_end_with_sign(after, self.currencies).and_then(|end| after.get(end..));
        // `60.00 EUR incl. VAT` is all of it.
        let is_last = |behind: &str| {
            let ends = behind.trim_start().split_once(['.', ',', ';', ')']).map_or(behind, |(sentence, _)| sentence);
            within(ends) && !line.has_any(&self.base.tax)
        };
        is_before || behind.is_some_and(is_last)
    }

    /// Whether the amounts of a line come to an amount.
    fn is_sum_of(&self, total: Money, at: usize) -> bool {
        let all = self.amounts_of(at);
        let units = all.iter().fold(0_i64, |sum, (_, amount)| sum.saturating_add(amount.minor_units()));
        all.len() > 1 && units == total.minor_units()
    }

    /// Whether an entry names something else that is paid in parts, such as a device: `Modem (instalment 2 of 3)`.
    fn is_item_in_parts(&self, line: &Line) -> bool {
        let base = self.base;
        let of_payment = [&base.due, &base.demand, &base.owed, &base.next, &base.bill, &base.total_if_largest];
        if is_sentence(line) || of_payment.iter().any(|labels| line.has_any(labels)) {
            return false;
        }
        let names =
            line.places_of([&self.base.instalment, &self.base.instalment_numbered].into_iter().flat_map(Labels::iter));
        let Some(name) = names.min_by_key(|found| found.start) else { return false };
        let is_other = |word: &str| {
            let is_link = self.base.links.iter().any(|link| link.folded == folded(word));
            word.chars().count() > 2
                && word.chars().all(char::is_alphabetic)
                && !is_link
                && !amount::is_code(word)
                && !is_month(&word.to_lowercase())
        };
        let others = |text: &str| text.split(|c: char| !c.is_alphanumeric()).filter(|word| is_other(word)).count();
        let named = line.shown.get(name.end..).unwrap_or_default();
        others(line.before(name)) > 0 || others(named) > 1
    }

    /// Whether a place is that of an entry, or in a sentence that says what is owed.
    fn is_stated(&self, at: usize, found: Found) -> bool {
        self.marks.get(at).is_some_and(|marks| marks.is_stated(found))
    }

    /// The only amount that is no part, if it is asked for beside it.
    pub(super) fn demanded(&self) -> Read {
        let mut only: Option<(usize, Money)> = None;
        // Beside entries, what is only told counts if it is larger.
        let stated = self.entered();
        let is_entry =
            |line: &Line| line.is_row() || (!is_sentence(line) && amount::ends(&line.shown, self.currencies));
        let is_entered = |at: usize| self.lines.get(at).is_some_and(is_entry);
        let are_rows = stated.iter().all(|(at, stated)| is_entered(*at) && self.is_largest_of_all(*stated));
        let all = if are_rows { stated } else { &self.amounts };
        for (at, amount) in all {
            let (at, amount, line, marks) = (*at, *amount, self.lines.get(*at)?, self.marks.get(*at)?);
            let until = line.shown.get(..marks.first_end().unwrap_or(line.shown.len())).unwrap_or_default();
            let is_larger = |(_, other): &(usize, Money)| other.minor_units() > amount.minor_units();
            // `10.00 EUR a day` tells how the sum is made.
            let is_counted = self.is_counted_by(line, &line.shown) && self.amounts_of(at).len() == 1;
            if !is_counted && amount::amounts(until, self.currencies).contains(&amount) {
                // `20.00 EUR plus VAT, that is 24.00 EUR`
                if self.amounts_of(at).iter().any(is_larger) {
                    return None;
                }
                if only.is_some_and(|(_, only)| only != amount) {
                    return None;
                }
                only = Some((at, amount));
            }
        }
        // A tax may be the bill itself.
        let is_tax = |at: usize| self.marks.get(at).is_some_and(|marks| !marks.has_part() && !marks.has_aside());
        let alone = || self.amounts.first().copied().filter(|(at, _)| self.is_only(*at) && is_tax(*at));
        let (at, amount) = only.or_else(alone)?;
        if self.is_counted_by(self.lines.get(at)?, &self.lines.get(at)?.shown) || self.is_in_passing(at) {
            return None;
        }
        let asks = |line: &Line| {
            let is_due =
                || line.has_any(&self.base.due) && dates(&line.shown, self.order).is_ok_and(|dates| !dates.is_empty());
            line.has_any(&self.base.demand) || line.has_any(&self.base.owed) || self.asks_together(line) || is_due()
        };
        let mut beside = self.lines.get(at.saturating_sub(1)..)?.iter().take(if at == 0 { 2 } else { 3 });
        // Behind a caption of its own it may also be asked for elsewhere.
        let is_captioned = || self.lines.get(at).is_some_and(|line| words(line) <= CAPTION_WORDS);
        let is_asked = beside.any(asks) || (is_captioned() && self.lines.iter().any(asks));
        is_asked.then(|| self.unless_carried(amount, at))
    }

    /// Whether an amount is only mentioned, in a mail that has nothing else of a bill: no number of its own or of a
    /// customer, no due date, no tax, no word that asks for payment; nor, unless a sentence mentions it, a heading.
    pub(super) fn is_in_passing(&self, at: usize) -> bool {
        let is_sentence = self.lines.get(at).is_some_and(|line| words(line) > LABEL_WORDS && !line.is_row());
        let is_of_bill = |line: &Line| {
            let places = |labels: &Labels| labels.iter().find_map(|label| line.find(label));
            let is_numbered = |found: Found| {
                let words = line.after(found).split_whitespace().take(NUMBER_WORDS);
                words.clone().any(|word| word.chars().filter(char::is_ascii_digit).count() > 2)
                    && amount::amounts(&words.collect::<Vec<_>>().join(" "), self.currencies).is_empty()
            };
            let is_account = || places(&self.base.account).is_some_and(|found| has_digit(line.after(found)));
            let is_due = || places(&self.base.due).is_some_and(|found| has_digit(line.after(found)));
            places(&self.base.demand).is_some()
                || self.asks_together(line)
                || is_account()
                || is_due()
                || line.places_of(self.base.bill.iter()).any(is_numbered)
        };
        let is_heading = |line: &Line| line.words() <= HEADING_WORDS && line.has_any(&self.base.bill);
        let all = || std::iter::once(self.subject).chain(self.lines);
        let is_headed = || self.subject.has_any(&self.base.bill) || self.lines.iter().any(is_heading);
        // In running text its name may be another word: `btw` is the tax of Dutch, and `by the way`.
        let is_taxing = |line: &Line| (line.is_row() || !self::is_sentence(line)) && line.has_any(&self.base.tax);
        let is_taxed =
            || (0..self.lines.len()).any(|at| self.has_amount(at) && self.lines.get(at).is_some_and(is_taxing));
        let is_evident = || *self.is_evident.get_or_init(|| all().any(is_of_bill) || is_taxed());
        !is_evident() && (is_sentence || !*self.is_headed.get_or_init(is_headed))
    }
}

/// Whether a line says in how many instalments something is paid: `in three instalments`, `en 6 cuotas`.
pub(super) fn names_several(line: &Line) -> bool {
    let is_count = |word: &str| {
        let word = word.to_lowercase();
        let number: Option<u32> = word.trim_end_matches(['x', '×']).parse().ok();
        number.is_some_and(|number| (2..=60).contains(&number)) || COUNTS.contains(&word.as_str())
    };
    let all = Templates::any_language();
    line.places_of([&all.instalment, &all.several].into_iter().flat_map(Labels::iter)).any(|found| {
        let before = line.before(found).trim_end_matches(' ');
        before.rsplit(|c: char| !c.is_alphanumeric()).next().is_some_and(is_count)
    })
}

/// Whether a line says more than a label does.
pub(super) fn is_sentence(line: &Line) -> bool {
    words(line) > LABEL_WORDS
}

/// The number of words in letters.
fn words(line: &Line) -> usize {
    let words = line.shown.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.chars().count() > 1 && word.chars().all(char::is_alphabetic)).count()
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// Whether a text has `2 of 5` or `2/5` in any language.
pub(super) fn is_numbered(text: &str) -> bool {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '/').filter(|word| !word.is_empty()).collect();
    let is_number = |word: &str| word.len() <= 2 && word.chars().all(|c| c.is_ascii_digit()) && !word.is_empty();
    let is_up_to = |a: &str, b: &str| matches!((a.parse::<u32>(), b.parse::<u32>()), (Ok(a), Ok(b)) if 0 < a && a <= b);
    let is_of = |word: &str| ["of", "de", "von", "sur", "van", "di", "su"].contains(&word.to_lowercase().as_str());
    words.windows(3).any(|words| matches!(words, [a, of, b] if is_number(a) && is_of(of) && is_number(b)))
        || words
            .iter()
            .any(|word| word.split_once('/').is_some_and(|(a, b)| is_number(a) && is_number(b) && is_up_to(a, b)))
}

#[cfg(test)]
mod tests {
    use crate::extract::Refusal;

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Invoice, Rechnung, facture, factura", text)?;
        Some(bill.map(|bill| format!("{} {}", bill.amount, bill.due.map_or("-".to_owned(), |due| due.to_string()))))
    }

    #[test]
    fn what_is_asked_for_is_owed() {
        for text in [
            "We allow ourselves to invoice\n12.00 EUR.\nPlease transfer it before 3 December 2026",
            "We will debit 12.00 EUR on 3 December 2026.",
            "Wir ziehen am 03.12.2026 den Betrag von 12,00 EUR ein.",
            "Votre abonnement 12,00 EUR\ndont TVA 2,00 EUR\nNous débiterons votre carte le 3 décembre 2026",
            "The second instalment of your invoice over 36.00 EUR:\nInstalment 2 of 3, 12.00 EUR, is due on 3 December 2026",
            "Course 36.00 EUR\nTotal 36.00 EUR\nInstalment 2 of 3: 12.00 EUR\nDue date 3 December 2026",
            "Fees 12.00 EUR\nCould you transfer the sum of this bill by 3 December 2026?",
            "We will debit 12.00 EUR (VAT: 2.00 EUR) on 3 December 2026.",
            "Tax for a year 12.00 EUR\nWe will debit your account on 3 December 2026",
            // Legal notes do not count.
            "We will debit 12.00 EUR on 3 December 2026.\nShare capital 100,000.00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR 2026-12-03".into())), "{text}");
        }
    }

    #[test]
    fn a_sentence_that_begins_with_it_tells_what_to_pay() {
        for text in [
            "For the year 36.00 EUR\nPaid so far 24.00 EUR\nPay 12.00 EUR by 3 December 2026",
            "Send us 12.00 EUR no later than 3 December 2026. Due date: 3 December 2026",
            // Beside an amount that stands alone.
            "12.00 EUR\nwill be debited on 3 December 2026",
            "Will be debited on 3 December 2026\n12.00 EUR",
        ] {
            let read = read(text).and_then(Result::ok);
            assert!(read.as_deref().is_some_and(|read| read.starts_with("12.00 EUR")), "{text}: {read:?}");
        }
        for text in [
            "Pay 12.00 EUR by 3 December 2026\nPay 10.00 EUR by 5 December 2026",
            "Pay 12.00 EUR or 10.00 EUR by 3 December 2026",
            "If you pay 12.00 EUR by 3 December 2026 you save",
        ] {
            assert!(!matches!(read(text), Some(Ok(_))), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn of_several_instalments_the_one_that_is_named_is_owed() {
        for text in [
            "Instalment 2 of 3\n12.00 EUR\nOrder total: 36.00 EUR\nDue date 3 December 2026",
            "Amount of the instalment\n12.00 EUR\nNumber of the instalment\n2 of 3\nInstalment 12.00 EUR\nTotal 36.00 EUR\nDue date 3 December 2026",
            "Charge 36.00 EUR in three instalments\nNext collection: 12.00 EUR\nDue date 3 December 2026",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR 2026-12-03".into())), "{text}");
        }
        for text in [
            "Total 36.00 EUR in three instalments\nDue date 3 December 2026",
            // What a device costs each month is an item of the bill.
            "Modem (instalment 2 of 3) 5.00 EUR, internet 31.00 EUR\nTotal 36.00 EUR",
            "Modem, instalment 2 of 3: 5.00 EUR\nInternet 31.00 EUR\nTotal 36.00 EUR",
        ] {
            assert!(!matches!(read(text), Some(Ok(read)) if read.starts_with("5") || read.starts_with("12")), "{text}");
        }
        let several = |text: &str| super::names_several(&crate::extract::line::line(text));
        assert!(several("36.00 EUR in 3 instalments") && several("in drei Raten") && several("em 6 parcelas"));
        assert!(!several("Instalment 2 of 3") && !several("4. Rate: 25,00 EUR"));
    }

    #[test]
    fn an_instalment_that_is_in_another_amount_is_not_owed() {
        for text in [
            "Amount due 36.00 EUR\nDevice payment: 19 of 36, 12.00 EUR included.",
            "Amount due 36.00 EUR\nYour plan costs 36.00 EUR, including the modem (12.00 EUR, instalment 19 of 36).",
        ] {
            assert_eq!(read(text), Some(Ok("36.00 EUR -".into())), "{text}");
        }
        let debit = "On 3 December 2026 the instalment of 12.00 EUR will be debited.\nLoan 36.00 EUR";
        let bill = crate::extract::words("Rate Nr. 4: your invoice", debit).and_then(Result::ok);
        assert_eq!(bill.map(|bill| bill.amount.to_string()).as_deref(), Some("12.00 EUR"));
    }

    #[test]
    fn what_is_only_mentioned_is_not_owed() {
        for text in [
            "Our readers pay too much for power. The grand total of last year was 12.00 EUR for each of them.",
            "Nothing but this: 12.00 EUR",
            "You keep saying that you owe me for the concert, and you do not.\nMy landlord is at it again by the way, and the gas bill was 12.00 EUR last time.",
            // Which of two is due?
            "Total 36.00 EUR\nWe will debit 12.00 EUR on 3 December 2026.",
            "Total 36.00 EUR\nPayable in three instalments, each instalment 12.00 EUR",
            "Forged invoices over 12.00 EUR are being sent in our name",
            "Total: 12.00 EUR in this example of an invoice",
            "A late fee of 12.00 EUR is due from 3 December 2026 on.",
            "We ask for 10.00 EUR plus VAT (2.00 EUR), that is 12.00 EUR. Please transfer it.",
            "Please pay by 3 December 2026 to avoid a fee of 12.00 EUR.",
        ] {
            assert!(!matches!(read(text), Some(Ok(_))), "{text}: {:?}", read(text));
        }
    }
}
