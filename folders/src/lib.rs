//! Folders of programs on a user's machine: where they are, who can look into them, and what killed processes left
//! there.
//!
//! The terminal and the mail program keep secrets in folders of their own, and the terminal and the command write files
//! that appear when they are whole. What that takes is here, once.

#![forbid(unsafe_code)]

mod data;
mod left_over;
mod private;

pub use data::data_folder;
pub use left_over::left_over;
pub use private::{Unprotected, is_exposed, make_private, private_file};
