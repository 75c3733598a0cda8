//! Attacks with time and force: servers killed in the middle of things, and one code verified from everywhere at once.

use super::cheater::{Cheater, verification};
use super::shop::Shop;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{Draft, fresh_key};
use portcullis_protocol::wire::VerificationAnswer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

attacks! {
    "verify-kill-verify" => verify_kill_verify,
    "ten-thousand-concurrent-verifications" => ten_thousand_concurrent_verifications,
}

/// Requests under way at once.
const WORKERS: u32 = 256;
/// How long one verification may go without an answer, restarts included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kills the server at each step of the transaction that makes a code a grant, and asks again.
async fn verify_kill_verify(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let mut trial = Trial::new();
    let mut left = cheater.remaining("print").await?;
    for fault in ["verify.before-write", "verify.before-commit", "verify.after-commit"] {
        shop.restart(&[("PORTCULLIS_FAULT", &format!("{fault}:kill"))])?;
        let code = cheater.authorise(&request).await?;
        let draft = verification(&request, &code);
        let died = cheater.send(&draft).await.is_err();
        shop.server.wait_for_end()?;
        shop.restart(&[])?;
        let granted: VerificationAnswer = cheater.ask(&draft).await?;
        let again: VerificationAnswer = cheater.ask(&draft).await?;
        let once = granted.grant == again.grant;
        let new_key = cheater.verify(&request, &code).await;
        let debited = left - cheater.remaining("print").await?;
        left -= debited;
        trial.attack_fails(
            &format!("killed at {fault}: {debited} debited"),
            "one debit, one grant",
            once && debited == 1,
        );
        trial.attack("and once more as if it were new", "status-code-spent", new_key);
        trial.control("the server died there, and the terminal got its grant", died && cheater.open(&granted).is_ok());
    }
    let balanced = shop.server.operator(&["ledger"])?["balanced"] == serde_json::json!(true);
    trial.control("the ledger balances", balanced);
    Ok(trial.finish())
}

/// What the answers to all verifications were.
#[derive(Default)]
struct Tally {
    grants: BTreeSet<String>,
    yes: u32,
    no: BTreeMap<String, u32>,
    unanswered: u32,
}

/// What the workers share.
struct Flood {
    cheater: Cheater,
    draft: Draft,
    addresses: Mutex<Vec<String>>,
    nonce: Mutex<Option<String>>,
    begun: AtomicU32,
    answered: AtomicU32,
    tally: Mutex<Tally>,
    total: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One code, verified 10,000 times at once at two server processes, half of the times with its own Idempotency-Key and
/// half with new ones, while both processes are killed twice.
async fn ten_thousand_concurrent_verifications(arena: &mut Arena) -> Result<Outcome> {
    let total = arena.verifications();
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let before = cheater.remaining("print").await?;
    let request = shop.request("print");
    shop.restart(&[])?;
    let twin = shop.server.start_twin()?;
    let code = cheater.authorise(&request).await?;
    let flood = Arc::new(Flood {
        draft: verification(&request, &code),
        addresses: Mutex::new(vec![shop.origin.as_str().to_owned(), twin]),
        nonce: Mutex::new(cheater.nonce.clone()),
        begun: AtomicU32::new(0),
        answered: AtomicU32::new(0),
        tally: Mutex::default(),
        total,
        cheater: cheater.clone(),
    });
    let begun = Instant::now();
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(Arc::clone(&flood)))).collect();
    for quarter in [1, 3] {
        while flood.answered.load(Ordering::SeqCst) < total / 4 * quarter {
            ensure!(begun.elapsed() < PATIENCE * 4, "the verifications are not answered");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        restart_both(shop, &flood)?;
    }
    for worker in workers {
        worker.await??;
    }
    let took = begun.elapsed();
    let tally = std::mem::take(&mut *locked(&flood.tally));
    let debited = before - cheater.remaining("print").await?;
    let mut trial = Trial::new();
    let answers: u32 = tally.yes + tally.no.values().sum::<u32>();
    let nos: Vec<String> = tally.no.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    trial.note(format!(
        "{total} verifications, {WORKERS} under way at once, at two processes with two kills in {:.1} s: {} grants, \
         {debited} debited; {} answers gave it, {}; {} requests were repeated for want of an answer",
        took.as_secs_f64(),
        tally.grants.len(),
        tally.yes,
        nos.join(", "),
        tally.unanswered,
    ));
    let only_spent = tally.no.keys().all(|reason| reason == "status-code-spent");
    let exact = tally.grants.len() == 1 && debited == 1 && answers == total && only_spent;
    trial.attack_fails("a second grant or debit", "status-code-spent", exact);
    trial.control("the code gave the grant that was paid for", tally.yes > 0 && tally.grants.len() == 1);
    shop.restart(&[])?;
    let another = cheater.cycle(&request).await;
    let another = another.is_ok_and(|another| !tally.grants.contains(&another.grant));
    trial.control("another code gives another grant", another);
    trial.control("and another debit", cheater.remaining("print").await? == before - 2);
    Ok(trial.finish())
}

/// `kill -9` to both processes, then two new ones.
fn restart_both(shop: &mut Shop, flood: &Flood) -> Result<()> {
    shop.restart(&[])?;
    let twin = shop.server.start_twin()?;
    *locked(&flood.addresses) = vec![shop.origin.as_str().to_owned(), twin];
    Ok(())
}

async fn work(flood: Arc<Flood>) -> Result<()> {
    loop {
        let number = flood.begun.fetch_add(1, Ordering::SeqCst);
        if number >= flood.total {
            return Ok(());
        }
        let draft = if number.is_multiple_of(2) { flood.draft.clone() } else { flood.draft.clone().once(&fresh_key()) };
        // Not all the retries at one process: every other pair goes to the other.
        verify_once(&flood, &draft, (number / 2 % 2) as usize).await?;
        flood.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Repeats one verification until it has a signed answer.
async fn verify_once(flood: &Flood, draft: &Draft, server: usize) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let address = locked(&flood.addresses).get(server).cloned().context("two addresses")?;
        let nonce = locked(&flood.nonce).clone();
        let proof = flood.cheater.prove(draft, nonce.as_deref());
        let answer = match flood.cheater.send_to(&address, draft, &proof).await {
            Ok(answer) => answer,
            // Killed, or not yet up again.
            Err(_) => {
                locked(&flood.tally).unanswered += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        if answer.nonce.is_some() {
            (*locked(&flood.nonce)).clone_from(&answer.nonce);
        }
        if answer.wants_nonce() {
            continue;
        }
        if answer.signed().is_err() {
            // The first request with this key is under way.
            locked(&flood.tally).unanswered += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let read = answer.read::<VerificationAnswer>(&flood.cheater.keys);
        let mut tally = locked(&flood.tally);
        match read {
            Ok(answer) => {
                tally.yes += 1;
                tally.grants.insert(answer.grant);
            }
            Err(no) => *tally.no.entry(no.to_string()).or_default() += 1,
        }
        return Ok(());
    }
    bail!("a verification was not answered in {PATIENCE:?}")
}
