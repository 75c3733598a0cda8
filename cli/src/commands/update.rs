//! `portcullis update`: newer versions of what is installed.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{Report, style};
use crate::target::Name;

/// Install newer versions of what is installed
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Which resource [default: all]
    name: Option<Name>,
}

#[derive(Serialize)]
struct Updates {
    resources: Vec<Updated>,
}

#[derive(Serialize)]
struct Updated {
    name: String,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl Update {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let library = context.client()?.library();
        let installed = match &self.name {
            Some(name) => vec![library.find(&name.path())?],
            None => library.list()?,
        };
        let resources = context.wait(async {
            let mut resources = Vec::new();
            for one in &installed {
                let bar = context.screen.bar(&one.name, None);
                let newer = library.update(one, &crate::progress::moved(&bar)).await;
                bar.finish_and_clear();
                resources.push(Updated {
                    name: format!("{}/{}", one.publisher, one.name),
                    from: one.version.to_string(),
                    to: newer?.map(|newer| newer.version.to_string()),
                });
            }
            Ok(resources)
        })?;
        context.screen.report(&Updates { resources });
        Ok(())
    }
}

impl Report for Updates {
    fn text(&self) -> String {
        let good = style::GOOD;
        if self.resources.is_empty() {
            return "nothing is installed\n".into();
        }
        let line = |one: &Updated| match &one.to {
            Some(to) => format!("{good}updated{good:#} {} {} to {to}\n", one.name, one.from),
            None => format!("{} {} is the newest\n", one.name, one.from),
        };
        self.resources.iter().map(line).collect()
    }
}
