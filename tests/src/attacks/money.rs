//! Attacks on prices, orders, amounts and balances.

use super::shop::{USES, order, price_list};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Result, anyhow};
use futures::future::join_all;
use portcullis_fixtures::{Answered, Draft};
use portcullis_protocol::Money;
use portcullis_protocol::wire::{OrderAnswer, OrderState, VerificationAnswer};
use reqwest::Method;
use serde_json::{Value, json};

attacks! {
    "price-changed-between-prompt-and-order" => price_changed_between_prompt_and_order,
    "forged-order" => forged_order,
    "negative-overflowing-and-rounding-amounts" => negative_overflowing_and_rounding_amounts,
    "concurrent-draws-on-uses" => concurrent_draws_on_uses,
    "refund-then-run" => refund_then_run,
}

/// What a server says to a body that is no request.
const FORM: &str = "does not have the form";

fn refused(answer: &Answered) -> Result<()> {
    if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
}

/// The user agrees to one price and is to pay another; or he keeps an old, cheap offer and wants it honoured.
async fn price_changed_between_prompt_and_order(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut customer = shop.customer().await?;
    let shown = shop.offer("view")?.clone();
    shop.price("2.99 EUR").await?;
    let mut trial = Trial::new();
    trial.attack("ordering on the old offer", "payment-required", customer.order(&order(shown.digest())).await);
    let mut request = shop.request("view");
    request.offer = Some(shown.digest());
    trial.attack("authorising on the old offer", "payment-required", customer.authorise(&request).await);
    let bought = customer.order(&order(shop.offer("view")?.digest())).await?;
    trial.control("the offer in force is honoured", bought.state == OrderState::Paid);
    request.offer = Some(shop.offer("view")?.digest());
    trial.control("and the operation runs on it", customer.cycle(&request).await.is_ok());
    shop.price("1.99 EUR").await?;
    Ok(trial.finish())
}

/// Sends order bodies that a client would not: an amount of its own, somebody else's account, an invented offer.
async fn forged_order(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut customer = shop.customer().await?;
    let offer = shop.offer("view")?.digest().to_string();
    let payment = json!({"provider": "sandbox", "token": "ok"});
    let mut trial = Trial::new();
    for (what, body, expected) in [
        ("naming the price", json!({"offer": offer, "payment": payment, "price": "0.01 EUR"}), FORM),
        ("naming an account", json!({"offer": offer, "payment": payment, "account": "person1@mail.example"}), FORM),
        ("naming the rights", json!({"offer": offer, "payment": payment, "rights": {"model": "free"}}), FORM),
        ("an invented offer", json!({"offer": "A".repeat(43), "payment": payment}), "payment-required"),
    ] {
        let answer = customer.send(&Draft::json(Method::POST, "/v1/orders", &body)).await?;
        trial.attack(what, expected, refused(&answer));
    }
    let unpaid = json!({"offer": offer, "payment": {"provider": "sandbox", "token": "decline"}});
    let declined: OrderAnswer = customer.ask(&Draft::json(Method::POST, "/v1/orders", &unpaid)).await?;
    trial.attack_fails("a payment that is declined", "declined", declined.state == OrderState::Declined);
    trial.attack("running it on that order", "payment-required", customer.authorise(&shop.request("view")).await);
    trial.control("the honest order is paid", shop.buy(&mut customer, "view").await.is_ok());
    trial.control("and the operation is authorised", customer.authorise(&shop.request("view")).await.is_ok());
    Ok(trial.finish())
}

