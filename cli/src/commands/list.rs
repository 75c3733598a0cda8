//! `portcullis list`: what is installed.

use clap::Args;
use portcullis_host::Installed;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{Report, style};

/// List what is installed
#[derive(Debug, Args)]
pub(crate) struct List {}

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
}

impl List {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let installed = context.client()?.library().list()?;
        context.screen.report(&Library { resources: installed.iter().map(InstalledLine::from).collect() });
        Ok(())
    }
}

impl Report for Library {
    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
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
