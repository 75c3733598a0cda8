//! What is left of a sum, told from the amounts alone: `310.00`, `-212.50`, `-25.00`, `72.50`.

use crate::extract::Templates;
use crate::extract::amount;
use crate::extract::line::{GAP, Line};
use crate::extract::total::{Totals, explains_above};
use portcullis_protocol::Money;

/// Amounts that a remainder is made of: bills list few payments.
const MAX_ENTRIES: usize = 12;

/// Amounts above the one that a larger one is made of.
const MAX_BEFORE: usize = 2;

/// The last amount of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    line: usize,
    money: Money,
    /// Whether it is taken away from what stands above it.
    is_taken: bool,
    is_negative: bool,
    is_part: bool,
    /// Whether it is called the whole, or what is left to pay.
    is_total: bool,
}

impl Totals<'_> {
    /// The last amount that those above it come to, one of which at least is taken away; and its line.
    pub(super) fn remainder(&self) -> Option<(Money, usize)> {
        if self.asks_for_deposit() {
            return None;
        }
        let entries = self.entries();
        let mut found: Option<usize> = None;
        for (at, entry) in entries.iter().enumerate() {
            let (mut sum, mut is_reduced) = (0_i64, false);
            for (count, above) in entries.get(..at)?.iter().rev().take(MAX_ENTRIES).enumerate() {
                if above.money.currency() != entry.money.currency() {
                    break;
                }
                let units = above.money.minor_units();
                // What was owed before stands first, and is not taken away.
                let is_first = count > 0 && is_reduced && !above.is_negative && !entry.is_taken;
                if is_first && sum.saturating_add(units) == entry.money.minor_units() {
                    found = Some(at);
                    break;
                }
                sum = sum.saturating_add(if above.is_taken { -units } else { units });
                is_reduced |= above.is_taken || found.is_some_and(|found| found + 1 + count == at);
                if count > 0 && is_reduced && sum == entry.money.minor_units() && !entry.is_taken {
                    found = Some(at);
                    break;
                }
            }
        }
        let entry = entries.get(found?)?;
        (!entry.is_part).then_some((entry.money, entry.line))
    }

    /// The first amount, if those below it come to it; and the last line of these.
    pub(super) fn foremost(&self) -> Option<(Money, usize)> {
        let entries = self.entries();
        let (first, last) = (entries.first()?, entries.get(foremost(entries)?)?);
        (!first.is_part).then_some((first.money, last.line))
    }

    /// Whether a deposit is what is asked for: then what is left of the whole is not owed yet.
    pub(super) fn asks_for_deposit(&self) -> bool {
        let asks = |line: &Line| {
            self.base
                .owed
                .iter()
                .chain(self.base.due.iter())
                .filter(|label| label.words > 1)
                .any(|label| line.has(label))
        };
        let is_deposit = |line: &Line| {
            Templates::any_language().deposit.iter().any(|label| line.find(label).is_some_and(|found| found.start == 0))
        };
        self.lines.iter().any(|line| is_deposit(line) && asks(line))
    }

    /// The larger amount below a line that the amounts from that line on come to.
    pub(super) fn sum_with(&self, amount: Money, line: usize) -> Option<(Money, usize)> {
        let entries = self.entries();
        let first = entries.iter().position(|entry| entry.line == line && entry.money == amount)?;
        let adds = |entry: &Entry| !entry.is_taken && entry.money.currency() == amount.currency();
        // Something may be owed from before.
        for from in first.saturating_sub(MAX_BEFORE)..=first {
            let mut sum = 0_i64;
            for (count, entry) in entries.get(from..)?.iter().take(MAX_ENTRIES).enumerate() {
                if from + count > first && sum == entry.money.minor_units() && sum > amount.minor_units() {
                    return Some((entry.money, entry.line)).filter(|_| adds(entry) && !entry.is_part);
                }
                if !adds(entry) {
                    break;
                }
                sum = sum.saturating_add(entry.money.minor_units());
            }
        }
        None
    }

    fn entries(&self) -> &[Entry] {
        self.entries.get_or_init(|| self.read_entries())
    }

    fn read_entries(&self) -> Vec<Entry> {
        let less = &Templates::any_language().less;
        // Lines of a list begin so as well.
        let is_dashed = |line: &Line| line.shown.starts_with("- ");
        let first = (0..self.lines.len()).find(|at| self.has_amount(*at)).and_then(|at| self.lines.get(at));
        let is_list = first.is_some_and(is_dashed);
        let of = |at: usize| {
            let (line, marks) = (self.lines.get(at)?, self.marks.get(at)?);
            if marks.has_aside() || explains_above(self.lines, at, self.currencies) {
                return None;
            }
            let last = *amount::signed(&line.shown, self.currencies).last()?;
            let is_less = || {
                is_bracketed(&line.shown)
                    || (is_dashed(line) && !is_list)
                    || line.shown.starts_with("./.")
                    || line.has_any(less)
            };
            let is_taken = last.is_negative || marks.has_carried() || is_less();
            let is_negative = last.is_negative;
            let is_total = [&self.base.owed, &self.base.total, &self.base.total_if_largest]
                .iter()
                .any(|labels| labels.iter().any(|label| line.find(label).is_some_and(|found| found.start == 0)));
            Some(Entry { line: at, money: last.money, is_taken, is_negative, is_part: marks.has_part(), is_total })
        };
        (0..self.lines.len()).filter_map(of).collect()
    }
}

