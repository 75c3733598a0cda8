//! `/v1/orders`

use super::segment;
use crate::billing::orders;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::wire::{OrderAnswer, OrderRequest};

/// `POST /v1/orders`. The order itself remembers its request.
pub(crate) async fn create(app: App, caller: ProvenTerminal, (): ()) -> Result<OrderAnswer, Refused> {
    let request: OrderRequest = caller.json()?;
    Ok(orders::order(&app.core, &caller.asker, request, caller.request()?).await?)
}

/// `GET /v1/orders/{id}`
pub(crate) async fn show(app: App, caller: ProvenTerminal, order: String) -> Result<OrderAnswer, Refused> {
    Ok(orders::find(&app.core, &caller.asker, &segment(&order)?).await?)
}
