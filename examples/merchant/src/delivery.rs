//! From a notification to an accepted code. Each order is taken forward by what the store says of it now and what the
//! shop has written down, so whoever begins again after a crash does the same thing as who was never stopped.
//!
//! ```text
//! look at the order ─▶ verify ─▶ take codes and seal (one commit) ─▶ submit ─▶ keep the signed answer (one commit)
//!        └─ over: put the codes back in stock, or write down that they are not to be sold again
//! ```

use crate::database::{OrderRow, Seal, Sealed};
use crate::places::Places;
use crate::shop::Shop;
use crate::steps::{Step, Watch};
use crate::store::{Store, StoreError};
use crate::verification::{Expected, Mismatch};
use anyhow::{Context as _, Result};
use portcullis_protocol::codes::{CodeError, CodeState, Codes, Generation, SealedBytes};
use portcullis_protocol::encoding::from_base64url;
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, DeclineRequest, MerchantOrder, MerchantStatus, OrderVerificationAnswer,
    OrderVerificationRequest,
};
use portcullis_protocol::{
    CodeAccepted, JwsError, OrderId, OrderRefunded, Reason, RefusalAnswer, SealedCode, SecretKey, Unverified,
    Verification, Verified, paths,
};
use reqwest::Method;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Orders that are taken forward at once. One that hangs for as long as the store lets it holds its own place alone.
const AT_ONCE: usize = 16;
/// The longest pause before an order is looked at again that got no answer, in seconds.
const LONGEST_PAUSE: u64 = 60;
/// How long a shop that the store has suspended waits, in seconds.
const SUSPENDED: u64 = 600;
/// How long the worker sleeps if nothing is due. Notifications wake it.
const SLEEP: Duration = Duration::from_secs(3600);
/// The keys of webhooks are not asked for more often: a forged webhook costs the store no more than that.
const KEYS_PAUSE: Duration = Duration::from_secs(2);

/// The shop at work.
pub(crate) struct Desk {
    pub(crate) shop: Shop,
    pub(crate) store: Store,
    pub(crate) watch: Watch,
    wake: Notify,
    learned: Mutex<Option<Instant>>,
}

/// What follows for an order.
enum Next {
    /// It is written down already.
    Done,
    /// It is looked at again after so many seconds.
    Later(u64, String),
    /// Nothing, until the store says more.
    Rest(String),
    /// A person has to look.
    Stuck(String),
}

/// What the store has signed of an order.
enum Outcome {
    Accepted(Box<Verified<CodeAccepted>>),
    Refunded,
}

impl Desk {
    pub(crate) fn new(shop: Shop, store: Store, watch: Watch) -> Self {
        Self { shop, store, watch, wake: Notify::new(), learned: Mutex::default() }
    }

