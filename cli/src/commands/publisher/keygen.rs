//! `portcullis keygen`: the key that signs everything a publisher publishes.

use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

use crate::context::Context;
use crate::failure::Outcome;
use crate::project::publisher_key;
use crate::screen::output::{KeyName, Lines, Report, style};

/// Make a publisher key, which signs all that you publish. Never overwrites one
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where to write it, if not into the home folder
    #[arg(short, long, value_name = "FILE", env = publisher_key::VARIABLE)]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    file: PathBuf,
    #[serde(flatten)]
    key: KeyName,
}

impl Keygen {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let file = publisher_key::path(self.output.as_deref(), &context.home()?);
        let key = publisher_key::create(&file)?.public().thumbprint().into();
        context.screen.report(&Made { file, key });
        Ok(())
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("words", &self.key.words).add("thumbprint", &self.key.thumbprint);
        format!(
            "{good}made{good:#} {}\n{lines}\nWhoever has this file can publish in your name: keep a copy in a safe place, and no other.\n",
            self.file.display()
        )
    }
}
