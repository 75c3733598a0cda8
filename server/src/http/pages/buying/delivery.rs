//! How far an order of electronic codes has come, on the page of the order. Nothing of it is a script: a page that is
//! watched has itself loaded anew, slower after a while, and in the end not any more.

use super::super::kit::words::{command_line, moment};
use super::super::onward::Onward;
use super::super::store::merchant::path_of;
use super::codes::name_of;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{CodeOrder, Terminal};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::OrderId;
use portcullis_protocol::codes::{CodeState, Party};

/// How often a page that is watched is loaded quickly, and how often at all: some ten minutes.
const QUICK_LOOKS: u32 = 30;
const LOOKS: u32 = 90;
/// Between two of them, in seconds.
const QUICK: u32 = 1;
const SLOW: u32 = 10;

/// An order of codes, and where it goes.
pub(super) struct Delivery {
    order: CodeOrder,
    terminal: Option<Terminal>,
}

impl Delivery {
    /// That of an order, once it is paid for.
    pub(super) async fn of(app: &App, id: &OrderId) -> Result<Option<Self>, ApiError> {
        let store = &app.core.store;
        let order = store.code_order(id).await.map_err(ApiError::internal)?;
        let Some(order) = order.filter(|order| order.state.is_some()) else { return Ok(None) };
        let terminal = match &order.terminal {
            // Until there is a key, it goes to whichever terminal is preset.
            _ if order.awaits_key() => store.preset_terminal(&order.account).await.map_err(ApiError::internal)?,
            Some(terminal) => store.terminal(&order.account, terminal).await.map_err(ApiError::internal)?,
            None => None,
        };
        Ok(Some(Self { order, terminal }))
    }

    /// The order itself.
    pub(super) const fn order(&self) -> &CodeOrder {
        &self.order
    }

    /// The title of its page; `None` as long as what holds for every order is true of it.
    pub(super) fn heading(&self) -> Option<&'static str> {
        Some(match self.order.state? {
            CodeState::Failed | CodeState::Refunding | CodeState::Refunded => "Paid back",
            CodeState::ChargedBack => "Charged back",
            CodeState::Disputed => "Disputed",
            CodeState::Kept | CodeState::Reversed => "Settled",
            CodeState::Paid
            | CodeState::Notified
            | CodeState::Verified
            | CodeState::CodeReceived
            | CodeState::Delivered
            | CodeState::Acknowledged => return None,
        })
    }

    /// Whether anything can still happen: somebody but the operator has to see to it.
    pub(super) fn moves(&self) -> bool {
        self.order.state.and_then(CodeState::next).is_some_and(|(who, _)| who != Party::Operator)
    }

    /// Whether its buyer has to do something before anything moves.
    pub(super) fn waits_for_buyer(&self) -> bool {
        self.order.awaits_key()
    }

    fn declined(&self) -> bool {
        self.order.reason.is_some()
    }

    fn terminal(&self) -> Markup {
        html! { @match &self.terminal { Some(terminal) => strong { bdi { (name_of(terminal)) } }, None => { "your terminal" } } }
    }

    /// What to do, and the way that it has come.
    pub(super) fn show(&self) -> Markup {
        let Some(state) = self.order.state else { return html! {} };
        html! {
            @if self.order.awaits_key() { (self.key_wanted()) } @else { (self.said(state)) }
            @if state.waits_for_code() || state.has_code() { (self.steps(state)) }
        }
    }

    /// The terminal has to do something first.
    fn key_wanted(&self) -> Markup {
        let until = self.order.deadline;
        html! {
            @if self.terminal.is_some() {
                p class="notice warm" role="status" {
                    "It is paid. Your terminal " (self.terminal()) " makes the key that the code is sealed to, once you type there:"
                }
                (command_line("portcullis codes --watch"))
                p.hint {
                    "If nothing was bought from " (self.order.merchant_name) " there before, it asks you to compare the words of the merchant's key. "
                    a href=(Onward::Order(self.order.id).by("/account/preset")) { "Choose another terminal" }
                }
            } @else {
                p class="notice warm" role="status" { "It is paid. None of your terminals is chosen to make the key that the code is sealed to." }
                p { a.button href=(Onward::Order(self.order.id).by("/account/preset")) { "Choose a terminal" } }
            }
            @if let Some(until) = until {
                p.hint { "If there is no key by " (moment(until)) ", you are paid back." }
            }
        }
    }

    /// As long as its merchant knows nothing of it, its buyer may have the money back.
    pub(super) fn cancel(&self, field: &Markup) -> Markup {
        html! {
            @if self.order.awaits_key() {
                details {
                    summary { "Cancel…" }
                    p { "The merchant was not told of it yet. You are paid back at once." }
                    form method="post" action={ (super::path(&self.order.id)) "/cancel" } aria-label="Cancel" {
                        (field)
                        button.danger { "Cancel and be paid back" }
                    }
                }
            }
        }
    }

    fn said(&self, state: CodeState) -> Markup {
        let (class, text) = match state {
            CodeState::Paid | CodeState::Notified | CodeState::Verified => {
                ("notice", "It is paid. The merchant is sealing the code for your terminal.")
            }
            CodeState::CodeReceived => {
                ("notice", "The code is here, sealed. Your terminal fetches it with this command:")
            }
            CodeState::Delivered => ("notice", "The sealed code was sent to your terminal."),
            CodeState::Acknowledged => ("notice", "The code is on your terminal. This command shows it:"),
            // Its merchant was never told of it.
            CodeState::Failed | CodeState::Refunding if self.order.recipient.is_none() => {
                ("notice warm", "It ended before it had a key. You are being paid back.")
            }
            CodeState::Refunded if self.order.recipient.is_none() => {
                ("notice", "It ended before it had a key. You were paid back.")
            }
            CodeState::Failed | CodeState::Refunding if self.declined() => {
                ("notice warm", "The merchant has declined the order. You are being paid back.")
            }
            CodeState::Refunded if self.declined() => {
                ("notice", "The merchant has declined the order. You were paid back.")
            }
            CodeState::Failed | CodeState::Refunding => {
                ("notice warm", "The merchant had no code for it in time. You are being paid back.")
            }
            CodeState::Refunded => ("notice", "The merchant had no code for it in time. You were paid back."),
            CodeState::ChargedBack => {
                ("notice warm", "The payment was taken back before there was a code. None is delivered.")
            }
            CodeState::Disputed => {
                ("notice warm", "The code or its payment is disputed. A person of this store decides.")
            }
            CodeState::Kept => ("notice", "It is settled: the code was delivered as it was sold, and it stays paid."),
            CodeState::Reversed => {
                ("notice warm", "The dispute was decided for you: the money goes back, and the code is void.")
            }
        };
        html! {
            p class=(class) role="status" { (text) }
            @if let Some(reason) = self.order.reason.as_deref().filter(|reason| !reason.is_empty()) {
                p { "The merchant says: " q dir="auto" { (reason) } }
            }
            @if matches!(state, CodeState::CodeReceived | CodeState::Delivered | CodeState::Acknowledged | CodeState::Kept) {
                (command_line(&format!("portcullis codes {}", self.order.id)))
            }
            @if matches!(state, CodeState::Failed | CodeState::Refunding | CodeState::Refunded | CodeState::ChargedBack) {
                p { a.button.plain href=(path_of(&self.order.product.merchant, &self.order.product.name)) { "See whether it is on sale" } }
            }
            @if matches!(state, CodeState::Delivered | CodeState::Acknowledged | CodeState::Kept) {
                p.hint { "If it is not what you bought, write to this store and name the number of the order." }
            }
        }
    }

    fn steps(&self, state: CodeState) -> Markup {
        let steps = [
            (CodeState::Paid, html! { "It is paid." }),
            (CodeState::Notified, html! { "The merchant was told that there is an order." }),
            (CodeState::Verified, html! { "The merchant has asked what was ordered." }),
            (CodeState::CodeReceived, html! { "The merchant has sent the code, sealed." }),
            (CodeState::Delivered, html! { "It was delivered to " (self.terminal()) "." }),
            (CodeState::Acknowledged, html! { (self.terminal()) " has opened and stored it." }),
        ];
        html! {
            h2 { "How far it is" }
            ol.steps {
                @for (step, text) in &steps {
                    li { p { (text) " " @if reached(state, *step) { span.tag { "done" } } @else { span.tag.off { "not yet" } } } }
                }
            }
        }
    }
}

