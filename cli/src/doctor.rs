//! What `doctor` looks at, one file for each thing that can be ill. Each gives findings: how it is, and how to mend it.

mod cache;
pub(crate) mod clock;
mod diagnosis;
mod library;
mod program;
mod publisher;
mod store;
mod terminal;

pub(crate) use diagnosis::Diagnosis;

use serde::Serialize;
use std::fmt::Display;
use std::path::Path;

use crate::context::Context;
use crate::failure::Failure;
use crate::project;
use crate::screen::hint;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and deserves a look.
    Warning,
    /// Something does not work because of it.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Of `doctor`: `program`, `terminal`, `store`, `clock`, `publisher`, `resource`, `cache`, `guest`. Of
    /// `merchant check`: `key`, `merchant`, `product`, `clock`, `address`, `endpoint`, `store`, `orders`.
    pub(crate) area: &'static str,
    /// What of it. Both are part of the interface.
    pub(crate) check: &'static str,
    /// Of which store or resource, if there can be several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<String>,
    pub(crate) state: State,
    /// How it is, in words.
    pub(crate) finding: String,
    /// How to mend it: a command, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    fn new(area: &'static str, check: &'static str, state: State, finding: impl Display) -> Self {
        Self { area, check, of: None, state, finding: finding.to_string(), mend: None }
    }

    /// All is well.
    pub(crate) fn ok(area: &'static str, check: &'static str, finding: impl Display) -> Self {
        Self::new(area, check, State::Ok, finding)
    }

    /// It deserves a look.
    pub(crate) fn warning(area: &'static str, check: &'static str, finding: impl Display, mend: impl Display) -> Self {
        Self {
            mend: Some(hint::typed(&mend.to_string()).into_owned()),
            ..Self::new(area, check, State::Warning, finding)
        }
    }

    /// It does not work.
    pub(crate) fn wrong(area: &'static str, check: &'static str, finding: impl Display, mend: impl Display) -> Self {
        Self {
            mend: Some(hint::typed(&mend.to_string()).into_owned()),
            ..Self::new(area, check, State::Wrong, finding)
        }
    }

    /// It does not work, as a failure says it.
    pub(crate) fn failed(area: &'static str, check: &'static str, failure: &Failure) -> Self {
        Self::wrong(area, check, failure, failure.fix())
    }

    /// Says of which one.
    pub(crate) fn of(self, which: impl Display) -> Self {
        Self { of: Some(which.to_string()), ..self }
    }
}

/// Looks at everything.
pub(crate) fn examine(context: &Context) -> Vec<Finding> {
    let mut findings = program::examine();
    // Whoever has a project here, or a key, is a publisher.
    let mut publishes = Path::new(project::FILE).exists();
    match context.home() {
        Err(failure) => findings.push(Finding::failed("terminal", "home", &failure)),
        Ok(home) => {
            publishes = publishes || publisher::file(&home).exists();
            findings.extend(examine_home(context, &home));
        }
    }
    findings.push(program::guests(publishes));
    findings
}

fn examine_home(context: &Context, home: &Path) -> Vec<Finding> {
    let (mut findings, goes_on) = terminal::examine(home);
    if !goes_on {
        return findings;
    }
    let client = match context.client() {
        Ok(client) => client,
        Err(failure) => {
            findings.push(Finding::failed("terminal", "keys", &failure));
            return findings;
        }
    };
    findings.push(terminal::keys());
    findings.push(terminal::journal(&client));
    let waited = context.wait(async {
        let (mut findings, accounts) = store::examine(&client).await;
        // After the stores: their signed answers tell the time.
        findings.extend(clock::examine(&client));
        findings.extend(publisher::examine(&client, home, &accounts).await);
        findings.extend(library::examine(&client).await);
        findings.extend(cache::examine(&client));
        Ok(findings)
    });
    match waited {
        Ok(more) => findings.extend(more),
        Err(failure) => findings.push(Finding::failed("program", "threads", &failure)),
    }
    findings
}
