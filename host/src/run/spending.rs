//! What metered operations have cost in this session, and what they may cost.
//!
//! A session is the life of a [`Runtime`](crate::Runtime). Every draw is counted before its request goes out, so that
//! requests at the same time count against each other, and taken back where it turns out that nothing was debited.

use crate::ports::gatekeeper::{CycleRequest, HeldCode, Nonce, Refused, Released};
use parking_lot::{Mutex, MutexGuard};
use portcullis_protocol::limits::MAX_MINOR_UNITS;
use portcullis_protocol::{Currency, Digest, Money, Offer, OperationName, Reason, Rights, Sale, Verified};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// What makes two requests one and the same: their server debits it once, however often its answer gets lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RequestId {
    resource: Digest,
    operation: OperationName,
    quantity: u32,
    offer: Option<Digest>,
    nonce: Nonce,
}

impl From<&CycleRequest> for RequestId {
    fn from(request: &CycleRequest) -> Self {
        Self {
            resource: request.resource.digest(),
            operation: request.operation.clone(),
            quantity: request.quantity,
            offer: request.offer,
            nonce: request.nonce.clone(),
        }
    }
}

/// The account of a session.
#[derive(Default)]
pub(crate) struct Spending {
    /// The embedder's. If there is one, nothing is spent in a currency that has none.
    caps: BTreeMap<Currency, Money>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// Minor units.
    spent: BTreeMap<Currency, i64>,
    /// Up to which total the user has agreed beforehand, by resource.
    agreed: BTreeMap<(Digest, Currency), Money>,
    /// What was sent and is counted, and of which nobody knows what came of it.
    undecided: HashSet<RequestId>,
}

impl Book {
    fn spent(&self, currency: Currency) -> i64 {
        self.spent.get(&currency).copied().unwrap_or(0)
    }

    fn take_back(&mut self, cost: Money) {
        if let Some(spent) = self.spent.get_mut(&cost.currency()) {
            *spent -= cost.minor_units();
        }
    }
}

impl Spending {
    pub(crate) fn new(caps: BTreeMap<Currency, Money>) -> Self {
        Self { caps, book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    /// What was spent in a currency.
    pub(crate) fn spent(&self, currency: Currency) -> Money {
        Money::new(self.book().spent(currency), currency).unwrap_or_else(|_| zero(currency))
    }

    /// The total that bounds a resource in a currency: the embedder's, or a lower one that the user agreed to.
    pub(crate) fn cap(&self, resource: &Digest, currency: Currency) -> Option<Money> {
        let agreed = self.book().agreed.get(&(*resource, currency)).copied();
        [self.hard_cap(currency), agreed].into_iter().flatten().min_by_key(Money::minor_units)
    }

    /// The embedder's.
    fn hard_cap(&self, currency: Currency) -> Option<Money> {
        if self.caps.is_empty() {
            return None;
        }
        Some(self.caps.get(&currency).copied().unwrap_or_else(|| zero(currency)))
    }

    /// Says no where a cost does not fit under the embedder's cap.
    ///
    /// # Errors
    /// `confirmation-required`; its detail says the cap.
    pub(crate) fn check(&self, cost: Money) -> Result<(), Refused> {
        self.fits(&self.book(), cost)
    }

    fn fits(&self, book: &Book, cost: Money) -> Result<(), Refused> {
        let currency = cost.currency();
        let cap = self.hard_cap(currency);
        let most = cap.map_or(MAX_MINOR_UNITS, |cap| cap.minor_units());
        let spent = book.spent(currency);
        if spent.saturating_add(cost.minor_units()) <= most {
            return Ok(());
        }
        let spent = Money::new(spent, currency).unwrap_or_else(|_| zero(currency));
        let most = cap.map_or_else(|| currency.amount(MAX_MINOR_UNITS.into()), |cap| cap.to_string());
        Err(Refused::because(
            Reason::ConfirmationRequired,
            format!("it costs {cost}; with {spent} spent so far that is more than this session's cap of {most}"),
        ))
    }

    /// Counts a cost that the user agreed to.
    ///
    /// # Errors
    /// As [`Spending::check`].
    pub(crate) fn reserve(self: &Arc<Self>, cost: Money) -> Result<Reserved, Refused> {
        let mut book = self.book();
        self.fits(&book, cost)?;
        *book.spent.entry(cost.currency()).or_default() += cost.minor_units();
        drop(book);
        Ok(Reserved { spending: Arc::clone(self), cost, back: true })
    }

    /// Counts a cost, and agrees to further ones of the resource while the total stays within `cap`.
    ///
    /// # Errors
    /// As [`Spending::check`]; also if this cost is beyond `cap`.
    pub(crate) fn agree_up_to(
        self: &Arc<Self>,
        resource: &Digest,
        cap: Money,
        cost: Money,
    ) -> Result<Reserved, Refused> {
        let mut book = self.book();
        self.fits(&book, cost)?;
        let currency = cost.currency();
        let total = book.spent(currency).saturating_add(cost.minor_units());
        if cap.currency() != currency || total > cap.minor_units() {
            let detail = format!("it costs {cost}, which is beyond the {cap} that the user agreed to");
            return Err(Refused::because(Reason::ConfirmationRequired, detail));
        }
        book.spent.insert(currency, total);
        book.agreed.insert((*resource, currency), cap);
        drop(book);
        Ok(Reserved { spending: Arc::clone(self), cost, back: true })
    }

    /// Counts a cost under what the user agreed to beforehand; `None` if he has to be asked.
    pub(crate) fn reserve_agreed(self: &Arc<Self>, resource: &Digest, cost: Money) -> Option<Reserved> {
        let mut book = self.book();
        let currency = cost.currency();
        let cap = *book.agreed.get(&(*resource, currency))?;
        let total = book.spent(currency).saturating_add(cost.minor_units());
        if total > cap.minor_units() || self.fits(&book, cost).is_err() {
            return None;
        }
        book.spent.insert(currency, total);
        drop(book);
        Some(Reserved { spending: Arc::clone(self), cost, back: true })
    }
}

impl fmt::Debug for Spending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spending").field("caps", &self.caps).field("spent", &self.book().spent).finish_non_exhaustive()
    }
}

