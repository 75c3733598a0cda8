//! The amount that a text is about, found by what stands beside it and by what the amounts come to.
//!
//! ```text
//!   what is left to pay ─── amount due, zu zahlen ──────────────┐
//!   the whole ───────────── grand total, Gesamtbetrag ──┐       │
//!   labels of parts too ─── total, Summe ── if largest ─┤ unless something was paid or is ──▶ one amount,
//!   net and tax come to the largest amount ─────────────┤ carried over further down           or a refusal
//!   `your bill is 12.00 EUR`, the only amount ──────────┘       │
//!   what is left of the amounts above (`remainder.rs`) ─────────┤ above all but the first
//!   due on a day, one of several instalments (`sentence.rs`) ───┤
//!   the only amount, asked for (`sentence.rs`) ─────────────────┘ if there is nothing else
//! ```

use crate::extract::amount::{self, Currencies, Signed};
use crate::extract::assertion::{is_asserted, is_denied, sentences};
use crate::extract::dates::{Order, names_day};
use crate::extract::label::{Label, Labels};
use crate::extract::line::{Column, Found, GAP, Line, folded, line};
use crate::extract::marks::Marks;
use crate::extract::passage::Manner;
use crate::extract::remainder::Entry;
use crate::extract::schedule::Scheduled;
use crate::extract::sentence::{is_sentence, names_several};
use crate::extract::{Refusal, Template, Templates};
use portcullis_protocol::Money;
use std::cell::OnceCell;

/// Words between a label and the end of its line that do not keep its amount from standing on the next one.
const MAX_LINKS: usize = 3;
/// Words of a line that names what stands below it.
const CAPTION_WORDS: usize = 3;
/// Amounts of which each may be the sum of two others.
const MAX_RELATED: usize = 200;
/// Places of a kind of words in a line that are looked at beside those of another kind.
pub(super) const MAX_PLACES: usize = 8;
/// Bytes behind an amount within which the tax is named that comes to it.
const MAX_PLUS: usize = 24;
/// What encloses explanations.
const BRACKETS: [char; 4] = ['(', ')', '[', ']'];
/// Words of a line that is an entry of a bill.
const ENTRY_WORDS: usize = 8;
/// Lines that a sentence that adds up is looked for in.
const MAX_ADDED_LINES: usize = 4;
/// What is at most to be paid early of an amount that is not owed then, in per cent.
const MUCH_LESS: i64 = 80;
/// Words of an amount that is written out.
const WRITTEN_OUT: usize = 3;
/// Names of currencies in amounts that are written out.
const WRITTEN_UNITS: [&str; 12] = [
    "euros", "euro", "pesos", "soles", "reais", "dollars", "dolares", "francs", "franken", "franchi", "pounds",
    "rupees",
];
/// Lines around an amount in which it may be asked for.
const MAX_ASKED_BESIDE: usize = 4;
/// Words for all of something, beside its amount.
const IN_ALL: [&str; 18] = [
    "all in",
    "all told",
    "alles in allem",
    "zusammen",
    "in all",
    "in total",
    "altogether",
    "insgesamt",
    "en tout",
    "au total",
    "en total",
    "in totale",
    "in tutto",
    "ao todo",
    "em total",
    "no total",
    "in totaal",
    "samen",
];
/// Words before what something is.
const IS: [&str; 9] = ["is", "ist", "beträgt", "lautet", "est", "es", "è", "bedraagt", "é"];
/// Of how many of one kind a sum is.
const MAX_COUNT: i64 = 366;
/// Rows between a heading and the total of its table.
const MAX_ROWS: usize = 60;

/// A text, and what is told from its lines.
pub(super) struct Totals<'t> {
    pub(super) subject: &'t Line,
    pub(super) lines: &'t [Line],
    pub(super) marks: &'t [Marks],
    pub(super) currencies: Currencies,
    /// Whether the day or the month stands first in dates.
    pub(super) order: Order,
    /// The biller's template.
    pub(super) own: Option<&'t Template>,
    /// The language of `own`; every language if there is no template.
    pub(super) base: &'t Template,
    /// Every amount, with the line that it stands on.
    pub(super) amounts: Vec<(usize, Money)>,
    /// Those that are no more than told in running text left out.
    stated: Vec<(usize, Money)>,
    /// Of each line whether it has one.
    with_amount: Vec<bool>,
    /// The last amounts of the lines.
    pub(super) entries: OnceCell<Vec<Entry>>,
    /// The last amount of each line, whatever its sign.
    lasts: OnceCell<Vec<Option<Signed>>>,
    /// What is to be paid of a list of instalments.
    pub(super) scheduled: OnceCell<Option<Scheduled>>,
    /// Whether something says that it is a bill, and whether a heading does.
    pub(super) is_evident: OnceCell<bool>,
    pub(super) is_headed: OnceCell<bool>,
}

/// An amount beside a label.
struct Candidate {
    line: usize,
    /// On the label's line, and not in a cell below it or on the next line.
    is_beside: bool,
    read: Result<Money, Refusal>,
}

/// Which lines with a label are meant.
#[derive(Debug, Clone, Copy)]
enum Which {
    Any,
    /// Those that say nothing else.
    Alone,
    /// Those that say that the tax is in it.
    Gross,
}

/// Labels that say the most first.
const EVERY: [Which; 3] = [Which::Gross, Which::Alone, Which::Any];

/// An amount, and the last line that it was read from.
pub(super) type Settled = Result<(Money, usize), Refusal>;

impl<'t> Totals<'t> {
    pub(super) fn new(
        (subject, lines): (&'t Line, &'t [Line]),
        marks: &'t [Marks],
        currencies: Currencies,
        order: Order,
        own: Option<&'t Template>,
        base: &'t Template,
    ) -> Self {
        let mut found: Vec<(usize, Money, bool)> = Vec::new();
        for (at, (line, marks)) in lines.iter().zip(marks).enumerate() {
            if explains_above(lines, at, currencies) {
                continue;
            }
            for piece in marks.pieces.iter().filter(|piece| piece.manner != Manner::Aside) {
                let counted = line.shown.get(piece.start..piece.end).unwrap_or_default();
                // `2 x 6.00 EUR = 12.00 EUR`
                let result = counted.rsplit_once('=').map(|(_, result)| result);
                let result = result.filter(|result| !amount::amounts(result, currencies).is_empty());
                let result = result.or_else(|| multiplied(counted, currencies));
                let mut amounts = amount::amounts(result.unwrap_or(counted), currencies);
                // `12 lessons at 10.50 EUR: 126.00 EUR`
                if let [each, all] = amounts.as_slice()
                    && is_product(counted, *each, *all)
                {
                    amounts = vec![*all];
                }
                if result.is_none() && counted.contains(BRACKETS) {
                    // What is in brackets explains.
                    let outside = amount::amounts(&amount::outside_brackets(counted), currencies);
                    amounts = if outside.is_empty() { amounts } else { outside };
                }
                // `From 10.00 EUR to 20.00 EUR` is no entry.
                let is_stated = piece.manner == Manner::Stated && (result.is_some() || !amount::is_range(counted));
                found.extend(amounts.into_iter().map(|amount| (at, amount, is_stated)));
            }
        }
        let amounts: Vec<(usize, Money)> = found.iter().map(|(at, amount, _)| (*at, *amount)).collect();
        let stated: Vec<(usize, Money)> =
            found.iter().filter(|(_, _, is_stated)| *is_stated).map(|(at, amount, _)| (*at, *amount)).collect();
        let mut with_amount = vec![false; lines.len()];
        for (at, _) in &amounts {
            with_amount.get_mut(*at).into_iter().for_each(|has| *has = true);
        }
        Self {
            subject,
            lines,
            marks,
            currencies,
            order,
            own,
            base,
            amounts,
            stated,
            with_amount,
            entries: OnceCell::new(),
            lasts: OnceCell::new(),
            scheduled: OnceCell::new(),
            is_evident: OnceCell::new(),
            is_headed: OnceCell::new(),
        }
    }

