//! The formats from outside: known answers, foreign implementations, and attempts to cheat.

mod age;
mod age_payload;
mod age_vectors;
mod codes;
#[cfg(feature = "seal")]
mod components;
mod cycle;
mod document_vectors;
mod documents;
mod fixtures;
mod openness;
mod part_reader;
mod proof;
mod registry;
mod release;
#[cfg(feature = "seal")]
mod seal;
mod sealed;
mod sealed_attacks;
mod seeded;
mod status_code;
#[cfg(feature = "seal")]
mod surface;
