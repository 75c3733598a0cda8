//! `GET /account/orders/{id}`: where an order stands, its receipt, and how what was bought is run. Somebody else's
//! order is no order.

use super::super::kit::layout::see_other;
use super::super::kit::shell::{Shell, Tab};
use super::super::kit::words::{command_line, moment};
use super::super::onward::{Onward, query_value};
use super::super::session::Visitor;
use super::super::store::merchant::path_of;
use super::super::store::path as resource_path;
use super::super::store::resource::usage_of;
use super::super::{Bare, Form};
use super::claimant;
use super::delivery::{self, Delivery};
use crate::billing::orders;
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Buyer, CodeFailure, Goods, Order, OrderPhase};
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::{Offer, OrderId};

/// An order of the account.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id: OrderId = segment(&id)?;
    let parts = request.into_parts().0;
    let looks = delivery::looks(&query_value(&parts, "watch").unwrap_or_default());
    let is_joined = query_value(&parts, "joined").is_some();
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Order(id).by("/sign-in"))));
    };
    let order = app.core.store.order(&id).await.map_err(ApiError::internal)?;
    let order = order.filter(|order| order.account == session.account).ok_or(ApiError::NotFound)?;
    let commands = match &order.goods {
        Goods::Rights { offer, .. } if order.phase == OrderPhase::Paid => commands(&app, offer).await?,
        _ => Vec::new(),
    };
    let delivery = match &order.goods {
        Goods::Codes { .. } => Delivery::of(&app, &id).await?,
        Goods::Rights { .. } | Goods::TopUp { .. } => None,
    };
    // Nobody types into a page that is loaded anew under the hand.
    let elsewhere = match delivery.as_ref().filter(|_| looks.is_none()) {
        Some(delivery) => claimant::section(&app, (&visitor, session), delivery.order()).await?,
        None => html! {},
    };
    let moves = delivery.as_ref().map_or(order.phase == OrderPhase::Pending, Delivery::moves);
    let is_of_codes = matches!(order.goods, Goods::Codes { .. });
    // One that is not configured any more has no title.
    let paid_with = app.core.payments.get(&order.provider).map_or(order.provider.as_str(), |provider| provider.title());
    let content = html! {
        div.split {
            div {
                @if is_joined && order.phase == OrderPhase::Pending {
                    p.notice role="status" {
                        "You had ordered the same before, perhaps at a terminal, and it is not paid yet. This is that \
                         order: nothing was ordered twice. If you want one more, order it once this one is decided."
                    }
                }
                @match &delivery { Some(delivery) => (delivery.show()), None => { (state(&order)) (next(&app, &order, &commands)) } }
                @if moves && is_of_codes { (delivery::switch(&id, looks)) }
                @if let Some(delivery) = &delivery { (delivery.cancel(&visitor.field(&app))) }
                @if order.phase == OrderPhase::Pending { (give_up(&order, &visitor.field(&app))) }
                (elsewhere)
            }
            aside { div.panel { h2 { "Order" } (receipt(&order, paid_with)) } }
        }
    };
    let title = delivery.as_ref().and_then(Delivery::heading).unwrap_or_else(|| heading(&order));
    let page = Shell::new(&app, &visitor, title).tab(Tab::Purchases).show(&content);
    let is_quick = order.next.is_none() && !delivery.as_ref().is_some_and(Delivery::waits_for_buyer);
    Ok(delivery::watch(&id, looks.filter(|_| moves), is_quick, page))
}

/// `POST /account/orders/{id}/cancel`: an order that is not paid, or one of codes of which its merchant was not told.
/// One that was paid meanwhile, or has its key by now, stays as it is.
pub(crate) async fn cancel(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Bare>,
) -> Result<Response, ApiError> {
    let id: OrderId = segment(&id)?;
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Order(id).by("/sign-in"))));
    };
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let order = app.core.store.order(&id).await.map_err(ApiError::internal)?;
    let order = order.filter(|order| order.account == session.account).ok_or(ApiError::NotFound)?;
    match (order.phase, &order.goods) {
        (OrderPhase::Pending, _) => {
            orders::give_up(&app.core, Buyer::Browser(session.holder()), &id).await.map_err(ApiError::internal)?;
        }
        (_, Goods::Codes { .. }) => {
            app.core.store.fail_code_order(&id, CodeFailure::Unkeyed).await.map_err(ApiError::internal)?;
        }
        (_, Goods::Rights { .. } | Goods::TopUp { .. }) => {}
    }
    Ok(see_other(&super::path(&id)))
}

/// The commands of what was bought, by the version that is sold now.
async fn commands(app: &App, offer: &Offer) -> Result<Vec<String>, ApiError> {
    let shelf = app.core.store.shelf(&offer.publisher, &offer.name).await.map_err(ApiError::internal)?;
    let Some(shelf) = shelf else { return Ok(Vec::new()) };
    let usage = usage_of(app, shelf.digest).await?;
    let of_it = usage.iter().find(|(operation, _)| *operation == offer.operation);
    Ok(of_it.map(|(_, commands)| commands.clone()).unwrap_or_default())
}

/// Nobody has to leave an order open that is not wanted any more.
fn give_up(order: &Order, field: &Markup) -> Markup {
    html! {
        details {
            summary { "Give it up…" }
            p { "Nothing is charged then. If you pay on the provider's page all the same, the money goes back to you." }
            form method="post" action={ (super::path(&order.id)) "/cancel" } aria-label="Give it up" {
                (field)
                button.danger { "Give the order up" }
            }
        }
    }
}

