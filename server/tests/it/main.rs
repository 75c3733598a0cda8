//! The server's tests: its core on a real database file, and whole servers on free loopback ports.

// The core: `world` is a core with something to sell, and terminals to buy it.
mod asker;
mod crash;
mod cycle;
mod leases;
mod ledger;
mod metered;
mod orders;
mod rights;
mod store;
mod world;

// The edges: `stage` is a whole server.
mod bounds;
mod browser;
mod buying;
mod catalogue;
mod command;
mod connections;
mod directory;
mod http;
mod logs;
mod oauth;
mod pages;
mod publish;
mod stage;
mod terminal;
