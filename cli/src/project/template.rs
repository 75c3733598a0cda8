//! The files of a new project, per kind, and what is vendored into each.

use clap::ValueEnum;

/// A file of a project: its path and its text, with `{{placeholders}}`.
type File = (&'static str, &'static str);

/// The contract and the SDK: paths below the checkout, and texts.
pub(crate) const VENDORED: &[File] = include!(concat!(env!("OUT_DIR"), "/vendored.rs"));

/// What kind of resource a project begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A typed library, sold by use
    Software,
    /// A picture with a free sketch, sold for good
    Picture,
    /// A command with arguments and standard output, sold for good
    Command,
}

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../template/", $folder, "/", $path, ".in")))),*]
    };
}

const COMMON: &[File] = &[
    ("Cargo.toml", include_str!("../../template/common/Cargo.toml.in")),
    (".gitignore", include_str!("../../template/common/gitignore.in")),
    ("README.md", include_str!("../../template/common/README.md.in")),
];

impl Kind {
    /// The files of a project of this kind.
    pub(crate) fn files(self) -> impl Iterator<Item = &'static File> {
        let own: &[File] = match self {
            Self::Software => files!("software": "portcullis.toml", "wit/world.wit", "src/lib.rs"),
            Self::Picture => {
                files!("picture": "portcullis.toml", "wit/world.wit", "src/lib.rs", "assets/sketch.svg", "assets/full.svg")
            }
            Self::Command => {
                files!("command": "portcullis.toml", "wit/world.wit", "wit/deps/wasi-cli.wit", "wit/deps/wasi-io.wit", "src/lib.rs", "src/roman.rs")
            }
        };
        COMMON.iter().chain(own)
    }

    /// What a person reads.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Software => "a typed library, sold by use",
            Self::Picture => "a picture with a free sketch, sold for good",
            Self::Command => "a command, sold for good",
        }
    }
}
