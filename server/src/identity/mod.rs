//! People: accounts, sign-in names, passwords, and who asks.

pub(crate) mod accounts;
pub(crate) mod asker;
pub(crate) mod email;
pub(crate) mod passwords;
