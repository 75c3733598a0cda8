//! `portcullis whoami`: who is signed in, where, on which terminals.

use clap::Args;
use portcullis_protocol::Origin;
use portcullis_protocol::wire::TerminalInfo;
use serde::Serialize;

use crate::commands::user::balance::BalanceLine;
use crate::context::{Context, ServerOption};
use crate::failure::Outcome;
use crate::screen::output::{Lines, Report, UnknownLine, date, style, unshown};

/// Show who is signed in, what is paid in, and the account's terminals
#[derive(Debug, Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Account {
    server: Origin,
    server_words: String,
    account: String,
    publishers: Vec<String>,
    balances: Vec<BalanceLine>,
    terminals: Vec<Terminal>,
    /// Balances and terminals that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
}

#[derive(Serialize)]
struct Terminal {
    terminal: String,
    label: String,
    words: String,
    enrolled: u64,
    revoked: bool,
    current: bool,
}

impl From<TerminalInfo> for Terminal {
    fn from(info: TerminalInfo) -> Self {
        Self {
            terminal: info.terminal.to_string(),
            label: info.label,
            words: info.key.words(),
            enrolled: info.enrolled,
            revoked: info.revoked,
            current: info.current,
        }
    }
}

impl Whoami {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let store = client.store(&server);
        let (answer, balances) = context.wait(async { Ok((store.account().await?, store.balances().await?)) })?;
        let pins = client.servers()?;
        let words = pins.iter().find(|pin| pin.origin == server).map_or_else(String::new, |pin| pin.words());
        let unknown = answer.terminals.unknown.iter().chain(&balances.unknown).map(UnknownLine::of).collect();
        context.screen.report(&Account {
            server,
            server_words: words,
            account: answer.account,
            publishers: answer.publishers.iter().map(ToString::to_string).collect(),
            balances: balances.iter().map(BalanceLine::from).collect(),
            terminals: answer.terminals.into_iter().map(Terminal::from).collect(),
            unknown,
        });
        Ok(())
    }
}

impl Report for Account {
    fn text(&self) -> String {
        let strong = style::STRONG;
        let mut lines = Lines::default();
        lines.add("store", format_args!("{}  {}", self.server, self.server_words));
        if !self.publishers.is_empty() {
            lines.add("publishes as", self.publishers.join(", "));
        }
        for balance in &self.balances {
            lines.add("balance", balance);
        }
        for terminal in &self.terminals {
            let state = match (terminal.revoked, terminal.current) {
                (true, _) => ", revoked",
                (false, true) => ", this one",
                (false, false) => "",
            };
            let enrolled = date(terminal.enrolled);
            lines.add("terminal", format_args!("{} (since {enrolled}{state})\n{}", terminal.label, terminal.words));
        }
        format!("{strong}{}{strong:#}\n{lines}{}", self.account, unshown(&self.unknown))
    }
}
