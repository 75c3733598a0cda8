//! `GET /pay/{request}`: what a merchant asks one customer to pay, and the command that pays it.

use super::super::kit::shell::Shell;
use super::super::kit::words::{command_line, moment};
use super::super::session::Visitor;
use super::merchant::{key_of, time};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::ops::clock::Timestamp;
use crate::store::{MerchantState, RequestRecord};
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::Digest;

/// A payment request, for whoever has its address.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(digest): Path<String>,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&digest)?;
    let store = &app.core.store;
    let asked = store.payment_request(&digest).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    let merchant = store.merchant(&asked.request.merchant).await.map_err(ApiError::internal)?;
    let merchant = merchant.filter(|merchant| merchant.state == MerchantState::Approved).ok_or(ApiError::NotFound)?;
    let now = store.now().await.map_err(ApiError::internal)?;
    let product = &asked.product.product;
    let content = html! {
        div.split {
            div {
                p.lead { a href={ "/merchants/" (merchant.name) } { (merchant.title) } " asks you to pay " strong { (asked.request.amount) } "." }
                p.text dir="auto" { (product.description) }
                (how_to_pay(&app, &asked, &digest, now))
            }
            aside {
                div.panel {
                    h2 { "Order" }
                    dl {
                        dt { "What" } dd { bdi { (product.title) } }
                        dt { "Codes" } dd { (asked.request.quantity) }
                        dt { "Amount" } dd { strong { (asked.request.amount) } }
                        dt { "Arrives within" } dd { (time(product.deadline.get())) }
                        dt { "Merchant" } dd { (merchant.name) }
                    }
                    (key_of(&merchant.key))
                }
            }
        }
    };
    Ok(Shell::new(&app, &visitor, product.title.as_str()).show(&content))
}

fn how_to_pay(app: &App, asked: &RequestRecord, digest: &Digest, now: Timestamp) -> Markup {
    if asked.is_spent {
        return html! {
            p.notice role="status" { "It was ordered already. Whoever ordered it finds the code with this command:" }
            (command_line("portcullis codes"))
        };
    }
    if asked.has_ended || asked.request.exp <= now.seconds() {
        return html! { p class="notice warm" role="status" { "It has ended. Ask the merchant for another one." } };
    }
    html! {
        h2 { "How to pay it" }
        ol.steps {
            li { p { "Sign the terminal in, once:" } (command_line(&format!("portcullis login {}", app.origin()))) }
            li {
                p { "Pay. The code is sealed for that terminal, so that nobody else can read it:" }
                (command_line(&format!("portcullis pay {}/pay/{digest}", app.origin())))
            }
        }
        p.hint { "It can be paid once, until " (moment(Timestamp::from_millis(0).plus(asked.request.exp))) "." }
    }
}
