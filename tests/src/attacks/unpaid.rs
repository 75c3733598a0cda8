//! Orders that are given up, and money that comes after.

use super::shop::{Shop, order};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::Result;
use portcullis_fixtures::Draft;
use portcullis_protocol::wire::{OrderAnswer, OrderState, UnpaidOrdersAnswer};
use serde_json::json;

attacks! {
    "order-given-up-and-paid-all-the-same" => order_given_up_and_paid_all_the_same,
    "another-accounts-order-given-up-or-listed" => another_accounts_order,
}

fn pending(shop: &Shop, operation: &str) -> Result<Draft> {
    let payment = json!({"provider": "sandbox", "token": "pending"});
    Ok(Draft::post("/v1/orders", &json!({"offer": shop.offer(operation)?.digest(), "payment": payment})))
}

fn cancel(order: &OrderAnswer) -> Draft {
    Draft::post(format!("/v1/orders/{}/cancel", order.order), &json!({}))
}

/// Gives an order up and pays it then, to have the rights and to be paid back.
async fn order_given_up_and_paid_all_the_same(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut cheater, mut honest) = (shop.customer().await?, shop.customer().await?);
    let given_up = cheater.order(&pending(shop, "view")?).await?;
    let mut trial = Trial::new();
    let ended = cheater.order(&cancel(&given_up)).await?;
    trial.control("it is given up", ended.state == OrderState::Declined);
    let late = shop.server.operator(&["order", "settle", &given_up.order.to_string(), "paid"])?;
    trial.attack_fails("paying it then", "goes back", late["state"] == json!("refunded"));
    trial.attack("running it", "payment-required", cheater.cycle(&shop.request("view")).await);
    let again = cheater.order(&cancel(&given_up)).await?;
    trial.attack_fails("giving it up once more", "as it stands", again.state == OrderState::Refunded);
    // What is paid is not given up.
    let paid = honest.order(&order(shop.offer("view")?.digest())).await?;
    let kept = honest.order(&cancel(&paid)).await?;
    trial.attack_fails("giving up what is paid", "paid", kept.state == OrderState::Paid);
    trial.control("what is paid runs", honest.cycle(&shop.request("view")).await.is_ok());
    trial.control("the ledger balances", shop.server.operator(&["ledger"])?["balanced"] == json!(true));
    Ok(trial.finish())
}

/// Looks for what others have on order, and takes it from them.
async fn another_accounts_order(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut owner, mut thief) = (shop.customer().await?, shop.customer().await?);
    let ordered = owner.order(&pending(shop, "view")?).await?;
    let list = Draft::get("/v1/orders");
    let mut trial = Trial::new();
    trial.attack("giving up another's order", "404", thief.order(&cancel(&ordered)).await);
    let UnpaidOrdersAnswer { orders } = thief.ask(&list).await?;
    trial.attack_fails("another's orders in his list", "not listed", orders.is_empty());
    let UnpaidOrdersAnswer { orders } = owner.ask(&list).await?;
    let is_listed = orders.iter().any(|unpaid| unpaid.order == ordered.order);
    trial.control("its owner finds it, still pending", is_listed && orders.len() == 1);
    trial.control("and gives it up", owner.order(&cancel(&ordered)).await?.state == OrderState::Declined);
    Ok(trial.finish())
}
