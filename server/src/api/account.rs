//! `/v1/account`: what its owner sees of it.

use super::{DONE, segment};
use crate::app::App;
use crate::auth::ProvenTerminal;
use crate::problem::{Fault, Refused};
use crate::store::OrderPhase;
use portcullis_protocol::TerminalId;
use portcullis_protocol::wire::{
    AccountAnswer, Done, EntitlementInfo, EntitlementsAnswer, ReceiptsAnswer, RefundInfo, RefundsAnswer, TerminalInfo,
};
use serde::Serialize;

/// Entitlements of one page. With names of full length one takes 350 bytes, and 120 of them half of what a signed answer
/// may hold.
const ENTITLEMENTS: usize = 120;
/// Receipts of one page. With names of full length one takes 1.2 KiB in the answer's base64url.
pub(super) const RECEIPTS: usize = 25;

/// Refunds of one page. One takes 130 bytes.
const REFUNDS: u32 = 200;

/// Bytes of terminals and of publishers in the account's answer: with its name, and in base64url, together less than a
/// signed answer may hold. Some 180 terminals, or 80 whose labels have full length.
const TERMINALS: usize = 32 * 1024;
const PUBLISHERS: usize = 10 * 1024;

/// `GET /v1/account`. It lists what fits: this terminal, then the newest ones, and those last that were revoked.
pub(crate) async fn show(app: App, caller: ProvenTerminal, (): ()) -> Result<AccountAnswer, Refused> {
    let mut terminals = app.core.store.terminals(caller.account()).await.map_err(Fault::internal)?;
    terminals.sort_by_key(|terminal| (terminal.id != *caller.asker.terminal(), terminal.revoked.is_some()));
    let terminals = terminals.into_iter().map(|terminal| TerminalInfo {
        current: terminal.id == *caller.asker.terminal(),
        terminal: terminal.id,
        label: terminal.label,
        key: terminal.key,
        enrolled: terminal.enrolled.seconds(),
        revoked: terminal.revoked.is_some(),
    });
    Ok(AccountAnswer {
        terminals: fitting(terminals, TERMINALS),
        account: app.name_of(caller.account()).await?,
        publishers: fitting(app.core.store.publishers_of(caller.account()).await.map_err(Fault::internal)?, PUBLISHERS),
    })
}

/// `GET /v1/account/entitlements`
pub(crate) async fn entitlements(app: App, caller: ProvenTerminal, (): ()) -> Result<EntitlementsAnswer, Refused> {
    entitlements_from(app, caller, 0).await
}

/// `GET /v1/account/entitlements/{page}`
pub(crate) async fn entitlements_page(
    app: App,
    caller: ProvenTerminal,
    page: String,
) -> Result<EntitlementsAnswer, Refused> {
    entitlements_from(app, caller, segment(&page)?).await
}

async fn entitlements_from(app: App, caller: ProvenTerminal, page: u32) -> Result<EntitlementsAnswer, Refused> {
    let held = app.core.store.entitlements(caller.account()).await.map_err(Fault::internal)?;
    let (held, next) = page_of(held, page, ENTITLEMENTS);
    let entitlements = held.into_iter().map(|entitlement| EntitlementInfo {
        remaining: entitlement.remaining(),
        publisher: entitlement.publisher,
        name: entitlement.name,
        operation: entitlement.operation,
        rights: entitlement.rights,
        revoked: entitlement.revoked.is_some(),
    });
    Ok(EntitlementsAnswer { entitlements: entitlements.collect(), next })
}

/// `GET /v1/account/receipts`
pub(crate) async fn receipts(app: App, caller: ProvenTerminal, (): ()) -> Result<ReceiptsAnswer, Refused> {
    receipts_from(app, caller, 0).await
}

/// `GET /v1/account/receipts/{page}`
pub(crate) async fn receipts_page(app: App, caller: ProvenTerminal, page: String) -> Result<ReceiptsAnswer, Refused> {
    receipts_from(app, caller, segment(&page)?).await
}

async fn receipts_from(app: App, caller: ProvenTerminal, page: u32) -> Result<ReceiptsAnswer, Refused> {
    let receipts = app.core.store.receipts(caller.account()).await.map_err(Fault::internal)?;
    let (receipts, next) = page_of(receipts, page, RECEIPTS);
    Ok(ReceiptsAnswer { receipts, next })
}

/// `GET /v1/account/refunds`
pub(crate) async fn refunds(app: App, caller: ProvenTerminal, (): ()) -> Result<RefundsAnswer, Refused> {
    refunds_from(app, caller, 0).await
}

/// `GET /v1/account/refunds/{page}`
pub(crate) async fn refunds_page(app: App, caller: ProvenTerminal, page: String) -> Result<RefundsAnswer, Refused> {
    refunds_from(app, caller, segment(&page)?).await
}

async fn refunds_from(app: App, caller: ProvenTerminal, page: u32) -> Result<RefundsAnswer, Refused> {
    let skip = page.saturating_mul(REFUNDS);
    // One more than the page, to know whether there is another one.
    let found = app.core.store.refunds(caller.account(), skip, REFUNDS + 1).await.map_err(Fault::internal)?;
    let next = if found.len() > REFUNDS as usize { page.checked_add(1) } else { None };
    let refunds = found.into_iter().take(REFUNDS as usize).map(|(order, changed)| RefundInfo {
        order: order.id,
        amount: order.refund(),
        at: changed.seconds(),
        done: order.phase == OrderPhase::Refunded,
    });
    Ok(RefundsAnswer { refunds: refunds.collect(), next })
}

/// The beginning of a list, as much as takes so many bytes of JSON.
fn fitting<T: Serialize>(all: impl IntoIterator<Item = T>, bytes: usize) -> Vec<T> {
    let mut taken = 0_usize;
    let fits = |item: &T| {
        // With a comma.
        let size = serde_json::to_vec(item).map_or(usize::MAX, |json| json.len() + 1);
        taken = taken.saturating_add(size);
        taken <= bytes
    };
    all.into_iter().take_while(fits).collect()
}

/// One page of a list, and the number of the next one.
pub(super) fn page_of<T>(all: Vec<T>, page: u32, size: usize) -> (Vec<T>, Option<u32>) {
    let before = (page as usize).saturating_mul(size);
    let more = all.len() > before.saturating_add(size);
    (all.into_iter().skip(before).take(size).collect(), if more { page.checked_add(1) } else { None })
}

/// `DELETE /v1/account/terminals/{id}`
pub(crate) async fn revoke_terminal(app: App, caller: ProvenTerminal, terminal: String) -> Result<Done, Refused> {
    let terminal: TerminalId = segment(&terminal)?;
    if app.core.store.revoke_terminal(caller.account(), &terminal).await.map_err(Fault::internal)? {
        Ok(DONE)
    } else {
        Err(Fault::NotFound.into())
    }
}
