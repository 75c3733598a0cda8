//! Making sealed resources: from what a publisher builds to what a store sells.
//!
//! ```text
//! core module ─ componentize ─┐
//!                             ├─ body ─ strip ─┬─ stub_of ─▶ stub ──────┐
//! component ──────────────────┘                └─ code part ─┐          ├─ Sealer::check ─▶ Checked::seal ─▶ file
//! pictures, sounds, …  ─────────────────────────── assets ───┴──────────┘
//! ```
//!
//! [`Sealer::check`] refuses everything that can be known to be wrong before anything is written, with the cause and
//! the fix; [`Checked`] also holds what a publisher should be told.

mod body;
mod checks;
mod description;
mod openings;
mod refused;
mod sealer;
mod strip;
mod stub;
mod uses;

pub use body::{BodyError, body, componentize};
pub use description::{Description, SuggestedOffer};
pub use openings::Opening;
pub use refused::{SealError, SealRefused};
pub use sealer::{Checked, Sealer};
pub use stub::{StubError, stub_of};
pub use uses::check_uses;
