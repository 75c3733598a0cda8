//! Guests: the languages that they are written in, and how each is compiled.
//!
//! A language is a folder of data in `cli/languages/`: `language.toml` says how it is recognised and built, and each
//! folder beside it holds the files of a new project. One line in [`language`] offers it.

pub(crate) mod cargo;
pub(crate) mod commands;
pub(crate) mod core_module;
pub(crate) mod kinds;
pub(crate) mod language;
