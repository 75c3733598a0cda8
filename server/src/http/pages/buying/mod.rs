//! Buying: the choice of how to pay, the order with its receipt. What is bought goes the server's one way of purchases
//! ([`crate::billing::orders`]): the page brings the digest of the offer that was shown, and never an amount of it.
//!
//! A form carries a key of its own, so that a double click, a reload and the back button buy once. What the account has
//! saved with a payment provider is charged after a password proof alone ([`step_up`]).

pub(crate) mod claimant;
mod codes;
mod delivery;
pub(crate) mod offer;
pub(crate) mod order;
pub(crate) mod payment;
pub(crate) mod product;
pub(crate) mod top_up;

use super::kit::layout::{NOTICE, see_other};
use super::session::{SignedInBrowser, Visitor};
use super::step_up::{self, Unconfirmed};
use crate::billing::answers::ServiceError;
use crate::billing::orders;
use crate::billing::payment::SAVED;
use crate::crypto::secrets;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{AccountPage, BrowserCodes, Buyer, Goods, Idempotency, OrderPhase, Ordered};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::wire::{PaymentMethod, Purchase};
use portcullis_protocol::{AccountId, Digest, IdempotencyKey, OrderId, Reason};

/// The way to an order's page.
pub(super) fn path(order: &OrderId) -> String {
    format!("/account/orders/{order}")
}

/// The same, loaded anew by itself while the order moves.
fn watched(order: &OrderId) -> String {
    format!("{}?watch=1", path(order))
}

/// The same, which says that the order was there before the form was sent.
fn joined(order: &OrderId) -> String {
    format!("{}?joined=1", path(order))
}

/// For how many seconds a form says that the same was bought: its reader may have gone back to it.
const A_MOMENT: u64 = 600;
/// Orders that are looked through for it: more than anybody makes in that time.
const LATEST: usize = 20;

/// What was ordered of the same a moment ago, or waits for its payment: whoever comes back to a form is told.
async fn ordered_before(app: &App, account: &AccountId, is_same: impl Fn(&Goods) -> bool) -> Result<Markup, ApiError> {
    let store = &app.core.store;
    let latest = store.orders_of(account, AccountPage::new(0, LATEST)).await.map_err(ApiError::internal)?.rows;
    let now = app.core.clock.now();
    let said = latest.iter().filter(|order| is_same(&order.goods)).find_map(|order| match order.phase {
        OrderPhase::Pending => Some((order, "You have ordered this, and it is not paid yet.", "Go on with that order")),
        OrderPhase::Paid if order.created.plus(A_MOMENT) > now => {
            Some((order, "You have bought this a moment ago. What you pay here is one more.", "See that order"))
        }
        _ => None,
    });
    Ok(html! {
        @if let Some((order, text, link)) = said {
            p class="notice warm" role="status" { (text) " " a href=(path(&order.id)) { (link) } }
        }
    })
}

/// A key for a form.
fn fresh_key() -> String {
    secrets::new_token().to_string()
}

/// How a person can pay: the value of the form, and what it says.
struct Means {
    value: String,
    text: String,
}

/// What an account can pay with, by the provider's title: first what it saved, then what each provider offers.
async fn means_of(app: &App, account: &AccountId) -> Result<Vec<Means>, ApiError> {
    let (mut saved, mut others) = (Vec::new(), Vec::new());
    for provider in app.core.payments.all() {
        let kept = app.core.store.saved_means(account, provider.name()).await.map_err(ApiError::internal)?;
        let means = |token: &str, text: &str| Means {
            value: format!("{}:{token}", provider.name()),
            text: format!("{}: {text}", provider.title()),
        };
        saved.extend(kept.map(|kept| means(SAVED, &kept.label)));
        others.extend(provider.choices().iter().map(|(token, text)| means(token, text)));
    }
    saved.append(&mut others);
    Ok(saved)
}

/// The fields of every form that buys; of one that is shown again, with what is missing.
fn fields(
    (app, visitor): (&App, &Visitor),
    means: &[Means],
    key: &str,
    chosen: &str,
    unconfirmed: Option<&Unconfirmed>,
) -> Markup {
    html! {
        input type="hidden" name="key" value=(key);
        label for="means" { "How to pay" }
        select id="means" name="means" {
            @for one in means { option value=(one.value) selected[one.value == chosen] { (one.text) } }
        }
        @if let (Some(session), Some(unconfirmed)) = (visitor.session(), unconfirmed) {
            (step_up::field(app, session, Some(unconfirmed)))
        }
    }
}

/// What became of a form that buys.
enum Bought {
    /// There is an order: its page says the rest.
    Order(Response),
    /// The browser was signed out meanwhile, and nothing was bought.
    SignedOut,
    /// There is none; the form is shown again.
    Not(Refused),
}

/// Why there is no order.
struct Refused {
    text: String,
    /// It may be bought all the same, if the buyer says so.
    may_insist: bool,
    /// The order that is in the way.
    order: Option<OrderId>,
    /// The price is another one by now.
    changed: bool,
    /// The key of the form that is shown again: the same while it is not known what became of it.
    key: String,
    /// It takes a password proof.
    unconfirmed: Option<Unconfirmed>,
}

