//! `portcullis remove`: off this machine.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::resource::target::Name;
use crate::screen::output::{Report, style};

/// Remove an installed resource; what was bought stays bought
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// publisher/name, or name where that is clear
    name: Name,
}

#[derive(Serialize)]
struct Removed {
    name: String,
    version: String,
}

impl Remove {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let library = context.client()?.library();
        let installed = library.find(&self.name.path())?;
        context.wait(async { Ok(library.remove(&installed).await?) })?;
        context.screen.report(&Removed {
            name: format!("{}/{}", installed.publisher, installed.name),
            version: installed.version.to_string(),
        });
        Ok(())
    }
}

impl Report for Removed {
    fn text(&self) -> String {
        let good = style::GOOD;
        format!("{good}removed{good:#} {} {}; what you bought stays yours\n", self.name, self.version)
    }
}
