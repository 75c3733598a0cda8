//! `GET /account/library`: what the account holds and held.

use super::super::kit::layout::see_other;
use super::super::kit::shell::{Empty, Shell, Tab};
use super::super::kit::table::{Column, Pager, Table};
use super::super::kit::words::moment;
use super::super::onward::{Onward, query_value};
use super::super::session::Visitor;
use super::super::store::path as resource_path;
use crate::billing::entitlement::Entitlement;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::ops::clock::Timestamp;
use crate::store::{AccountPage, Page};
use axum::extract::{Request, State};
use axum::response::Response;
use maud::{Markup, html};

/// Rights of a page.
const PER_PAGE: usize = 25;

/// What the account holds.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, ApiError> {
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Library.by("/sign-in"))));
    };
    let page = query_value(&request.into_parts().0, "page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let held = app.core.store.entitlements(account, AccountPage::new(page, PER_PAGE)).await;
    let Page { rows, next } = held.map_err(ApiError::internal)?;
    let now = app.core.clock.now();
    let columns = [Column::Words("What"), Column::Words("Operation"), Column::Words("Rights"), Column::Words("Since")];
    let content = html! {
        @if rows.is_empty() {
            (Empty { title: "Nothing here yet", text: html! { "What you buy is listed here, and runs on every terminal of your account. Look around " a href="/" { "the store" } "." } })
        } @else {
            (Table { caption: "What you hold", columns: &columns, rows: rows.iter().map(|held| row(held, now)).collect() })
        }
        (Pager { path: "/account/library", page, next })
        p { a href="/account/redeem" { "Redeem a code" } " that somebody gave you." }
    };
    Ok(Shell::new(&app, &visitor, "Your library").tab(Tab::Library).show(&content))
}

fn row(entitlement: &Entitlement, now: Timestamp) -> Vec<Markup> {
    let (publisher, name) = (entitlement.publisher.as_str(), entitlement.name.as_str());
    vec![
        html! { a href=(resource_path(publisher, name)) { (publisher) "/" (name) } },
        html! { code { (entitlement.operation) } },
        left(entitlement, now),
        moment(entitlement.since),
    ]
}

/// What of it can still be used, as `portcullis grants` says it.
fn left(entitlement: &Entitlement, now: Timestamp) -> Markup {
    let (rights, holding) = (entitlement.rights, entitlement.holding);
    html! {
        @if entitlement.revoked.is_some() || holding.has_ended(now) { span.tag.off { "ended" } }
        @else if let Some(left) = entitlement.remaining() { (left) " left of " (rights) }
        @else if let Some(ends) = holding.ends {
            @if holding.starts.is_some() { "until " (moment(ends)) }
            @else { (rights) ": start it before " (moment(ends)) }
        }
        @else { (rights) }
    }
}
