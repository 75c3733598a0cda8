//! Named fault points: places where a step may fail. A server passes them without a thought; a test that builds a
//! server has itself told of each, and makes it fail or ends the process there. Nothing in this crate does.
//!
//! Every write of the store has three: `<write>.before-write`, `<write>.before-commit`, `<write>.after-commit`; an
//! error at the last one is an answer that was lost although the write happened. Those around a payment provider lie
//! outside: whoever builds a server may wrap its providers.

use std::sync::Arc;

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
    /// A browser session begins or ends, or its password is typed again.
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
    /// A terminal is chosen for what is bought in a browser.
    TerminalPreset, "terminal.preset";
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
    /// Some of what a publisher's key does not stand for leaves the index.
    PublisherUnlist, "publisher.unlist";
    /// A publisher's key adopts what an earlier one signed.
    PublisherAdopt, "publisher.adopt";
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
    /// An order of codes is opened, before its provider is asked.
    CodeOrderOpen, "code-order.open";
    /// A merchant's name is claimed.
    MerchantClaim, "merchant.claim";
    /// A merchant's endpoint has shown that it is the merchant's.
    MerchantProve, "merchant.prove";
    /// A merchant is approved, suspended or restored.
    MerchantDecide, "merchant.decide";
    /// A merchant's key is changed.
    MerchantVouch, "merchant.vouch";
    /// A product is sold, or a new revision of it.
    ProductSell, "product.sell";
    /// The sale of a product ends.
    ProductEnd, "product.end";
    /// A payment request is stored.
    PaymentRequest, "payment-request";
    /// The second interface answers.
    CodeVerify, "code.verify";
    /// A sealed code is accepted, and its merchant credited.
    CodeAccept, "code.accept";
    /// A sealed code is handed to its terminal.
    CodeDeliver, "code.deliver";
    /// A terminal has a code, or cannot read it.
    CodeAcknowledge, "code.acknowledge";
    /// An order of codes moves to another terminal.
    CodeMove, "code.move";
    /// The terminal is chosen that may take an order of codes over.
    CodeAllow, "code.allow";
    /// An order of codes fails, and its refund begins.
    CodeFail, "code.fail";
    /// Some of the orders of codes that wait for a merchant are told to it anew.
    CodeCatchUp, "code.catch-up";
    /// A dispute about a code is opened or decided.
    CodeDecide, "code.decide";
    /// An order of codes that nobody has acknowledged is kept.
    CodeLapse, "code.lapse";
    /// Redemption codes are made.
    BatchMake, "batch.make";
    /// Redemption codes are voided.
    BatchVoid, "batch.void";
    /// A redemption code is redeemed.
    CodeRedeem, "code.redeem";
    /// What a provider said of a payment that has begun is recorded.
    PaymentRecord, "payment.record";
    /// Effects are claimed: charges, refunds, webhooks.
    EffectClaim, "effect.claim";
    /// What came of an effect is recorded: again later, done or failed.
    EffectFinish, "effect.finish";
    /// An endpoint of webhooks is added or changed.
    EndpointChange, "endpoint.change";
    /// A new epoch of events begins.
    EpochBegin, "epoch.begin";
    /// What a provider says by itself of a payment that it had is recorded: paid back, disputed, charged back.
    PaymentEvent, "payment.event";
    /// Saved means of payment are forgotten.
    MeansForget, "means.forget";
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
    /// A database is copied into another one.
    DatabaseCopy, "database.copy";
    /// Transfers are added to the sums of the books.
    BooksFold, "books.fold";
    /// A row of the audit log is written that changes nothing else.
    AuditRecord, "audit.record";
    /// A head of the audit log is kept.
    AuditHead, "audit.head";
    /// Keys are made.
    KeysInit, "keys.init";
    /// A signing key is added.
    KeysRotate, "keys.rotate";
    /// Everything is sealed by another master key.
    KeysRewrap, "keys.rewrap";
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

/// The fault points that are no store writes.
pub const STEPS: &[&str] = &["answer.before-send", "upload.before-rename", "upload.after-rename"];

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

/// Who is told that a fault point is passed, and may answer that the step fails there.
type Watch = dyn Fn(&str) -> Result<(), Faulted> + Send + Sync;

/// The fault points of a server. Nobody watches them, outside tests.
#[derive(Clone, Default)]
pub struct FaultPoints(Option<Arc<Watch>>);

impl FaultPoints {
    /// Nobody watches.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// `watch` is told the name of every point that is passed.
    #[must_use]
    pub fn watched_by(watch: impl Fn(&str) -> Result<(), Faulted> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    /// Passes a fault point that is a step of [`STEPS`].
    ///
    /// # Errors
    /// [`Faulted`] if whoever watches says so.
    pub fn step(&self, name: &'static str) -> Result<(), Faulted> {
        debug_assert!(STEPS.contains(&name), "{name} stands in STEPS");
        self.0.as_ref().map_or(Ok(()), |watch| watch(name))
    }

    /// Passes a fault point of a write.
    pub(crate) fn write(&self, write: Write, phase: Phase) -> Result<(), Faulted> {
        self.0.as_ref().map_or(Ok(()), |watch| watch(&format!("{}.{}", write.name(), phase.name())))
    }
}

impl std::fmt::Debug for FaultPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "FaultPoints(watched)" } else { "FaultPoints" })
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
}
