//! A process that starts a sealed resource with its key at hand: what a terminal does whose grant is held, without the
//! billing server. `portcullis-bench held FILE KEY CACHE [--stages]`.
//!
//! No lease exists yet. In its place stands a gatekeeper that opens the part's key with an identity and signs a grant;
//! everything from there on is the runtime as `portcullis run` uses it, its compiled cache included.

use crate::resource::{ADD, OPERATION, granted, unwrapped};
use anyhow::{Context as _, Result, ensure};
use portcullis_host::{BlobDir, CompiledCache, DEFAULT_CACHE_SIZE, Progress, Step};
use portcullis_protocol::SignedManifest;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// When each step ended, in nanoseconds of the monotonic clock, which all processes share.
#[derive(Clone, Default)]
struct Stages(Arc<Mutex<Vec<(&'static str, u64)>>>);

impl Stages {
    fn ended(&self, stage: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((stage, now()));
    }
}

impl Progress for Stages {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        match step {
            Step::Opening(_) => self.ended("grant"),
            Step::Compiling(_) => self.ended("body"),
            Step::Ready(_) => self.ended("code"),
            _ => {}
        }
    }
}

/// Nanoseconds on the clock that all processes share.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Starts the resource, calls `add` and prints the sum, or when each step ended.
pub(crate) fn start(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let stages = Stages::default();
    stages.ended("spawn");
    let mut next = || arguments.next().context("usage: portcullis-bench held FILE KEY CACHE [--stages]");
    let (file, key, cache) = (next()?, next()?, next()?);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    stages.ended("threads");
    let key = unwrapped(&std::fs::read(key)?)?;
    stages.ended("key");
    let cache = CompiledCache::new(Arc::new(BlobDir::new(cache, DEFAULT_CACHE_SIZE)), Zeroizing::new([9; 32]));
    let runtime = granted(key, None)?.cache(cache).progress(stages.clone()).build()?;
    stages.ended("engine");
    let resource = runtime.load(Path::new(&file))?;
    stages.ended("load");
    let sum = tokio.block_on(async {
        let authorised = resource.authorize(OPERATION).await?;
        let (sum,) = authorised.typed::<(u32, u32), (u32,)>(ADD)?.call((2, 3)).await?;
        anyhow::Ok(sum)
    })?;
    stages.ended("call");
    ensure!(sum == 5, "add gave {sum}");
    if arguments.next().as_deref() == Some("--stages") {
        let stages = stages.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{}", serde_json::to_string(&*stages)?);
    } else {
        println!("{sum}");
    }
    Ok(())
}
