//! `/account/redeem`: a code for a resource of this store, a gift or a promotion, becomes rights of the account.

use super::super::Form;
use super::super::kit::field::Field;
use super::super::kit::flash::Flash;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Shell, Tab};
use super::super::kit::words::capital;
use super::super::onward::Onward;
use super::super::problem::wait;
use super::super::session::Visitor;
use crate::billing::answers::{Refusal, ServiceError};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::merchants::redemption;
use crate::store::Buyer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::html;
use portcullis_protocol::Reason;
use serde::Deserialize;

/// The address of the page.
const PATH: &str = "/account/redeem";
/// Characters of a code as somebody types it, with more spaces than anybody needs.
const TYPED: usize = 64;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Typed {
    csrf: String,
    #[serde(default)]
    code: String,
}

/// `GET /account/redeem`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    match visitor.account() {
        Some(_) => Ok(render(&app, &visitor, StatusCode::OK, None)),
        None => Ok(visitor.keep(&app, see_other(&Onward::Redeem.by("/sign-in")))),
    }
}

/// `POST /account/redeem`. The same code again is answered as the first time.
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Typed>,
) -> Result<Response, ApiError> {
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Redeem.by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let redeemed = redemption::redeem(&app.core, Buyer::Browser(session.holder()), &sent.code).await;
    let (status, text, retry_after) = match redeemed {
        Ok(given) => {
            let before = given.was_before(app.core.clock.now().seconds());
            let flash = if before { Flash::RedeemedBefore } else { Flash::Redeemed };
            return Ok(visitor.say(&app, flash, see_other(&Onward::Library.path())));
        }
        Err(ServiceError::Refused(refusal)) if refusal.reason == Reason::NotSignedIn => {
            return Ok(see_other(&Onward::Redeem.by("/sign-in")));
        }
        Err(ServiceError::Refused(refusal)) => {
            let (status, text) = said(&refusal);
            (status, text, refusal.retry_after)
        }
        Err(ServiceError::Unacceptable(why)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{}.", capital(&why)), None),
        Err(error) => return Err(ApiError::internal(error)),
    };
    let mut page = render(&app, &visitor, status, Some((&sent.code, &text)));
    if let Some(seconds) = retry_after {
        page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(page)
}

/// What a person reads of a refusal.
fn said(refusal: &Refusal) -> (StatusCode, String) {
    match refusal.reason {
        Reason::RateLimited => {
            let why = refusal.detail.as_deref().unwrap_or_default();
            (StatusCode::TOO_MANY_REQUESTS, format!("{why} {}", wait(refusal.retry_after)))
        }
        reason => {
            let why = refusal.detail.clone().unwrap_or_else(|| format!("{} {}", reason.title(), reason.advice()));
            (StatusCode::UNPROCESSABLE_ENTITY, why)
        }
    }
}

fn render(app: &App, visitor: &Visitor, status: StatusCode, wrong: Option<(&str, &str)>) -> Response {
    let (typed, error) = (wrong.map_or("", |(typed, _)| typed), wrong.map(|(_, error)| error));
    // What is far too long is not shown again.
    let typed = if typed.len() > TYPED { "" } else { typed };
    let content = html! {
        p { "A code that somebody gave you for something of this store: a gift, a promotion, or one that you bought. It gives its rights once, to this account, and you find them in your library." }
        form method="post" action=(PATH) aria-label="Code" {
            (visitor.field(app))
            (Field::code("code", "Code", TYPED).value(typed).error(error).focus(true))
            button { "Redeem" }
        }
        p.hint { "A code of a merchant that is not for something of this store is redeemed where the merchant says. At a terminal: " code { "portcullis redeem CODE" } "." }
    };
    Shell::new(app, visitor, "Redeem a code").tab(Tab::Library).status(status).show(&content)
}