    /// There is something to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Asks for the keys that webhooks are signed with, if that was not just done. Returns whether it learned any.
    pub(crate) async fn learn_keys(&self) -> bool {
        {
            let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            if learned.is_some_and(|at| at.elapsed() < KEYS_PAUSE) {
                return false;
            }
            *learned = Some(Instant::now());
        }
        let status: MerchantStatus = match self.store.get(paths::OWN_MERCHANT).await {
            Ok(status) => status,
            Err(StoreError::Refused(refusal)) if refusal.reason == Reason::MerchantUnknown => {
                tracing::info!("the store does not know the shop yet: run `example-merchant register`");
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, "the keys of webhooks cannot be asked for");
                return false;
            }
        };
        let keys = status.keys.into_iter().collect();
        match self.shop.database.learn_keys(keys).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the keys of webhooks cannot be stored");
                false
            }
        }
    }

    /// Takes orders forward, for as long as the process lives: several at once, and each place that becomes free is
    /// the next order's.
    pub(crate) async fn work(&self) {
        let mut places = Places::new(AT_ONCE);
        loop {
            // Those that are under way are due, too, until they are written down.
            let (due, next) = match self.shop.database.due(places.most()).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the database cannot be read");
                    (Vec::new(), Some(crate::now() + 1))
                }
            };
            for row in due {
                let order = row.id;
                places.take(order, || self.advance(row));
            }
            let pause = next.map_or(SLEEP, |at| Duration::from_secs(at.saturating_sub(crate::now())).min(SLEEP));
            if places.are_free() {
                tokio::select! {
                    () = places.one_is_free() => {}
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            } else {
                places.one_is_free().await;
            }
        }
    }

    async fn advance(&self, row: OrderRow) {
        let (order, tries) = (row.id, row.tries);
        let next = match self.step(&row).await {
            Ok(next) => next,
            Err(Failed::Store(StoreError::Refused(refusal))) => match refusal.reason {
                Reason::OrderClosed => self.closed(&row, &refusal).await,
                Reason::CodeDiffers => Next::Stuck("the store has accepted another code for this order".into()),
                Reason::MerchantUnknown => Next::Later(SUSPENDED, "the store does not know or has suspended us".into()),
                reason => {
                    let pause = refusal.retry_after.map_or_else(|| pause(tries), u64::from);
                    Next::Later(pause, format!("refused: {reason}"))
                }
            },
            Err(failed) => Next::Later(pause(tries), failed.to_string()),
        };
        let database = &self.shop.database;
        let written = match next {
            Next::Done => Ok(()),
            Next::Later(seconds, note) => {
                tracing::info!(%order, %note, seconds, "an order is looked at again later");
                database.again(row, Some(crate::now() + seconds.max(1)), note).await
            }
            Next::Rest(note) => {
                tracing::info!(%order, %note, "nothing is to be done for an order");
                database.again(row, None, note).await
            }
            Next::Stuck(note) => {
                tracing::error!(%order, %note, "a person has to look at an order");
                database.stick(row, note).await
            }
        };
        if let Err(error) = written {
            tracing::error!(%order, error = format!("{error:#}"), "an order cannot be written down");
            // Not at once again.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn step(&self, row: &OrderRow) -> Result<Next, Failed> {
        let path = paths::fill(paths::MERCHANT_ORDER, &[&row.id]);
        let seen: MerchantOrder = match self.store.get(&path).await {
            Err(StoreError::Refused(refusal)) if refusal.reason == Reason::OrderUnknown => {
                return Ok(Next::Stuck("the store does not know this order".into()));
            }
            seen => seen?,
        };
        if let Some(next) = self.ended(row, &seen).await? {
            return Ok(next);
        }
        if !seen.state.known().is_some_and(wants_code) {
            return Ok(Next::Rest(format!("it is {} at the store, which wants no code", seen.state)));
        }
        let mut answer: Option<OrderVerificationAnswer> = None;
        // What the store says now is in force; what it said in webhooks may be old.
        let told = self.shop.database.nonces(row.id).await?;
        for nonce in seen.nonce.into_iter().chain(told) {
            let asked = OrderVerificationRequest { order: row.id, nonce, request: seen.request };
            match self.store.say(Method::POST, paths::ORDER_VERIFICATIONS, &asked, None).await {
                // Of an order that is ours: the nonce is that of another notification.
                Err(StoreError::Refused(refusal)) if refusal.reason == Reason::OrderUnknown => {}
                said => {
                    answer = Some(said?);
                    break;
                }
            }
        }
        let Some(answer) = answer else {
            return Ok(Next::Later(LONGEST_PAUSE, "the store has not sent the nonce that is in force".into()));
        };
        self.watch.pass(Step::Verified);
        let verification: Verified<Verification> = self.store.verified(&answer.verification).await?;
        let (settings, generation) = (&self.shop.settings, verification.document().generation);
        let expected = Expected {
            store: settings.store.clone(),
            merchant: settings.name.clone(),
            order: row.id,
            request: seen.request,
        };
        let (vault, key, signed) = (self.shop.vault.clone(), self.shop.key.clone(), verification.clone());
        let around = (Step::SealingBeforeCommit, Step::SealingAfterCommit);
        let seal = move |codes: &Codes| sealed(&signed, codes, &key);
        match self.shop.database.seal(&self.watch, around, vault, verification, expected, seal).await? {
            Seal::Send(sealed) => self.submit(row, generation, sealed).await,
            Seal::SoldOut => self.decline(row, "Sold out.").await,
            Seal::Mismatch(Mismatch::Terms(why)) => self.decline(row, why).await,
            Seal::Mismatch(mismatch) => Ok(Next::Stuck(mismatch.to_string())),
        }
    }

    /// What follows from a document that the store has signed: nothing, if a code is still wanted.
    async fn ended(&self, row: &OrderRow, seen: &MerchantOrder) -> Result<Option<Next>, Failed> {
        let Some(document) = &seen.document else { return Ok(None) };
        let outcome = self.outcome(&row.id, document).await?;
        if let Outcome::Accepted(accepted) = &outcome
            && !accepted.document().reversed
            && accepted.document().generation != seen.generation
        {
            // A later sealing is wanted.
            return Ok(None);
        }
        self.settle(row, outcome).await.map(Some)
    }

    /// Writes down how an order has ended.
    async fn settle(&self, row: &OrderRow, outcome: Outcome) -> Result<Next, Failed> {
        match outcome {
            Outcome::Refunded => self.refunded(row).await,
            Outcome::Accepted(accepted) if accepted.document().reversed => self.reversed(row, &accepted).await,
            Outcome::Accepted(accepted) => self.accepted(row, &accepted).await,
        }
    }

    /// The order takes no code any more. The store says beside that how it stands.
    async fn closed(&self, row: &OrderRow, refusal: &RefusalAnswer) -> Next {
        let later = |why: String| Next::Later(pause(row.tries), why);
        let Some(document) = refusal.more.get("document").and_then(serde_json::Value::as_str) else {
            return later("it takes no code any more, and the store has not signed how it ended".into());
        };
        let ended = match self.outcome(&row.id, document).await {
            Ok(outcome) => self.settle(row, outcome).await,
            Err(failed) => Err(failed),
        };
        ended.unwrap_or_else(|failed| later(failed.to_string()))
    }

    async fn reversed(&self, row: &OrderRow, accepted: &Verified<CodeAccepted>) -> Result<Next, Failed> {
        let said = accepted.document();
        let (what, document) = ((said.generation, said.ciphertext), accepted.compact().to_owned());
        if self.shop.database.reverse(row.id, what, document).await? {
            tracing::info!(order = %row.id, "the buyer was paid back, and has the code: it is not sold again");
            Ok(Next::Done)
        } else {
            Ok(Next::Stuck("the store has reversed a code that this shop has not sealed".into()))
        }
    }

    async fn submit(&self, row: &OrderRow, generation: Generation, sealed: Sealed) -> Result<Next, Failed> {
        let digest = sealed.bytes.digest();
        self.shop.database.send(row.id, generation).await?;
        let code = signed_by(&self.shop.key, sealed.code)?;
        let body = CodeSubmission { code, enc: sealed.bytes.enc, ciphertext: sealed.bytes.ciphertext };
        let answer: CodeSubmissionAnswer = self.store.say(Method::POST, paths::SUBMISSIONS, &body, None).await?;
        match self.outcome(&row.id, &answer.accepted).await? {
            Outcome::Accepted(accepted) if accepted.document().ciphertext == digest => {
                self.accepted(row, &accepted).await
            }
            _ => Ok(Next::Stuck("the store has answered with a document for something else".into())),
        }
    }

    async fn accepted(&self, row: &OrderRow, accepted: &Verified<CodeAccepted>) -> Result<Next, Failed> {
        let said = accepted.document();
        let around = (Step::AcceptanceBeforeCommit, Step::AcceptanceAfterCommit);
        let (what, document) = ((said.generation, said.ciphertext), accepted.compact().to_owned());
        if self.shop.database.accept(&self.watch, around, row.clone(), what, document).await? {
            tracing::info!(order = %row.id, generation = %said.generation, "a code was accepted");
            Ok(Next::Done)
        } else {
            Ok(Next::Stuck("the store has accepted a code that this shop has not sealed".into()))
        }
    }

    async fn refunded(&self, row: &OrderRow) -> Result<Next, Failed> {
        if self.shop.database.refund(row.id).await? {
            tracing::info!(order = %row.id, "the buyer was paid back without a code: what was never sent is in stock again");
            Ok(Next::Done)
        } else {
            Ok(Next::Stuck("the store has signed that it accepted a code, and that it never did".into()))
        }
    }

    async fn decline(&self, row: &OrderRow, reason: &str) -> Result<Next, Failed> {
        tracing::warn!(order = %row.id, reason, "an order is declined");
        let path = paths::fill(paths::DECLINE, &[&row.id]);
        let body = DeclineRequest { reason: reason.to_owned() };
        let seen: MerchantOrder = self.store.say(Method::POST, &path, &body, None).await?;
        match self.ended(row, &seen).await? {
            Some(next) => Ok(next),
            None => Ok(Next::Later(1, "it was declined, and the store has not signed that".into())),
        }
    }

    /// Reads a document about an order, which has to be this one.
    async fn outcome(&self, order: &OrderId, compact: &str) -> Result<Outcome, Failed> {
        let (outcome, iss, merchant, of) = match Unverified::<CodeAccepted>::parse(compact) {
            Err(JwsError::Type { .. }) => {
                let refunded = self.store.verified::<OrderRefunded>(compact).await?.into_document();
                (Outcome::Refunded, refunded.iss, refunded.merchant, refunded.order)
            }
            _ => {
                let accepted = self.store.verified::<CodeAccepted>(compact).await?;
                let said = accepted.document().clone();
                (Outcome::Accepted(Box::new(accepted)), said.iss, said.merchant, said.order)
            }
        };
        let settings = &self.shop.settings;
        if iss == settings.store && merchant == settings.name && of == *order {
            Ok(outcome)
        } else {
            Err(StoreError::Offline("its document is about another order, merchant or store".into()).into())
        }
    }
}

