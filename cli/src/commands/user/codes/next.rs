//! What is next about an order of codes, in the words of whoever bought it.

use portcullis_host::CodeOrder;
use portcullis_protocol::codes::{CodeState, Party};

use super::doubt;
use crate::screen::hint;

/// What is next, and who has to see to it; nothing if the order is over. `elsewhere` is what the terminal is called
/// that an order is delivered to, if that is not this one.
pub(super) fn next(order: &CodeOrder, elsewhere: Option<&str>) -> String {
    let Some(state) = order.state.known() else { return "update Portcullis".to_owned() };
    if order.is_here {
        let shown = format!("{} {}", hint::typed("portcullis codes"), order.id);
        return doubt::of(state).map_or_else(|| shown.clone(), |doubt| format!("{doubt}: {shown}"));
    }
    if order.key_wanted {
        return hint::typed("this terminal makes its key: `portcullis codes --watch`").into_owned();
    }
    let declined = |said: &str| match &order.reason {
        Some(reason) => format!("{said}; the merchant says: {reason}"),
        None => said.to_owned(),
    };
    let is_on_its_way = state.waits_for_code() || state.may_be_sealed_again();
    let named = || elsewhere.map_or_else(|| "another terminal".to_owned(), |name| format!("the terminal `{name}`"));
    if is_on_its_way && !order.comes_here {
        let id = order.id;
        return match order.terminal {
            None => "choose a terminal for it on the account's page".to_owned(),
            Some(_) if !order.has_key => {
                format!(
                    "{} makes its key, by `portcullis codes` there; another one is chosen on the account's page",
                    named()
                )
            }
            Some(_) => {
                let lost = format!("if that one is lost: `{} {id} --claim`", hint::typed("portcullis codes"));
                format!("comes to {}, by `portcullis codes` there; {lost}", named())
            }
        };
    }
    if state == CodeState::Acknowledged && !order.comes_here {
        return format!("on {}", named());
    }
    match state {
        CodeState::Paid => "the merchant is told of it".to_owned(),
        CodeState::Notified => "the merchant asks what was ordered".to_owned(),
        CodeState::Verified => "the merchant seals the code".to_owned(),
        CodeState::Failed | CodeState::Refunding => declined("you are being paid back"),
        CodeState::Refunded => declined("you were paid back"),
        _ => match state.next_of(order.sealed, order.generation) {
            Some((Party::Operator, _)) => "a person of the store decides".to_owned(),
            Some((Party::Merchant, what)) => format!("the merchant: {what}"),
            Some((_, what)) => what.to_owned(),
            None => String::new(),
        },
    }
}
