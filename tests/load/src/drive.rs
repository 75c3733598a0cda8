//! The generator: so many terminals, each with a connection, that do the same over and over for some seconds.

use crate::cpu;
use crate::plan::Plan;
use crate::terminal::{Flaw, Known, Terminal, Trust};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::now;
use portcullis_protocol::{KeyDocument, Reason, WellKnown, paths};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of so many rounds of a terminal one is verified as a terminal does it. All of them would cost the generator more
/// than the server.
const SAMPLE: u64 = 16;

/// What terminals do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Authorise and verify.
    Cycle,
    /// The same, and acknowledge the grant.
    Acknowledged,
    /// Verify a code that was verified before.
    Replayed,
    /// A proof whose signature is wrong.
    BadSignature,
    /// A token that nobody was given.
    UnknownToken,
    /// Authorise what was not paid for.
    Unpaid,
}

impl Kind {
    /// As it is written on a command line.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// How it is done.
#[derive(Debug, Clone)]
pub struct Load {
    /// The file that names server and customers.
    pub plan: PathBuf,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Its process.
    pub process: u32,
    /// What terminals do.
    pub kind: Kind,
    /// How many.
    pub terminals: usize,
    /// How long before anything is counted.
    pub warm: Duration,
    /// How long it is counted.
    pub counted: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// What terminals did.
    pub kind: Kind,
    /// How many.
    pub terminals: usize,
    /// For how long, in seconds.
    pub seconds: f64,
    /// How often all of them together.
    pub rounds: u64,
    /// Per second.
    pub rate: f64,
    /// Processor time of the server for each, in nanoseconds.
    pub cpu: f64,
    /// How long each took, in nanoseconds: the median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// How many were verified as a terminal does it.
    pub verified: u64,
    /// How many answers were not what they should be.
    pub errors: u64,
    /// What was wrong with one of them.
    pub error: Option<String>,
}

#[derive(Default)]
struct Count {
    rounds: AtomicU64,
    verified: AtomicU64,
    errors: AtomicU64,
    error: Mutex<Option<String>>,
    /// Whether what is done is counted.
    counts: AtomicBool,
    stops: AtomicBool,
}

/// How long a slow server is given to serve each terminal once, before anything is counted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts load on a server.
///
/// # Errors
/// If the plan cannot be read, or no terminal reaches the server.
pub fn drive(load: &Load) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(driven(load))
}

async fn driven(load: &Load) -> Result<Outcome> {
    let plan = Plan::read(&load.plan)?;
    ensure!(plan.customers.len() >= load.terminals, "the plan has {} customers", plan.customers.len());
    let keys = keys(&plan, load.address).await?;
    let known = Arc::new(Known { plan, address: load.address, keys });
    let count = Arc::new(Count::default());
    let mut terminals = Vec::with_capacity(load.terminals);
    for customer in &known.plan.customers[..load.terminals] {
        terminals.push(Terminal::new(Arc::clone(&known), customer).await?);
    }
    let running: Vec<_> =
        terminals.into_iter().map(|terminal| tokio::spawn(work(terminal, load.kind, Arc::clone(&count)))).collect();
    tokio::time::sleep(load.warm).await;
    // Until each had its turn: of a thousand that begin at once, the last one waits for all others.
    let (begun, turns) = (Instant::now(), load.terminals as u64);
    while count.rounds.load(Ordering::SeqCst) + count.errors.load(Ordering::SeqCst) < turns
        && begun.elapsed() < PATIENCE
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (used, rounds, begun) = (cpu::used(load.process)?, count.rounds.load(Ordering::SeqCst), Instant::now());
    count.counts.store(true, Ordering::SeqCst);
    tokio::time::sleep(load.counted).await;
    count.counts.store(false, Ordering::SeqCst);
    let rounds = count.rounds.load(Ordering::SeqCst) - rounds;
    let (seconds, used) = (begun.elapsed().as_secs_f64(), cpu::used(load.process)? - used);
    count.stops.store(true, Ordering::SeqCst);
    let mut took = Vec::new();
    for terminal in running {
        took.extend(terminal.await?);
    }
    took.sort_unstable();
    let at = |part: f64| took.get(((took.len() as f64) * part) as usize).map_or(0.0, |took| f64::from(*took) * 1e3);
    let errors = count.errors.load(Ordering::SeqCst);
    ensure!(rounds > 0 || errors > 0, "nothing was done in {seconds} s");
    Ok(Outcome {
        kind: load.kind,
        terminals: load.terminals,
        seconds,
        rounds,
        rate: rounds as f64 / seconds,
        cpu: used.max(cpu::LEAST).as_nanos() as f64 / rounds.max(1) as f64,
        p50: at(0.5),
        p99: at(0.99),
        verified: count.verified.load(Ordering::SeqCst),
        errors,
        error: count.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    })
}

