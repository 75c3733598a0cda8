//! Buying: choose an offer, agree to its price, pay.

pub(crate) mod identifier;
pub(crate) mod metered;
pub(crate) mod offer_line;
pub(crate) mod offer_title;
pub(crate) mod rights;
pub(crate) mod unpaid_line;

use portcullis_host::{ClientError, Goods, Listing, Order, Purchase, Storefront};
use portcullis_protocol::wire::{OrderState, PaymentMethod, PaymentStep, UnpaidGoods, UnpaidOrder};
use portcullis_protocol::{
    Money, Offer, OfferId, OperationName, OrderId, PublisherName, Reason, ResourceName, Rights, Verified, nearest,
};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use crate::failure::{Failure, Outcome};
use crate::payment::metered::{Agreed, Question};
use crate::payment::unpaid_line::what_to_do;
use crate::screen::hint;
use crate::screen::output::{OfferLine, Screen, style};

/// How what is metered is paid for.
const BY_THE_UNIT: &str = "agree to pay by the unit, up to a total: --max-spend 1.00EUR; or answer y on a terminal";
/// What to do if a store does not take a means of payment, or its provider declines it.
pub(crate) const OTHER_MEANS: &str = "choose another means of payment: --payment PROVIDER:TOKEN";
/// The same of a top-up: there the store may not take the amount.
const OTHER_AMOUNT: &str = "choose another amount or currency; or, if the store does not take that means of payment, another one: --payment PROVIDER:TOKEN";
/// What a person should know of an order that is pending.
const PENDING: &str =
    "\nIf you order the same again before it is paid, it is this order. To order it once more beside it: --again\n";
/// The same, if it was there before.
const JOINED: &str = "\nNothing was ordered, and no payment was begun: this order was there before, and is paid as it was ordered, whatever \
     `--payment` says now. To order it once more beside it: --again\n";
/// The same of what is counted: more of it is worth more, so each order stands for itself.
const PENDING_COUNTED: &str = "\nThe store gives you the rights once it is paid; `portcullis receipts` shows how it stands. To order more beside it: --again\n";
/// The same, if only the store knows how it stands.
const UNKNOWN_STATE: &str = "\nUpdate Portcullis, or see what the store says about the order.\n";

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

impl Payment {
    /// As the protocol has it.
    pub(crate) fn method(&self) -> PaymentMethod {
        self.0.clone()
    }

    /// The provider said no.
    pub(crate) fn declined() -> Failure {
        let declined = Failure::refusal(Reason::PaymentRequired, "the payment was declined; nothing is owed");
        declined.in_detail().with_fix(OTHER_MEANS)
    }

    /// It was paid when nothing could be given for it any more.
    pub(crate) fn goes_back() -> Failure {
        Failure::new(
            "nothing was given for the payment, so the store pays it back",
            "see what the store sells now: `portcullis search`; if the money does not come back, ask the store",
        )
    }

    /// The store takes no money for this, and `otherwise` says what it may take. If it sends offers instead, the
    /// registry's advice is right: buy one of them.
    fn refused(error: ClientError, otherwise: &str) -> Failure {
        let failure = Failure::from(error);
        if failure.reason() == Some(Reason::ConfirmationRequired) {
            return failure.in_detail().with_fix("run it; to buy it all the same, add --again");
        }
        if matches!(failure.reason(), Some(Reason::ResourceWithdrawn | Reason::OperationUnknown)) {
            return failure.in_detail();
        }
        if failure.reason() == Some(Reason::PaymentRequired) && failure.offers().is_empty() {
            return failure.in_detail().with_fix(otherwise);
        }
        failure
    }
}