/// Why an order could not be taken forward now.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0:#}")]
    Own(#[from] anyhow::Error),
}

/// Whether the store may ask for a code in this state: for the first sealing, or for a later one.
const fn wants_code(state: CodeState) -> bool {
    state.waits_for_code() || matches!(state, CodeState::CodeReceived | CodeState::Delivered)
}

/// Seconds until the next try: 1, 2, 4 and so on.
fn pause(tries: u32) -> u64 {
    1_u64.checked_shl(tries).unwrap_or(LONGEST_PAUSE).clamp(1, LONGEST_PAUSE)
}

/// What was sealed under an earlier key of the merchant is signed anew, over the same ciphertext.
fn signed_by(key: &SecretKey, code: String) -> Result<String> {
    if Unverified::<SealedCode>::parse(&code)?.kid() == key.public().thumbprint() {
        return Ok(code);
    }
    // Its own words, out of its own database.
    let payload = code.split('.').nth(1).and_then(|text| from_base64url(text).ok()).context("not a sealed code")?;
    let said: SealedCode = serde_json::from_slice(&payload)?;
    Ok(Verified::sign(SealedCode { iat: crate::now(), ..said }, key).compact().to_owned())
}

/// Seals codes for what a verification says, and signs for them.
fn sealed(verification: &Verified<Verification>, codes: &Codes, key: &SecretKey) -> Result<Sealed, CodeError> {
    let (said, digest, now) = (verification.document(), verification.digest(), crate::now());
    let sealed = CodeSubmission::seal(said, digest, codes, Vec::new(), now, key, &mut crate::rng())?;
    let CodeSubmission { code, enc, ciphertext } = sealed;
    Ok(Sealed { code, bytes: SealedBytes { enc, ciphertext } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::Digest;
    use portcullis_protocol::encoding::Octets;

    #[test]
    fn what_an_earlier_key_signed_is_signed_anew_over_the_same_ciphertext() {
        let (old, new) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let said = SealedCode {
            merchant: "games".parse().expect("a name"),
            aud: "https://store.example".parse().expect("an origin"),
            order: OrderId::from_bytes([1; 16]),
            generation: Generation::FIRST,
            verification: Digest::of(b"verification"),
            recipient: Octets([3; 32]),
            ciphertext: Digest::of(b"ciphertext"),
            serials: Vec::new(),
            iat: 1,
        };
        let stored = Verified::sign(said.clone(), &old).compact().to_owned();
        assert_eq!(signed_by(&old, stored.clone()).expect("a code"), stored, "the same bytes again");
        let anew = signed_by(&new, stored).expect("a code");
        let anew = Unverified::<SealedCode>::parse(&anew).expect("parsed").verify(new.public()).expect("the new key's");
        assert_eq!(SealedCode { iat: 1, ..anew.document().clone() }, said);
    }
}
