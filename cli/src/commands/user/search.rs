//! `portcullis search`: what a store sells.

use clap::Args;
use portcullis_host::{FoundProduct, Listing};
use portcullis_protocol::Origin;
use serde::Serialize;

use crate::context::{Context, ServerOption};
use crate::failure::Outcome;
use crate::project::KINDS;
use crate::screen::output::{KeyName, OfferLine, Report, UNKNOWN, UnknownLine};
use crate::screen::table::Table;

/// The kind of what merchants sell.
const CODE: &str = "code";

/// Search a store
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for; without words everything, the newest first
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Only this kind: software, picture, … or code, what merchants sell
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The next page, as the last line of the page before names it
    #[arg(long, value_name = "N")]
    page: Option<u32>,
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
    /// The kind that was asked for.
    #[serde(skip)]
    kind: Option<String>,
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
        let page =
            context.wait(async { Ok(client.store(&server).search(&words, self.kind.as_deref(), self.page).await?) })?;
        let results = page.results.iter().map(Found::from).collect();
        let unknown = page.unknown.iter().map(UnknownLine::of).collect();
        let products = page.products.iter().map(Sold::from).collect();
        context.screen.report(&Results { server, results, products, unknown, next_page: page.next, kind: self.kind });
        Ok(())
    }
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
                let (server, known) = (&self.server, KINDS.join(", "));
                match &self.kind {
                    Some(kind) if !KINDS.contains(&kind.as_str()) && kind != CODE => {
                        format!(
                            "nothing found at {server}: most have one of the kinds {known}, {CODE}, and not `{kind}`\n"
                        )
                    }
                    _ => format!("nothing found at {server}\n"),
                }
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
            let report = Results { server, results, products, unknown: Vec::new(), next_page: None, kind: None };
            report.text().lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
        };
        let all = order(&["a", "b"], vec![sold("p", Some(0)), sold("q", Some(2)), sold("r", Some(4))]);
        assert_eq!(all, ["p", "a", "q", "b", "r"]);
        assert_eq!(order(&["a"], vec![sold("p", None)]), ["a", "p"], "a store that does not say");
        assert_eq!(order(&[], vec![sold("p", Some(7))]), ["p"]);
    }
}
