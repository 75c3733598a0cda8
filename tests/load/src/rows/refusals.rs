//! P11: what a no costs beside a yes.

use super::{Setting, Sink, figures};
use crate::drive::{Kind, Outcome};
use crate::row::{Row, Targets};
use anyhow::Result;

/// Terminals that ask at the same time.
const TERMINALS: usize = 64;
/// What is refused, what it is called, and at most how much of a cycle it costs.
const REFUSALS: [(Kind, &str, &str, f64); 4] = [
    (Kind::Replayed, "P11 replayed", "a code that was verified before", 0.25),
    (Kind::BadSignature, "P11 signature", "a proof whose signature is wrong", 0.25),
    (Kind::UnknownToken, "P11 token", "a token that nobody was given", 0.25),
    (Kind::Unpaid, "P11 unpaid", "an operation that was not paid for, with its signed offers", 0.35),
];

pub(super) fn measure(setting: &Setting, sink: Sink<'_>) -> Result<()> {
    let shop = setting.shop("p11", setting.few(TERMINALS))?;
    let mut good = Vec::new();
    let mut refused = REFUSALS.map(|_| Vec::new());
    for _ in 0..setting.rounds() {
        good.push(setting.drive(&shop, Kind::Cycle, TERMINALS)?);
        for ((kind, ..), outcomes) in REFUSALS.iter().zip(&mut refused) {
            outcomes.push(setting.drive(&shop, *kind, TERMINALS)?);
        }
    }
    let cpu = |outcomes: &[Outcome]| figures(outcomes, |outcome| outcome.cpu);
    let row = |((_, id, what, target), outcomes): (&(Kind, &'static str, &'static str, f64), &Vec<Outcome>)| {
        let targets = Targets { bare: Some(*target), ..Targets::default() };
        Row::new(
            *id,
            format!("processor time of refusing {what}, beside a cycle"),
            &cpu(outcomes),
            &cpu(&good),
            targets,
        )
    };
    sink(REFUSALS.iter().zip(&refused).map(row).collect())
}
