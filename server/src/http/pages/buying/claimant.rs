//! Another terminal for an order of codes: the account's holder says on the order's page which one may take it over,
//! with the password. A terminal does not ask for it here: nobody is shown a question that somebody else has put.

use super::super::Form;
use super::super::account::preset::options;
use super::super::account::sign_ins::MOST;
use super::super::kit::flash::Flash;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Shell, Tab};
use super::super::kit::words::command_line;
use super::super::onward::Onward;
use super::super::session::{SignedInBrowser, Visitor};
use super::super::step_up::{self, Unconfirmed};
use super::codes::name_of;
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{CodeOrder, CodeStep, Terminal};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::{OrderId, TerminalId};
use serde::Deserialize;

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    csrf: String,
    terminal: String,
    #[serde(rename = "current-password", default)]
    password: String,
}

/// `POST /account/orders/{id}/terminal`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Chosen>,
) -> Result<Response, ApiError> {
    let id: OrderId = segment(&id)?;
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Order(id).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let terminal: TerminalId = sent.terminal.parse().map_err(|_| ApiError::NotFound)?;
    let order = app.core.store.code_order(&id).await.map_err(ApiError::internal)?;
    let order = order.filter(|order| order.account == session.account).ok_or(ApiError::NotFound)?;
    // What the form shows again is what was chosen, or the browser would choose another one.
    let others = others(&app, &order).await?;
    if others.iter().all(|other| other.id != terminal) {
        return Err(ApiError::NotFound);
    }
    let proven = match step_up::prove(&app, session, sent.password).await? {
        Ok(proven) => proven,
        Err(no) => {
            let content = html! {
                h2 { "Another terminal" }
                (form(&app, (&visitor, session), &order, (&others, Some(terminal)), Some(&no)))
                p { a href=(super::path(&id)) { "Back to the order" } }
            };
            return Ok(no.on(Shell::new(&app, &visitor, "Your order").tab(Tab::Purchases).show(&content)));
        }
    };
    let allowed = app.core.store.allow_code_order(&id, &proven.holder, &terminal).await.map_err(ApiError::internal)?;
    let Some(step) = allowed else {
        return Ok(see_other(&Onward::Order(id).by("/sign-in")));
    };
    match step {
        CodeStep::Taken(_) => Ok(visitor.say(&app, Flash::Allowed, see_other(&super::path(&id)))),
        // It has moved on meanwhile: its page says where it is.
        CodeStep::Closed(_) | CodeStep::Differs(_) | CodeStep::NotAllowed(_) => Ok(see_other(&super::path(&id))),
        CodeStep::Mismatch | CodeStep::Unknown => Err(ApiError::NotFound),
    }
}

/// The account's terminals but the one that has the order.
async fn others(app: &App, order: &CodeOrder) -> Result<Vec<Terminal>, ApiError> {
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
    let open = app.core.store.terminals(&order.account, false, None, limit).await.map_err(ApiError::internal)?;
    Ok(open.into_iter().filter(|terminal| Some(terminal.id) != order.terminal).collect())
}

/// What the page of the order says of it, if it can still be taken over.
pub(super) async fn section(
    app: &App,
    (visitor, session): (&Visitor, &SignedInBrowser),
    order: &CodeOrder,
) -> Result<Markup, ApiError> {
    if !order.may_move() {
        return Ok(html! {});
    }
    let others = others(app, order).await?;
    let allowed = others.iter().find(|terminal| Some(terminal.id) == order.claimant);
    Ok(html! {
        @if let Some(allowed) = allowed {
            p.notice role="status" { "Your terminal " strong { bdi { (name_of(allowed)) } } " may take this order over. Type there:" }
            (command_line(&format!("portcullis codes {} --claim", order.id)))
        }
        @if !others.is_empty() {
            details {
                summary { "Have it delivered to another terminal…" }
                p { "Only if the terminal that has this order is lost: whichever you choose can have the code." }
                (form(app, (visitor, session), order, (&others, order.claimant), None))
            }
        }
    })
}

fn form(
    app: &App,
    (visitor, session): (&Visitor, &SignedInBrowser),
    order: &CodeOrder,
    (others, chosen): (&[Terminal], Option<TerminalId>),
    wrong: Option<&Unconfirmed>,
) -> Markup {
    html! {
        form method="post" action={ (super::path(&order.id)) "/terminal" } aria-label="Another terminal" {
            (visitor.field(app))
            label for="terminal" { "Terminal" }
            select id="terminal" name="terminal" { (options(others, chosen)) }
            (step_up::field(app, session, wrong))
            button { "Let it take the order over" }
        }
    }
}