    /// The amounts of a line.
    pub(super) fn amounts_of(&self, at: usize) -> &[(usize, Money)] {
        let from = self.amounts.partition_point(|(line, _)| *line < at);
        let rest = self.amounts.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|(line, _)| *line == at)).unwrap_or_default()
    }

    /// Whether a line has an amount.
    pub(super) fn has_amount(&self, at: usize) -> bool {
        self.with_amount.get(at).is_some_and(|has| *has)
    }

    /// The amount that is believed the most; `None` if there is none.
    pub(super) fn total(&self) -> Option<Result<Money, Refusal>> {
        match self.believed() {
            Some(Ok(amount)) if self.own.is_none() && self.is_less_early(amount) => Some(Err(Refusal::AmbiguousAmount)),
            believed => believed,
        }
    }

    /// Whether much less than an amount is to be paid until a day before: `penalty 100.00`, `if paid by 10 December
    /// 2026 50.00`. A discount of a few per cent is a choice of the reader's.
    fn is_less_early(&self, amount: Money) -> bool {
        let is_less = |other: &Money| {
            let (other, whole) = (other.minor_units(), amount.minor_units());
            0 < other && other.saturating_mul(100) <= whole.saturating_mul(MUCH_LESS)
        };
        let is_discount = |line: &Line| amount::rates(&line.shown).iter().any(|rate| *rate < (100 - MUCH_LESS) * 100);
        let says = |line: &Line| {
            line.has_any(&self.base.early) && (line.is_row() || names_day(&line.shown)) && !is_discount(line)
        };
        let of_line = |line: &Line| amount::amounts(&line.shown, self.currencies);
        self.lines.iter().filter(|line| says(line)).any(|line| {
            let amounts = of_line(line);
            !amounts.contains(&amount) && amounts.iter().any(is_less)
        })
    }

    fn believed(&self) -> Option<Result<Money, Refusal>> {
        let amount = |read: Settled| read.map(|(amount, _)| amount);
        // A biller's own labels are all there are, and mean what the biller says.
        let has_labels =
            |own: &&Template| [&own.owed, &own.total, &own.total_if_largest].iter().any(|labels| !labels.is_empty());
        let own = self.own.filter(has_labels);
        let words = own.unwrap_or(self.base);
        let scheduled = if own.is_none() { self.scheduled() } else { None };
        if let Some(read) = self.owed_behind(&words.owed) {
            return match scheduled {
                // Several that are late come to it, or what was paid before leaves it.
                _ if let Ok((owed, at)) = read
                    && let Some((left, _)) = self.left_below(owed, at) =>
                {
                    Some(Ok(left))
                }
                _ if read
                    .is_ok_and(|(owed, at)| self.is_sum_above(owed, at) || self.remainder() == Some((owed, at))) =>
                {
                    Some(amount(read))
                }
                Some(Scheduled::One(next, _))
                    if read.is_ok_and(|(owed, at)| owed != next && !self.names_instalment(at)) =>
                {
                    Some(Err(Refusal::AmbiguousAmount))
                }
                _ => self.instalment(Some(amount(self.grown(read)))),
            };
        }
        match scheduled {
            Some(Scheduled::One(next, _)) => return Some(Ok(next)),
            Some(Scheduled::Unclear) => return Some(Err(Refusal::AmbiguousAmount)),
            None => {}
        }
        if let Some(read) = self.told_to_pay().filter(|_| own.is_none()) {
            return Some(read);
        }
        let whole = self.whole(words, own.is_some());
        match self.asked().filter(|_| own.is_none()).map(amount) {
            // What is asked for is no other than the whole.
            Some(Ok(asked)) => match whole {
                Some(Ok(whole)) if whole != asked => Some(Err(Refusal::AmbiguousAmount)),
                _ => self.instalment(Some(Ok(asked))),
            },
            _ => whole,
        }
    }

    /// The whole, if the text does not say what is left.
    fn whole(&self, words: &Template, is_own: bool) -> Option<Result<Money, Refusal>> {
        let amount = |read: Settled| read.map(|(amount, _)| amount);
        let whole = self.whole_behind(&words.total).or_else(|| self.in_words().filter(|_| !is_own));
        if is_own {
            return whole.or_else(|| self.largest_behind(&words.total_if_largest, &EVERY)).map(amount);
        }
        let whole = whole
            .or_else(|| self.whole_of_bill())
            .or_else(|| self.largest_behind(&words.total_if_largest, &EVERY))
            .or_else(|| self.largest_behind(&words.bill, &[Which::Alone]))
            .filter(|read| !matches!(read, Ok((_, line)) if self.is_in_passing(*line)));
        // What labels leave open, the amounts may tell.
        let is_open = matches!(whole, None | Some(Err(Refusal::AmbiguousAmount)));
        let told = || {
            self.with_tax()
                .or_else(|| self.with_parts())
                .or_else(|| self.added_up())
                .or_else(|| self.in_all())
                .or_else(|| self.in_words())
        };
        let told = is_open.then(told).flatten().or(whole);
        let whole = told.or_else(|| self.in_sentence()).or_else(|| self.in_subject()).map(|read| self.grown(read));
        let whole = whole.map(|read| read.and_then(|(amount, line)| Ok((self.unless_carried(amount, line)?, line))));
        let whole = match whole {
            Some(Err(Refusal::AmbiguousAmount)) => self.left_of_largest().map(Ok).or(whole),
            Some(Ok((amount, line))) if self.is_divided(amount, line) => Some(Err(Refusal::AmbiguousAmount)),
            whole => whole,
        };
        let is_above = |line: usize| whole.is_none_or(|read| read.is_ok_and(|(_, whole)| whole < line));
        // The sum may stand above what it is made of.
        if let Some((first, last)) = self.foremost()
            && whole.is_none_or(|read| read.map_or_else(|_| true, |(_, line)| line <= last))
        {
            return Some(Ok(first));
        }
        if let Some((left, line)) = self.remainder()
            && (is_above(line) || matches!(whole, Some(Err(Refusal::AmbiguousAmount | Refusal::AmountOutOfRange))))
        {
            return Some(Ok(left));
        }
        let read = self.instalment(self.on_a_day(whole.map(amount)));
        read.or_else(|| self.demanded()).or_else(|| self.told_demand())
    }

    /// Behind the first label of what is left to pay that has an amount: as an entry, or else in a sentence.
    fn owed_behind(&self, labels: &Labels) -> Option<Settled> {
        let all: Vec<Settled> = labels.iter().filter_map(|label| self.in_entry(label)).collect();
        let entered = all.first().copied();
        // Of several that are called so one is what the amounts come to, or nobody can tell.
        if let Some(Ok((first, _))) = entered {
            let differs =
                |read: &&Settled| matches!(read, Ok((other, _)) if *other != first && other.minor_units() > 0);
            let is = |read: Option<Settled>| matches!(read, Some(Ok((sum, _))) if sum == first);
            let is_grown = |read: &Settled| matches!(self.grown(*read), Ok((sum, _)) if sum == first);
            let mut others = all.iter().filter(differs).peekable();
            let is_sum = || is(self.remainder().map(Ok)) || is(self.with_parts()) || is(self.with_tax());
            let comes_of_rows = |read: &&Settled| matches!(read, Ok((sum, at)) if self.is_sum_above(*sum, *at));
            if let Some(sum) = all.iter().find(comes_of_rows).filter(|sum| {
                let is_in_it = |other: &Settled| {
                    matches!((sum, other), (Ok((sum, at)), Ok((part, line)))
                    if part == sum || (part.minor_units() < sum.minor_units() && line < at))
                };
                all.iter().all(is_in_it)
            }) {
                return Some(*sum);
            }
            if others.peek().is_some() && !others.all(is_grown) && !is_sum() {
                return Some(Err(Refusal::AmbiguousAmount));
            }
        }
        let said = || labels.iter().find_map(|label| self.settled(self.behind_owed(label)));
        entered.or_else(said).or_else(|| self.before_owed(labels))
    }

    /// Whether a line names an instalment.
    fn names_instalment(&self, at: usize) -> bool {
        self.lines.get(at).is_some_and(|line| line.has_any(&self.base.instalment))
    }

    /// What an entry asks for: `we will collect: 12.00 EUR`.
    fn asked(&self) -> Option<Settled> {
        let labels = self.base.demand.iter().filter(|label| label.words > 1);
        labels.into_iter().find_map(|label| self.in_entry(label))
    }

    /// Behind a label of what is left to pay that stands in an entry.
    fn in_entry(&self, label: &Label) -> Option<Settled> {
        let is_entry = |read: &Candidate| {
            self.lines.get(read.line).is_some_and(|line| line.is_row() || line.words() <= ENTRY_WORDS)
        };
        let mut candidates = self.behind_owed(label);
        candidates.retain(is_entry);
        self.settled(candidates)
    }

    /// What an amount has grown to further down, if it and what follows it come to a larger one: `invoice 40.00`,
    /// `reminder 5.00`, `together 45.00`.
    fn grown(&self, read: Settled) -> Settled {
        let Ok((amount, line)) = read else { return read };
        // Further instalments are no part of it.
        if self.names_instalment(line) {
            return read;
        }
        self.sum_with(amount, line).map_or(read, Ok)
    }

    /// Behind the first label that has an amount. A column of items may have such a heading too, so below it only the
    /// largest is believed.
    fn whole_behind(&self, labels: &Labels) -> Option<Settled> {
        labels.iter().find_map(|label| {
            let mut candidates = self.behind(label, Which::Any);
            candidates.retain(|candidate| match &candidate.read {
                Ok(amount) => candidate.is_beside || self.is_largest(*amount),
                Err(_) => true,
            });
            self.settled(candidates)
        })
    }

    /// Behind labels that parts have as well. `Sum incl. VAT: 12,00` is worth more than `Sum: 10,00`, and `Total:
    /// 12,00` more than `Total calls: 2,00`.
    fn largest_behind(&self, labels: &Labels, ways: &[Which]) -> Option<Settled> {
        for which in ways {
            for label in labels.iter() {
                let mut candidates = self.behind(label, *which);
                candidates.iter_mut().filter(|read| self.is_one_of_many(read.line)).for_each(|candidate| {
                    candidate.read = Err(Refusal::AmbiguousAmount);
                });
                // Reductions may be called so as well.
                if candidates.iter().any(|candidate| candidate.read.is_ok()) {
                    candidates.retain(|candidate| candidate.read != Err(Refusal::AmountOutOfRange));
                }
                if let Some(read) = self.settled(candidates) {
                    return Some(read.and_then(|read| {
                        // Rows that come to it prove it against what running text mentions.
                        let is_proven = || self.is_sum_above(read.0, read.1) && self.is_largest_entry(read.0);
                        if self.is_largest(read.0) || is_proven() { Ok(read) } else { Err(Refusal::AmbiguousAmount) }
                    }));
                }
            }
        }
        None
    }

    /// Whether a sentence says several amounts: then a bare label does not tell which is meant.
    fn is_one_of_many(&self, at: usize) -> bool {
        let mut amounts: Vec<Money> = self.amounts_of(at).iter().map(|(_, amount)| *amount).collect();
        amounts.dedup();
        amounts.len() > 1 && self.lines.get(at).is_some_and(|line| !line.is_row() && is_sentence(line))
    }

    fn behind_owed(&self, label: &Label) -> Vec<Candidate> {
        let mut candidates = self.candidates(label, Which::Any, true);
        // `Open from previous months: 0.00 EUR` says nothing of this one.
        let is_of_before = |line: usize| self.lines.get(line).is_some_and(|line| line.has_any(&self.base.apart));
        candidates.retain(|candidate| {
            !candidate.read.is_ok_and(|owed| owed.minor_units() == 0) || !is_of_before(candidate.line)
        });
        candidates
    }

    fn behind(&self, label: &Label, which: Which) -> Vec<Candidate> {
        self.candidates(label, which, false)
    }

    /// The amounts beside a label, of these lines; of what is owed, or of the whole, which may be paid in parts.
    fn candidates(&self, label: &Label, which: Which, is_owed: bool) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (at, (line, marks)) in self.lines.iter().zip(self.marks).enumerate() {
            if !line.may_have(label) {
                continue;
            }
            // `Not at your expense`
            let is_meant = |found: &Found| {
                !(marks.qualify(line, *found) || marks.is_aside(*found) || is_owed && is_denied(line, *found))
            };
            let Some(found) = line.places(label).find(is_meant) else { continue };
            let is_wanted = match which {
                Which::Any => true,
                Which::Alone => {
                    amount::is_only_currency(line.before(found)) && amount::is_only_currency(line.after(found))
                }
                Which::Gross => marks.is_gross(line, found),
            };
            if !is_wanted || (!is_owed && self.is_in_several(at, found)) {
                continue;
            }
            // `Pay 29.40 EUR (amount 42.00 EUR less 30 %)`: what is in brackets explains.
            let is_explained = is_in_brackets(line, found, self.currencies);
            let outside = || amount::amounts(&amount::outside_brackets(&line.shown), self.currencies);
            if !is_explained || outside().is_empty() {
                candidates.extend(self.candidate(at, line, found).map(|candidate| (candidate, is_explained)));
            }
        }
        if candidates.iter().any(|(_, is_explained)| !is_explained) {
            candidates.retain(|(_, is_explained)| !is_explained);
        }
        candidates.into_iter().map(|(candidate, _)| candidate).collect()
    }

    /// Whether a sentence says that an amount is paid in several parts: `36.00 EUR in three instalments`.
    pub(super) fn is_in_several(&self, at: usize, found: Found) -> bool {
        let piece = self.marks.get(at).and_then(|marks| marks.piece(found));
        let text = piece.and_then(|piece| self.lines.get(at)?.shown.get(piece.start..piece.end));
        text.is_some_and(|text| names_several(&line(text)))
    }

    /// The amount beside a label at a place.
    fn candidate(&self, at: usize, line: &Line, found: Found) -> Option<Candidate> {
        let value = self.value(at, line, found).filter(|(value, _)| !self.is_counted_by(line, value));
        let read = value.and_then(|(value, is_beside)| Some((amount::amount(value, self.currencies)?, is_beside)));
        let read = match read {
            Some((Err(Refusal::AmbiguousAmount), true)) => {
                Some((self.in_column_of_amounts(at, line).unwrap_or(Err(Refusal::AmbiguousAmount)), true))
            }
            None if line.first_digit(found.end).is_some() => self.stacked(at).map(|read| (read, false)),
            read => read,
        };
        read.map(|(read, is_beside)| Candidate { line: at, is_beside, read })
    }

    /// Whether an amount in a sentence is that of each of several, or a net one: `15.00 EUR per reminder`, `20.00 EUR
    /// plus VAT`.
    pub(super) fn is_counted_by(&self, line: &Line, value: &str) -> bool {
        let Some(end) = amount::first_end_with_sign(value, self.currencies) else { return false };
        let behind = value.get(end..).unwrap_or_default().trim_start();
        // `10.00 EUR per day`, `10.00 EUR a day`
        let mut words = behind.split(|c: char| !c.is_alphanumeric()).map(folded);
        let next = words.next().unwrap_or_default();
        let both = format!("{next}{}", words.next().unwrap_or_default());
        let is_told = !line.is_row() && is_sentence(line);
        let is_each = |label: &Label| label.folded == next || label.folded == both;
        let is_compared = is_told && !next.is_empty() && self.base.each.iter().any(is_each);
        is_compared || self.is_net(behind)
    }

    /// Whether what stands behind an amount says that a tax comes to it.
    pub(super) fn is_net(&self, behind: &str) -> bool {
        let next =
            folded(behind.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default());
        let is_near = |tax: &Label| line(behind).find(tax).is_some_and(|tax| tax.start < MAX_PLUS);
        self.base.plus.iter().any(|label| label.folded == next) && self.base.tax.iter().any(is_near)
    }

    /// Behind a word for the total beside one for the bill, in either order: `the sum of your bill`, `invoice, total`.
    fn whole_of_bill(&self) -> Option<Settled> {
        let mut candidates = Vec::new();
        for (at, (line, marks)) in self.lines.iter().zip(self.marks).enumerate() {
            let totals = line.places_of(self.base.total_if_largest.iter());
            let totals: Vec<Found> = totals.filter(|found| !marks.qualify(line, *found)).take(MAX_PLACES).collect();
            if totals.is_empty() {
                continue;
            }
            let bills: Vec<Found> = line.places_of(self.base.bill.iter()).take(MAX_PLACES).collect();
            let of_bill = |total: Found| {
                let both = |bill: Found| {
                    let (first, second) = if bill.start < total.start { (bill, total) } else { (total, bill) };
                    let between = line.shown.get(first.end..second.start)?;
                    let is_one = line.cell_of(first) == line.cell_of(second) && is_linked(between);
                    is_one.then_some(Found { start: first.start, end: second.end })
                };
                bills.iter().copied().find_map(both)
            };
            let found = totals.iter().copied().find_map(of_bill).filter(|found| !self.is_in_several(at, *found));
            candidates.extend(found.and_then(|found| self.candidate(at, line, found)));
        }
        candidates.retain(|candidate| match &candidate.read {
            Ok(amount) => self.is_largest(*amount),
            Err(_) => true,
        });
        self.settled(candidates)
    }

    /// The amount below a label, or above it, that is alone on its line, if none stands beside the label: what does may
    /// be a date or a percentage.
    fn stacked(&self, at: usize) -> Option<Result<Money, Refusal>> {
        let alone = |at: usize| amount::only_amount(&self.lines.get(at)?.shown, self.currencies);
        let names_part = |at: usize| self.marks.get(at).is_none_or(Marks::has_part);
        if self.has_amount(at) || names_part(at) {
            return None;
        }
        alone(at + 1).or_else(|| {
            let above = at.checked_sub(1)?;
            // Unless what stands above that names it.
            let is_named = above.checked_sub(1).is_some_and(|label| {
                let shown = self.lines.get(label).map_or("", |line| line.shown.as_str());
                let is_short = self.lines.get(label).is_some_and(|line| line.words() <= CAPTION_WORDS)
                    && shown.contains(char::is_alphabetic);
                is_short || names_part(label) || shown.ends_with(':') || self.has_amount(label)
            });
            alone(above).filter(|_| !is_named)
        })
    }

    /// Of a row with several numbers the one below a heading that says amount, if one does: `Sum  32,21  53,70` below
    /// `Litres  Amount`.
    fn in_column_of_amounts(&self, at: usize, row: &Line) -> Option<Result<Money, Refusal>> {
        let heading = (0..at)
            .rev()
            .take(MAX_ROWS)
            .find(|above| !self.has_amount(*above) && self.lines.get(*above).is_some_and(Line::is_row))?;
        let (line, marks) = (self.lines.get(heading)?, self.marks.get(heading)?);
        let words = [&self.base.total, &self.base.total_if_largest];
        let places = line.places_of(words.iter().flat_map(|labels| labels.iter()));
        let mut columns: Vec<Column> =
            places.filter(|found| !marks.qualify(line, *found)).filter_map(|found| line.column_of(found)).collect();
        columns.dedup();
        let (first, others) = columns.split_first()?;
        if others.iter().any(|other| other != first) {
            return None;
        }
        amount::amount(row.cell_in(*first)?, self.currencies)
    }

    /// What stands beside a label, or below it.
    fn value<'l>(&'l self, at: usize, line: &'l Line, found: Found) -> Option<(&'l str, bool)> {
        let value = value(self.lines, at, found)?;
        if std::ptr::eq(value.line, line) {
            let text = self.in_sentence_of(at, found, value.start, value.text);
            return Some((self.until_the_end(at, text, value.start), true));
        }
        if let Some(column) = value.column {
            return Some((self.foot_of(at, column)?, false));
        }
        // What follows is not its value if it names something itself, or if the part that it is stands below it.
        let next = self.marks.get(at + 1)?;
        if self.is_named_below(at + 1) {
            return None;
        }
        let leads = value.text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        (next.parts.is_empty() && amount::is_only_currency(leads)).then_some((value.text, false))
    }

    /// Whether the caption of an amount stands below it: one of a part, with no amount of its own.
    fn is_named_below(&self, at: usize) -> bool {
        let (Some(caption), Some(marks)) = (self.lines.get(at + 1), self.marks.get(at + 1)) else { return false };
        let is_part = marks.has_part() || marks.has_aside();
        let has_own = || self.lines.get(at + 2).is_some_and(|line| amount::is_amount_like(&line.shown));
        is_part && caption.words() <= CAPTION_WORDS && !self.has_amount(at + 1) && !has_own()
    }

    /// What stands in the only row below a heading, or in the last one, if the amounts above it come to that.
    fn foot_of(&self, heading: usize, column: Column) -> Option<&str> {
        let has_digit = |cell: &&str| cell.contains(|c: char| c.is_ascii_digit());
        let below = self.lines.get(heading + 1..)?;
        let first = below.first().and_then(|line| line.cell_in(column)).filter(has_digit);
        // What the table goes on with may be of another kind.
        let is_alike =
            |cell: &&str| amount::is_amount_like(cell) || (has_digit(cell) && amount::is_only_currency(cell));
        let others = below.iter().skip(1).map_while(|line| line.cell_in(column).filter(is_alike));
        let rows: Vec<&str> = first.into_iter().chain(others.filter(|_| first.is_some())).collect();
        let (foot, above) = rows.split_last()?;
        let units = |text: &str| Some(amount::amount(text, self.currencies)?.ok()?.minor_units());
        let sum = above.iter().try_fold(0_i64, |sum, row| sum.checked_add(units(row)?));
        (above.is_empty() || (sum.is_some() && sum == units(foot))).then_some(*foot)
    }

    /// As much of a value as stands in the sentence of its label.
    fn in_sentence_of<'l>(&self, at: usize, found: Found, start: usize, value: &'l str) -> &'l str {
        let piece = self.marks.get(at).and_then(|marks| marks.piece(found));
        let end = piece.and_then(|piece| piece.end.checked_sub(start));
        let value = end.and_then(|end| value.get(..end)).unwrap_or(value);
        // `To pay by 31/12/2026. Later: 63.20 EUR`
        let mut all = sentences(value);
        let first = all.next().filter(|first| first.contains(|c: char| c.is_ascii_digit()));
        let is_new = all.next().is_some_and(|next| next.trim_start().starts_with(char::is_uppercase));
        first.filter(|_| is_new && !self.lines.get(at).is_some_and(Line::is_row)).unwrap_or(value)
    }

    /// A value up to where something else begins behind its first amount: `12.00 EUR, of which VAT 2.00 EUR`.
    fn until_the_end<'l>(&self, at: usize, value: &'l str, start: usize) -> &'l str {
        let ends = self.marks.get(at).map_or(&[][..], |marks| &marks.ends);
        let aside = self.marks.get(at).and_then(|marks| marks.aside_from(start));
        let Some(first) = amount::first_end(value, self.currencies) else { return value };
        let ends = ends.iter().map(|end| end.start).chain(aside);
        let end = ends.filter_map(|end| end.checked_sub(start)).filter(|end| *end >= first).min();
        end.and_then(|end| value.get(..end)).unwrap_or(value)
    }

    /// The one amount of several places: the largest, if a tax or all others together make it of the rest.
    fn settled(&self, mut candidates: Vec<Candidate>) -> Option<Settled> {
        if candidates.iter().any(|candidate| candidate.is_beside) {
            candidates.retain(|candidate| candidate.is_beside);
        }
        let last = candidates.last()?.line;
        let read: Result<Vec<Money>, Refusal> = candidates.into_iter().map(|candidate| candidate.read).collect();
        let mut amounts = match read {
            Ok(amounts) => amounts,
            Err(refusal) => return Some(Err(refusal)),
        };
        amounts.sort_unstable_by_key(Money::minor_units);
        amounts.dedup();
        // Nothing is owed in another currency.
        if amounts.last().is_some_and(|last| last.minor_units() > 0) {
            let currency = amounts.last().map(Money::currency);
            amounts.retain(|amount| amount.minor_units() > 0 || Some(amount.currency()) == currency);
        }
        let (total, others) = amounts.split_last()?;
        if others.is_empty() {
            return Some(Ok((*total, last)));
        }
        if others.iter().any(|other| other.currency() != total.currency()) {
            return Some(Err(Refusal::Currency));
        }
        let rest = |part: &Money| total.minor_units() - part.minor_units();
        let is_taxed = matches!(others, [net] if self.is_tax(rest(net)));
        let is_sum = others.len() > 1 && others.iter().map(Money::minor_units).sum::<i64>() == total.minor_units();
        Some(if is_taxed || is_sum { Ok((*total, last)) } else { Err(Refusal::AmbiguousAmount) })
    }

    /// Whether a line that names a tax says this amount.
    fn is_tax(&self, units: i64) -> bool {
        self.taxes().any(|tax| tax.minor_units() == units)
    }

    /// The amounts of lines that name a tax.
    pub(super) fn taxes(&self) -> impl Iterator<Item = Money> {
        let names_one = |at: usize| self.lines.get(at).is_some_and(|line| names_tax(line) && !is_kept(line));
        self.amounts.iter().filter(move |(at, _)| names_one(*at)).map(|(_, amount)| *amount)
    }

    /// The rates of taxes whose amounts are not said, in hundredths of a per cent.
    fn tax_rates(&self) -> impl Iterator<Item = i64> {
        let untold = self.lines.iter().enumerate().filter(|(at, line)| names_tax(line) && !self.has_amount(*at));
        untold.flat_map(|(_, line)| amount::rates(&line.shown))
    }

    /// Whether no larger one of its currency stands anywhere: otherwise its label names something else.
    pub(super) fn is_largest(&self, total: Money) -> bool {
        let is_larger =
            |other: Money| other.currency() == total.currency() && other.minor_units() > total.minor_units();
        // What is only told in running text is no entry of the bill.
        let is_stated = self.stated.iter().any(|(_, other)| *other == total);
        let others = if is_stated { &self.stated } else { &self.amounts };
        !others.iter().any(|(_, other)| is_larger(*other))
    }

    /// The same, of all that stand in the text, stated or told.
    pub(super) fn is_largest_of_all(&self, total: Money) -> bool {
        self.amounts
            .iter()
            .all(|(_, other)| other.currency() == total.currency() && other.minor_units() <= total.minor_units())
    }

    /// Whether larger ones stand in running text alone.
    fn is_largest_entry(&self, total: Money) -> bool {
        let is_told = |at: usize| self.lines.get(at).is_some_and(|line| !line.is_row() && is_sentence(line));
        self.amounts.iter().all(|(at, other)| {
            other.currency() == total.currency() && (other.minor_units() <= total.minor_units() || is_told(*at))
        })
    }

    /// The amounts that are stated, or all if none is.
    pub(super) fn entered(&self) -> &[(usize, Money)] {
        if self.stated.is_empty() { &self.amounts } else { &self.stated }
    }

    /// The amount that a net amount and a tax make, whatever it is called: the largest, or the only one of its kind.
    fn with_tax(&self) -> Option<Settled> {
        let all = self.entered();
        let largest = *all.iter().max_by_key(|(_, amount)| amount.minor_units())?;
        if all.iter().any(|(_, amount)| amount.currency() != largest.1.currency()) {
            return None;
        }
        let is_net = |units: i64| units > 0 && all.iter().any(|(_, amount)| amount.minor_units() == units);
        let taxes: Vec<Money> = self.taxes().collect();
        let is_taxed = |total: Money| {
            let makes =
                |tax: &Money| tax.minor_units() > 0 && *tax != total && is_net(total.minor_units() - tax.minor_units());
            taxes.iter().any(makes)
        };
        let is_rated = |total: Money| {
            let rated = |rate: i64, net: i64| net.saturating_mul(rate).saturating_add(5_000) / 10_000;
            let net = |rate: i64| {
                all.iter()
                    .map(|(_, net)| net.minor_units())
                    .any(|net| net > 0 && net < total.minor_units() && net + rated(rate, net) == total.minor_units())
            };
            self.tax_rates().any(net)
        };
        // It has a line of its own, which names no part.
        let own_line = |total: Money| {
            all.iter().rev().find(|(line, amount)| {
                *amount == total && self.marks.get(*line).is_some_and(|marks| marks.parts.is_empty())
            })
        };
        if (is_taxed(largest.1) || is_rated(largest.1))
            && let Some((line, total)) = own_line(largest.1)
        {
            return Some(Ok((*total, *line)));
        }
        if all.len() > MAX_RELATED {
            return None;
        }
        let mut made = all.iter().filter(|(line, amount)| {
            is_taxed(*amount) && own_line(*amount).is_some_and(|(own, _)| own == line) && !self.is_taxing(*line)
        });
        let (line, total) = *made.next()?;
        made.all(|(_, other)| *other == total).then_some(Ok((total, line)))
    }

    /// Whether a line names a tax.
    fn is_taxing(&self, at: usize) -> bool {
        self.lines.get(at).is_some_and(names_tax)
    }

    /// The largest amount, if those of the lines above it or below it come to it.
    fn with_parts(&self) -> Option<Settled> {
        self.with_parts_of(self.entered()).or_else(|| self.with_parts_of(&self.amounts))
    }

    fn with_parts_of(&self, all: &[(usize, Money)]) -> Option<Settled> {
        let (_, total) = *all.iter().max_by_key(|(_, amount)| amount.minor_units())?;
        if all.iter().any(|(_, amount)| amount.currency() != total.currency()) {
            return None;
        }
        let mut last_of: Vec<Option<i64>> = vec![None; self.lines.len()];
        for (at, amount) in all {
            last_of.get_mut(*at).into_iter().for_each(|last| *last = Some(amount.minor_units()));
        }
        let last = |at: usize| last_of.get(at).copied().flatten();
        let come_to_it = |lines: &mut dyn Iterator<Item = usize>| {
            let (mut sum, mut count) = (0_i64, 0_usize);
            for units in lines.filter_map(last).take(MAX_ROWS) {
                (sum, count) = (sum.saturating_add(units), count + usize::from(units > 0));
                if sum >= total.minor_units() {
                    break;
                }
            }
            count > 1 && sum == total.minor_units()
        };
        let is_sum = |at: usize| {
            let is_one =
                last(at) == Some(total.minor_units()) && self.marks.get(at).is_some_and(|marks| !marks.has_part());
            is_one && (come_to_it(&mut (0..at).rev()) || come_to_it(&mut (at + 1..self.lines.len())))
        };
        let at = (0..self.lines.len()).find(|at| is_sum(*at))?;
        Some(Ok((total, at)))
    }

    /// Whether the amounts of lines beside each other, this one among them, come to an amount.
    pub(super) fn is_sum_around(&self, total: Money, at: usize) -> bool {
        let last = |line: usize| {
            if self.marks.get(line).is_none_or(Marks::has_carried) {
                return None;
            }
            let is_other = |last: &Signed| last.money != total && last.money.currency() == total.currency();
            let last = self.lasts().get(line)?.filter(is_other)?;
            Some(if last.is_negative { -last.money.minor_units() } else { last.money.minor_units() })
        };
        let above: Vec<i64> = (0..at).rev().take(MAX_ROWS).map_while(last).collect();
        let below: Vec<i64> = (at + 1..self.lines.len()).take(MAX_ROWS).map_while(last).collect();
        let Some(own) = last(at) else { return false };
        let sums = |entries: &[i64]| -> Vec<i64> {
            let sum = |sum: &mut i64, units: &i64| {
                *sum = sum.saturating_add(*units);
                Some(*sum)
            };
            std::iter::once(0).chain(entries.iter().scan(0_i64, sum)).collect()
        };
        let (above, below) = (sums(&above), sums(&below));
        let is_sum = |above: i64| {
            below.iter().any(|below| above.saturating_add(own).saturating_add(*below) == total.minor_units())
        };
        above.len() + below.len() > 2 && above.iter().any(|above| is_sum(*above))
    }

    /// What a sentence adds up, if nothing larger stands in the text.
    fn added_up(&self) -> Option<Settled> {
        let mut found: Option<(Money, usize)> = None;
        for at in (0..self.lines.len()).filter(|at| self.amounts_of(*at).len() > 1) {
            // The sentence may go on in the next line.
            let from = self.amounts.partition_point(|(line, _)| *line < at);
            let until = self.amounts.partition_point(|(line, _)| *line < at + MAX_ADDED_LINES);
            let own = self.amounts_of(at).len();
            let Some((line, sum)) = first_sum(self.amounts.get(from..until).unwrap_or_default(), own) else { continue };
            if found.is_some_and(|(other, _)| other != sum) || self.lines.get(at).is_some_and(Line::is_row) {
                return None;
            }
            found = Some((sum, line));
        }
        found.filter(|(sum, _)| self.is_largest(*sum)).map(Ok)
    }

    /// Whether a line says of what was owed before that it was paid: `last bill paid, thank you: 9.00 EUR`.
    fn says_settled_before(&self, line: &Line, marks: &Marks) -> bool {
        let settled: Vec<Found> = line.places_of(self.base.settled.iter()).take(MAX_PLACES).collect();
        let is_within = |before: &Found, paid: &Found| before.start <= paid.start && paid.end <= before.end;
        let is_balance = |carried: &&Found| !settled.iter().any(|paid| is_within(carried, paid));
        settled.iter().any(|paid| is_asserted(line, *paid)) && marks.carried.iter().any(|carried| is_balance(&carried))
    }

    /// Whether the two rows below an amount come to it, and the second of them stands in the text again: what another
    /// pays may have been taken away, as in `310.00`, `insurer 212.50`, `you 97.50`, `pay 97.50`.
    fn is_divided(&self, total: Money, line: usize) -> bool {
        let only = |at: usize| match self.amounts_of(at) {
            [(_, amount)] if !self.is_taxing(at) && self.marks.get(at).is_some_and(|marks| !marks.has_part()) => {
                Some(*amount)
            }
            _ => None,
        };
        let (Some(first), Some(second)) = (only(line + 1), only(line + 2)) else { return false };
        let times = |of: Money| self.amounts.iter().filter(|(_, amount)| *amount == of).count();
        first.checked_add(second) == Ok(total) && times(second) > 1 && times(total) == 1
    }

    /// What is left of an amount, if the row below it says what was paid of it, and the one below that comes to the
    /// rest: `for the year 409.00`, `paid in advance 195.00`, `balance 214.00`.
    fn left_below(&self, total: Money, line: usize) -> Option<(Money, usize)> {
        let taken = self.lasts().get(line + 1).copied().flatten().filter(|_| !self.asks_for_deposit())?;
        let says_taken = self.marks.get(line + 1).is_some_and(Marks::has_carried)
            && self.lines.get(line + 1).is_some_and(|line| line.is_row() || line.words() <= ENTRY_WORDS);
        let [(_, left)] = self.amounts_of(line + 2) else { return None };
        let is_rest = taken.money.checked_add(*left) == Ok(total);
        (says_taken && is_rest && left.minor_units() > 0 && !self.asks_for_deposit()).then_some((*left, line + 2))
    }

    /// The last amount of a line, whatever its sign.
    pub(super) fn last_amount(&self, at: usize) -> Option<Money> {
        self.lasts().get(at).copied().flatten().map(|last| last.money)
    }

    /// Whether rows below an amount say that more than it was paid, and how much is the reader's: `753.88`, `840.00`,
    /// `86.12`.
    pub(super) fn is_overpaid(&self, total: Money) -> bool {
        let row = |at: usize| self.last_amount(at);
        let is_total = |at: &usize| row(*at) == Some(total);
        (0..self.lines.len()).filter(is_total).any(|at| {
            let (Some(paid), Some(left)) = (row(at + 1), row(at + 2)) else { return false };
            let says_paid = self.marks.get(at + 1).is_some_and(Marks::has_carried)
                || self.lines.get(at + 1).is_some_and(|line| line.has_any(&self.base.settled));
            says_paid && left.minor_units() > 0 && total.checked_add(left) == Ok(paid)
        })
    }

    /// The same, of the largest amount.
    fn left_of_largest(&self) -> Option<(Money, usize)> {
        let (line, largest) = *self.entered().iter().max_by_key(|(_, amount)| amount.minor_units())?;
        self.left_below(largest, line).filter(|_| self.is_largest(largest))
    }

    /// What a sentence says that something comes to in all, if nothing larger stands in the text: `12.00 EUR in all`.
    fn in_all(&self) -> Option<Settled> {
        let mut found: Option<(Money, usize)> = None;
        for at in 0..self.lines.len() {
            let (line, marks) = (self.lines.get(at)?, self.marks.get(at)?);
            if line.is_row() || marks.has_carried() || marks.has_aside() || self.amounts_of(at).is_empty() {
                continue;
            }
            let Some(said) = sentences(&line.shown).find_map(|sentence| sum_in_all(sentence, self.currencies)) else {
                continue;
            };
            if found.is_some_and(|(other, _)| other != said) {
                return None;
            }
            found = Some((said, at));
        }
        found.filter(|(sum, at)| self.is_largest(*sum) && !self.is_in_passing(*at)).map(Ok)
    }

    /// The one amount that is also written out in words, if none is larger or a line beside it asks for it:
    /// `TWO HUNDRED EUROS (200.00 EUR)`.
    fn in_words(&self) -> Option<Settled> {
        let mut found: Option<(Money, usize)> = None;
        for at in (0..self.lines.len()).filter(|at| self.has_amount(*at)) {
            let Some(said) = self.lines.get(at).and_then(|line| written_out(&line.shown, self.currencies)) else {
                continue;
            };
            if found.is_some_and(|(other, _)| other != said) {
                return None;
            }
            found = Some((said, at));
        }
        let asks = |line: &Line| line.places_of(self.base.demand.iter()).any(|found| is_asserted(line, found));
        let is_asked = |at: usize| self.lines.iter().skip(at.saturating_sub(1)).take(MAX_ASKED_BESIDE).any(asks);
        found.filter(|(said, at)| (self.is_largest(*said) || is_asked(*at)) && !self.is_in_passing(*at)).map(Ok)
    }

    /// Before a label of what is left to pay, in its sentence: `95.00 EUR to pay`.
    fn before_owed(&self, labels: &Labels) -> Option<Settled> {
        let mut found: Option<(Money, usize)> = None;
        for (at, (line, marks)) in self.lines.iter().zip(self.marks).enumerate() {
            let is_said = !line.is_row() && self.has_amount(at);
            let places = line.places_of(labels.iter().filter(|_| is_said));
            for place in places.filter(|place| !marks.is_aside(*place) && is_asserted(line, *place)).take(MAX_PLACES) {
                let before = line.before(place);
                let sentence = sentences(before).last().unwrap_or_default();
                let is_apart = self.base.apart.iter().any(|label| crate::extract::line::line(sentence).has(label));
                if is_apart
                    || names_several(line)
                    || marks.qualify(line, place)
                    || !amount::ends(sentence, self.currencies)
                {
                    continue;
                }
                let amounts = amount::amounts(sentence, self.currencies);
                let ([owed], true) = (amounts.as_slice(), found.is_none_or(|(other, _)| amounts.contains(&other)))
                else {
                    return None;
                };
                found = Some((*owed, at));
            }
        }
        let is_shown = |owed: Money, at| self.is_largest(owed) || self.is_sum_above(owed, at);
        found.filter(|(owed, at)| owed.minor_units() > 0 && is_shown(*owed, *at)).map(Ok)
    }

    /// Whether the amounts of the rows above a line come to its amount.
    fn is_sum_above(&self, total: Money, at: usize) -> bool {
        let (mut sum, mut count) = (0_i64, 0_usize);
        for above in (at.saturating_sub(MAX_ROWS)..at).rev() {
            let taken = self.lasts().get(above).copied().flatten().filter(|last| last.is_negative);
            match (self.amounts_of(above), taken) {
                ([], None) if self.lines.get(above).is_some_and(is_rule) => {}
                ([], Some(part)) if part.money.currency() == total.currency() => {
                    (sum, count) = (sum.saturating_sub(part.money.minor_units()), count + 1);
                }
                ([(_, part)], None) if part.currency() == total.currency() => {
                    (sum, count) = (sum.saturating_add(part.minor_units()), count + 1);
                }
                _ => break,
            }
            if count > 1 && sum == total.minor_units() {
                return true;
            }
            if sum > total.minor_units() {
                break;
            }
        }
        false
    }

    fn lasts(&self) -> &[Option<Signed>] {
        let last = |line: &Line| amount::signed(&line.shown, self.currencies).last().copied();
        self.lasts.get_or_init(|| self.lines.iter().map(last).collect())
    }

    /// The amount, unless something further down was paid already or is owed from before.
    pub(super) fn unless_carried(&self, amount: Money, line: usize) -> Result<Money, Refusal> {
        let below = || self.lines.iter().zip(self.marks).skip(line + 1);
        let carried = below().flat_map(|(line, marks)| {
            let places = marks.carried.iter().filter(|place| !marks.is_aside(**place));
            // `Last month you paid 12.00 EUR`
            let is_of_other_time = |place: &Found| {
                let is_settled = || line.places_of(self.base.settled.iter()).any(|settled| settled == *place);
                !line.is_row() && line.has_any(&self.base.apart) && is_settled()
            };
            let places = places.filter(move |place| !self.says_settled_before(line, marks) && !is_of_other_time(place));
            let behind = places.map(move |place| {
                let end = marks.piece(*place).map_or(line.shown.len(), |piece| piece.end);
                // `Without the withholding, so to pay are 12.00 EUR`
                let owed = line.places_of(self.base.owed.iter()).map(|owed| owed.start);
                let owed = owed.filter(|owed| *owed >= place.end && !line.is_row()).min();
                line.shown.get(place.end..owed.map_or(end, |owed| owed.min(end))).unwrap_or_default()
            });
            behind.flat_map(|text| amount::signed(text, self.currencies)).take(1)
        });
        // What was owed before and paid is over.
        let entered = || below().flat_map(|(line, _)| amount::signed(&line.shown, self.currencies)).take(MAX_ROWS);
        let is_over = |carried: &Signed| {
            entered().any(|other| other.money == carried.money && other.is_negative != carried.is_negative)
        };
        let is_open = |carried: &Signed| carried.money.minor_units() != 0 && !is_over(carried);
        let mut carried = carried;
        if carried.any(|carried| is_open(&carried)) { Err(Refusal::AmbiguousAmount) } else { Ok(amount) }
    }
}

