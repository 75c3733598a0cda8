//! `portcullis new`: a project that builds anywhere.

use clap::Args;
use portcullis_protocol::text::counted;
use portcullis_protocol::{PublisherName, ResourceName};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;

use crate::context::Context;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::guest::language::Language;
use crate::screen::hint;
use crate::screen::output::{Report, style};
use crate::screen::shell::quoted;

/// Begin a project: a small working resource, with everything it needs to build outside of any checkout
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The resource's name: a-z, 0-9 and '-'; also the folder
    name: ResourceName,
    /// `kind` in portcullis.toml says what it is sold as; this, what it begins as
    #[arg(long, value_parser = Language::kind_parser(), default_value = "software")]
    kind: String,
    /// The language that it is written in
    #[arg(long, value_parser = Language::parser(), default_value = Language::all()[0].name)]
    language: &'static Language,
    /// The name under which you publish
    #[arg(long, default_value = "acme")]
    publisher: PublisherName,
    /// The folder to make, if not NAME
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    folder: PathBuf,
    kind: String,
    language: &'static str,
    #[serde(skip)]
    what: String,
    publisher: PublisherName,
    name: ResourceName,
    files: usize,
}

/// Words that WIT or Rust keep for themselves, and crates that cargo would confuse with its own.
const RESERVED: &str = "as async await borrow bool break build char const constructor continue core crate default \
    deps dyn else enum error-context export extern f32 f64 false flags fn for from func future if impl import in \
    include incremental interface let list loop map match mod move mut option own package proc-macro pub record ref \
    resource result return s16 s32 s64 s8 self static std stream string struct super test trait true tuple type u16 \
    u32 u64 u8 union unsafe use variant where while with world";

impl New {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        check(self.name.as_str())?;
        check(self.publisher.as_str())?;
        let (language, kind) = (self.language, self.language.kind(&self.kind)?);
        let folder = self.path.clone().unwrap_or_else(|| PathBuf::from(self.name.as_str()));
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::new(
                format!("`{}` exists and is not empty", folder.display()),
                "choose another name, or another folder with --path DIR",
            ));
        }
        let words = Words { name: self.name.as_str(), publisher: self.publisher.as_str(), what: &kind.title };
        let mut files = 0;
        let mut write = |path: &str, text: &str| {
            files += 1;
            let path = folder.join(path);
            let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
            parent.and_then(|()| fs::write(&path, text)).or_fail(
                format_args!("write `{}`", path.display()),
                "choose a folder that you may write to: --path DIR",
            )
        };
        for (path, text) in language.files(kind) {
            write(&path, &words.fill(text))?;
        }
        for (path, text) in language.vendored() {
            write(&format!("vendor/portcullis/{path}"), text)?;
        }
        let (what, language) = (kind.title.clone(), language.name);
        let Self { name, publisher, kind, .. } = self;
        context.screen.report(&Made { folder, kind, language, what, publisher, name, files });
        Ok(())
    }
}

/// A name becomes a crate, a WIT package and a Rust module.
fn check(name: &str) -> Outcome {
    if RESERVED.split_ascii_whitespace().any(|word| word == name) {
        let fix = "choose a more telling name";
        return Err(Failure::usage(format!("`{name}` is a word of WIT, Rust or cargo and cannot name a project"), fix));
    }
    match name.split('-').find(|word| !word.starts_with(|c: char| c.is_ascii_lowercase())) {
        Some(word) => Err(Failure::usage(
            format!("`{name}` cannot name a WIT package: its word `{word}` does not begin with a letter"),
            "begin each word between '-' with a letter, as in `night-sky-v2`",
        )),
        None => Ok(()),
    }
}

struct Words<'w> {
    name: &'w str,
    publisher: &'w str,
    what: &'w str,
}

impl Words<'_> {
    fn fill(&self, text: &str) -> String {
        let mut title = self.name.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text.replace("{{name}}", self.name)
            .replace("{{publisher}}", self.publisher)
            .replace("{{name_id}}", &self.name.replace('-', "_"))
            .replace("{{publisher_id}}", &self.publisher.replace('-', "_"))
            .replace("{{title}}", &title)
            .replace("{{what}}", self.what)
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let (good, strong) = (style::GOOD, style::STRONG);
        let folder = self.folder.display();
        format!(
            "{good}made{good:#} {folder}: {} ({})\n\nIt is published as {}/{}: at each store, a publisher's name is one account's alone (`--publisher`).\n\nNext:\n  {strong}cd {}{strong:#}\n  {strong}{}{strong:#}   builds it, sells it on a throw-away store and runs it\n",
            self.what,
            counted(self.files, "file"),
            self.publisher,
            self.name,
            quoted(&folder),
            hint::typed_elsewhere("portcullis dev")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        let words = Words { name: "night-sky", publisher: "acme", what: "a picture" };
        for language in Language::all() {
            for kind in &language.kinds {
                for (path, text) in language.files(kind) {
                    assert!(!words.fill(text).contains("{{"), "{path}");
                }
            }
        }
    }
}
