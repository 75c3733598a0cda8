//! The record of one attack: what was tried, how it was refused, and what the controls showed.

/// What became of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether everything that was tried was refused as it has to be.
    pub attack_refused: bool,
    /// Whether there was a control, and all of them passed.
    pub control_passed: bool,
    /// The refusals.
    pub refusal: Option<String>,
    /// What was tried, and how it ended.
    pub detail: String,
}

/// Collects what an attack tried and what its controls showed.
#[derive(Debug, Default)]
pub struct Trial {
    refusals: Vec<String>,
    succeeded: usize,
    controls: usize,
    controls_failed: usize,
    notes: Vec<String>,
}

impl Trial {
    /// Nothing tried yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The exploit `what` was tried. It counts as refused only where the refusal contains `expected`; `Ok` is that it
    /// went through.
    pub fn attack<T, E: std::fmt::Display>(&mut self, what: &str, expected: &str, got: Result<T, E>) {
        match got {
            Ok(_) => {
                self.succeeded += 1;
                self.notes.push(format!("{what}: WENT THROUGH"));
            }
            Err(refusal) => {
                let refusal = refusal.to_string();
                if refusal.contains(expected) {
                    let short = expected.trim();
                    self.notes.push(format!("{what}: {short}"));
                    if !self.refusals.iter().any(|known| known == short) {
                        self.refusals.push(short.to_owned());
                    }
                } else {
                    self.succeeded += 1;
                    self.notes.push(format!("{what}: REFUSED OTHERWISE than by `{expected}`: {refusal}"));
                }
            }
        }
    }

    /// As [`Trial::attack`], where the defence shows in a fact rather than in a refusal.
    pub fn attack_fails(&mut self, what: &str, defence: &str, holds: bool) {
        let got = if holds { Err(defence) } else { Ok(()) };
        self.attack(what, defence, got);
    }

    /// The control `what`: the same with the defence off, or the honest request.
    pub fn control(&mut self, what: &str, passed: bool) {
        self.controls += 1;
        if passed {
            self.notes.push(format!("control: {what}"));
        } else {
            self.controls_failed += 1;
            self.notes.push(format!("CONTROL FAILED: {what}"));
        }
    }

    /// Something measured.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// The outcome.
    #[must_use]
    pub fn finish(self) -> Outcome {
        Outcome {
            attack_refused: self.succeeded == 0 && !self.refusals.is_empty(),
            control_passed: self.controls > 0 && self.controls_failed == 0,
            refusal: (!self.refusals.is_empty()).then(|| self.refusals.join(", ")),
            detail: self.notes.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_for_another_reason_is_not_refused() {
        let mut trial = Trial::new();
        trial.attack::<(), _>("it", "binding-mismatch", Err("rate-limited"));
        trial.control("honest", true);
        assert!(!trial.finish().attack_refused);
    }

    #[test]
    fn without_a_control_nothing_is_shown() {
        let mut trial = Trial::new();
        trial.attack::<(), _>("it", "no", Err("no, never"));
        let outcome = trial.finish();
        assert!(outcome.attack_refused && !outcome.control_passed);
    }
}
