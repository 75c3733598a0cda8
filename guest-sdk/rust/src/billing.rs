//! The billing cycle: request, then verify, then a grant.
//!
//! ```
//! use portcullis_guest::{Refusal, billing, testing::Double};
//!
//! # let _double = Double::new().operation("print", &[]).install();
//! let code = billing::request("print")?;   // judged payable; what it costs is held
//! let grant = code.verify()?;              // consumed and debited, once
//! assert_eq!(grant.operation(), "print");
//! # Ok::<(), Refusal>(())
//! ```
//!
//! A status code is verified once; the type makes sure of it:
//!
//! ```compile_fail,E0382
//! # use portcullis_guest::billing;
//! let code = billing::request("print").unwrap();
//! code.verify().unwrap();
//! code.verify().unwrap();
//! ```
//!
//! And nobody makes a grant up:
//!
//! ```compile_fail,E0451
//! # fn stolen() -> portcullis_guest::gate::billing::Grant { loop {} }
//! let grant = portcullis_guest::Grant { handle: stolen() };
//! ```

use std::fmt;
use std::num::NonZeroU32;

use crate::{Limits, Part, Refusal, VaultError, gate, part};

/// Runs steps 1 and 2 of the cycle for one unit of `operation`. Where a grant is held that covers it, the code stands
/// for that grant and nothing more is drawn.
///
/// # Errors
/// The billing server's refusal, or one made by the host on the way.
pub fn request(operation: &str) -> Result<StatusCode, Refusal> {
    Request::new(operation).send()
}

/// The grant under which this very call runs. Every call of an export has one.
#[must_use]
pub fn entry() -> Grant {
    Grant { handle: gate::billing::entry() }
}

/// The grant under which this very call runs where it is for `operation`, otherwise one from a cycle of request and
/// verification. What [`paid`](crate::paid) does before a body.
///
/// # Errors
/// As [`request`] and [`StatusCode::verify`].
pub fn grant_for(operation: &str) -> Result<Grant, Refusal> {
    let entry = entry();
    if entry.operation() == operation {
        return Ok(entry);
    }
    request(operation)?.verify()
}

/// A request that says more than the operation.
///
/// ```
/// use portcullis_guest::billing::{Nonce, Request};
/// use portcullis_guest::{Refusal, testing::Double};
///
/// # let double = Double::new().operation("print", &[]).install();
/// let copies = 3.try_into().expect("more than none");
/// let page: Nonce = b"page 7".as_slice().try_into().expect("at most 64 bytes");
/// let grant = Request::new("print").quantity(copies).nonce(page).send()?.verify()?;
/// # assert_eq!(double.drawn("print"), 3);
/// # Ok::<(), Refusal>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    operation: &'a str,
    quantity: NonZeroU32,
    nonce: Nonce,
}

impl<'a> Request<'a> {
    /// One unit, without a nonce.
    pub fn new(operation: &'a str) -> Self {
        Self { operation, quantity: NonZeroU32::MIN, nonce: Nonce::default() }
    }

    /// How many units to hold.
    pub fn quantity(mut self, quantity: NonZeroU32) -> Self {
        self.quantity = quantity;
        self
    }

    /// Asks for a new cycle whatever is held, with the user's consent. The grant document repeats the nonce.
    pub fn nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = nonce;
        self
    }

    /// Runs steps 1 and 2 of the cycle.
    ///
    /// # Errors
    /// The billing server's refusal, or one made by the host on the way.
    pub fn send(self) -> Result<StatusCode, Refusal> {
        gate::billing::request(self.operation, self.quantity.get(), &self.nonce.0).map(|handle| StatusCode { handle })
    }
}

/// What ties a grant to one event of the guest's: at most 64 bytes, and empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// The contract's bound, in bytes.
    pub const LONGEST: usize = 64;
}

impl TryFrom<&[u8]> for Nonce {
    type Error = NonceTooLong;

    fn try_from(bytes: &[u8]) -> Result<Self, NonceTooLong> {
        if bytes.len() > Self::LONGEST {
            return Err(NonceTooLong);
        }
        Ok(Self(bytes.to_vec()))
    }
}

/// A nonce has more than 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceTooLong;

impl fmt::Display for NonceTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a nonce has at most {} bytes: use a digest of what is longer", Nonce::LONGEST)
    }
}

impl std::error::Error for NonceTooLong {}

/// A billing status code: the server judged that the operation is payable and holds what it costs. Worth nothing
/// until verified; dropped instead, what it holds is released when it expires.
#[derive(Debug)]
#[must_use = "a status code is worth nothing until it is verified"]
pub struct StatusCode {
    handle: gate::billing::StatusCode,
}

impl StatusCode {
    /// Has the billing server verify the code: step 3 of the cycle. The code is spent whatever the answer is; the
    /// host repeats the request by itself where the network fails.
    ///
    /// # Errors
    /// The billing server's refusal, or one made by the host on the way.
    pub fn verify(self) -> Result<Grant, Refusal> {
        gate::billing::StatusCode::verify(self.handle).map(|handle| Grant { handle })
    }
}

/// The proof that an operation was verified. Dropping it ends the use of what it opened.
#[derive(Debug)]
pub struct Grant {
    handle: gate::billing::Grant,
}

impl Grant {
    /// The operation that it is for.
    #[must_use]
    pub fn operation(&self) -> String {
        self.handle.operation()
    }

    /// What bounds it, as the server signed it.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.handle.limits()
    }

    /// Until when new calls may begin: seconds since 1970-01-01 UTC, server time.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.handle.expires()
    }

    /// The signed grant document: a JWS in compact serialisation (RFC 7515) signed with EdDSA (RFC 8037). It holds no
    /// key, and no identity of the account or the terminal.
    #[must_use]
    pub fn document(&self) -> String {
        self.handle.document()
    }

    /// Opens a part that the grant releases, for as long as the grant is held and in force.
    ///
    /// # Errors
    /// There is no such part, the grant does not release it or has ended, or the part is damaged.
    pub fn open(&self, part: &str) -> Result<Part<'_>, VaultError> {
        gate::vault::open(&self.handle, part).map(part::under)
    }
}

/// For a world of the publisher's own that passes grants on.
impl From<gate::billing::Grant> for Grant {
    fn from(handle: gate::billing::Grant) -> Self {
        Self { handle }
    }
}