/// The first amount, from this number of them on, that those before it come to: `23.00, and 5.00, together 28.00`.
fn first_sum(amounts: &[(usize, Money)], from: usize) -> Option<(usize, Money)> {
    let mut sum = 0_i64;
    for (count, (line, amount)) in amounts.iter().enumerate() {
        if count > 1 && count + 1 >= from && sum == amount.minor_units() {
            return Some((*line, *amount));
        }
        sum = sum.saturating_add(amount.minor_units());
        if amounts.first().is_none_or(|(_, first)| first.currency() != amount.currency()) {
            break;
        }
    }
    None
}

/// The amount beside words for all of something, in either order: `12.00 EUR in all`, `in tutto fanno 12,00 EUR`.
fn sum_in_all(sentence: &str, currencies: Currencies) -> Option<Money> {
    let lower = sentence.to_lowercase();
    let of = |phrase: &str| {
        let (before, after) = lower.split_once(phrase)?;
        let is_word = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        let (before, after) = (sentence.get(..before.len())?, sentence.get(sentence.len() - after.len()..)?);
        let last = amount::amounts(before, currencies).last().copied();
        let is_last = amount::last_end_with_sign(before, currencies).is_some_and(|end| is_near(before.get(end..)));
        let next = amount::amounts(after, currencies).first().copied();
        let start = after.find(|c: char| c.is_ascii_digit());
        let is_next = start.is_some_and(|start| is_near(after.get(..start)));
        match (last.filter(|_| is_last && is_word), next.filter(|_| is_next && is_word)) {
            (Some(said), None) | (None, Some(said)) => Some(said),
            _ => None,
        }
    };
    (lower.len() == sentence.len()).then(|| IN_ALL.iter().find_map(|phrase| of(phrase))).flatten()
}

