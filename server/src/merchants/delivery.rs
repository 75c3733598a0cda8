//! What a buyer does about an order: looks at it, fetches the sealed code, acknowledges it, moves it to another
//! terminal.

use crate::Core;
use crate::billing::answers::{Refusal, ServiceError};
use crate::billing::orders::can_be_sealed_to;
use crate::identity::asker::Asker;
use crate::ops::retention;
use crate::store::{AcceptedCode, AccountPage, CodeOrder, CodeStep};
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderInfo, CodeOrdersAnswer, Delivery, RecipientAnswer,
    RecipientRequest,
};
use portcullis_protocol::{AccountId, OrderId, Reason, TerminalId};

/// Orders on one page: each has the product that its merchant signed.
const PAGE: usize = 10;
/// When a terminal asks again that wants an order while its code is on the way, in seconds.
const SOON: u32 = 5;

/// The orders of an account that were paid for, newest first.
///
/// # Errors
/// [`ServiceError::Failed`].
pub async fn list(core: &Core, asker: &Asker, page: u32) -> Result<CodeOrdersAnswer, ServiceError> {
    let page = core.store.code_orders_of(asker.account(), AccountPage::new(page, PAGE)).await?;
    let preset = preset(core, asker, page.rows.iter().any(CodeOrder::awaits_key)).await?;
    let info = |order| info(order, None, preset, asker.terminal());
    let codes: Vec<CodeOrderInfo> = page.rows.iter().filter_map(info).collect();
    Ok(CodeOrdersAnswer { codes: codes.into(), next: page.next })
}

/// An order, and its sealed code if this terminal may have it: then it counts as delivered.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn fetch(core: &Core, asker: &Asker, id: &OrderId) -> Result<CodeOrderAnswer, ServiceError> {
    let order = of_account(core, asker.account(), id).await?;
    let order = if is_to_be_handed(&order, asker) {
        match core.store.deliver_code(id, asker.terminal()).await? {
            CodeStep::Taken(order)
            | CodeStep::Closed(order)
            | CodeStep::Differs(order)
            | CodeStep::NotAllowed(order) => *order,
            CodeStep::Mismatch => order,
            CodeStep::Unknown => return Err(ServiceError::NotFound),
        }
    } else {
        order
    };
    let delivery = delivery(core, asker, &order).await?;
    // What is delivered is said of the sealing that is.
    let delivered = order.accepted.as_ref().filter(|_| delivery.is_some());
    let preset = preset(core, asker, order.awaits_key()).await?;
    let info = info(&order, delivered, preset, asker.terminal()).ok_or(ServiceError::NotFound)?;
    Ok(CodeOrderAnswer { info, delivery })
}

/// Whether this terminal gets a sealing that was not handed out before. A later one comes while the order is delivered.
fn is_to_be_handed(order: &CodeOrder, asker: &Asker) -> bool {
    let Some(accepted) = &order.accepted else { return false };
    let is_new = order.state == Some(CodeState::CodeReceived) || accepted.delivered.is_none();
    let is_its = accepted.terminal.is_none_or(|terminal| terminal == *asker.terminal());
    is_new && is_its && order.state.is_some_and(CodeState::may_be_sealed_again)
}

async fn delivery(core: &Core, asker: &Asker, order: &CodeOrder) -> Result<Option<Delivery>, ServiceError> {
    // The last sealing stays in force for its own terminal, until another one is accepted.
    let Some(accepted) = &order.accepted else { return Ok(None) };
    let is_its = accepted.terminal.is_none_or(|terminal| terminal == *asker.terminal());
    let may_have = match order.state {
        // A payment that is disputed releases nothing.
        Some(CodeState::Delivered) => true,
        Some(CodeState::Acknowledged | CodeState::Kept) => {
            order.changed.plus(retention::SEALED_CODE) > core.store.now().await?
        }
        _ => false,
    };
    let Some(sealed) = accepted.sealed.as_ref().filter(|_| is_its && may_have) else { return Ok(None) };
    Ok(Some(Delivery {
        verification: accepted.verification.clone(),
        code: sealed.code.clone(),
        enc: sealed.bytes.enc,
        ciphertext: sealed.bytes.ciphertext.clone(),
    }))
}

