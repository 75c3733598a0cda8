//! Verbs for publishers.

pub(crate) mod build;
pub(crate) mod change_key;
pub(crate) mod dev;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod new;
pub(crate) mod price;
pub(crate) mod publish;
pub(crate) mod seal;
pub(crate) mod verify;
pub(crate) mod withdraw;
