//! `/v1/account`: what its owner sees of it.

use super::{DONE, segment};
use crate::Core;
use crate::crypto::keys::KeysError;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::ops::clock::Timestamp;
use crate::store::{AccountPage, GoodsKind, Order, OrderPhase, Page, SessionId};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{
    AccountAnswer, Done, EntitlementInfo, EntitlementsAnswer, ReceiptsAnswer, RefundInfo, RefundsAnswer, SessionInfo,
    SessionsAnswer, TerminalInfo,
};
use portcullis_protocol::{RefundReceipt, TerminalId, Verified};
use serde::Serialize;

/// Entitlements of one page. With names of full length one takes 350 bytes, and 120 of them half of what a signed
/// answer may hold.
const ENTITLEMENTS: usize = 120;
/// Receipts of one page. With names of full length one takes 1.2 KiB in the answer's base64url.
pub(super) const RECEIPTS: usize = 25;

/// Refunds of one page. With its receipt one takes 900 bytes in the answer's base64url.
const REFUNDS: u32 = 50;

/// Bytes of terminals and of publishers in the account's answer: with its name, and in base64url, together less than a
/// signed answer may hold. Some 180 terminals, or 80 whose labels have full length.
const TERMINALS: usize = 32 * 1024;
const PUBLISHERS: usize = 10 * 1024;

/// Terminals and publishers that are read for it: more than fit, whatever they are called.
const MOST: u32 = 400;
/// Bytes of sessions in their answer: some 150.
const SESSIONS: usize = 40 * 1024;

/// The account: its name, terminals and publishers.
///
/// It lists what fits: this terminal, then the newest ones, and those last that were revoked.
#[utoipa::path(
    get,
    path = paths::ACCOUNT,
    tag = "account",
    responses((status = 200, description = "Done", body = AccountAnswer)),
)]
pub(crate) async fn show(app: App, caller: ProvenTerminal, (): ()) -> Result<AccountAnswer, Refused> {
    let (store, account, this) = (&app.core.store, caller.account(), caller.asker.terminal());
    let current = store.terminal(account, this).await.map_err(ApiError::internal)?;
    let in_use = store.terminals(account, false, None, MOST).await.map_err(ApiError::internal)?;
    let revoked = store.terminals(account, true, None, MOST).await.map_err(ApiError::internal)?;
    let others = in_use.into_iter().chain(revoked).filter(|terminal| terminal.id != *this);
    let terminals = current.into_iter().chain(others).map(|terminal| TerminalInfo {
        current: terminal.id == *this,
        terminal: terminal.id,
        label: terminal.label,
        key: terminal.key,
        enrolled: terminal.enrolled.seconds(),
        revoked: terminal.revoked.is_some(),
    });
    Ok(AccountAnswer {
        terminals: fitting(terminals, TERMINALS).into(),
        account: app.accounts().name_of(account).await.map_err(ApiError::internal)?,
        publishers: fitting(store.publishers_of(account, None, MOST).await.map_err(ApiError::internal)?, PUBLISHERS),
    })
}

/// The rights that the account holds or held, newest first.
#[utoipa::path(
    get,
    path = paths::ENTITLEMENTS,
    tag = "account",
    responses((status = 200, description = "Done", body = EntitlementsAnswer)),
)]
pub(crate) async fn entitlements(app: App, caller: ProvenTerminal, (): ()) -> Result<EntitlementsAnswer, Refused> {
    entitlements_from(app, caller, 0).await
}

/// A further page of rights.
#[utoipa::path(
    get,
    path = paths::ENTITLEMENTS_PAGE,
    tag = "account",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = EntitlementsAnswer)),
)]
pub(crate) async fn entitlements_page(
    app: App,
    caller: ProvenTerminal,
    page: String,
) -> Result<EntitlementsAnswer, Refused> {
    entitlements_from(app, caller, segment(&page)?).await
}

async fn entitlements_from(app: App, caller: ProvenTerminal, page: u32) -> Result<EntitlementsAnswer, Refused> {
    let page = AccountPage::new(page, ENTITLEMENTS);
    let Page { rows, next } = app.core.store.entitlements(caller.account(), page).await.map_err(ApiError::internal)?;
    let entitlements = rows.into_iter().map(|entitlement| EntitlementInfo {
        remaining: entitlement.remaining(),
        publisher: entitlement.publisher,
        name: entitlement.name,
        operation: entitlement.operation,
        rights: entitlement.rights,
        revoked: entitlement.revoked.is_some(),
        started: entitlement.holding.starts.map(Timestamp::seconds),
        ends: entitlement.holding.ends.map(Timestamp::seconds),
    });
    Ok(EntitlementsAnswer { entitlements: entitlements.collect::<Vec<_>>().into(), next })
}

/// Receipts, newest first.
#[utoipa::path(
    get,
    path = paths::RECEIPTS,
    tag = "account",
    responses((status = 200, description = "Done", body = ReceiptsAnswer)),
)]
pub(crate) async fn receipts(app: App, caller: ProvenTerminal, (): ()) -> Result<ReceiptsAnswer, Refused> {
    receipts_from(app, caller, 0).await
}

/// A further page of receipts.
#[utoipa::path(
    get,
    path = paths::RECEIPTS_PAGE,
    tag = "account",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = ReceiptsAnswer)),
)]
pub(crate) async fn receipts_page(app: App, caller: ProvenTerminal, page: String) -> Result<ReceiptsAnswer, Refused> {
    receipts_from(app, caller, segment(&page)?).await
}

