//! The cycle: request → authenticate → verify. Read it from top to bottom.
//!
//! ```text
//!  1 request       who sells this? ─▶ one trusted server, or no further
//!                  a file from elsewhere: does its publisher stand for it? ─▶ no further if not
//!  2 authenticate  POST /v1/authorizations ─▶ billing status code | signed no
//!    make durable  {code, request, Idempotency-Key}, sealed, on the disk
//!  3 verify        POST /v1/verifications ─▶ grant + sealed keys | signed no      (repeated until there is an answer)
//!                  is the grant ours, for this? ─▶ open the keys ─▶ hand over
//!    acknowledge   POST /v1/grants/{id}/ack, in the background
//! ```
//!
//! Only a signed answer to the very request that was sent moves anything on: [`crate::server::session`] sees to that,
//! and the states are the types of [`portcullis_protocol::cycle`]. Everything else ends in a refusal; no error yields
//! a key.

use crate::client::grants::Grants;
use crate::client_error::ClientError;
use crate::ports::gatekeeper::{CycleRequest, Gatekeeper, HeldCode, Refused, Released};
use crate::random;
use crate::server::session::{Patience, Session, Sessions};
use crate::server::trust::offline;
use crate::state::clock::{Clock, DRIFT};
use crate::state::journal::{Journal, JournalEntry, PendingRequest, Record};
use crate::store::file_judge::FileJudge;
use crate::store::storefront;
use crate::store::taken_from::TakenFrom;
use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_protocol::cycle::{AwaitingVerification, Granted, Request};
use portcullis_protocol::limits::{REISSUE_LIFE, STATUS_CODE_LIFE};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{
    Acknowledged, Acknowledgement, AuthorisationAnswer, AuthorisationRequest, VerificationAnswer,
};
use portcullis_protocol::{GrantId, Offer, OperationName, Origin, PartName, Reason, SignedManifest, Verified};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long after its code's end a grant is forgotten whose acknowledgement nobody took, and a verification that got
/// none but answers not fit to be believed, in seconds: nothing depends on it any more. Also how often that is seen
/// to. Told by the clock of the server that was asked.
const FORGET_AFTER_SECS: u64 = 3600;
/// How long after its code's end an unanswered verification is asked about, in seconds: for so long its server issues
/// the grant once more, without a debit.
const ASK_AGAIN_SECS: u64 = REISSUE_LIFE;
/// How long after its code's end a grant can be of use, in seconds: as long as the longest lives that are granted.
const MAX_GRANT_LIFE_SECS: u64 = 300;
/// How long a code can be verified at most, whatever its server says, in seconds: as long as codes live, and what
/// clocks differ by.
const MAX_CODE_LIFE_SECS: u64 = STATUS_CODE_LIFE + DRIFT.as_secs();
/// Verifications without an answer that are kept of one server. Each is looked at before every request to any server,
/// so no server leaves as many as it likes.
const MAX_UNANSWERED: usize = 256;
/// How long an order is remembered that was never answered, in seconds: a day, after which the user surely looks first.
const ORDER_MEMORY_SECS: u64 = 24 * 3600;

/// The gatekeeper of a terminal: runs the cycle with the billing servers that its user trusts.
#[derive(Clone)]
pub struct Cycle {
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Arc<Sessions>,
    journal: Journal,
    grants: Grants,
    taken_from: TakenFrom,
    files: FileJudge,
    acknowledgements: Mutex<JoinSet<()>>,
    /// When what was left open was last seen to, by a clock that no server sets.
    resumed: Mutex<Option<Duration>>,
}

#[async_trait]
impl Gatekeeper for Cycle {
    async fn request(&self, request: CycleRequest) -> Result<Box<dyn HeldCode>, Refused> {
        self.housekeeping().await?;

        // 1 Request. Which server may judge it: one that the user trusts and that sells this very resource.
        let manifest = request.resource.manifest();
        let operation = manifest.operation(&request.operation).ok_or(Reason::OperationUnknown)?;
        let session = self.session(&self.sellers(&request.resource).await?)?;
        // What the library gave out was judged then.
        self.shared.files.judge(&request.resource, session.origin()).await.map_err(disbelieved)?;
        let body = AuthorisationRequest {
            resource: request.resource.digest(),
            operation: request.operation.clone(),
            quantity: request.quantity,
            offer: request.offer,
            nonce: request.nonce.clone(),
        };
        let parts = operation.parts.clone();

        // The same was verified before and the answer got lost: it is paid for, so it is not asked for again.
        if let Some(delivery) = self.take_up(&session, &body, &parts).await? {
            return Ok(Box::new(RedeliveredCode { cycle: self.clone(), delivery }));
        }

        // 2 Authenticate. The server judges who asks and whether it is paid, and holds what it costs.
        self.shared.journal.has_room().await?;
        let asked = Request::new(body, parts.clone());
        let key = random::idempotency_key();
        let answer: AuthorisationAnswer =
            session.post(paths::AUTHORIZATIONS, asked.authorisation_body(), key, Patience::Ordinary).await?;
        Ok(Box::new(RequestedCode { cycle: self.clone(), session, authorised: asked.authorised(answer), parts }))
    }

