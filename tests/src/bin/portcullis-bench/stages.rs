//! What the stages of something take, one after another.

use anyhow::{Result, ensure};
use portcullis_load::row::text;
use serde::Serialize;

/// Each stage with the nanoseconds it takes: the 10th percentile of several times.
#[derive(Serialize)]
pub(crate) struct Stages {
    pub(crate) what: String,
    pub(crate) stages: Vec<(String, f64)>,
}

impl Stages {
    /// Lets `once` do it so often. It gives when it began, when each stage ended, and when all was over.
    pub(crate) fn of(
        what: String,
        times: usize,
        mut once: impl FnMut() -> Result<(u64, Vec<(String, u64)>, u64)>,
    ) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        let mut taken: Vec<Vec<f64>> = Vec::new();
        for _ in 0..times {
            let (begun, mut ended, over) = once()?;
            ended.push(("end".into(), over));
            if names.is_empty() {
                names = ended.iter().map(|(name, _)| name.clone()).collect();
                taken = vec![Vec::with_capacity(times); names.len()];
            }
            ensure!(ended.iter().map(|(name, _)| name).eq(&names), "{what}: other stages than before");
            let mut before = begun;
            for (series, (_, at)) in taken.iter_mut().zip(&ended) {
                series.push(at.saturating_sub(before) as f64);
                before = *at;
            }
        }
        let p10 = |mut series: Vec<f64>| {
            series.sort_by(f64::total_cmp);
            series.get(series.len() / 10).copied().unwrap_or_default()
        };
        Ok(Self { what, stages: names.into_iter().zip(taken.into_iter().map(p10)).collect() })
    }

    pub(crate) fn print(&self) {
        let stages = self.stages.iter().map(|(name, taken)| format!("{name} {}", text(*taken)));
        println!("{}: {}", self.what, stages.collect::<Vec<_>>().join(" · "));
    }
}
