//! Orders, from the accepted offer to the receipt, and back. A top-up is an order of money ([`crate::billing::top_ups`]); from
//! its opening on it goes the same way.
//!
//! ```text
//! open (price in force) → charge → settle: state, ledger, entitlement or balance, receipt in one transaction
//! begin refund (rights end, or money leaves the balance) → provider pays back → finish refund: state, ledger
//! ```
//!
//! Each arrow is one transaction or one call of the provider, which does a thing once per order. So whatever is lost in
//! between, the order stands in a state from which the next arrow can be tried again: by the client, who repeats its
//! request, or by the operator, for whom [`open`] lists it. An order that the operator settled as declined while its
//! charge was under way, and that is paid in the end, goes to where a refund has begun. So does one that is paid when
//! nothing can be given for it any more: the resource was withdrawn, somebody was suspended, or the account came to hold
//! it otherwise, while the order was pending.
//!
//! What is asked for once is ordered once, however many requests ask: rights that do not run out, and a top-up of one
//! amount, are not pending twice, unless the buyer says `again`.

use crate::billing::answers::{No, Refusal};
use crate::billing::offers;
use crate::billing::payment::{Charge, ChargeState};
use crate::crypto::secrets::rng;
use crate::ops::clock::Timestamp;
use crate::store::{
    Begun, EntitlementId, Goods, Idempotency, NewOrder, OffSale, OpenOutcome, Order, OrderPhase, Redundant,
    RefundOutcome, SettleOutcome, Settlement, StoredAnswer,
};
use crate::{Asker, Core};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{OrderAnswer, OrderRequest, OrderState, PaymentMethod};
use portcullis_protocol::{OrderId, Reason, Receipt, TopUpReceipt, Verified};

/// As in [`crate::billing::cycle`].
const LOOKS: usize = 8;
/// Orders that are read at a time.
const PAGE: u32 = 500;

/// Buys what an offer sells, at the price in force, which has to be the one accepted.
///
/// # Errors
/// `payment-required` where nothing is bought: with the offers in force where the accepted one is not;
/// `resource-withdrawn` or `operation-unknown` if nothing could be granted; `confirmation-required` if it gives nothing
/// new; [`No`].
pub async fn order(
    core: &Core,
    asker: &Asker,
    request: &OrderRequest,
    idempotency: &Idempotency,
) -> Result<OrderAnswer, No> {
    match opened(core, asker, request, idempotency).await? {
        Placed::Own(order) => charged(core, order, &request.payment.token).await,
        Placed::Joined(order) => Ok(answer(&order)),
    }
}

/// What a request is answered with.
pub(crate) enum Placed {
    /// The order that it opened.
    Own(Order),
    /// The order that another request opened for the same: its means of payment count, and this one's are not used.
    Joined(Order),
}

/// Nothing was opened under this request's key, and the server will not open it. That is a decision, so it is signed: only
/// then may the terminal forget the request, and ask for something else.
pub(crate) fn never(why: impl Into<String>) -> No {
    Refusal::new(Reason::PaymentRequired).because(why).into()
}

/// Where the server has no provider of this name, there is nothing to open.
pub(crate) fn has_provider(core: &Core, payment: &PaymentMethod) -> Result<(), No> {
    match core.payments.get(&payment.provider) {
        Some(_) => Ok(()),
        None => Err(never("this server has no such payment provider; nothing was charged")),
    }
}

/// Has a pending order charged, and settles it as its provider decides.
pub(crate) async fn charged(core: &Core, order: Order, token: &str) -> Result<OrderAnswer, No> {
    // The same request as before, answered with what became of it; or one that was lost on the way and goes on.
    if order.phase != OrderPhase::Pending {
        return Ok(answer(&order));
    }
    // Where its provider is configured no more, the order waits for the operator, who knows what became of it.
    let Some(provider) = core.payments.get(&order.provider) else { return Ok(answer(&order)) };
    let charge = Charge { order: order.id, amount: order.amount(), token: token.to_owned() };
    let state = if order.amount().is_zero() {
        ChargeState::Paid
    } else {
        core.faults.step("charge.before").map_err(|fault| No::Failed(fault.to_string()))?;
        let state = provider.charge(&charge).await.map_err(|error| No::Failed(error.to_string()))?;
        core.faults.step("charge.after").map_err(|fault| No::Failed(fault.to_string()))?;
        state
    };
    Ok(answer(&decided(core, order, state).await?))
}

