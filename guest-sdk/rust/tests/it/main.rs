//! The SDK against its double, and the double against the contract.

mod contract;
mod cycle;
mod part;
mod resource;
