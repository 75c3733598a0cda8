//! How long records stay that nothing needs any more, in seconds. `docs/operations.md` says the same.
//!
//! Accounts, publishers, resources, price lists, orders, the events of their disputes, receipts, entitlements, balances
//! and the ledger stay for good. So does the answer that leads to an order: whoever repeats the request finds the
//! order, and pays nothing twice.

use portcullis_protocol::limits::REISSUE_LIFE;

const DAY: u64 = 24 * 3600;

/// A cycle that drew uses or money: its authorisation, its grant and the answers that lead to them. A terminal that
/// never acknowledged what it paid for may ask for it again for [`REISSUE_LIFE`], so they stay a day longer.
pub(crate) const PAID_CYCLE: u64 = REISSUE_LIFE + DAY;
/// A cycle that drew nothing. A terminal that was off for a week still learns what became of its request; repeating it
/// costs nothing.
pub(crate) const FREE_CYCLE: u64 = 7 * DAY;
/// The answer to any other request that can be repeated.
pub(crate) const ANSWER: u64 = 7 * DAY;
/// Tokens, device codes and browser sessions, after their end: what is used again until then is told that it has ended.
pub(crate) const SIGN_IN: u64 = 7 * DAY;
/// Effects that have ended, and messages of webhooks: until then they can be listed and replayed.
pub(crate) const EFFECT: u64 = 31 * DAY;
/// Events. A receiver that was away for longer pulls what there is.
pub(crate) const EVENT: u64 = 31 * DAY;
/// An order whose code no terminal has acknowledged, before it is kept: half a year, in which a terminal that still
/// exists is on once. Until then its merchant has to be able to seal the code once more, its buyer may say that he
/// cannot read it, and both have it in their lists of what is open.
pub(crate) const UNACKNOWLEDGED: u64 = 180 * DAY;
/// A sealed code, after its terminal has acknowledged it, a dispute was decided, or it was kept without that: the same
/// terminal may fetch it again.
pub(crate) const SEALED_CODE: u64 = 30 * DAY;
/// A redemption code that nobody redeemed, after it expired or its batch was made void: until then whoever types it is
/// told what became of it.
pub(crate) const ENDED_CODE: u64 = 30 * DAY;
/// The log of what happened: a year, and time to ask about its last day.
pub(crate) const LOG: u64 = 400 * DAY;
