//! An offer in one line, and what is said of one that cannot be read.

use portcullis_protocol::{Offer, Rights, UnknownEntry, Verified};
use serde::Serialize;
use std::fmt::{self, Display};

use crate::payment::rights::{self, Figures};
use crate::screen::hint;
use crate::screen::shell::quoted;
use crate::screen::style;

/// An offer in one line, and in JSON.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OfferLine {
    /// Its identifier, for `buy --offer`.
    pub(crate) id: String,
    /// The operation it pays for.
    pub(crate) operation: String,
    /// What a person reads.
    pub(crate) title: String,
    /// The rights model and its figures.
    #[serde(flatten)]
    figures: Figures,
    /// `1.99 EUR`.
    pub(crate) price: String,
    #[serde(skip)]
    rights: Rights,
    #[serde(skip)]
    minor_units: i64,
}

impl OfferLine {
    /// The price, for comparison within a currency.
    pub(crate) const fn minor_units(&self) -> i64 {
        self.minor_units
    }

    /// Whether it gives the operation to everybody, without an order.
    pub(crate) fn is_given(&self) -> bool {
        self.rights.is_given()
    }

    /// Reads a verified offer.
    pub(crate) fn of(offer: &Verified<Offer>) -> Self {
        let offer = offer.document();
        Self {
            id: offer.id.to_string(),
            operation: offer.operation.to_string(),
            title: offer.title.clone(),
            figures: offer.rights.into(),
            price: offer.price.to_string(),
            rights: offer.rights,
            minor_units: offer.price.minor_units(),
        }
    }
}

impl OfferLine {
    /// `view 1.99 EUR`, for lists.
    pub(crate) fn in_short(&self) -> String {
        format!("{} {}{}", self.operation, self.cost(), rights::per(self.rights))
    }

    /// The command that offers the same, beside whatever there is by then.
    pub(crate) fn command(&self, name: &str) -> String {
        let price = if self.rights.is_given() { String::new() } else { format!(" --price {}", quoted(&self.price)) };
        format!(
            "{} {name} --operation {} {}{price} --title {} --beside",
            hint::typed("portcullis price"),
            self.operation,
            self.figures.arguments(),
            quoted(&self.title)
        )
    }

    /// Operation, title and price, without its identifier.
    pub(crate) fn terms(&self) -> String {
        format!("{}: {}", self.operation, self.titled())
    }

    /// Title and price.
    pub(crate) fn titled(&self) -> String {
        format!("{} ({})", self.title, self.priced())
    }

    /// What it costs, and what for, unless the title says just that.
    fn priced(&self) -> String {
        let rights = self.rights.to_string();
        if self.rights.is_given() || self.title == rights {
            return self.cost().to_owned();
        }
        format!("{}, {rights}", self.price)
    }

    /// The price, or `free`.
    pub(crate) fn cost(&self) -> &str {
        if self.rights.is_given() { "free" } else { &self.price }
    }
}

impl Display for OfferLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (strong, dim) = (style::STRONG, style::DIM);
        write!(f, "{strong}{}{strong:#}: {}  {dim}{}{dim:#}", self.operation, self.titled(), self.id)
    }
}

/// Something of a store's that this version cannot read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UnknownLine {
    /// `publisher/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
    /// The rights model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

impl UnknownLine {
    /// What can be said of it.
    pub(crate) fn of(entry: &UnknownEntry) -> Self {
        Self { name: entry.resource(), operation: entry.text("operation"), model: entry.model() }
    }
}

impl UnknownLine {
    /// `view sold under terms …`, for lists.
    pub(crate) fn in_short(&self) -> String {
        match &self.operation {
            Some(operation) => format!("{operation} {UNKNOWN}"),
            None => UNKNOWN.to_owned(),
        }
    }
}

impl Display for UnknownLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (strong, dim) = (style::STRONG, style::DIM);
        if let Some(operation) = &self.operation {
            write!(f, "{strong}{operation}{strong:#}: ")?;
        }
        f.write_str(UNKNOWN)?;
        match &self.model {
            Some(model) => write!(f, "  {dim}{model}{dim:#}"),
            None => Ok(()),
        }
    }
}

/// What is said of entries of the account that cannot be shown; nothing if there are none.
pub(crate) fn unshown(entries: &[UnknownLine]) -> String {
    match entries.len() {
        0 => String::new(),
        1 => "1 more that this version does not know; update Portcullis to see it\n".to_owned(),
        more => format!("{more} more that this version does not know; update Portcullis to see them\n"),
    }
}

/// What is said of it.
pub(crate) const UNKNOWN: &str = "sold under terms that this version does not know; update";
