//! The server's tests: whole servers on free loopback ports, and their store.

mod browser;
mod buying;
mod catalogue;
mod command;
mod http;
mod logs;
mod oauth;
mod pages;
mod publish;
mod stage;
mod terminal;
