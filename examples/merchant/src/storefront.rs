//! The page of the shop: what it sells, and a button that makes a payment request. A customer pays at the store; the
//! shop never learns who it was.

use crate::delivery::Desk;
use crate::store::StoreError;
use anyhow::Context as _;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use maud::{DOCTYPE, html};
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::MAX_REQUEST_LIFE;
use portcullis_protocol::wire::{PaymentRequestAnswer, PaymentRequestRequest};
use portcullis_protocol::{Money, PaymentRequest, ProductName, Verified, paths};
use reqwest::Method;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a customer has to pay, in seconds.
pub(crate) const LIFE: u64 = 3600;
/// Requests that are made in a minute, for everybody together: who presses the button of a shop all day fills no
/// database.
const PER_MINUTE: u32 = 120;
/// The same for one address: a person who buys one thing after the other. Without it one stranger takes all.
const PER_ADDRESS: u32 = 6;

/// How many requests were made in the minute that is running.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The header in which the proxy in front names who has asked it.
    header: Option<HeaderName>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    minute: u64,
    all: u32,
    /// As many as were let through, at most.
    by: HashMap<IpAddr, u32>,
}

impl Gate {
    pub(crate) fn new(header: Option<HeaderName>) -> Self {
        Self { header, taken: Mutex::default() }
    }

    /// Who has asked; nobody knows behind a proxy that does not say.
    fn who(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let Some(name) = &self.header else { return Some(peer).filter(|peer| !peer.is_loopback()) };
        // What stands before it, whoever asked may have written himself.
        let last = headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
        last.parse().ok()
    }

    /// Takes one more, if there is one.
    fn take(&self, now: u64, who: Option<IpAddr>) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.minute != now / 60 {
            *taken = Taken { minute: now / 60, ..Taken::default() };
        }
        if taken.all >= PER_MINUTE {
            return false;
        }
        if let Some(who) = who {
            let own = taken.by.entry(household(who)).or_insert(0);
            if *own >= PER_ADDRESS {
                return false;
            }
            *own += 1;
        }
        taken.all += 1;
        true
    }
}

/// Of IPv6 a customer has a network of 2^64 addresses, and is counted once.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
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
pub(crate) async fn buy(
    State(front): State<Front>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(product): Path<String>,
    headers: HeaderMap,
) -> Response {
    // A page of somebody else cannot press the button.
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return (StatusCode::FORBIDDEN, "Open the shop, and press the button there.").into_response();
    }
    let Ok(product) = product.parse() else { return StatusCode::NOT_FOUND.into_response() };
    // What is not there counts for nobody.
    match front.desk.shop.database.on_sale().await {
        Ok(products) if products.iter().any(|sold| sold.product.name == product && sold.left > 0) => {}
        Ok(_) => return not_sold(),
        Err(error) => return failed(&error),
    }
    if !front.gate.take(crate::now(), front.gate.who(peer.ip(), &headers)) {
        return (StatusCode::TOO_MANY_REQUESTS, "The shop is busy. Try again in a minute.").into_response();
    }
    match ask(&front.desk, &product, Quantity::ONE, None, LIFE).await {
        Ok(Some(url)) => Redirect::to(&url).into_response(),
        Ok(None) => not_sold(),
        Err(error) => failed(&error),
    }
}

fn not_sold() -> Response {
    (StatusCode::NOT_FOUND, "The shop does not sell that, or it is sold out.").into_response()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_requests_a_minute_and_so_many_of_one_address() {
        let gate = Gate::default();
        let [ada, bob] = ["203.0.113.7", "203.0.113.8"].map(|text| text.parse::<IpAddr>().expect("an address"));
        assert!((0..PER_ADDRESS).all(|_| gate.take(600, Some(ada))));
        assert!(!gate.take(659, Some(ada)), "she has had hers");
        assert!(gate.take(659, Some(bob)), "and closes the shop for nobody else");
        assert!(gate.take(660, Some(ada)), "the next minute");
        assert!((1..PER_MINUTE).all(|_| gate.take(660, None)));
        assert!(!gate.take(660, Some(bob)) && !gate.take(660, None), "all of them together");
    }

    #[test]
    fn who_asks_is_what_the_proxy_says_last() {
        let peer: IpAddr = "198.51.100.1".parse().expect("an address");
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "192.0.2.1, 203.0.113.7".parse().expect("a value"));
        assert_eq!(Gate::default().who(peer, &headers), Some(peer), "nobody believes a header that nobody named");
        assert_eq!(Gate::default().who("127.0.0.1".parse().expect("an address"), &headers), None);
        let gate = Gate::new(Some("x-forwarded-for".parse().expect("a name")));
        assert_eq!(gate.who(peer, &headers).map(|who| who.to_string()).as_deref(), Some("203.0.113.7"));
        assert_eq!(gate.who(peer, &HeaderMap::new()), None);
        let [one, other, mapped] = ["2001:db8::1", "2001:db8::ffff:1", "::ffff:203.0.113.7"]
            .map(|text| household(text.parse().expect("an address")));
        assert_eq!((one, mapped.to_string().as_str()), (other, "203.0.113.7"));
    }
}
