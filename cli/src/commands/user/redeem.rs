//! `portcullis redeem`: turn a code into rights.

use clap::Args;
use portcullis_protocol::Reason;
use portcullis_protocol::codes::RedemptionCode;
use serde::Serialize;
use std::time::Instant;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::screen::moment::minute;
use crate::screen::output::{Lines, Report, style};

/// Redeem a code for a resource: a gift, a promotion, or one that you bought
#[derive(Debug, Args)]
pub(crate) struct Redeem {
    /// The code, XXXXX-XXXXX-XXXXX-XXXXX
    code: String,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Redeemed {
    server: String,
    name: String,
    operation: String,
    rights: String,
    /// When it was redeemed, if the store says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// Whether it was redeemed before this command, and gave nothing more.
    before: bool,
    /// Whether the resource lies on this terminal.
    #[serde(skip)]
    installed: bool,
}

impl Redeem {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        // A slip is found before anybody is asked.
        if let Err(error) = self.code.parse::<RedemptionCode>() {
            return Err(Failure::usage(error, "type it as it is written; capitals and hyphens do not matter"));
        }
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let asked = Instant::now();
        let report = context.wait(async {
            let answer = client.store(&server).redeem(&self.code).await.map_err(|error| {
                let failure = Failure::from(error);
                match failure.reason() {
                    Some(Reason::ConfirmationRequired | Reason::ResourceWithdrawn) => failure.in_detail(),
                    _ => failure,
                }
            })?;
            // By the store's clock, which its answer has just told; a second for what both moments leave out.
            let began = client.server_clock(&server).now().saturating_sub(asked.elapsed().as_secs() + 1);
            let name = format!("{}/{}", answer.publisher, answer.name);
            let installed = client.library().find(&name).is_ok();
            Ok(Redeemed {
                server: server.to_string(),
                name,
                operation: answer.operation.to_string(),
                rights: answer.rights.to_string(),
                at: answer.at,
                before: answer.at.is_some_and(|at| at < began),
                installed,
            })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Report for Redeemed {
    fn text(&self) -> String {
        let (good, strong) = (style::GOOD, style::STRONG);
        let mut lines = Lines::default();
        let next = if self.installed { "inspect" } else { "install" };
        lines
            .add("rights", &self.rights)
            .add("store", &self.server)
            .add("next", format_args!("portcullis {next} {}, which says how it is run", self.name));
        match self.at.filter(|_| self.before) {
            Some(at) => {
                let warn = style::WARN;
                let text = format!("your account redeemed this code on {}, and it gives nothing more", minute(at));
                let (name, operation) = (&self.name, &self.operation);
                format!("{warn}redeemed before{warn:#}: {text}\n{strong}{name}{strong:#} {operation}\n{lines}")
            }
            None => format!("{good}redeemed{good:#} {strong}{}{strong:#} {}\n{lines}", self.name, self.operation),
        }
    }
}
