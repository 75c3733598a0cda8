//! `GET /v1/search?q=&kind=&page=`

use crate::catalogue::listing;
use crate::http::app::App;
use crate::http::form;
use crate::http::problem::ApiError;
use crate::store::{ListedProduct, Merchant, SearchPage, SearchQuery};
use axum::Json;
use axum::extract::{RawQuery, State};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{ProductEntry, SearchAnswer};
use serde::Deserialize;

/// Results of a page: a screen full.
const PER_PAGE: u32 = 20;
/// Bytes of a query, and words of it.
const MAX_QUERY: usize = 200;
const MAX_WORDS: usize = 8;

/// The query as sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    page: u32,
}

/// Searches the catalogue.
///
/// Without `q` it lists everything, the newest first.
#[utoipa::path(
    get,
    path = paths::SEARCH,
    tag = "store",
    params(("q" = Option<String>, Query, description = "Words to look for", max_length = 200), ("kind" = Option<String>, Query, description = "Only this kind of resource", max_length = 64), ("page" = Option<u32>, Query, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = SearchAnswer), (status = 400, description = "Not a search")),
)]
pub(crate) async fn search(State(app): State<App>, RawQuery(asked): RawQuery) -> Result<Json<SearchAnswer>, ApiError> {
    let Some(Asked { q, kind, page }) = form::read(asked.unwrap_or_default().as_bytes()) else {
        return Err(ApiError::Malformed("a search takes q, kind and page, and text without U+0000".into()));
    };
    if q.len() > MAX_QUERY || kind.len() > MAX_QUERY || q.split_whitespace().count() > MAX_WORDS {
        return Err(ApiError::Malformed(format!("a search takes at most {MAX_WORDS} words and {MAX_QUERY} bytes")));
    }
    if page > 0 && i64::from(page) > app.core.store.newest_listing().await.map_err(ApiError::internal)? {
        return Err(ApiError::Malformed("there is no such page: take the one that the page before names".into()));
    }
    let query = SearchQuery { text: q, kind: Some(kind).filter(|kind| !kind.is_empty()), page, per_page: PER_PAGE };
    let SearchPage { listings, products, next } = app.core.store.search(query).await.map_err(ApiError::internal)?;
    // A page of long price lists that nobody has asked for yet is a thousand signatures.
    let results = tokio::task::spawn_blocking(move || {
        listings.into_iter().map(|listing| listing::entry(&app, listing)).collect::<Result<Vec<_>, ApiError>>()
    });
    let products: Vec<ProductEntry> = products
        .into_iter()
        .map(|ListedProduct { place, revision, merchant: Merchant { name, title, key, .. } }| ProductEntry {
            merchant: name,
            title,
            key,
            product: revision.compact,
            place: u32::try_from(place).ok(),
        })
        .collect();
    let results = results.await.map_err(ApiError::internal)??.into();
    Ok(Json(SearchAnswer { results, products: products.into(), next }))
}
