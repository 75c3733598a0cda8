//! The page kit: what every page is made of. `docs/extending.md` says how a page is added with it.
//!
//! | file | what |
//! | --- | --- |
//! | `style.css` | the whole style: one accent, a scale of type and of space, light and dark |
//! | [`layout`] | the headers, and the frame of pages with one purpose: signing in, approving, errors |
//! | [`shell`] | the frame of the store and the account: search, navigation, what was just done |
//! | [`field`] | a field of a form, with what is wrong about it |
//! | [`table`] | tables, and the links to further pages of a list |
//! | [`flash`] | what was just done, said once on the next page |
//! | [`words`], [`icons`] | amounts, moments, sizes and rights in words; pictures of kinds |

pub(super) mod field;
pub(super) mod flash;
pub(super) mod icons;
pub(super) mod layout;
pub(super) mod shell;
pub(super) mod table;
pub(super) mod words;
