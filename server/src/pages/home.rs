//! `GET /`: which server this is, and who is signed in.

use super::layout::page;
use super::session::Visitor;
use crate::app::App;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

/// Shows the fingerprint words that `portcullis login` asks to compare.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Response {
    let words = app.core.keys.root().thumbprint().words();
    let content = html! {
        p { "This server sells resources for Portcullis. Terminals know it by these words:" }
        p.words { (words) }
        p { "To sign a terminal in, type there:" }
        p.words { "portcullis login " (app.origin()) }
        @if visitor.account().is_some() {
            form method="post" action="/sign-out" { (visitor.field(&app)) button.plain { "Sign out" } }
            p { a href="/device" { "Approve a terminal" } }
        } @else {
            p {
                a href="/sign-in" { "Sign in" }
                @if app.sign_up_is_open() { " · " a href="/sign-up" { "Sign up" } }
            }
        }
    };
    visitor.keep(&app, page(StatusCode::OK, app.origin().as_str(), &content))
}
