//! `portcullis search`: what a store sells.

use clap::Args;
use portcullis_host::{FoundProduct, Listing, SearchPage, Storefront};
use portcullis_protocol::{Origin, nearest};
use serde::Serialize;
use std::collections::HashSet;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::guest::kinds::KINDS;
use crate::screen::output::{KeyName, OfferLine, Report, UNKNOWN, UnknownLine};
use crate::screen::table::Table;

/// The kind of what merchants sell.
const CODE: &str = "code";
/// Pages that are asked for at most: a store that always names a next one is not followed for ever.
const PAGES: u32 = 1000;

/// Search a store
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for; without words everything, the newest first
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Only this kind: software, picture, … or code, what merchants sell
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Which page of what is found; the first one is 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Results {
    server: Origin,
    results: Vec<Found>,
    /// What merchants sell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    products: Vec<Sold>,
    /// What was found and this version cannot read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<u32>,
    /// What helps if nothing was found.
    #[serde(skip)]
    hint: Option<String>,
}

#[derive(Serialize)]
struct Found {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    kind: String,
    title: String,
    description: String,
    publisher_key: KeyName,
    offers: Vec<OfferLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_offers: Vec<UnknownLine>,
}

#[derive(Serialize)]
struct Sold {
    name: String,
    title: String,
    description: String,
    price: String,
    /// How many entries of the page come before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
}

impl Sold {
    fn row(&self) -> [String; 5] {
        [self.name.clone(), String::new(), CODE.into(), self.title.clone(), self.price.clone()]
    }
}

impl From<&FoundProduct> for Sold {
    fn from(FoundProduct { product, place, .. }: &FoundProduct) -> Self {
        Self {
            name: format!("{}/{}", product.merchant, product.name),
            title: product.title.to_string(),
            description: product.description.to_string(),
            price: product.price.to_string(),
            place: *place,
        }
    }
}

impl From<&Listing> for Found {
    fn from(listing: &Listing) -> Self {
        Self {
            name: format!("{}/{}", listing.publisher, listing.name),
            version: listing.newest().map(|version| version.version.to_string()),
            kind: listing.kind.clone(),
            title: listing.title.clone(),
            description: listing.description.clone(),
            publisher_key: listing.publisher_key.thumbprint().into(),
            offers: listing.offers.iter().map(OfferLine::of).collect(),
            unknown_offers: listing.unknown_offers.iter().map(UnknownLine::of).collect(),
        }
    }
}

impl Search {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let words = self.words.join(" ");
        let page = context.wait(self.page(&client.store(&server), &words))?;
        let hint = self.kind.as_deref().and_then(other_kind);
        let next_page = page.next.map(|_| self.page.saturating_add(1));
        let results = page.results.iter().map(Found::from).collect();
        let unknown = page.unknown.iter().map(UnknownLine::of).collect();
        let products = page.products.iter().map(Sold::from).collect();
        context.screen.report(&Results { server, results, products, unknown, next_page, hint });
        Ok(())
    }

    /// The page that is meant. A store names its next page in its own way, so those before it are asked for.
    async fn page(&self, store: &Storefront, words: &str) -> Outcome<SearchPage> {
        let mut page = store.search(words, self.kind.as_deref(), None).await?;
        let mut seen = HashSet::new();
        for last in 1..self.page {
            // A page that was there before is no next one.
            let Some(next) = page.next.filter(|next| seen.insert(*next)) else {
                return Err(Failure::new(
                    format!("there is no page {}: what was found ends with page {last}", self.page),
                    "name a page that there is, as in --page 1; the last line of a page names the next one",
                ));
            };
            if last == PAGES {
                return Err(Failure::new(
                    format!("page {} is beyond the {PAGES} pages that are looked through", self.page),
                    "look for more words, so that less is found",
                ));
            }
            page = store.search(words, self.kind.as_deref(), Some(next)).await?;
        }
        Ok(page)
    }
}

/// The kinds that most resources have, and that of what merchants sell.
fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().chain([CODE])
}

/// What helps if nothing is found of a kind that is not known. It may be right: publishers can name others.
fn other_kind(kind: &str) -> Option<String> {
    if kinds().any(|known| known == kind) {
        return None;
    }
    Some(match nearest(kind, kinds()) {
        Some(near) => format!("did you mean --kind {near}?"),
        None => format!("most have one of the kinds {}", kinds().collect::<Vec<_>>().join(", ")),
    })
}

impl Report for Results {
    fn text(&self) -> String {
        let mut table = Table::new(&["name", "version", "kind", "title", "offers"]).with_whole(&[0, 4]);
        // Those of a store that does not say where they stand come last.
        let mut products = self.products.iter().peekable();
        let mut row = 0;
        for found in &self.results {
            while let Some(sold) = products.next_if(|sold| sold.place.is_some_and(|place| place <= row)) {
                table.row(sold.row());
                row += 1;
            }
            row += 1;
            let version = found.version.as_deref().unwrap_or("withdrawn").to_owned();
            let known = found.offers.iter().map(OfferLine::in_short);
            let offers: Vec<String> = known.chain(found.unknown_offers.iter().map(UnknownLine::in_short)).collect();
            table.row([found.name.clone(), version, found.kind.clone(), found.title.clone(), offers.join(", ")]);
        }
        for sold in products {
            table.row(sold.row());
        }
        for unknown in &self.unknown {
            let name = unknown.name.clone().unwrap_or_else(|| "-".into());
            table.row([name, String::new(), String::new(), String::new(), UNKNOWN.into()]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        match self.next_page {
            _ if self.results.is_empty() && self.products.is_empty() && self.unknown.is_empty() => {
                let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
                format!("nothing found at {}{hint}\n", self.server)
            }
            Some(page) => format!("There is more: --page {page}\n"),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_stand_where_the_store_says_among_the_resources() {
        let found = |name: &str| Found {
            name: name.into(),
            version: None,
            kind: "software".into(),
            title: String::new(),
            description: String::new(),
            publisher_key: KeyName { thumbprint: String::new(), words: String::new() },
            offers: Vec::new(),
            unknown_offers: Vec::new(),
        };
        let sold = |name: &str, place| Sold {
            name: name.into(),
            title: String::new(),
            description: String::new(),
            price: String::new(),
            place,
        };
        let order = |results: &[&str], products: Vec<Sold>| -> Vec<String> {
            let server = "https://store.example".parse().expect("an origin");
            let results = results.iter().map(|name| found(name)).collect();
            let report = Results { server, results, products, unknown: Vec::new(), next_page: None, hint: None };
            report.text().lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
        };
        let all = order(&["a", "b"], vec![sold("p", Some(0)), sold("q", Some(2)), sold("r", Some(4))]);
        assert_eq!(all, ["p", "a", "q", "b", "r"]);
        assert_eq!(order(&["a"], vec![sold("p", None)]), ["a", "p"], "a store that does not say");
        assert_eq!(order(&[], vec![sold("p", Some(7))]), ["p"]);
    }
}
