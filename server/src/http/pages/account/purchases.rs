//! `GET /account/purchases`: every order of the account, with what became of it.

use super::super::buying::order::mark;
use super::super::buying::path as order_path;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Empty, Shell, Tab};
use super::super::kit::table::{Column, Pager, Table};
use super::super::kit::words::moment;
use super::super::onward::{Onward, query_value};
use super::super::session::Visitor;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{AccountPage, Goods, Order, Page};
use axum::extract::{Request, State};
use axum::response::Response;
use maud::{Markup, html};

/// Orders of a page.
const PER_PAGE: usize = 25;

/// The orders.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, ApiError> {
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Purchases.by("/sign-in"))));
    };
    let page = query_value(&request.into_parts().0, "page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let found = app.core.store.orders_of(account, AccountPage::new(page, PER_PAGE)).await;
    let Page { rows, next } = found.map_err(ApiError::internal)?;
    let columns = [Column::Words("When"), Column::Words("What"), Column::Words("State"), Column::Amounts("Amount")];
    let content = html! {
        @if rows.is_empty() {
            (Empty { title: "No purchases yet", text: html! { "Orders, receipts and refunds are listed here. Look around " a href="/" { "the store" } "." } })
        } @else {
            (Table { caption: "Your orders", columns: &columns, rows: rows.iter().map(row).collect() })
        }
        (Pager { path: "/account/purchases", page, next })
    };
    Ok(Shell::new(&app, &visitor, "Your purchases").tab(Tab::Purchases).show(&content))
}

fn row(order: &Order) -> Vec<Markup> {
    let what = match &order.goods {
        // Apart from what stands around it, whichever way it is written.
        Goods::Rights { offer, .. } => html! { bdi { (offer.title) } ": " (offer.publisher) "/" (offer.name) },
        Goods::TopUp { .. } => html! { "Money for your balance" },
        Goods::Codes { product, .. } => html! { bdi { (product.title) } ": " (product.merchant) },
    };
    vec![
        moment(order.created),
        html! { a href=(order_path(&order.id)) { (what) } },
        mark(order.phase),
        html! { (order.amount()) },
    ]
}
