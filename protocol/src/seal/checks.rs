//! What a resource may not be, by operations and offers.

use super::description::SuggestedOffer;
use super::refused::SealRefused;
use crate::documents::{OperationEntry, PartEntry, PartKind};
use crate::ids::OperationName;
use crate::surface::Surface;

/// How alike two names have to be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.85;
/// How many names are suggested.
const SUGGESTED: usize = 3;

/// Every export that an operation names exists.
pub(super) fn exports(operations: &[OperationEntry], surface: &Surface) -> Result<(), SealRefused> {
    for operation in operations {
        for export in &operation.exports {
            if surface.export_type(export.as_str()).is_none() {
                return Err(SealRefused::NoSuchExport {
                    operation: operation.name.clone(),
                    export: export.to_string(),
                    near: near(export.as_str(), surface.exports()),
                });
            }
        }
    }
    Ok(())
}

/// Every offer is for an operation that exists, and counted uses are sold knowingly.
pub(super) fn offers(
    offers: &[SuggestedOffer],
    operations: &[OperationEntry],
    advisory_metering: bool,
) -> Result<(), SealRefused> {
    for offer in offers {
        if !operations.iter().any(|operation| operation.name == offer.operation) {
            return Err(SealRefused::NoSuchOperation {
                operation: offer.operation.clone(),
                near: near(offer.operation.as_str(), operations.iter().map(|operation| operation.name.as_str())),
            });
        }
        if offer.rights.quantity().is_some() && !advisory_metering {
            return Err(SealRefused::AdvisoryMetering { operation: offer.operation.clone() });
        }
    }
    Ok(())
}

/// What a free operation opens is declared public.
pub(super) fn parts(
    parts: &[PartEntry],
    operations: &[OperationEntry],
    offers: &[SuggestedOffer],
) -> Result<(), SealRefused> {
    let offered = |name: &OperationName| offers.iter().filter(|offer| offer.operation == *name).collect::<Vec<_>>();
    for part in parts.iter().filter(|part| !part.public) {
        let opens = || operations.iter().filter(|operation| operation.parts.contains(&part.name)).map(|o| &o.name);
        let free = opens().find(|name| offered(name).iter().any(|offer| offer.is_free()));
        let Some(free) = free else { continue };
        let mut priced = opens().filter(|name| {
            let offered = offered(name);
            !offered.is_empty() && !offered.iter().any(|offer| offer.is_free())
        });
        return Err(match (part.kind, priced.next()) {
            (PartKind::Code, Some(priced)) => {
                SealRefused::SharedCode { part: part.name.clone(), free: free.clone(), priced: priced.clone() }
            }
            _ => SealRefused::PublicPart { part: part.name.clone(), operation: free.clone() },
        });
    }
    Ok(())
}

/// Names that might have been meant: the same function elsewhere, or one spelt alike.
pub(super) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    fn function(name: &str) -> &str {
        name.rsplit('#').next().unwrap_or(name)
    }
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| {
            let alike = strsim::normalized_damerau_levenshtein(wanted, name);
            let same = strsim::jaro_winkler(function(wanted), function(name));
            (alike.max(same), name)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(SUGGESTED).map(|(_, name)| name.to_owned()).collect()
}
