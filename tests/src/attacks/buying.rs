//! Attacks on a person who buys in a browser: by another site, by the publisher, by another customer.

use super::site::Site;
use super::{Arena, Outcome, Trial, attacks};
use crate::{Browser, Vendor, Ware};
use anyhow::{Context as _, Result, anyhow};
use portcullis_protocol::Digest;
use reqwest::StatusCode;
use serde_json::json;

attacks! {
    "purchase-sent-from-another-site" => purchase_sent_from_another_site,
    "purchase-framed-by-another-site" => purchase_framed_by_another_site,
    "price-changed-between-page-and-click" => price_changed_between_page_and_click,
    "one-click-charged-twice" => one_click_charged_twice,
    "order-of-somebody-else-read" => order_of_somebody_else_read,
}

const ADA: &str = "ada@mail.example";
const WARE: Ware<'_> = Ware {
    name: "alpine-lake",
    kind: "picture",
    title: "Alpine lake",
    description: "A lake below a glacier.",
    view: "The lake, for good",
    cover: ("image/gif", crate::POINT),
};

/// A store that sells one thing.
struct Place {
    site: Site,
    vendor: Vendor,
    offer: Digest,
    resource: Digest,
}

impl Place {
    async fn open(arena: &mut Arena) -> Result<Self> {
        let site = Site::open(arena).await?;
        let mut vendor = Vendor::open(&site.server, &mut site.person("lumen@mail.example").await?, "lumen").await?;
        let (resource, offer) = vendor.sell(&WARE).await?;
        Ok(Self { site, vendor, offer, resource })
    }

    async fn person(&self, name: &str) -> Result<Browser> {
        self.site.person(&format!("{name}@mail.example")).await
    }
}

/// Orders that a browser's user sees.
async fn orders(browser: &mut Browser) -> Result<usize> {
    Ok(browser.page("/account/purchases").await?.matches("href=\"/account/orders/").count())
}

/// Forms that buy and pay in, sent from elsewhere with the cookies that come along, and a token of the attacker's.
async fn purchase_sent_from_another_site(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    place.person("ada").await?;
    let mut mallory = place.person("mallory").await?;
    let buying = format!("/buy/{}", place.offer);
    let page = mallory.page(&buying).await?;
    let hidden = |name: &str| -> Result<String> {
        let value = page.split_once(&format!("name=\"{name}\" value=\"")).and_then(|(_, rest)| rest.split('"').next());
        Ok(value.context("a hidden field")?.to_owned())
    };
    let arguments = json!({"buying": buying, "csrf": hidden("csrf")?, "key": hidden("key")?});
    let seen = place.site.drive("purchase", ADA, arguments).await?;
    let mut trial = Trial::new();
    let landed = seen["landed"].as_object().context("what was tried")?;
    for (what, title) in landed.iter().filter(|(what, _)| what.starts_with('/')) {
        let title = title.as_str().unwrap_or_default();
        // From another site no cookie comes along; from another port it does, and token and origin refuse it.
        let refused = title == "Not accepted" || (title == "Sign in" && what.ends_with("another site"));
        trial.attack_fails(what, "not accepted", refused);
    }
    trial.attack_fails("any of them", "nothing was ordered", seen["orders"] == json!(0));
    trial.control("each of them arrived", landed.len() == 8);
    trial.control("the page's own form buys", seen["own"] == json!("Thank you"));
    Ok(trial.finish())
}

/// Lays the button that buys under something that people click on.
async fn purchase_framed_by_another_site(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    place.person("ada").await?;
    let framed = json!({
        "buying": format!("/buy/{}", place.offer), "balance": "/account/balance", "library": "/account/library",
        "purchases": "/account/purchases", "resource": "/resources/lumen/alpine-lake", "store": "/",
        "cover": format!("/covers/{}", place.resource),
    });
    let shown = place.site.drive("framed", ADA, json!({"framed": framed})).await?;
    let mut trial = Trial::new();
    for what in framed.as_object().context("pages")?.keys() {
        trial.attack_fails(
            &format!("the page `{what}` in a frame"),
            "not shown in a frame",
            shown[what] == json!(false),
        );
    }
    trial.control("a page of the store without its headers is shown in a frame", shown["copy"] == json!(true));
    Ok(trial.finish())
}

