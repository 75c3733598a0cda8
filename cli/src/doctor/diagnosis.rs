//! All findings of one look, and the worst of them.

use serde::Serialize;

use super::{Finding, State};
use crate::screen::output::{Report, style};

/// The exit code if something is wrong.
const WRONG: u8 = 3;

/// What was found.
#[derive(Serialize)]
pub(crate) struct Diagnosis {
    /// The worst of the findings.
    state: State,
    findings: Vec<Finding>,
}

impl Diagnosis {
    /// Of these findings.
    pub(crate) fn of(findings: Vec<Finding>) -> Self {
        let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        Self { state, findings }
    }

    /// The exit code: 0, or 3 if something is wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.state == State::Wrong { WRONG } else { 0 }
    }
}

impl Report for Diagnosis {
    fn text(&self) -> String {
        let (good, warn, bad, dim) = (style::GOOD, style::WARN, style::BAD, style::DIM);
        let mut text = String::new();
        for one in &self.findings {
            let state = match one.state {
                State::Ok => format!("{good}ok     {good:#}"),
                State::Warning => format!("{warn}warning{warn:#}"),
                State::Wrong => format!("{bad}wrong  {bad:#}"),
            };
            let of = one.of.as_ref().map_or_else(String::new, |of| format!(" {of}"));
            text += &format!("{state} {dim}{}{of}, {}{dim:#}: {}\n", one.area, one.check, one.finding);
            if let Some(mend) = &one.mend {
                text += &format!("        {dim}mend{dim:#} {}\n", mend.replace('\n', "\n             "));
            }
        }
        let count = |state: State| self.findings.iter().filter(|one| one.state == state).count();
        text + &match (count(State::Wrong), count(State::Warning)) {
            (0, 0) => "nothing is wrong\n".to_owned(),
            (0, warnings) => format!("nothing is wrong; {warnings} to look at\n"),
            (wrong, warnings) => format!("{wrong} wrong, {warnings} to look at\n"),
        }
    }
}
