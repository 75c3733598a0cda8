//! The audit log: what operators did, in rows of which each covers all before it.
//!
//! ```text
//! beginning ─▶ row 1 ─▶ row 2 ─▶ … ─▶ row n        digest of a row = H(digest before, number, time, who, what, …)
//! (origin, root)                        │           seal of a row   = MAC by a key that only the master key opens
//!                                       └─ head     number and digest of the last row, signed by the signing key
//! ```
//!
//! - A row is written in the transaction of what it tells ([`Act`]): neither is there without the other.
//! - Whoever has the database can write rows anew and compute their digests, but no seals: the server finds it, and
//!   signs no head over them.
//! - Whoever has the database can also cut the log off, heads and all, and nothing in it tells. A head that was kept
//!   elsewhere does: [`Heads`] are made within an hour after a change and with every export, and [`verify`] compares
//!   without a server.

mod act;
mod export;
mod fault;
mod heads;
mod row;
pub mod verify;

pub use act::{Act, AuditKey};
pub(crate) use act::{Attribution, os_user};
pub use export::{Exported, export};
pub use fault::AuditFault;
pub use heads::{AuditError, HeadRecord, Heads, check, sign_head};
pub use row::{AuditRow, Chain, beginning};