/// Whether a step of the way is behind an order. A dispute says nothing of how far it had come before.
fn reached(state: CodeState, step: CodeState) -> bool {
    match state {
        CodeState::Disputed | CodeState::Kept | CodeState::Reversed => step <= CodeState::CodeReceived,
        _ => step <= state,
    }
}

/// How often the page was loaded by itself, as its address says it.
pub(super) fn looks(query: &str) -> Option<u32> {
    query.parse().ok().filter(|looks| (1..=LOOKS).contains(looks))
}

/// Has the page loaded anew, if that is what its visitor wants.
pub(super) fn watch(order: &OrderId, looks: Option<u32>, is_quick: bool, mut page: Response) -> Response {
    let Some(looks) = looks.filter(|looks| *looks < LOOKS) else { return page };
    // Under the hand of who has to act nothing is loaded anew every second.
    let seconds = if is_quick && looks < QUICK_LOOKS { QUICK } else { SLOW };
    let again = format!("{seconds}; url={}?watch={}", super::path(order), looks + 1);
    if let Ok(again) = HeaderValue::try_from(again) {
        page.headers_mut().insert(header::REFRESH, again);
    }
    page
}

/// The way to watching, or out of it.
pub(super) fn switch(order: &OrderId, looks: Option<u32>) -> Markup {
    html! {
        p {
            @match looks {
                Some(_) => { "This page is loaded anew by itself. " a href=(super::path(order)) { "Stop that" } }
                None => { a.button.plain href=(super::watched(order)) { "Watch it move" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, looks, reached};
    use portcullis_protocol::codes::CodeState;

    #[test]
    fn a_page_is_not_loaded_anew_for_ever() {
        assert_eq!(looks("1"), Some(1));
        for no in ["", "0", "x", "-1", &(LOOKS + 1).to_string()] {
            assert_eq!(looks(no), None, "{no}");
        }
    }

    #[test]
    fn what_is_behind_an_order_is_said_to_be() {
        assert!(
            reached(CodeState::Verified, CodeState::Notified) && !reached(CodeState::Verified, CodeState::CodeReceived)
        );
        assert!(
            reached(CodeState::Kept, CodeState::CodeReceived) && !reached(CodeState::Disputed, CodeState::Delivered)
        );
    }
}
