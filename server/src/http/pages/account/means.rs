//! `/account/means`: the means of payment that providers keep for the account, and how they are forgotten. The store
//! has a reference to them and a label; what is behind it the provider has.

use super::super::Form;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Empty, Shell, Tab};
use super::super::session::Visitor;
use super::{owner, to_sign_in};
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

/// Where the page is.
const PATH: &str = "/account/means";

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Forgotten {
    csrf: String,
    provider: String,
}

/// `GET /account/means`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, to_sign_in()));
    };
    let mut entries = Vec::new();
    for provider in app.core.payments.all() {
        let kept = app.core.store.saved_means(account, provider.name()).await.map_err(ApiError::internal)?;
        entries.extend(kept.map(|kept| entry(&app, &visitor, provider.name(), provider.title(), &kept.label)));
    }
    let content = html! {
        h2 { "Means of payment" }
        @if entries.is_empty() {
            (Empty { title: "Nothing is saved", text: html! { "If you let a payment provider keep your means of payment when you buy, they are listed here, and you can choose them the next time." } })
        } @else {
            p { "You can choose these when you buy or top up. The store has a reference and this name; the provider has the rest." }
            ul.list { @for entry in &entries { li { (entry) } } }
        }
        p { a href="/account" { "Back to your account" } }
    };
    Ok(Shell::new(&app, &visitor, "Your account").tab(Tab::Account).show(&content))
}

/// `POST /account/means`: forgets those of one provider. What is forgotten already is as good as forgotten.
pub(crate) async fn forget(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Forgotten>,
) -> Result<Response, ApiError> {
    let session = match owner(&app, &visitor, &sent.csrf, &headers) {
        Ok(session) => session,
        Err(answer) => return Ok(*answer),
    };
    app.core.store.forget_means(&session.account, &sent.provider).await.map_err(ApiError::internal)?;
    Ok(see_other(PATH))
}

fn entry(app: &App, visitor: &Visitor, provider: &str, title: &str, label: &str) -> Markup {
    html! {
        p { strong { bdi { (label) } } }
        p.quiet { "Kept by " (title) }
        form method="post" action=(PATH) {
            (visitor.field(app))
            input type="hidden" name="provider" value=(provider);
            button.plain { "Remove " bdi { (label) } }
        }
    }
}
