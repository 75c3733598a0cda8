//! Accounts, their terminals, and invitations.

use super::super::RandomId;
use super::{Report, missing};
use crate::audit::Act;
use crate::crypto::secrets::{TokenRole, new_token};
use crate::identity::accounts::{Found, Made, Wanted};
use crate::store::{Account, ChangedBy, NewInvitation, PAGE, Terminal, every};
use crate::{App, Email, Password};
use anyhow::{Context as _, bail, ensure};
use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand, value_parser};
use futures::TryStreamExt as _;
use portcullis_protocol::text::{counted, lasting};
use portcullis_protocol::{AccountId, TerminalId};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use zeroize::Zeroizing;

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
    /// Gives an account another password, read from standard input; without one, it is generated and printed.
    /// Everything that is signed in to the account ends.
    Password {
        /// Its e-mail address.
        email: String,
    },
    /// Lists what is signed in to an account.
    Sessions {
        /// Its e-mail address.
        email: String,
    },
    /// Signs an account out everywhere: terminals, browsers, and codes that were approved and not used yet.
    SignOut {
        /// Its e-mail address.
        email: String,
    },
    /// Suspends an account: it is refused from now on, everywhere, and everything that is signed in to it ends.
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

#[derive(Debug, Subcommand)]
pub(super) enum InvitationTask {
    /// Lists the invitations that are still good.
    List,
    /// Takes an invitation back.
    Revoke {
        /// Its identifier, as `invitation list` shows it.
        invitation: RandomId,
    },
}

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// Whether the account becomes an operator's.
    #[arg(long)]
    operator: bool,
    /// Days that the invitation is good for.
    #[arg(long, default_value_t = 7, value_parser = value_parser!(u32).range(1..=90).map(u64::from))]
    days: u64,
}

impl AccountTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::Add { email, operator } => add(app, &email, operator).await,
            Self::List => list(app).await,
            Self::Password { email } => set_password(app, &email).await,
            Self::Sessions { email } => sessions(app, &email).await,
            Self::SignOut { email } => sign_out(app, &email).await,
            Self::Suspend { email } => suspend(app, &email, true).await,
            Self::Restore { email } => suspend(app, &email, false).await,
        }
    }
}

async fn add(app: &App, email: &str, operator: bool) -> anyhow::Result<Report> {
    let email = Email::new(email)?;
    let (password, generated) = typed_or_generated()?;
    let wanted = Wanted { email: email.clone(), password: Password::chosen(password)?, operator, invitation: None };
    let act = Act::of_user(&app.core, "account add", "").with("operator", operator);
    let id = match act.scope(app.accounts().create(wanted)).await? {
        Made::Account(id) => id,
        Made::NameTaken => bail!("there is an account of this e-mail address"),
        Made::InvitationInvalid => bail!("the store asked for an invitation"),
    };
    let generated = generated.as_deref();
    Ok(Report {
        text: generated.map_or_else(|| "Added.".to_owned(), |password| format!("Added. Its password: {password}")),
        json: json!({"account": id, "email": email.as_str(), "operator": operator, "password": generated}),
    })
}

async fn set_password(app: &App, email: &str) -> anyhow::Result<Report> {
    let account = find(app, email).await?;
    let (password, generated) = typed_or_generated()?;
    let act = Act::of_user(&app.core, "account password", account.id);
    let changed = app.accounts().set_password(account.id, Password::chosen(password)?, ChangedBy::Operator);
    let changed = act.scope(changed).await?;
    ensure!(changed.is_some(), "there is no account with this e-mail address");
    let generated = generated.as_deref();
    let done = "Changed. Everything that was signed in has ended.";
    Ok(Report {
        text: generated.map_or_else(|| done.to_owned(), |password| format!("{done} The password: {password}")),
        json: json!({"account": account.id, "password": generated}),
    })
}

