//! A row of the table, and whether it meets its targets.

use crate::duel::Series;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::borrow::Cow;

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// At most these. What has no target is printed and not judged.
#[derive(Debug, Default, Clone, Copy)]
pub struct Targets {
    /// Times the bare minimum.
    pub bare: Option<f64>,
    /// Times the other product.
    pub other: Option<f64>,
    /// Nanoseconds.
    pub ours: Option<f64>,
    /// Allocations more than the bare minimum makes.
    pub allocations: Option<f64>,
    /// Bytes by which the process grows.
    pub memory: Option<f64>,
}

/// One measure: 10th percentiles of one run.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name, as `docs/performance.md` has it.
    pub id: Cow<'static, str>,
    what: Cow<'static, str>,
    unit: &'static str,
    ours: f64,
    bare: f64,
    /// `None` where it was not measured in this run.
    other: Option<f64>,
    other_name: &'static str,
    ratio_bare: f64,
    ratio_other: Option<f64>,
    /// By how much `ratio_bare` differs between the rounds.
    spread: f64,
    allocations_added: Option<f64>,
    memory_added: Option<f64>,
    target_bare: Option<f64>,
    target_other: Option<f64>,
    target_ours: Option<f64>,
    target_allocations: Option<f64>,
    target_memory: Option<f64>,
    /// Whether everything measured meets its target.
    met: bool,
}

impl Row {
    /// What was measured, and what it is held to.
    pub fn new(
        id: impl Into<Cow<'static, str>>,
        what: impl Into<Cow<'static, str>>,
        ours: &Series,
        bare: &Series,
        targets: Targets,
    ) -> Self {
        let (took, floor) = (ours.p10(), bare.p10());
        let row = Self {
            id: id.into(),
            what: what.into(),
            unit: "ns",
            ours: took,
            bare: floor,
            other: None,
            other_name: "",
            ratio_bare: took / floor,
            ratio_other: None,
            spread: ours.spread(bare),
            allocations_added: None,
            memory_added: None,
            target_bare: targets.bare,
            target_other: targets.other,
            target_ours: targets.ours,
            target_allocations: targets.allocations,
            target_memory: targets.memory,
            met: false,
        };
        row.judged()
    }

    /// With what the other product took, in nanoseconds.
    pub fn against(self, name: &'static str, other: Option<f64>) -> Self {
        let ratio_other = other.map(|other| self.ours / other);
        Self { other, other_name: name, ratio_other, ..self }.judged()
    }

    /// With the allocations that one repetition makes more than the bare minimum.
    pub fn allocating(self, more: f64) -> Self {
        Self { allocations_added: Some(more), ..self }.judged()
    }

    /// With the bytes by which the process grows.
    pub fn growing(self, bytes: Option<f64>) -> Self {
        Self { memory_added: bytes, ..self }.judged()
    }

    fn judged(mut self) -> Self {
        self.met = [
            (Some(self.ratio_bare), self.target_bare),
            (self.ratio_other, self.target_other),
            (Some(self.ours), self.target_ours),
            (self.allocations_added, self.target_allocations),
            (self.memory_added, self.target_memory),
        ]
        .iter()
        .all(|(value, target)| value.zip(*target).is_none_or(|(value, target)| value <= target));
        self
    }

    /// Whether everything measured meets its target.
    #[must_use]
    pub const fn met(&self) -> bool {
        self.met
    }

    /// Prints it for a person.
    pub fn print(&self) {
        let verdict = if self.met { format!("{GOOD}met{GOOD:#}") } else { format!("{BAD}missed{BAD:#}") };
        anstream::println!("{NAME}{:<12}{NAME:#} {}: {verdict}", self.id, self.what);
        let limit = |target: Option<f64>| target.map_or_else(String::new, |target| format!(" (at most {target})"));
        anstream::println!(
            "             ours {}{} · bare {} · ratio {:.3}{} {DIM}· spread {:.1} %{DIM:#}",
            text(self.ours),
            self.target_ours.map_or_else(String::new, |target| format!(" (at most {})", text(target))),
            text(self.bare),
            self.ratio_bare,
            limit(self.target_bare),
            self.spread * 100.0,
        );
        if let Some(more) = self.allocations_added {
            anstream::println!("             allocations added {more}{}", limit(self.target_allocations));
        }
        if let Some(bytes) = self.memory_added {
            let mebibytes = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
            let limit = self.target_memory.map_or_else(String::new, |most| format!(" (at most {})", mebibytes(most)));
            anstream::println!("             memory added {}{limit}", mebibytes(bytes));
        }
        match (self.other_name, self.other.zip(self.ratio_other)) {
            ("", _) => {}
            (name, Some((other, ratio))) => {
                anstream::println!(
                    "             {name} {} · ratio {ratio:.3}{}",
                    text(other),
                    limit(self.target_other)
                );
            }
            (name, None) => anstream::println!("             {DIM}{name}: not measured in this run{DIM:#}"),
        }
    }
}

/// With a unit that suits it.
pub fn text(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.1} ns"),
        ..1e6 => format!("{:.2} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
