//! `/v1/account`: what its owner sees of it.

use super::{DONE, segment};
use crate::app::App;
use crate::auth::ProvenTerminal;
use crate::problem::{Fault, Refused};
use portcullis_protocol::TerminalId;
use portcullis_protocol::wire::{
    AccountAnswer, Done, EntitlementInfo, EntitlementsAnswer, ReceiptsAnswer, TerminalInfo,
};

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
    let held = app.core.store.entitlements(caller.account()).await.map_err(Fault::internal)?;
    let entitlements = held.into_iter().map(|entitlement| EntitlementInfo {
        remaining: entitlement.remaining(),
        publisher: entitlement.publisher,
        name: entitlement.name,
        operation: entitlement.operation,
        rights: entitlement.rights,
        revoked: entitlement.revoked.is_some(),
    });
    Ok(EntitlementsAnswer { entitlements: entitlements.collect() })
}

/// `GET /v1/account/receipts`
pub(crate) async fn receipts(app: App, caller: ProvenTerminal, (): ()) -> Result<ReceiptsAnswer, Refused> {
    let receipts = app.core.store.receipts(caller.account()).await.map_err(Fault::internal)?;
    Ok(ReceiptsAnswer { receipts })
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
