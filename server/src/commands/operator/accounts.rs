//! Accounts, their terminals, and invitations.

use super::Report;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portcullis_protocol::{AccountId, TerminalId};
use portcullis_server::secrets::{self, TokenRole, new_token};
use portcullis_server::store::{Account, NewAccount, NewInvitation, SignUp};
use portcullis_server::{App, Email, Password};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};

/// Accounts that one listing reads at a time.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum AccountTask {
    /// Adds an account. The password is read from standard input; without one, it is generated and printed.
    Add {
        /// Its e-mail address.
        email: String,
        /// Whether it may do what operators do.
        #[arg(long)]
        operator: bool,
    },
    /// Lists all accounts.
    List,
    /// Suspends an account: it is refused from now on, everywhere.
    Suspend {
        /// Its e-mail address.
        email: String,
    },
    /// Ends a suspension.
    Restore {
        /// Its e-mail address.
        email: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TerminalTask {
    /// Lists the terminals of an account.
    List {
        /// The account's e-mail address.
        email: String,
    },
    /// Revokes a terminal of an account.
    Revoke {
        /// The account's e-mail address.
        email: String,
        /// The terminal's identifier, as `terminal list` shows it.
        terminal: TerminalId,
    },
}

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// Whether the account becomes an operator's.
    #[arg(long)]
    operator: bool,
    /// Days that the invitation is good for.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=90))]
    days: u64,
}

impl AccountTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::Add { email, operator } => add(app, &email, operator).await,
            Self::List => list(app).await,
            Self::Suspend { email } => suspend(app, &email, true).await,
            Self::Restore { email } => suspend(app, &email, false).await,
        }
    }
}

async fn add(app: &App, email: &str, operator: bool) -> anyhow::Result<Report> {
    let email = Email::new(email)?;
    let (password, generated) = match typed_password()? {
        Some(password) => (password, None),
        None => {
            let generated = new_token();
            (generated.to_string(), Some(generated))
        }
    };
    let id = AccountId::generate(app.core.clock.now().id_millis(), &mut secrets::rng());
    let account = NewAccount {
        id,
        lookup: app.core.secrets.lookup_name(email.as_str()),
        name: app.core.secrets.seal_name(&id, email.as_str()),
        password: app.passwords.hash(Password::chosen(password)?).await?,
        operator,
        invitation: None,
    };
    match app.core.store.create_account(account).await? {
        SignUp::Made => {}
        SignUp::NameTaken => bail!("there is an account of this e-mail address"),
        SignUp::InvitationInvalid => bail!("the store asked for an invitation"),
    }
    let generated = generated.as_deref();
    Ok(Report {
        text: generated.map_or_else(|| "Added.".to_owned(), |password| format!("Added. Its password: {password}")),
        json: json!({"account": id, "email": email.as_str(), "operator": operator, "password": generated}),
    })
}

/// The first line of standard input, or what is typed twice where a person sits there.
fn typed_password() -> anyhow::Result<Option<String>> {
    if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password (empty: generate one): ")?;
        if password.is_empty() {
            return Ok(None);
        }
        if rpassword::prompt_password("Again: ")? != password {
            bail!("the passwords differ: nothing was done");
        }
        return Ok(Some(password));
    }
    let mut text = String::new();
    std::io::stdin().take(1024).read_to_string(&mut text).context("the password on standard input")?;
    Ok(text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned))
}

async fn list(app: &App) -> anyhow::Result<Report> {
    let (mut text, mut rows, mut after) = (String::new(), Vec::new(), None);
    loop {
        let page = app.core.store.account_ids(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for id in &page {
            let account = app.core.store.account(id).await?.context("an account is gone")?;
            let name = app.core.secrets.open_name(&account.id, &account.name)?;
            let (operator, suspended) = (account.operator, account.suspended.is_some());
            let marks = [("operator", operator), ("suspended", suspended)];
            let marks: Vec<&str> = marks.iter().filter(|(_, on)| *on).map(|(mark, _)| *mark).collect();
            writeln!(text, "{name}  {}", marks.join(", "))?;
            rows.push(json!({
                "account": account.id, "email": name, "operator": operator, "suspended": suspended,
                "created": account.created.seconds(),
            }));
        }
    }
    Ok(Report { text, json: json!({"accounts": rows}) })
}

async fn suspend(app: &App, email: &str, suspended: bool) -> anyhow::Result<Report> {
    let account = find(app, email).await?;
    app.core.store.set_suspended(&account.id, suspended).await?;
    Ok(Report {
        text: if suspended { "Suspended." } else { "Restored." }.into(),
        json: json!({"account": account.id, "suspended": suspended}),
    })
}

/// The e-mail address of an account. It is shown to the operator, on the server's own machine, and to nobody else.
pub(super) async fn email_of(app: &App, account: &AccountId) -> anyhow::Result<String> {
    let account = app.core.store.account(account).await?.context("an account is gone")?;
    Ok(app.core.secrets.open_name(&account.id, &account.name)?)
}

pub(super) async fn find(app: &App, email: &str) -> anyhow::Result<Account> {
    let lookup = app.core.secrets.lookup_name(Email::new(email)?.as_str());
    app.core.store.account_by_name(&lookup).await?.context("there is no account of this e-mail address")
}

impl TerminalTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::List { email } => {
                let account = find(app, &email).await?;
                let (mut text, mut rows) = (String::new(), Vec::new());
                for terminal in app.core.store.terminals(&account.id).await? {
                    let revoked = terminal.revoked.is_some();
                    let mark = if revoked { "  revoked" } else { "" };
                    writeln!(text, "{}  {}  {}{mark}", terminal.id, terminal.key.words(), terminal.label)?;
                    rows.push(json!({
                        "terminal": terminal.id, "key": terminal.key, "label": terminal.label,
                        "enrolled": terminal.enrolled.seconds(), "revoked": revoked,
                    }));
                }
                Ok(Report { text, json: json!({"terminals": rows}) })
            }
            Self::Revoke { email, terminal } => {
                let account = find(app, &email).await?;
                if !app.core.store.revoke_terminal(&account.id, &terminal).await? {
                    bail!("the account has no such terminal");
                }
                Ok(Report { text: "Revoked.".into(), json: json!({"terminal": terminal, "revoked": true}) })
            }
        }
    }
}

impl Invite {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let token = new_token();
        let invitation = NewInvitation {
            token: app.core.secrets.hash_token(TokenRole::Invitation, &token),
            operator: self.operator,
            life: self.days * 24 * 3600,
        };
        app.core.store.create_invitation(invitation).await?;
        let url = format!("{}/invite/{}", app.origin(), *token);
        Ok(Report { text: url.clone(), json: json!({"invitation": url, "operator": self.operator}) })
    }
}
