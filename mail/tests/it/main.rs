//! Bills from mailboxes: real servers and lying ones, signed mail and forged one.

mod authenticity;
mod command;
mod corpus;
#[cfg(target_os = "linux")]
mod cyrus;
mod dovecot;
mod figures;
mod form;
mod fuzz;
mod held_out;
mod hostile;
mod invoices;
mod jmap;
mod layouts;
mod lying;
mod ordinary;
mod pdf;
mod rules;
mod servers;
mod sign_in;
mod signer;
#[cfg(unix)]
mod socket;
mod stage;
mod stopwatch;
mod strangers;
