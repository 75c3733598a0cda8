//! `portcullis-server serve`

use super::Which;
use anyhow::Context as _;
use clap::Args;
use portcullis_server::{Running, log};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    which: Which,
    /// The address to listen on; with port 0 a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Takes the machine's clock as right, although the database was in use at a later time.
    #[arg(long)]
    accept_clock: bool,
    /// Writes the server's URL into this file once it listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.which.load(self.listen, self.accept_clock)?;
        log::start(&config.log, std::io::stderr).map_err(anyhow::Error::msg)?;
        let running = Running::start(config).await?;
        println!("listening on http://{}", running.address());
        std::io::stdout().flush().ok();
        if let Some(file) = &self.ready_file {
            write_ready(file, running.app().origin().as_str())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        asked_to_stop().await?;
        running.stop().await.context("the server did not stop cleanly")
    }
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
