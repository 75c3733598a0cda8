//! Orders, from the purchase to the receipt, and back. Whatever is bought, rights or prepaid money, goes this one way.
//!
//! ```text
//! open (price in force) → begin → settle: state, ledger, entitlement or balance, receipt in one transaction
//!                          └─ not decided: what the provider said is recorded; look-ups and webhooks settle it
//! begin refund (rights end, or money leaves the balance) → provider pays back → finish refund: state, ledger
//! ```
//!
//! Each arrow is one transaction or one call of the provider, which does a thing once per order. So whatever is lost
//! in between, the order stands in a state from which the next arrow can be tried again: by the client, who repeats
//! its request, by the server itself (each call of a provider is an effect: [`crate::effects`]), by the provider's
//! webhook ([`crate::billing::events`]), or by the operator, for whom [`open`] lists it. An order that the operator
//! settled as declined while its charge was under way, and that is paid in the end, goes to where a refund has begun.
//! So does one that is paid when nothing can be given for it any more: the resource was withdrawn, somebody was
//! suspended, or the account came to hold it otherwise, while the order was pending.
//!
//! What is asked for once is ordered once, however many requests ask: rights that do not run out, and a top-up of one
//! amount, are not pending twice, unless the buyer says `again`. Of what is counted more is worth more, so that the
//! pending order is no answer: the buyer is told of it, and says `again`, or gives it up.

use crate::Core;
use crate::billing::answers::{Refusal, ServiceError};
use crate::billing::entitlement::EntitlementId;
use crate::billing::offers;
use crate::billing::payment::{Decision, Payment, SAVED};
use crate::billing::{charges, refunds};
use crate::crypto::secrets::rng;
use crate::ops::clock::Timestamp;
use crate::store::{
    Begun, Buyer, CodesOffSale, EffectClaim, Goods, Idempotency, NewOrder, OffSale, OpenOutcome, Order, OrderCase,
    OrderPhase, Ordered, Redundant, RefundOutcome, SettleOutcome, Settlement, StoredAnswer,
};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{self, OrderAnswer, OrderState, PaymentMethod, Purchase, UnpaidGoods, UnpaidOrder};
use portcullis_protocol::{
    AccountId, CodeReceipt, Money, OrderId, Reason, Receipt, ReleasePublicKey, Sale, TopUpReceipt, Verified,
};

/// As in [`crate::billing::cycle`].
const LOOKS: usize = 8;
/// The member of a refusal that names the order that is in the way.
pub(crate) const ORDER: &str = "order";
/// Orders that are read at a time.
const PAGE: u32 = 500;

/// Buys: rights, at the price in force, which has to be the one accepted; or prepaid money.
///
/// # Errors
/// `payment-required` if nothing is bought: with the offers in force when the accepted one is not;
/// `resource-withdrawn` or `operation-unknown` if nothing could be granted; `confirmation-required` if it gives
/// nothing new; [`crate::ServiceError`].
pub async fn order(
    core: &Core,
    buyer: impl Into<Buyer>,
    purchase: impl Into<Purchase>,
    idempotency: &Idempotency,
) -> Result<OrderAnswer, ServiceError> {
    let Purchase { goods, payment, again } = purchase.into();
    place(core, buyer.into(), goods, payment, again, idempotency).await
}

/// As [`order`], and of what is bought in a browser without a key.
///
/// # Errors
/// As [`order`].
pub async fn place(
    core: &Core,
    buyer: Buyer,
    goods: impl Into<Ordered>,
    payment: PaymentMethod,
    again: bool,
    idempotency: &Idempotency,
) -> Result<OrderAnswer, ServiceError> {
    match opened(core, &buyer, goods.into(), &payment, again, idempotency).await? {
        Placed::Own(order, claim) => Ok(answer(&charges::begin(core, order, claim, &payment.token).await?)),
        Placed::Joined(order) => Ok(OrderAnswer { joined: true, ..answer(&order) }),
    }
}

/// What a request is answered with.
enum Placed {
    /// The order that it opened, and the claim of its charge, if it was opened just now.
    Own(Order, Option<EffectClaim>),
    /// The order that another request opened for the same: its means of payment count, and this one's are not used.
    Joined(Order),
}

