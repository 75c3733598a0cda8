//! `portcullis price`: what operations cost.

use clap::Args;
use portcullis_host::Listing;
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{Money, OfferId, OperationName, PublisherName, Rights};
use serde::Serialize;

use crate::commands::publisher::ownership;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::identifier;
use crate::payment::offer_title;
use crate::payment::rights::Typed;
use crate::project;
use crate::resource::target::Name;
use crate::screen::output::{OfferLine, Report, UnknownLine, style};

/// Show or set what a resource's operations cost. An offer of the same operation and model is revised
#[derive(Debug, Args)]
pub(crate) struct Price {
    /// publisher/name
    name: Name,
    /// The operation to price
    #[arg(long, value_name = "NAME", requires = "model")]
    operation: Option<OperationName>,
    #[command(flatten)]
    rights: Typed,
    /// What it costs, as in "1.99 EUR"; metered, one unit of it
    #[arg(long, value_name = "PRICE", requires = "operation")]
    price: Option<Money>,
    /// What a buyer reads. Left out, what the title of a revised offer says of the count follows the new count
    #[arg(long, value_name = "TEXT", requires = "operation", value_parser = title)]
    title: Option<String>,
    /// End this offer
    #[arg(long, value_name = "ID", conflicts_with = "operation")]
    remove: Option<String>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Prices {
    server: String,
    name: String,
    changed: bool,
    offers: Vec<OfferLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_offers: Vec<UnknownLine>,
}

impl Price {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let publisher = publisher(&self.name)?;
        let report = context.wait(async {
            let listing = client.store(&server).entry(publisher, &self.name.name).await?;
            let terms = self.terms(&listing)?;
            if terms.is_some() && listing.newest().is_none() {
                return Err(Failure::new(
                    format!("every version of {} is withdrawn, and its offers rest", self.name.path()),
                    "publish a version first; then the offers are there again, and can be changed",
                ));
            }
            // The whole list is replaced: what cannot be read would end.
            if terms.is_some() && !listing.unknown_offers.is_empty() {
                return Err(Failure::new(
                    format!("{} has offers under terms that this version does not know", self.name.path()),
                    "update Portcullis; to change the list from here would end them",
                ));
            }
            let changed = terms.is_some();
            let offers = match terms {
                Some(terms) => {
                    let set = client.publishing(&server).set_offers(publisher, &self.name.name, terms).await;
                    ownership::answered(&client, &server, publisher, set).await?
                }
                None => listing.offers,
            };
            let offers = offers.iter().map(OfferLine::of).collect();
            let unknown_offers = listing.unknown_offers.iter().map(UnknownLine::of).collect();
            Ok(Prices { server: server.to_string(), name: self.name.path(), changed, offers, unknown_offers })
        })?;
        context.screen.report(&report);
        Ok(())
    }

    /// The whole list as it shall be; `None` where nothing changes.
    fn terms(&self, listing: &Listing) -> Outcome<Option<Vec<OfferTerms>>> {
        let mut terms: Vec<OfferTerms> = listing
            .offers
            .iter()
            .map(|offer| {
                let offer = offer.document();
                OfferTerms {
                    id: Some(offer.id),
                    operation: offer.operation.clone(),
                    title: offer.title.clone(),
                    rights: offer.rights,
                    price: offer.price,
                }
            })
            .collect();
        if let Some(typed) = &self.remove {
            let known: Vec<OfferId> = listing.offers.iter().map(|offer| offer.document().id).collect();
            let at = identifier::pick(typed, &known, "offer", &format!("portcullis price {}", self.name.path()))?;
            terms.remove(at);
            return Ok(Some(terms));
        }
        let Some(operation) = &self.operation else { return Ok(None) };
        let rights = self.rights.rights().map_err(|(message, fix)| Failure::usage(message, fix))?;
        let price = match self.price {
            Some(price) => price,
            None if rights.is_given() => project::free(),
            None => return Err(Failure::usage("the offer has no price", "add --price \"1.99 EUR\"")),
        };
        if rights.is_given() != price.is_zero() {
            return Err(Failure::usage(
                "the model `free` and a price of zero belong together",
                "choose another model, or another price",
            ));
        }
        match terms.iter_mut().find(|offer| offer.operation == *operation && offer.rights.model() == rights.model()) {
            Some(offer) => {
                offer.title = self.title.clone().unwrap_or_else(|| retitled(offer, rights));
                (offer.rights, offer.price) = (rights, price);
            }
            None => {
                let title = self.title.clone().unwrap_or_else(|| rights.to_string());
                terms.push(OfferTerms { id: None, operation: operation.clone(), title, rights, price });
            }
        }
        Ok(Some(terms))
    }
}

/// The title of an offer that is revised without a new one: what it says of the count follows.
fn retitled(offer: &OfferTerms, rights: Rights) -> String {
    if offer.title == offer.rights.to_string() {
        return rights.to_string();
    }
    let counts = offer.rights.quantity().zip(rights.quantity()).filter(|(before, after)| before != after);
    let recounted = counts.and_then(|(before, after)| offer_title::recounted(&offer.title, before, after));
    recounted.unwrap_or_else(|| offer.title.clone())
}

/// What a buyer reads, and not nothing.
fn title(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("write what a buyer shall read, or leave --title out".to_owned());
    }
    Ok(text.to_owned())
}

/// A store's catalogue needs the whole name.
pub(crate) fn publisher(name: &Name) -> Outcome<&PublisherName> {
    name.publisher
        .as_ref()
        .ok_or_else(|| Failure::usage(format!("`{name}` has no publisher"), format!("write publisher/{name}")))
}

impl Report for Prices {
    fn text(&self) -> String {
        let (good, strong) = (style::GOOD, style::STRONG);
        let head = if self.changed { format!("{good}priced{good:#} ") } else { String::new() };
        let mut text = format!("{head}{strong}{}{strong:#} at {}\n", self.name, self.server);
        for offer in &self.offers {
            text += &format!("  {offer}\n");
        }
        for offer in &self.unknown_offers {
            text += &format!("  {offer}\n");
        }
        if self.offers.is_empty() && self.unknown_offers.is_empty() {
            text += "  no offers: nobody can buy it\n";
        }
        text
    }
}
