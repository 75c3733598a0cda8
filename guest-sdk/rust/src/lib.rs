//! What the author of a Portcullis resource links.
//!
//! A resource is an ordinary library behind a WIT world that includes `portcullis:gate/protected`. It is sealed by
//! its publisher and runs only under a *grant*: the billing server's verified answer that the user may. This crate is
//! the resource's side of that cycle.
//!
//! ```text
//!   request("view") ──▶ StatusCode ── verify() ──▶ Grant ── open("full") ──▶ Part: Read + BufRead + Seek
//!         │                              │           ▲
//!         └──────── Refusal ─────────────┘        entry()   the grant under which the call runs
//! ```
//!
//! The order is enforced by types: verifying consumes the status code, only [`StatusCode::verify`],
//! [`billing::entry`] and [`billing::grant_for`] give a [`Grant`], and a [`Part`] cannot outlive the grant that
//! opened it.
//!
//! # A resource in a few lines
//!
//! ```
//! mod bindings {
//!     portcullis_guest::generate!("example:picture/photo" in "tests/wit");
//! }
//! use bindings::exports::example::picture::picture::Guest;
//! use portcullis_guest::{Grant, Refusal, billing, paid};
//!
//! struct Picture;
//!
//! impl Guest for Picture {
//!     #[paid(operation = "view")]
//!     fn view(grant: &Grant) -> Result<Vec<u8>, Refusal> {
//!         let part = grant.open("full").expect("`view` releases `full`");
//!         Ok(part.read_all(16 << 20).expect("at most 16 MiB"))
//!     }
//!
//!     fn upgrade() -> Result<u64, Refusal> {
//!         let grant = billing::request("view")?.verify()?;
//!         Ok(grant.open("full").expect("`view` releases `full`").size())
//!     }
//! }
//! bindings::export!(Picture with_types_in bindings);
//! # fn main() {}
//! ```
//!
//! # Tests without a server
//!
//! Everywhere but on wasm the host behind this crate is the double of [`testing`]: a guest's own tests script what
//! the account holds and what the parts contain, call the functions, and look at what was requested.
//!
//! ```
//! use portcullis_guest::testing::Double;
//! use portcullis_guest::{Refusal, billing};
//!
//! let double = Double::new().part("full", *b"pixels").operation("view", &["full"]).install();
//! let grant = billing::request("view")?.verify()?;
//! assert_eq!(grant.open("full").unwrap().read_all(100).unwrap(), b"pixels");
//! assert_eq!(double.drawn("view"), 1);
//! # Ok::<(), Refusal>(())
//! ```

pub mod billing;
#[cfg(feature = "check-grant")]
pub mod check;
pub mod gate;
mod money;
mod part;
mod refusal;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod report;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
#[doc(hidden)]
pub mod uses;

pub use billing::{Grant, StatusCode};
pub use money::{Limits, Money, Offer};
pub use part::{Part, VaultError};
pub use refusal::Refusal;

/// Generates the bindings of a publisher's world, in the module where it stands: what `wit_bindgen::generate!` does,
/// with everything of `portcullis:gate` taken from this crate.
///
/// `generate!("package:name/world")` reads the package's folder `wit`, `generate!("package:name/world" in "folder")`
/// another one, relative to the package's `Cargo.toml`. The world says `include portcullis:gate/protected@0.1.0;`;
/// the contract itself comes from this crate, so the folder holds the publisher's own package alone.
///
/// It also keeps the import `billing.entry` alive, without which a resource that leaves all billing to its host could
/// not be sealed; has the text and place of a panic written to standard error, for which it imports `wasi:cli/stderr`
/// (not with `generate!("package:name/world", without stderr)`, for a resource whose list of imports is to show that
/// it can write nothing anywhere); and writes down which operations and parts the sources name, so that
/// `portcullis build` and `portcullis seal` compare them with `portcullis.toml`. A name that is not written out where
/// it is used (`grant.open(PART)`) is seen by `portcullis dev` alone, when it is used.
///
/// A world that includes `portcullis:gate/bill-reader@0.1.0` in place of `protected` can read records of the user's
/// bills as well: enable the feature `bills`, and say `bills = true` under `[capabilities]` in `portcullis.toml`.
pub use portcullis_guest_macros::generate;

/// Runs a function under a grant for an operation.
///
/// Before the body, [`billing::grant_for`] gets the grant: the one under which this very call runs, where the
/// manifest maps the export to that operation, otherwise one from a cycle of request and verification. A refusal
/// ends the function with `Err`, so it returns `Result<_, E>` where `E: From<Refusal>`. The grant is held until the
/// function ends. A first parameter (after `self`) of type `&Grant` or `Grant` receives it; callers do not pass it,
/// and the signature that others see is without it. So it stands on an export as well as on any function inside.
///
/// ```
/// use portcullis_guest::{Grant, Refusal, paid, testing::Double};
///
/// #[paid(operation = "render")]
/// fn render(grant: &Grant, width: u32) -> Result<String, Refusal> {
///     Ok(format!("{width} pixels under {}", grant.operation()))
/// }
///
/// let double = Double::new().refuse("render", Refusal::NotSignedIn).install();
/// assert_eq!(render(640), Err(Refusal::NotSignedIn));
///
/// double.allow("render");
/// assert_eq!(render(640).unwrap(), "640 pixels under render");
/// ```
///
/// An operation that no manifest could name does not compile:
///
/// ```compile_fail
/// #[portcullis_guest::paid(operation = "Render!")]
/// fn render() -> Result<(), portcullis_guest::Refusal> {
///     Ok(())
/// }
/// ```
///
/// Neither does a function that could not tell a refusal:
///
/// ```compile_fail
/// #[portcullis_guest::paid(operation = "render")]
/// fn render() {}
/// ```
pub use portcullis_guest_macros::paid;

/// The bindings generator, of the version that this crate's types agree with.
#[doc(hidden)]
pub use wit_bindgen;
