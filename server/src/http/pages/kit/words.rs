//! Amounts, moments, sizes and rights as a person reads them.

use crate::billing::offer_revision::OfferRevision;
use crate::ops::clock::Timestamp;
use maud::{Markup, html};
use portcullis_protocol::Offer;
use std::time::{Duration, UNIX_EPOCH};

/// A moment.
pub(in super::super) fn moment(at: Timestamp) -> Markup {
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at.seconds())).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let short = time.get(..5).unwrap_or_default();
    html! { time datetime=(text) { (day) " " (short) " UTC" } }
}

/// A word or a sentence with a capital at its beginning.
pub(in super::super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A command, to be copied. Its words are not broken apart while a line has room for them.
pub(in super::super) fn command_line(line: &str) -> Markup {
    html! {
        code.cmd { @for (index, word) in line.split(' ').enumerate() { @if index > 0 { " " } span { (word) } } }
    }
}

/// What an offer costs.
pub(in super::super) fn price(offer: &Offer) -> String {
    match () {
        () if offer.rights.cost_nothing_at(offer.price) => "Free".to_owned(),
        () if offer.rights.is_paid_per_unit() => format!("{} per unit", offer.price),
        () => offer.price.to_string(),
    }
}

/// What an offer gives, in a sentence.
pub(in super::super) fn gives(offer: &Offer) -> String {
    match () {
        () if offer.rights.is_given() => "Free for everybody, on any terminal that is signed in.".to_owned(),
        () if offer.rights.is_paid_per_unit() => {
            "You pay for each unit as you use it, from the balance that you have paid in.".to_owned()
        }
        () if offer.rights.quantity().is_some() => {
            format!("You get {}, to spend on any version and on all your terminals.", offer.rights)
        }
        () => format!("Yours {}, in every version and on all your terminals.", offer.rights),
    }
}

/// The least that something costs, as a card says it: what is bought at once, and what is paid by the unit.
pub(in super::super) fn least(offers: &[OfferRevision]) -> String {
    let is_free = |revision: &&OfferRevision| revision.offer.rights.cost_nothing_at(revision.offer.price);
    let free = offers.iter().any(|revision| is_free(&revision));
    let least_of = |is_per_unit: bool| {
        let mut prices = offers
            .iter()
            .filter(|revision| !is_free(revision) && revision.offer.rights.is_paid_per_unit() == is_per_unit)
            .map(|revision| revision.offer.price);
        // Amounts of different currencies do not compare.
        let (mut least, mut one) = (prices.next()?, true);
        for price in prices {
            one = false;
            if price.currency() == least.currency() && price.minor_units() < least.minor_units() {
                least = price;
            }
        }
        Some(format!("{}{least}", if one { "" } else { "from " }))
    };
    let cost = match (least_of(false), least_of(true)) {
        (None, None) => return if free { "Free" } else { "No price yet" }.to_owned(),
        (Some(at_once), None) => at_once,
        (None, Some(by_unit)) => format!("{by_unit} a unit"),
        (Some(at_once), Some(by_unit)) => format!("{at_once}, or {by_unit} a unit"),
    };
    let tasting = if free { ", free to try" } else { "" };
    format!("{cost}{tasting}")
}
