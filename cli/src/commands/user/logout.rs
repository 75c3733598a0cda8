//! `portcullis logout`: end a sign-in.

use clap::Args;
use portcullis_protocol::Origin;
use serde::Serialize;

use crate::context::{Context, origin};
use crate::failure::Outcome;
use crate::screen::output::{Report, style};

/// Sign out of a store
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The store [default: the one where you are signed in]
    #[arg(value_name = "URL", value_parser = origin)]
    server: Option<Origin>,
    /// Sign the account out everywhere: every terminal, every browser, and what was approved and is not used yet
    #[arg(long)]
    everywhere: bool,
    /// Also forget the store's fingerprint and this terminal's keys for it
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct SignedOut {
    server: Origin,
    forgotten: bool,
    told_server: bool,
    everywhere: bool,
}

impl Logout {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = match self.server {
            Some(server) => server,
            None => client.default_server()?,
        };
        let told_server = context.wait(async {
            if self.everywhere {
                // First, and as a whole: if the store does not hear of it, nothing is forgotten here either.
                client.store(&server).sign_out_everywhere().await?;
            }
            if self.forget {
                client.forget(&server).await?;
                Ok(true)
            } else {
                Ok(client.sign_out(&server).await?)
            }
        })?;
        let (forgotten, everywhere) = (self.forget, self.everywhere);
        context.screen.report(&SignedOut { server, forgotten, told_server, everywhere });
        Ok(())
    }
}

impl Report for SignedOut {
    fn text(&self) -> String {
        let good = style::GOOD;
        let rest = match (self.forgotten, self.told_server || self.everywhere) {
            (true, _) => " and forgot it",
            (false, true) => "",
            (false, false) => "; the store could not be told, and forgets you when the sign-in runs out",
        };
        let everywhere = if self.everywhere { " everywhere" } else { "" };
        format!("{good}signed out{everywhere}{good:#} of {}{rest}\n", self.server)
    }
}
