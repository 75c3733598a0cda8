//! By the unit: nothing is spent without the user's consent, and nothing beyond a cap.

use crate::fixture::{Bench, Fixture, Rule, api};
use crate::gate::{ask, refused};
use portcullis_host::{Answer, Consent, Error, Gatekeeper as _, Prompt, Runtime, Terms};
use portcullis_protocol::limits::MAX_QUANTITY;
use portcullis_protocol::{Currency, Money, Offer, Reason, Verified};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn euro(text: &str) -> Money {
    format!("{text} EUR").parse().expect("an amount")
}

fn currency() -> Currency {
    "EUR".parse().expect("a currency")
}

/// How a user answers.
#[derive(Clone, Copy)]
enum Says {
    No,
    Held,
    Yes,
    UpTo(&'static str),
}

/// What a prompt said of money: the total, what was spent, the cap.
type Shown = (Option<Money>, Money, Option<Money>);

#[derive(Clone)]
struct User {
    says: Says,
    asked: Arc<AtomicU32>,
    shown: Arc<Mutex<Vec<Shown>>>,
}

impl User {
    fn who(says: Says) -> Self {
        Self { says, asked: Arc::default(), shown: Arc::default() }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Consent for User {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Some(offer) = prompt.offers.first() else {
            return if matches!(self.says, Says::Held) { prompt.agree() } else { prompt.decline() };
        };
        let shown = (prompt.total(offer), prompt.spent(currency()), prompt.cap(currency()));
        self.shown.lock().expect("shown").push(shown);
        match self.says {
            Says::No => prompt.decline(),
            Says::Held => prompt.agree(),
            Says::Yes => prompt.accept(offer),
            Says::UpTo(cap) => prompt.accept_up_to(offer, euro(cap)),
        }
    }
}

/// A resource whose `locked` costs 0.02 EUR per unit, in a session with or without a cap.
fn bench(user: &User, cap: Option<&str>) -> Bench {
    let bench = Bench::of(&Fixture::new(), |builder| {
        let builder = builder.consent(user.clone());
        match cap {
            Some(cap) => builder.spending_cap(euro(cap)),
            None => builder,
        }
    });
    bench.signer.metered(euro("0.02"));
    bench.signer.rule("locked", Rule::Units);
    bench
}

fn spent(runtime: &Runtime) -> Money {
    runtime.spent(currency())
}

/// The offer in force.
async fn offer(bench: &Bench, operation: &str) -> Verified<Offer> {
    let operation = operation.parse().expect("a name");
    let offers = bench.signer.offers(bench.resource.signed(), &operation).await.expect("offers");
    offers[0].clone()
}

fn terms(offer: Verified<Offer>, quantity: u32) -> Terms {
    let mut terms = Terms::uses(quantity);
    terms.offer = Some(offer);
    terms
}

#[tokio::test]
async fn the_prompt_shows_the_total_what_was_spent_and_the_cap() {
    let user = User::who(Says::Yes);
    let bench = bench(&user, Some("1.00"));
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", 3, b"one").await, 0);
    assert_eq!(ask(&view, "locked", 2, b"two").await, 0);
    let shown = user.shown.lock().expect("shown").clone();
    let cap = Some(euro("1.00"));
    assert_eq!(shown, [(Some(euro("0.06")), euro("0.00"), cap), (Some(euro("0.04")), euro("0.06"), cap)]);
    assert_eq!(spent(&bench.runtime), euro("0.10"));
}

#[tokio::test]
async fn without_an_accepted_offer_nothing_is_spent() {
    for says in [Says::No, Says::Held] {
        let user = User::who(says);
        let bench = bench(&user, None);
        let _ = ask(&bench.view().await, "locked", 1, b"").await;
        assert_eq!((spent(&bench.runtime), user.asked()), (euro("0.00"), 1));
    }
}

#[tokio::test]
async fn a_thousand_requests_ask_no_more_than_a_call_may_and_spend_nothing() {
    let user = User::who(Says::No);
    let bench = bench(&user, None);
    let view = bench.view().await;
    for _ in 0..1_000 {
        assert_eq!(ask(&view, "locked", 1, b"").await, refused(Reason::ConfirmationRequired));
    }
    // One request per call here: the bound per call is held in `gate` and by the guest that floods.
    assert_eq!((user.asked(), bench.requests(), spent(&bench.runtime)), (1_000, 1, euro("0.00")));
}

#[tokio::test]
async fn who_agrees_up_to_a_total_is_not_asked_until_it_is_reached() {
    let user = User::who(Says::UpTo("0.10"));
    let bench = bench(&user, None);
    let view = bench.view().await;
    for nonce in 0..5_u8 {
        assert_eq!(ask(&view, "locked", 1, &[nonce]).await, 0);
    }
    assert_eq!((user.asked(), spent(&bench.runtime)), (1, euro("0.10")));
    // The next one is beyond it: it is asked about, and the same answer does not cover it.
    for nonce in 5..100_u8 {
        assert_eq!(ask(&view, "locked", 1, &[nonce]).await, refused(Reason::ConfirmationRequired));
    }
    assert_eq!((user.asked(), spent(&bench.runtime), bench.requests()), (96, euro("0.10"), 6));
}

#[tokio::test]
async fn beyond_the_embedders_cap_nothing_goes_out_and_no_money_is_asked_for() {
    let user = User::who(Says::UpTo("100.00"));
    let bench = bench(&user, Some("0.05"));
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", 2, b"one").await, 0);
    let requests = bench.requests();
    for _ in 0..1_000 {
        assert_eq!(ask(&view, "locked", 1, b"more").await, refused(Reason::ConfirmationRequired));
    }
    assert_eq!((bench.requests(), spent(&bench.runtime)), (requests, euro("0.04")));
    assert_eq!(user.shown.lock().expect("shown").len(), 1, "what is beyond the cap is not offered");

    // The same for what the embedder asks for itself; its detail says the cap.
    bench.signer.rule("view", Rule::Units);
    let accepted = offer(&bench, "view").await;
    let error = bench.resource.authorize_with("view", terms(accepted, 1)).await.expect_err("beyond the cap");
    let Error::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.reason, Reason::ConfirmationRequired);
    assert!(refusal.detail.as_deref().expect("a detail").contains("0.05 EUR"), "{refusal:?}");
    assert_eq!(bench.requests(), requests);
}

/// What was paid for before costs nothing now.
#[tokio::test]
async fn rights_that_are_held_are_used_beyond_the_cap() {
    let user = User::who(Says::Held);
    let bench = bench(&user, Some("0.01"));
    bench.signer.rule("locked", Rule::Uses(10));
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", 1, b"").await, 0);
    assert_eq!((bench.requests(), user.asked(), spent(&bench.runtime)), (2, 1, euro("0.00")));
    assert_eq!(bench.signer.accepted.lock().expect("offers")[1], None, "under no offer");
}

#[tokio::test]
async fn quantities_that_are_huge_or_overflow_are_refused_before_anything_goes_out() {
    let user = User::who(Says::Yes);
    let bench = bench(&user, None);
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", u32::MAX, b"").await, refused(Reason::BindingMismatch));
    assert_eq!(ask(&view, "locked", MAX_QUANTITY + 1, b"").await, refused(Reason::BindingMismatch));
    bench.signer.metered(euro("10000000.00"));
    assert_eq!(ask(&view, "locked", MAX_QUANTITY, b"").await, refused(Reason::ConfirmationRequired));
    assert_eq!((bench.requests(), spent(&bench.runtime)), (1, euro("0.00")));
    // A total that only the sum of two requests exceeds.
    assert_eq!(ask(&view, "locked", 1_000, b"a").await, 0);
    assert_eq!(ask(&view, "locked", 1, b"b").await, refused(Reason::ConfirmationRequired));
    assert_eq!(spent(&bench.runtime), euro("10000000000.00"));
}

#[tokio::test]
async fn what_the_server_refuses_is_taken_back() {
    let user = User::who(Says::Yes);
    let bench = bench(&user, Some("0.02"));
    let view = bench.view().await;
    bench.signer.rule("locked", Rule::No(Reason::BalanceTooLow));
    for _ in 0..3 {
        assert_eq!(ask(&view, "locked", 1, b"").await, refused(Reason::BalanceTooLow));
        assert_eq!(spent(&bench.runtime), euro("0.00"));
    }
    // Rights that the account held went first: nothing was debited.
    bench.signer.rule("locked", Rule::Uses(1));
    assert_eq!(ask(&view, "locked", 1, b"held").await, 0);
    assert_eq!(spent(&bench.runtime), euro("0.00"));
    bench.signer.rule("locked", Rule::Units);
    assert_eq!(ask(&view, "locked", 1, b"drawn").await, 0);
    assert_eq!(spent(&bench.runtime), euro("0.02"));
}

#[tokio::test]
async fn the_entry_counts_too_and_a_call_draws_a_unit() {
    let user = User::who(Says::No);
    let bench = bench(&user, Some("0.10"));
    bench.signer.rule("view", Rule::Units);
    let accepted = offer(&bench, "view").await;
    let view = bench.resource.authorize_with("view", terms(accepted.clone(), 2)).await.expect("authorised");
    assert_eq!((view.uses_left(), spent(&bench.runtime)), (Some(2), euro("0.04")));
    // The grant covers what it is for, without a new cycle.
    assert_eq!(ask(&view, "view", 2, b"").await, 0);
    assert_eq!((view.uses_left(), bench.requests(), user.asked()), (Some(1), 1, 0));
    // And no more than its units.
    assert_eq!(ask(&view, "view", 3, b"").await, refused(Reason::ConfirmationRequired));
    assert_eq!(view.uses_left(), Some(0));
    assert!(matches!(view.call(&api("add"), &[]).await, Err(Error::Arguments(_) | Error::Ended(_))));

    // One call, one look at the prices: the offer came with the terms.
    let looks = bench.signer.looks();
    bench.resource.authorize_with("view", terms(accepted, 1)).await.expect("authorised again");
    assert_eq!(bench.signer.looks(), looks);
    assert_eq!(spent(&bench.runtime), euro("0.06"));

    // An offer for something else is not sent: it says nothing of what this costs.
    let (before, other) = (bench.requests(), offer(&bench, "locked").await);
    let error = bench.resource.authorize_with("view", terms(other, 1)).await.expect_err("another operation's");
    assert!(matches!(error, Error::Refused(refusal) if refusal.reason == Reason::BindingMismatch));
    assert_eq!((bench.requests(), spent(&bench.runtime)), (before, euro("0.06")));
}

#[tokio::test]
async fn an_offer_that_is_no_longer_in_force_costs_nothing() {
    let bench = bench(&User::who(Says::No), Some("1.00"));
    bench.signer.rule("view", Rule::Units);
    let stale = offer(&bench, "view").await;
    bench.signer.metered(euro("0.03"));
    let error = bench.resource.authorize_with("view", terms(stale, 1)).await.expect_err("stale");
    assert!(matches!(error, Error::Refused(refusal) if refusal.reason == Reason::PaymentRequired));
    assert_eq!(spent(&bench.runtime), euro("0.00"));
    let current = offer(&bench, "view").await;
    bench.resource.authorize_with("view", terms(current, 1)).await.expect("the control");
    assert_eq!(spent(&bench.runtime), euro("0.03"));
}
