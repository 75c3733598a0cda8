//! `portcullis terminals`: what is signed in to the account, and how to shut a lost machine out.

use clap::{Args, Subcommand};
use portcullis_host::Storefront;
use portcullis_protocol::wire::{SessionInfo, TerminalInfo};
use portcullis_protocol::{Origin, TerminalId};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::screen::hint;
use crate::screen::output::{Report, UnknownLine, date, style, unshown};
use crate::screen::shell::quoted;

/// List the terminals of your account, and revoke one that is lost
#[derive(Debug, Args)]
pub(crate) struct Terminals {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the terminals, and sign-ins that no terminal has come of yet
    List,
    /// Revoke a terminal, or end a sign-in: it gets nothing from now on
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Revoke {
    /// Its identifier, its words, or its name if no other one has it, as `portcullis terminals` lists them
    terminal: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Listed {
    server: Origin,
    terminals: Vec<Line>,
    browsers: u32,
    /// Terminals and sign-ins that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
}

#[derive(Serialize)]
struct Line {
    id: String,
    label: String,
    words: String,
    /// `signed-in`, `signed-out`, `revoked`, or `unfinished`: approved, and no terminal has enrolled.
    state: &'static str,
    since: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed: Option<u64>,
    current: bool,
    #[serde(skip)]
    names: Named,
}

/// What a line is about, at the store.
#[derive(Clone, Copy)]
enum Named {
    Terminal(TerminalId),
    Session(portcullis_protocol::encoding::Octets<16>),
}

#[derive(Serialize)]
struct Revoked {
    server: Origin,
    id: String,
    label: String,
    words: String,
    /// It is the one in use.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    current: bool,
}

impl Terminals {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let store = client.store(&server);
        match self.task {
            None | Some(Task::List) => {
                let (terminals, browsers, unknown) = context.wait(lines(&store))?;
                context.screen.report(&Listed { server, terminals, browsers, unknown });
                Ok(())
            }
            Some(Task::Revoke(revoke)) => revoke.run(context, &store, server, self.store.named()),
        }
    }
}

impl Revoke {
    fn run(self, context: &Context, store: &Storefront, server: Origin, named: Option<&Origin>) -> Outcome {
        let (lines, ..) = context.wait(lines(store))?;
        let line = self.find(&lines)?;
        if line.state == "revoked" {
            return Err(Failure::new(format!("{} was revoked before", line.label), "there is nothing to do"));
        }
        let question = if line.current {
            format!("Revoke {}, this very terminal? You will need new keys to sign in here again.", line.label)
        } else {
            format!("Revoke {} ({})? This cannot be undone.", line.label, line.words)
        };
        if !self.yes && !context.screen.can_ask() {
            let at = named.map_or_else(String::new, |named| format!(" --server {}", quoted(named)));
            return Err(Failure::nobody_to_ask(
                format_args!("{} was not revoked", line.label),
                format_args!("portcullis terminals{at} revoke {}", quoted(&self.terminal)),
            ));
        }
        if !self.yes && !context.screen.ask(question) {
            return Err(Failure::new("nothing was revoked", "answer y, or pass --yes"));
        }
        context.wait(async {
            match line.names {
                Named::Terminal(terminal) => store.revoke_terminal(terminal).await?,
                Named::Session(session) => store.end_session(session).await?,
            }
            Ok(())
        })?;
        let Line { id, label, words, current, .. } = line;
        let (id, label, words) = (id.clone(), label.clone(), words.clone());
        context.screen.report(&Revoked { server, id, label, words, current: *current });
        Ok(())
    }