async fn sign_out(app: &App, email: &str) -> anyhow::Result<Report> {
    let account = find(app, email).await?;
    let act = Act::of_user(&app.core, "account sign-out", account.id);
    let ended = act.scope(app.core.store.sign_out_everywhere(&account.id)).await?;
    Ok(Report {
        text: format!("Signed out: terminals {}, browsers {}, codes {}.", ended.sessions, ended.browsers, ended.codes),
        json: json!({
            "account": account.id, "sessions": ended.sessions, "browsers": ended.browsers, "codes": ended.codes,
        }),
    })
}

async fn sessions(app: &App, email: &str) -> anyhow::Result<Report> {
    let account = find(app, email).await?;
    let (mut text, mut rows) = (String::new(), Vec::new());
    for session in app.core.store.sessions(&account.id).await? {
        let terminal = session.terminal.map_or_else(|| "no terminal yet".to_owned(), |terminal| terminal.to_string());
        writeln!(text, "{}  {}  {}  {terminal}", session.id.0, session.key.words(), session.label)?;
        rows.push(json!({
            "session": session.id.0, "key": session.key, "label": session.label, "terminal": session.terminal,
            "began": session.created.seconds(), "renewed": session.used.seconds(), "ends": session.expires.seconds(),
        }));
    }
    let mut browsers = Vec::new();
    for browser in app.core.store.browser_sessions(&account.id, None).await? {
        writeln!(
            text,
            "a browser, signed in {} ago",
            lasting(app.core.clock.now().seconds().saturating_sub(browser.created.seconds()))
        )?;
        browsers.push(json!({"began": browser.created.seconds(), "ends": browser.expires.seconds()}));
    }
    let json = json!({"sessions": rows, "browsers": browsers});
    Ok(Report::list(text, "Nothing is signed in to the account.", json))
}

/// The password that was typed, or one that is generated, which is to be shown.
fn typed_or_generated() -> anyhow::Result<(String, Option<Zeroizing<String>>)> {
    Ok(match typed_password()? {
        Some(password) => (password, None),
        None => {
            let generated = new_token();
            (generated.to_string(), Some(generated))
        }
    })
}

/// The first line of standard input, or what is typed twice if a person sits there.
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
    let (mut text, mut rows) = (String::new(), Vec::new());
    let mut ids = every(|after| app.core.store.account_ids(after, PAGE));
    while let Some(id) = ids.try_next().await? {
        let account = app.core.store.account(&id).await?.context("an account is gone")?;
        let name = app.core.secrets.open_name(&account.id, &account.name)?;
        let (operator, suspended) = (account.operator, account.suspended.is_some());
        let marks = [("operator", operator), ("suspended", suspended)];
        let marks: Vec<&str> = marks.iter().filter(|(_, on)| *on).map(|(mark, _)| *mark).collect();
        writeln!(text, "{name}  {}", marks.join(", "))?;
        rows.push(json!({
            "account": account.id, "email": name, "operator": operator, "suspended": suspended,
            "created": account.created.seconds(), "verified": account.verified.is_some(),
        }));
    }
    Ok(Report::list(text, "No accounts.", json!({"accounts": rows})))
}

async fn suspend(app: &App, email: &str, suspended: bool) -> anyhow::Result<Report> {
    let account = find(app, email).await?;
    let action = if suspended { "account suspend" } else { "account restore" };
    let act = Act::of_user(&app.core, action, account.id);
    let changed = act.scope(app.core.store.set_suspended(&account.id, suspended)).await?;
    let text = match (suspended, changed) {
        (true, true) => "Suspended.",
        (false, true) => "Restored.",
        (true, false) => "The account is suspended already, so nothing was changed.",
        (false, false) => "The account is not suspended, so nothing was changed.",
    };
    Ok(Report { text: text.into(), json: json!({"account": account.id, "suspended": suspended, "changed": changed}) })
}

