//! `portcullis balance`: prepaid money.

use clap::Args;
use portcullis_protocol::wire::BalanceInfo;
use serde::Serialize;

use crate::context::{Context, ServerOption};
use crate::failure::Outcome;
use crate::screen::hint;
use crate::screen::output::{Report, UnknownLine, style, unshown};

/// Show the money you have paid in, for operations that are sold by the unit
#[derive(Debug, Args)]
pub(crate) struct Balance {
    #[command(flatten)]
    store: ServerOption,
}

/// A balance, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct BalanceLine {
    balance: String,
    /// How much of it is held for codes that are not verified yet.
    held: String,
    #[serde(skip)]
    nothing_held: bool,
}

impl From<&BalanceInfo> for BalanceLine {
    fn from(info: &BalanceInfo) -> Self {
        Self { balance: info.amount.to_string(), held: info.held.to_string(), nothing_held: info.held.is_zero() }
    }
}

impl std::fmt::Display for BalanceLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.balance)?;
        if self.nothing_held { Ok(()) } else { write!(f, ", {} of it held", self.held) }
    }
}

#[derive(Serialize)]
struct Balances {
    server: String,
    balances: Vec<BalanceLine>,
    /// What this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
}

impl Balance {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let balances = context.wait(async { Ok(client.store(&server).balances().await?) })?;
        let unknown = balances.unknown.iter().map(UnknownLine::of).collect();
        let balances = balances.iter().map(BalanceLine::from).collect();
        context.screen.report(&Balances { server: server.to_string(), balances, unknown });
        Ok(())
    }
}

impl Report for Balances {
    fn text(&self) -> String {
        let strong = style::STRONG;
        if self.balances.is_empty() && self.unknown.is_empty() {
            let top_up = hint::typed("portcullis top-up 5.00EUR");
            return format!("nothing was paid in at {}; `{top_up}` does it\n", self.server);
        }
        let lines = self.balances.iter().map(|balance| format!("{strong}{balance}{strong:#} at {}\n", self.server));
        lines.chain([unshown(&self.unknown)]).collect()
    }
}
