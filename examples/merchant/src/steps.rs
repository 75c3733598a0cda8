//! The places that a delivery passes. A shop passes them without a thought; a test builds one that ends the process
//! there, and shows that each order gets exactly one code all the same.

use std::sync::Arc;

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident, $name:literal;)*) => {
        /// A place that a delivery passes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Step {
            $($(#[$doc])* $variant,)*
        }

        /// The names of all of them.
        pub const STEPS: &[&str] = &[$($name,)*];

        impl Step {
            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

steps! {
    /// A notification is about to be written down.
    NotificationBeforeCommit, "notification.before-commit";
    /// It is written down, and not answered yet.
    NotificationAfterCommit, "notification.after-commit";
    /// The second interface has answered, and nothing of it is written down.
    Verified, "verification.answered";
    /// Codes are taken and sealed, and not written down.
    SealingBeforeCommit, "sealing.before-commit";
    /// They are written down, and not sent.
    SealingAfterCommit, "sealing.after-commit";
    /// The store has accepted them, and the shop has not written that down.
    AcceptanceBeforeCommit, "acceptance.before-commit";
    /// It has.
    AcceptanceAfterCommit, "acceptance.after-commit";
}

/// Who is told of the steps.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl Watch {
    /// Nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// This function, with the name of each step.
    #[must_use]
    pub fn by(watcher: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watcher)))
    }

    pub(crate) fn pass(&self, step: Step) {
        if let Some(watcher) = &self.0 {
            watcher(step.name());
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
