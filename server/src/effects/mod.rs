//! Effects: what is done outside the database, tried by whichever process has claimed it.
//!
//! ```text
//! due ─claim─▶ claimed ─┬─ done      it happened
//!                       ├─ failed    it will not
//!                       └─ due       again later: its outcome is not known yet
//! ```
//!
//! [`state`] has every arrow. A claim that is over (its process died, or stood still) is taken up by another process,
//! which looks the outcome of a charge or a refund up before it tries once more: only a first claim acts without
//! asking. A webhook is sent again under its identifier. Each kind has a handler, in the module of its noun; `handle`
//! names them.

mod runner;
pub mod state;

pub(crate) use runner::run;

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::{charges, refunds};
use crate::merchants;
use crate::notices::webhooks;
use crate::ops::clock::Timestamp;
use crate::store::{ClaimEffect, EffectClaim, EffectKind, EffectOf, EffectVerdict};
use futures::StreamExt as _;
use std::time::Duration;

/// How long an attempt may take: less than its claim lasts.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest and the longest pause between two attempts, in seconds.
const SHORTEST: u64 = 2;
pub(crate) const LONGEST: u64 = 600;
/// Effects that one round claims: in lanes, and of each kind at each payment provider.
const ROUND: u32 = 64;
/// How often, and how many times, somebody who waits asks for a claim that another process has: longer than the lease
/// of a process that died.
const ASK: Duration = Duration::from_millis(100);
const ASKS: u32 = 50;

/// Tries what is due by now, to its end. Returns how many effects that were.
///
/// # Errors
/// [`ServiceError::Failed`] if the store fails. What could not be done is tried again later.
pub async fn round(core: &Core) -> Result<usize, ServiceError> {
    let claims = core.store.claim_effects(ROUND, ROUND).await?;
    let count = claims.len();
    let attempts = claims.into_iter().map(|claim| attempt(core, claim));
    let finished: Vec<_> = futures::stream::iter(attempts).buffer_unordered(2 * ROUND as usize).collect().await;
    finished.into_iter().collect::<Result<(), _>>()?;
    Ok(count)
}

/// Tries an effect that this process has claimed, and writes down what came of it.
async fn attempt(core: &Core, claim: EffectClaim) -> Result<(), ServiceError> {
    let kind = claim.of.kind;
    let tried = tokio::time::timeout(PATIENCE, handle(core, &claim)).await;
    let verdict = match tried {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => {
            tracing::warn!(effect = %claim.id, kind = kind.word(), %error, "an effect failed; it is looked up and tried again");
            Some(EffectVerdict::Again(pause(&claim)))
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            tracing::warn!(effect = %claim.id, kind = kind.word(), seconds, "an effect took too long; it is tried again");
            Some(EffectVerdict::Again(pause(&claim)))
        }
    };
    core.metrics.tried(kind, verdict);
    if let Some(verdict) = verdict {
        core.store.finish_effect(&claim, verdict).await?;
    }
    Ok(())
}

/// The handler of each kind. `None`: it has written the result itself.
async fn handle(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    match claim.of.kind {
        EffectKind::Charge => charges::attempt(core, claim).await,
        EffectKind::Refund => refunds::attempt(core, claim).await,
        EffectKind::Webhook => webhooks::attempt(core, claim).await,
        EffectKind::CodeDeadline => merchants::deadline::attempt(core, claim).await,
        EffectKind::CodeCatchUp => merchants::catching_up::attempt(core, claim).await,
    }
}

/// When it is tried again: after twice as long as before, within bounds.
pub(crate) fn pause(claim: &EffectClaim) -> Timestamp {
    claim.now.plus(seconds(claim.tries))
}

fn seconds(tries: u32) -> u64 {
    SHORTEST.saturating_mul(1_u64.checked_shl(tries.saturating_sub(1).min(32)).unwrap_or(u64::MAX)).min(LONGEST)
}

/// Claims an effect for somebody who waits for it. If another process has it, that is waited for, as long as a process
/// that died keeps its claims.
pub(crate) async fn claim_patiently(core: &Core, of: EffectOf, retry: bool) -> Result<ClaimEffect, ServiceError> {
    for _ in 0..ASKS {
        match core.store.claim_effect(of, retry).await? {
            ClaimEffect::Busy => tokio::time::sleep(ASK).await,
            found => return Ok(found),
        }
    }
    Ok(ClaimEffect::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_is_bounded() {
        let pauses: Vec<u64> = (1..13).map(seconds).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        assert_eq!((seconds(0), seconds(u32::MAX)), (SHORTEST, LONGEST));
    }
}
