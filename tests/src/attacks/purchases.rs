//! Attacks on what is bought: had for nothing through another version, sold though it cannot be granted, paid twice,
//! and grants that are said to be lost.

use super::cheater::{Cheater, verification};
use super::shop::{Shop, order};
use super::specimen::{describe, full};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, anyhow, ensure};
use portcullis_fixtures::{Draft, guest, part, seal};
use portcullis_host::{CycleRequest, Exchanged, Gatekeeper as _, Refused};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::seal::Sealer;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::wire::{
    BalancesAnswer, CatalogueEntry, OffersRequest, OrderState, PaymentMethod, PublishAnswer, VerificationAnswer,
    WithdrawRequest,
};
use portcullis_protocol::{Digest, Money, Rights, SecretKey, ServerEntry};
use reqwest::Method;
use serde_json::json;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

attacks! {
    "free-teaser-of-a-later-version-opens-an-earlier-part" => free_teaser_of_a_later_version,
    "order-for-what-cannot-be-granted" => order_for_what_cannot_be_granted,
    "paid-twice-for-one-offer" => paid_twice_for_one_offer,
    "balance-barred-by-failed-top-ups" => balance_barred_by_failed_top_ups,
    "grant-reissued-more-than-once" => grant_reissued_more_than_once,
}

/// A publisher of its own in the shop, so that what becomes of its resource concerns no other attack.
struct Stall {
    publisher: Cheater,
    name: &'static str,
    key: SecretKey,
}

impl Stall {
    async fn open(shop: &mut Shop, name: &'static str) -> Result<Self> {
        let (publisher, key) = shop.publisher(name).await?;
        Ok(Self { publisher, name, key })
    }

    /// The shop's resource under this publisher, with `ink` public or not.
    async fn publish(&mut self, shop: &Shop, version: &str, ink_is_public: bool) -> Result<Digest> {
        let server = ServerEntry { origin: shop.origin.clone(), root: self.publisher.root.thumbprint() };
        let description = describe(self.name, &self.key, version, server)?;
        let (body, full) = (guest(), full());
        let sealer = Sealer::new(description)
            .code(part("main"), false, &body)
            .code(part("side"), true, &body)
            .asset(part("full"), false, "image/x-raw", full.len() as u64, Cursor::new(full))
            .asset(part("ink"), ink_is_public, "text/plain", 3, Cursor::new(b"ink"));
        let recipient: Recipient = self.publisher.keys.recipient.parse()?;
        let file = seal(sealer, &self.key, &recipient);
        let answer: PublishAnswer = self.publisher.ask(&Draft::upload(&file)).await?;
        Ok(answer.resource)
    }