/// The amount in brackets behind one that is written out in words.
fn written_out(text: &str, currencies: Currencies) -> Option<Money> {
    let in_words = |before: &str| {
        let words: Vec<String> = before.split_whitespace().rev().take(WRITTEN_OUT).map(folded).collect();
        let is_unit = |word: &String| WRITTEN_UNITS.contains(&word.as_str());
        words.len() == WRITTEN_OUT
            && words.iter().any(is_unit)
            && !words.iter().any(|word| word.contains(char::is_numeric))
    };
    let (_, rest) = text.match_indices('(').map(|(at, _)| text.split_at(at)).find(|(before, _)| in_words(before))?;
    let within = rest.split(')').next()?.trim_start_matches('(');
    let amounts = amount::amounts(within, currencies);
    if let [only] = amounts.as_slice() { Some(*only) } else { None }
}

/// Whether hardly a word stands between an amount and what it is of.
fn is_near(between: Option<&str>) -> bool {
    between.is_some_and(|between| {
        between.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count() <= 1
            && !between.contains(['.', ',', ';'])
    })
}

/// What comes of a multiplication, in the last cell of a row: `3 x 6.00 EUR | 18.00 EUR`.
fn multiplied(row: &str, currencies: Currencies) -> Option<&str> {
    let (rest, last) = row.rsplit_once(GAP)?;
    let is_sign = |word: &str| matches!(word.to_lowercase().as_str(), "x" | "×" | "@" | "à" | "*");
    let multiplies = rest.split_whitespace().any(is_sign);
    (multiplies && !amount::amounts(last, currencies).is_empty()).then_some(last)
}

