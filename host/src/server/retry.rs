//! How often what got no answer is asked again.

use crate::random;
use std::time::Duration;

/// How often a request is repeated that got no signed answer, and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often an ordinary request is sent at most, and any that did not reach the server.
    pub attempts: u32,
    /// How often step 3 is sent at most: money may hang on its answer.
    pub patient_attempts: u32,
    /// The first pause. Each further one is twice as long, with a random part.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long a request that changes something at the server is repeated, under the same Idempotency-Key, when
    /// it may have arrived and was not answered.
    pub patience: Duration,
}

impl Default for Retry {
    /// About half a second for ordinary requests; about ten seconds for step 3, within the 30 that a code lives; a
    /// minute, in which a server is started again, for what is done once.
    fn default() -> Self {
        Self {
            attempts: 3,
            patient_attempts: 9,
            pause: Duration::from_millis(150),
            longest: Duration::from_secs(2),
            patience: Duration::from_secs(60),
        }
    }
}

impl Retry {
    pub(crate) fn pause_before(&self, attempt: u32) -> Duration {
        let pause = self.pause.saturating_mul(1 << (attempt - 1).min(16)).min(self.longest);
        // A quarter at random, so that terminals do not come back all at once.
        pause.mul_f64(1.0 - f64::from(random::octets::<1>().0[0]) / 1024.0)
    }
}