/// The one offer that is meant. What is metered is not bought.
pub(crate) fn choose<'o>(
    listing: &'o Listing,
    operation: Option<&OperationName>,
    id: Option<&str>,
) -> Outcome<&'o Verified<Offer>> {
    let offers = &listing.offers;
    let name = format!("{}/{}", listing.publisher, listing.name);
    let prices = format!("portcullis price {name}");
    let known: Vec<OfferId> = offers.iter().map(|offer| offer.document().id).collect();
    let id = id.map(|typed| identifier::pick(typed, &known, "offer", &prices).map(|at| known[at])).transpose()?;
    let fits = |offer: &&Verified<Offer>| {
        let offer = offer.document();
        offer.rights.is_bought()
            && operation.is_none_or(|wanted| *wanted == offer.operation)
            && id.is_none_or(|wanted| wanted == offer.id)
    };
    let fitting: Vec<&Verified<Offer>> = offers.iter().filter(fits).collect();
    let mut others =
        offers.iter().map(Verified::document).filter(|offer| operation.is_none_or(|wanted| *wanted == offer.operation));
    match fitting.as_slice() {
        [offer] => Ok(offer),
        [] if others.clone().any(|offer| offer.rights.is_given()) => {
            Err(Failure::new("nothing here has to be bought: it is free", "run it"))
        }
        [] if others.any(|offer| offer.rights.is_paid_per_unit()) => Err(Failure::new(
            "nothing here can be bought: it is sold by the unit",
            "pay money in, `portcullis top-up 5.00EUR`, and run it",
        )),
        [] if !listing.unknown_offers.is_empty() => Err(Failure::unknown_terms("nothing here can be bought")),
        [] => Err(no_such_offer(&name, offers, operation)),
        several => {
            let lines: Vec<String> = several.iter().map(|offer| format!("  {}", OfferLine::of(offer))).collect();
            let ids: Vec<String> = several.iter().map(|offer| format!("--offer {}", offer.document().id)).collect();
            Err(Failure::usage(
                format!("several offers could be meant:\n{}", lines.join("\n")),
                format!("choose one of them: {}", ids.join(" or ")),
            ))
        }
    }
}

/// Nothing is sold of what was asked for.
fn no_such_offer(name: &str, offers: &[Verified<Offer>], operation: Option<&OperationName>) -> Failure {
    let sold: BTreeSet<&str> = offers.iter().map(|offer| offer.document().operation.as_str()).collect();
    let prices = format!("`portcullis price {name}` shows what there is");
    let (what, fix) = match operation {
        Some(operation) if sold.contains(operation.as_str()) => {
            (format!("the offer is not one of the operation `{operation}` of {name}"), prices)
        }
        Some(operation) => {
            let fix = match nearest(operation.as_str(), sold.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? {prices}"),
                None if sold.is_empty() => prices,
                None => format!("sold are: {}", sold.into_iter().collect::<Vec<_>>().join(", ")),
            };
            (format!("the store sells no operation `{operation}` of {name}"), fix)
        }
        None => (format!("the store sells nothing of {name}"), prices),
    };
    Failure::new(what, fix)
}

/// How to buy an operation, as commands that do it: by the offer, if there are several.
pub(crate) fn advice(name: &str, operation: &OperationName, offers: &[Verified<Offer>]) -> String {
    let buyable = |offer: &&Verified<Offer>| {
        let offer = offer.document();
        offer.operation == *operation && offer.rights.is_bought()
    };
    let buyable: Vec<OfferLine> = offers.iter().filter(buyable).map(OfferLine::of).collect();
    let mut said = offers.iter().map(Verified::document);
    let by_the_unit = said.any(|offer| offer.operation == *operation && offer.rights.is_paid_per_unit());
    let mut ways: Vec<String> = by_the_unit.then(|| BY_THE_UNIT.to_owned()).into_iter().collect();
    match buyable.as_slice() {
        [] if by_the_unit => {}
        [] => ways.push(format!("see what it costs: `portcullis price {name}`")),
        [_] => ways.push(format!("buy it: `portcullis buy {name} --operation {operation}`")),
        several => {
            let line = |offer: &OfferLine| {
                format!("`portcullis buy {name} --offer {}`  {}, {}", offer.id, offer.title, offer.price)
            };
            ways.push("buy one of them:".to_owned());
            ways.extend(several.iter().map(line));
        }
    }
    ways.join("\n")
}

