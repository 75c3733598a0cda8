//! `/merchants/{merchant}/{product}`: a product of a merchant, and the form that buys codes of it. The form names the
//! revision that was shown: if the merchant has changed the price since, nothing is bought.

use super::super::Form;
use super::super::kit::layout::{NOTICE, see_other};
use super::super::kit::shell::Shell;
use super::super::kit::words::command_line;
use super::super::onward::{Onward, query_value};
use super::super::session::Visitor;
use super::super::store::merchant::{approved, key_of, path_of, time};
use super::codes::{Basket, Buyer, Sent, buy_codes, form, notice, quantity};
use super::{Bought, Refused, ordered_before};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Goods, Merchant, ProductRevision};
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
    let asked = query_value(&request.into_parts().0, "quantity");
    // A link without a number means one.
    let quantity = asked.map_or(Some(Quantity::ONE), |asked| quantity(&asked));
    render(&app, &visitor, (merchant, name), quantity, None).await
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
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Product(merchant, name).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let (chosen, (_, quantity)) = (sent.means.clone(), sent.wanted()?);
    match buy_codes(&app, session, sent, None, &path_of(&merchant, &name)).await? {
        Bought::Order(to) => Ok(to),
        Bought::SignedOut => Ok(see_other(&Onward::Product(merchant, name).by("/sign-in"))),
        Bought::Not(refused) => {
            render(&app, &visitor, (merchant, name), Some(quantity), Some((&refused, &chosen))).await
        }
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
    quantity: Option<Quantity>,
    again: Option<(&Refused, &str)>,
) -> Result<Response, ApiError> {
    let (merchant, revision) = find(app, &named).await?;
    let product = &revision.product;
    let basket = match quantity.map(|quantity| (quantity, product.amount(quantity))) {
        Some((quantity, Ok(amount))) => Ok(Basket { product: revision.digest, quantity, amount }),
        Some((_, Err(_))) => Err("So many codes cost more than one order can. Choose fewer.".to_owned()),
        None => Err(format!("Choose a number of codes from 1 to {MAX_CODES}.")),
    };
    let buyer = Buyer::of(app, visitor).await?;
    let is_same = |goods: &Goods| matches!(goods, Goods::Codes { digest, .. } if *digest == revision.digest);
    let before = match visitor.account() {
        Some(account) => ordered_before(app, account, is_same).await?,
        None => html! {},
    };
    let path = path_of(&named.0, &named.1);
    let here = Onward::Product(named.0, named.1);
    let content = html! {
        div.split {
            div {
                (notice(again.map(|(refused, _)| refused)))
                (before)
                @if let Err(why) = &basket { p.notice.bad id=(NOTICE) role="alert" { (why) } }
                p.lead { "Electronic code, sold by " a href={ "/merchants/" (merchant.name) } { bdi { (merchant.title) } } "." }
                p.text dir="auto" { (product.description) }
                dl {
                    dt { "Price" } dd { strong { (product.price) } }
                    dt { "Arrives within" } dd { (time(product.deadline)) ", or you are paid back" }
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
                    (how_many(quantity.unwrap_or(Quantity::ONE)))
                    @if let Ok(basket) = &basket { (form(app, visitor, basket, buyer.as_ref(), again, (&path, &here))) }
                }
            }
        }
    };
    let status = match (&basket, again) {
        (Err(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
        (Ok(_), Some((refused, _))) => refused.status(),
        (Ok(_), None) => StatusCode::OK,
    };
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
