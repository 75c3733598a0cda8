//! Electronic codes: what a merchant sells through a platform, one order at a time, while the buyer waits.
//!
//! - [`CodeState`]: the states of an order and the one table of its arrows. Start reading there.
//! - [`seal`], [`open`]: how a code travels to its buyer.
//! - [`RedemptionCode`]: a code for a resource of the platform itself.
//! - [`Health`]: whether a merchant delivers.

mod health;
mod numbers;
mod redemption;
mod seal;
mod state;

pub use health::Health;
pub use numbers::{Generation, OutOfBounds, Quantity, TimeToDeliver};
pub use redemption::{BadRedemptionCode, RedemptionCode};
pub use seal::{CodeContext, CodeError, Codes, MAX_CIPHERTEXT, SealedBytes, ciphertext_digest, open, seal};
pub use state::{Arrow, CodeEvent, CodeState, Party, ReportedState};