/// Nothing was opened under this request's key, and the server will not open it. That is a decision, so it is signed:
/// only then may the terminal forget the request, and ask for something else.
fn never(why: impl Into<String>) -> ServiceError {
    Refusal::new(Reason::PaymentRequired).because(why).into()
}

/// Without the provider that was chosen, or the means of payment, there is nothing to open.
async fn can_pay(core: &Core, account: &AccountId, payment: &PaymentMethod) -> Result<(), ServiceError> {
    if core.payments.get(&payment.provider).is_none() {
        let names: Vec<&str> = core.payments.all().map(|provider| provider.name()).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let why = format!("this server does not have that payment provider; it has: {has}. Nothing was charged");
        return Err(never(why));
    }
    if payment.token == SAVED && core.store.saved_means(account, &payment.provider).await?.is_none() {
        return Err(never("the account has saved no means of payment with this provider; nothing was charged"));
    }
    Ok(())
}

/// An order as its provider is asked about it.
pub(crate) fn payment(order: &Order, claim: &EffectClaim) -> Payment {
    Payment {
        key: claim.id,
        order: order.id,
        amount: order.amount(),
        reference: order.reference.clone(),
        has_ended: order.phase == OrderPhase::Declined,
        refunding: (order.phase == OrderPhase::Refunding).then(|| order.refund()),
    }
}

/// The order of an effect.
pub(crate) const fn of(claim: &EffectClaim) -> OrderId {
    OrderId::from_bytes(claim.of.subject.0)
}

/// An order of the account.
///
/// # Errors
/// [`ServiceError::NotFound`], also if it is somebody else's.
pub async fn find(core: &Core, buyer: impl Into<Buyer>, order: &OrderId) -> Result<OrderAnswer, ServiceError> {
    let buyer = buyer.into();
    match core.store.order(order).await? {
        Some(order) if order.account == *buyer.account() => Ok(answer(&order)),
        _ => Err(ServiceError::NotFound),
    }
}

/// The orders of the account whose payment is not decided, newest first.
///
/// # Errors
/// [`ServiceError`], if the database fails.
pub async fn unpaid(core: &Core, buyer: impl Into<Buyer>) -> Result<Vec<UnpaidOrder>, ServiceError> {
    let orders = core.store.unpaid_orders(buyer.into().account()).await?;
    Ok(orders.iter().map(unpaid_order).collect())
}

fn unpaid_order(order: &Order) -> UnpaidOrder {
    let goods = match &order.goods {
        Goods::Rights { offer, .. } => UnpaidGoods::Rights {
            publisher: offer.publisher.clone(),
            name: offer.name.clone(),
            operation: offer.operation.clone(),
            title: offer.title.parse().ok(),
        },
        Goods::TopUp { .. } => UnpaidGoods::TopUp {},
        Goods::Codes { product, quantity, terminal, .. } => UnpaidGoods::Codes {
            merchant: product.merchant.clone(),
            title: product.title.clone(),
            quantity: *quantity,
            terminal: *terminal,
        },
    };
    UnpaidOrder {
        order: order.id,
        goods,
        amount: order.amount(),
        at: order.created.seconds(),
        until: order.ends.seconds(),
        next: order.next.clone(),
    }
}

/// Gives up an order whose provider has not decided: it ends unpaid. One that is decided stays as it is, and is the
/// answer; what is paid for it after that goes back.
///
/// # Errors
/// [`ServiceError::NotFound`], also if it is somebody else's.
pub async fn give_up(core: &Core, buyer: impl Into<Buyer>, order: &OrderId) -> Result<OrderAnswer, ServiceError> {
    let buyer = buyer.into();
    let order = core.store.order(order).await?.filter(|order| order.account == *buyer.account());
    let order = order.ok_or(ServiceError::NotFound)?;
    Ok(answer(&settled(core, &order, Settlement::GivenUp, None).await?))
}

/// The provider has decided on a pending order, by itself or through the operator.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn decide(core: &Core, order: &OrderId, decision: Decision) -> Result<OrderAnswer, ServiceError> {
    let order = core.store.order(order).await?.ok_or(ServiceError::NotFound)?;
    Ok(answer(&decided(core, order, decision, None).await?))
}