    async fn offers(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
    ) -> Result<Vec<Verified<Offer>>, Refused> {
        let sessions = &self.shared.sessions;
        let sellers = self.sellers(resource).await?;
        // Where it would be asked for, if somebody is signed in there.
        let signed_in = self.session(&sellers).ok().map(|session| session.origin().clone());
        let seller = signed_in.as_ref().or(sellers.first()).ok_or(Reason::ServerUntrusted)?;
        let manifest = resource.manifest();
        let entry = storefront::entry(sessions, seller, &manifest.publisher.name, &manifest.name).await?;
        Ok(entry.offers.into_iter().filter(|offer| offer.document().operation == *operation).collect())
    }

    fn clock(&self, server: &Origin) -> Option<Arc<dyn Clock>> {
        Some(self.shared.sessions.clocks.of(server) as Arc<dyn Clock>)
    }
}

/// Steps 1 and 2 are done.
struct RequestedCode {
    cycle: Cycle,
    session: Arc<Session>,
    authorised: AwaitingVerification,
    parts: Vec<PartName>,
}

#[async_trait]
impl HeldCode for RequestedCode {
    async fn verify(self: Box<Self>) -> Result<Released, Refused> {
        let Self { cycle, session, authorised, parts } = *self;

        // Durable first: from the next line on, the server may debit, and the answer may never arrive.
        let key = random::idempotency_key();
        let now = session.prover().clock().now();
        // How long it is kept is not the server's to say.
        let expires = authorised.expires().min(now.saturating_add(MAX_CODE_LIFE_SECS));
        let request = PendingRequest::Verification { body: authorised.verification_body(), parts, expires };
        let entry = cycle.shared.journal.write(session.origin(), &key, now, request).await?;

        // 3 Verify. Asked again and again with the same key and body, so that what the network loses costs nothing.
        let delivery = match verify(&session, authorised, &entry, Patience::Long).await? {
            Outcome::Granted(granted) => Delivery { session, entry, granted },
            Outcome::Refused(refused) => {
                entry.finish()?;
                return Err(refused);
            }
            Outcome::Disbelieved(refused) => return Err(refused),
        };
        cycle.hand_over(delivery)
    }
}

/// Step 3 was done before.
struct RedeliveredCode {
    cycle: Cycle,
    delivery: Delivery,
}

#[async_trait]
impl HeldCode for RedeliveredCode {
    async fn verify(self: Box<Self>) -> Result<Released, Refused> {
        self.cycle.hand_over(self.delivery)
    }

    fn is_redelivered(&self) -> bool {
        true
    }
}

/// A grant of this terminal, with its keys still sealed.
struct Delivery {
    session: Arc<Session>,
    entry: JournalEntry,
    granted: Box<Granted>,
}

/// How step 3 ended. Where it did not, that is an error and the request stays in the journal.
enum Outcome {
    Granted(Box<Granted>),
    Refused(Refused),
    /// The server answered, with a grant that is not to be believed. The request stays in the journal, too.
    Disbelieved(Refused),
}

/// Step 3: sends the code and checks that what comes back is a grant for this terminal, for what was asked.
async fn verify(
    session: &Session,
    authorised: AwaitingVerification,
    entry: &JournalEntry,
    patience: Patience,
) -> Result<Outcome, Refused> {
    let body = authorised.verification_body();
    let answer: VerificationAnswer =
        match session.post(paths::VERIFICATIONS, &body, entry.record().key.clone(), patience).await {
            Ok(answer) => answer,
            // No answer, or none yet: nobody knows what became of the code.
            Err(no) if no.is_undecided() => return Err(no.into()),
            Err(no) => return Ok(Outcome::Refused(no.into())),
        };
    let keys = session.trust().keys(session.origin()).await?;
    let thumbprint = session.prover().terminal().thumbprint();
    let granted = authorised.verified(answer, &keys, &session.terminal(&thumbprint));
    Ok(match granted {
        Ok(granted) => Outcome::Granted(Box::new(granted)),
        Err(disbelief) => Outcome::Disbelieved(offline(disbelief.to_string())),
    })
}

