//! `GET /`: what is sold, by kind, and how it is run.

use super::super::kit::icons;
use super::super::kit::shell::{Empty, Shell};
use super::super::kit::words::command_line;
use super::super::session::Visitor;
use super::cards;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{ListedProduct, Listing, SearchPage, SearchQuery};
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

/// Kinds that come first, as the documentation names them; then others by name.
const FIRST: [&str; 6] = ["software", "picture", "music", "theme", "video", "code"];
/// Kinds of which the first page shows something.
const KINDS: usize = 8;
/// Kinds that are looked up: kinds are whatever publishers write.
const LOOKED_UP: u32 = 24;
/// Entries that are shown on one shelf: as long as there are no more, a shelf of each kind would be nearly empty.
const AT_ONCE: usize = 8;
/// Entries that the first page shows of a kind.
const OF_EACH: u32 = 4;

/// The first page.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let kinds = kinds(&app).await?;
    let mut shelves = Vec::new();
    for kind in &kinds {
        let query = SearchQuery { text: String::new(), kind: Some(kind.clone()), page: 0, per_page: OF_EACH };
        let found = app.core.store.search(query).await.map_err(ApiError::internal)?;
        shelves.push((kind.as_str(), found));
    }
    let count: usize = shelves.iter().map(|(_, found)| found.listings.len() + found.products.len()).sum();
    let few = (1..=AT_ONCE).contains(&count);
    let content = html! {
        div.hero {
            h1 { "Software, pictures, music, themes and video" }
            p.lead { "Buy here, run on any terminal that is signed in to your account. What you buy is encrypted until then, and yours on all your machines." }
            (chips(&kinds, None))
        }
        @if shelves.is_empty() {
            h2 { "Nothing is on sale yet" }
            (Empty { title: "The shelves are empty", text: html! { "Publishers put resources here with " code { "portcullis publish" } "." } })
        }
        @if few {
            section {
                div.head { h2 { "On sale" } }
                (all(&shelves))
            }
        } @else {
            @for (kind, found) in &shelves { (shelf(kind, found)) }
        }
        (how(&app))
    };
    Ok(Shell::new(&app, &visitor, "The store").own_heading().covers().show(&content))
}

/// The kinds of which something is on sale, in the order in which they are shown.
pub(super) async fn kinds(app: &App) -> Result<Vec<String>, ApiError> {
    let sold = app.core.store.kinds(LOOKED_UP).await.map_err(ApiError::internal)?;
    let known = FIRST.iter().filter(|kind| sold.iter().any(|sold| sold == *kind)).map(|kind| (*kind).to_owned());
    let others = sold.iter().filter(|kind| !FIRST.contains(&kind.as_str())).cloned();
    Ok(known.chain(others).take(KINDS).collect())
}

/// Links to the kinds.
pub(super) fn chips(kinds: &[String], current: Option<&str>) -> Markup {
    html! {
        nav aria-label="Kinds" {
            ul.chips {
                @for kind in kinds {
                    li {
                        a href={ "/search?kind=" (encoded(kind)) } aria-current=[(current == Some(kind)).then_some("page")] {
                            (icons::kind(kind, 18)) (icons::kind_name(kind, true))
                        }
                    }
                }
                @if !kinds.is_empty() { li { a href="/search" { "Everything" } } }
            }
        }
    }
}

/// A text as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What there is, on one shelf: products last, as their kind is.
fn all(shelves: &[(&str, SearchPage)]) -> Markup {
    let listings: Vec<Listing> = shelves.iter().flat_map(|(_, found)| found.listings.iter().cloned()).collect();
    let products = shelves.iter().flat_map(|(_, found)| &found.products).zip(listings.len()..);
    let products: Vec<ListedProduct> =
        products.map(|(product, place)| ListedProduct { place, ..product.clone() }).collect();
    cards(&listings, &products)
}

fn shelf(kind: &str, found: &SearchPage) -> Markup {
    html! {
        section {
            div.head {
                h2 { (icons::kind_name(kind, true)) }
                @if found.next.is_some() { a href={ "/search?kind=" (encoded(kind)) } { "All of this kind" span.sr { ": " (icons::kind_name(kind, true)) } } }
            }
            (cards(&found.listings, &found.products))
        }
    }
}

fn how(app: &App) -> Markup {
    html! {
        section {
            h2 { "From here to your terminal" }
            div.panel {
                ol.steps {
                    li { p { "Sign the terminal in. It shows this store's words, and you compare them with these:" }
                        (command_line(&format!("portcullis login {}", app.origin())))
                        code.words { (app.core.keys.root().thumbprint().words()) } }
                    li { p { "Approve it with the code that it shows, here in the browser." } }
                    li { p { "Run what you bought. Its page has the command." }
                        (command_line("portcullis run PUBLISHER/NAME")) }
                }
            }
        }
    }
}
