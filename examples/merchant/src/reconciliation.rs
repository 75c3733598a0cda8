//! What the store says against what the shop knows: every order that is open at the store, and every order of the shop
//! that may still change. Each difference names who goes on.

use crate::database::{OrderRow, OrderState};
use crate::delivery::Desk;
use crate::store::StoreError;
use anyhow::Result;
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::{MerchantOrder, MerchantOrdersAnswer};
use portcullis_protocol::{OrderId, Reason, paths};
use std::collections::BTreeMap;

/// Pages of open orders that are read.
const PAGES: u32 = 1000;

/// Tries after which an order is not simply on its way.
const PATIENT: u32 = 3;

/// An order, on both sides.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) order: OrderId,
    /// At the store.
    pub(crate) store: String,
    /// In this shop; absent if it has not heard of it.
    pub(crate) shop: Option<OrderState>,
    pub(crate) what: String,
    /// Whether the two do not fit, or a person has to look.
    pub(crate) is_wrong: bool,
}

/// Compares. What the shop has to do is due at once.
pub(crate) async fn compare(desk: &Desk) -> Result<Vec<Line>> {
    let mut open = BTreeMap::new();
    let mut path = paths::MERCHANT_OPEN.to_owned();
    for _ in 0..PAGES {
        let answer: MerchantOrdersAnswer = desk.store.get(&path).await?;
        open.extend(answer.orders.into_iter().map(|order| (order.order, order)));
        match answer.next {
            Some(after) => path = paths::fill(paths::MERCHANT_OPEN_PAGE, &[&after]),
            None => break,
        }
    }
    let mut lines = Vec::new();
    for row in desk.shop.database.unfinished().await? {
        let path = paths::fill(paths::MERCHANT_ORDER, &[&row.id]);
        let seen = match open.remove(&row.id) {
            Some(seen) => Some(seen),
            None => match desk.store.get::<MerchantOrder>(&path).await {
                Ok(seen) => Some(seen),
                Err(StoreError::Refused(refusal)) if refusal.reason == Reason::OrderUnknown => None,
                Err(error) => return Err(error.into()),
            },
        };
        let state = seen.as_ref().map_or_else(|| "unknown".into(), |seen| seen.state.to_string());
        let (what, is_wrong) = judged(&row, seen.as_ref());
        if is_wrong && row.state != OrderState::Stuck {
            let note = row.note.clone();
            desk.shop.database.again(row.clone(), Some(crate::now()), note).await?;
        }
        let what = if row.state == OrderState::Stuck { format!("a person has to look: {}", row.note) } else { what };
        lines.push(Line { order: row.id, store: state, shop: Some(row.state), what, is_wrong });
    }
    for (order, seen) in open {
        let what = "the webhook has not come yet: see that the store reaches this shop".into();
        lines.push(Line { order, store: seen.state.to_string(), shop: None, what, is_wrong: true });
    }
    Ok(lines)
}

/// What follows from the two states, and whether they do not fit.
fn judged(row: &OrderRow, seen: Option<&MerchantOrder>) -> (String, bool) {
    let (shop, tries, note) = (row.state, row.tries, &row.note);
    let Some(seen) = seen else { return ("the store does not know it".into(), true) };
    let state = seen.state.known();
    match (shop, state) {
        (OrderState::Stuck, _) => (String::new(), true),
        // One that was tried again and again is not on its way.
        (OrderState::Open, Some(state)) if state.waits_for_code() && tries > PATIENT => {
            (format!("the shop tries in vain: {note}"), true)
        }
        (OrderState::Open, Some(state)) if state.waits_for_code() => ("the shop delivers".into(), false),
        (OrderState::Open, _) => ("the shop was not told how it ended, and looks now".into(), true),
        (OrderState::Accepted, Some(state)) if state.has_code() && state != CodeState::Reversed => {
            (state.next().map_or_else(|| "done".into(), |(who, what)| format!("{who}: {what}")), false)
        }
        (OrderState::Accepted, Some(CodeState::Reversed)) => {
            ("the buyer was paid back, and the shop looks now".into(), true)
        }
        (OrderState::Accepted, _) => ("the shop has a signed acceptance, and the store says otherwise".into(), true),
        (OrderState::Refunded | OrderState::Reversed, _) => ("done".into(), false),
    }
}
