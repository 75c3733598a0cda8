//! `/account/preset`: which terminal has the electronic codes that are bought in a browser: it makes the key of each
//! order. Changing it takes the password ([`step_up`](super::super::step_up)), and no other terminal makes a key:
//! whoever finds a browser open has no codes sent to a terminal of his own.

use super::super::Form;
use super::super::kit::flash::Flash;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Empty, Shell, Tab};
use super::super::kit::words::command_line;
use super::super::onward::Onward;
use super::super::session::{SignedInBrowser, Visitor};
use super::super::step_up::{self, Unconfirmed};
use super::owner;
use super::sign_ins::{MOST, label};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{PresetOutcome, Terminal};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::TerminalId;
use serde::Deserialize;

/// Where the page is.
const PATH: &str = "/account/preset";

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    csrf: String,
    /// Empty: none.
    terminal: String,
    #[serde(rename = "current-password", default)]
    password: String,
    /// Where the person was when a terminal was asked for.
    #[serde(default)]
    to: String,
}

/// `GET /account/preset`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, onward: Onward) -> Result<Response, ApiError> {
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Preset.by("/sign-in"))));
    };
    let preset = app.core.store.preset_terminal(&session.account).await.map_err(ApiError::internal)?;
    let form = Asked { onward: &onward, chosen: preset.map(|terminal| terminal.id), wrong: None };
    render(&app, &visitor, session, &form).await
}

/// `POST /account/preset`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Chosen>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    let onward = Onward::read("", &sent.to);
    let terminal: Option<TerminalId> = match sent.terminal.as_str() {
        "" => None,
        terminal => Some(terminal.parse().map_err(|_| ApiError::NotFound)?),
    };
    // What the form shows again is what was chosen, or the browser would choose another one.
    if let Some(terminal) = &terminal {
        let found = app.core.store.terminal(&session.account, terminal).await.map_err(ApiError::internal)?;
        found.filter(|terminal| terminal.revoked.is_none()).ok_or(ApiError::NotFound)?;
    }
    let proven = match step_up::prove(&app, session, sent.password).await? {
        Ok(proven) => proven,
        Err(no) => {
            let form = Asked { onward: &onward, chosen: terminal, wrong: Some(&no) };
            return Ok(no.on(render(&app, &visitor, session, &form).await?));
        }
    };
    let to = if onward == Onward::Home { Onward::Account } else { onward };
    match app.core.store.set_preset(&proven.holder, terminal.as_ref()).await.map_err(ApiError::internal)? {
        PresetOutcome::Changed => Ok(visitor.say(&app, Flash::Preset, see_other(&to.path()))),
        PresetOutcome::Same => Ok(see_other(&to.path())),
        PresetOutcome::Unknown => Err(ApiError::NotFound),
        PresetOutcome::SignedOut => Ok(see_other(&Onward::Preset.by("/sign-in"))),
    }
}

/// The form as it is shown: with what is preset, or with what was chosen in it before the password was asked for.
struct Asked<'a> {
    onward: &'a Onward,
    chosen: Option<TerminalId>,
    wrong: Option<&'a Unconfirmed>,
}

async fn render(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    asked: &Asked<'_>,
) -> Result<Response, ApiError> {
    let onward = asked.onward;
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
    let terminals = app.core.store.terminals(&session.account, false, None, limit).await.map_err(ApiError::internal)?;
    let content = html! {
        h2 { "Where your codes go" }
        p { "An electronic code is sealed for one terminal, which makes a key for each order: nobody else can read it, not even this store. This one has what you buy in a browser." }
        @if terminals.is_empty() {
            (Empty { title: "No terminal is enrolled", text: html! { "Sign one in, then come back here." } })
            (command_line(&format!("portcullis login {}", app.origin())))
        } @else { (form(app, visitor, &terminals, asked, &step_up::field(app, session, asked.wrong))) }
        p { a href=(if *onward == Onward::Home { Onward::Account.path() } else { onward.path() }) { "Back, without changing it" } }
    };
    Ok(Shell::new(app, visitor, "Your account").tab(Tab::Account).show(&content))
}

fn form(app: &App, visitor: &Visitor, terminals: &[Terminal], asked: &Asked<'_>, password: &Markup) -> Markup {
    html! {
        form method="post" action=(PATH) aria-label="Terminal" {
            (visitor.field(app))
            (asked.onward.field())
            label for="terminal" { "Terminal" }
            select id="terminal" name="terminal" {
                option value="" selected[asked.chosen.is_none()] { "None" }
                (options(terminals, asked.chosen))
            }
            (password)
            button { "Have codes sent there" }
        }
    }
}

/// Terminals to choose from, each with the words of its key: what a terminal calls itself says nothing.
pub(in super::super) fn options(terminals: &[Terminal], chosen: Option<TerminalId>) -> Markup {
    html! {
        @for terminal in terminals {
            option value=(terminal.id) selected[chosen == Some(terminal.id)] {
                (label(&terminal.label)) " (" (terminal.key.words()) ")"
            }
        }
    }
}
