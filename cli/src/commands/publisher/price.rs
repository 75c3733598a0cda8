//! `portcullis price`: what operations cost.

use clap::Args;
use portcullis_host::{ClientError, Listing};
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{Money, OfferId, OperationName, PublisherName, Rights, Verified, nearest};
use serde::Serialize;
use std::collections::BTreeSet;

use crate::commands::publisher::ownership;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::identifier;
use crate::payment::offer_title;
use crate::payment::rights::Typed;
use crate::project;
use crate::resource::target::Name;
use crate::screen::hint;
use crate::screen::output::{OfferLine, Report, UnknownLine, style};

/// Show or set what a resource's operations cost. An offer of the same operation, model and currency is revised
///
/// The old terms end, and who bought under them keeps what was bought. To sell both, add the new one with --beside.
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
    /// Add an offer beside those that there are of the same operation, model and currency
    #[arg(long, requires = "operation")]
    beside: bool,
    /// The offer of this operation that is revised, whatever its model and currency
    #[arg(long, value_name = "ID", requires = "operation", conflicts_with = "beside")]
    revise: Option<String>,
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
    /// Every version was, and the offers rest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
    /// The offer that was revised or ended, as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<OfferLine>,
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
            let (terms, before) = self.terms(&listing)?;
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
            let (changed, withdrawn) = (terms.is_some(), listing.newest().is_none());
            let offers = match terms {
                Some(terms) => {
                    let set = client.publishing(&server).set_offers(publisher, &self.name.name, terms).await;
                    let was_rejected = matches!(&set, Err(ClientError::Rejected { status: 422, .. }));
                    let meant = if was_rejected { self.meant(&listing) } else { None };
                    let answered = ownership::answered(&client, &server, publisher, set).await;
                    answered.map_err(|failure| match meant {
                        Some(fix) => failure.with_fix(fix),
                        None => failure,
                    })?
                }
                None => listing.offers,
            };
            let offers = offers.iter().map(OfferLine::of).collect();
            let unknown_offers = listing.unknown_offers.iter().map(UnknownLine::of).collect();
            let (server, name) = (server.to_string(), self.name.path());
            Ok(Prices { server, name, changed, withdrawn, before, offers, unknown_offers })
        })?;
        context.screen.report(&report);
        Ok(())
    }

    /// The whole list as it shall be, and the offer that is revised in it, or ended, as it was; no list if nothing
    /// changes.
    fn terms(&self, listing: &Listing) -> Outcome<(Option<Vec<OfferTerms>>, Option<OfferLine>)> {
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
            let at = self.pick(typed, listing)?;
            terms.remove(at);
            return Ok((Some(terms), Some(OfferLine::of(&listing.offers[at]))));
        }
        let Some(operation) = &self.operation else { return Ok((None, None)) };
        let rights = self.rights(operation, listing)?;
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
        let Some(at) = self.revised(listing, &terms, (operation, rights, price))? else {
            let is_there =
                |offer: &OfferTerms| (&offer.operation, offer.rights, offer.price) == (operation, rights, price);
            if let Some(same) = terms.iter().position(is_there) {
                return Err(Failure::usage(
                    format!("that is offered already: {}", OfferLine::of(&listing.offers[same]).titled()),
                    "choose another price or another count; to give it another title, leave --beside out",
                ));
            }
            let title = self.title.clone().unwrap_or_else(|| rights.to_string());
            terms.push(OfferTerms { id: None, operation: operation.clone(), title, rights, price });
            return Ok((Some(terms), None));
        };
        let offer = &mut terms[at];
        let title = self.title.clone().unwrap_or_else(|| retitled(offer, rights));
        if (&offer.title, offer.rights, offer.price) == (&title, rights, price) {
            return Ok((None, None));
        }
        (offer.title, offer.rights, offer.price) = (title, rights, price);
        Ok((Some(terms), Some(OfferLine::of(&listing.offers[at]))))
    }

    /// The operation that was probably meant, if the listing does not have the one that was named. It does not tell
    /// all that there are: each of the newest versions says which operations open its parts that are not public.
    fn meant(&self, listing: &Listing) -> Option<String> {
        let operation = self.operation.as_ref()?.as_str();
        let offered = listing.offers.iter().map(|offer| &offer.document().operation);
        let opening = listing.versions.iter().filter(|version| !version.withdrawn).flat_map(|version| &version.opens);
        let known: BTreeSet<&str> =
            offered.chain(opening.flat_map(|part| &part.operations)).map(OperationName::as_str).collect();
        let near = nearest(operation, known.iter().copied()).filter(|_| !known.contains(operation))?;
        Some(format!("did you mean `{near}`? `portcullis inspect {}` shows all", self.name.path()))
    }

    /// The rights that are offered. What of them is left out is as in the offer that is revised, if it is clear which.
    fn rights(&self, operation: &OperationName, listing: &Listing) -> Outcome<Rights> {
        let wrong = |(message, fix): (String, String)| Failure::usage(message, fix);
        let offers = || listing.offers.iter().map(Verified::document);
        let before = match &self.revise {
            Some(typed) => Some(listing.offers[self.pick(typed, listing)?].document()),
            None if self.beside => None,
            None => {
                let currency = self.price.map(|price| price.currency());
                let mut alike = offers().filter(|offer| {
                    offer.operation == *operation
                        && self.rights.is_of(offer.rights)
                        && currency.is_none_or(|currency| offer.price.currency() == currency)
                });
                alike.next().filter(|_| alike.next().is_none())
            }
        };
        match before {
            Some(before) => self.rights.revising(before.rights).map_err(wrong),
            None => self.rights.rights().map_err(wrong),
        }
    }

    /// The place of the offer that these terms revise; none if they are another one's.
    fn revised(
        &self,
        listing: &Listing,
        terms: &[OfferTerms],
        (operation, rights, price): (&OperationName, Rights, Money),
    ) -> Outcome<Option<usize>> {
        if self.beside {
            return Ok(None);
        }
        if let Some(typed) = &self.revise {
            let at = self.pick(typed, listing)?;
            if terms[at].operation != *operation {
                return Err(Failure::usage(
                    format!("that offer is one of {}, not of {operation}", terms[at].operation),
                    format!("name an offer of {operation}: `portcullis price {}` lists them", self.name.path()),
                ));
            }
            return Ok(Some(at));
        }
        // Who pays in another currency is another buyer.
        let is_alike = |offer: &OfferTerms| {
            let is_free = rights.is_given();
            offer.operation == *operation
                && offer.rights.model() == rights.model()
                && (is_free || offer.price.currency() == price.currency())
        };
        let alike: Vec<usize> = (0..terms.len()).filter(|at| is_alike(&terms[*at])).collect();
        match alike.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            several => {
                let lines = several.iter().map(|at| format!("\n  {}", OfferLine::of(&listing.offers[*at])));
                Err(Failure::usage(
                    format!("several offers of {operation} are alike:{}", lines.collect::<String>()),
                    "say which one is revised: --revise ID; or add one beside them: --beside",
                ))
            }
        }
    }

    fn pick(&self, typed: &str, listing: &Listing) -> Outcome<usize> {
        let known: Vec<OfferId> = listing.offers.iter().map(|offer| offer.document().id).collect();
        identifier::pick(typed, &known, "offer", &format!("portcullis price {}", self.name.path()))
    }
}

