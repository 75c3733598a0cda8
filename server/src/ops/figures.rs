//! The store's figures for monitoring, read at most every few seconds whoever asks.

use crate::Core;
use crate::store::StoreFigures;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long figures are repeated: several scrapers cost what one does.
const BELIEVED: Duration = Duration::from_secs(5);
/// How long the database may take to say them. Without an answer the process's own figures are told alone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct LastFigures(Mutex<Option<(Instant, Option<StoreFigures>)>>);

impl LastFigures {
    /// The figures, as they are or were some seconds ago. `None` if the database does not say them.
    pub(crate) async fn look(&self, core: &Core) -> Option<StoreFigures> {
        let mut last = self.0.lock().await;
        if let Some((_, figures)) = last.as_ref().filter(|(at, _)| at.elapsed() < BELIEVED) {
            return figures.clone();
        }
        let figures = match tokio::time::timeout(PATIENCE, core.store.figures()).await {
            Ok(Ok(figures)) => Some(figures),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store's figures could not be read");
                None
            }
            Err(_) => {
                tracing::error!("the store's figures could not be read within {} s", PATIENCE.as_secs());
                None
            }
        };
        *last = Some((Instant::now(), figures.clone()));
        figures
    }
}