/// Buys rights for what goes on at once, so that an order which is not paid is a failure. What the user agreed to is
/// this very offer: if the store has changed it since, it refuses.
pub(crate) async fn pay(store: &Storefront, offer: &Verified<Offer>, payment: &Payment) -> Outcome<OrderId> {
    let order = buy(store, Purchase::of(Goods::Rights(Box::new(offer.clone())), payment.method())).await?;
    let about = format!("ordered, and not paid yet: order {}", order.id);
    match (order.state, order.next) {
        (OrderState::Paid, _) => Ok(order.id),
        (OrderState::Other(state), _) => Err(Failure::new(
            format!("{about} is `{state}`, a state that this version does not know"),
            "update Portcullis, or see what the store says about it; it is not ordered twice",
        )),
        (_, Some(step)) => {
            Err(Failure::new(about, format!("to pay, open {} in a browser; then run the same command again", step.url)))
        }
        (_, None) => Err(Failure::new(about, "wait for the payment, then run the same command again")),
    }
}

/// Buys. What the provider has declined, and what the store pays back, is a failure.
async fn buy(store: &Storefront, purchase: Purchase) -> Outcome<Order> {
    match store.buy(purchase).await {
        Ok(order) => taken(order),
        Err(error) => Err(refused(store, error).await),
    }
}

/// Pays money in, as [`buy`]: here the amount is the user's own choice.
pub(crate) async fn top_up(store: &Storefront, purchase: Purchase) -> Outcome<Order> {
    match store.buy(purchase).await {
        Ok(order) => taken(order),
        Err(error) => Err(go_on_with(store, Payment::refused(error, OTHER_AMOUNT)).await),
    }
}

/// The order, if it brings something, or will once it is paid; a refusal otherwise.
fn taken(order: Order) -> Outcome<Order> {
    match order.state {
        OrderState::Declined => Err(Payment::declined()),
        OrderState::Refunded => Err(Payment::goes_back()),
        OrderState::Paid | OrderState::Pending | OrderState::Other(_) => Ok(order),
    }
}

/// Why nothing was ordered; if an order is in the way, with what can be done about that one.
pub(crate) async fn refused(store: &Storefront, error: ClientError) -> Failure {
    go_on_with(store, Payment::refused(error, OTHER_MEANS)).await
}

/// The same failure; if an order is in the way, with what can be done about that one.
async fn go_on_with(store: &Storefront, failure: Failure) -> Failure {
    let Some(order) = failure.order() else { return failure };
    let unpaid = store.unpaid_orders().await.unwrap_or_default();
    let to_do = match unpaid.iter().find(|unpaid| unpaid.order == order) {
        Some(unpaid) => to_do(unpaid),
        None => format!("pay order {order}, or give it up: `portcullis cancel {order}`"),
    };
    failure.with_fix(format!("{to_do}; to buy this beside it, add --again"))
}

/// What can be done about an order for an operation that is not paid, if there is one. `None`, too, if the store does
/// not answer.
pub(crate) async fn open_order(
    store: &Storefront,
    publisher: &PublisherName,
    name: &ResourceName,
    operation: &OperationName,
) -> Option<String> {
    let unpaid = store.unpaid_orders().await.ok()?;
    let is_of_it = |unpaid: &&UnpaidOrder| match &unpaid.goods {
        UnpaidGoods::Rights { publisher: by, name: of, operation: wanted, .. } => {
            (by, of, wanted) == (publisher, name, operation)
        }
        _ => false,
    };
    let unpaid = unpaid.iter().find(is_of_it)?;
    Some(format!("order {} for it is not paid: {}", unpaid.order, to_do(unpaid)))
}

fn to_do(unpaid: &UnpaidOrder) -> String {
    what_to_do(&unpaid.order.to_string(), unpaid.until, unpaid.next.as_ref())
}

/// Buys; if an order of the same that is counted is not paid yet, shows it and asks whether this is one more. Who
/// cannot be asked, or has agreed beforehand to a price alone, is told.
pub(crate) async fn buy_or_ask(store: &Storefront, purchase: Purchase, screen: Screen, asks: bool) -> Outcome<Order> {
    let failure = match store.buy(purchase.clone()).await {
        Ok(order) => return taken(order),
        Err(error) => Payment::refused(error, OTHER_MEANS),
    };
    let Some(pending) = failure.order().filter(|_| asks && screen.can_ask()) else {
        return Err(go_on_with(store, failure).await);
    };
    let next = store.order_state(pending).await?.next;
    let to_pay = next.map_or_else(String::new, |step| format!("  to pay that one, open {}\n", step.url));
    let cancel = hint::typed("portcullis cancel");
    let question = format!(
        "{failure}\n  order {pending}\n{to_pay}  to give it up: `{cancel} {pending}`\nOrder one more beside it?"
    );
    if screen.ask(question) { buy(store, purchase.again()).await } else { Err(go_on_with(store, failure).await) }
}

