//! The verbs, one file each.

pub(crate) mod build;
pub(crate) mod buy;
pub(crate) mod completions;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod grants;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod keygen;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod price;
pub(crate) mod publish;
pub(crate) mod receipts;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod seal;
pub(crate) mod search;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod whoami;
pub(crate) mod withdraw;
