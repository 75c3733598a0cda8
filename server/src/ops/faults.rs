//! Named fault points, for tests that kill the server or make a step fail exactly there.
//!
//! Every write of the store has three: `<write>.before-write`, `<write>.before-commit`, `<write>.after-commit`; an error
//! at the last one is an answer that was lost although the write happened. Steps over a network have one before and one
//! after. With the feature `test-seams`, `PORTCULLIS_FAULT=<name>:kill` ends the process there without any clean-up,
//! `PORTCULLIS_FAULT=<name>:stop` has it stand still there until it is sent SIGCONT, and `PORTCULLIS_FAULT=<name>:error`
//! makes the step fail, once. Without the feature nothing of this is compiled in.

macro_rules! writes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal;)*) => {
        /// Every write of the store. A write names itself here, so that none is without fault points.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Write {
            $($(#[$doc])* $variant,)*
        }

        impl Write {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in fault points and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

writes! {
    /// An account is made.
    AccountCreate, "account.create";
    /// An account is changed: suspended, restored, another password or name.
    AccountChange, "account.change";
    /// An invitation is made.
    InvitationCreate, "invitation.create";
    /// An invitation is taken back.
    InvitationRevoke, "invitation.revoke";
    /// A browser session begins or ends.
    WebSession, "web-session";
    /// A terminal asks for a device code.
    DeviceCreate, "device.create";
    /// A user approves or denies a device code.
    DeviceDecide, "device.decide";
    /// A terminal polls with its device code; an approved one becomes a session.
    DevicePoll, "device.poll";
    /// A refresh token is used.
    SessionRefresh, "session.refresh";
    /// A session ends.
    SessionEnd, "session.end";
    /// A terminal enrols.
    TerminalEnrol, "terminal.enrol";
    /// A terminal is revoked.
    TerminalRevoke, "terminal.revoke";
    /// An account asks to be approved as a publisher.
    PublisherAsk, "publisher.ask";
    /// An account is approved as a publisher.
    PublisherApprove, "publisher.approve";
    /// A publisher's name is claimed.
    PublisherClaim, "publisher.claim";
    /// A publisher's key is changed.
    PublisherVouch, "publisher.vouch";
    /// A resource is published.
    ResourcePublish, "resource.publish";
    /// A resource is withdrawn.
    ResourceWithdraw, "resource.withdraw";
    /// A resource that was withdrawn is restored.
    ResourceRestore, "resource.restore";
    /// A price list is replaced.
    OffersReplace, "offers.replace";
    /// An order is opened, before its provider is asked.
    OrderOpen, "order.open";
    /// A top-up is opened, before its provider is asked.
    TopUpOpen, "top-up.open";
    /// An order is settled: paid, with rights or balance and ledger, or declined.
    OrderSettle, "order.settle";
    /// An order's rights or money are taken back, before its provider is asked to pay back.
    RefundBegin, "refund.begin";
    /// An order is paid back.
    RefundFinish, "refund.finish";
    /// Step 2: units or money are held, a status code is recorded.
    Authorise, "authorise";
    /// Step 3: a code becomes a grant.
    Verify, "verify";
    /// A grant that never arrived is issued once more.
    Reissue, "reissue";
    /// A grant is acknowledged.
    Acknowledge, "acknowledge";
    /// A repeatable request begins.
    AnswerBegin, "answer.begin";
    /// A repeatable request ends.
    AnswerFinish, "answer.finish";
    /// The lease of a process is taken or renewed.
    LeaseRenew, "lease.renew";
    /// The lease of a process is given back.
    LeaseEnd, "lease.end";
    /// A database is bound to its server's origin and master key.
    IdentityBind, "identity.bind";
    /// An earlier clock is accepted.
    ClockAccept, "clock.accept";
    /// What has expired is released and old records are deleted.
    Sweep, "sweep";
    /// Keys are made.
    KeysInit, "keys.init";
    /// A signing key is added.
    KeysRotate, "keys.rotate";
}

/// Where in a write a fault can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the first statement.
    BeforeWrite,
    /// After the last statement, before the commit.
    BeforeCommit,
    /// After the commit, before the answer.
    AfterCommit,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::BeforeWrite, Self::BeforeCommit, Self::AfterCommit];

    /// The second half of a fault point's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
        }
    }
}

/// The fault points that are no store writes: steps over a network.
pub const STEPS: &[&str] = &[
    "charge.before",
    "charge.after",
    "provider-refund.before",
    "provider-refund.after",
    "answer.before-send",
    "upload.before-rename",
    "upload.after-rename",
];

