//! Running a resource: load, inspect, authorise, call, within every bound.

pub(crate) mod active_grant;
pub(crate) mod arguments;
pub(crate) mod authorised;
pub(crate) mod bindings;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod command;
pub(crate) mod compile;
pub(crate) mod contents;
pub(crate) mod engine;
pub(crate) mod function;
pub(crate) mod gate;
pub(crate) mod inspection;
pub(crate) mod instance;
pub(crate) mod limits;
pub(crate) mod part;
pub(crate) mod resolve;
pub(crate) mod resource;
pub(crate) mod runtime;
pub(crate) mod services;
pub(crate) mod source;
pub(crate) mod spending;
pub(crate) mod streams;
pub(crate) mod waiting;
pub(crate) mod wasi;
