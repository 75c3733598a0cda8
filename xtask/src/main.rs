//! `cargo xtask VERB`: what a developer of Portcullis types.
//!
//! Each verb is one module and one row of [`VERBS`]. Nothing here links the engine, so that a fresh clone gets its
//! first line of output within seconds.
#![forbid(unsafe_code)]

mod assets;
mod compare;
mod drive;
mod foreign;
mod fuzz;
mod guests;
mod imports;
mod rustdoc;
mod setup;
mod step;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// A verb: its name, what it does, and the function that does it with the arguments that follow the name.
struct Verb {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const VERBS: &[Verb] = &[
    Verb { name: "setup", about: "find or install what guests are compiled with", run: setup::run },
    Verb {
        name: "guests", about: "build the example resources (and test guests) for wasm [NAME…]", run: guests::run
    },
    Verb {
        name: "demo",
        about: "seal, sell and run the example resources, then try to cheat [--json FILE]",
        run: drive::demo,
    },
    Verb { name: "test", about: "set up what tests need and run them [--no-lint] [--all]", run: test::run },
    Verb { name: "examples", about: "test the example resources", run: test::examples },
    Verb { name: "foreign", about: "install the tools of others that tests compare with", run: foreign::run },
    Verb { name: "fuzz", about: "throw bytes at a parser of mail: TARGET [SECONDS]", run: fuzz::run },
    Verb { name: "shots", about: "pictures of every page, below target/shots", run: drive::shots },
    Verb { name: "attacks", about: "try every attack, each with its control [--json FILE]", run: drive::attacks },
    Verb {
        name: "bench",
        about: "measure the rows of docs/performance.md [--compare] [--only ROW] [--check] [--json FILE]",
        run: drive::bench,
    },
];

/// Where the checkout is.
struct Workspace {
    root: PathBuf,
}

impl Workspace {
    fn locate() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask lies outside a workspace")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// A path inside the build folder, which `cargo clean` removes.
    fn target(&self, below: &str) -> PathBuf {
        self.root.join("target").join(below)
    }

    /// `path` as a person types it from the checkout.
    fn display<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

fn main() -> ExitCode {
    if let Some(code) = rustdoc::called_as() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) if name != "help" && name != "--help" && name != "-h" => (name, rest),
        asked => {
            usage();
            return if asked.is_some() { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprintln!("error: there is no verb `{name}`\n");
        usage();
        return ExitCode::from(2);
    };
    match Workspace::locate().and_then(|workspace| (verb.run)(&workspace, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() {
    eprintln!("usage: cargo xtask VERB\n");
    for verb in VERBS {
        eprintln!("  {:<8} {}", verb.name, verb.about);
    }
}
