//! What makes a code doubtful that is on this terminal: its order was paid back, or somebody disputes it.

use portcullis_host::Storefront;
use portcullis_protocol::OrderId;
use portcullis_protocol::codes::CodeState;
use std::time::Duration;

/// How long is waited for what the store says of an order whose codes are here. They are shown in any case.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is doubtful about a code, by the store's word of its order.
pub(super) const fn of(state: CodeState) -> Option<&'static str> {
    match state {
        CodeState::Reversed => Some("you were paid back for it, and it may be void"),
        CodeState::Disputed => Some("it is disputed, and void if that is decided for the buyer"),
        _ => None,
    }
}

/// What is doubtful about the codes of an order. Of a store that does not answer nothing is known.
pub(super) async fn ask(store: &Storefront, order: &OrderId) -> Option<&'static str> {
    let found = tokio::time::timeout(PATIENCE, store.code_order(order)).await.ok()?.ok()??;
    of(found.state.known()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_paid_back_or_is_disputed_is_doubtful_and_nothing_else() {
        let doubtful: Vec<CodeState> = CodeState::ALL.into_iter().filter(|state| of(*state).is_some()).collect();
        assert_eq!(doubtful, [CodeState::Disputed, CodeState::Reversed]);
    }
}
