//! `GET /publishers/{name}`: who signs, by which key, and what they sell.

use super::super::kit::shell::{Empty, Shell};
use super::super::kit::table::Pager;
use super::super::kit::words::moment;
use super::super::onward::query_value;
use super::super::session::Visitor;
use super::{PER_PAGE, cards};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::SearchPage;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use maud::html;
use portcullis_protocol::PublisherName;

/// A publisher.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let name: PublisherName = segment(&name)?;
    let publisher = app.core.store.publisher(&name).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    let page: u32 = query_value(&request.into_parts().0, "page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let found = app.core.store.sold_by(&name, page, PER_PAGE).await.map_err(ApiError::internal)?;
    let SearchPage { listings, next, .. } = found;
    let content = html! {
        p.lead { "Publishes here since " (moment(publisher.created)) "." }
        dl {
            dt { "Key" }
            dd { code { (publisher.key.thumbprint().words()) } }
        }
        p.hint { "These words stand for the key that signs everything below. Your terminal remembers it, and warns you if it changes." }
        h2 { "On sale" }
        @if listings.is_empty() {
            (Empty { title: "Nothing is on sale", text: html! { "Look at " a href="/search" { "everything on sale" } "." } })
        } @else { (cards(&listings, &[])) }
        (Pager { path: &format!("/publishers/{name}"), page, next })
    };
    Ok(Shell::new(&app, &visitor, name.as_str()).covers().show(&content))
}