/// The e-mail address of an account. It is shown to the operator, on the server's own machine, and to nobody else.
pub(super) async fn email_of(app: &App, account: &AccountId) -> anyhow::Result<String> {
    Ok(app.accounts().name_of(account).await?)
}

pub(super) async fn find(app: &App, email: &str) -> anyhow::Result<Account> {
    known(app, email).await?.context("there is no account with this e-mail address")
}

/// The account of an e-mail address, if there is one.
pub(super) async fn known(app: &App, email: &str) -> anyhow::Result<Option<Account>> {
    Ok(match app.accounts().find(email).await? {
        Found::Account(account, _) => Some(*account),
        Found::Nobody(_) | Found::NoName => None,
    })
}

/// Every terminal of an account: those in use, then those that were revoked.
async fn terminals_of(app: &App, account: &AccountId) -> anyhow::Result<Vec<Terminal>> {
    let mut all = Vec::new();
    for revoked in [false, true] {
        let list =
            |last: Option<Terminal>| app.core.store.terminals(account, revoked, last.map(|terminal| terminal.id), PAGE);
        all.extend(every(list).try_collect::<Vec<_>>().await?);
    }
    Ok(all)
}

impl TerminalTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::List { email } => {
                let account = find(app, &email).await?;
                let (mut text, mut rows) = (String::new(), Vec::new());
                for terminal in terminals_of(app, &account.id).await? {
                    let revoked = terminal.revoked.is_some();
                    let mark = if revoked { "  revoked" } else { "" };
                    writeln!(text, "{}  {}  {}{mark}", terminal.id, terminal.key.words(), terminal.label)?;
                    rows.push(json!({
                        "terminal": terminal.id, "key": terminal.key, "label": terminal.label,
                        "enrolled": terminal.enrolled.seconds(), "revoked": revoked,
                    }));
                }
                Ok(Report::list(text, "The account has no terminals.", json!({"terminals": rows})))
            }
            Self::Revoke { email, terminal } => {
                let account = find(app, &email).await?;
                let act = Act::of_user(&app.core, "terminal revoke", terminal).with("account", account.id);
                if !act.scope(app.core.store.revoke_terminal(&account.id, &terminal)).await? {
                    return Err(missing("terminal of the account", terminal, &format!("terminal list {email}")));
                }
                Ok(Report { text: "Revoked.".into(), json: json!({"terminal": terminal, "revoked": true}) })
            }
        }
    }
}

impl InvitationTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::List => {
                let (mut text, mut rows) = (String::new(), Vec::new());
                let now = app.core.clock.now().seconds();
                for invitation in app.core.store.invitations().await? {
                    let mark = if invitation.operator { "  operator" } else { "" };
                    let days = invitation.expires.seconds().saturating_sub(now).div_ceil(24 * 3600);
                    writeln!(text, "{}  ends within {}{mark}", invitation.id, counted(days, "day"))?;
                    rows.push(json!({
                        "invitation": invitation.id, "operator": invitation.operator,
                        "expires": invitation.expires.seconds(),
                    }));
                }
                Ok(Report::list(text, "No invitation is good.", json!({"invitations": rows})))
            }
            Self::Revoke { invitation: RandomId(invitation) } => {
                let act = Act::of_user(&app.core, "invitation revoke", invitation);
                ensure!(
                    act.scope(app.core.store.revoke_invitation(invitation)).await?,
                    "there is no such invitation: {invitation} was used, has ended, or never was; `portcullis-server operator \
                     invitation list` lists those that are good"
                );
                Ok(Report { text: "Taken back.".into(), json: json!({"invitation": invitation, "revoked": true}) })
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
        let act = Act::of_user(&app.core, "invite", invitation.id());
        let act = act.with("operator", self.operator).with("days", self.days);
        act.scope(app.core.store.create_invitation(invitation)).await?;
        let url = format!("{}/invite/{}", app.origin(), *token);
        Ok(Report { text: url.clone(), json: json!({"invitation": url, "operator": self.operator}) })
    }
}
