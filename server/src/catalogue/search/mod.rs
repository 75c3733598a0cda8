//! How text is searched: folded, cut into words and these into trigrams, found in an index, and ranked. Pure; the store
//! keeps the index and reads it (`store/transactions/search.rs`).
//!
//! ```text
//! "Über dem Gletscher" ─fold─▶ "uber dem gletscher" ─words─▶ uber · dem · gletscher ─trigrams─▶ "  u", " ub", "ube", …
//! ```
//!
//! The index only proposes: what it proposes is read and ranked word by word, so that a listing in which the trigrams
//! of a word occur and the word does not is not found. Every step is bounded, whoever asks and whatever was published.

mod fold;
mod query;
mod rank;
mod texts;
mod trigrams;

pub(crate) use query::{Query, Word};
pub(crate) use rank::score;
pub(crate) use texts::{PRODUCT_KIND, Texts};
pub(crate) use trigrams::Trigram;
