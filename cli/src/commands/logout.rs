//! `portcullis logout`: end a sign-in.

use clap::Args;
use portcullis_protocol::Origin;
use serde::Serialize;

use crate::context::{Context, origin};
use crate::failure::Outcome;
use crate::output::{Report, style};

/// Sign out of a store
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The store [default: the one where you are signed in]
    #[arg(value_name = "URL", value_parser = origin)]
    server: Option<Origin>,
    /// Also forget the store's fingerprint and this terminal's keys for it
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct SignedOut {
    server: Origin,
    forgotten: bool,
    told_server: bool,
}

impl Logout {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = match self.server {
            Some(server) => server,
            None => client.default_server()?,
        };
        let told_server = context.wait(async {
            if self.forget {
                client.forget(&server).await?;
                Ok(true)
            } else {
                Ok(client.sign_out(&server).await?)
            }
        })?;
        context.screen.report(&SignedOut { server, forgotten: self.forget, told_server });
        Ok(())
    }
}

impl Report for SignedOut {
    fn text(&self) -> String {
        let good = style::GOOD;
        let rest = match (self.forgotten, self.told_server) {
            (true, _) => " and forgot it",
            (false, true) => "",
            (false, false) => "; the store could not be told, and forgets you when the sign-in runs out",
        };
        format!("{good}signed out{good:#} of {}{rest}\n", self.server)
    }
}
