//! The states of an effect, and every arrow between them.

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EffectState {
    /// It is to be tried, now or later.
    Due,
    /// A process tries it.
    Claimed,
    /// It happened.
    Done,
    /// It will not happen.
    Failed,
}

impl EffectState {
    /// All of them, in the order of their numbers in the database.
    pub const ALL: [Self; 4] = [Self::Due, Self::Claimed, Self::Done, Self::Failed];

    /// Whether nothing is to be done any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// Its word for operators.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Why an effect goes from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EffectStep {
    /// A process claims it.
    Claim,
    /// Another process claims it, because the claim is over.
    TakeOver,
    /// It is tried again later.
    Again,
    /// It happened, says whoever claimed it.
    Done,
    /// It will not happen, says whoever claimed it.
    Failed,
    /// What it was for was settled otherwise: by the provider's own word, or by the operator.
    Settled,
    /// What it was for has come to nothing.
    Dropped,
    /// It is to wait longer, whoever works on it.
    PutOff,
    /// A person has it tried again.
    Retry,
}

/// Every arrow. What is not here does not happen.
pub const ARROWS: &[(EffectState, EffectStep, EffectState)] = {
    use EffectState::{Claimed, Done, Due, Failed};
    &[
        (Due, EffectStep::Claim, Claimed),
        (Claimed, EffectStep::TakeOver, Claimed),
        (Claimed, EffectStep::Again, Due),
        (Claimed, EffectStep::Done, Done),
        (Claimed, EffectStep::Failed, Failed),
        (Due, EffectStep::Settled, Done),
        (Claimed, EffectStep::Settled, Done),
        (Failed, EffectStep::Settled, Done),
        (Due, EffectStep::Dropped, Failed),
        (Claimed, EffectStep::Dropped, Failed),
        (Due, EffectStep::PutOff, Due),
        (Claimed, EffectStep::PutOff, Due),
        (Failed, EffectStep::Retry, Due),
        (Done, EffectStep::Retry, Due),
    ]
};

impl EffectState {
    /// Where a step leads from here; `None` if it does not.
    #[must_use]
    pub fn after(self, step: EffectStep) -> Option<Self> {
        ARROWS.iter().find(|(from, taken, _)| (*from, *taken) == (self, step)).map(|(.., to)| *to)
    }
}

impl EffectStep {
    /// From where it leads, and where it leads to.
    #[must_use]
    pub fn arrow(self) -> Option<(Vec<EffectState>, EffectState)> {
        let arrows = ARROWS.iter().filter(|(_, step, _)| *step == self);
        let to = arrows.clone().next()?.2;
        Some((arrows.map(|(from, ..)| *from).collect(), to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_leads_to_one_state_and_none_is_left_out() {
        for (from, step, to) in ARROWS {
            assert_eq!(from.after(*step), Some(*to), "{from:?} {step:?} leads to two states");
            let (_, leads_to) = step.arrow().expect("an arrow");
            assert_eq!(leads_to, *to, "{step:?} leads to one state, wherever from");
        }
        for state in EffectState::ALL {
            assert!(ARROWS.iter().any(|(_, _, to)| *to == state));
        }
    }

    #[test]
    fn only_a_claim_has_a_result_and_only_a_person_revives_what_has_ended() {
        for (from, step, _) in ARROWS {
            match step {
                EffectStep::Again | EffectStep::Done | EffectStep::Failed | EffectStep::TakeOver => {
                    assert_eq!(*from, EffectState::Claimed);
                }
                EffectStep::Retry => assert!(from.has_ended()),
                // What would not happen has happened after all.
                EffectStep::Settled => assert_ne!(*from, EffectState::Done),
                _ => assert!(!from.has_ended(), "{from:?} {step:?}"),
            }
        }
    }
}
