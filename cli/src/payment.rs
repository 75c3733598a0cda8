//! Buying: choose an offer, agree to its price, pay.

use portcullis_host::{Order, Storefront};
use portcullis_protocol::wire::{OrderState, PaymentMethod};
use portcullis_protocol::{Offer, OfferId, OperationName, Verified};
use std::str::FromStr;

use crate::failure::{Failure, Outcome};
use crate::output::{OfferLine, Screen};

/// `--payment PROVIDER:TOKEN`.
#[derive(Debug, Clone)]
pub(crate) struct Payment(PaymentMethod);

impl FromStr for Payment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((provider, token)) if !provider.is_empty() && !token.is_empty() => {
                Ok(Self(PaymentMethod { provider: provider.to_owned(), token: token.to_owned() }))
            }
            _ => Err("write PROVIDER:TOKEN, as in sandbox:ok".to_owned()),
        }
    }
}

/// The one offer that is meant.
pub(crate) fn choose<'o>(
    offers: &'o [Verified<Offer>],
    operation: Option<&OperationName>,
    id: Option<OfferId>,
) -> Outcome<&'o Verified<Offer>> {
    let fits = |offer: &&Verified<Offer>| {
        let offer = offer.document();
        !offer.rights.is_free()
            && operation.is_none_or(|wanted| *wanted == offer.operation)
            && id.is_none_or(|wanted| wanted == offer.id)
    };
    let fitting: Vec<&Verified<Offer>> = offers.iter().filter(fits).collect();
    match fitting.as_slice() {
        [offer] => Ok(offer),
        [] if offers.iter().any(|offer| offer.document().rights.is_free()) => {
            Err(Failure::new("nothing here has to be bought: it is free", "run it"))
        }
        [] => Err(Failure::new("the store has no such offer", "see what it offers: `portcullis price NAME`")),
        several => {
            let lines: Vec<String> = several.iter().map(|offer| format!("  {}", OfferLine::of(offer))).collect();
            Err(Failure::usage(
                format!("several offers could be meant:\n{}", lines.join("\n")),
                "choose with --operation NAME or --offer ID",
            ))
        }
    }
}

/// Buys an offer. What the user agreed to is this very offer: where the store has changed it since, it refuses.
pub(crate) async fn pay(store: &Storefront, offer: &Verified<Offer>, payment: &Payment) -> Outcome<Order> {
    let order = store.order(offer, payment.0.clone()).await?;
    match order.state {
        OrderState::Declined => Err(Failure::new(
            "the payment was declined; nothing is owed",
            "use another means of payment: --payment PROVIDER:TOKEN",
        )),
        OrderState::Refunded => Err(Failure::new("the order was paid back", "order again")),
        OrderState::Paid | OrderState::Pending => Ok(order),
    }
}

/// Shows the offers and asks which to buy; `None` where the answer is no, or nobody can be asked.
pub(crate) fn ask(screen: Screen, offers: &[Verified<Offer>]) -> Option<&Verified<Offer>> {
    if !screen.can_ask() {
        return None;
    }
    for offer in offers.iter().filter(|offer| !offer.document().rights.is_free()) {
        let price = offer.document().price;
        if offers.len() > 1 {
            screen.note(OfferLine::of(offer));
        }
        if screen.ask(format_args!("Costs {price}. Buy?")) {
            return Some(offer);
        }
    }
    None
}