/// Whether a line only says how the amount of the line above it is made: `Plan 36.00 EUR`, and below it
/// `3 x 12.00 EUR`.
pub(super) fn explains_above(lines: &[Line], at: usize, currencies: Currencies) -> bool {
    let (Some(line), Some(above)) = (lines.get(at), at.checked_sub(1).and_then(|above| lines.get(above))) else {
        return false;
    };
    let is_sign = |word: &str| matches!(word, "x" | "X" | "×" | "@" | "à");
    let multiplies = || line.shown.split_whitespace().any(is_sign);
    match (amount::amounts(&line.shown, currencies).as_slice(), amount::amounts(&above.shown, currencies).last()) {
        ([each], Some(all)) => multiplies() && is_product(&line.shown, *each, *all),
        _ => false,
    }
}

/// Whether one amount is the other times a number that stands before it in the text.
fn is_product(text: &str, each: Money, all: Money) -> bool {
    let counts = text.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.parse::<i64>().ok());
    let is_count = |count: i64| each.minor_units().checked_mul(count) == Some(all.minor_units());
    each.minor_units() > 0
        && each.currency() == all.currency()
        && counts.take(MAX_PLACES).any(|count| (2..=MAX_COUNT).contains(&count) && is_count(count))
}

/// Whether a line has no letter and no digit: it is drawn.
fn is_rule(line: &Line) -> bool {
    !line.shown.contains(char::is_alphanumeric)
}

