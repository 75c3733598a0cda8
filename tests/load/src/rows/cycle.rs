//! P6: a full cycle, authorise and verify, durable before it is answered.

use super::{Setting, Sink, figures};
use crate::drive::{Kind, Outcome};
use crate::duel::{Series, batches};
use crate::floor::{Cryptography, RawCycles};
use crate::row::{Row, Targets};
use anyhow::Result;

/// Terminals that work at the same time.
const TERMINALS: [usize; 4] = [16, 64, 256, 1000];

pub(super) fn measure(setting: &Setting, sink: Sink<'_>) -> Result<()> {
    let most = TERMINALS.map(|terminals| setting.few(terminals)).into_iter().max().unwrap_or(1);
    let shop = setting.shop("p6", most)?;
    let cryptography = Cryptography::new();
    let mut raw = RawCycles::of(&shop.database(), &setting.folder.join("p6/raw.db"))?;
    let mut outcomes = TERMINALS.map(|_| Vec::new());
    let (mut acknowledged, mut sums, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds() {
        sums.push(batches(setting.pace(), &mut |repetitions| cryptography.run(repetitions))?);
        writes.push(batches(setting.pace(), &mut |repetitions| raw.run(repetitions))?);
        for (terminals, outcomes) in TERMINALS.iter().zip(&mut outcomes) {
            outcomes.push(setting.drive(&shop, Kind::Cycle, *terminals)?);
        }
        acknowledged.push(setting.drive(&shop, Kind::Acknowledged, 256)?);
    }
    let sums = Series::of_rounds(sums);
    let writes = Series::of_rounds(writes).scaled(1.0 / RawCycles::together());
    let cpu = |outcomes: &[Outcome]| figures(outcomes, |outcome| outcome.cpu);
    // The time that each takes of all that work at the same time.
    let share = |outcomes: &[Outcome]| figures(outcomes, |outcome| 1e9 / outcome.rate);
    let [sixteen, sixty_four, many, most] = &outcomes;
    let bare = |target| Targets { bare: Some(target), ..Targets::default() };
    let none = Targets::default();
    let mut rows = vec![
        Row::new(
            "P6",
            "processor time of a cycle, 256 terminals, beside its cryptography",
            &cpu(many),
            &sums,
            bare(1.9),
        ),
        Row::new("P6 16", "the same, 16 terminals", &cpu(sixteen), &sums, none),
        Row::new("P6 64", "the same, 64 terminals", &cpu(sixty_four), &sums, none),
        Row::new("P6 1000", "the same, 1,000 terminals", &cpu(most), &sums, none),
        Row::new("P6 acknowledged", "the same, 256 terminals that acknowledge, too", &cpu(&acknowledged), &sums, none),
        // At least 0.30 of its rate.
        Row::new(
            "P6 rate",
            "a cycle's share of the time, beside its rows alone",
            &share(many),
            &writes,
            bare(1.0 / 0.3),
        ),
    ];
    let slowest = figures(sixty_four, |outcome| outcome.p99);
    let targets = Targets { ours: Some(50e6), ..Targets::default() };
    let median = figures(sixty_four, |outcome| outcome.p50);
    rows.push(Row::new(
        "P6 p99",
        "the slowest hundredth at 64 terminals, beside the median",
        &slowest,
        &median,
        targets,
    ));
    // At least 0.9 of the best.
    let best =
        outcomes[..3].iter().map(|outcomes| share(outcomes)).min_by(|one, other| one.p10().total_cmp(&other.p10()));
    if let Some(best) = best {
        let what = "a cycle's share of the time at 1,000 terminals, beside the best of fewer";
        rows.push(Row::new("P6 many", what, &share(most), &best, bare(1.0 / 0.9)));
    }
    sink(rows)
}