/// Pays an order back. The rights end first: a grant of theirs is refused from then on. Of a top-up what is left is
/// paid back, and leaves the balance first. A provider that takes longer is looked up until it is done.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Unacceptable`] if the order is not paid, if nothing of it is left, or
/// if its provider refuses to pay it back.
pub async fn refund(core: &Core, order: &OrderId) -> Result<OrderAnswer, ServiceError> {
    Ok(answer(&refunds::refund(core, order).await?))
}

pub(crate) async fn finish_refund(
    core: &Core,
    order: &Order,
    claim: Option<&EffectClaim>,
) -> Result<Order, ServiceError> {
    refunded(core.store.finish_refund(&order.id, claim).await?)
}

/// Every order that is not final, oldest first: what an operator has to reconcile with the providers.
///
/// # Errors
/// [`ServiceError::Failed`].
pub async fn open(core: &Core) -> Result<Vec<Order>, ServiceError> {
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let page = core.store.open_orders(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(open) };
        after = Some(last.id);
        open.extend(page);
    }
}

/// Opens an order, or finds the one that the same request opened, or that is on order for the same.
async fn opened(
    core: &Core,
    buyer: &Buyer,
    goods: Ordered,
    payment: &PaymentMethod,
    again: bool,
    idempotency: &Idempotency,
) -> Result<Placed, ServiceError> {
    let offer = match goods {
        Ordered::Sent(wire::Goods::Rights { offer }) => Some(offer),
        Ordered::Sent(_) | Ordered::InBrowser(_) => None,
    };
    for _ in 0..LOOKS {
        let mut case = core.store.order_case(buyer, idempotency, offer.as_ref()).await?;
        // What this request has opened stands, whatever is configured by now.
        if let Some(placed) = before(std::mem::replace(&mut case.begun, Begun::New))? {
            return Ok(placed);
        }
        match goods {
            Ordered::Sent(wire::Goods::Rights { .. }) => are_sold(core, &case)?,
            Ordered::Sent(wire::Goods::TopUp { amount }) => is_taken(core, amount)?,
            Ordered::Sent(wire::Goods::Codes { recipient, .. }) => can_be_sealed_to(&recipient)?,
            // Its key is looked at when its terminal has made it.
            Ordered::InBrowser(_) => {}
        }
        can_pay(core, buyer.account(), payment).await?;
        let order = NewOrder {
            id: OrderId::generate(case.now.id_millis(), &mut rng()),
            buyer: *buyer,
            goods,
            provider: payment.provider.clone(),
            again,
            request: idempotency.clone(),
        };
        if let Some(placed) = placed(core.store.open_order(order).await?)? {
            return Ok(placed);
        }
    }
    Err(ServiceError::UnderWay)
}

/// Whether the accepted offer is in force and on sale, and of rights that are bought before they are used.
fn are_sold(core: &Core, case: &OrderCase) -> Result<(), ServiceError> {
    // What another store signed is not this one's to sell.
    let Some(offer) = case.offer.as_ref().filter(|offer| offer.offer.iss == core.origin) else {
        let changed = Refusal::new(Reason::PaymentRequired)
            .because("The accepted offer is not in force; nothing was charged.")
            .with_offers(offers::sign(core, &case.current, case.now)?);
        return Err(changed.into());
    };
    if let Some(off_sale) = case.off_sale {
        return Err(not_on_sale(off_sale));
    }
    match offer.offer.rights.sale() {
        Sale::None => Err(never("the offer is free: there is nothing to order")),
        Sale::PerUnit => Err(never("the offer is metered: there is nothing to order; top up the balance")),
        Sale::Once | Sale::PerPeriod => Ok(()),
    }
}

/// Whether so much money can be paid in at all.
fn is_taken(core: &Core, amount: Money) -> Result<(), ServiceError> {
    if amount.is_zero() {
        return Err(never("the amount must be greater than zero"));
    }
    core.currencies.check(amount).map_err(|error| never(format!("{error}; nothing was charged")))
}

/// Whether a code can be sealed to the key of the order.
pub(crate) fn can_be_sealed_to(recipient: &Octets<32>) -> Result<(), ServiceError> {
    match ReleasePublicKey::from_bytes(recipient.0) {
        Ok(_) => Ok(()),
        Err(_) => Err(ServiceError::Unacceptable("`recipient` is a low-order point: make another key".into())),
    }
}

