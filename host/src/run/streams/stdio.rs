//! Standard streams of a command, bounded; filtered where they lead to a terminal.

use crate::run::streams::endpoint::Output;
use crate::run::streams::outlet::Outlet;
use crate::run::streams::screen::ScreenFilter;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// The largest piece that one write of a guest may have.
const PERMIT: u64 = 64 * 1024;

/// An [`Output`] with a bound: what is beyond is refused to the guest, which sees a closed stream.
#[derive(Clone)]
pub(crate) struct Bounded {
    output: Output,
    left: Arc<AtomicU64>,
    exceeded: Arc<AtomicBool>,
    /// If it leads to a terminal.
    filter: Option<Arc<Mutex<Shown>>>,
    /// The way out, if writing may have to wait.
    outlet: Option<Outlet>,
    /// Whether the guest waits until everything is out.
    flushing: Arc<AtomicBool>,
}

impl Bounded {
    pub(crate) fn new(output: Output, most: u64) -> Self {
        let outlet = output.may_wait().then(|| Outlet::new(output.clone()));
        let shown =
            |outlet: &Outlet| Arc::new(Mutex::new(Shown { filter: ScreenFilter::new(), outlet: outlet.clone() }));
        let filter = outlet.as_ref().filter(|_| output.is_terminal()).map(shown);
        let (left, exceeded, flushing) = (Arc::new(AtomicU64::new(most)), Arc::default(), Arc::default());
        Self { output, left, exceeded, filter, outlet, flushing }
    }

    /// Passes bytes on that the filter, if there is one, has seen.
    fn pass(&self, bytes: &[u8]) -> StreamResult<()> {
        match &self.outlet {
            Some(outlet) => outlet.push(bytes),
            None => self.output.write(bytes).map_err(|_| StreamError::Closed)?,
        }
        Ok(())
    }

    /// Whether the guest tried to write more than the bound.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Nothing more comes: a terminal gets its own colours back. Waits until everything is out, or cannot get out.
    ///
    /// # Errors
    /// Why something that the guest wrote could not be passed on: a full disk, a closed pipe.
    pub(crate) async fn finish(&self) -> std::io::Result<()> {
        if let Some(filter) = &self.filter {
            let rest = filter.lock().filter.finish();
            self.pass(&rest).ok();
        }
        let Some(outlet) = &self.outlet else { return Ok(()) };
        outlet.emptied().await;
        outlet.take_failure().map_or(Ok(()), Err)
    }
}

/// A terminal, and what a resource has done to its colours.
struct Shown {
    filter: ScreenFilter,
    outlet: Outlet,
}

impl Drop for Shown {
    /// However the resource ended, the terminal has its own colours again.
    fn drop(&mut self) {
        let rest = self.filter.finish();
        if !rest.is_empty() {
            self.outlet.push(&rest);
        }
    }
}

impl IsTerminal for Bounded {
    fn is_terminal(&self) -> bool {
        self.filter.is_some()
    }
}

impl StdoutStream for Bounded {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // For WASI 0.3 only, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Bounded {
    async fn ready(&mut self) {
        match &self.outlet {
            Some(outlet) if self.flushing.load(Ordering::Relaxed) => outlet.emptied().await,
            Some(outlet) => outlet.has_room().await,
            None => {}
        }
    }
}

impl OutputStream for Bounded {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(length)).is_err() {
            self.exceeded.store(true, Ordering::Relaxed);
            return Err(StreamError::Closed);
        }
        match &self.filter {
            Some(filter) => {
                let shown = filter.lock().filter.filter(&bytes);
                self.pass(&shown)
            }
            None => self.pass(&bytes),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        // It is over when `check_write` permits again.
        self.flushing.store(self.outlet.is_some(), Ordering::Relaxed);
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if let Some(outlet) = &self.outlet {
            let room = outlet.room().ok_or(StreamError::Closed)?;
            if self.flushing.load(Ordering::Relaxed) && !outlet.is_empty() {
                return Ok(0);
            }
            self.flushing.store(false, Ordering::Relaxed);
            if room == 0 {
                return Ok(0);
            }
            return match self.left.load(Ordering::Relaxed).min(PERMIT).min(room as u64) {
                0 => {
                    self.exceeded.store(true, Ordering::Relaxed);
                    Err(StreamError::Closed)
                }
                permit => Ok(permit as usize),
            };
        }
        match self.left.load(Ordering::Relaxed).min(PERMIT) {
            0 => {
                self.exceeded.store(true, Ordering::Relaxed);
                Err(StreamError::Closed)
            }
            permit => Ok(permit as usize),
        }
    }
}
