//! The account, for its owner: what is signed in, and how to end it; another password or e-mail address.

mod changes;
pub(crate) mod library;
pub(crate) mod means;
pub(crate) mod preset;
pub(crate) mod purchases;
pub(crate) mod redeem;
pub(super) mod sign_ins;

pub(crate) use changes::{change_email, change_password};
pub(crate) use sign_ins::{end_session, revoke_terminal, sign_out_everywhere};

use super::kit::field::Field;
use super::kit::flash::Flash;
use super::kit::layout::see_other;
use super::kit::shell::{Shell, Tab};
use super::onward::Onward;
use super::session::{SignedInBrowser, Visitor};
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

/// What is wrong with a form of the page, by field.
#[derive(Default)]
struct Wrong<'a> {
    /// Of the password form.
    current_password: Option<&'a str>,
    new_password: Option<&'a str>,
    /// Of the e-mail form.
    new_email: Option<&'a str>,
    password: Option<&'a str>,
    /// The address that was typed.
    typed_email: &'a str,
}

/// `GET /account`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, to_sign_in()));
    };
    render(&app, &visitor, session, StatusCode::OK, &Wrong::default()).await
}

/// The browser session of a form that was sent from the page, or what is answered instead.
fn owner<'a>(
    app: &App,
    visitor: &'a Visitor,
    csrf: &str,
    headers: &HeaderMap,
) -> Result<&'a SignedInBrowser, Box<Response>> {
    let Some(session) = visitor.session() else {
        return Err(Box::new(visitor.keep(app, to_sign_in())));
    };
    visitor.sent(app, csrf, headers).map_err(|forged| Box::new(forged.page()))?;
    Ok(session)
}

fn to_sign_in() -> Response {
    see_other(&Onward::Account.by("/sign-in"))
}

fn to_account() -> Response {
    see_other("/account")
}

fn after(app: &App, visitor: &Visitor, done: Flash) -> Response {
    visitor.say(app, done, to_account())
}

async fn render(
    app: &App,
    visitor: &Visitor,
    session: &SignedInBrowser,
    status: StatusCode,
    wrong: &Wrong<'_>,
) -> Result<Response, ApiError> {
    let name = app.accounts().name_of(&session.account).await.map_err(ApiError::internal)?;
    let content = html! {
        p { "You are signed in as " strong { (name) } ". " a href="/account/means" { "Your saved means of payment" } " · " a href="/account/preset" { "Where your codes go" } }
        (sign_ins::list(app, visitor, session).await?)
        (password_form(app, visitor, wrong))
        (email_form(app, visitor, wrong))
    };
    Ok(Shell::new(app, visitor, "Your account").tab(Tab::Account).status(status).show(&content))
}

fn password_form(app: &App, visitor: &Visitor, wrong: &Wrong<'_>) -> Markup {
    let (current, new) = (wrong.current_password, wrong.new_password);
    html! {
        h2 id="password" { "Change your password" }
        form method="post" action="/account/password" aria-labelledby="password" {
            (visitor.field(app))
            (Field::current_password("current-password", "Current password").error(current).focus(current.is_some()))
            (Field::new_password("new-password", "New password").error(new).focus(current.is_none() && new.is_some()))
            p.hint { "Every terminal and every other browser has to sign in again." }
            button { "Change the password" }
        }
    }
}

fn email_form(app: &App, visitor: &Visitor, wrong: &Wrong<'_>) -> Markup {
    let (email, password) = (wrong.new_email, wrong.password);
    let new = Field::email("new-email", "New e-mail address", "email").value(wrong.typed_email);
    html! {
        h2 id="email" { "Change your e-mail address" }
        form method="post" action="/account/email" aria-labelledby="email" {
            (visitor.field(app))
            (new.error(email).focus(email.is_some()))
            (Field::current_password("password-for-email", "Current password")
                .error(password).focus(email.is_none() && password.is_some()))
            button { "Change the address" }
        }
    }
}