fn zero(currency: Currency) -> Money {
    Money::new(0, currency).expect("nothing is in range")
}

/// What `quantity` units of an offer cost; `None` if it is not metered.
///
/// # Errors
/// `confirmation-required` if that is beyond what money can be: no balance covers it.
pub(crate) fn cost_of(offer: &Verified<Offer>, quantity: u32) -> Result<Option<Money>, Refused> {
    let offer = offer.document();
    if !offer.rights.is_paid_per_unit() {
        return Ok(None);
    }
    let cost = offer.price.checked_mul(quantity).map_err(|error| {
        Refused::because(Reason::ConfirmationRequired, format!("{quantity} units at {}: {error}", offer.price))
    })?;
    Ok(Some(cost))
}

/// A cost that is counted. Dropped before step 3, it is taken back: a code that is never verified debits nothing.
pub(crate) struct Reserved {
    spending: Arc<Spending>,
    cost: Money,
    back: bool,
}

impl Reserved {
    /// The request goes out: from now on its cost stays counted. If this session sent it before, and its answer
    /// comes now, it was counted then, and is counted once.
    fn stays(&mut self, request: &RequestId, redelivered: bool) {
        self.back = false;
        let mut book = self.spending.book();
        if !book.undecided.insert(request.clone()) && redelivered {
            book.take_back(self.cost);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.back {
            self.spending.book().take_back(self.cost);
        }
    }
}

/// Step 3, with what it costs. From its first byte on the server may debit: the cost stays counted, also where this
/// future is dropped or no answer arrives, unless the server's word is that it debited nothing.
///
/// # Errors
/// As [`HeldCode::verify`].
pub(crate) async fn verify(
    code: Box<dyn HeldCode>,
    request: RequestId,
    reserved: Option<Reserved>,
) -> Result<Released, Refused> {
    let Some(mut reserved) = reserved else { return code.verify().await };
    reserved.stays(&request, code.is_redelivered());
    let verified = code.verify().await;
    if !verified.as_ref().is_err_and(Refused::is_undecided) {
        reserved.spending.book().undecided.remove(&request);
    }
    reserved.back = match &verified {
        // Rights that the account held went first. What a model costs that is not known here stays counted.
        Ok(released) => Rights::sale_of(&released.grant.document().model).is_some_and(|sale| sale != Sale::PerUnit),
        Err(refused) => !refused.is_undecided(),
    };
    verified
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(text: &str) -> Money {
        format!("{text} EUR").parse().expect("an amount")
    }

    fn spending(cap: Option<&str>) -> Arc<Spending> {
        let caps = cap.map(euro).map(|cap| (cap.currency(), cap));
        Arc::new(Spending::new(caps.into_iter().collect()))
    }

    #[test]
    fn a_cost_counts_from_the_moment_it_is_reserved_until_it_is_dropped() {
        let spending = spending(Some("1.00"));
        let one = spending.reserve(euro("0.60")).expect("fits");
        assert!(spending.reserve(euro("0.41")).is_err());
        let two = spending.reserve(euro("0.40")).expect("exactly");
        assert_eq!(spending.spent(euro("1.00").currency()), euro("1.00"));
        drop((one, two));
        assert_eq!(spending.spent(euro("1.00").currency()), euro("0.00"));
    }

    #[test]
    fn a_cap_in_one_currency_is_a_cap_of_nothing_in_every_other() {
        let spending = spending(Some("1.00"));
        let refused = spending.check("0.01 USD".parse().expect("an amount")).expect_err("no dollars");
        assert_eq!(refused.reason, Reason::ConfirmationRequired);
        assert!(refused.detail.expect("a detail").contains("0.00 USD"));
    }

    /// Nobody answers.
    struct Lost {
        redelivered: bool,
        no: Reason,
    }

    #[async_trait::async_trait]
    impl HeldCode for Lost {
        async fn verify(self: Box<Self>) -> Result<Released, Refused> {
            Err(self.no.into())
        }

        fn is_redelivered(&self) -> bool {
            self.redelivered
        }
    }

    #[tokio::test]
    async fn a_cost_whose_answer_was_lost_is_counted_once_and_a_new_one_anew() {
        let spending = spending(None);
        let request = |nonce: &[u8]| RequestId {
            resource: Digest::of(b"one"),
            operation: "view".parse().expect("a name"),
            quantity: 1,
            offer: None,
            nonce: Nonce::new(nonce.to_vec()).expect("a nonce"),
        };
        let send = async |nonce: &[u8], redelivered, no| {
            let reserved = spending.reserve(euro("0.10")).expect("no cap");
            let code = Box::new(Lost { redelivered, no });
            let _ = verify(code, request(nonce), Some(reserved)).await;
            spending.spent(euro("1.00").currency())
        };
        assert_eq!(send(b"one", false, Reason::Offline).await, euro("0.10"));
        assert_eq!(send(b"one", true, Reason::Offline).await, euro("0.10"), "the same once more");
        assert_eq!(send(b"two", true, Reason::Offline).await, euro("0.20"), "another session sent it first");
        assert_eq!(send(b"one", false, Reason::Offline).await, euro("0.30"), "it was sent anew");
        assert_eq!(send(b"two", true, Reason::BalanceTooLow).await, euro("0.20"), "nothing was debited");
    }

    #[test]
    fn sums_do_not_overflow() {
        let spending = spending(None);
        let _most = spending.reserve(euro("10000000000.00")).expect("in range");
        assert!(spending.reserve(euro("10000000000.00")).is_err());
    }

    #[test]
    fn an_agreement_is_one_resources_and_ends_at_its_cap() {
        let spending = spending(None);
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        assert!(spending.reserve_agreed(&one, euro("0.01")).is_none(), "nobody agreed yet");
        assert!(spending.agree_up_to(&one, euro("1.00"), euro("1.01")).is_err());
        let _first = spending.agree_up_to(&one, euro("1.00"), euro("0.50")).expect("agreed");
        assert!(spending.reserve_agreed(&other, euro("0.01")).is_none(), "another resource asks by itself");
        let second = spending.reserve_agreed(&one, euro("0.50")).expect("to the cap");
        assert!(spending.reserve_agreed(&one, euro("0.01")).is_none());
        drop(second);
        assert!(spending.reserve_agreed(&one, euro("0.01")).is_some(), "what was not spent is left");
    }
}