/// Every fault point.
#[must_use]
pub fn all() -> Vec<String> {
    let writes =
        Write::ALL.iter().flat_map(|write| Phase::ALL.map(|phase| format!("{}.{}", write.name(), phase.name())));
    writes.chain(STEPS.iter().map(|step| (*step).to_owned())).collect()
}

/// A step failed because a test asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a test made this step fail")]
pub struct Faulted;

/// The faults that are armed. None, outside tests.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(any(test, feature = "test-seams"))]
    armed: std::sync::Arc<std::sync::Mutex<Vec<Armed>>>,
}

#[cfg(any(test, feature = "test-seams"))]
#[derive(Debug)]
struct Armed {
    name: String,
    action: Action,
}

/// What happens at an armed point.
#[cfg(any(test, feature = "test-seams"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Fail,
}

impl Faults {
    /// No faults, or with `test-seams` those of `PORTCULLIS_FAULT`, separated by commas.
    ///
    /// # Panics
    /// With `test-seams`, where the variable names no fault point: a test with a typing error must not pass.
    #[must_use]
    pub fn from_env() -> Self {
        let faults = Self::default();
        #[cfg(any(test, feature = "test-seams"))]
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
    /// Where there is no such fault point.
    #[cfg(any(test, feature = "test-seams"))]
    pub fn arm(&self, name: &str, kill: bool) {
        self.set(name, if kill { Action::Kill } else { Action::Fail });
    }

    #[cfg(any(test, feature = "test-seams"))]
    fn set(&self, name: &str, action: Action) {
        assert!(all().iter().any(|known| known == name), "no such fault point: {name}");
        let mut armed = self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        armed.push(Armed { name: name.to_owned(), action });
    }

    /// Passes a fault point that is a step of [`STEPS`].
    ///
    /// # Errors
    /// [`Faulted`] where a test armed it.
    pub fn step(&self, name: &'static str) -> Result<(), Faulted> {
        debug_assert!(STEPS.contains(&name), "{name} stands in STEPS");
        self.pass(name, "")
    }

    /// Passes a fault point of a write.
    pub(crate) fn write(&self, write: Write, phase: Phase) -> Result<(), Faulted> {
        self.pass(write.name(), phase.name())
    }

    #[cfg(any(test, feature = "test-seams"))]
    fn pass(&self, name: &str, phase: &str) -> Result<(), Faulted> {
        let mut armed = self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if armed.is_empty() {
            return Ok(());
        }
        let here = |fault: &Armed| match fault.name.strip_prefix(name) {
            Some(rest) if phase.is_empty() => rest.is_empty(),
            Some(rest) => rest.strip_prefix('.') == Some(phase),
            None => false,
        };
        match armed.iter().position(here).map(|index| armed.remove(index)) {
            Some(Armed { action: Action::Kill, .. }) => std::process::abort(),
            Some(Armed { action: Action::Stop, .. }) => {
                drop(armed);
                let own = std::process::id().to_string();
                let stopped = std::process::Command::new("kill").args(["-STOP", &own]).status();
                assert!(stopped.is_ok_and(|status| status.success()), "this process cannot be stopped");
                Ok(())
            }
            Some(Armed { action: Action::Fail, .. }) => Err(Faulted),
            None => Ok(()),
        }
    }

    #[cfg(not(any(test, feature = "test-seams")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signature as with the seams")]
    fn pass(&self, _name: &str, _phase: &str) -> Result<(), Faulted> {
        Ok(())
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

    /// The sources below a folder, but for this file.
    fn sources(folder: &std::path::Path) -> String {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let read = |path: std::path::PathBuf| match path.extension().and_then(|extension| extension.to_str()) {
            None if path.is_dir() => sources(&path),
            Some("rs") if !path.ends_with("faults.rs") => std::fs::read_to_string(path).expect("a source"),
            _ => String::new(),
        };
        entries.map(read).collect()
    }

    #[test]
    fn every_fault_point_is_passed_somewhere() {
        let sources = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        for step in STEPS {
            assert!(sources.contains(&format!(".step(\"{step}\")")), "{step} is passed nowhere");
        }
        for write in Write::ALL {
            assert!(sources.contains(&format!("Write::{write:?}")), "{} is no write of the store", write.name());
        }
    }

    #[test]
    fn an_armed_fault_strikes_once_and_only_there() {
        let faults = Faults::default();
        faults.arm("verify.before-commit", false);
        assert_eq!(faults.write(Write::Verify, Phase::BeforeWrite), Ok(()));
        assert_eq!(faults.write(Write::Authorise, Phase::BeforeCommit), Ok(()));
        assert_eq!(faults.write(Write::Verify, Phase::BeforeCommit), Err(Faulted));
        assert_eq!(faults.write(Write::Verify, Phase::BeforeCommit), Ok(()));
    }
}
