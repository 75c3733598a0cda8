//! The texts of a listing, folded, as the index keeps them.

use super::fold::{fold, words};
use super::trigrams::{Trigram, trigrams};
use portcullis_protocol::{Manifest, Product};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of the names and titles of a resource's operations that are searched: 64 operations could bring 12 KB.
const MAX_OPERATIONS_TEXT: usize = 2_000;
/// Trigrams of a listing. Texts of full length have some 4,000; those of the description come last.
const MAX_TRIGRAMS: usize = 4_096;

/// The kind of what merchants sell, among the kinds of resources.
pub(crate) const PRODUCT_KIND: &str = "code";

/// What is searched in a listing: words, folded, with a space between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Texts {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) publisher: String,
    pub(super) kind: String,
    pub(super) operations: String,
    pub(super) description: String,
}

impl Texts {
    /// The texts of a version that is on sale.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let mut operations = String::new();
        for operation in &manifest.operations {
            if operations.len() + operation.name.as_str().len() + operation.title.len() > MAX_OPERATIONS_TEXT {
                break;
            }
            operations += &format!("{} {} ", operation.name, operation.title);
        }
        Self {
            name: folded(manifest.name.as_str()),
            title: folded(&manifest.title),
            publisher: folded(manifest.publisher.name.as_str()),
            kind: folded(&manifest.kind),
            operations: folded(&operations),
            description: folded(&manifest.description),
        }
    }

    /// The texts of a product that a merchant sells.
    pub(crate) fn of_product(product: &Product) -> Self {
        Self {
            name: folded(product.name.as_str()),
            title: folded(product.title.as_str()),
            publisher: folded(product.merchant.as_str()),
            kind: folded(PRODUCT_KIND),
            operations: String::new(),
            description: folded(beginning(product.description.as_str())),
        }
    }

    /// What a trigram of the name weighs.
    pub(crate) const MOST_WEIGHT: i64 = 4;

    /// The trigrams of the listing, each with the weight of the best text that has it, from 1 on.
    pub(crate) fn trigrams(&self) -> BTreeMap<Trigram, i64> {
        let mut all = BTreeMap::new();
        for (text, weight) in [
            (&self.name, Self::MOST_WEIGHT),
            (&self.title, 3),
            (&self.publisher, 3),
            (&self.kind, 3),
            (&self.operations, 2),
        ] {
            text.split(' ').flat_map(trigrams).for_each(|trigram| {
                all.entry(trigram).or_insert(weight);
            });
        }
        for trigram in self.description.split(' ').flat_map(trigrams) {
            if all.len() >= MAX_TRIGRAMS {
                break;
            }
            all.entry(trigram).or_insert(1);
        }
        all
    }
}

/// Bytes of the description of a product that are searched: a merchant has up to a thousand, which are all put into
/// the index, or taken out of it, when it is approved or suspended.
const MAX_PRODUCT_TEXT: usize = 300;

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_PRODUCT_TEXT)]
}

fn folded(text: &str) -> String {
    words(&fold(text)).collect::<Vec<_>>().join(" ")
}
