//! `portcullis list`: what is installed.

use clap::Args;
use portcullis_host::{Installed, LibraryEntry};
use serde::Serialize;

use crate::commands::machine::cache::CodeLine;
use crate::context::Context;
use crate::failure::{OrFail as _, Outcome};
use crate::screen::hint;
use crate::screen::output::Report;
use crate::screen::table::Table;

/// List what is installed
#[derive(Debug, Args)]
pub(crate) struct List {
    /// List the compiled code that is kept between runs instead, least lately used first
    #[arg(long)]
    cache: bool,
}

/// An installed resource, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct InstalledLine {
    name: String,
    version: String,
    kind: String,
    title: String,
    digest: String,
    server: String,
    installed: u64,
    file: std::path::PathBuf,
}

impl From<&Installed> for InstalledLine {
    fn from(installed: &Installed) -> Self {
        Self {
            name: format!("{}/{}", installed.publisher, installed.name),
            version: installed.version.to_string(),
            kind: installed.kind.clone(),
            title: installed.title.clone(),
            digest: installed.digest.to_string(),
            server: installed.server.to_string(),
            installed: installed.at,
            file: installed.path.clone(),
        }
    }
}

#[derive(Serialize)]
struct Library {
    resources: Vec<InstalledLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Vec<CodeLine>>,
}

impl List {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let mut installed = Vec::new();
        for LibraryEntry { name, installed: found, .. } in client.library().entries()? {
            match found {
                Ok(found) => installed.push(found),
                // One damaged record hides no other.
                Err(error) => {
                    let doctor = hint::typed("portcullis doctor");
                    context.screen.warn(format_args!("{name} is left out: {error}; `{doctor}` tells more"));
                }
            }
        }
        let cache = match self.cache {
            true => Some(client.cache().list().or_fail("read the cache", "`portcullis cache clear` begins anew")?),
            false => None,
        };
        context.screen.report(&Library {
            resources: installed.iter().map(InstalledLine::from).collect(),
            cache: cache.map(|cache| cache.iter().map(CodeLine::from).collect()),
        });
        Ok(())
    }
}

impl Report for Library {
    fn text(&self) -> String {
        if let Some(cache) = &self.cache {
            return CodeLine::table(cache).to_string();
        }
        let mut table = Table::new(&["name", "version", "kind", "title", "store"]);
        for one in &self.resources {
            table.row([&one.name, &one.version, &one.kind, &one.title, &one.server].map(Clone::clone));
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        match &self.cache {
            Some(cache) if cache.is_empty() => "no compiled code is kept\n".into(),
            None if self.resources.is_empty() => {
                hint::typed("nothing is installed; `portcullis search` shows what there is\n").into_owned()
            }
            _ => String::new(),
        }
    }
}