/// Whether a place is in brackets that have an amount behind it.
fn is_in_brackets(line: &Line, found: Found, currencies: Currencies) -> bool {
    let (before, after) = (line.before(found), line.after(found));
    let within = after.split([')', ']']).next().unwrap_or_default();
    before.matches(['(', '[']).count() > before.matches([')', ']']).count()
        && !amount::amounts(within, currencies).is_empty()
}

/// Whether a line names something that is kept back, which is no part of the sum.
fn is_kept(line: &Line) -> bool {
    line.has_any(&Templates::any_language().less)
}

fn names_tax(line: &Line) -> bool {
    line.has_any(&Templates::any_language().tax)
}

/// Text beside or below a label.
pub(super) struct Value<'l> {
    pub(super) line: &'l Line,
    /// Where in the line it begins.
    pub(super) start: usize,
    pub(super) text: &'l str,
    /// Its column, if it stands below the label in a table.
    pub(super) column: Option<Column>,
}

/// What stands behind a label: the rest of the line; if that has no digit, the cell below it in a table, what stands
/// before it if that is nothing but an amount, or the next line.
pub(super) fn value(lines: &[Line], at: usize, found: Found) -> Option<Value<'_>> {
    let line = lines.get(at)?;
    let (before, rest) = (line.before(found), line.after(found));
    let digits = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    if digits(rest) {
        return Some(Value { line, start: found.end, text: rest, column: None });
    }
    if digits(before) && rest.trim().is_empty() && amount::is_only_currency(before) {
        // `12,00 € TTC`
        return Some(Value { line, start: 0, text: before, column: None });
    }
    let next = lines.get(at + 1)?;
    if let Some(column) = line.column_of(found)
        && let Some(below) = next.cell_in(column)
    {
        return Some(Value { line: next, start: 0, text: below, column: Some(column) });
    }
    let is_told_below = || announces(rest) && amount::is_amount_like(&next.shown);
    (is_linked(rest) || is_told_below()).then_some(Value {
        line: next,
        start: 0,
        text: next.shown.as_str(),
        column: None,
    })
}

