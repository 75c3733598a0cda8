//! The languages that guests are written in: a table, read from the folders in `cli/languages/`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::failure::{Failure, Outcome};
use crate::guest::cargo::Cargo;
use crate::guest::commands::Commands;
use crate::guest::kinds::KINDS;

/// The languages, each by the name of its folder, in the order in which help names them. The first is the default.
const OFFERED: &[&str] = &["rust", "wat"];

/// The kind that what is shown or played begins as: it has a file that is sold, and a function that returns it.
const MEDIA: &str = "picture";

/// Every file below `cli/languages/`: its path and its text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/languages.rs"));
/// The contract and the SDKs: paths below the checkout, and texts.
const VENDORED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/vendored.rs"));

static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| OFFERED.iter().map(|name| Language::read(name)).collect());

/// A language, as its `language.toml` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// The name of its folder, and what `--language` takes.
    #[serde(skip)]
    pub(crate) name: &'static str,
    /// What a person reads.
    pub(crate) title: String,
    /// A project that has this file is written in this language.
    pub(crate) marker: String,
    /// Endings of the files that its compiler reads, beside WIT.
    pub(crate) sources: Vec<String>,
    /// What of the checkout a project gets in `vendor/portcullis/`: folders.
    vendored: Vec<String>,
    /// How a project is built.
    toolchain: ToolchainKind,
    /// The kinds of resources that a project can begin as.
    #[serde(rename = "kind")]
    pub(crate) kinds: Vec<Kind>,
}

/// A kind of resource that a project can begin as.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    /// The name of its folder, and what `--kind` takes.
    pub(crate) name: String,
    /// What a person reads: `a typed library, sold by use`.
    pub(crate) title: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ToolchainKind {
    BuiltIn(BuiltIn),
    Commands(Commands),
}

/// Toolchains that need more than commands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BuiltIn {
    Cargo,
}

/// What builds the guest of a project.
pub(crate) enum Toolchain {
    Cargo(Cargo),
    Commands(&'static Commands),
}

impl Language {
    /// All of them; the first is the default.
    pub(crate) fn all() -> &'static [Self] {
        &LANGUAGES
    }

    /// The language of the project in a folder; `None` if its guest is built with tools of its own.
    pub(crate) fn of(folder: &Path) -> Option<&'static Self> {
        Self::all().iter().find(|language| folder.join(&language.marker).exists())
    }

    /// Reads `--language`.
    pub(crate) fn parser() -> impl TypedValueParser<Value = &'static Self> {
        let value = |language: &'static Self| PossibleValue::new(language.name).help(&*language.title);
        let parser = PossibleValuesParser::new(Self::all().iter().map(value));
        parser
            .map(|name| Self::all().iter().find(|language| language.name == name).expect("one of the possible values"))
    }

    /// Reads `--kind`, of whichever language. Kinds of resources that no project begins as are read, too, so that
    /// [`Language::kind`] says how they are made.
    pub(crate) fn kind_parser() -> PossibleValuesParser {
        let mut kinds: Vec<&'static Kind> = Vec::new();
        for kind in Self::all().iter().flat_map(|language| &language.kinds) {
            if !kinds.iter().any(|known| known.name == kind.name) {
                kinds.push(kind);
            }
        }
        let value = |kind: &'static Kind| {
            let mut help = kind.title.clone();
            help[..1].make_ascii_uppercase();
            PossibleValue::new(&*kind.name).help(help)
        };
        let of_resources = KINDS.into_iter().filter(|name| kinds.iter().all(|kind| kind.name != *name));
        let unlisted = of_resources.map(|name| PossibleValue::new(name).hide(true));
        PossibleValuesParser::new(kinds.iter().copied().map(value).chain(unlisted))
    }

    /// A kind of this language.
    pub(crate) fn kind(&self, name: &str) -> Outcome<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let message = format!("there is no project of the kind `{name}` in {}", self.title);
            if KINDS.contains(&name) {
                let fix = format!(
                    "begin as {MEDIA}, `--kind {MEDIA}`, and write kind = \"{name}\" under [resource] in portcullis.toml"
                );
                return Failure::usage(message, fix);
            }
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name.as_str()).collect();
            Failure::usage(
                message,
                format!("choose one of the kinds {}, or another --language", kinds.join(", ")),
            )
        })
    }

    /// The files of a new project: their paths and texts, with `{{placeholders}}`.
    pub(crate) fn files(&self, kind: &Kind) -> impl Iterator<Item = (String, &'static str)> {
        let folders = ["common", &kind.name].map(|folder| format!("{}/{folder}/", self.name));
        let file = move |(path, text): &(&'static str, &'static str)| {
            let path = folders.iter().find_map(|folder| path.strip_prefix(folder.as_str()))?;
            // Cargo and git would read these files where they lie, but for their names.
            let path = path.strip_suffix(".in").unwrap_or(path);
            Some((if path == "gitignore" { ".gitignore".to_owned() } else { path.to_owned() }, *text))
        };
        FILES.iter().filter_map(file)
    }

    /// What a project gets in `vendor/portcullis/`: paths and texts.
    pub(crate) fn vendored(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_wanted = |path: &str| {
            self.vendored
                .iter()
                .any(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
        };
        VENDORED.iter().copied().filter(move |(path, _)| is_wanted(path))
    }

    /// The toolchain, if it is installed.
    pub(crate) fn toolchain(&'static self) -> Outcome<Toolchain> {
        Ok(match &self.toolchain {
            ToolchainKind::BuiltIn(BuiltIn::Cargo) => Toolchain::Cargo(Cargo::find()?),
            ToolchainKind::Commands(commands) => Toolchain::Commands(commands),
        })
    }

    fn read(name: &'static str) -> Self {
        let file = format!("{name}/language.toml");
        let (_, text) = FILES.iter().find(|(path, _)| *path == file).expect("each language has its folder: a test");
        let language: Self = toml::from_str(text).expect("each language.toml reads: a test");
        Self { name, ..language }
    }
}

