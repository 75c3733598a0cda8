//! A grant in force: what stands between a call and the body.
//!
//! A grant bounded by time costs one load and one compare per call, one bounded by units one counter. Signatures are
//! checked when a grant arrives, never per call.

use crate::error::Ended;
use crate::ports::gatekeeper::{CycleRequest, Nonce, Refused, Released};
use crate::run::engine::ServerTime;
use crate::run::services::Services;
use parking_lot::RwLock;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::limits::MAX_QUANTITY;
use portcullis_protocol::{
    Grant, GrantLimits, OperationEntry, PartName, Reason, Rights, Sale, SignedManifest, Verified,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Seconds before its end when a grant is renewed in the background: time for a slow server, and a third of the
/// default life of 30 s.
const RENEWAL_MARGIN: u64 = 10;

/// More uses than a grant can have: they are not counted.
const UNCOUNTED: u32 = u32::MAX;

/// How many cycles a call may still cause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CyclesLeft(pub(crate) u32);

impl CyclesLeft {
    /// Counts one that is about to begin.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] if none is left.
    pub(crate) fn begin(&mut self) -> Result<(), Refused> {
        self.0 = self.0.checked_sub(1).ok_or(Reason::RateLimited)?;
        Ok(())
    }
}

/// Evidence that a call may begin: its use is drawn.
pub(crate) struct Entered {
    /// Whether uses are counted, so that there was one to draw.
    counted: bool,
}

/// A grant, the keys it released and what is left of it.
pub(crate) struct ActiveGrant {
    grant: RwLock<Arc<Verified<Grant>>>,
    keys: Vec<(PartName, FileKey)>,
    expires: AtomicU64,
    run_max: AtomicU32,
    /// How many calls may still begin; [`UNCOUNTED`] if time alone bounds them.
    uses: AtomicU32,
    renewing: AtomicBool,
    renewal: tokio::sync::Mutex<()>,
    /// Whether it was in time when it arrived: one that had ended by then stands for nothing.
    came_in_time: bool,
    /// The time of the server that gave it.
    time: Arc<ServerTime>,
}

impl ActiveGrant {
    /// Takes what a gatekeeper released, if it is for this very operation of this resource.
    ///
    /// # Errors
    /// [`Reason::ServerUntrusted`] if it is anything else: a gatekeeper is not believed that gives another grant.
    pub(crate) fn new(
        released: Released,
        resource: &SignedManifest,
        operation: &OperationEntry,
        nonce: &Nonce,
        services: &Services,
    ) -> Result<Self, Refused> {
        let Released { grant, keys } = released;
        let document = grant.document();
        let manifest = resource.manifest();
        let checks = [
            ("resource", document.resource == resource.digest()),
            ("name", document.publisher == manifest.publisher.name && document.name == manifest.name),
            ("version", document.version == manifest.version),
            ("operation", document.operation == operation.name),
            ("nonce", document.nonce == *nonce),
            ("list of parts", document.parts == operation.parts),
            ("list of keys", keys.iter().map(|(name, _)| name).eq(&operation.parts)),
        ];
        if let Some((what, _)) = checks.iter().find(|(_, holds)| !holds) {
            return Err(Refused::because(
                Reason::ServerUntrusted,
                format!("the grant is not what was asked for: its {what} differs"),
            ));
        }
        let uses = uses_of(&document.limits);
        let time = services.time_of(&document.iss);
        Ok(Self {
            keys,
            expires: AtomicU64::new(document.exp),
            run_max: AtomicU32::new(document.run_max),
            uses: AtomicU32::new(uses),
            renewing: AtomicBool::new(false),
            renewal: tokio::sync::Mutex::new(()),
            came_in_time: time.now() < document.exp,
            time,
            grant: RwLock::new(Arc::new(grant)),
        })
    }

    /// The time of the server that gave the grant, at most one tick old.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.time.now()
    }

    /// Begins a call: checks the time and draws one use.
    ///
    /// # Errors
    /// [`Ended`]; then nothing is drawn.
    #[inline]
    pub(crate) fn enter(&self, now: u64) -> Result<Entered, Ended> {
        if !self.in_time(now) {
            return Err(Ended::Expired);
        }
        let counted = self.uses.load(Ordering::Relaxed) != UNCOUNTED;
        if counted {
            self.draw()?;
        }
        Ok(Entered { counted })
    }

    /// Gives back what was drawn for a call of which nothing ran, through no fault of the resource.
    pub(crate) fn give_back(&self, entered: Entered) {
        if entered.counted {
            self.uses.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn draw(&self) -> Result<(), Ended> {
        let left = |left: u32| left.checked_sub(1);
        self.uses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).map(|_| ()).map_err(|_| Ended::Spent)
    }

    /// Whether new calls may begin, as far as time goes.
    #[inline]
    pub(crate) fn in_time(&self, now: u64) -> bool {
        now < self.expires.load(Ordering::Relaxed)
    }

    /// Whether less than the margin is left of a grant that can be renewed.
    pub(crate) fn wants_renewal(&self, now: u64) -> bool {
        now.saturating_add(RENEWAL_MARGIN) >= self.expires.load(Ordering::Relaxed) && self.renewable()
    }

    /// A grant bounded by time alone is renewed without debit. One that counts, answers a nonce or had ended when it
    /// came is asked for anew.
    pub(crate) fn renewable(&self) -> bool {
        self.came_in_time && self.uses_left().is_none() && self.grant().document().nonce.as_bytes().is_empty()
    }

    /// Whether the grant stands for `quantity` of its operation without a new cycle.
    pub(crate) fn covers(&self, quantity: u32, now: u64) -> bool {
        let limits = self.grant().document().limits;
        let enough = limits.uses.is_none_or(|uses| uses >= quantity)
            && limits.units.is_none_or(|units| units >= u64::from(quantity));
        enough && (self.in_time(now) || self.renewable())
    }

    /// How long a call that began in time may run, in seconds.
    pub(crate) fn run_max(&self) -> u32 {
        self.run_max.load(Ordering::Relaxed)
    }

    /// How many calls may still begin, if they are counted.
    pub(crate) fn uses_left(&self) -> Option<u32> {
        Some(self.uses.load(Ordering::Relaxed)).filter(|uses| *uses != UNCOUNTED)
    }

    /// The signed grant as it stands.
    pub(crate) fn grant(&self) -> Arc<Verified<Grant>> {
        Arc::clone(&self.grant.read())
    }

    /// The key of a part, if the grant releases it.
    pub(crate) fn key(&self, part: &PartName) -> Option<&FileKey> {
        self.keys.iter().find_map(|(name, key)| (name == part).then_some(key))
    }

    /// Renews in the background where the end is near. Calls go on meanwhile; one attempt runs at a time.
    pub(crate) fn renew_soon(self: &Arc<Self>, services: &Arc<Services>, resource: &Arc<SignedManifest>) {
        if !self.wants_renewal(self.now()) || self.renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (held, services, resource) = (Arc::clone(self), Arc::clone(services), Arc::clone(resource));
        tokio::spawn(async move {
            // A refusal here is no news yet: the grant holds until it expires, and whoever calls then is told.
            if let Err(refused) = held.renew(&services, &resource, true).await {
                tracing::debug!(reason = %refused.reason, "a grant was not renewed");
            }
            held.renewing.store(false, Ordering::Relaxed);
        });
    }

    /// Makes sure that the grant is in time, renewing it if that draws nothing.
    ///
    /// # Errors
    /// The refusal, or [`Reason::EntitlementExpired`] if it cannot be renewed.
    pub(crate) async fn ensure(&self, services: &Services, resource: &Arc<SignedManifest>) -> Result<(), Refused> {
        if self.has_ended()? { self.renew(services, resource, false).await } else { Ok(()) }
    }

    /// The same if a resource causes it: a renewal is a cycle like any other, and one of those that are left.
    ///
    /// # Errors
    /// As [`ActiveGrant::ensure`], and [`Reason::RateLimited`] if no cycle is left.
    pub(crate) async fn ensure_within(
        &self,
        cycles: &mut CyclesLeft,
        services: &Services,
        resource: &Arc<SignedManifest>,
    ) -> Result<(), Refused> {
        if self.has_ended_within(cycles)? { self.renew(services, resource, false).await } else { Ok(()) }
    }

    /// Whether it has to be renewed before it is good for anything.
    fn has_ended(&self) -> Result<bool, Refused> {
        if self.in_time(self.now()) {
            return Ok(false);
        }
        if self.renewable() { Ok(true) } else { Err(over()) }
    }

    /// The same, and counts the cycle that the renewal takes.
    fn has_ended_within(&self, cycles: &mut CyclesLeft) -> Result<bool, Refused> {
        let ended = self.has_ended()?;
        if ended {
            cycles.begin()?;
        }
        Ok(ended)
    }

    async fn renew(&self, services: &Services, resource: &Arc<SignedManifest>, early: bool) -> Result<(), Refused> {
        let _one_at_a_time = self.renewal.lock().await;
        if !early && self.in_time(self.now()) {
            return Ok(());
        }
        if !self.renewable() {
            // Somebody else has renewed it meanwhile, and it came back counted.
            return if self.in_time(self.now()) { Ok(()) } else { Err(over()) };
        }
        let grant = self.grant();
        let operation = grant.document().operation.clone();
        let entry = resource.manifest().operation(&operation).ok_or(Reason::OperationUnknown)?;
        // What was free is renewed under a free offer that the server still has, and under nothing else.
        let offer = if Rights::sale_of(&grant.document().model) == Some(Sale::None) {
            let offers = services.gatekeeper.offers(resource, &operation).await?;
            match offers.iter().find(|offer| offer.document().rights.is_given()) {
                Some(free) => Some(free.digest()),
                None => return Err(Refused { offers, ..Refused::new(Reason::PaymentRequired) }),
            }
        } else {
            None
        };
        let request =
            CycleRequest { resource: Arc::clone(resource), operation, quantity: 1, offer, nonce: Nonce::default() };
        let renewed = Self::new(services.gatekeeper.run(request).await?, resource, entry, &Nonce::default(), services)?;
        if renewed.grant().document().iss != grant.document().iss {
            // Another store's: its time says nothing of this one's.
            return Err(over());
        }
        // Where the account's rights have become countable, one use was drawn: it serves the next call, and is the last
        // that is drawn without being asked for.
        self.uses.store(renewed.uses.load(Ordering::Relaxed), Ordering::Relaxed);
        let expires = renewed.expires.load(Ordering::Relaxed);
        *self.grant.write() = renewed.grant();
        self.run_max.store(renewed.run_max(), Ordering::Relaxed);
        self.expires.store(expires, Ordering::Relaxed);
        if self.in_time(self.now()) { Ok(()) } else { Err(Reason::EntitlementExpired.into()) }
    }
}

/// A grant that is over and cannot be renewed.
fn over() -> Refused {
    Refused::because(Reason::EntitlementExpired, Ended::Expired.to_string())
}

impl fmt::Debug for ActiveGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = self.grant();
        write!(f, "ActiveGrant({} until {}, keys redacted)", grant.document().operation, grant.document().exp)
    }
}

