//! What a terminal keeps: its folder, its keys, the journal of requests, the time.

pub(crate) mod clock;
pub(crate) mod code_vault;
pub(crate) mod folder;
pub(crate) mod journal;
pub(crate) mod key_store;
pub(crate) mod sealing_key;
pub(crate) mod temp_file;
