//! Attacks on the prepaid balance, from which operations draw by the unit.

use super::cheater::Cheater;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use futures::future::join_all;
use portcullis_fixtures::{Draft, api};
use portcullis_host::{Answer, Authorised, Consent, Prompt};
use portcullis_protocol::wire::{BalanceInfo, BalancesAnswer, PaymentMethod, VerificationAnswer};
use serde_json::{Value, json};
use std::sync::Arc;

attacks! {
    "concurrent-draws-on-one-balance" => concurrent_draws_on_one_balance,
    "balance-held-then-disconnected" => balance_held_then_disconnected,
    "negative-and-overflowing-top-ups" => negative_and_overflowing_top_ups,
    "units-beyond-the-grant" => units_beyond_the_grant,
    "spending-cap-exceeded" => spending_cap_exceeded,
}

/// What is left and what is held, in minor units.
async fn balance(cheater: &mut Cheater) -> Result<(i64, i64)> {
    let BalancesAnswer { balances } = cheater.ask(&Draft::get("/v1/account/balances")).await?;
    let one = |balance: &BalanceInfo| (balance.amount.minor_units(), balance.held.minor_units());
    Ok(balances.first().map_or((0, 0), one))
}

/// Draws on one balance from many sides at once.
async fn concurrent_draws_on_one_balance(arena: &mut Arena) -> Result<Outcome> {
    const AT_ONCE: usize = 60;
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    shop.top_up(&mut cheater, "1.05 EUR").await?;
    let request = shop.units(1)?;
    let draws = (0..AT_ONCE).map(|_| {
        let (mut cheater, request) = (cheater.clone(), request.clone());
        async move { cheater.cycle(&request).await }
    });
    let outcomes: Vec<Result<VerificationAnswer>> = join_all(draws).await;
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|o| o.as_ref().is_err_and(|e| e.to_string() == "balance-too-low")).count();
    let mut trial = Trial::new();
    trial.note(format!("{AT_ONCE} at once on a balance for 10: {granted} granted, {refused} refused"));
    trial.attack_fails("more units than were paid for", "balance-too-low", granted == 10 && refused == AT_ONCE - 10);
    trial.attack("one more for the 5 cents that are left", "balance-too-low", cheater.cycle(&request).await);
    trial.attack_fails("a balance below what is left", "never overdrawn", balance(&mut cheater).await? == (5, 0));
    shop.top_up(&mut cheater, "0.05 EUR").await?;
    trial.control("with 5 cents more it goes on", cheater.cycle(&request).await.is_ok());
    trial.control("and nothing is left", balance(&mut cheater).await? == (0, 0));
    trial.control("the ledger balances", shop.server.operator(&["ledger"])?["balanced"] == json!(true));
    Ok(trial.finish())
}

/// Has everything held, and goes away: neither the money nor the code is to be had twice.
async fn balance_held_then_disconnected(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    shop.top_up(&mut cheater, "1.00 EUR").await?;
    let (all, one) = (shop.units(10)?, shop.units(1)?);
    let code = cheater.authorise(&all).await?;
    let mut trial = Trial::new();
    trial.attack("drawing what is held", "balance-too-low", cheater.authorise(&one).await);
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "35")])?;
    trial.attack("verifying 35 s later", "status-code-expired", cheater.verify(&all, &code).await);
    trial.control("what was held is there again", balance(&mut cheater).await? == (100, 0));
    trial.control("and can be drawn", cheater.cycle(&all).await.is_ok());
    trial.control("once", balance(&mut cheater).await? == (0, 0));
    shop.restart(&[])?;
    trial.control("the ledger balances", shop.server.operator(&["ledger"])?["balanced"] == json!(true));
    Ok(trial.finish())
}

/// Pays in amounts that turn money around, wrap it, or are of another kind; and asks for units whose price wraps.
async fn negative_and_overflowing_top_ups(arena: &mut Arena) -> Result<Outcome> {
    const FORM: &str = "does not have the form";
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    let mut trial = Trial::new();
    let euros = |minor_units: Value| json!({"minor_units": minor_units, "currency": "EUR"});
    for (amount, expected) in [
        (euros(json!(-1)), FORM),
        (euros(json!(0)), "must be greater than zero"),
        (euros(json!(0.5)), FORM),
        (euros(json!(i64::MAX)), FORM),
        (euros(json!(u64::MAX)), FORM),
        (euros(json!(1_000_000_000_001_i64)), FORM),
        (json!({"minor_units": 100, "currency": "EUR", "bonus": 100}), FORM),
    ] {
        let body = json!({"amount": amount, "payment": {"provider": "sandbox", "token": "ok"}});
        let answer = cheater.send(&Draft::post("/v1/account/top-ups", &body)).await?;
        let answer = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
        trial.attack(&format!("a top-up of {amount}"), expected, answer);
    }
    let unpaid = json!({"amount": euros(json!(100)), "payment": {"provider": "sandbox", "token": "decline"}});
    let _ = cheater.send(&Draft::post("/v1/account/top-ups", &unpaid)).await?;
    trial.attack_fails("a payment that is declined", "adds nothing", balance(&mut cheater).await? == (0, 0));
    shop.top_up(&mut cheater, "10000000000.00 EUR").await.context("the most that money can be")?;
    let beyond = shop.top_up(&mut cheater, "0.01 EUR").await;
    trial.attack("a cent beyond the most that money can be", "payment-required", beyond);
    // 1,000,000 units at 10 cents are far below the balance; the price of what is not to be had must not wrap either.
    let most = cheater.authorise(&shop.units(1_000_000)?).await;
    trial.control("a million units are authorised", most.is_ok());
    let (left, held) = balance(&mut cheater).await?;
    trial.control("and exactly their price is held", (left, held) == (1_000_000_000_000, 10_000_000));
    Ok(trial.finish())
}

