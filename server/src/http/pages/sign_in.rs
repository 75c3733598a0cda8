//! Sign-in with e-mail address and password, and sign-out.

use super::kit::field::Field;
use super::kit::layout::{notice, page, see_other};
use super::known::KnownBrowser;
use super::onward::Onward;
use super::problem::wait;
use super::session::Visitor;
use super::{Bare, Form};
use crate::crypto::secrets::LookupHash;
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::http::rate::TooMany;
use crate::identity::accounts::Found;
use crate::identity::passwords::Password;
use crate::store::Account;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::html;
use portcullis_protocol::AccountId;
use portcullis_protocol::encoding::Octets;
use serde::Deserialize;
use std::net::IpAddr;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    csrf: String,
    email: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    to: String,
}

/// `GET /sign-in`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, to: Onward) -> Response {
    visitor.keep(&app, form(&app, &visitor, StatusCode::OK, None, "", &to))
}

/// `POST /sign-in`
pub(crate) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<SignIn>,
) -> Result<Response, ApiError> {
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let to = Onward::read(&sent.code, &sent.to);
    match attempt(&app, address, visitor.known(), &sent.email, sent.password).await? {
        Attempt::Passed { account, password } => visitor.sign_in(&app, account, password, see_other(&to.path())).await,
        Attempt::Failed => {
            let text = "The e-mail address or the password is not right.";
            Ok(form(&app, &visitor, StatusCode::UNPROCESSABLE_ENTITY, Some(text), &sent.email, &to))
        }
        Attempt::TooMany(TooMany { retry_after }) => {
            let text = format!("Too many attempts. {}", wait(Some(retry_after)));
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = form(&app, &visitor, status, Some(&text), &sent.email, &to);
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
            Ok(response)
        }
    }
}

/// Signs in whoever typed his own address and password into the form of an invitation that is used up: it was sent
/// twice, or the answer to the first time was lost. Within the bounds of the sign-in form. `None` if they are no
/// account's.
pub(super) async fn sign_in_again(
    app: &App,
    visitor: &Visitor,
    address: IpAddr,
    (email, password): (&str, String),
    to: &Onward,
) -> Result<Option<Response>, ApiError> {
    match attempt(app, address, visitor.known(), email, password).await? {
        Attempt::Passed { account, password } => {
            visitor.sign_in(app, account, password, see_other(&to.path())).await.map(Some)
        }
        Attempt::Failed | Attempt::TooMany(_) => Ok(None),
    }
}

/// `POST /sign-out`. If nobody is signed in any more, there is nothing to do but to show it: a page may be older than
/// its session.
pub(crate) async fn leave(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Bare>,
) -> Result<Response, ApiError> {
    if visitor.session().is_none() {
        return Ok(see_other("/"));
    }
    match visitor.sent(&app, &sent.csrf, &headers) {
        Ok(()) => visitor.sign_out(&app, see_other("/")).await,
        Err(forged) => Ok(forged.page()),
    }
}

enum Attempt {
    Passed {
        account: AccountId,
        /// The stored password that was matched.
        password: String,
    },
    Failed,
    TooMany(TooMany),
}

/// Checks a password. Unknown, suspended and mistyped look the same from outside and take the same time.
async fn attempt(
    app: &App,
    address: IpAddr,
    known: Option<&KnownBrowser>,
    email: &str,
    password: String,
) -> Result<Attempt, ApiError> {
    let (account, lookup) = match app.accounts().find(email).await.map_err(ApiError::internal)? {
        Found::Account(account, lookup) => (Some(account), lookup),
        Found::Nobody(lookup) => (None, lookup),
        Found::NoName => return Ok(no_name(app, address)),
    };
    let known = account.as_deref().and_then(|Account { id, password, .. }| {
        known.filter(|known| known.is_of(id, password)).map(|known| (*id, known.browser))
    });
    // Counted before anything is checked, so that tries at the same time are counted too.
    let tries = match Tries::take(app, address, known, lookup) {
        Ok(tries) => tries,
        Err(too_many) => return Ok(Attempt::TooMany(too_many)),
    };
    let Ok(password) = Password::typed(password) else { return Ok(Attempt::Failed) };
    let matches = app.accounts().matches(password, account.as_deref()).await.map_err(ApiError::internal)?;
    Ok(match account {
        Some(account) if matches && account.suspended.is_none() => {
            tries.give_back(app);
            let id = account.id;
            let passed = |()| Attempt::Passed { account: id, password: account.password };
            app.gates.right_password.take(id).map_or_else(Attempt::TooMany, passed)
        }
        _ => Attempt::Failed,
    })
}

/// What is no name at all cannot be found; it counts against the address alone.
fn no_name(app: &App, address: IpAddr) -> Attempt {
    app.gates.sign_in_address.take(address).map_or_else(Attempt::TooMany, |()| Attempt::Failed)
}

/// What one try has used up, to be given back if the password is right.
enum Tries {
    /// Those of a browser that signed in to this account before.
    Known(AccountId, Octets<16>),
    /// Those of an address.
    Stranger { lookup: LookupHash, address: IpAddr, cost: u32, counted: bool },
}

impl Tries {
    fn take(
        app: &App,
        address: IpAddr,
        known: Option<(AccountId, Octets<16>)>,
        lookup: LookupHash,
    ) -> Result<Self, TooMany> {
        let gates = &app.gates;
        if let Some((account, browser)) = known {
            gates.known_browser.take((account, browser))?;
            return Ok(Self::Known(account, browser));
        }
        gates.sign_in_address.take(address)?;
        // While strangers try this account from many addresses, each address has two tries instead of all of them. It
        // has them always: nobody is locked out by others, unless 32 of his own /48 try all that they may.
        let counted = gates.sign_in_account.take(lookup).is_ok();
        let cost = if counted { 1 } else { (app.config.limits.sign_in_attempts / 2).max(1) };
        match gates.sign_in.take_many((lookup, address), cost) {
            Ok(()) => Ok(Self::Stranger { lookup, address, cost, counted }),
            Err(too_many) => {
                // What was refused was no try: it uses up nothing of the account's.
                if counted {
                    gates.sign_in_account.give_back(&lookup, 1);
                }
                Err(too_many)
            }
        }
    }

    fn give_back(self, app: &App) {
        let gates = &app.gates;
        match self {
            Self::Known(account, browser) => gates.known_browser.give_back(&(account, browser), 1),
            Self::Stranger { lookup, address, cost, counted } => {
                gates.sign_in_address.give_back(address);
                gates.sign_in.give_back(&(lookup, address), cost);
                if counted {
                    gates.sign_in_account.give_back(&lookup, 1);
                }
            }
        }
    }
}

fn form(app: &App, visitor: &Visitor, status: StatusCode, text: Option<&str>, email: &str, to: &Onward) -> Response {
    let wrong = text.is_some();
    let content = html! {
        (notice(text))
        form method="post" action="/sign-in" {
            (visitor.field(app))
            (to.field())
            (Field::email("email", "E-mail address", "username").value(email).about_notice(wrong).focus(email.is_empty()))
            (Field::current_password("password", "Password").about_notice(wrong).focus(!email.is_empty()))
            button { "Sign in" }
        }
        @if app.sign_up_is_open() { p.quiet { "No account yet? " a href=(to.by("/sign-up")) { "Sign up" } } }
        p.quiet { "Password forgotten? The operator of this store can give you a new one." }
    };
    page(status, "Sign in", &content)
}
