//! Bills from mailboxes: real servers and lying ones, signed mail and forged one.

mod authenticity;
mod command;
mod corpus;
mod dovecot;
mod hostile;
mod jmap;
mod lying;
mod servers;
mod signer;
mod stage;
