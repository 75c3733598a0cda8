//! `/pay/{request}`: what a merchant asks one customer to pay. Whoever has the address sees it; who is signed in pays
//! it with the own account, and the code goes to the terminal that the account has preset. The request's digest stands
//! in the address, and with it product, quantity and amount: another amount is another request.

use super::super::Form;
use super::super::kit::layout::see_other;
use super::super::kit::shell::Shell;
use super::super::kit::words::{command_line, moment};
use super::super::onward::Onward;
use super::super::session::Visitor;
use super::super::store::merchant::{approved, key_of, time};
use super::codes::{Basket, Buyer, Sent, buy_codes, form, notice};
use super::{Bought, Refused};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::ops::clock::Timestamp;
use crate::store::{Merchant, RequestRecord};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::{Digest, OrderId};

/// A payment request, for whoever has its address.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(digest): Path<String>,
) -> Result<Response, ApiError> {
    render(&app, &visitor, segment(&digest)?, None).await
}

/// `POST /pay/{request}`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Path(digest): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&digest)?;
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Pay(digest).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let chosen = sent.means.clone();
    match buy_codes(&app, session, sent, Some(digest), &format!("/pay/{digest}")).await? {
        Bought::Order(to) => Ok(to),
        Bought::SignedOut => Ok(see_other(&Onward::Pay(digest).by("/sign-in"))),
        Bought::Not(refused) => render(&app, &visitor, digest, Some((&refused, &chosen))).await,
    }
}

/// Whether it can be paid, and by whom it was.
enum Standing {
    /// By whoever comes first.
    Open,
    /// The visitor has ordered it.
    Own(OrderId),
    /// Somebody has paid it.
    Spent,
    /// Its time is over.
    Expired,
    /// The merchant has changed the product, or sells it no more.
    OffSale,
}

async fn standing(app: &App, visitor: &Visitor, asked: &RequestRecord, digest: &Digest) -> Result<Standing, ApiError> {
    let store = &app.core.store;
    if let Some(account) = visitor.account()
        && let Some(order) = store.order_of_request(account, digest).await.map_err(ApiError::internal)?
    {
        return Ok(Standing::Own(order));
    }
    let now = store.now().await.map_err(ApiError::internal)?;
    Ok(if asked.is_spent {
        Standing::Spent
    } else if asked.has_ended || asked.request.exp <= now.seconds() {
        Standing::Expired
    } else if !asked.product.is_sold {
        Standing::OffSale
    } else {
        Standing::Open
    })
}

async fn render(
    app: &App,
    visitor: &Visitor,
    digest: Digest,
    again: Option<(&Refused, &str)>,
) -> Result<Response, ApiError> {
    let store = &app.core.store;
    let asked = store.payment_request(&digest).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    let merchant = approved(app, &asked.request.merchant).await?;
    let standing = standing(app, visitor, &asked, &digest).await?;
    let buyer = match standing {
        Standing::Open => Buyer::of(app, visitor).await?,
        _ => None,
    };
    let basket =
        Basket { product: asked.product.digest, quantity: asked.request.quantity, amount: asked.request.amount };
    let path = format!("/pay/{digest}");
    let content = html! {
        div.split {
            div {
                (notice(again.map(|(refused, _)| refused)))
                p.lead { a href={ "/merchants/" (merchant.name) } { bdi { (merchant.title) } } " asks you to pay " strong { (basket.amount) } "." }
                p.text dir="auto" { (asked.product.product.description) }
                (what(&merchant, &asked))
                @if matches!(standing, Standing::Open) { (at_a_terminal(app, &path, asked.request.exp)) }
            }
            aside {
                div.panel {
                    @match standing {
                        Standing::Open => { (form(app, visitor, &basket, buyer.as_ref(), again, (&path, &Onward::Pay(digest)))) }
                        Standing::Own(order) => {
                            p.notice role="status" { "You have ordered it." }
                            p { a.button href=(super::watched(&order)) { "See where it stands" } }
                        }
                        Standing::Spent => { p.notice role="status" { "It was paid already." } }
                        Standing::Expired => { p class="notice warm" role="status" { "It has ended. Ask the merchant for another one." } }
                        Standing::OffSale => { p class="notice warm" role="status" { "The merchant has changed the product, or sells it no more. Ask for another request." } }
                    }
                }
            }
        }
    };
    let status = again.map_or(StatusCode::OK, |(refused, _)| refused.status());
    let here = Onward::Pay(digest);
    Ok(Shell::new(app, visitor, asked.product.product.title.as_str()).status(status).onward(here).show(&content))
}

fn what(merchant: &Merchant, asked: &RequestRecord) -> Markup {
    html! {
        dl {
            dt { "What" } dd { bdi { (asked.product.product.title) } }
            dt { "Codes" } dd { (asked.request.quantity) }
            dt { "Amount" } dd { strong { (asked.request.amount) } }
            dt { "Arrives within" } dd { (time(asked.product.product.deadline)) ", or you are paid back" }
            dt { "Merchant" } dd { (merchant.name) }
        }
        (key_of(&merchant.key))
    }
}

fn at_a_terminal(app: &App, path: &str, until: u64) -> Markup {
    html! {
        details {
            summary { "Pay at a terminal instead" }
            p { "A terminal of yours that is signed in pays it with this command, and has the code at once:" }
            (command_line(&format!("portcullis pay {}{path}", app.origin())))
        }
        p.hint { "It can be paid once, until " (moment(Timestamp::from_millis(0).plus(until))) "." }
    }
}
