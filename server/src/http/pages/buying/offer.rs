//! `/buy/{offer}`: what is bought, for how much, and under which terms. The offer's digest stands in the address:
//! another price is another offer, and the one that was shown is bought or none.

use super::super::Form;
use super::super::kit::layout::{NOTICE, see_other};
use super::super::kit::shell::{Empty, Shell};
use super::super::kit::words::{gives, price};
use super::super::onward::Onward;
use super::super::session::{SignedInBrowser, Visitor};
use super::super::store::path as resource_path;
use super::{Bought, Means, Refused, Wanted, buy, fields, fresh_key, means_of, ordered_before, payment};
use crate::crypto::secrets;
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Buyer, Goods as Ordered, Idempotency, OrderCase};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::wire::Goods;
use portcullis_protocol::{Digest, Offer};
use serde::Deserialize;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
    key: String,
    #[serde(default)]
    means: String,
    #[serde(default)]
    again: String,
    #[serde(rename = "current-password", default)]
    password: String,
}

/// `GET /buy/{offer}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(offer): Path<String>,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&offer)?;
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Buy(digest).by("/sign-in"))));
    };
    render(&app, &visitor, session, digest, StatusCode::OK, None, "").await
}

/// `POST /buy/{offer}`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Path(offer): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Confirmed>,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&offer)?;
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Buy(digest).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let goods = Goods::Rights { offer: digest }.into();
    let again = sent.again == "true";
    let wanted = Wanted { goods, payment: payment(&sent.means), again, password: sent.password };
    match buy(&app, session, wanted, sent.key, &format!("/buy/{digest}")).await? {
        Bought::Order(to) => Ok(to),
        Bought::SignedOut => Ok(see_other(&Onward::Buy(digest).by("/sign-in"))),
        Bought::Not(refused) => {
            render(&app, &visitor, session, digest, refused.status(), Some(&refused), &sent.means).await
        }
    }
}

/// What an offer is at present.
async fn case(app: &App, session: &SignedInBrowser, digest: Digest) -> Result<OrderCase, ApiError> {
    let key = secrets::new_token().parse().map_err(ApiError::internal)?;
    let nothing_yet = Idempotency::of(key, "GET", "/buy", digest);
    let buyer = Buyer::Browser(session.holder());
    app.core.store.order_case(&buyer, &nothing_yet, Some(&digest)).await.map_err(ApiError::internal)
}

async fn render(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    digest: Digest,
    status: StatusCode,
    refused: Option<&Refused>,
    chosen: &str,
) -> Result<Response, ApiError> {
    let (case, account) = (case(app, session, digest).await?, &session.account);
    let offer = case.offer.as_ref().filter(|_| case.off_sale.is_none()).map(|revision| &revision.offer);
    let Some(offer) = offer.filter(|offer| offer.rights.is_bought()) else {
        return gone(app, visitor, &case, status);
    };
    let shelf = app.core.store.shelf(&offer.publisher, &offer.name).await.map_err(ApiError::internal)?;
    let title = shelf.map_or_else(|| offer.name.to_string(), |shelf| shelf.listing.title);
    let means = means_of(app, account).await?;
    let is_same = |goods: &Ordered| matches!(goods, Ordered::Rights { digest: ordered, .. } if *ordered == digest);
    let before = ordered_before(app, account, is_same).await?;
    let content = html! {
        div.split {
            div {
                @match refused { Some(refused) => (refused.notice()), None => (before) }
                (terms(offer, &title))
            }
            aside { div.panel { (form(app, visitor, digest, offer, &means, refused, chosen)) } }
        }
    };
    Ok(Shell::new(app, visitor, "Check and buy").status(status).show(&content))
}

fn terms(offer: &Offer, title: &str) -> maud::Markup {
    html! {
        dl {
            dt { "What" } dd { a href=(resource_path(offer.publisher.as_str(), offer.name.as_str())) { bdi { (title) } } }
            dt { "Publisher" } dd { (offer.publisher) }
            dt { "Offer" } dd { bdi { (offer.title) } }
            dt { "Price" } dd { strong { (price(offer)) } }
        }
        h2 { "Terms" }
        p { (gives(offer)) }
        p { "The price is the whole price, paid once to this store. Should the store pay you back, what you bought ends." }
    }
}

fn form(
    app: &App,
    visitor: &Visitor,
    digest: Digest,
    offer: &Offer,
    means: &[Means],
    refused: Option<&Refused>,
    chosen: &str,
) -> maud::Markup {
    let key = refused.map_or_else(fresh_key, |refused| refused.key.clone());
    let insists = refused.is_some_and(|refused| refused.may_insist);
    html! {
        p.quiet { "To pay" }
        p.sum { (offer.price) }
        @if means.is_empty() {
            p { "This store takes no payments at present." }
        } @else {
            form method="post" action={ "/buy/" (digest) } aria-label="Payment" aria-describedby=[refused.map(|_| NOTICE)] {
                (visitor.field(app))
                (fields((app, visitor), means, &key, chosen, refused.and_then(|refused| refused.unconfirmed.as_ref())))
                @if insists {
                    button name="again" value="true" { "Buy it all the same for " (offer.price) }
                } @else {
                    button { "Buy for " (offer.price) }
                }
            }
        }
        p.hint { a href=(resource_path(offer.publisher.as_str(), offer.name.as_str())) { "Back, without buying" } }
    }
}

/// The offer is in force no more, or nothing could be granted under it.
fn gone(app: &App, visitor: &Visitor, case: &OrderCase, status: StatusCode) -> Result<Response, ApiError> {
    let status = if status == StatusCode::OK { StatusCode::NOT_FOUND } else { status };
    let first = case.current.first().map(|revision| &revision.offer);
    let content = html! {
        p.notice.warm role="alert" { "The offer that you saw is not in force any more. Nothing was bought, and nothing was charged." }
        @match first {
            Some(offer) => {
                h2 { "What is offered now" }
                @for revision in case.current.iter().filter(|revision| !revision.offer.rights.is_given()) {
                    div.offer {
                        div.cost { h3 dir="auto" { (revision.offer.title) } span.sum { (price(&revision.offer)) } }
                        p { (gives(&revision.offer)) }
                    }
                }
                p { a.button href=(resource_path(offer.publisher.as_str(), offer.name.as_str())) { "Look at it again" } }
            }
            None => { (Empty { title: "Not on sale", text: html! { "Look at " a href="/" { "the store" } "." } }) }
        }
    };
    Ok(Shell::new(app, visitor, "The offer has changed").status(status).show(&content))
}
