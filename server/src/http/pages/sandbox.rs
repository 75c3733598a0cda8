//! The page to which the payment provider `sandbox` sends a buyer: whoever opens it plays the provider. No money moves.
//! The order's identifier in the address is what it takes to open it, as with a real provider's page.

use super::Form;
use super::buying::path as order_path;
use super::kit::layout::{page, see_other};
use crate::billing::answers::ServiceError;
use crate::billing::events;
use crate::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Order, OrderPhase};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use portcullis_protocol::OrderId;
use serde::Deserialize;

/// What can be played, and what its button says.
const PARTS: &[(OrderPhase, &str, &str)] = &[
    (OrderPhase::Pending, "settled", "Pay"),
    (OrderPhase::Pending, "declined", "Decline"),
    (OrderPhase::Paid, "disputed", "Dispute the payment"),
    (OrderPhase::Paid, "charged-back", "Charge it back"),
    (OrderPhase::Disputed, "dispute-won", "Decide the dispute for the store"),
    (OrderPhase::Disputed, "charged-back", "Decide it for the payer"),
    (OrderPhase::Refunding, "refunded", "Pay it back"),
    (OrderPhase::Declined, "settled", "Pay all the same"),
];

#[derive(Deserialize)]
pub(crate) struct Play {
    event: String,
}

/// `GET /sandbox/{order}`
pub(crate) async fn show(State(app): State<App>, Path(order): Path<String>) -> Result<Response, ApiError> {
    let order = find(&app, &order).await?;
    let state = match order.phase {
        OrderPhase::Pending => "is not paid yet",
        OrderPhase::Paid => "is paid",
        OrderPhase::Declined => "was declined",
        OrderPhase::Refunding => "is being paid back",
        OrderPhase::Refunded => "was paid back",
        OrderPhase::Disputed => "is disputed",
        OrderPhase::ChargedBack => "was charged back",
    };
    let content = html! {
        p { "This page plays a payment provider. No money moves." }
        dl {
            dt { "Order" } dd { code { (order.id) } }
            dt { "Amount" } dd { (order.amount()) }
            dt { "State" } dd { "The order " (state) "." }
        }
        form method="post" {
            @for (_, event, title) in PARTS.iter().filter(|(phase, ..)| *phase == order.phase) {
                button name="event" value=(event) { (title) }
            }
        }
        p { a href=(order_path(&order.id)) { "Back to the store" } }
    };
    Ok(page(StatusCode::OK, "Sandbox payment", &content))
}

/// `POST /sandbox/{order}`
pub(crate) async fn play(
    State(app): State<App>,
    Path(order): Path<String>,
    Form(Play { event }): Form<Play>,
) -> Result<Response, ApiError> {
    let order = find(&app, &order).await?;
    let what = match event.as_str() {
        "settled" => PaymentChange::Settled(order.amount()),
        "declined" => PaymentChange::Declined,
        "refunded" => PaymentChange::Refunded,
        "disputed" => PaymentChange::Disputed,
        "dispute-won" => PaymentChange::DisputeWon,
        "charged-back" => PaymentChange::ChargedBack,
        _ => return Err(ApiError::Malformed("not the form that this page sends".into())),
    };
    match events::apply(&app.core, SANDBOX, &PaymentEvent::new(order.id, what)).await {
        Ok(_) => Ok(see_other(&format!("/sandbox/{}", order.id))),
        Err(ServiceError::Unacceptable(why)) => Err(ApiError::Unacceptable(why.into_owned())),
        Err(error) => Err(ApiError::internal(error)),
    }
}

/// An order of the sandbox, if this server has one.
async fn find(app: &App, order: &str) -> Result<Order, ApiError> {
    let id: OrderId = segment(order)?;
    let order = app.core.store.order(&id).await.map_err(ApiError::internal)?;
    let is_played = app.core.payments.get(SANDBOX).is_some();
    order.filter(|order| is_played && order.provider == SANDBOX).ok_or(ApiError::NotFound)
}