/// How many amounts below the first one come to it, if one of them at least is taken away.
fn foremost(entries: &[Entry]) -> Option<usize> {
    let first = entries.first()?;
    let (mut sum, mut is_reduced) = (0_i64, false);
    for (count, below) in entries.iter().skip(1).take(MAX_ENTRIES).enumerate() {
        let ends = below.is_total && (is_reduced || below.money == first.money);
        if ends || below.money.currency() != first.money.currency() {
            return None;
        }
        let units = below.money.minor_units();
        sum = sum.saturating_add(if below.is_taken { -units } else { units });
        is_reduced |= below.is_taken;
        if count > 0 && is_reduced && sum == first.money.minor_units() {
            return Some(count + 1);
        }
    }
    None
}

/// Whether the last cell of a row is an amount in brackets, as ledgers write what is taken away.
fn is_bracketed(row: &str) -> bool {
    let last = row.rsplit_once(GAP).map(|(_, last)| last.trim());
    last.and_then(|cell| cell.strip_prefix('(')?.strip_suffix(')')).is_some_and(amount::is_amount_like)
}

#[cfg(test)]
mod tests {
    fn read(text: &str) -> Option<String> {
        crate::extract::words("Your invoice", text)?.ok().map(|bill| bill.amount.to_string())
    }

    #[test]
    fn an_amount_may_grow_further_down() {
        for text in [
            "Invoice amount 40.00 EUR\nReminder 5.00 EUR\nTotal owing in all 45.00 EUR",
            "Open from October 15.00 EUR\nFees 0.00 EUR\nInvoice amount 30.00 EUR\nSum 45.00 EUR",
        ] {
            assert_eq!(read(text).as_deref(), Some("45.00 EUR"), "{text}");
        }
        assert_eq!(read("Invoice amount 40.00 EUR\nReminder 5.00 EUR").as_deref(), Some("40.00 EUR"));
    }

    #[test]
    fn what_is_left_is_told_by_the_amounts_whatever_it_is_called() {
        for text in [
            "Charges 310.00 EUR\nPlan -212.50 EUR\nWaived -25.00 EUR\nTogether 72.50 EUR",
            "Total 80.00 EUR\nDeposit 7.50 EUR\nTogether 72.50 EUR",
            // What comes behind it is added to it.
            "Goods 70.00 EUR\nLess voucher 7.50 EUR\nTogether 62.50 EUR\nParcel 10.00 EUR\nAll in all 72.50 EUR",
            // A balance that was paid is over, and what comes then is new.
            "Last bill 50.00 EUR\nPayments -50.00 EUR\nOpen 0.00 EUR\nNew 72.50 EUR\nTogether 72.50 EUR",
        ] {
            assert_eq!(read(text).as_deref(), Some("72.50 EUR"), "{text}");
        }
        for text in [
            // Lines of a list, and what was rounded before: nothing is taken away.
            "- Lunch 198.00 EUR\n- Tea 68.50 EUR\n- Paper 8.00 EUR\nTotal 274.50 EUR",
            "Care 274.42 EUR\nRounding of the previous invoice 0.08 EUR\nTotal 274.50 EUR",
        ] {
            assert_eq!(read(text).as_deref(), Some("274.50 EUR"), "{text}");
        }
        // The sum stands first.
        let first = "72.50 EUR\nCharges 310.00 EUR\nPlan -212.50 EUR\nWaived (25.00) EUR\nWaived -25.00 EUR";
        assert_eq!(read(&first.replace("\nWaived (25.00) EUR", "")).as_deref(), Some("72.50 EUR"));
        for text in [
            "Work 310.00 EUR\nPlan -212.50 EUR\nTogether 72.50 EUR",
            // A deposit that is asked for.
            "Work 310.00 EUR\nDeposit 210.00 EUR\nLater 100.00 EUR\nDeposit: to be paid by 3 December 2026",
            "Work 310.00 EUR\nPlan -212.50 EUR\nNet 97.50 EUR",
            "Work 310.00 EUR\nPlan -10.00 USD\nTogether 300.00 EUR",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
