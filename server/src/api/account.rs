//! `/v1/account`: what its owner sees of it.

use super::{DONE, segment};
use crate::app::App;
use crate::auth::ProvenTerminal;
use crate::problem::{Fault, Refused};
use portcullis_protocol::TerminalId;
use portcullis_protocol::wire::{
    AccountAnswer, Done, EntitlementInfo, EntitlementsAnswer, ReceiptsAnswer, TerminalInfo,
};

/// Entitlements of one page. With names of full length one takes 350 bytes, and 120 of them half of what a signed answer
/// may hold.
const ENTITLEMENTS: usize = 120;
/// Receipts of one page. With names of full length one takes 1.2 KiB in the answer's base64url.
pub(super) const RECEIPTS: usize = 25;

/// `GET /v1/account`
pub(crate) async fn show(app: App, caller: ProvenTerminal, (): ()) -> Result<AccountAnswer, Refused> {
    let terminals = app.core.store.terminals(caller.account()).await.map_err(Fault::internal)?;
    let terminals = terminals.into_iter().map(|terminal| TerminalInfo {
        current: terminal.id == *caller.asker.terminal(),
        terminal: terminal.id,
        label: terminal.label,
        key: terminal.key,
        enrolled: terminal.enrolled.seconds(),
        revoked: terminal.revoked.is_some(),
    });
    Ok(AccountAnswer {
        terminals: terminals.collect(),
        account: app.name_of(caller.account()).await?,
        publishers: app.core.store.publishers_of(caller.account()).await.map_err(Fault::internal)?,
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