/// The title of an offer that is revised without a new one: what it says of the count follows. Of another model it
/// would say what is not sold any more.
fn retitled(offer: &OfferTerms, rights: Rights) -> String {
    if offer.title == offer.rights.to_string() || offer.rights.model() != rights.model() {
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
        if let Some(before) = &self.before {
            let dim = style::DIM;
            text += &format!("  {dim}no longer: {}; buyers keep what they bought{dim:#}\n", before.terms());
            text += &format!("  {dim}to offer it again: {}{dim:#}\n", before.command(&self.name));
        }
        for offer in &self.offers {
            text += &format!("  {offer}\n");
        }
        for offer in &self.unknown_offers {
            text += &format!("  {offer}\n");
        }
        if self.withdrawn {
            text += &format!(
                "  every version was withdrawn, so nobody can buy it and its offers rest: publish a newer one, or take \
                 one back: {strong}{} {}@VERSION{strong:#}\n",
                hint::typed("portcullis restore"),
                self.name
            );
        } else if self.offers.is_empty() && self.unknown_offers.is_empty() {
            text += "  no offers: nobody can buy it\n";
        }
        text
    }

    /// What is offered for nothing is not bought, whatever else it is offered for.
    fn notes(&self) -> String {
        let warn = style::WARN;
        let mut text = String::new();
        for free in self.offers.iter().filter(|offer| offer.is_given()) {
            if self.offers.iter().any(|offer| offer.operation == free.operation && !offer.is_given()) {
                text += &format!(
                    "{warn}warning{warn:#}: {} is free, so nobody can buy it as long as its free offer is there; to end \
                     that: `{} {} --remove {}`\n",
                    free.operation,
                    hint::typed("portcullis price"),
                    self.name,
                    free.id
                );
            }
        }
        text
    }
}
