//! `portcullis-server serve`

use super::Which;
use crate::Running;
use crate::ops::config::socket_address;
use crate::ops::log;
use crate::ops::parts::Parts;
use crate::print;
use anyhow::Context as _;
use clap::Args;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    which: Which,
    /// The address to listen on; with port 0 a free one.
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    listen: Option<SocketAddr>,
    /// Takes the machine's clock as right, although the database was in use at a later time.
    #[arg(long)]
    accept_clock: bool,
    /// Writes the server's URL into this file once it listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Stops when its standard input ends: for a program that starts it, and may be killed.
    #[arg(long)]
    stop_with_input: bool,
}

impl Serve {
    pub(super) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        let config = self.which.load(self.listen, self.accept_clock)?;
        let traces = log::start(&config.log, &config.traces, std::io::stderr).map_err(anyhow::Error::msg)?;
        let running = Running::start_with(config, parts).await?;
        // Whoever started it may not listen; then it serves all the same.
        print::text(&format!("listening on http://{}", running.address())).ok();
        if let Some(file) = &self.ready_file {
            write_ready(file, running.app().origin().as_str())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let ended = input_ended(self.stop_with_input);
        tokio::select! {
            asked = asked_to_stop() => asked?,
            () = ended => {}
        }
        let stopped = running.stop().await.context("the server did not stop cleanly");
        // The exporter waits in its own way, which no thread of the runtime may.
        tokio::task::spawn_blocking(|| traces.end()).await?;
        stopped
    }
}

/// Waits until standard input ends, if that is asked for; else for ever.
async fn input_ended(is_asked: bool) {
    let (ended, wait) = tokio::sync::oneshot::channel::<()>();
    if is_asked {
        // A thread of its own: nobody waits for it when the server is stopped otherwise.
        let thread = std::thread::Builder::new().name("input".into()).spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
        if thread.is_ok() && wait.await.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

/// Whole or not at all: who waits for the file reads all of it.
fn write_ready(file: &Path, url: &str) -> std::io::Result<()> {
    let beside = file.with_extension("part");
    std::fs::write(&beside, format!("{url}\n"))?;
    std::fs::rename(&beside, file)
}

#[cfg(unix)]
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn asked_to_stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
