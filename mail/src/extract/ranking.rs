//! Which of the amounts of a text is the one that is owed, as learned from the mails that the extractor is tuned on.
//!
//! The rules of `total.rs` say why an amount is owed. If they leave it open, what stands beside the amounts may
//! still say it; and if they are sure of one beside which nothing ever stands that is said of what is owed, it is
//! not shown.
//!
//! It is a softmax regression over the words of the lines that an amount stands on and of those above them, and over
//! how it compares with the other amounts; that none of them is owed is one more choice. `training.rs` makes its
//! weights.

use crate::extract::features::{BUCKETS, Bag, Features, features, start};
use crate::extract::line::Line;
use crate::extract::total::Totals;
use crate::extract::weights::Weights;
use portcullis_protocol::Money;

/// Sets of features: words and parts of words of lines, of what stands above them, and what is said of the amount.
const SETS: usize = 6;
/// Weights: that of no amount is behind those of the features.
#[cfg(test)]
pub(super) const WEIGHTS: usize = SETS * BUCKETS + 1;
/// How likely it is at least that what is taken for owed is.
pub(super) const CERTAIN: f32 = 0.9;
/// Its share at most of what all of them have if it is not to be shown.
const DOUBTFUL: f32 = 0.03;
/// Amounts of a text: what has more is a list.
const MAX_AMOUNTS: usize = 100;
/// Bytes of a line whose words count.
const MAX_LINE: usize = 200;

/// What was learned.
const LEARNED: &[u8] = include_bytes!("ranking.weights");

/// The amounts of a text, with how likely it is that each is what is owed.
pub(super) struct Ranking(Vec<(Money, f32)>);

impl Ranking {
    /// Ranks the amounts of a text.
    pub(super) fn of(totals: &Totals<'_>) -> Self {
        let candidates = candidates(totals);
        let none = none();
        let features: Vec<&Features> = candidates.iter().map(|(_, features)| features).chain([&none]).collect();
        Self(candidates.iter().map(|(amount, _)| *amount).zip(shares(&Weights::read(LEARNED), &features)).collect())
    }

    /// The one that is nearly certain to be meant.
    pub(super) fn certain(&self) -> Option<Money> {
        self.0.iter().find(|(_, share)| *share >= CERTAIN).map(|(amount, _)| *amount)
    }

    /// Whether this one is hardly meant if one of them is. Nothing is said of one that the text does not have.
    pub(super) fn is_doubtful(&self, amount: Money) -> bool {
        let (own, all) = self.0.iter().fold((None, 0.0), |(own, all), (other, share)| {
            (if *other == amount { Some(*share) } else { own }, all + share)
        });
        let is_another_certain = self.certain().is_some_and(|certain| certain != amount);
        own.is_some_and(|own| own <= DOUBTFUL * all || is_another_certain)
    }
}

/// Shares of 1 by what speaks for each.
pub(super) fn shares(weights: &Weights<'_>, candidates: &[&Features]) -> Vec<f32> {
    let sums: Vec<f32> = candidates.iter().map(|features| weights.sum(features)).collect();
    let largest = sums.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = sums.iter().map(|sum| (sum - largest).exp()).collect();
    let all: f32 = powers.iter().sum();
    powers.iter().map(|power| power / all).collect()
}

/// That none of the amounts is owed.
pub(super) fn none() -> Features {
    vec![(SETS * BUCKETS, 1.0)]
}

/// The amounts of a text, each once, with what stands around it. None of a list that is too long.
pub(super) fn candidates(totals: &Totals<'_>) -> Vec<(Money, Features)> {
    if totals.amounts.len() > MAX_AMOUNTS {
        return Vec::new();
    }
    let mut places: Vec<(Money, Vec<usize>)> = Vec::new();
    for (at, amount) in totals.amounts.iter().filter(|(_, amount)| amount.minor_units() > 0) {
        match places.iter_mut().find(|(other, _)| other == amount) {
            Some((_, lines)) => lines.push(*at),
            None => places.push((*amount, vec![*at])),
        }
    }
    let largest = places.iter().map(|(amount, _)| amount.minor_units()).max().unwrap_or_default();
    let of = |(amount, at): &(Money, Vec<usize>)| {
        let (mut beside, mut above) = (Bag::default(), Bag::default());
        for at in at {
            totals.lines.get(*at).into_iter().for_each(|line| beside.add(start(&line.shown, MAX_LINE)));
            caption(totals, *at).into_iter().for_each(|line| above.add(start(&line.shown, MAX_LINE)));
        }
        (*amount, features([beside, above, compared(totals, *amount, at, largest, places.len())]))
    };
    places.iter().map(of).collect()
}

/// The line above another one, if it has no amount of its own.
fn caption<'t>(totals: &Totals<'t>, at: usize) -> Option<&'t Line> {
    let (above, line) = totals.lines.iter().enumerate().take(at).rfind(|(_, line)| !line.shown.is_empty())?;
    (!totals.has_amount(above)).then_some(line)
}

/// How an amount compares with the others, and each two of these things together.
fn compared(totals: &Totals<'_>, amount: Money, at: &[usize], largest: i64, count: usize) -> Bag {
    let units = amount.minor_units();
    let is_last = |at: &usize| {
        let on_line = totals.amounts_of(*at);
        on_line.len() < 2 || on_line.last().is_some_and(|(_, last)| *last == amount)
    };
    let is_row = |at: &usize| totals.lines.get(*at).is_some_and(Line::is_row);
    let in_subject = || crate::extract::amount::amounts(&totals.subject.shown, totals.currencies).contains(&amount);
    let mut names = vec![format!("times {}", at.len().min(3)), format!("of {}", count.min(6))];
    let mut name = |is_so: bool, name: &str| names.extend(is_so.then(|| name.to_owned()));
    name(units == largest, "largest");
    name(units != largest, "smaller");
    name(units.saturating_mul(10) < largest, "far smaller");
    name(at.first().copied() == totals.amounts.first().map(|(at, _)| *at), "first");
    name(at.last().copied() == totals.amounts.last().map(|(at, _)| *at), "last");
    name(totals.amounts.iter().any(|(at, _)| totals.is_sum_around(amount, *at)), "sum");
    name(in_subject(), "in subject");
    name(at.iter().all(is_last), "ends its lines");
    name(at.iter().any(is_row), "in a row");
    let pairs = names
        .iter()
        .enumerate()
        .flat_map(|(at, one)| names.iter().skip(at + 1).map(move |two| format!("{one}, {two}")));
    let mut compared = Bag::default();
    names.iter().cloned().chain(pairs).for_each(|name| compared.add_name(&name));
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_one_and_grow_with_what_speaks_for_them() {
        let file = [1.0_f32.to_le_bytes().as_slice(), &[0, 2]].concat();
        let weights = Weights::read(&file);
        let (weak, strong) = (vec![(0, 1.0)], vec![(1, 1.0)]);
        let shares = shares(&weights, &[&weak, &strong]);
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6 && shares[1] > 0.85, "{shares:?}");
        assert!(super::shares(&weights, &[]).is_empty());
    }
}
