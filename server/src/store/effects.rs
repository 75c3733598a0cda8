//! Effects: what is done outside the database, each as a row that is written with its cause.
//!
//! ```text
//! due ─▶ claimed(until, fence) ─▶ done | failed        again later: claimed ─▶ due
//! ```
//!
//! A process claims a row by one conditional write, which counts the fence up, and works under that claim. Its result
//! is written under the fence of its claim only: whoever was too slow, or was taken for dead, writes nothing. A claim
//! that is over is taken up by another process, which asks what became of the first attempt before it makes another
//! one.

use super::StoreError;
use crate::effects::state::EffectState;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::OrderId;
use portcullis_protocol::encoding::Octets;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An effect. As text it is the key under which whoever does it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectId(pub Octets<16>);

impl std::fmt::Display for EffectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EffectKind {
    /// An order is charged at its payment provider. Its subject is the order.
    Charge,
    /// An order is paid back. Its subject is the order.
    Refund,
    /// A message is delivered to an endpoint. Its subject is the message.
    Webhook,
    /// An order of codes fails, if there is no code for it by then. Its subject is the order.
    CodeDeadline,
    /// Orders that wait for a merchant are told to it anew, some at a time. Its subject is the merchant.
    CodeCatchUp,
}

impl EffectKind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Charge, Self::Refund, Self::Webhook, Self::CodeDeadline, Self::CodeCatchUp];

    /// Its word in the database, in logs and in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Webhook => "webhook",
            Self::CodeDeadline => "code-deadline",
            Self::CodeCatchUp => "code-catch-up",
        }
    }

    /// Whether it is asked of the payment provider of an order, which is its subject.
    #[must_use]
    pub(crate) const fn is_of_payment(self) -> bool {
        matches!(self, Self::Charge | Self::Refund)
    }
}

/// Effects in no lane that are tried beside all others: those of one kind, at one payment provider if one is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectGroup {
    /// What is done.
    pub(crate) kind: EffectKind,
    /// The payment provider; empty if none is asked.
    pub(crate) provider: String,
}

/// What there is one effect of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectOf {
    /// What is done.
    pub kind: EffectKind,
    /// To what: an order, a message, a subscription.
    pub subject: Octets<16>,
    /// The period of a subscription, the sealing of a code, when orders went on; 0 otherwise.
    pub part: i64,
}

impl EffectOf {
    /// What is done once to something.
    #[must_use]
    pub const fn new(kind: EffectKind, subject: Octets<16>) -> Self {
        Self { kind, subject, part: 0 }
    }

    /// The same of an order.
    #[must_use]
    pub const fn order(kind: EffectKind, order: &OrderId) -> Self {
        Self::new(kind, Octets(*order.as_bytes()))
    }
}

/// The right to try an effect and to write down what came of it, until it is over or another process has it.
#[derive(Debug, Clone)]
pub struct EffectClaim {
    /// The effect.
    pub id: EffectId,
    /// What it is.
    pub of: EffectOf,
    /// The number of the claim.
    pub fence: i64,
    /// How often it was begun, this time included.
    pub tries: u32,
    /// When it was claimed.
    pub now: Timestamp,
    /// Whether it is one of a lane.
    pub in_lane: bool,
    pub(crate) _at_work: Arc<AtWork>,
}

impl EffectClaim {
    /// Whether nobody can have tried it before.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.tries == 1
    }
}

/// The claims of a process, each with the group whose places it takes.
type Claims = HashMap<(EffectId, i64), Option<EffectGroup>>;

/// The claims that this process works on. One of its lease that is not among them was left behind, by a panic or by an
/// answer that was lost: nobody in this process has to wait for it. Each with its group, if it takes a place of that:
/// what somebody waits for takes none.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClaimsAtWork(Arc<Mutex<Claims>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct AtWork {
    claims: ClaimsAtWork,
    claim: (EffectId, i64),
}

impl ClaimsAtWork {
    /// This process works on a claim.
    pub(crate) fn begin(&self, id: EffectId, fence: i64, group: Option<EffectGroup>) -> AtWork {
        self.claims().insert((id, fence), group);
        AtWork { claims: self.clone(), claim: (id, fence) }
    }

    pub(crate) fn has(&self, id: EffectId, fence: i64) -> bool {
        self.claims().contains_key(&(id, fence))
    }

    /// How many places of a group are taken.
    pub(crate) fn taken(&self, group: &EffectGroup) -> usize {
        self.claims().values().filter(|taken| taken.as_ref() == Some(group)).count()
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, Claims> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.claims.claims().remove(&self.claim);
    }
}

/// What came of trying an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectVerdict {
    /// It is tried, or asked about, again at this moment.
    Again(Timestamp),
    /// It happened.
    Done,
    /// It will not happen.
    Failed,
}

/// What became of claiming one effect.
#[derive(Debug, Clone)]
pub enum ClaimEffect {
    /// It is this process's.
    Claimed(EffectClaim),
    /// Another process works on it.
    Busy,
    /// It has happened, or there is none.
    Over,
}

/// The effects of one kind that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectQueue {
    /// The kind.
    pub kind: EffectKind,
    /// How many are due by now, [`QUEUE_COUNTED`] at most.
    pub due: u32,
    /// How many are claimed, as far as they are counted.
    pub claimed: u32,
    /// For how long the first has been due, in seconds.
    pub overdue: u64,
}

/// Up to how many effects a count of the queue goes.
pub const QUEUE_COUNTED: u32 = 10_000;

/// Effects.
#[async_trait]
pub trait Effects {
    /// Claims effects that are due by now, or whose claims are over. In no lane each kind, at each payment provider,
    /// has places of its own: so many that this process tries `alone` of them at once, those that it claimed before
    /// included. Of the effects in lanes it claims at most `in_lanes`.
    async fn claim_effects(&self, alone: u32, in_lanes: u32) -> Result<Vec<EffectClaim>, StoreError>;

    /// Claims an effect for somebody who waits for it, due or not. One that failed is tried again if `retry` says so.
    async fn claim_effect(&self, of: EffectOf, retry: bool) -> Result<ClaimEffect, StoreError>;

    /// Writes down what came of an effect. Returns false if the claim is not in force any more: then nothing happened.
    async fn finish_effect(&self, claim: &EffectClaim, verdict: EffectVerdict) -> Result<bool, StoreError>;

    /// Where an effect stands.
    async fn effect_state(&self, of: EffectOf) -> Result<Option<EffectState>, StoreError>;

    /// What waits, by kind.
    async fn effect_queues(&self) -> Result<Vec<EffectQueue>, StoreError>;
}