/// The code arrived, or cannot be read: then a person decides.
///
/// # Errors
/// [`ServiceError::NotFound`]; `binding-mismatch` if it is not what was delivered last; `order-closed`.
pub async fn acknowledge(
    core: &Core,
    asker: &Asker,
    id: &OrderId,
    said: &CodeAckRequest,
) -> Result<CodeAckAnswer, ServiceError> {
    let CodeAckRequest { generation, ciphertext, readable } = said;
    match core.store.acknowledge_code(id, asker.terminal(), *generation, ciphertext, *readable).await? {
        CodeStep::Taken(order) => Ok(CodeAckAnswer { state: order.state.ok_or(ServiceError::NotFound)?.into() }),
        CodeStep::Closed(_) | CodeStep::Differs(_) | CodeStep::NotAllowed(_) => Err(Reason::OrderClosed.into()),
        CodeStep::Mismatch => Err(Reason::BindingMismatch.into()),
        CodeStep::Unknown => Err(ServiceError::NotFound),
    }
}

/// Delivers an order to the terminal that asks, from now on. One that was bought in a browser has its first key by
/// this. A terminal that has not ordered it, and that the account has not preset, has it only if the account's holder
/// says so on the order's page.
///
/// # Errors
/// [`ServiceError::NotFound`]; `confirmation-required`; `rate-limited` while a code is on its way; `order-closed`.
pub async fn relocate(
    core: &Core,
    asker: &Asker,
    id: &OrderId,
    asked: &RecipientRequest,
) -> Result<RecipientAnswer, ServiceError> {
    can_be_sealed_to(&asked.recipient)?;
    match core.store.move_code_order(id, asker.account(), asker.terminal(), &asked.recipient, asked.first).await? {
        CodeStep::Taken(order) => Ok(RecipientAnswer { generation: order.generation }),
        CodeStep::Differs(_) => Err(Refusal::new(Reason::RateLimited)
            .because("A code is on its way to the other terminal.")
            .after(SOON)
            .into()),
        CodeStep::NotAllowed(_) => {
            let page = format!("{}/account/orders/{id}", core.origin);
            let why = "Another terminal has this order. Choose this one, with the account's password, on its page";
            Err(Refusal::new(Reason::ConfirmationRequired).because(format!("{why}: {page}")).into())
        }
        CodeStep::Closed(order) if order.awaits_key() => Err(Refusal::new(Reason::OrderClosed)
            .because("Only the terminal that the account has preset makes the key: choose it on the account's page.")
            .into()),
        CodeStep::Closed(_) => Err(Refusal::new(Reason::OrderClosed)
            .because("It has its key, its code, or is over: there is nothing more to be delivered elsewhere.")
            .into()),
        CodeStep::Mismatch | CodeStep::Unknown => Err(ServiceError::NotFound),
    }
}

async fn of_account(core: &Core, account: &AccountId, id: &OrderId) -> Result<CodeOrder, ServiceError> {
    match core.store.code_order(id).await? {
        Some(order) if order.account == *account && order.state.is_some() => Ok(order),
        _ => Err(ServiceError::NotFound),
    }
}

/// The terminal that the account has preset, if that matters.
async fn preset(core: &Core, asker: &Asker, matters: bool) -> Result<Option<TerminalId>, ServiceError> {
    if !matters {
        return Ok(None);
    }
    Ok(core.store.preset_terminal(asker.account()).await?.map(|preset| preset.id))
}

/// An order, as its buyer is told of it: by the sealing that is delivered, or by the one that is wanted.
fn info(
    order: &CodeOrder,
    delivered: Option<&AcceptedCode>,
    preset: Option<TerminalId>,
    asks: &TerminalId,
) -> Option<CodeOrderInfo> {
    // Until there is a key, it goes to whichever terminal is preset.
    let chosen = if order.awaits_key() { preset } else { order.terminal };
    Some(CodeOrderInfo {
        order: order.id,
        merchant: order.merchant_name.clone(),
        product: order.product_compact.clone(),
        quantity: order.quantity,
        amount: order.amount,
        state: order.state?.into(),
        generation: delivered.map_or(order.generation, |accepted| accepted.generation),
        sealed: order.accepted.as_ref().map(|accepted| accepted.generation),
        recipient: delivered.map_or(order.recipient, |accepted| Some(accepted.recipient)),
        key_wanted: order.awaits_key() && preset == Some(*asks),
        terminal: delivered.map_or(chosen, |accepted| accepted.terminal.or(chosen)),
        reason: order.reason.clone().filter(|reason| !reason.is_empty()),
    })
}