/// Draws few units and wants a grant for many.
async fn units_beyond_the_grant(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    shop.top_up(&mut cheater, "1.00 EUR").await?;
    let (two, ten) = (shop.units(2)?, shop.units(10)?);
    let code = cheater.authorise(&two).await?;
    let mut trial = Trial::new();
    trial.attack("verifying the code of 2 for 10", "binding-mismatch", cheater.verify(&ten, &code).await);
    let mut unpriced = two.clone();
    unpriced.offer = None;
    trial.attack("verifying it without its offer", "binding-mismatch", cheater.verify(&unpriced, &code).await);
    trial.attack("authorising without an offer", "payment-required", cheater.authorise(&unpriced).await);
    let mut stranger = shop.customer().await?;
    trial.attack("drawing on another's balance", "balance-too-low", stranger.authorise(&two).await);
    let granted = cheater.verify(&two, &code).await?;
    let units = cheater.grant(&granted)?.limits.units;
    trial.control("the grant is for the 2 that were paid for", units == Some(2));
    trial.control("and 80 cents are left", balance(&mut cheater).await? == (80, 0));
    Ok(trial.finish())
}

/// A user who says yes to everything that costs money.
struct Generous;

#[async_trait]
impl Consent for Generous {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        let metered = prompt.offers.iter().find(|offer| prompt.total(offer).is_some());
        metered.map_or_else(|| prompt.decline(), |offer| prompt.accept(offer))
    }
}

/// A resource that goes on buying, call after call, and all at once.
async fn spending_cap_exceeded(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, _, _) = shop.client().await?;
    let payment = || PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let store = client.store(&shop.origin);
    store.order(shop.offer("view")?, payment()).await?;
    store.top_up("1.00 EUR".parse()?, payment()).await?;
    let file = shop.publisher.fetch(&shop.resource).await?;
    // `ask` requests and verifies: 0, or 100 and more where it is refused. A nonce asks for a cycle of its own.
    let ask = |view: Arc<Authorised>, nonce: u8| async move {
        let arguments = ("print".to_owned(), 1_u32, vec![nonce]);
        view.call_typed::<(String, u32, Vec<u8>), (u32,)>(&api("ask"), arguments).await.map(|(code,)| code)
    };
    let runtime = client.runtime().consent(Generous).spending_cap("0.25 EUR".parse()?).build()?;
    let resource = runtime.load(file.clone())?;
    let mut trial = Trial::new();
    let mut views = Vec::new();
    for _ in 0..5 {
        views.push(Arc::new(resource.authorize("view").await?));
    }
    let answers = join_all(views.iter().zip(1..).map(|(view, nonce)| ask(Arc::clone(view), nonce))).await;
    let answers: Vec<u32> = answers.into_iter().collect::<Result<_, _>>()?;
    let bought = answers.iter().filter(|code| **code == 0).count();
    trial.note(format!("5 units at once under a cap for 2: {bought} bought"));
    trial.attack_fails("three units at 10 cents each", "confirmation-required", bought == 2);
    let more = ask(Arc::clone(&views[0]), 9).await?;
    trial.attack_fails("one more afterwards", "confirmation-required", more >= 100);
    let left = |balances: &[BalanceInfo]| balances.first().map(|balance| balance.amount.minor_units());
    let balance = left(&store.balances().await?);
    trial.attack_fails("drawing more than the cap", "never drawn", balance == Some(80));
    trial.control("two units were bought", bought == 2 && runtime.spent("EUR".parse()?).minor_units() == 20);
    let another = client.runtime().consent(Generous).spending_cap("1.00 EUR".parse()?).build()?;
    let view = Arc::new(another.load(file)?.authorize("view").await?);
    trial.control("in a session with a higher cap it goes on", ask(view, 10).await? == 0);
    Ok(trial.finish())
}