/// An order of the account.
///
/// # Errors
/// [`No::NotFound`], also where it is somebody else's.
pub async fn find(core: &Core, asker: &Asker, order: &OrderId) -> Result<OrderAnswer, No> {
    match core.store.order(order).await? {
        Some(order) if order.account == *asker.account() => Ok(answer(&order)),
        _ => Err(No::NotFound),
    }
}

/// The provider has decided on a pending order, by itself or through the operator.
///
/// # Errors
/// [`No::NotFound`].
pub async fn decide(core: &Core, order: &OrderId, state: ChargeState) -> Result<OrderAnswer, No> {
    let order = core.store.order(order).await?.ok_or(No::NotFound)?;
    Ok(answer(&decided(core, order, state).await?))
}

/// Pays an order back. The rights end first: a grant of theirs is refused from then on. Of a top-up what is left is paid
/// back, and leaves the balance first.
///
/// # Errors
/// [`No::NotFound`]; [`No::Unacceptable`] where the order is not paid, or nothing of it is left.
pub async fn refund(core: &Core, order: &OrderId) -> Result<OrderAnswer, No> {
    let order = refunded(core.store.begin_refund(order).await?)?;
    if order.phase == OrderPhase::Refunded {
        return Ok(answer(&order));
    }
    if !order.refund().is_zero() {
        let provider = core.payments.get(&order.provider);
        let provider = provider.ok_or(No::Unacceptable("the order's payment provider is not configured".into()))?;
        core.faults.step("provider-refund.before").map_err(|fault| No::Failed(fault.to_string()))?;
        provider.refund(&order.id, order.refund()).await.map_err(|error| No::Failed(error.to_string()))?;
        core.faults.step("provider-refund.after").map_err(|fault| No::Failed(fault.to_string()))?;
    }
    Ok(answer(&refunded(core.store.finish_refund(&order.id).await?)?))
}

/// Every order that is not final, oldest first: what an operator has to reconcile with the providers.
///
/// # Errors
/// [`No::Failed`].
pub async fn open(core: &Core) -> Result<Vec<Order>, No> {
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let page = core.store.open_orders(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(open) };
        after = Some(last.id);
        open.extend(page);
    }
}

/// Opens an order, or finds the one that the same request opened, or that is on order for the same.
async fn opened(core: &Core, asker: &Asker, request: &OrderRequest, idempotency: &Idempotency) -> Result<Placed, No> {
    for _ in 0..LOOKS {
        let case = core.store.order_case(asker.terminal(), idempotency, &request.offer).await?;
        if let Some(placed) = before(case.begun)? {
            return Ok(placed);
        }
        // What another store signed is not this one's to sell.
        let Some(offer) = case.offer.filter(|offer| offer.offer.iss == core.origin) else {
            let changed = Refusal::new(Reason::PaymentRequired)
                .because("The accepted offer is not in force; nothing was charged.")
                .with_offers(offers::sign(core, &case.current, case.now)?);
            return Err(changed.into());
        };
        if let Some(off_sale) = case.off_sale {
            return Err(not_on_sale(off_sale));
        }
        if offer.offer.rights.is_free() {
            return Err(never("the offer is free: there is nothing to order"));
        }
        if offer.offer.rights.is_metered() {
            return Err(never("the offer is metered: there is nothing to order; top up the balance"));
        }
        has_provider(core, &request.payment)?;
        let order = NewOrder {
            id: OrderId::generate(case.now.id_millis(), &mut rng()),
            account: *asker.account(),
            terminal: *asker.terminal(),
            offer: request.offer,
            provider: request.payment.provider.clone(),
            again: request.again,
            request: idempotency.clone(),
        };
        if let Some(placed) = placed(core.store.open_order(order).await?)? {
            return Ok(placed);
        }
    }
    Err(No::UnderWay)
}