impl Toolchain {
    /// Its name in reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Cargo(cargo) => cargo.name(),
            Self::Commands(_) => "commands",
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Cargo(cargo) => cargo.describe(),
            Self::Commands(commands) => commands.describe(),
        }
    }

    /// Builds the guest in a folder. Returns its modules.
    pub(crate) fn build(&self, folder: &Path) -> Outcome<Vec<PathBuf>> {
        match self {
            Self::Cargo(cargo) => cargo.build(folder),
            Self::Commands(commands) => commands.build(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_folder_is_a_language_that_is_offered() {
        let folders: BTreeSet<&str> = FILES.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
        assert_eq!(folders, OFFERED.iter().copied().collect());
        let markers: BTreeSet<&str> = Language::all().iter().map(|language| language.marker.as_str()).collect();
        assert_eq!(markers.len(), OFFERED.len(), "one marker, one language");
        for language in Language::all() {
            assert!(language.kind("software").is_ok(), "{}: what --kind says by default", language.name);
            assert!(language.kind(MEDIA).is_ok(), "{}: what other kinds begin as", language.name);
            assert!(language.vendored().any(|(path, _)| path == "wit/world.wit"), "{}", language.name);
            for kind in &language.kinds {
                let paths: BTreeSet<String> = language.files(kind).map(|(path, _)| path).collect();
                for path in [&*language.marker, "portcullis.toml", "wit/world.wit", "README.md", ".gitignore"] {
                    assert!(paths.contains(path), "{} {}: {path}", language.name, kind.name);
                }
                let (_, kept_out) = language.files(kind).find(|(path, _)| path == ".gitignore").expect("one");
                for ending in ["*.jwk", "*.sealed.wasm"] {
                    assert!(kept_out.lines().any(|line| line == ending), "{}: secret keys stay out", language.name);
                }
            }
        }
    }

    #[test]
    fn what_is_vendored_lies_as_the_sdk_expects() {
        for path in [
            "wit/billing.wit",
            "wit/types.wit",
            "wit/vault.wit",
            "guest-sdk/rust/Cargo.toml",
            "guest-sdk/rust/src/lib.rs",
            "guest-sdk/rust-macros/src/lib.rs",
        ] {
            assert!(Language::all()[0].vendored().any(|(has, _)| has == path), "{path}");
        }
    }
}