/// Whether a text ends as if what it is about followed: `of your bill for December is`.
fn announces(text: &str) -> bool {
    let last = text.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    text.trim_end().ends_with(':') || IS.contains(&last.as_str())
}

/// Whether a text is a few words that belong to those before or behind them, if it has any.
pub(super) fn is_linked(text: &str) -> bool {
    let links = &Templates::any_language().links;
    let is_link = |word: &str| {
        let folded = folded(word);
        links.iter().any(|link| link.folded == folded) || amount::is_only_currency(word)
    };
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.clone().count() <= MAX_LINKS && words.all(is_link)
}

#[cfg(test)]
mod tests {
    use crate::extract::Refusal;

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Your invoice", text);
        bill.map(|bill| bill.map(|bill| bill.amount.to_string()))
    }

    #[track_caller]
    fn assert_all(texts: &[&str], expected: Option<Result<&str, Refusal>>) {
        for text in texts {
            assert_eq!(read(text), expected.map(|read| read.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_is_left_to_pay_is_worth_more_than_the_whole() {
        assert_all(
            &[
                "Grand total: 20.00 EUR\nDeposit: 8.00 EUR\nBalance due: 12.00 EUR",
                "New balance 12.00 EUR\nMinimum payment due 5.00 EUR",
                "Gesamtbetrag 20,00 EUR\nErhaltene Anzahlungen 8,00 EUR\nzu zahlender Restbetrag 12,00 EUR",
                // What was paid before stands above the whole, and is in it.
                "Voucher 3.00 EUR\nDeposit 5.00 EUR\nGrand total 12.00 EUR",
                "Grand total 12.00 EUR\nDeposit 0.00 EUR",
            ],
            Some(Ok("12.00 EUR")),
        );
        assert_all(
            &["Grand total: 20.00 EUR\nDeposit: 8.00 EUR", "Total: 20.00 EUR\nAlready paid: 20.00 EUR"],
            Some(Err(Refusal::AmbiguousAmount)),
        );
    }

    #[test]
    fn a_value_ends_where_something_else_begins() {
        assert_all(
            &[
                "Amount due: 12.00 EUR, of which VAT 2.00 EUR",
                "Gesamtbetrag 12,00 EUR inkl. 2,00 EUR MwSt.",
                "Endbetrag inkl. 20 % MwSt: 12,00 EUR",
                "Your total amount due is\n12.00 EUR",
                "Total due 12.00 EUR net 10.00 EUR",
            ],
            Some(Ok("12.00 EUR")),
        );
        assert_all(
            &["Amount due: 12.00 EUR by 1 May, 14.00 EUR after that", "Total due 10.00 EUR or 12.00 EUR"],
            Some(Err(Refusal::AmbiguousAmount)),
        );
    }

    #[test]
    fn of_two_amounts_that_are_called_owed_none_is_if_they_do_not_belong_together() {
        assert_all(&["Amount due: 10.00 EUR\nBalance due: 12.00 EUR"], Some(Err(Refusal::AmbiguousAmount)));
        assert_all(
            &[
                "Outstanding 10.00 EUR\nReminder 2.00 EUR\nTotal amount due 12.00 EUR",
                "Outstanding 0.00 EUR\nAmount due 12.00 EUR",
                "Amount due 12.00 EUR\nActual balance due 20.00 EUR (for information only)",
            ],
            Some(Ok("12.00 EUR")),
        );
    }

    #[test]
    fn what_rows_and_sentences_come_to_is_told_by_them() {
        assert_all(
            &[
                "Outstanding for May 6.00 EUR\nOutstanding for June 6.00 EUR\nOverdue amount 12.00 EUR",
                "Last bill paid on 1 May 2026, thank you 9.00 EUR\nInvoice total 12.00 EUR\nLast bill paid, thank you 9.00 EUR",
                "Total due in pesos 12.00 EUR\nTotal due in dollars 0.00 USD",
            ],
            Some(Ok("12.00 EUR")),
        );
        let sentence = "The rent is 8.00 EUR, the heating 3.00 EUR and the water 1.00 EUR, so 12.00 EUR in all.";
        assert_all(&[sentence], Some(Ok("12.00 EUR")));
        let other = "The rent is 8.00 EUR, the heating 3.00 EUR and the water 2.00 EUR, so 12.00 EUR in all.";
        assert!(!matches!(read(other), Some(Ok(_))), "{:?}", read(other));
    }

    #[test]
    fn what_an_entry_asks_for_is_no_other_than_the_whole() {
        assert_all(
            &["We will collect: 12.00 EUR", "Total 12.00 EUR\nWe will collect: 12.00 EUR"],
            Some(Ok("12.00 EUR")),
        );
        assert_all(&["Grand total 20.00 EUR\nWe will collect: 12.00 EUR"], Some(Err(Refusal::AmbiguousAmount)));
    }

    #[test]
    fn the_amount_of_each_of_several_and_a_net_one_are_no_totals() {
        for text in [
            "You owe what you have lent: 12.00 EUR per reminder and person from then on",
            "The sum is 12.00 EUR plus VAT of 2.40 EUR for this year and the next",
        ] {
            assert!(!matches!(read(text), Some(Ok(_))), "{text}: {:?}", read(text));
        }
        // What comes of a multiplication is the entry.
        assert_all(&["Lessons, 2 x 30.00 EUR\t12.00 EUR\nTotal\t12.00 EUR"], Some(Ok("12.00 EUR")));
    }

    #[test]
    fn a_line_that_multiplies_explains_the_amount_above_it() {
        let text = "12.00 EUR\nPlan\t18.00 EUR\nQty 3 x 6.00 EUR\nDiscount\t-6.00 EUR\nTotal\t12.00 EUR";
        assert_all(&[text], Some(Ok("12.00 EUR")));
    }

    #[test]
    fn what_was_owed_before_and_paid_is_over() {
        let text = "Invoice total 12.00 EUR\nPrevious bill 9.00 EUR\nPayment, thank you -9.00 EUR";
        assert_all(&[text], Some(Ok("12.00 EUR")));
        assert_all(&["Invoice total 12.00 EUR\nPrevious bill 9.00 EUR"], Some(Err(Refusal::AmbiguousAmount)));
    }

    #[test]
    fn below_a_heading_stands_one_amount_or_the_sum_of_a_column() {
        assert_all(
            &[
                "Item\tNet\tTotal amount\nBook\t10.00 EUR\t12.00 EUR",
                "Net     Tax    Total amount\n5.00    1.00    6.00 EUR\n5.00    1.00    6.00 EUR\n10.00   2.00   12.00 EUR",
                // Beside its label a total is worth more than in a column of that name.
                "Item\tTotal amount\nBook\t7.00 EUR\nPen\t5.00 EUR\nTotal amount: 12.00 EUR",
            ],
            Some(Ok("12.00 EUR")),
        );
        for text in [
            "Item\tTotal amount\nBook\t7.00 EUR\nPen\t5.00 EUR\nWe ask for 13.00 EUR",
            "Item\tTotal amount\nBook\t7.00 EUR\nWe ask for 12.00 EUR",
        ] {
            assert!(!matches!(read(text), Some(Ok(_))), "{text}");
        }
    }

    #[test]
    fn a_net_amount_and_a_tax_tell_the_total_whatever_it_is_called() {
        assert_all(&["Work 10.00 EUR\nVAT 20 % 2.00 EUR\nTogether 12.00 EUR"], Some(Ok("12.00 EUR")));
        assert_all(
            &[
                "Work 10.00 EUR\nVAT 20 % 3.00 EUR\nTogether 12.00 EUR",
                "Work 10.00 EUR\nPens 3.00 EUR\nTogether 12.00 EUR",
            ],
            None,
        );
        assert_all(
            &[
                "Work 10.00 EUR\nPens 2.00 EUR\nTogether 12.00 EUR",
                "It's 12.00 EUR\nWork 10.00 EUR\nPens 2.00 EUR",
                "Work 10.00 EUR\nVAT 20 %\nTogether 12.00 EUR",
                "Work   1   4.00   8.00\nPens   2   2.00   4.00\nTogether EUR 12.00",
            ],
            Some(Ok("12.00 EUR")),
        );
    }

    #[test]
    fn a_sentence_may_say_how_much_a_bill_is() {
        assert_all(
            &[
                "Your bill for July 2026 is 12.00 EUR and will be collected on 3 August.",
                "Hello Kim,\nyour invoice no. 4711 of 1 July 2026 for EUR 12.00 is ready.",
                "Ihre Rechnung 4711 vom 01.07.2026 in Höhe von 12,00 € liegt bereit.",
                "votre facture du 1 juillet 2026 d'un montant de 12,00 € est disponible",
            ],
            Some(Ok("12.00 EUR")),
        );
        for text in [
            "Your next bill is 12.00 EUR lower than this one.",
            "Your bill is lower: you keep 12.00 EUR",
            "Your bill is 12.00 EUR less.",
            "Your bill is 12.00 EUR, and 5.00 EUR more next month.",
            "Your bill is here. Recommend us for 12.00 EUR.",
        ] {
            assert!(!matches!(read(text), Some(Ok(_))), "{text}");
        }
    }

    #[test]
    fn a_document_may_say_what_its_amounts_are_in() {
        assert_all(&["Currency: EUR\nGBP accounts on request\nAmount due 12.00"], Some(Ok("12.00 EUR")));
        assert_all(
            &["Currency: EUR\nCurrency: GBP\nAmount due 12.00", "Currency: see below (EUR)\nGBP\nAmount due 12.00"],
            Some(Err(Refusal::Currency)),
        );
    }

    #[test]
    fn what_costs_much_less_early_is_not_read_and_a_discount_does_not_matter() {
        let early = "Fine: 12.00 EUR\nIf paid by 3 December 2026: 6.00 EUR";
        assert_eq!(read(early), Some(Err(Refusal::AmbiguousAmount)));
        for text in [
            "Fine: 24.00 EUR\nIf paid by 3 December 2026: 12.00 EUR\nAmount due now: 12.00 EUR",
            "Amount due: 12.00 EUR\nIf you pay by 3 December 2026 you may deduct 2% (0.24 EUR).",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }

    #[test]
    fn rows_prove_a_total_and_what_is_owed() {
        for text in [
            // Against what running text mentions, a list of late instalments, and what is introduced by a sentence.
            "Power 10.00 EUR\nGas 2.00 EUR\nTotal 12.00 EUR\nOur monthly bill of 99.00 EUR for the accounts stays on your card as ever.",
            "Share 8.00 EUR\nRoof, instalment 2 of 3 7.00 EUR\nCredit -3.00 EUR\nAmount due 12.00 EUR",
            "Instalment due 1 October 2026 6.00 EUR\nInstalment due 1 November 2026 6.00 EUR\nAmount overdue 12.00 EUR",
            "We regret that you still have not paid us the sum of 12.00 EUR, which is made up of:\nPrincipal\t10.00 EUR\nInterest\t2.00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        // What an insurer pays may have been taken away.
        let divided = "Total 12.00 EUR\nFund of the town 7.00 EUR\nRest 5.00 EUR\nTransfer: 5.00 EUR";
        assert_ne!(read(divided), Some(Ok("12.00 EUR".into())));
    }

    #[test]
    fn what_is_left_may_stand_below_what_was_paid() {
        for text in [
            "Amount due for the year 20.00 EUR\nDeposit asked for before 8.00 EUR\nBalance 12.00 EUR",
            "Sum of all parts 20.00 EUR\nParts already paid 8.00 EUR\nThis part 12.00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        let other = "Amount due for the year 20.00 EUR\nDeposit asked for before 8.00 EUR\nBalance 11.00 EUR";
        assert_ne!(read(other), Some(Ok("11.00 EUR".into())));
    }

    #[test]
    fn sentences_say_sums_in_many_ways() {
        for text in [
            "Hello Kim, the boiler was 10.00 EUR and the pipe 1.50 EUR, with the tax it is 12.00 EUR in all.",
            "Quindi in tutto fanno 12,00 EUR",
            "You bring 2.00 EUR for the bus. So 12.00 EUR to be paid remain from your side.",
            "Le pido una provisión de fondos por importe de SETECIENTOS DOCE EUROS (12,00 €), que deberá hacer efectiva pronto.",
        ] {
            let text = &format!("{text}\nPlease transfer it by 3 December 2026");
            assert_eq!(
                crate::extract::words("Your invoice", text)
                    .and_then(Result::ok)
                    .map(|bill| bill.amount.to_string())
                    .as_deref(),
                Some("12.00 EUR"),
                "{text}"
            );
        }
        assert_ne!(read("It is 12.00 EUR in all.\nContract value 48.00 EUR"), Some(Ok("12.00 EUR".into())));
    }

    #[test]
    fn what_is_denied_to_be_owed_is_not() {
        let text = "Amount due 12.00 EUR\nPaid by the town (not at your expense, no amount due): 48.00 EUR";
        assert_eq!(read(text), Some(Ok("12.00 EUR".into())));
    }

    #[test]
    fn if_more_was_paid_than_the_whole_nothing_is_owed() {
        let rows = "Rechnungsbetrag\t12,00 EUR\nBereits bezahlte Teilbeträge\t20,00 EUR\nAuf Ihrem Konto";
        assert_eq!(read(&format!("{rows}\t8,00 EUR")), None);
        assert_eq!(read(&format!("{rows}\t7,00 EUR")), Some(Ok("12.00 EUR".into())), "the control");
    }

    #[test]
    fn limits_examples_and_parts_of_a_sum_are_not_meant_and_a_fee_is() {
        for text in [
            "Total 12.00 EUR\nInsurance of the contents up to 3,000.00 EUR\t5.00 EUR",
            "Gesamtbetrag 12,00 EUR\nRepräsentatives Beispiel: Kredit 3.000,00 EUR, Gesamtbetrag 3.592,56 EUR.",
            "Gross 12.00 EUR\nIm Bruttobetrag sind Lohnkosten von 7.00 EUR enthalten",
            "Instalment 2 of 4\t10.00 EUR\nInstalment fee\t2.00 EUR\nMinimum due\t12.00 EUR\nPay in full\t40.00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }

    #[test]
    fn what_explains_in_brackets_and_behind_a_sentence_is_not_meant() {
        for text in [
            "Total 12.00 EUR\nThe note is attached (total of services 12.00 EUR; tax kept 0.00 EUR).",
            "Total 12.00 EUR\nTo be paid by 3 December 2026. After the due date: 15.00 EUR",
            "The total of your bill for December is\n12.00 EUR\ndue on 3 December 2026",
            "Total 12.00 EUR\nIncome from 40,000.00 EUR to 60,000.00 EUR",
            "4 lessons at 3.00 EUR: 12.00 EUR\nPlease pay by 3 December 2026",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }
}
