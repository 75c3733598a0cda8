//! The task of a process that tries effects as they become due.

use super::attempt;
use crate::Core;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often it is looked for what other processes left, and for what is due by time. Without any that is a read of
/// some indexes.
const LOOK: Duration = Duration::from_secs(1);
/// Effects in no lane that are tried at once, of each kind at each payment provider: a provider that does not answer
/// holds up its own, and never those of another one or the deadlines of codes.
const ALONE: u32 = 32;
/// Effects in lanes that are tried at once: so many slow endpoints, divided by the places of a lane, hold up the
/// others.
const IN_LANES: usize = 256;
/// How long those under way are waited for when the server stops. What is broken off is another process's, or is tried
/// again after the start.
const LAST: Duration = Duration::from_secs(5);

/// Tries effects until the server stops.
pub(crate) async fn run(core: Core, mut stopped: watch::Receiver<bool>) {
    let wake = core.store.effects_wake();
    let (mut alone, mut in_lanes) = (JoinSet::new(), JoinSet::new());
    loop {
        while alone.try_join_next().is_some() {}
        while in_lanes.try_join_next().is_some() {}
        let lanes = u32::try_from(IN_LANES.saturating_sub(in_lanes.len())).unwrap_or(0);
        let claimed = core.store.claim_effects(ALONE, lanes).await.unwrap_or_else(|error| {
            tracing::error!(%error, "effects could not be claimed");
            Vec::new()
        });
        let found = !claimed.is_empty();
        for claim in claimed {
            let core = core.clone();
            let tries = if claim.in_lane { &mut in_lanes } else { &mut alone };
            tries.spawn(async move {
                let (id, kind) = (claim.id, claim.of.kind.word());
                if let Err(error) = attempt(&core, claim).await {
                    tracing::error!(effect = %id, kind, %error, "what came of an effect could not be written down");
                }
            });
        }
        if found && !*stopped.borrow() {
            continue;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = wake.notified() => {}
            Some(_) = alone.join_next() => {}
            Some(_) = in_lanes.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let _ = tokio::time::timeout(LAST, async {
        while alone.join_next().await.is_some() {}
        while in_lanes.join_next().await.is_some() {}
    })
    .await;
}
