//! Somebody between a real terminal and its server, who reads and changes what passes: TLS is no defence against him.

use anyhow::Result;
use async_trait::async_trait;
use portcullis_host::{BillingServer, Download, Downloaded, Exchange, Exchanged, HttpBillingServer, TransportError};
use std::sync::{Mutex, PoisonError};

/// Is shown a request and its answer, and gives the answer that the terminal gets.
pub(super) type Meddle = Box<dyn FnMut(&Exchange, Exchanged) -> Exchanged + Send>;

/// Is shown what is fetched, and gives what arrives of it.
pub(super) type Mirror = Box<dyn FnMut(&Download, Downloaded) -> Downloaded + Send>;

/// A transport that meddles.
pub(super) struct Meddler {
    inner: HttpBillingServer,
    meddle: Mutex<Option<Meddle>>,
    mirror: Mutex<Option<Mirror>>,
    asked: Mutex<Vec<String>>,
}

impl Meddler {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            inner: HttpBillingServer::new()?,
            meddle: Mutex::default(),
            mirror: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Changes answers from now on.
    pub(super) fn begin(&self, meddle: impl FnMut(&Exchange, Exchanged) -> Exchanged + Send + 'static) {
        *self.meddle.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(meddle));
    }

    /// Changes files from now on.
    pub(super) fn mirror(&self, mirror: impl FnMut(&Download, Downloaded) -> Downloaded + Send + 'static) {
        *self.mirror.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(mirror));
    }

    /// Passes everything on unchanged from now on.
    pub(super) fn stop(&self) {
        *self.meddle.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.mirror.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The origins that were contacted, in order, with every repetition.
    pub(super) fn contacted(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl BillingServer for Meddler {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(exchange.origin.as_str().to_owned());
        let answer = self.inner.exchange(exchange.clone()).await?;
        let mut meddle = self.meddle.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &mut *meddle {
            Some(meddle) => meddle(&exchange, answer),
            None => answer,
        })
    }

    async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
        let answer = self.inner.download(download.clone()).await?;
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &mut *mirror {
            Some(mirror) => mirror(&download, answer),
            None => answer,
        })
    }
}
