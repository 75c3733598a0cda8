//! `portcullis list`: what is installed.

use clap::Args;
use portcullis_host::Installed;
use serde::Serialize;

use crate::commands::cache::CodeLine;
use crate::context::Context;
use crate::failure::{OrFail as _, Outcome};
use crate::output::{Report, style};

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
        let installed = client.library().list()?;
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
        let (strong, dim) = (style::STRONG, style::DIM);
        match self.cache.as_deref() {
            Some([]) => return "no compiled code is kept\n".into(),
            Some(cache) => return cache.iter().map(CodeLine::text).collect(),
            None => {}
        }
        if self.resources.is_empty() {
            return "nothing is installed; `portcullis search` shows what there is\n".into();
        }
        let line = |one: &InstalledLine| {
            format!(
                "{strong}{}{strong:#} {}  {}  {dim}{} {}{dim:#}\n",
                one.name, one.version, one.title, one.kind, one.server
            )
        };
        self.resources.iter().map(line).collect()
    }
}