impl Cycle {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        journal: Journal,
        grants: Grants,
        taken_from: TakenFrom,
        files: FileJudge,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                sessions,
                journal,
                grants,
                taken_from,
                files,
                acknowledgements: Mutex::default(),
                resumed: Mutex::default(),
            }),
        }
    }

    /// The keys are opened and given away, once; the server is told in the background.
    fn hand_over(&self, delivery: Delivery) -> Result<Released, Refused> {
        let Delivery { session, mut entry, granted } = delivery;
        let (grant, keys) = granted
            .open_keys(session.prover().terminal().release())
            .map_err(|disbelief| offline(disbelief.to_string()))?;
        let id = grant.document().jti;
        // A grant for one use is one use, also for a process that dies right after this.
        entry.deliver(id)?;
        if let Err(error) = self.shared.grants.add(grant.document()) {
            tracing::warn!(%error, "the grant is not in the list of grants");
        }
        self.acknowledge(session, entry, id, Patience::Write);
        Ok(Released { grant, keys })
    }

    /// In the background: for as long as is worth it for what was just granted, shortly for what an earlier process
    /// left.
    fn acknowledge(&self, session: Arc<Session>, entry: JournalEntry, grant: GrantId, patience: Patience) {
        let mut tasks = self.shared.acknowledgements.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Err(refused) = acknowledge(&session, entry, grant, patience).await {
                tracing::debug!(reason = %refused.reason, "a grant is not acknowledged yet");
            }
        });
    }

    /// Waits, but not longer than `most`, until the server has been told of every grant. A program calls this before it
    /// ends; what is left then is done at its next start.
    pub async fn settle(&self, most: Duration) {
        let mut tasks = std::mem::take(&mut *self.shared.acknowledgements.lock());
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(most, all).await.is_err() {
            tracing::debug!("some grants are not acknowledged yet");
        }
    }

    /// Finds the verification of exactly this request whose answer never arrived, and asks for the answer again: for
    /// 30 days, since the server issues what has ended meanwhile once more. It is `None` if there is no such thing,
    /// nothing was debited, or that is over, too: then a new cycle begins.
    async fn take_up(
        &self,
        session: &Arc<Session>,
        request: &AuthorisationRequest,
        parts: &[PartName],
    ) -> Result<Option<Delivery>, Refused> {
        let now = session.prover().clock().now();
        let (origin, wanted, wanted_parts) = (session.origin().clone(), request.clone(), parts.to_vec());
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let unanswered = move |record: &Record, delivered: Option<GrantId>| match &record.request {
            PendingRequest::Verification { body, parts, expires } if delivered.is_none() && record.origin == origin => {
                count.fetch_add(1, Ordering::Relaxed);
                body.request == wanted && *parts == wanted_parts && now <= expires.saturating_add(ASK_AGAIN_SECS)
            }
            PendingRequest::Verification { .. } | PendingRequest::Purchase(_) => false,
        };
        for entry in self.shared.journal.take(unanswered).await? {
            let PendingRequest::Verification { body, expires, .. } = &entry.record().request else { continue };
            let asked = Request::new(request.clone(), parts.to_vec());
            let expires = *expires;
            let authorised = AwaitingVerification::resume(asked, body.code.clone(), expires);
            match verify(session, authorised, &entry, Patience::Ordinary).await? {
                Outcome::Granted(granted) if session.prover().clock().now() < granted.grant().document().exp => {
                    return Ok(Some(Delivery { session: Arc::clone(session), entry, granted }));
                }
                // It came too late to be used.
                Outcome::Granted(granted) => {
                    let grant = granted.grant().document().jti;
                    self.acknowledge(Arc::clone(session), entry, grant, Patience::Ordinary);
                }
                // Nothing was debited.
                Outcome::Refused(_) => entry.finish()?,
                // Its key has ended, perhaps, and this server issues nothing once more: whatever it granted is over.
                Outcome::Disbelieved(_)
                    if session.prover().clock().now() > expires.saturating_add(FORGET_AFTER_SECS) =>
                {
                    entry.finish()?;
                }
                Outcome::Disbelieved(_)
                    if session.prover().clock().now() > expires.saturating_add(MAX_GRANT_LIFE_SECS) => {}
                Outcome::Disbelieved(refused) => return Err(refused),
            }
        }
        let surplus = (seen.load(Ordering::Relaxed) + 1).saturating_sub(MAX_UNANSWERED);
        if surplus > 0 {
            self.make_room(session, surplus).await?;
        }
        Ok(None)
    }

    /// Gives up the oldest verifications of a server that leaves more without an answer than are kept: those whose
    /// grants, if there are any, have long ended.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] if all are younger. Then nothing new is begun with this server; others are as before.
    async fn make_room(&self, session: &Session, surplus: usize) -> Result<(), Refused> {
        let (origin, now) = (session.origin().clone(), session.prover().clock().now());
        let ended = move |record: &Record, delivered: Option<GrantId>| match &record.request {
            PendingRequest::Verification { expires, .. } => {
                delivered.is_none() && record.origin == origin && now > expires.saturating_add(FORGET_AFTER_SECS)
            }
            PendingRequest::Purchase(_) => false,
        };
        let ended = self.shared.journal.take(ended).await?;
        if ended.is_empty() {
            let detail = format!("{} left {MAX_UNANSWERED} verifications without an answer", session.origin());
            return Err(Refused::because(Reason::RateLimited, detail));
        }
        ended.into_iter().take(surplus).try_for_each(|entry| Ok(entry.finish()?))
    }

    /// Sees to what earlier requests left open, if that is due. No part of the request that comes next.
    async fn housekeeping(&self) -> Result<(), Refused> {
        if self.is_due() { self.resume().await } else { Ok(()) }
    }

    /// Whether what was left open is to be seen to: before the first request of a process, and now and then in one that
    /// runs for long. Says so once.
    fn is_due(&self) -> bool {
        let now = self.shared.sessions.clocks.machine().elapsed();
        let mut resumed = self.shared.resumed.lock();
        let due = resumed.is_none_or(|at| now.saturating_sub(at).as_secs() >= FORGET_AFTER_SECS);
        if due {
            *resumed = Some(now);
        }
        due
    }

    /// Sees to what was left open: forgets what is long past and acknowledges what was delivered. It draws nothing, and
    /// leaves an unanswered verification to whoever runs that operation again. Done by itself before the first request,
    /// and every hour or so before another.
    ///
    /// # Errors
    /// [`Refused`] if the journal cannot be read. A server that cannot be reached is asked another time.
    pub async fn resume(&self) -> Result<(), Refused> {
        let (journal, sessions) = (&self.shared.journal, &self.shared.sessions);
        let clocks = Arc::clone(&sessions.clocks);
        let is_past = move |record: &Record, delivered: Option<GrantId>| {
            let most = match &record.request {
                PendingRequest::Verification { expires, .. } if delivered.is_some() => {
                    expires.saturating_add(FORGET_AFTER_SECS)
                }
                PendingRequest::Verification { expires, .. } => expires.saturating_add(ASK_AGAIN_SECS),
                PendingRequest::Purchase(_) => record.at.saturating_add(ORDER_MEMORY_SECS),
            };
            clocks.of(&record.origin).now() > most
        };
        loop {
            let past = journal.take(is_past.clone()).await?;
            if past.is_empty() {
                break;
            }
            for entry in past {
                entry.finish()?;
            }
        }
        // Store by store: however much one leaves open, the others' turn comes.
        for pin in sessions.trust.pins()? {
            let Ok(session) = sessions.of(&pin.origin) else { continue };
            let of_it =
                move |record: &Record, delivered: Option<GrantId>| delivered.is_some() && record.origin == pin.origin;
            for entry in journal.take(of_it).await? {
                if let Some(grant) = entry.delivered() {
                    self.acknowledge(Arc::clone(&session), entry, grant, Patience::Ordinary);
                }
            }
        }
        Ok(())
    }

    /// The trusted servers that may judge a resource: the one that it was taken from, else all that sell it.
    async fn sellers(&self, resource: &SignedManifest) -> Result<Vec<Origin>, Refused> {
        let sessions = &self.shared.sessions;
        let taken_from = self.shared.taken_from.store_of(resource);
        let mut sellers = sessions.trust.sellers(resource, taken_from.as_ref()).await?;
        if let Some(own) = taken_from.filter(|own| sellers.contains(own)) {
            sellers = vec![own];
        }
        Ok(sellers)
    }

    /// The first of the servers at which somebody is signed in.
    fn session(&self, sellers: &[Origin]) -> Result<Arc<Session>, Refused> {
        let mut sessions = sellers.iter().map(|origin| self.shared.sessions.of(origin));
        let first = sessions.next().ok_or(Reason::ServerUntrusted)?;
        first.or_else(|refused| sessions.find_map(Result::ok).ok_or(refused))
    }
}

/// A file that is not run: its publisher does not stand for it, or it is older than what was used.
fn disbelieved(error: ClientError) -> Refused {
    match error {
        ClientError::State(state) => state.into(),
        error => Refused::because(Reason::PackageInvalid, error.to_string()),
    }
}

async fn acknowledge(
    session: &Session,
    entry: JournalEntry,
    grant: GrantId,
    patience: Patience,
) -> Result<(), Refused> {
    let (path, key) = (paths::fill(paths::GRANT_ACK, &[&grant]), random::idempotency_key());
    let answer = session.post::<Acknowledged>(&path, &Acknowledgement { grant }, key, patience).await;
    match answer {
        Err(no) if no.is_undecided() => Err(no.into()),
        // A signed no settles it too: the grant has ended.
        _ => Ok(entry.finish()?),
    }
}

impl std::fmt::Debug for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cycle")
    }
}
