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
//!
//! A world that includes `bill-reader` adds `"portcullis:gate/bills@0.1.0": portcullis_guest::gate::bills`, with the
//! feature `bills`.

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

#[cfg(all(feature = "bills", target_family = "wasm"))]
pub use reader::portcullis::gate::bills;

#[cfg(all(feature = "bills", not(target_family = "wasm")))]
pub use crate::testing::bills;

/// The records are the same types everywhere; outside wasm nothing calls the functions.
#[cfg(feature = "bills")]
#[expect(missing_docs, reason = "generated from the contract")]
pub(crate) mod reader {
    wit_bindgen::generate!({
        world: "bill-reader",
        path: "../../wit",
        with: {
            "portcullis:gate/types@0.1.0": crate::gate::types,
            "portcullis:gate/billing@0.1.0": crate::gate::billing,
            "portcullis:gate/vault@0.1.0": crate::gate::vault,
        },
        additional_derives: [PartialEq, Eq],
        generate_all,
    });
}