/// How an order stands that is not paid: what follows `ordered NAME: `.
pub(crate) fn standing(state: OrderState) -> String {
    match state {
        OrderState::Other(state) => {
            format!("the store says `{state}`, a state that this version does not know; nothing counts as paid")
        }
        _ => "the payment is still pending".to_owned(),
    }
}

/// What the same purchase is, asked for while an order of it is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is the pending one.
    SameOrder,
    /// It was the pending one: nothing was ordered.
    Joined,
    /// It is one more, once the buyer says so, and is charged too.
    AnotherOrder,
}

impl Again {
    /// As stores have it: rights that are counted can be ordered several times at once.
    pub(crate) fn of_rights(rights: Rights, joined: bool) -> Self {
        if rights.quantity().is_some() { Self::AnotherOrder } else { Self::of(joined) }
    }

    /// The same of what is wanted once.
    pub(crate) const fn of(joined: bool) -> Self {
        if joined { Self::Joined } else { Self::SameOrder }
    }

    /// What is said first of an order that is not paid.
    pub(crate) const fn headline(self) -> &'static str {
        match self {
            Self::Joined => "on order already:",
            Self::SameOrder | Self::AnotherOrder => "ordered",
        }
    }
}

/// What a person should know and do of an order that is not paid.
pub(crate) fn unpaid(order: &str, state: OrderState, next: Option<&PaymentStep>, again: Again) -> String {
    let give_up = format!("To give it up: `{} {order}`\n", hint::typed("portcullis cancel"));
    let after = match (state, again) {
        (OrderState::Other(_), _) => UNKNOWN_STATE.to_owned(),
        (_, Again::SameOrder) => format!("{PENDING}{give_up}"),
        (_, Again::Joined) => format!("{JOINED}{give_up}"),
        (_, Again::AnotherOrder) => format!("{}{give_up}", hint::typed(PENDING_COUNTED)),
    };
    match next {
        Some(step) => format!("\nTo pay, open this address in a browser:\n\n    {}\n{after}", step.url),
        None => after,
    }
}

/// How the user agreed to pay.
pub(crate) enum Agreement {
    /// Buy this, then run.
    Buy(Verified<Offer>),
    /// Run on the terms of this metered offer.
    PerUnit(Verified<Offer>),
}

/// Shows the offers and asks how to pay for one unit; `None` if the answer is no, or nobody can be asked. Where a
/// total was agreed to beforehand nobody is asked: the runtime holds to it.
pub(crate) fn ask(
    screen: Screen,
    offers: &[Verified<Offer>],
    agreed: &Agreed,
    spent: impl Fn(Money) -> Money,
) -> Option<Agreement> {
    if agreed.cap().is_some()
        && let Some(question) = Question::cheapest(offers, 1, &spent)
    {
        return Some(Agreement::PerUnit(question.offer));
    }
    if !screen.can_ask() {
        return None;
    }
    for offer in offers.iter().filter(|offer| !offer.document().rights.is_given()) {
        let (document, strong) = (offer.document(), style::STRONG);
        let (publisher, name) = (&document.publisher, &document.name);
        let about = format!("{strong}{publisher}/{name}{strong:#} at {}\n  {}\n", document.iss, OfferLine::of(offer));
        if let Some(question) = Question::about(offer, 1, &spent) {
            if agreed.ask(screen, &about, &question, &AtomicBool::new(false)) {
                return Some(Agreement::PerUnit(question.offer));
            }
        } else if screen.ask(format_args!("{about}Costs {}. Buy?", document.price)) {
            return Some(Agreement::Buy(offer.clone()));
        }
    }
    None
}
