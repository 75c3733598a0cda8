//! What `portcullis dev` needs beyond what users have: a store for a minute, a browser, a look at the wire.

pub(crate) mod browser;
pub(crate) mod folder;
pub(crate) mod sample;
pub(crate) mod server;
pub(crate) mod story;
pub(crate) mod trial;
pub(crate) mod watch;
pub(crate) mod wire;
