//! Verbs for users.

pub(crate) mod balance;
pub(crate) mod buy;
pub(crate) mod grants;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod receipts;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod terminals;
pub(crate) mod top_up;
pub(crate) mod update;
pub(crate) mod whoami;