const fn heading(order: &Order) -> &'static str {
    match order.phase {
        OrderPhase::Paid => "Thank you",
        OrderPhase::Pending if order.next.is_some() => "Not paid yet",
        OrderPhase::Pending => "Not decided yet",
        OrderPhase::Declined => "Not bought",
        OrderPhase::Refunding | OrderPhase::Refunded => "Paid back",
        OrderPhase::Disputed => "Disputed",
        OrderPhase::ChargedBack => "Charged back",
    }
}

/// The phase as a mark in a list.
pub(in super::super) fn mark(phase: OrderPhase) -> Markup {
    let (class, text) = match phase {
        OrderPhase::Paid => ("tag", "paid"),
        OrderPhase::Pending => ("tag warm", "pending"),
        OrderPhase::Declined => ("tag off", "not paid"),
        OrderPhase::Refunding => ("tag warm", "being paid back"),
        OrderPhase::Refunded => ("tag off", "paid back"),
        OrderPhase::Disputed => ("tag warm", "disputed"),
        OrderPhase::ChargedBack => ("tag off", "charged back"),
    };
    html! { span class=(class) { (text) } }
}

fn state(order: &Order) -> Markup {
    let (class, text) = match order.phase {
        OrderPhase::Paid => (
            "notice",
            match order.goods {
                Goods::Rights { .. } => "It is paid, and yours from now on.",
                Goods::TopUp { .. } => "It is paid, and in your balance.",
                Goods::Codes { .. } => "It is paid. The merchant delivers the code to your terminal.",
            },
        ),
        OrderPhase::Pending if order.next.is_some() => (
            "notice warm",
            "You have not paid yet, or your payment provider has not told the store of it. Go on to the payment; if you \
             have paid, look again in a moment: the store asks the provider by itself.",
        ),
        OrderPhase::Pending => (
            "notice warm",
            "The payment provider has not decided yet. The store asks it by itself; look again in a moment.",
        ),
        OrderPhase::Declined => (
            "notice bad",
            "It ended unpaid: the payment provider has declined, it was given up, or not paid in time. Nothing was \
             charged; what is paid for it now goes back.",
        ),
        OrderPhase::Refunding => ("notice warm", "What it gave has ended, and the money is on its way back to you."),
        OrderPhase::Refunded => ("notice", "What it gave has ended, and the money was paid back."),
        OrderPhase::Disputed => {
            ("notice warm", "The payment is disputed. Until that is decided, what it gave is barred.")
        }
        OrderPhase::ChargedBack => ("notice warm", "The payment was charged back. What it gave has ended."),
    };
    html! { p class=(class) role="status" { (text) } }
}

fn next(app: &App, order: &Order, commands: &[String]) -> Markup {
    html! {
        @match (order.phase, &order.goods) {
            (OrderPhase::Pending, _) => {
                p {
                    @if let Some(step) = &order.next {
                        a.button href=(step.url) rel="noreferrer" { "Go on to the payment" }
                    }
                    a.button.plain href=(super::path(&order.id)) { "Look again" }
                }
                p.hint { "If it is not paid by " (moment(order.ends)) ", it ends, and nothing is owed." }
            }
            (OrderPhase::Paid, Goods::Rights { offer, .. }) => {
                h2 { "Run it" }
                ol.steps {
                    li { p { "Sign the terminal in, once:" } (command_line(&format!("portcullis login {}", app.origin()))) }
                    li {
                        p { "Run it. The terminal fetches it, and asks this store whether you may:" }
                        @for command in commands { (command_line(command)) }
                        @if commands.is_empty() { (command_line(&format!("portcullis run {}/{}", offer.publisher, offer.name))) }
                    }
                }
            }
            (OrderPhase::Paid, Goods::TopUp { .. }) => { p { a.button href="/account/balance" { "See your balance" } } }
            (OrderPhase::Declined, Goods::Rights { digest, .. }) => { p { a.button href={ "/buy/" (digest) } { "Try again" } } }
            (OrderPhase::Declined, Goods::Codes { product, .. }) => {
                p { a.button href=(path_of(&product.merchant, &product.name)) { "Try again" } }
            }
            (OrderPhase::Declined, Goods::TopUp { .. }) => { p { a.button href="/account/balance" { "Try again" } } }
            _ => {}
        }
    }
}

fn receipt(order: &Order, paid_with: &str) -> Markup {
    html! {
        dl {
            @match &order.goods {
                Goods::Rights { offer, .. } => {
                    dt { "What" } dd { a href=(resource_path(offer.publisher.as_str(), offer.name.as_str())) { (offer.publisher) "/" (offer.name) } }
                    dt { "Offer" } dd { bdi { (offer.title) } }
                    dt { "Rights" } dd { (offer.rights) }
                }
                Goods::TopUp { .. } => { dt { "What" } dd { "Money for your balance" } }
                Goods::Codes { product, quantity, .. } => {
                    dt { "What" } dd { bdi { (product.title) } }
                    dt { "Merchant" } dd { (product.merchant) }
                    dt { "Codes" } dd { (quantity) }
                }
            }
            dt { "Amount" } dd { strong { (order.amount()) } }
            @if matches!(order.phase, OrderPhase::Refunding | OrderPhase::Refunded) {
                dt { "Paid back" } dd { strong { (order.refund()) } }
            }
            dt { "Paid with" } dd { (paid_with) }
            dt { "Ordered" } dd { (moment(order.created)) }
            dt { "State" } dd { (mark(order.phase)) }
            dt { "Number" } dd { code { (order.id) } }
        }
        @if let Some(signed) = &order.receipt {
            details {
                summary { "The signed receipt" }
                p.small { "A document that this store signed (JWS)." }
                code.cmd { (signed) }
            }
        }
    }
}