async fn receipts_from(app: App, caller: ProvenTerminal, page: u32) -> Result<ReceiptsAnswer, Refused> {
    let page = AccountPage::new(page, RECEIPTS);
    let receipts = app.core.store.receipts(caller.account(), GoodsKind::Rights, page);
    let Page { rows, next } = receipts.await.map_err(ApiError::internal)?;
    Ok(ReceiptsAnswer { receipts: rows, next })
}

/// Refunds, newest first.
#[utoipa::path(
    get,
    path = paths::REFUNDS,
    tag = "account",
    responses((status = 200, description = "Done", body = RefundsAnswer)),
)]
pub(crate) async fn refunds(app: App, caller: ProvenTerminal, (): ()) -> Result<RefundsAnswer, Refused> {
    refunds_from(app, caller, 0).await
}

/// A further page of refunds.
#[utoipa::path(
    get,
    path = paths::REFUNDS_PAGE,
    tag = "account",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = RefundsAnswer)),
)]
pub(crate) async fn refunds_page(app: App, caller: ProvenTerminal, page: String) -> Result<RefundsAnswer, Refused> {
    refunds_from(app, caller, segment(&page)?).await
}

async fn refunds_from(app: App, caller: ProvenTerminal, page: u32) -> Result<RefundsAnswer, Refused> {
    let skip = page.saturating_mul(REFUNDS);
    // One more than the page, to know whether there is another one.
    let found = app.core.store.refunds(caller.account(), skip, REFUNDS + 1).await.map_err(ApiError::internal)?;
    let next = if found.len() > REFUNDS as usize { page.checked_add(1) } else { None };
    let refunds = found.into_iter().take(REFUNDS as usize).map(|(order, at)| refund(&app.core, &order, at));
    let refunds = refunds.collect::<Result<Vec<_>, _>>().map_err(ApiError::internal)?;
    Ok(RefundsAnswer { refunds: refunds.into(), next })
}

/// A refund, with its receipt once it is done: signed when it is asked for, so that the key is one in force.
fn refund(core: &Core, order: &Order, at: Timestamp) -> Result<RefundInfo, KeysError> {
    let (amount, at) = (order.refund(), at.seconds());
    let done = matches!(order.phase, OrderPhase::Refunded | OrderPhase::ChargedBack);
    let receipt = || -> Result<String, KeysError> {
        let now = core.clock.now();
        let receipt = RefundReceipt { iss: core.origin.clone(), order: order.id, amount, at, iat: now.seconds() };
        Ok(Verified::sign(receipt, &*core.keys.signing_key(now)?).compact().to_owned())
    };
    let document = if done { Some(receipt()?) } else { None };
    Ok(RefundInfo { order: order.id, amount, at, done, document })
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

/// Revokes a terminal: its sessions end, and its key cannot be enrolled again.
#[utoipa::path(
    delete,
    path = paths::TERMINAL,
    tag = "account",
    params(("id" = TerminalId, Path, description = "The terminal")),
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn revoke_terminal(app: App, caller: ProvenTerminal, terminal: String) -> Result<Done, Refused> {
    let terminal: TerminalId = segment(&terminal)?;
    if app.core.store.revoke_terminal(caller.account(), &terminal).await.map_err(ApiError::internal)? {
        Ok(DONE)
    } else {
        Err(ApiError::NotFound.into())
    }
}

/// What is signed in to the account.
///
/// It lists what fits: this session, then those without a terminal, then the newest.
#[utoipa::path(
    get,
    path = paths::SESSIONS,
    tag = "account",
    responses((status = 200, description = "Done", body = SessionsAnswer)),
)]
pub(crate) async fn sessions(app: App, caller: ProvenTerminal, (): ()) -> Result<SessionsAnswer, Refused> {
    let mut sessions = app.core.store.sessions(caller.account()).await.map_err(ApiError::internal)?;
    let current = caller.asker.session();
    sessions.sort_by_key(|session| (session.id != current, session.terminal.is_some()));
    let sessions = sessions.into_iter().map(|session| SessionInfo {
        current: session.id == current,
        session: session.id.0,
        label: session.label,
        key: session.key,
        began: session.created.seconds(),
        renewed: session.used.seconds(),
        ends: session.expires.seconds(),
        terminal: session.terminal,
    });
    let browsers = app.core.store.browser_sessions(caller.account(), None).await.map_err(ApiError::internal)?.len();
    Ok(SessionsAnswer {
        sessions: fitting(sessions, SESSIONS).into(),
        browsers: u32::try_from(browsers).unwrap_or(u32::MAX),
    })
}

/// Ends one sign-in.
#[utoipa::path(
    delete,
    path = paths::SESSION,
    tag = "account",
    params(("id" = String, Path, description = "The session: 16 bytes, base64url", min_length = 22, max_length = 22)),
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn end_session(app: App, caller: ProvenTerminal, session: String) -> Result<Done, Refused> {
    let session = SessionId(segment(&session)?);
    if app.core.store.end_session_of(caller.account(), session).await.map_err(ApiError::internal)? {
        Ok(DONE)
    } else {
        Err(ApiError::NotFound.into())
    }
}

/// Ends every sign-in of the account, this one too.
#[utoipa::path(
    post,
    path = paths::SIGN_OUT,
    tag = "account",
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn sign_out_everywhere(app: App, caller: ProvenTerminal, (): ()) -> Result<Done, Refused> {
    app.core.store.sign_out_everywhere(caller.account()).await.map_err(ApiError::internal)?;
    Ok(DONE)
}