    /// The one that is meant. One that was revoked is meant only if it is named exactly.
    fn find<'a>(&self, lines: &'a [Line]) -> Outcome<&'a Line> {
        let wanted = self.terminal.as_str();
        if let Some(line) = lines.iter().find(|line| line.id == wanted) {
            return Ok(line);
        }
        let open: Vec<&Line> = lines
            .iter()
            .filter(|line| line.state != "revoked" && (line.label == wanted || line.words == wanted))
            .collect();
        match open.as_slice() {
            [line] => Ok(line),
            [] => Err(Failure::new(
                format!("your account has no terminal `{wanted}` that could be revoked"),
                "`portcullis terminals` lists them",
            )),
            several => {
                let ids: Vec<&str> = several.iter().map(|line| line.id.as_str()).collect();
                Err(Failure::new(
                    format!("several terminals are called `{wanted}`"),
                    format!("name one by its identifier: {}", ids.join(", ")),
                ))
            }
        }
    }
}

/// The terminals of the account as its owner names them: this one, the others, then those that were revoked.
async fn lines(store: &Storefront) -> Outcome<(Vec<Line>, u32, Vec<UnknownLine>)> {
    let account = store.account().await?;
    let answer = store.sessions().await?;
    let mut renewed: BTreeMap<String, u64> = BTreeMap::new();
    for session in &answer.sessions {
        if let Some(terminal) = session.terminal {
            let last = renewed.entry(terminal.to_string()).or_default();
            *last = (*last).max(session.renewed);
        }
    }
    let unfinished = answer.sessions.iter().filter(|session| session.terminal.is_none()).map(waiting);
    let unknown = account.terminals.unknown.iter().chain(&answer.sessions.unknown).map(UnknownLine::of).collect();
    let terminals = account.terminals.into_iter().map(|terminal| line(terminal, &renewed));
    let (open, revoked): (Vec<Line>, Vec<Line>) = terminals.partition(|line| line.state != "revoked");
    Ok((open.into_iter().chain(unfinished).chain(revoked).collect(), answer.browsers, unknown))
}

fn line(info: TerminalInfo, renewed: &BTreeMap<String, u64>) -> Line {
    let id = info.terminal.to_string();
    let renewed = renewed.get(&id).copied();
    let state = match (info.revoked, renewed) {
        (true, _) => "revoked",
        (false, Some(_)) => "signed-in",
        (false, None) => "signed-out",
    };
    Line {
        id,
        label: info.label,
        words: info.key.words(),
        state,
        since: info.enrolled,
        renewed,
        current: info.current,
        names: Named::Terminal(info.terminal),
    }
}

fn waiting(info: &SessionInfo) -> Line {
    Line {
        id: info.session.to_string(),
        label: info.label.clone(),
        words: info.key.words(),
        state: "unfinished",
        since: info.began,
        renewed: None,
        current: false,
        names: Named::Session(info.session),
    }
}

impl Report for Listed {
    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
        let mut text = String::new();
        for line in &self.terminals {
            let here = if line.current { ", this one" } else { "" };
            let state = match (line.state, line.renewed) {
                ("signed-in", Some(renewed)) => format!("signed in, renewed {}", date(renewed)),
                ("unfinished", _) => "approved, not enrolled; it ends by itself within minutes".to_owned(),
                ("signed-out", _) => "signed out".to_owned(),
                (other, _) => other.to_owned(),
            };
            text += &format!("{strong}{}{strong:#}  {}{here}\n", line.label, state);
            text += &format!("  {dim}{}  {}  since {}{dim:#}\n", line.id, line.words, date(line.since));
        }
        let browsers = match self.browsers {
            0 => "no browser is signed in".to_owned(),
            1 => "1 browser is signed in".to_owned(),
            more => format!("{more} browsers are signed in"),
        };
        text + &unshown(&self.unknown) + &format!("{browsers} at {}\n", self.server)
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        let good = style::GOOD;
        format!("{good}revoked{good:#} {} ({}) at {}\n", self.label, self.words, self.server)
    }

    fn notes(&self) -> String {
        let (warn, strong, server) = (style::WARN, style::STRONG, &self.server);
        if !self.current {
            return String::new();
        }
        format!(
            "{warn}note{warn:#}: that is this very terminal: nobody is signed in here any more. To sign in with new keys: \
             {strong}{} {server}{strong:#}\n",
            hint::typed("portcullis login")
        )
    }
}