/// What became of opening an order; `None` if something changed meanwhile.
pub(crate) fn placed(outcome: OpenOutcome) -> Result<Option<Placed>, No> {
    match outcome {
        OpenOutcome::Opened(order) => Ok(Some(Placed::Own(*order))),
        OpenOutcome::Joined(order) => Ok(Some(Placed::Joined(*order))),
        OpenOutcome::Begun(begun) => before(begun),
        OpenOutcome::Redundant(redundant) => Err(nothing_new(redundant)),
        OpenOutcome::ShutOut(reason) => Err(reason.into()),
        OpenOutcome::NoRoom => Err(never(
            "the balance would exceed 10^12 minor units, or the account has balances in 16 currencies; nothing was charged",
        )),
        OpenOutcome::Changed => Ok(None),
    }
}

/// Nothing can be granted under the offer, so nothing is sold.
fn not_on_sale(off_sale: OffSale) -> No {
    let (reason, why) = match off_sale {
        OffSale::Withdrawn => {
            (Reason::ResourceWithdrawn, "Every version was withdrawn, so nothing of it is sold; nothing was charged.")
        }
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
fn nothing_new(redundant: Redundant) -> No {
    let why = match redundant {
        Redundant::Held => {
            "The account holds this operation for good: buying it gives nothing new. Nothing was charged."
        }
        Redundant::Free => "The operation is free at present: buying it gives nothing new. Nothing was charged.",
        Redundant::OnOrder => "The operation is on order already, on other terms. Nothing was charged.",
    };
    Refusal::new(Reason::ConfirmationRequired).because(why).into()
}

pub(crate) fn before(begun: Begun) -> Result<Option<Placed>, No> {
    match begun {
        Begun::New => Ok(None),
        Begun::Answered(StoredAnswer::Ordered(order)) => Ok(Some(Placed::Own(*order))),
        Begun::Answered(StoredAnswer::Joined(order)) => Ok(Some(Placed::Joined(*order))),
        Begun::Answered(_) | Begun::OtherRequest => Err(No::KeyReused),
        Begun::InProgress => Err(No::UnderWay),
    }
}

async fn decided(core: &Core, order: Order, state: ChargeState) -> Result<Order, No> {
    let settlement = match state {
        ChargeState::Pending => return Ok(order),
        ChargeState::Declined => Settlement::Declined,
        ChargeState::Paid => {
            let now = core.store.now().await?;
            let receipt = receipt(core, &order, now)?;
            Settlement::Paid { entitlement: EntitlementId(Octets(*order.id.as_bytes())), receipt }
        }
    };
    match core.store.settle_order(&order.id, settlement).await? {
        SettleOutcome::Order(order) => Ok(*order),
        SettleOutcome::Unknown => Err(No::NotFound),
    }
}

/// Signs what was paid.
fn receipt(core: &Core, order: &Order, now: Timestamp) -> Result<String, No> {
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
    };
    Ok(signed)
}

fn refunded(outcome: RefundOutcome) -> Result<Order, No> {
    match outcome {
        RefundOutcome::Done(order) => Ok(*order),
        RefundOutcome::NotPaid(_) => Err(No::Unacceptable("only a paid order can be paid back".into())),
        RefundOutcome::NothingLeft => {
            Err(No::Unacceptable("nothing is left of the top-up, or codes still hold it".into()))
        }
        RefundOutcome::Unknown => Err(No::NotFound),
    }
}

/// An order as its owner sees it. Rights that are taken back are on their way to being paid back.
pub(crate) fn answer(order: &Order) -> OrderAnswer {
    let state = match order.phase {
        OrderPhase::Pending => OrderState::Pending,
        OrderPhase::Paid => OrderState::Paid,
        OrderPhase::Declined => OrderState::Declined,
        OrderPhase::Refunding | OrderPhase::Refunded => OrderState::Refunded,
    };
    OrderAnswer { order: order.id, state, receipt: order.receipt.clone() }
}
