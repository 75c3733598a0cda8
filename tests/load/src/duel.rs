//! Measuring: contestants in turn, in batches, by their 10th percentiles.

use anyhow::{Result, anyhow};
use std::time::{Duration, Instant};

/// Long against the clock's own cost, short against a time slice of a busy machine.
const BATCH: Duration = Duration::from_micros(150);
/// Batches of each contestant in a round, where they are short.
const BATCHES: usize = 600;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Each has a ratio of its own, and their range is the spread.
    rounds: usize,
    /// How long a round may take: what takes longer than a batch has fewer of them, and at least one.
    round: Duration,
}

impl Pace {
    /// As the published figures are measured.
    pub const FULL: Self = Self { rounds: 5, round: Duration::from_secs(4) };
    /// One round, beside others that somebody else lets take turns.
    pub const SHORT: Self = Self { rounds: 1, round: Duration::from_millis(400) };
    /// Whether everything runs and gives what it should; the figures say nothing.
    pub const QUICK: Self = Self { rounds: 1, round: Duration::from_millis(20) };
}

/// What is measured: does its work so many times, and checks what comes out.
pub type Contestant<'a> = &'a mut dyn FnMut(u32) -> Result<()>;

/// What one contestant took, in nanoseconds per repetition, round by round; each round sorted.
pub struct Series(Vec<Vec<f64>>);

impl Series {
    /// Of what was measured once in each round.
    #[must_use]
    pub fn of(rounds: &[f64]) -> Self {
        Self(rounds.iter().map(|round| vec![*round]).collect())
    }

    /// Of batches that were measured round by round.
    #[must_use]
    pub fn of_rounds(rounds: Vec<Self>) -> Self {
        Self(rounds.into_iter().flat_map(|round| round.0).collect())
    }

    /// The same with every figure so many times as large.
    #[must_use]
    pub fn scaled(mut self, by: f64) -> Self {
        self.0.iter_mut().flatten().for_each(|taken| *taken *= by);
        self
    }

    /// The 10th percentile of all batches.
    pub fn p10(&self) -> f64 {
        let mut all: Vec<f64> = self.0.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        percentile(&all)
    }

    /// By how much the ratio to another differs between rounds, as a part of the lowest.
    pub fn spread(&self, other: &Self) -> f64 {
        if self.0.len() < 2 {
            return 0.0;
        }
        let ratios = self.0.iter().zip(&other.0).map(|(own, other)| percentile(own) / percentile(other));
        let (low, high) = ratios.fold((f64::MAX, 0.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        high / low - 1.0
    }
}

fn percentile(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 10]
}

/// Lets each contestant run a batch in turn, and begin as often as any other.
pub fn duel<const N: usize>(pace: Pace, mut contestants: [Contestant<'_>; N]) -> Result<[Series; N]> {
    let series = duel_of(pace, &mut contestants)?;
    series.try_into().map_err(|_| anyhow!("a contestant has no series"))
}

/// One contestant alone, for whoever lets it take turns with something else.
///
/// # Errors
/// The contestant's.
pub fn batches(pace: Pace, contestant: Contestant<'_>) -> Result<Series> {
    duel(pace, [contestant]).map(|[series]| series)
}

/// The same for as many as there are.
pub fn duel_of(pace: Pace, contestants: &mut [Contestant<'_>]) -> Result<Vec<Series>> {
    let mut repetitions = Vec::with_capacity(contestants.len());
    let mut turn = Duration::ZERO;
    for contestant in contestants.iter_mut() {
        let (fitting, taken) = fitting(contestant)?;
        repetitions.push(fitting);
        turn += taken;
    }
    let affordable = pace.round.as_nanos() / turn.as_nanos().max(1);
    let batches = usize::try_from(affordable).unwrap_or(BATCHES).clamp(1, BATCHES);
    let mut series: Vec<Series> = contestants.iter().map(|_| Series(Vec::with_capacity(pace.rounds))).collect();
    for _ in 0..pace.rounds {
        let mut round: Vec<Vec<f64>> = contestants.iter().map(|_| Vec::with_capacity(batches)).collect();
        for batch in 0..batches {
            for place in 0..contestants.len() {
                let turn = (batch + place) % contestants.len();
                let taken = time(contestants[turn], repetitions[turn])?;
                round[turn].push(taken.as_nanos() as f64 / f64::from(repetitions[turn]));
            }
        }
        for (series, mut batches) in series.iter_mut().zip(round) {
            batches.sort_by(f64::total_cmp);
            series.0.push(batches);
        }
    }
    Ok(series)
}

/// How many repetitions fill a batch, and how long it takes. Warms up on the way.
fn fitting(contestant: Contestant<'_>) -> Result<(u32, Duration)> {
    let mut repetitions = 1;
    loop {
        let mut taken = time(contestant, repetitions)?;
        // What is far longer than a batch is not repeated for nothing.
        if taken < 100 * BATCH {
            for _ in 0..2 {
                taken = taken.min(time(contestant, repetitions)?);
            }
        }
        if taken >= BATCH || repetitions >= 1 << 24 {
            return Ok((repetitions, taken));
        }
        // At most eightfold a step: the first repetitions are slower than all others.
        let wanted = BATCH.as_nanos() as f64 / taken.as_nanos().max(1) as f64;
        repetitions = (f64::from(repetitions) * wanted.clamp(1.05, 8.0)).ceil() as u32;
    }
}

fn time(contestant: Contestant<'_>, repetitions: u32) -> Result<Duration> {
    let begun = Instant::now();
    contestant(repetitions)?;
    Ok(begun.elapsed())
}

/// Allocations of this thread by one repetition, once warm: of what 1,000 more repetitions make. What a batch makes by
/// itself is no part of it.
pub fn allocations(contestant: Contestant<'_>) -> Result<f64> {
    const MORE: u32 = 1000;
    contestant(MORE)?;
    let mut counted = |repetitions| {
        let mut outcome = Ok(());
        let counted = allocation_counter::measure(|| outcome = contestant(repetitions));
        outcome.map(|()| counted.count_total as f64)
    };
    Ok((counted(2 * MORE)? - counted(MORE)?) / f64::from(MORE))
}
