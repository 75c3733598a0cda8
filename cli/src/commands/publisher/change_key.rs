//! `portcullis change-key`: another key signs what a publisher publishes from now on.

use clap::Args;
use portcullis_protocol::PublisherName;
use serde::Serialize;
use std::path::PathBuf;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::project::publisher_key::{self, Whose};
use crate::screen::output::{KeyName, Lines, Report, style};

/// Change a publisher's key: the old one vouches for the new one, so that those who trust the old one follow
#[derive(Debug, Args)]
pub(crate) struct ChangeKey {
    /// The publisher
    publisher: PublisherName,
    /// The new key, as `portcullis keygen --output FILE` wrote it
    #[arg(value_name = "NEW_KEY")]
    successor: PathBuf,
    /// The key in use [default: publisher.jwk in the home folder]
    #[arg(long, value_name = "FILE", env = publisher_key::VARIABLE)]
    key: Option<PathBuf>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Changed {
    server: String,
    publisher: PublisherName,
    #[serde(flatten)]
    key: KeyName,
    #[serde(skip)]
    file: PathBuf,
}

impl ChangeKey {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let key = publisher_key::read(&publisher_key::path(self.key.as_deref(), &context.home()?), Whose::Publisher)?;
        let successor = publisher_key::read(&self.successor, Whose::Publisher)?;
        if successor.public() == key.public() {
            return Err(Failure::usage(
                "the new key is the one in use",
                "make another one: `portcullis keygen --output new.jwk`",
            ));
        }
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        context.wait(async { Ok(client.publishing(&server).vouch(&self.publisher, &key, &successor).await?) })?;
        context.screen.report(&Changed {
            server: server.to_string(),
            publisher: self.publisher,
            key: successor.public().thumbprint().into(),
            file: self.successor,
        });
        Ok(())
    }
}

impl Report for Changed {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("words", &self.key.words).add("thumbprint", &self.key.thumbprint);
        format!(
            "{good}changed{good:#} the key of {} at {}\n{lines}\nSeal and publish with `--key {}` from now on. The old key is needed no longer, but keep it where you sell at other stores.\n",
            self.publisher,
            self.server,
            self.file.display()
        )
    }
}
