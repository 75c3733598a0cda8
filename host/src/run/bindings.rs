//! What the engine's macro makes of `wit/`: the host binds the contract's own worlds and never a publisher's. What of
//! it is linked for a resource is another question: see `run/linkers.rs`.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "bill-reader",
    imports: {
        "portcullis:gate/billing.request": async | trappable,
        "portcullis:gate/billing.[static]status-code.verify": async | trappable,
        "portcullis:gate/vault.open": async | trappable,
        "portcullis:gate/vault.[method]part.read": async | trappable,
        "portcullis:gate/bills.read": async | trappable,
        default: trappable,
    },
    with: {
        "portcullis:gate/billing.status-code": crate::run::gate::handles::CodeHandle,
        "portcullis:gate/billing.grant": crate::run::gate::handles::GrantHandle,
        "portcullis:gate/vault.part": crate::run::gate::handles::PartHandle,
    },
    trappable_error_type: {
        "portcullis:gate/types.refusal" => crate::run::gate::error::GateError,
        "portcullis:gate/vault.vault-error" => crate::run::gate::error::VaultFailure,
    },
});

pub(crate) use portcullis::gate::{billing, bills, types, vault};
