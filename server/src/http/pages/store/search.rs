//! `GET /search?q=&kind=&page=`: everything, or what answers a few words.

use super::super::kit::icons;
use super::super::kit::shell::{Empty, Shell};
use super::super::kit::table::Pager;
use super::super::onward::query_value;
use super::super::session::Visitor;
use super::home::{chips, encoded, kinds};
use super::{PER_PAGE, cards};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{SearchPage, SearchQuery};
use axum::extract::{Request, State};
use axum::response::Response;
use maud::html;

/// Bytes of a query, and words of it: as of the API.
const MAX_QUERY: usize = 200;
const MAX_WORDS: usize = 8;

/// What was found.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, ApiError> {
    let parts = request.into_parts().0;
    let value = |name| query_value(&parts, name).unwrap_or_default();
    let asked = shortened(value("q").trim());
    let kind = Some(value("kind")).filter(|kind| !kind.is_empty() && kind.len() <= MAX_QUERY);
    let page: u32 = value("page").parse().unwrap_or(0);
    let newest = app.core.store.newest_listing().await.map_err(ApiError::internal)?;
    // A page of everything is named by a listing that there is; no list of what was found is longer.
    let page = if i64::from(page) > newest { 0 } else { page };
    let query = SearchQuery { text: asked.clone(), kind: kind.clone(), page, per_page: PER_PAGE };
    let SearchPage { listings, products, next } = app.core.store.search(query).await.map_err(ApiError::internal)?;
    let name = kind.as_deref().map(|kind| icons::kind_name(kind, true));
    let title = match (&name, asked.is_empty()) {
        (_, false) => format!("Results for \u{201c}{asked}\u{201d}"),
        (Some(kind), true) => kind.clone(),
        (None, true) => "Everything on sale".to_owned(),
    };
    let path = format!("/search?q={}&kind={}", encoded(&asked), encoded(kind.as_deref().unwrap_or_default()));
    let content = html! {
        (chips(&kinds(&app).await?, kind.as_deref()))
        h2.sr { "Results" }
        div.results {
            @if listings.is_empty() && products.is_empty() {
                (Empty { title: "Nothing found", text: html! { "Try fewer or other words, or look at " a href="/search" { "everything on sale" } "." } })
            } @else { (cards(&listings, &products)) }
        }
        (Pager { path: &path, page, next })
    };
    Ok(Shell::new(&app, &visitor, &title).covers().query(&asked).show(&content))
}

/// No more than is searched for: a link may say anything.
fn shortened(asked: &str) -> String {
    let mut text = String::new();
    for word in asked.split_whitespace().take(MAX_WORDS) {
        if text.len() + word.len() >= MAX_QUERY {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}
