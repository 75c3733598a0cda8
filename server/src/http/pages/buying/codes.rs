//! What is the same wherever electronic codes are bought in a browser: the form, which names the terminal that is to
//! make the order's key, and what becomes of it. No browser has a key, and neither has this server.

use super::super::kit::layout::NOTICE;
use super::super::onward::Onward;
use super::super::session::{SignedInBrowser, Visitor};
use super::{Bought, Means, Refused, Wanted, buy, fields, fresh_key, payment};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{BrowserCodes, Ordered, Terminal};
use maud::{Markup, html};
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::{Digest, Money, TerminalId};
use serde::Deserialize;

/// What the page shows, and its form buys.
pub(super) struct Basket {
    /// The revision of the product.
    pub(super) product: Digest,
    pub(super) quantity: Quantity,
    /// What all of it costs. The form does not send it: the revision, or the request, says it.
    pub(super) amount: Money,
}

/// The form as sent.
#[derive(Deserialize)]
pub(crate) struct Sent {
    pub(super) csrf: String,
    key: String,
    #[serde(default)]
    pub(super) means: String,
    pub(super) product: String,
    pub(super) quantity: String,
    terminal: String,
    #[serde(rename = "current-password", default)]
    password: String,
}

impl Sent {
    /// What it wants, of a page that shows products.
    pub(super) fn wanted(&self) -> Result<(Digest, Quantity), ApiError> {
        let malformed = || ApiError::Malformed("not the form that this page sends".into());
        let product = self.product.parse().map_err(|_| malformed())?;
        let quantity = quantity(&self.quantity).ok_or_else(malformed)?;
        Ok((product, quantity))
    }
}

/// A number of codes, as a form or a link says it.
pub(super) fn quantity(text: &str) -> Option<Quantity> {
    text.trim().parse().ok().and_then(|number| Quantity::new(number).ok())
}

/// Buys, once per form.
pub(super) async fn buy_codes(
    app: &App,
    session: &SignedInBrowser,
    sent: Sent,
    request: Option<Digest>,
    path: &str,
) -> Result<Bought, ApiError> {
    let (product, quantity) = sent.wanted()?;
    let terminal: TerminalId =
        sent.terminal.parse().map_err(|_| ApiError::Malformed("not the form that this page sends".into()))?;
    let goods = Ordered::InBrowser(BrowserCodes { product, quantity, request, terminal });
    let wanted = Wanted { goods, payment: payment(&sent.means), again: false, password: sent.password };
    buy(app, session, wanted, sent.key, path).await
}

/// Who looks at the form, and what he can pay with.
pub(super) struct Buyer {
    pub(super) means: Vec<Means>,
    pub(super) preset: Option<Terminal>,
}

impl Buyer {
    /// Nobody, if nobody is signed in.
    pub(super) async fn of(app: &App, visitor: &Visitor) -> Result<Option<Self>, ApiError> {
        let Some(account) = visitor.account() else { return Ok(None) };
        let preset = app.core.store.preset_terminal(account).await.map_err(ApiError::internal)?;
        Ok(Some(Self { means: super::means_of(app, account).await?, preset }))
    }
}

/// The form, or what comes before it: signing in, and choosing a terminal.
pub(super) fn form(
    app: &App,
    visitor: &Visitor,
    basket: &Basket,
    buyer: Option<&Buyer>,
    again: Option<(&Refused, &str)>,
    here: (&str, &Onward),
) -> Markup {
    let (path, onward) = here;
    let preset = buyer.and_then(|buyer| buyer.preset.as_ref());
    html! {
        p.quiet { "To pay" }
        p.sum { (basket.amount) }
        @match (buyer, preset) {
            (None, _) => { p { a.button href=(onward.by("/sign-in")) { "Sign in to pay" } } }
            (Some(_), None) => {
                p { "A code is sealed for one of your terminals, so that nobody else can read it, not even this store. Choose which one has what you buy in a browser." }
                p { a.button href=(onward.by("/account/preset")) { "Choose a terminal" } }
            }
            (Some(buyer), Some(_)) if buyer.means.is_empty() => { p { "This store takes no payments at present." } }
            (Some(buyer), Some(terminal)) => {
                (payment_form(app, visitor, basket, (buyer, terminal), again, path))
                p.hint {
                    "The code goes to your terminal " strong { bdi { (name_of(terminal)) } } ". "
                    a href=(onward.by("/account/preset")) { "Choose another one" }
                }
            }
        }
    }
}

fn payment_form(
    app: &App,
    visitor: &Visitor,
    basket: &Basket,
    (buyer, terminal): (&Buyer, &Terminal),
    again: Option<(&Refused, &str)>,
    path: &str,
) -> Markup {
    let (refused, chosen) = (again.map(|(refused, _)| refused), again.map_or("", |(_, chosen)| chosen));
    let key = refused.map_or_else(fresh_key, |refused| refused.key.clone());
    html! {
        form method="post" action=(path) aria-label="Payment" aria-describedby=[refused.map(|_| NOTICE)] {
            (visitor.field(app))
            input type="hidden" name="product" value=(basket.product);
            input type="hidden" name="quantity" value=(basket.quantity);
            input type="hidden" name="terminal" value=(terminal.id);
            (fields((app, visitor), &buyer.means, &key, chosen, refused.and_then(|refused| refused.unconfirmed.as_ref())))
            button { "Pay " (basket.amount) }
        }
    }
}

/// What went wrong, above everything.
pub(super) fn notice(refused: Option<&Refused>) -> Markup {
    html! { @if let Some(refused) = refused { (refused.notice()) } }
}

/// What a terminal is called.
pub(super) fn name_of(terminal: &Terminal) -> &str {
    if terminal.label.trim().is_empty() { "without a name" } else { &terminal.label }
}
