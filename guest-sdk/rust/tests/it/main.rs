//! The SDK against its double, and the double against the contract.

#[cfg(feature = "check-grant")]
mod check;
mod contract;
mod cycle;
mod part;
mod resource;
