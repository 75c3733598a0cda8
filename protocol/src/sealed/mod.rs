//! The sealed resource as a file: a component that carries its encrypted body in custom sections.
//!
//! ```text
//! stub                              a component; every export traps      ┐ read once into memory,
//! portcullis:manifest               JWS, signed by publisher and stores  │ verified by `Sealed::open`
//! portcullis:blocks/<part>          BLAKE3 digests, one per 1 MiB        │
//! portcullis:part/<part>            age file: header, then               ┘
//!                                   payload                              → read block by block, each checked before
//! portcullis:blocks/<next part>                                            it is decrypted
//! …                                 and nothing after the last part
//! ```
//!
//! [`Sealed::open`] gives a value whose manifest, stub and block lists are verified. From it, parts are read with their
//! key ([`Sealed::read_code`], [`Sealed::part`]), checked as a whole ([`Sealed::verify_blocks`]) or taken out as age
//! files ([`Sealed::extract`]). [`Package::write`] makes a sealed resource; [`countersign`] and [`reheader`] make
//! another one with the same digest.

mod binding;
mod encrypt;
mod error;
mod index;
mod open;
mod part;
mod read_at;
mod rewrite;
mod section;
mod stretch;
mod write;

pub use binding::{BindingOf, binding, check_binding, commitment};
pub use error::{Defect, SealedError};
pub use open::Sealed;
pub use part::PartReader;
pub use read_at::{ReadAt, Seeking};
pub use rewrite::{countersign, reheader};
pub use write::{Package, WriteError};

#[cfg(feature = "surface")]
pub(crate) use section::PREAMBLE;
#[cfg(feature = "seal")]
pub(crate) use section::put_leb;