impl Refused {
    /// What is said above the form.
    fn notice(&self) -> Markup {
        html! {
            p.notice.bad id=(NOTICE) role="alert" {
                (self.text)
                @if let Some(order) = &self.order { " " a href=(path(order)) { "See that order" } }
            }
        }
    }

    /// With which the form is shown again.
    const fn status(&self) -> StatusCode {
        match &self.unconfirmed {
            Some(unconfirmed) => unconfirmed.status,
            None if self.changed => StatusCode::CONFLICT,
            None => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// What a form buys, and how.
struct Wanted {
    goods: Ordered,
    payment: PaymentMethod,
    again: bool,
    /// For what takes a password proof.
    password: String,
}

impl Wanted {
    /// What tells this form from another one under the same key.
    fn digest(&self) -> Result<Digest, ApiError> {
        let Self { goods, payment, again, .. } = self;
        let body = match *goods {
            Ordered::Sent(goods) => serde_json::to_vec(&Purchase { goods, payment: payment.clone(), again: *again }),
            Ordered::InBrowser(BrowserCodes { product, quantity, request, terminal }) => {
                serde_json::to_vec(&(product, quantity, request, terminal, payment, again))
            }
        };
        Ok(Digest::of(&body.map_err(ApiError::internal)?))
    }
}

/// Buys, once per key.
async fn buy(
    app: &App,
    session: &SignedInBrowser,
    wanted: Wanted,
    key: String,
    path: &str,
) -> Result<Bought, ApiError> {
    let parsed: IdempotencyKey =
        key.parse().map_err(|_| ApiError::Malformed("not the form that this page sends".into()))?;
    let idempotency = Idempotency::of(parsed, "POST", path, wanted.digest()?);
    let Wanted { goods, payment, again, password } = wanted;
    let to: fn(&OrderId) -> String = match goods {
        Ordered::InBrowser(_) => watched,
        Ordered::Sent(_) => self::path,
    };
    let not = |text: &str| Refused {
        text: text.to_owned(),
        may_insist: false,
        order: None,
        changed: false,
        key: fresh_key(),
        unconfirmed: None,
    };
    // Whoever finds the browser open, or has its cookie, spends nothing that its owner has saved: not even on what he
    // sells himself.
    if payment.token == SAVED
        && let Err(unconfirmed) = step_up::prove(app, session, password).await?
    {
        let refused = not("Nothing was bought: to pay with what you have saved here takes your password.");
        return Ok(Bought::Not(Refused { key, may_insist: again, unconfirmed: Some(unconfirmed), ..refused }));
    }
    let answered =
        orders::place(&app.core, Buyer::Browser(session.holder()), goods, payment, again, &idempotency).await;
    Ok(match answered {
        // What was ordered before is said to be, and the page that says so stays.
        Ok(answer) if answer.joined => Bought::Order(see_other(&joined(&answer.order))),
        Ok(answer) => Bought::Order(see_other(&to(&answer.order))),
        Err(ServiceError::Refused(refusal)) if refusal.reason == Reason::NotSignedIn => Bought::SignedOut,
        Err(ServiceError::Refused(refusal)) => {
            let text = match refusal.reason {
                Reason::ProductUnknown => CHANGED.to_owned(),
                reason => refusal.detail.clone().unwrap_or_else(|| reason.advice().to_owned()),
            };
            let may_insist = refusal.reason == Reason::ConfirmationRequired;
            let order = refusal.more.get(orders::ORDER).and_then(|order| order.as_str()?.parse().ok());
            Bought::Not(Refused {
                may_insist,
                order,
                changed: !refusal.offers.is_empty() || has_changed(refusal.reason),
                ..not(&text)
            })
        }
        Err(ServiceError::UnderWay) => Bought::Not(Refused {
            key,
            ..not("This purchase is under way. Send the form again in a moment: nothing is bought twice.")
        }),
        Err(ServiceError::KeyReused) => Bought::Not(not(
            "This form was sent before, with other choices. If it is to be bought once more, send it again.",
        )),
        Err(ServiceError::NotFound) => return Err(ApiError::NotFound),
        Err(ServiceError::Unacceptable(text)) => Bought::Not(not(&text)),
        Err(error) => {
            tracing::error!(%error, "a purchase was not decided");
            Bought::Not(Refused {
                key,
                ..not("The payment provider did not answer. Send the form again: nothing is charged twice.")
            })
        }
    })
}

/// What is said of a product whose revision is not sold any more.
const CHANGED: &str = "The merchant has changed the product or its price. Nothing was bought, and nothing was charged.";

/// Whether what was shown is not for sale any more.
const fn has_changed(reason: Reason) -> bool {
    matches!(reason, Reason::ProductUnknown | Reason::RequestEnded | Reason::MerchantUnknown)
}

/// The chosen means, as a purchase names them.
fn payment(chosen: &str) -> PaymentMethod {
    let (provider, token) = chosen.split_once(':').unwrap_or((chosen, ""));
    PaymentMethod { provider: provider.to_owned(), token: token.to_owned() }
}
