//! Why there is no code of an order at this terminal, and what to do.

use portcullis_host::{CodeOrder, Storefront};
use portcullis_protocol::OrderId;
use portcullis_protocol::codes::{CodeState, ReportedState};

use super::next::next;
use super::terminal_names;
use crate::failure::Failure;

/// There is no code for this terminal, and why.
pub(crate) async fn not_yet(store: &Storefront, id: &OrderId, state: ReportedState) -> Failure {
    let message = format!("there is no code of order {id} for this terminal: it is {state}");
    let Ok(Some(order)) = store.code_order(id).await else {
        return Failure::new(message, "look again: `portcullis codes`");
    };
    if let Some(over) = over(&order) {
        return Failure::new(
            format!("there is no code of order {id}: {over}"),
            "look for another one: `portcullis search --kind code`; or order it again when the merchant has it",
        );
    }
    let names = terminal_names(store, std::slice::from_ref(&order)).await;
    let elsewhere = order.terminal.and_then(|terminal| names.get(&terminal)).map(String::as_str);
    let next = next(&order, elsewhere);
    if is_elsewhere(&order) {
        let place = elsewhere.map_or_else(|| "another terminal".to_owned(), |name| format!("the terminal `{name}`"));
        return match order.state.known() {
            Some(state) if state.waits_for_code() || state.may_be_sealed_again() => {
                Failure::new(format!("the code of order {id} comes to {place} of your account"), next)
            }
            _ => Failure::new(
                format!("the code of order {id} is on {place} of your account"),
                format!(
                    "show it there: `portcullis codes {id}`. It has arrived, so that no terminal can take it over by --claim"
                ),
            ),
        };
    }
    let fix = match order.state.known() {
        Some(state) if state.waits_for_code() && order.comes_here => {
            format!("wait for it: `portcullis codes --watch`. Next: {next}")
        }
        Some(_) if !next.is_empty() => next,
        _ => "nothing more comes of it; see `portcullis receipts`".to_owned(),
    };
    Failure::new(message, fix)
}

/// Whether an order is delivered to another terminal of the account.
pub(super) const fn is_elsewhere(order: &CodeOrder) -> bool {
    !order.comes_here && order.terminal.is_some()
}

/// How an order ended of which no code comes; none if one may come, or has come.
fn over(order: &CodeOrder) -> Option<String> {
    let over = match order.state.known()? {
        CodeState::Failed | CodeState::Refunding => "you are being paid back",
        CodeState::Refunded | CodeState::Reversed => "you were paid back",
        CodeState::ChargedBack => "you have taken the payment back",
        _ => return None,
    };
    Some(match &order.reason {
        Some(reason) => format!("{over}; the merchant says: {reason}"),
        None => over.to_owned(),
    })
}
