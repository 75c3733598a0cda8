//! People: sign-in names, passwords, and who asks.

pub(crate) mod asker;
pub(crate) mod email;
pub(crate) mod passwords;