/// The publisher raises the price once the buyer has seen it.
async fn price_changed_between_page_and_click(arena: &mut Arena) -> Result<Outcome> {
    let mut place = Place::open(arena).await?;
    let mut ada = place.person("ada").await?;
    let path = format!("/buy/{}", place.offer);
    let page = ada.page(&path).await?;
    let dearer = place.vendor.price(&WARE, "499.00 EUR").await?;
    let mut trial = Trial::new();
    let means = [("means", "sandbox:ok")];
    let sent = ada.send(&path, &page, &means).await;
    let said = sent.as_ref().map_or_else(ToString::to_string, |_| String::new());
    trial.attack("the click on the old price", "409 Conflict", sent);
    trial.attack_fails("charging the new one", "nothing was charged", orders(&mut ada).await? == 0);
    trial
        .control("the new price is shown instead", said.contains("499.00 EUR") && said.contains("nothing was charged"));
    // A cheaper offer of before, kept by the buyer: the same defence, for the publisher.
    let kept = ada.page(&format!("/buy/{dearer}")).await?;
    place.vendor.price(&WARE, "999.00 EUR").await?;
    trial.attack(
        "the click on a price kept since",
        "409 Conflict",
        ada.send(&format!("/buy/{dearer}"), &kept, &means).await,
    );
    let now = place.vendor.price(&WARE, "1.99 EUR").await?;
    trial.control("the offer in force is bought", ada.buy(&now, "sandbox:ok").await.is_ok());
    Ok(trial.finish())
}

/// One form, sent many times at once to two processes, then again, then with the back button.
async fn one_click_charged_twice(arena: &mut Arena) -> Result<Outcome> {
    const CLICKS: usize = 12;
    let mut place = Place::open(arena).await?;
    let twin = place.site.server.start_twin()?;
    let mut ada = place.person("ada").await?;
    // A top-up can be wanted twice, so nothing but the form's key tells two clicks from two wishes.
    let form = [("amount", "5.00"), ("currency", "EUR"), ("means", "sandbox:ok")];
    let page = ada.page("/account/balance").await?;
    let clicks = (0..CLICKS).map(|click| {
        let mut browser = if click % 2 == 0 { ada.clone() } else { ada.clone().at(&twin) };
        let page = page.clone();
        async move { browser.send("/account/balance", &page, &form).await.map(|_| ()) }
    });
    let sent = futures::future::join_all(clicks).await.into_iter().filter(Result::is_ok).count();
    let again = ada.send("/account/balance", &page, &form).await?;
    let mut trial = Trial::new();
    let one = orders(&mut ada).await? == 1 && ada.page("/account/balance").await?.contains("5.00 EUR");
    trial.attack_fails(&format!("{CLICKS} clicks at two processes, and one more"), "one order", one);
    trial.control("the clicks arrived", sent >= 1 && again.status() == StatusCode::SEE_OTHER);
    ada.submit("/account/balance", "/account/balance", &form).await?;
    let two = orders(&mut ada).await? == 2 && ada.page("/account/balance").await?.contains("10.00 EUR");
    trial.control("the page opened anew pays in anew", two);
    Ok(trial.finish())
}

/// The address of an order is known: its page, its receipt, and whether there is one.
async fn order_of_somebody_else_read(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let (mut ada, mut mallory) = (place.person("ada").await?, place.person("mallory").await?);
    let order = ada.buy(&place.offer, "sandbox:ok").await?;
    let mut trial = Trial::new();
    let (status, _, foreign) = mallory.look(&order).await?;
    trial.attack("the order's page", "404", if status.is_success() { Ok(()) } else { Err(anyhow!("{status}")) });
    let (_, _, unknown) = mallory.look("/account/orders/AAAAAAAAAAAAAAAAAAAAAA").await?;
    trial.attack_fails("telling it from one that there is not", "the same page", foreign == unknown);
    for page in ["/account/library", "/account/purchases"] {
        let (_, _, text) = mallory.look(page).await?;
        let hidden = !text.contains("alpine-lake") && !text.contains(&order);
        trial.attack_fails(&format!("the own page {page}"), "nothing of it", hidden);
    }
    let (status, headers, _) = Browser::new(place.site.server.origin())?.look(&order).await?;
    let to = headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
    trial.attack_fails(
        "without an account",
        "asked to sign in",
        status == StatusCode::SEE_OTHER && to.starts_with("/sign-in"),
    );
    let (status, _, text) = ada.look(&order).await?;
    trial.control("its buyer reads it", status == StatusCode::OK && text.contains("The signed receipt"));
    Ok(trial.finish())
}
