//! The formats from outside: known answers, foreign implementations, and attempts to cheat.

mod age;
mod age_payload;
mod age_vectors;
mod cycle;
mod documents;
mod fixtures;
mod proof;
mod registry;
mod release;
mod seeded;
mod status_code;