/// Amounts that turn money around, wrap it, or leave a remainder.
async fn negative_overflowing_and_rounding_amounts(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut customer = shop.buyer("print").await?;
    let mut trial = Trial::new();
    let terms = |price: &Value, rights: Value| json!({"offers": [{"operation": "view", "title": "Bad", "rights": rights, "price": price}]});
    let euros = |minor_units: Value| json!({"minor_units": minor_units, "currency": "EUR"});
    let (perpetual, fair) = (json!({"model": "perpetual"}), euros(json!(199)));
    for price in [
        euros(json!(-199)),
        euros(json!(1.5)),
        euros(json!(1e3)),
        euros(json!("199")),
        euros(json!(i64::MAX)),
        euros(json!(u64::MAX)),
        euros(json!(1_000_000_000_001_i64)),
        json!({"minor_units": 199, "currency": "eur"}),
        json!({"minor_units": 199, "currency": "EUR", "discount": 198}),
    ] {
        let answer = shop.publisher.send(&price_list(&terms(&price, perpetual.clone()))).await?;
        trial.attack(&format!("a price of {price}"), FORM, refused(&answer));
    }
    for (text, why) in [
        ("1.999 EUR", "not an amount"),
        ("1.9 EUR", "not an amount"),
        ("-1.99 EUR", "out of range"),
        ("1e3 EUR", "not an amount"),
        ("1,99 EUR", "not an amount"),
    ] {
        trial.attack(&format!("`{text}` as a publisher writes it"), why, text.parse::<Money>());
    }
    let least = "an offer of uses must include at least one";
    for (count, expected) in
        [(json!(0), least), (json!(-1), FORM), (json!(1.5), FORM), (json!(4_294_967_296_u64), FORM)]
    {
        let rights = json!({"model": "uses", "count": count});
        let answer = shop.publisher.send(&price_list(&terms(&fair, rights))).await?;
        trial.attack(&format!("{count} uses"), expected, refused(&answer));
    }
    let sent = shop.publisher.send(&price_list(&terms(&fair, perpetual))).await?;
    trial.control("1.99 EUR, written by the same tool, is accepted", sent.status.is_success());
    // The price list is a whole: the others are put back.
    shop.price("1.99 EUR").await?;
    let request: Value = serde_json::to_value(shop.request("print"))?;
    let range = "the quantity is 1 to 1000000";
    for (quantity, expected) in [
        (json!(0), range),
        (json!(1_000_001), range),
        (json!(u32::MAX), range),
        (json!(-1), FORM),
        (json!(1.5), FORM),
        (json!(1_u64 << 32), FORM),
        (json!("1"), FORM),
    ] {
        let mut request = request.clone();
        request["quantity"] = quantity.clone();
        let answer = customer.send(&Draft::json(Method::POST, "/v1/authorizations", &request)).await?;
        trial.attack(&format!("a quantity of {quantity}"), expected, refused(&answer));
    }
    let mut sent = request;
    sent["quantity"] = json!(1);
    let sent = customer.send(&Draft::json(Method::POST, "/v1/authorizations", &sent)).await?;
    trial.control("a quantity of 1, written by the same tool, is authorised", sent.status.is_success());
    let mut six = shop.request("print");
    six.quantity = USES + 1;
    trial.attack("one more than there is", "entitlement-exhausted", customer.authorise(&six).await);
    trial.control("nothing else was held", customer.remaining("print").await? == u64::from(USES) - 1);
    let balanced = shop.server.operator(&["ledger"])?["balanced"] == json!(true);
    trial.control("the ledger balances", balanced);
    let mut all = shop.request("print");
    all.quantity = USES - 1;
    trial.control("all that there is can be drawn", customer.cycle(&all).await.is_ok());
    Ok(trial.finish())
}

/// Draws on one balance from many sides at once.
async fn concurrent_draws_on_uses(arena: &mut Arena) -> Result<Outcome> {
    const AT_ONCE: usize = 60;
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let _ = cheater.remaining("print").await?;
    let draws = (0..AT_ONCE).map(|_| {
        let (mut cheater, request) = (cheater.clone(), request.clone());
        async move { cheater.cycle(&request).await }
    });
    let outcomes: Vec<Result<VerificationAnswer>> = join_all(draws).await;
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let exhausted =
        outcomes.iter().filter(|o| o.as_ref().is_err_and(|e| e.to_string() == "entitlement-exhausted")).count();
    let mut trial = Trial::new();
    let exact = granted == USES as usize && exhausted == AT_ONCE - granted;
    trial.note(format!("{AT_ONCE} at once on {USES} uses: {granted} granted, {exhausted} exhausted"));
    trial.attack_fails("more grants than uses", "entitlement-exhausted", exact);
    trial.attack("one more afterwards", "entitlement-exhausted", cheater.cycle(&request).await);
    trial.control("as many as were paid for were granted", granted == USES as usize);
    shop.buy(&mut cheater, "print").await?;
    trial.control("after another order it goes on", cheater.cycle(&request).await.is_ok());
    Ok(trial.finish())
}

/// Has the money back and goes on.
async fn refund_then_run(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    let paid = shop.buy(&mut cheater, "view").await?;
    let request = shop.request("view");
    let draft = Draft::post("/v1/authorizations", &request);
    let before = cheater.cycle(&request).await;
    let kept = cheater.authorise(&request).await?;
    let granted = before.as_ref().map(|answer| cheater.grant(answer));
    shop.server.operator(&["order", "refund", &paid.order.to_string()])?;
    let mut trial = Trial::new();
    trial.attack("a new code", "entitlement-revoked", cheater.ask::<Value>(&draft).await);
    // The hold ends with the rights it stands on, or the verification is refused for want of them.
    let kept = cheater.verify(&request, &kept).await.map_err(|error| match error.to_string().as_str() {
        "status-code-expired" => anyhow!("entitlement-revoked, and the code was released"),
        _ => error,
    });
    trial.attack("a code from before", "entitlement-revoked", kept);
    if let Ok(Ok(grant)) = granted {
        let again: Result<VerificationAnswer> = cheater.ask(&Draft::get(format!("/v1/grants/{}", grant.jti))).await;
        trial.attack("the keys of a grant from before", "entitlement-revoked", again);
    }
    trial.control("before the refund it ran", before.is_ok());
    let balanced = shop.server.operator(&["ledger"])?["balanced"] == json!(true);
    trial.control("the ledger balances", balanced);
    shop.buy(&mut cheater, "view").await?;
    trial.control("after paying again it runs again", cheater.cycle(&request).await.is_ok());
    Ok(trial.finish())
}
