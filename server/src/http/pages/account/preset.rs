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
use crate::store::Terminal;
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
    render(&app, &visitor, session, &onward, None).await
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
    let proven = match step_up::prove(&app, session, sent.password).await? {
        Ok(proven) => proven,
        Err(no) => return Ok(no.on(render(&app, &visitor, session, &onward, Some(&no)).await?)),
    };
    if !app.core.store.set_preset(&proven.account, terminal.as_ref()).await.map_err(ApiError::internal)? {
        return Err(ApiError::NotFound);
    }
    let to = if onward == Onward::Home { Onward::Account } else { onward };
    Ok(visitor.say(&app, Flash::Preset, see_other(&to.path())))
}

async fn render(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    onward: &Onward,
    wrong: Option<&Unconfirmed>,
) -> Result<Response, ApiError> {
    let (store, account) = (&app.core.store, &session.account);
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
    let terminals = store.terminals(account, false, None, limit).await.map_err(ApiError::internal)?;
    let preset = store.preset_terminal(account).await.map_err(ApiError::internal)?.map(|terminal| terminal.id);
    let content = html! {
        h2 { "Where your codes go" }
        p { "An electronic code is sealed for one terminal, which makes a key for each order: nobody else can read it, not even this store. This one has what you buy in a browser." }
        @if terminals.is_empty() {
            (Empty { title: "No terminal is enrolled", text: html! { "Sign one in, then come back here." } })
            (command_line(&format!("portcullis login {}", app.origin())))
        } @else { (form(app, visitor, (&terminals, preset), onward, &step_up::field(app, session, wrong))) }
        p { a href=(if *onward == Onward::Home { Onward::Account.path() } else { onward.path() }) { "Back, without changing it" } }
    };
    Ok(Shell::new(app, visitor, "Your account").tab(Tab::Account).show(&content))
}

fn form(
    app: &App,
    visitor: &Visitor,
    (terminals, preset): (&[Terminal], Option<TerminalId>),
    onward: &Onward,
    password: &Markup,
) -> Markup {
    html! {
        form method="post" action=(PATH) aria-label="Terminal" {
            (visitor.field(app))
            (onward.field())
            label for="terminal" { "Terminal" }
            select id="terminal" name="terminal" {
                option value="" selected[preset.is_none()] { "None" }
                (options(terminals, preset))
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
