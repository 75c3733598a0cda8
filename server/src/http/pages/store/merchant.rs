//! `GET /merchants/{name}`: who signs for the codes that it sells, and what it sells.

use super::super::kit::shell::{Empty, Shell};
use super::super::kit::words::moment;
use super::super::session::Visitor;
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Merchant, MerchantState};
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::codes::TimeToDeliver;
use portcullis_protocol::{MerchantName, Product, ProductName, PublicKey, Span};

/// A merchant that sells here.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name: MerchantName = segment(&name)?;
    let merchant = approved(&app, &name).await?;
    let products = app.core.store.products(&merchant.id).await.map_err(ApiError::internal)?;
    let content = html! {
        p.lead { "Sells electronic codes here as " code { (name) } " since " (moment(merchant.created)) "." }
        (key_of(&merchant.key))
        h2 { "On sale" }
        @if products.is_empty() {
            (Empty { title: "Nothing is on sale", text: html! { "The merchant sells nothing at present." } })
        } @else {
            @for revision in &products { (product(&revision.product)) }
        }
    };
    Ok(Shell::new(&app, &visitor, merchant.title.as_str()).show(&content))
}

/// The merchant of a name, if it sells here.
pub(in super::super) async fn approved(app: &App, name: &MerchantName) -> Result<Merchant, ApiError> {
    let merchant = app.core.store.merchant(name).await.map_err(ApiError::internal)?;
    merchant.filter(|merchant| merchant.state == MerchantState::Approved).ok_or(ApiError::NotFound)
}

/// The way to a product's page.
pub(in super::super) fn path_of(merchant: &MerchantName, name: &ProductName) -> String {
    format!("/merchants/{merchant}/{name}")
}

/// The key, as words.
pub(in super::super) fn key_of(key: &PublicKey) -> Markup {
    html! {
        dl { dt { "Key" } dd { code { (key.thumbprint().words()) } } }
        p.hint {
            "These words stand for the merchant's key, which signs and seals every code. Your terminal remembers it, and \
             warns you if it changes. This store cannot read the codes."
        }
    }
}

fn product(product: &Product) -> Markup {
    html! {
        div.offer {
            div.cost { h3 dir="auto" { a href=(path_of(&product.merchant, &product.name)) { (product.title) } } strong { (product.price) } }
            p.text dir="auto" { (product.description) }
            p.small { "The code arrives within " (time(product.deadline)) ", or you are paid back." }
        }
    }
}

/// How long it takes at most until a code arrives.
pub(in super::super) fn time(deadline: TimeToDeliver) -> Span {
    Span(deadline.get().into())
}
