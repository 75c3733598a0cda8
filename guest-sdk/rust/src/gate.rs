//! The contract `portcullis:gate` as Rust modules of the same names: what a publisher's own `generate!` maps it to.
//!
//! On wasm these are the host's functions. Everywhere else they are the double of [`testing`](crate::testing), with
//! the same signatures. A guest uses [`billing`](crate::billing) and [`Part`](crate::Part) instead; a publisher who
//! calls `wit_bindgen::generate!` directly writes
//!
//! ```text
//! with: {
//!     "portcullis:gate/types@0.1.0": portcullis_guest::gate::types,
//!     "portcullis:gate/billing@0.1.0": portcullis_guest::gate::billing,
//!     "portcullis:gate/vault@0.1.0": portcullis_guest::gate::vault,
//! }
//! ```

/// `portcullis:gate/types`: written by hand with the generated shape, so that they read and print well.
pub mod types {
    pub use crate::{Limits, Money, Offer, Refusal};

    /// The name of a priced thing that a user does with a resource.
    pub type Operation = String;
}

#[cfg(target_family = "wasm")]
pub use bindings::portcullis::gate::{billing, vault};

#[cfg(not(target_family = "wasm"))]
pub use crate::testing::{billing, vault};

#[cfg(target_family = "wasm")]
#[expect(missing_docs, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({
        world: "protected",
        path: "../../wit",
        with: {
            "portcullis:gate/types@0.1.0": crate::gate::types,
            "portcullis:gate/vault@0.1.0/vault-error": crate::VaultError,
        },
        generate_all,
    });
}
