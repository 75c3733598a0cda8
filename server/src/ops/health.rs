//! Whether the server can do its work: for a load balancer, which is told yes or no, and for the operator, who is told
//! why.

use crate::Core;
use crate::catalogue::publish;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long what was found is believed: whoever asks more often is answered from memory, and costs the database
/// nothing.
const BELIEVED: Duration = Duration::from_secs(2);
/// How long the database may take to say what time it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the server cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It answers.
    Database,
    /// There is one to sign with now.
    Keys,
    /// Sealed files can be written.
    Storage,
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Keys => "keys",
            Self::Storage => "storage",
        }
    }
}

/// A part, and what is wrong with it if anything is.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) part: Part,
    pub(crate) fault: Option<String>,
}

/// What was found last.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<(Instant, Vec<Finding>)>>);

impl Health {
    /// Looks at every part, at most once in [`BELIEVED`].
    pub(crate) async fn look(&self, core: &Core, dir: &Path) -> Vec<Finding> {
        let mut last = self.0.lock().await;
        if let Some((_, findings)) = last.as_ref().filter(|(at, _)| at.elapsed() < BELIEVED) {
            return findings.clone();
        }
        let (database, storage) = tokio::join!(database(core), storage(core, dir));
        let keys = core.keys.signing_key(core.clock.now()).err().map(|error| error.to_string());
        let findings = vec![
            Finding { part: Part::Database, fault: database },
            Finding { part: Part::Keys, fault: keys },
            Finding { part: Part::Storage, fault: storage },
        ];
        for Finding { part, fault } in &findings {
            if let Some(fault) = fault {
                tracing::error!(part = part.word(), %fault, "the server is not ready");
            }
        }
        *last = Some((Instant::now(), findings.clone()));
        findings
    }
}

async fn database(core: &Core) -> Option<String> {
    match tokio::time::timeout(PATIENCE, core.store.now()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the database does not answer within {} s", PATIENCE.as_secs())),
    }
}

async fn storage(core: &Core, dir: &Path) -> Option<String> {
    match tokio::time::timeout(PATIENCE, core.objects.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some(format!("the place of sealed files does not answer within {} s", PATIENCE.as_secs())),
    }
    let folders = publish::folders(core, dir);
    let tried = tokio::task::spawn_blocking(move || publish::try_writing(&folders));
    match tokio::time::timeout(PATIENCE, tried).await {
        Ok(Ok(tried)) => tried.err().map(|error| error.to_string()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the disk does not write within {} s", PATIENCE.as_secs())),
    }
}
