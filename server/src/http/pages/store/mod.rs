//! What is sold: the first page, search, a resource, a publisher, a merchant, and covers.

pub(crate) mod cover;
pub(crate) mod home;
pub(crate) mod merchant;
pub(crate) mod publisher;
pub(crate) mod resource;
pub(crate) mod search;

use super::kit::icons;
use super::kit::words::least;
use crate::catalogue::search::PRODUCT_KIND;
use crate::store::{ListedProduct, Listing};
use maud::{Markup, html};

/// Entries of a page of a list: rows of two, three and four come out even.
const PER_PAGE: u32 = 24;

/// The way to a resource's page.
pub(super) fn path(publisher: &str, name: &str) -> String {
    format!("/resources/{publisher}/{name}")
}

/// Entries as cards: products where they stand among the resources.
fn cards(listings: &[Listing], products: &[ListedProduct]) -> Markup {
    let mut cards: Vec<Markup> = listings.iter().map(card).collect();
    for product in products {
        cards.insert(product.place.min(cards.len()), product_card(product));
    }
    html! {
        ul.grid { @for card in &cards { li { (card) } } }
    }
}

fn product_card(found: &ListedProduct) -> Markup {
    let product = &found.revision.product;
    html! {
        article.item {
            (icons::cover(&format!("{}/{}", product.merchant, product.name), PRODUCT_KIND, None, false))
            div.about {
                h3 dir="auto" { a href=(merchant::path_of(&product.merchant, &product.name)) { (product.title) } }
                p { (icons::kind_name(PRODUCT_KIND, false)) " by " bdi { (found.merchant.title) } }
                @if !product.description.as_str().is_empty() { p.text dir="auto" { (product.description) } }
                p.price { (product.price) }
            }
        }
    }
}

fn card(listing: &Listing) -> Markup {
    let (publisher, name) = (listing.publisher.as_str(), listing.name.as_str());
    html! {
        article.item {
            (icons::cover(&format!("{publisher}/{name}"), &listing.kind, listing.cover.as_ref(), false))
            div.about {
                h3 dir="auto" { a href=(path(publisher, name)) { (listing.title) } }
                p { (icons::kind_name(&listing.kind, false)) " by " (publisher) }
                @if !listing.description.is_empty() { p.text dir="auto" { (listing.description) } }
                p.price { (least(&listing.offers)) }
            }
        }
    }
}
