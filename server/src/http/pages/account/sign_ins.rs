//! What is signed in to the account: terminals, sign-ins that no terminal has come of yet, browsers.

use super::super::kit::flash::Flash;
use super::super::kit::layout::page;
use super::super::kit::words::moment;
use super::super::session::{SignedInBrowser, Visitor};
use super::super::{Bare, Form};
use super::{after, owner};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{BrowserSession, Session, SessionId, Terminal};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::TerminalId;
use serde::Deserialize;

/// Terminals that the page lists: more than a person has. The command line and the operator see all of them.
pub(in super::super) const MOST: usize = 200;

/// A form about one thing.
#[derive(Deserialize)]
pub(crate) struct About {
    csrf: String,
    id: String,
}

/// `POST /account/revoke`
pub(crate) async fn revoke_terminal(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<About>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    let terminal: TerminalId = sent.id.parse().map_err(|_| ApiError::NotFound)?;
    let revoked = app.core.store.revoke_terminal(&session.account, &terminal).await.map_err(ApiError::internal)?;
    if revoked { Ok(after(&app, &visitor, Flash::Revoked)) } else { Err(ApiError::NotFound) }
}

/// `POST /account/end`
pub(crate) async fn end_session(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<About>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    let id = SessionId(sent.id.parse().map_err(|_| ApiError::NotFound)?);
    // One that has ended meanwhile is as good as ended.
    app.core.store.end_session_of(&session.account, id).await.map_err(ApiError::internal)?;
    Ok(after(&app, &visitor, Flash::Ended))
}

/// `POST /account/sign-out-everywhere`
pub(crate) async fn sign_out_everywhere(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Bare>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    app.core.store.sign_out_everywhere(&session.account).await.map_err(ApiError::internal)?;
    let content = html! {
        p role="status" { "Every terminal and every browser is signed out, this one too." }
        p { a href="/sign-in" { "Sign in" } }
    };
    visitor.sign_out(&app, page(StatusCode::OK, "Signed out everywhere", &content)).await
}

/// The lists, with a form for each entry.
pub(super) async fn list(app: &App, visitor: &Visitor, session: &SignedInBrowser) -> Result<Markup, ApiError> {
    let store = &app.core.store;
    // One more than are shown tells whether there are more.
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX).saturating_add(1);
    let open = store.terminals(&session.account, false, None, limit).await.map_err(ApiError::internal)?;
    let revoked = store.terminals(&session.account, true, None, 1).await.map_err(ApiError::internal)?;
    let sessions = store.sessions(&session.account).await.map_err(ApiError::internal)?;
    let browsers = store.browser_sessions(&session.account, Some(&session.token)).await.map_err(ApiError::internal)?;
    let unfinished = sessions.iter().filter(|session| session.terminal.is_none());
    Ok(html! {
        h2 { "Your terminals" }
        @if open.is_empty() { p { "No terminal is enrolled. To enrol one, type there:" } p.words { "portcullis login " (app.origin()) } }
        ul.list {
            @for terminal in open.iter().take(MOST) { (entry(app, visitor, terminal, &sessions)) }
        }
        @if open.len() > MOST { p.quiet { "And more: " code { "portcullis terminals" } " lists them." } }
        @if !revoked.is_empty() { p.quiet { "Others were revoked: " code { "portcullis terminals" } " lists them." } }
        @let unfinished: Vec<&Session> = unfinished.collect();
        @if !unfinished.is_empty() {
            h2 { "Sign-ins without a terminal" }
            p { "They were approved, and no terminal has enrolled. They end by themselves within minutes." }
            ul.list {
                @for session in unfinished.into_iter().take(MOST) { (waiting(app, visitor, session)) }
            }
        }
        h2 { "Browsers" }
        ul.list {
            @for browser in browsers.iter().take(MOST) { (browser_entry(browser)) }
        }
        details {
            summary { "Sign out everywhere…" }
            p { "Every terminal and every browser is signed out, this one too, and what was approved and not used yet is withdrawn." }
            form method="post" action="/account/sign-out-everywhere" {
                (visitor.field(app))
                button { "Sign out everywhere" }
            }
        }
    })
}

fn entry(app: &App, visitor: &Visitor, terminal: &Terminal, sessions: &[Session]) -> Markup {
    let last =
        sessions.iter().filter(|session| session.terminal == Some(terminal.id)).map(|session| session.used).max();
    html! {
        li {
            p { strong { (label(&terminal.label)) } }
            p { code { (terminal.key.words()) } }
            p.quiet {
                "Enrolled " (moment(terminal.enrolled)) ". "
                @match last {
                    Some(last) => { "Signed in, last renewed " (moment(last)) "." }
                    None => { "Signed out." }
                }
            }
            details {
                summary { "Revoke…" }
                p { "It gets nothing any more, and cannot be enrolled again with the same key. This cannot be undone." }
                form method="post" action="/account/revoke" {
                    (visitor.field(app))
                    input type="hidden" name="id" value=(terminal.id);
                    button { "Revoke " (label(&terminal.label)) }
                }
            }
        }
    }
}

fn waiting(app: &App, visitor: &Visitor, session: &Session) -> Markup {
    html! {
        li {
            p { strong { (label(&session.label)) } }
            p { code { (session.key.words()) } }
            p.quiet { "Approved and fetched " (moment(session.created)) ", ends " (moment(session.expires)) "." }
            form method="post" action="/account/end" {
                (visitor.field(app))
                input type="hidden" name="id" value=(session.id.0);
                button.plain { "End it now" }
            }
        }
    }
}

fn browser_entry(browser: &BrowserSession) -> Markup {
    html! {
        li {
            p { @if browser.current { strong { "This browser" } } @else { "Another browser" } }
            p.quiet { "Signed in " (moment(browser.created)) ", until " (moment(browser.expires)) " at most." }
        }
    }
}

pub(super) fn label(text: &str) -> &str {
    if text.trim().is_empty() { "A terminal without a name" } else { text }
}
