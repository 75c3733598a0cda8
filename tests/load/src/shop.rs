//! A server's process with its stock, and the generator beside it.

use crate::drive::{Kind, Outcome};
use crate::plan::Plan;
use crate::stock;
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Server, checkout};
use portcullis_protocol::Origin;
use portcullis_server::ops::config::Config;
use portcullis_server::{Core, DATABASE, Parts};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// More than any generator asks for: limits are not what is measured.
const NO_LIMIT: i64 = 1_000_000_000;
/// More connections than there are terminals.
const CONNECTIONS: i64 = 2048;

/// How long a generator runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm: Duration,
    pub(crate) counted: Duration,
}

/// A running server and its customers.
pub(crate) struct Shop {
    server: Server,
    plan: PathBuf,
}

impl Shop {
    /// Makes a server in `folder` with so many customers and whatever more is made, and starts it.
    pub(crate) fn open_with(
        folder: &Path,
        customers: usize,
        more: impl AsyncFnOnce(&Core) -> Result<()>,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let server = Server::init(&folder.join("server"))?;
        for limit in ["address_rate", "address_burst", "terminal_rate", "terminal_burst"] {
            server.configure("limits", limit, NO_LIMIT)?;
        }
        for limit in ["connections", "connections_per_address"] {
            server.configure("limits", limit, CONNECTIONS)?;
        }
        // A merchant's endpoint is one of this machine.
        server.configure("webhooks", "networks_of_others", vec!["127.0.0.0/8"])?;
        let plan = folder.join("plan.json");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let core = core(&server).await?;
            let filled = stock::fill(&core, u32::try_from(customers)?).await?;
            more(&core).await?;
            core.store.close().await?;
            filled.write(&plan)
        })?;
        let mut shop = Self { server, plan };
        shop.start()?;
        Ok(shop)
    }

    /// Starts the server. Returns how long it took to listen.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.server.start(&[])?;
        Ok(begun.elapsed())
    }

    /// Stops the server, so that its database can be worked on.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    /// What the generator is told.
    pub(crate) fn plan(&self) -> Result<Plan> {
        Plan::read(&self.plan)
    }

    /// Its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.server.dir().join(DATABASE)
    }

    /// Has so many terminals do the same over and over, from another process. Any answer that is not what it should be
    /// is an error.
    pub(crate) fn drive(&self, kind: Kind, terminals: usize, times: Times) -> Result<Outcome> {
        let address = self.server.origin().strip_prefix("http://").context("a server on loopback")?;
        let mut generator = Command::new(checkout::program("portcullis-load")?);
        generator.args(["drive", "--plan"]).arg(&self.plan).args(["--address", address]);
        generator.args(["--process", &self.server.process()?.to_string(), "--kind", &kind.name()]);
        generator.args(["--terminals", &terminals.to_string()]);
        generator.args(["--warm", &times.warm.as_millis().to_string()]);
        let output = generator.args(["--counted", &times.counted.as_millis().to_string()]).output()?;
        ensure!(output.status.success(), "the generator: {}", String::from_utf8_lossy(&output.stderr));
        let outcome: Outcome = serde_json::from_slice(&output.stdout).context("the generator prints JSON")?;
        if let Some(error) = &outcome.error {
            bail!("{} of {} rounds: {error}\n{}", outcome.errors, outcome.rounds, last_lines(&self.server.log()));
        }
        ensure!(outcome.verified > 0, "no answer was verified");
        Ok(outcome)
    }
}

/// The core of a server that does not run.
async fn core(server: &Server) -> Result<Core> {
    let origin: Origin = server.origin().parse().ok().context("an origin")?;
    let mut config = Config { dir: server.dir().to_owned(), origin: Some(origin.clone()), ..Config::default() };
    config.payment.set("sandbox", true);
    Ok(portcullis_server::open(&config, origin, Parts::default()).await?)
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("answered")).collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