/// Codes that are not sold.
fn codes_not_sold(off_sale: CodesOffSale) -> ServiceError {
    let reason = match off_sale {
        CodesOffSale::Merchant => Reason::MerchantUnknown,
        CodesOffSale::Product => Reason::ProductUnknown,
        CodesOffSale::Request => Reason::RequestEnded,
        CodesOffSale::Amount => {
            return never("So many codes cost more than one order can: order fewer at a time. Nothing was charged.");
        }
        CodesOffSale::Terminal => {
            let why = "The terminal that is to have the codes was changed or revoked; nothing was charged.";
            return ServiceError::Unacceptable(why.into());
        }
        CodesOffSale::Waiting => {
            let why = "As many orders as there can be wait for keys of your terminals: fetch these codes first, \
                       or cancel an order. Nothing was charged.";
            return ServiceError::Unacceptable(why.into());
        }
        CodesOffSale::Unavailable(seconds) => {
            return Refusal::new(Reason::MerchantUnavailable).after(seconds).into();
        }
    };
    reason.into()
}

/// What became of opening an order; `None` if something changed meanwhile.
fn placed(outcome: OpenOutcome) -> Result<Option<Placed>, ServiceError> {
    match outcome {
        OpenOutcome::Opened(order, claim) => Ok(Some(Placed::Own(*order, Some(claim)))),
        OpenOutcome::Joined(order) => Ok(Some(Placed::Joined(*order))),
        OpenOutcome::Begun(begun) => before(begun),
        OpenOutcome::Redundant(redundant) => Err(nothing_new(redundant)),
        OpenOutcome::ShutOut(reason) => Err(reason.into()),
        OpenOutcome::CodesOffSale(off_sale) => Err(codes_not_sold(off_sale)),
        OpenOutcome::TooManyPending => Err(never(
            "as many orders of the account as there can be wait for their payment: pay one of them, or give one up; \
             nothing was charged",
        )),
        OpenOutcome::TooManyUnpaid => Err(never(
            "as many orders of the account as there can be ended unpaid lately: order again in a day; nothing was charged",
        )),
        OpenOutcome::NoRoom => Err(never(
            "the balance would be more than an account holds (10000000000.00 EUR, or as many of another currency's smallest \
             units), or the account has balances in 16 currencies; nothing was charged",
        )),
        OpenOutcome::Changed => Ok(None),
    }
}

/// Nothing can be granted under the offer, so nothing is sold.
fn not_on_sale(off_sale: OffSale) -> ServiceError {
    let (reason, why) = match off_sale {
        OffSale::Withdrawn => {
            (Reason::ResourceWithdrawn, "Every version was withdrawn, so nothing of it is sold; nothing was charged.")
        }
        OffSale::NotAdopted => (
            Reason::ResourceWithdrawn,
            "Its publisher has changed its key, and the new one does not stand for what the old one signed: terminals \
             refuse it, so nothing of it is sold. Nothing was charged.",
        ),
        OffSale::NoOperation => {
            (Reason::OperationUnknown, "No version that is still sold has the operation; nothing was charged.")
        }
        OffSale::PublisherSuspended => (
            Reason::ResourceWithdrawn,
            "The store has suspended its publisher and sells nothing of it at present; nothing was charged.",
        ),
    };
    Refusal::new(reason).because(why).into()
}

/// The account would pay for nothing. It may say that it wants it all the same.
fn nothing_new(redundant: Redundant) -> ServiceError {
    let why = match redundant {
        Redundant::Held => {
            "The account already owns this operation for good: buying it again adds nothing. Nothing was charged."
        }
        Redundant::HeldUntil(_) => {
            "The account holds this operation already, for a time that has not ended. Nothing was charged."
        }
        Redundant::Had => {
            "The account has had this operation for nothing before, and what costs nothing can be had once: take another \
             offer. Nothing was charged."
        }
        Redundant::Free => "The operation is free at present: buying it again adds nothing. Nothing was charged.",
        Redundant::OnOrder(_) => "The operation is on order already, on other terms. Nothing was charged.",
        Redundant::Pending(_) => {
            "An order for more of this operation is not paid yet: go on with that one, or give it up. Nothing was charged."
        }
    };
    let mut refusal = Refusal::new(Reason::ConfirmationRequired).because(why);
    if let Redundant::OnOrder(order) | Redundant::Pending(order) = redundant {
        refusal.more.insert(ORDER.to_owned(), order.to_string().into());
    }
    refusal.into()
}

