//! The bounds that a publisher asks for.

#[cfg(feature = "surface")]
use crate::census::Need;
use crate::limits::{HOST_MEMORY, HOST_OUTPUT, HOST_RESULT, HOST_RUN_MAX};
use serde::{Deserialize, Serialize};

/// Bounds a publisher asks for. Absent: the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimits {
    /// Linear memory in bytes, over all instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Seconds that one call may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_max: Option<u32>,
    /// Bytes of results of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<u64>,
    /// Bytes of standard output and standard error of one call, each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
}

/// Bounds that no host gives by default, or under which nothing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bound `{bound}` is {asked}, and hosts give {least} to {most}: change it under [limits], or leave it out")]
pub struct LimitsRefused {
    /// Which.
    pub bound: &'static str,
    /// What is asked for.
    pub asked: u64,
    /// The least with which something runs.
    pub least: u64,
    /// What hosts give by default.
    pub most: u64,
}

impl ResourceLimits {
    /// Checks that hosts give what is asked for, and that something can run with it. Of what was published before,
    /// hosts take the lower bound.
    ///
    /// # Errors
    /// [`LimitsRefused`] names the first that is not given.
    pub fn check(&self) -> Result<(), LimitsRefused> {
        for (bound, asked, least, most) in [
            ("memory", self.memory, 0, HOST_MEMORY),
            ("run_max", self.run_max.map(u64::from), 1, HOST_RUN_MAX.into()),
            ("result", self.result, 0, HOST_RESULT),
            ("output", self.output, 0, HOST_OUTPUT),
        ] {
            if let Some(asked) = asked.filter(|asked| !(least..=most).contains(asked)) {
                return Err(LimitsRefused { bound, asked, least, most });
            }
        }
        Ok(())
    }

    /// What a host gives by default of something that instances take from the start.
    #[cfg(feature = "surface")]
    #[must_use]
    pub fn given(&self, need: Need) -> u64 {
        let given = need.given();
        match need {
            Need::Memory => self.memory.unwrap_or(given).min(given),
            _ => given,
        }
    }
}