/// The keys of the server, under the root that the plan names.
async fn keys(plan: &Plan, address: SocketAddr) -> Result<KeyDocument> {
    let mut connection = crate::connection::Connection::open(address).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n", paths::WELL_KNOWN);
    let answer = connection.send(request.as_bytes()).await?;
    let known: WellKnown = serde_json::from_slice(&answer.body).context("not a billing server")?;
    Ok(KeyDocument::verify(&known.keys, &plan.root, &plan.origin, now(), 0)?.into_document())
}

/// What one terminal does until it is told to stop. Returns how long each counted round took, in microseconds.
async fn work(mut terminal: Terminal, kind: Kind, count: Arc<Count>) -> Vec<u32> {
    let mut took = Vec::new();
    let mut spent = None;
    for round in 0_u64.. {
        if count.stops.load(Ordering::Relaxed) {
            break;
        }
        // The first of each terminal, whatever the terminals are.
        let trust = if round.is_multiple_of(SAMPLE) { Trust::Verified } else { Trust::Blind };
        let begun = Instant::now();
        let done = once(&mut terminal, kind, &mut spent, trust).await;
        match done {
            Ok(()) => {
                count.rounds.fetch_add(1, Ordering::SeqCst);
                if trust == Trust::Verified {
                    count.verified.fetch_add(1, Ordering::Relaxed);
                }
                if count.counts.load(Ordering::Relaxed) {
                    took.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
            }
            Err(error) => {
                count.errors.fetch_add(1, Ordering::SeqCst);
                let mut first = count.error.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| format!("{error:#}"));
                // The connection may be gone, and whatever is wrong will be so again.
                break;
            }
        }
    }
    took
}

async fn once(
    terminal: &mut Terminal,
    kind: Kind,
    spent: &mut Option<portcullis_protocol::wire::VerificationRequest>,
    trust: Trust,
) -> Result<()> {
    match kind {
        Kind::Cycle => terminal.cycle(trust, false).await,
        Kind::Acknowledged => terminal.cycle(trust, true).await,
        Kind::Replayed => {
            if spent.is_none() {
                let code = terminal.authorised(trust).await?;
                terminal.verify(&code).await?;
                *spent = Some(code);
            }
            let Some(code) = spent else { bail!("no code") };
            let expected = (Reason::StatusCodeSpent.http_status(), Some(Reason::StatusCodeSpent));
            terminal.refused((paths::VERIFICATIONS, code), Flaw::None, expected, trust).await
        }
        Kind::BadSignature => {
            let request = terminal.unpaid()?;
            terminal.refused((paths::AUTHORIZATIONS, &request), Flaw::Signature, (401, None), trust).await
        }
        Kind::UnknownToken => {
            let request = terminal.unpaid()?;
            let expected = (Reason::NotSignedIn.http_status(), Some(Reason::NotSignedIn));
            terminal.refused((paths::AUTHORIZATIONS, &request), Flaw::Token, expected, trust).await
        }
        Kind::Unpaid => {
            let request = terminal.unpaid()?;
            let expected = (Reason::PaymentRequired.http_status(), Some(Reason::PaymentRequired));
            terminal.refused((paths::AUTHORIZATIONS, &request), Flaw::None, expected, trust).await
        }
    }
}