    /// Sets the price of `print`; the refusal is what the server says.
    async fn price(&mut self, rights: Rights, price: &str) -> Result<()> {
        let terms =
            json!({"operation": "print", "title": "To print", "rights": rights, "price": price.parse::<Money>()?});
        let offers: OffersRequest = serde_json::from_value(json!({ "offers": [terms] }))?;
        let path = format!("/v1/catalogue/{}/alpine-lake/offers", self.name);
        let answer = self.publisher.send(&Draft::json(Method::PUT, &path, &offers)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
    }

    async fn withdraw(&mut self, resource: &Digest) -> Result<()> {
        let path = format!("/v1/resources/{resource}/withdraw");
        self.publisher.done(&Draft::post(path, &WithdrawRequest { reason: String::new() })).await
    }

    /// The digest of the one offer, by the catalogue; `None` if none is listed.
    async fn offer(&self) -> Result<Option<Digest>> {
        let url = format!("{}/v1/catalogue/{}/alpine-lake", self.publisher.origin, self.name);
        let entry: CatalogueEntry = serde_json::from_slice(&self.publisher.http.get(url).send().await?.bytes().await?)?;
        let Some(offer) = entry.offers.first() else { return Ok(None) };
        let payload = offer.split('.').nth(1).context("a compact document")?;
        Ok(Some(Digest::of(&portcullis_protocol::encoding::from_base64url(payload)?)))
    }
}

/// Waits until a part that is sold in one version is opened for nothing by another version's teaser.
async fn free_teaser_of_a_later_version(arena: &mut Arena) -> Result<Outcome> {
    const HIDDEN: &str = "not public";
    let shop = arena.shop().await?;
    let mut stall = Stall::open(shop, "inkwell").await?;
    let first = stall.publish(shop, "1.0.0", false).await?;
    stall.price(Rights::Perpetual {}, "5.00 EUR").await?;
    let second = stall.publish(shop, "2.0.0", true).await?;
    let mut trial = Trial::new();
    trial.attack("the operation made free", HIDDEN, stall.price(Rights::Free {}, "0.00 EUR").await);
    trial.attack("a price of nothing", HIDDEN, stall.price(Rights::Perpetual {}, "0.00 EUR").await);
    trial.attack("uses for nothing", HIDDEN, stall.price(Rights::Uses { count: 9 }, "0.00 EUR").await);
    let mut customer = shop.customer().await?;
    let mut request = shop.request("print");
    request.resource = first;
    trial.attack("the part of 1.0.0, unpaid", "payment-required", customer.cycle(&request).await);
    // The control: of a server without the check the same offer is taken, and opens it.
    stall.withdraw(&first).await?;
    trial.control("with 1.0.0 withdrawn the teaser is free", stall.price(Rights::Free {}, "0.00 EUR").await.is_ok());
    request.resource = second;
    let opened = customer.cycle(&request).await.and_then(|answer| customer.open(&answer));
    trial.control("and opens the part to whoever asks", opened.is_ok_and(|keys| keys[0].0 == "ink"));
    trial.attack("a version whose part is not public", HIDDEN, stall.publish(shop, "3.0.0", false).await);
    Ok(trial.finish())
}

/// Takes money for what nobody can be granted.
async fn order_for_what_cannot_be_granted(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut stall = Stall::open(shop, "vanisher").await?;
    let only = stall.publish(shop, "1.0.0", false).await?;
    stall.price(Rights::Perpetual {}, "3.00 EUR").await?;
    let offer = stall.offer().await?.context("an offer")?;
    let mut customer = shop.customer().await?;
    let mut early = shop.customer().await?;
    let pay = |token: &str| {
        let payment = PaymentMethod { provider: "sandbox".into(), token: token.into() };
        Draft::post("/v1/orders", &json!({"offer": offer, "payment": payment}))
    };
    let pending = early.order(&pay("pending")).await?;
    let mut trial = Trial::new();
    stall.withdraw(&only).await?;
    trial.attack("an order after the withdrawal", "resource-withdrawn", customer.order(&order(offer)).await);
    trial.attack_fails("being offered it all the same", "not listed", stall.offer().await?.is_none());
    let settled = shop.server.operator(&["order", "settle", &pending.order.to_string(), "paid"])?;
    trial.attack_fails("an order of before, paid after it", "goes back", settled["state"] == json!("refunded"));
    let open = shop.server.operator(&["reconcile"])?;
    let listed = open["orders"].as_array().is_some_and(|orders| {
        orders.iter().any(|row| row["order"] == json!(pending.order) && row["state"] == json!("refunding"))
    });
    trial.control("it stands in `reconcile`", listed);
    shop.server.operator(&["order", "refund", &pending.order.to_string()])?;
    trial.control("the ledger balances", shop.server.operator(&["ledger"])?["balanced"] == json!(true));
    stall.publish(shop, "1.1.0", false).await?;
    let bought = customer.order(&order(offer)).await?;
    trial.control("of a version that is sold the same offer is honoured", bought.state == OrderState::Paid);
    Ok(trial.finish())
}

/// Has a user who tries twice pay twice.
async fn paid_twice_for_one_offer(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut browser = shop.person().await?;
    let (mut one, mut two) = (shop.terminal_of(&mut browser).await?, shop.terminal_of(&mut browser).await?);
    let offer = shop.offer("view")?.digest();
    let pending = |again: bool| {
        let payment = json!({"provider": "sandbox", "token": "pending"});
        let mut body = json!({"offer": offer, "payment": payment});
        if again {
            body["again"] = json!(true);
        }
        Draft::post("/v1/orders", &body)
    };
    let first = one.order(&pending(false)).await?;
    let second = two.order(&pending(false)).await?;
    let mut trial = Trial::new();
    trial.attack_fails("a second order while one is pending", "the pending order", first.order == second.order);
    shop.server.operator(&["order", "settle", &first.order.to_string(), "paid"])?;
    trial.attack("a third for what is held for good", "confirmation-required", two.order(&order(offer)).await);
    trial.control("it was paid, and runs", one.authorise(&shop.request("view")).await.is_ok());
    let confirmed = two.order(&pending(true)).await?;
    trial.control("whoever confirms it buys it again", confirmed.order != first.order);
    for expected in [5, 10] {
        shop.buy(&mut one, "print").await?;
        trial.control("uses are bought as often as wanted", one.remaining("print").await? == expected);
    }
    Ok(trial.finish())
}

/// Declines what it orders itself, until the account can pay in nothing any more.
async fn balance_barred_by_failed_top_ups(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.customer().await?;
    let top_up = |currency: &str, token: &str| {
        let body = json!({
            "amount": {"minor_units": 100, "currency": currency},
            "payment": {"provider": "sandbox", "token": token},
        });
        Draft::post("/v1/account/top-ups", &body)
    };
    let mut trial = Trial::new();
    let mut refused = Vec::new();
    for letter in 'A'..='P' {
        refused.push(cheater.send(&top_up(&format!("AA{letter}"), "decline")).await?);
    }
    let all = refused.iter().all(|answer| !answer.status.is_success() && answer.text().contains("does not sell in"));
    trial.attack_fails("sixteen currencies that are none", "does not sell in", all);
    let sold =
        ["AUD", "CAD", "CHF", "CNY", "DKK", "GBP", "HKD", "JPY", "KRW", "NOK", "NZD", "PLN", "SEK", "SGD", "USD"];
    for currency in sold {
        let declined = cheater.order(&top_up(currency, "decline")).await?;
        ensure!(declined.state == OrderState::Declined, "the provider declines");
    }
    let BalancesAnswer { balances } = cheater.ask(&Draft::get("/v1/account/balances")).await?;
    trial.attack_fails("fifteen top-ups that are declined", "leave nothing", balances.is_empty());
    let mut paid = 0;
    for currency in sold.iter().chain(&["EUR"]) {
        paid += usize::from(cheater.order(&top_up(currency, "ok")).await?.state == OrderState::Paid);
    }
    trial.control("in each of sixteen currencies it can be paid in", paid == 16);
    Ok(trial.finish())
}

/// Says that a grant never came, and wants another one for the same debit, and another one.
async fn grant_reissued_more_than_once(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let code = cheater.authorise(&request).await?;
    let draft = verification(&request, &code);
    let first: VerificationAnswer = cheater.ask(&draft).await?;
    let mut trial = Trial::new();
    let (client, meddler, _) = shop.client().await?;
    let store = client.store(&shop.origin);
    let payment = || PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    store.order(shop.offer("print")?, payment()).await?;
    let file = shop.publisher.fetch(&shop.resource).await?;
    let signed = Arc::new(Sealed::open(file)?.signed().clone());
    let cycle = client.cycle();
    let asked = || CycleRequest {
        resource: Arc::clone(&signed),
        operation: request.operation.clone(),
        quantity: 1,
        offer: None,
        nonce: BoundedOctets::default(),
    };
    let lost = Exchanged { status: 503, nonce: None, retry_after: None, body: Default::default() };
    meddler.begin(
        move |exchange, answer| {
            if exchange.path_and_query.starts_with("/v1/verifications") { lost.clone() } else { answer }
        },
    );
    let refused = cycle.request(asked()).await?.verify().await.err().map(|refused| refused.reason.to_string());
    trial.control("an honest terminal loses its answer", refused.as_deref() == Some("offline"));
    meddler.stop();

    let left = async |store: &portcullis_host::Storefront| -> Result<Option<u64>> {
        Ok(store.entitlements().await?.first().and_then(|held| held.remaining))
    };
    // The grants end after 300 s. A terminal puts up with a store that is not quite as far ahead; the rest has to pass.
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "294")])?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    trial.note(format!("{:?} uses are left", left(&store).await?));
    let again: Result<VerificationAnswer> = cheater.ask(&draft).await;
    let again = again?;
    let once = again.grant != first.grant && cheater.remaining("print").await? == 4;
    trial.control("after the grant's end it is issued once more, undebited", once);
    let honest: Result<_, Refused> = match cycle.request(asked()).await {
        Ok(held) => held.verify().await,
        Err(refused) => Err(refused),
    };
    trial.control("so the honest terminal has what it paid for", honest.is_ok());
    trial.control("for one use", left(&store).await? == Some(4));
    let old = cheater.grant(&first).map(|grant| grant.jti);
    if let Ok(old) = old {
        let fetched: Result<VerificationAnswer> = cheater.ask(&Draft::get(format!("/v1/grants/{old}"))).await;
        trial.attack("the first grant beside the second", "status-code-spent", fetched);
    }
    let other = verification(&request, &code);
    trial.attack("a second by a new request", "status-code-spent", cheater.ask::<VerificationAnswer>(&other).await);
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "760")])?;
    let third: VerificationAnswer = cheater.ask(&draft).await?;
    let bound = third.grant == again.grant && cheater.remaining("print").await? == 4;
    trial.attack_fails("a third after the end of the second", "the second, which has ended", bound);
    shop.restart(&[])?;
    Ok(trial.finish())
}
