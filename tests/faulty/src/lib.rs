//! Faults for tests, put into a server from outside. The product has no code that fails, stops or dies on purpose; it
//! has places where a watcher is told that they are passed (`FaultPoints`), and whoever builds a server may put
//! something between it and its payment providers. This crate does both, and is linked into tests and
//! `portcullis-server-faulty`.
//!
//! `PORTCULLIS_FAULT=<name>:kill` ends the process at that point without any clean-up, `<name>:stop` has it stand still
//! there until it is sent SIGCONT, and `<name>:error` makes the step fail, once. Several are separated by commas.

#![forbid(unsafe_code)]

mod provider;

pub use provider::{Faulty, PROVIDER_STEPS};

use portcullis_server::Parts;
use portcullis_server::billing::payment::Payments;
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::{self, FaultPoints, Faulted};
use std::sync::{Arc, Mutex, PoisonError};

/// Every fault point: the writes and steps of the server, and what lies around its payment providers.
#[must_use]
pub fn all() -> Vec<String> {
    faults::all().into_iter().chain(PROVIDER_STEPS.iter().map(|step| (*step).to_owned())).collect()
}

/// The faults that are armed.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    armed: Arc<Mutex<Vec<Armed>>>,
}

#[derive(Debug)]
struct Armed {
    name: String,
    action: Action,
}

/// What happens at an armed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Fail,
}

impl Faults {
    /// Those of `PORTCULLIS_FAULT`.
    ///
    /// # Panics
    /// If the variable names no fault point: a test with a typing error must not pass.
    #[must_use]
    pub fn from_env() -> Self {
        let faults = Self::default();
        if let Ok(text) = std::env::var("PORTCULLIS_FAULT") {
            for entry in text.split(',').filter(|entry| !entry.is_empty()) {
                let (name, action) = entry.rsplit_once(':').expect("PORTCULLIS_FAULT is name:action");
                let action = match action {
                    "kill" => Action::Kill,
                    "stop" => Action::Stop,
                    "error" => Action::Fail,
                    other => panic!("PORTCULLIS_FAULT is name:kill, name:stop or name:error, not {other}"),
                };
                faults.set(name, action);
            }
        }
        faults
    }

    /// Arms one fault point, for one time.
    ///
    /// # Panics
    /// If there is no such fault point.
    pub fn arm(&self, name: &str, kill: bool) {
        self.set(name, if kill { Action::Kill } else { Action::Fail });
    }

    fn set(&self, name: &str, action: Action) {
        assert!(all().iter().any(|known| known == name), "no such fault point: {name}");
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.push(Armed { name: name.to_owned(), action });
    }

    /// Whether every armed fault has struck.
    #[must_use]
    pub fn have_struck(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What a server is told to watch its own points with.
    #[must_use]
    pub fn points(&self) -> FaultPoints {
        let faults = self.clone();
        FaultPoints::watched_by(move |name| faults.pass(name))
    }

    /// The same providers, with these faults before and after each call.
    #[must_use]
    pub fn around(&self, payments: &Payments) -> Payments {
        let wrap = |wrapped: Payments, provider: &Arc<_>| wrapped.with(Faulty::new(Arc::clone(provider), self.clone()));
        payments.all().fold(Payments::none(), wrap)
    }

    /// What a server with these faults is built from.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let faults = self.clone();
        Parts {
            clock: Clock::system(),
            faults: self.points(),
            payments: Some(Arc::new(move |payments| faults.around(&payments))),
        }
    }

    /// Passes a fault point.
    ///
    /// # Errors
    /// [`Faulted`] if a test armed it.
    ///
    /// # Panics
    /// If this process is to be stopped there and cannot be.
    pub fn pass(&self, name: &str) -> Result<(), Faulted> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = armed.iter().position(|fault| fault.name == name).map(|index| armed.remove(index));
        drop(armed);
        match found.map(|fault| fault.action) {
            Some(Action::Kill) => std::process::abort(),
            Some(Action::Stop) => {
                let own = std::process::id().to_string();
                let stopped = std::process::Command::new("kill").args(["-STOP", &own]).status();
                assert!(stopped.is_ok_and(|status| status.success()), "this process cannot be stopped");
                Ok(())
            }
            Some(Action::Fail) => Err(Faulted),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_point_has_a_name_of_its_own() {
        let names = all();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| name.contains('.')));
    }

    #[test]
    fn an_armed_fault_strikes_once_and_only_there() {
        let faults = Faults::default();
        faults.arm("verify.before-commit", false);
        assert_eq!(faults.pass("verify.before-write"), Ok(()));
        assert_eq!(faults.pass("authorise.before-commit"), Ok(()));
        assert_eq!(faults.pass("verify.before-commit"), Err(Faulted));
        assert_eq!(faults.pass("verify.before-commit"), Ok(()));
    }
}
