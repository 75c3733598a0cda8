//! The page of the shop: what it sells, and a button that makes a payment request. A customer pays at the store; the
//! shop never learns who it was.

use crate::delivery::Desk;
use crate::store::StoreError;
use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use maud::{DOCTYPE, html};
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::MAX_REQUEST_LIFE;
use portcullis_protocol::wire::{PaymentRequestAnswer, PaymentRequestRequest};
use portcullis_protocol::{Money, PaymentRequest, ProductName, Verified, paths};
use reqwest::Method;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a customer has to pay, in seconds.
pub(crate) const LIFE: u64 = 3600;
/// Requests that are made in a minute, for everybody together: who presses the button of a shop all day fills no
/// database.
const PER_MINUTE: u32 = 60;

/// How many requests were made in the minute that is running.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<(u64, u32)>);

impl Gate {
    /// Takes one more, if there is one.
    fn take(&self, now: u64) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.0 != now / 60 {
            *taken = (now / 60, 0);
        }
        taken.1 += 1;
        taken.1 <= PER_MINUTE
    }
}

/// The shop, with its page.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) desk: Arc<Desk>,
    pub(crate) gate: Arc<Gate>,
}

/// `GET /`
pub(crate) async fn show(State(front): State<Front>) -> Response {
    let settings = &front.desk.shop.settings;
    let products = match front.desk.shop.database.on_sale().await {
        Ok(products) => products,
        Err(error) => return failed(&error),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (settings.title) } }
            body {
                h1 { (settings.title) }
                @if products.is_empty() { p { "Nothing is on sale." } }
                @for sold in &products {
                    h2 { (sold.product.title) }
                    p { (sold.product.description) }
                    @if sold.left == 0 {
                        p { (sold.product.price) ". Sold out." }
                    } @else {
                        form method="post" action=(format!("/buy/{}", sold.product.name)) {
                            button { "Buy for " (sold.product.price) }
                        }
                    }
                }
            }
        }
    };
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page.into_string())).into_response()
}

/// `POST /buy/{product}`: makes a payment request, and sends the customer to the store.
pub(crate) async fn buy(State(front): State<Front>, Path(product): Path<String>, headers: HeaderMap) -> Response {
    // A page of somebody else cannot press the button.
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return (StatusCode::FORBIDDEN, "Open the shop, and press the button there.").into_response();
    }
    if !front.gate.take(crate::now()) {
        return (StatusCode::TOO_MANY_REQUESTS, "The shop is busy. Try again in a minute.").into_response();
    }
    let Ok(product) = product.parse() else { return StatusCode::NOT_FOUND.into_response() };
    match ask(&front.desk, &product, Quantity::ONE, None, LIFE).await {
        Ok(Some(url)) => Redirect::to(&url).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "The shop does not sell that, or it is sold out.").into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> Response {
    tracing::error!(error = format!("{error:#}"), "a page cannot be shown");
    (StatusCode::SERVICE_UNAVAILABLE, "The shop cannot sell just now. Nothing was charged. Try again later.")
        .into_response()
}

/// Makes a payment request. Returns where it is paid; `None` if the product is not on sale, or there are not enough
/// codes.
pub(crate) async fn ask(
    desk: &Desk,
    product: &ProductName,
    quantity: Quantity,
    amount: Option<Money>,
    life: u64,
) -> anyhow::Result<Option<String>> {
    let shop = &desk.shop;
    let on_sale = shop.database.on_sale().await?.into_iter().find(|sold| sold.product.name == *product);
    let Some(sold) = on_sale.filter(|sold| sold.left >= u64::from(quantity.get())) else { return Ok(None) };
    let amount = match amount {
        Some(amount) => amount,
        None => sold.product.amount(quantity)?,
    };
    let iat = crate::now();
    let request = PaymentRequest {
        merchant: shop.settings.name.clone(),
        aud: shop.settings.store.clone(),
        jti: Octets(crate::random()),
        product: sold.digest,
        quantity,
        amount,
        iat,
        exp: iat + life.min(MAX_REQUEST_LIFE),
    };
    let signed = Verified::sign(request.clone(), &shop.key);
    // Written down first: an order may come before the answer does.
    shop.database.ask(signed.digest(), request).await?;
    let body = PaymentRequestRequest { request: signed.compact().to_owned() };
    let said: Result<PaymentRequestAnswer, StoreError> =
        desk.store.say(Method::POST, paths::MERCHANT_REQUESTS, &body, None).await;
    let said = said.context("the store does not take the payment request")?;
    // A link that leads elsewhere than to the store is not handed on.
    anyhow::ensure!(
        said.request == signed.digest() && said.url.starts_with(&format!("{}/", shop.settings.store)),
        "the store has answered with another payment request"
    );
    Ok(Some(said.url))
}

#[test]
fn so_many_requests_a_minute() {
    let gate = Gate::default();
    assert!((0..PER_MINUTE).all(|_| gate.take(600)));
    assert!(!gate.take(659));
    assert!(gate.take(660), "the next minute");
}