fn before(begun: Begun) -> Result<Option<Placed>, ServiceError> {
    match begun {
        Begun::New => Ok(None),
        Begun::Answered(StoredAnswer::Ordered(order)) => Ok(Some(Placed::Own(*order, None))),
        Begun::Answered(StoredAnswer::Joined(order)) => Ok(Some(Placed::Joined(*order))),
        Begun::Answered(_) | Begun::OtherRequest => Err(ServiceError::KeyReused),
        Begun::InProgress => Err(ServiceError::UnderWay),
    }
}

/// Settles an order as its provider decided.
pub(crate) async fn decided(
    core: &Core,
    order: Order,
    decision: Decision,
    claim: Option<&EffectClaim>,
) -> Result<Order, ServiceError> {
    let settlement = match decision {
        Decision::Declined => Settlement::Declined,
        Decision::Settled => {
            let now = core.store.now().await?;
            let receipt = receipt(core, &order, now)?;
            Settlement::Paid { entitlement: EntitlementId(Octets(*order.id.as_bytes())), receipt }
        }
    };
    settled(core, &order, settlement, claim).await
}

/// Ends an order that nobody has paid in time.
pub(crate) async fn ended(core: &Core, order: &Order, claim: &EffectClaim) -> Result<Order, ServiceError> {
    settled(core, order, Settlement::Ended, Some(claim)).await
}

async fn settled(
    core: &Core,
    order: &Order,
    settlement: Settlement,
    claim: Option<&EffectClaim>,
) -> Result<Order, ServiceError> {
    match core.store.settle_order(&order.id, settlement, claim).await? {
        SettleOutcome::Order(order) => Ok(*order),
        SettleOutcome::Unknown => Err(ServiceError::NotFound),
    }
}

/// Signs what was paid.
fn receipt(core: &Core, order: &Order, now: Timestamp) -> Result<String, ServiceError> {
    let key = core.keys.signing_key(now)?;
    let (iss, iat) = (core.origin.clone(), now.seconds());
    let signed = match &order.goods {
        Goods::Rights { offer, digest } => {
            let receipt = Receipt {
                iss,
                order: order.id,
                offer: *digest,
                publisher: offer.publisher.clone(),
                name: offer.name.clone(),
                operation: offer.operation.clone(),
                rights: offer.rights,
                price: offer.price,
                iat,
            };
            Verified::sign(receipt, &key).compact().to_owned()
        }
        Goods::TopUp { amount, .. } => {
            Verified::sign(TopUpReceipt { iss, order: order.id, amount: *amount, iat }, &key).compact().to_owned()
        }
        Goods::Codes { product, digest, quantity, amount, .. } => {
            let (order, merchant) = (order.id, product.merchant.clone());
            let receipt =
                CodeReceipt { iss, order, merchant, product: *digest, quantity: *quantity, amount: *amount, iat };
            Verified::sign(receipt, &key).compact().to_owned()
        }
    };
    Ok(signed)
}

pub(super) fn refunded(outcome: RefundOutcome) -> Result<Order, ServiceError> {
    match outcome {
        RefundOutcome::Done(order) => Ok(*order),
        RefundOutcome::NotPaid(_) => Err(ServiceError::Unacceptable("only a paid order can be paid back".into())),
        RefundOutcome::NothingLeft => {
            Err(ServiceError::Unacceptable("nothing is left of the top-up, or codes still hold it".into()))
        }
        RefundOutcome::Unknown => Err(ServiceError::NotFound),
    }
}

/// An order as its owner sees it. Rights that are taken back are on their way to being paid back, or the payer has done
/// that himself.
pub(crate) fn answer(order: &Order) -> OrderAnswer {
    let state = match order.phase {
        OrderPhase::Pending => OrderState::Pending,
        OrderPhase::Paid => OrderState::Paid,
        OrderPhase::Declined => OrderState::Declined,
        OrderPhase::Refunding | OrderPhase::Refunded | OrderPhase::Disputed | OrderPhase::ChargedBack => {
            OrderState::Refunded
        }
    };
    OrderAnswer { order: order.id, state, receipt: order.receipt.clone(), next: order.next.clone(), joined: false }
}
