//! `/merchants/{merchant}/{product}`: a product of a merchant, and the form that buys codes of it. The form names the
//! revision that was shown: if the merchant has changed the price since, nothing is bought.

use super::super::Form;
use super::super::kit::layout::see_other;
use super::super::kit::shell::Shell;
use super::super::kit::words::command_line;
use super::super::onward::{Onward, query_value};
use super::super::session::Visitor;
use super::super::store::merchant::{approved, key_of, path_of, time};
use super::codes::{Basket, Buyer, Sent, buy_codes, form, notice, quantity};
use super::{Bought, Refused};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Merchant, ProductRevision};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::limits::MAX_CODES;
use portcullis_protocol::{MerchantName, ProductName};

/// `GET /merchants/{merchant}/{product}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((merchant, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (merchant, name): (MerchantName, ProductName) = (segment(&merchant)?, segment(&name)?);
    let asked = query_value(&request.into_parts().0, "quantity").unwrap_or_default();
    render(&app, &visitor, (merchant, name), quantity(&asked).unwrap_or(Quantity::ONE), None).await
}

/// `POST /merchants/{merchant}/{product}`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Path((merchant, name)): Path<(String, String)>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, ApiError> {
    let (merchant, name): (MerchantName, ProductName) = (segment(&merchant)?, segment(&name)?);
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Product(merchant, name).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let (chosen, (_, quantity)) = (sent.means.clone(), sent.wanted()?);
    match buy_codes(&app, account, sent, None, &path_of(&merchant, &name)).await? {
        Bought::Order(to) => Ok(to),
        Bought::Not(refused) => render(&app, &visitor, (merchant, name), quantity, Some((&refused, &chosen))).await,
    }
}

/// A product that an approved merchant sells.
async fn find(
    app: &App,
    (merchant, name): &(MerchantName, ProductName),
) -> Result<(Merchant, ProductRevision), ApiError> {
    let merchant = approved(app, merchant).await?;
    let product = app.core.store.product_on_sale(&merchant.id, name).await.map_err(ApiError::internal)?;
    Ok((merchant, product.ok_or(ApiError::NotFound)?))
}

async fn render(
    app: &App,
    visitor: &Visitor,
    named: (MerchantName, ProductName),
    quantity: Quantity,
    again: Option<(&Refused, &str)>,
) -> Result<Response, ApiError> {
    let (merchant, revision) = find(app, &named).await?;
    let product = &revision.product;
    // So many of them that the sum is no amount any more: one is.
    let (quantity, amount) = match product.amount(quantity) {
        Ok(amount) => (quantity, amount),
        Err(_) => (Quantity::ONE, product.price),
    };
    let basket = Basket { product: revision.digest, quantity, amount };
    let buyer = Buyer::of(app, visitor).await?;
    let path = path_of(&named.0, &named.1);
    let here = Onward::Product(named.0, named.1);
    let content = html! {
        div.split {
            div {
                (notice(again.map(|(refused, _)| refused)))
                p.lead { "Electronic code, sold by " a href={ "/merchants/" (merchant.name) } { bdi { (merchant.title) } } "." }
                p.text dir="auto" { (product.description) }
                dl {
                    dt { "Price" } dd { strong { (product.price) } }
                    dt { "Arrives within" } dd { (time(product.deadline.get())) ", or you are paid back" }
                    dt { "Merchant" } dd { (merchant.name) }
                }
                (key_of(&merchant.key))
                details {
                    summary { "Buy at a terminal instead" }
                    p { "A terminal of yours that is signed in buys it with this command, and has the code at once:" }
                    (command_line(&format!("portcullis pay {}/{}", product.merchant, product.name)))
                }
            }
            aside {
                div.panel {
                    (how_many(quantity))
                    (form(app, visitor, &basket, buyer.as_ref(), again, (&path, &here)))
                }
            }
        }
    };
    let status = again.map_or(StatusCode::OK, |(refused, _)| refused.status());
    Ok(Shell::new(app, visitor, product.title.as_str()).status(status).onward(here.clone()).show(&content))
}

/// The number is chosen before the sum is shown: what is agreed to is an amount.
fn how_many(quantity: Quantity) -> Markup {
    html! {
        form method="get" aria-label="Number of codes" {
            div.row {
                div {
                    label for="quantity" { "Codes" }
                    input id="quantity" name="quantity" type="number" inputmode="numeric" min="1" max=(MAX_CODES) required value=(quantity);
                }
                div { button.plain { "Show the sum" } }
            }
        }
    }
}