/// How many calls a grant is good for, whatever its server says: no more than one authorisation can ask for.
fn uses_of(limits: &GrantLimits) -> u32 {
    let units = limits.units.map(|units| u32::try_from(units).unwrap_or(u32::MAX));
    let uses = [limits.uses, units].into_iter().flatten().min();
    uses.map_or(UNCOUNTED, |uses| uses.min(MAX_QUANTITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::{Digest, GrantId, PairwiseId, SecretKey};
    use std::hint::black_box;
    use std::time::Instant;

    fn held(uses: Option<u32>, exp: u64) -> ActiveGrant {
        let grant = Grant {
            iss: "https://store.example".parse().expect("origin"),
            jti: GrantId::from_bytes([1; 16]),
            sub: PairwiseId::from_bytes([2; 16]),
            cnf: Digest::of(b""),
            resource: Digest::of(b""),
            publisher: "tester".parse().expect("name"),
            name: "guest".parse().expect("name"),
            version: "1.0.0".parse().expect("version"),
            operation: "view".parse().expect("name"),
            parts: Vec::new(),
            model: "perpetual".into(),
            limits: GrantLimits { uses, units: None },
            nonce: Nonce::default(),
            iat: 100,
            exp,
            run_max: 300,
        };
        ActiveGrant {
            grant: RwLock::new(Arc::new(Verified::sign(grant, &SecretKey::from_seed(&[3; 32])))),
            keys: Vec::new(),
            expires: AtomicU64::new(exp),
            run_max: AtomicU32::new(300),
            uses: AtomicU32::new(uses.unwrap_or(UNCOUNTED)),
            renewing: AtomicBool::new(false),
            renewal: tokio::sync::Mutex::new(()),
            came_in_time: 100 < exp,
            time: Arc::new(ServerTime::new(100)),
        }
    }

    #[test]
    fn calls_begin_before_the_end_and_not_at_it() {
        let held = held(None, 130);
        assert!(held.enter(129).is_ok());
        assert_eq!(held.enter(130).err(), Some(Ended::Expired));
        assert!(!held.wants_renewal(119) && held.wants_renewal(120));
    }

    #[test]
    fn a_renewal_that_a_resource_causes_is_one_of_its_cycles() {
        let mut cycles = CyclesLeft(1);
        let mut held = held(None, 130);
        assert_eq!(held.has_ended_within(&mut cycles), Ok(false));
        assert_eq!(cycles.0, 1, "what is in time takes no cycle");
        held.time = Arc::new(ServerTime::new(130));
        assert!(held.covers(1, 130));
        assert_eq!(held.has_ended_within(&mut cycles), Ok(true));
        assert_eq!(held.has_ended_within(&mut cycles), Err(Reason::RateLimited.into()));
    }

    #[test]
    fn a_grant_that_had_ended_when_it_came_covers_nothing_and_is_not_renewed() {
        let held = held(None, 100);
        assert!(!held.covers(1, 100) && !held.wants_renewal(100));
        assert_eq!(held.has_ended_within(&mut CyclesLeft(1)).map_err(|no| no.reason), Err(Reason::EntitlementExpired));
    }

    #[test]
    fn a_grant_counts_to_a_million_and_no_further() {
        let of = |uses, units| uses_of(&GrantLimits { uses, units });
        assert_eq!(of(None, None), UNCOUNTED);
        assert_eq!((of(Some(3), Some(5)), of(Some(5), Some(3)), of(None, Some(3))), (3, 3, 3));
        assert_eq!((of(Some(1_000_000), None), of(Some(999_999), None)), (1_000_000, 999_999));
        for (uses, units) in [(Some(1_000_001), None), (Some(u32::MAX), None), (None, Some(u64::MAX))] {
            assert_eq!(of(uses, units), 1_000_000, "{uses:?} {units:?}");
        }
    }

    #[test]
    fn an_expired_grant_draws_nothing() {
        let held = held(Some(1), 130);
        assert_eq!(held.enter(130).err(), Some(Ended::Expired));
        assert_eq!(held.uses_left(), Some(1));
        assert!(held.enter(129).is_ok());
        assert_eq!(held.enter(129).err(), Some(Ended::Spent));
        assert_eq!(held.uses_left(), Some(0));
    }

    #[test]
    fn what_is_given_back_is_what_was_drawn() {
        for uses in [Some(1), None] {
            let held = held(uses, 130);
            let entered = held.enter(129).expect("in time");
            held.give_back(entered);
            assert_eq!(held.uses_left(), uses);
        }
    }

    #[test]
    fn the_gate_takes_less_than_half_a_microsecond() {
        for held in [held(None, 130), held(Some(u32::MAX), 130)] {
            let mut batches: Vec<u128> = (0..100)
                .map(|_| {
                    let begun = Instant::now();
                    (0..1000).for_each(|_| assert!(black_box(&held).enter(black_box(100)).is_ok()));
                    begun.elapsed().as_nanos() / 1000
                })
                .collect();
            batches.sort_unstable();
            assert!(batches[10] <= 500, "{} ns", batches[10]);
        }
    }
}
