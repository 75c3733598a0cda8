//! What is sold: the first page, search, a resource, a publisher, a merchant, what one asks to be paid, and covers.

pub(crate) mod cover;
pub(crate) mod home;
pub(crate) mod merchant;
pub(crate) mod payment;
pub(crate) mod publisher;
pub(crate) mod resource;
pub(crate) mod search;

use super::kit::icons;
use super::kit::words::least;
use crate::store::Listing;
use maud::{Markup, html};

/// Entries of a page of a list: rows of two, three and four come out even.
const PER_PAGE: u32 = 24;

/// The way to a resource's page.
pub(super) fn path(publisher: &str, name: &str) -> String {
    format!("/resources/{publisher}/{name}")
}

/// Entries as cards.
fn cards(listings: &[Listing]) -> Markup {
    html! {
        ul.grid { @for listing in listings { li { (card(listing)) } } }
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
