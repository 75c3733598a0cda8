//! The server's tests: its core on a real database file, and whole servers on free loopback ports.

// The core: `world` is a core with something to sell, and terminals to buy it.
mod asker;
mod copying;
mod crash;
mod currencies;
mod cycle;
mod database;
mod defences;
mod intent;
mod leases;
mod ledger;
mod lists;
mod metered;
mod monitoring;
mod orders;
mod processes;
mod races;
mod reissue;
mod rental;
mod retention;
mod rights;
mod schema;
mod search;
mod standing;
mod statements;
mod store;
mod teasers;
mod world;

// The edges: `stage` is a whole server.
mod account;
mod api;
mod backup;
mod bounds;
mod browser;
mod buying;
mod catalogue;
mod command;
mod connections;
mod directory;
mod finding;
mod forwarding;
mod hosted;
mod http;
mod logs;
mod names;
mod oauth;
mod objects;
mod pages;
mod payments;
mod problems;
mod publish;
mod sign_ins;
mod stage;
mod terminal;
mod traces;
