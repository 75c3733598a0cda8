//! `GET /`: which server this is, and who is signed in.

use super::layout::page;
use super::session::Visitor;
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

/// Shows the fingerprint words that `portcullis login` asks to compare.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let account = match visitor.account() {
        Some(account) => Some(app.name_of(account).await.map_err(ApiError::internal)?),
        None => None,
    };
    let words = app.core.keys.root().thumbprint().words();
    let content = html! {
        p { "This server sells resources for Portcullis. Terminals know it by these words:" }
        p.words { (words) }
        p { "To sign a terminal in, type there:" }
        p.words { "portcullis login " (app.origin()) }
        @if let Some(account) = account {
            p { "You are signed in as " strong { (account) } "." }
            p { a href="/device" { "Approve a terminal" } " · " a href="/account" { "Your account" } }
            form method="post" action="/sign-out" { (visitor.field(&app)) button.plain { "Sign out" } }
        } @else {
            p {
                a href="/sign-in" { "Sign in" }
                @if app.sign_up_is_open() { " · " a href="/sign-up" { "Sign up" } }
            }
        }
    };
    Ok(visitor.keep(&app, page(StatusCode::OK, app.origin().as_str(), &content)))
}
