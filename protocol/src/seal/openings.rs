//! What it costs to have a part.

use super::description::SuggestedOffer;
use crate::documents::{OperationEntry, PartEntry};
use crate::ids::{OperationName, PartName};
use std::collections::BTreeMap;

/// The cheapest way to a part: whoever was once granted it can keep it, so this is what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The part.
    pub part: PartName,
    /// Whether the publisher declared it public.
    pub public: bool,
    /// The operations that open it.
    pub operations: Vec<OperationName>,
    /// The cheapest offer of any of them: a free one alone, otherwise one for each currency. Empty where none of the
    /// operations has an offer.
    pub cheapest: Vec<SuggestedOffer>,
}

/// One for each part, in order.
pub(super) fn openings(parts: &[PartEntry], operations: &[OperationEntry], offers: &[SuggestedOffer]) -> Vec<Opening> {
    let opening = |part: &PartEntry| {
        let opens = operations.iter().filter(|operation| operation.parts.contains(&part.name));
        let operations: Vec<OperationName> = opens.map(|operation| operation.name.clone()).collect();
        let cheapest = cheapest(offers.iter().filter(|offer| operations.contains(&offer.operation)));
        Opening { part: part.name.clone(), public: part.public, operations, cheapest }
    };
    parts.iter().map(opening).collect()
}

fn cheapest<'a>(offers: impl Iterator<Item = &'a SuggestedOffer> + Clone) -> Vec<SuggestedOffer> {
    if let Some(free) = offers.clone().find(|offer| offer.is_free()) {
        return vec![free.clone()];
    }
    let mut found: BTreeMap<_, &SuggestedOffer> = BTreeMap::new();
    for offer in offers {
        let least = found.entry(offer.price.currency()).or_insert(offer);
        if offer.price.minor_units() < least.price.minor_units() {
            *least = offer;
        }
    }
    found.into_values().cloned().collect()
}
