//! A double of the host, for a guest's own tests: no server, no terminal, no wasm.
//!
//! A test says what the account holds and what the parts contain, installs the double for its thread, calls the
//! guest's functions and looks at what they asked for. The double follows the contract: a code is verified once, a
//! grant opens only the parts of its operation, a held grant covers a request without a nonce, rights run out.
//!
//! ```
//! use portcullis_guest::testing::{Double, Event};
//! use portcullis_guest::{Money, Offer, Refusal, VaultError, billing};
//!
//! let offer = Offer {
//!     id: "o1".into(), title: "Full picture, for good".into(), price: Money::new(199, "EUR"),
//!     model: "perpetual".into(), quantity: None,
//! };
//! let double = Double::new()
//!     .part("preview", *b"small")
//!     .part("full", *b"large")
//!     .operation("preview", &["preview"])
//!     .operation("view", &["full"])
//!     .refuse("view", Refusal::PaymentRequired(vec![offer]))
//!     .enter("preview")
//!     .install();
//!
//! // A call of an export that the manifest maps to `preview`.
//! let entry = billing::entry();
//! assert_eq!(entry.open("full").unwrap_err(), VaultError::NotGranted);
//! assert_eq!(billing::request("view").unwrap_err().offers().len(), 1);
//!
//! // The user buys.
//! double.allow("view");
//! let grant = billing::request("view")?.verify()?;
//! assert_eq!(grant.open("full").unwrap().read_all(100).unwrap(), b"large");
//! assert!(double.events().contains(&Event::Verified { operation: "view".into() }));
//! # Ok::<(), Refusal>(())
//! ```

#[cfg(feature = "check-grant")]
mod documents;
mod host;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::{Rc, Weak};

#[cfg(feature = "check-grant")]
pub use documents::{ServerDouble, Tampering};
#[cfg(feature = "bills")]
pub use host::bills;
pub use host::{billing, vault};

use crate::{Limits, Refusal};

thread_local! {
    /// Tests run on threads of their own, so each has its own double.
    static INSTALLED: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// A scripted host. Build it, then [`install`](Double::install) it.
#[derive(Debug, Default)]
pub struct Double {
    state: Rc<RefCell<State>>,
}

/// What a guest asked of its host, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Steps 1 and 2 of the cycle, whatever the answer.
    Requested {
        /// The operation that was named.
        operation: String,
        /// How many units.
        quantity: u32,
        /// The nonce, empty for none.
        nonce: Vec<u8>,
    },
    /// Step 3, with a grant as the answer.
    Verified {
        /// The operation of the grant.
        operation: String,
    },
    /// A part was opened.
    Opened {
        /// The operation of the grant that released it.
        operation: String,
        /// The part's name.
        part: String,
    },
    /// The host was asked for bytes of a part.
    Read {
        /// The part's name.
        part: String,
        /// From where on.
        offset: u64,
        /// How many at most.
        length: u32,
    },
    /// A grant was dropped.
    Released {
        /// The operation of the grant.
        operation: String,
    },
}

/// The state behind a double and all its handles.
#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<String, Operation>,
    parts: BTreeMap<String, Stored>,
    entry: Option<String>,
    /// Grants that verification gave and the guest has not dropped yet.
    held: Vec<Weak<Verified>>,
    events: Vec<Event>,
    /// Who signs the documents of grants.
    #[cfg(feature = "check-grant")]
    server: Option<ServerDouble>,
    /// The bills of each mailbox that the user has handed over.
    #[cfg(feature = "bills")]
    mailboxes: Vec<(String, Vec<bills::Bill>)>,
    #[cfg(feature = "bills")]
    today: Option<bills::Date>,
}

/// What the account may do, and how the server answers.
#[derive(Debug, Default)]
struct Operation {
    parts: Vec<String>,
    limits: Limits,
    /// Units left, where they are counted.
    left: Option<u64>,
    drawn: u64,
    refusal: Option<Refusal>,
    refusal_at_verification: Option<Refusal>,
    /// Grants issued so far have ended.
    ended: u64,
}

#[derive(Debug)]
struct Stored {
    bytes: Rc<[u8]>,
    damaged: bool,
}

/// A grant as the double keeps it.
#[derive(Debug)]
struct Verified {
    operation: String,
    nonce: Vec<u8>,
    /// [`Operation::ended`] when it was issued: in force while the two agree.
    issued: u64,
    state: Rc<RefCell<State>>,
}

/// A scripted host that answers on this thread until it is dropped.
#[derive(Debug)]
#[must_use = "the double is taken away again when this is dropped"]
pub struct Installed {
    double: Double,
}

impl Double {
    /// A host without parts, operations or rights. Calls run under the operation `entry` until
    /// [`enter`](Self::enter) says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an asset part in the clear.
    #[must_use]
    pub fn part(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let stored = Stored { bytes: bytes.into().into(), damaged: false };
        self.state.borrow_mut().parts.insert(name.to_owned(), stored);
        self
    }

    /// Adds an operation that the account may do, and the parts that its grant releases.
    #[must_use]
    pub fn operation(self, name: &str, parts: &[&str]) -> Self {
        self.with(name, |operation| {
            operation.parts = parts.iter().map(|part| (*part).to_owned()).collect();
        });
        self
    }

    /// Bounds how many units of an operation the account holds. With none left the answer is
    /// [`Refusal::EntitlementExhausted`].
    #[must_use]
    pub fn units(self, operation: &str, units: u64) -> Self {
        self.with(operation, |operation| operation.left = Some(units));
        self
    }

    /// What the grants of an operation say about their bounds.
    #[must_use]
    pub fn limits(self, operation: &str, limits: Limits) -> Self {
        self.with(operation, |operation| operation.limits = limits);
        self
    }

    /// Refuses requests of an operation, from the start. [`allow`](Self::allow) ends it.
    #[must_use]
    pub fn refuse(self, operation: &str, refusal: Refusal) -> Self {
        self.with(operation, |operation| operation.refusal = Some(refusal));
        self
    }

    /// Grants a status code for an operation, then refuses to verify it. [`allow`](Self::allow) ends it.
    #[must_use]
    pub fn refuse_verification(self, operation: &str, refusal: Refusal) -> Self {
        self.with(operation, |operation| operation.refusal_at_verification = Some(refusal));
        self
    }

    /// The operation that the manifest maps the called exports to: calls run under its grant.
    #[must_use]
    pub fn enter(self, operation: &str) -> Self {
        self.with(operation, |_| {});
        self.state.borrow_mut().entry = Some(operation.to_owned());
        self
    }

    /// Makes every read of a part fail as damaged.
    ///
    /// # Panics
    /// If there is no such part.
    #[must_use]
    pub fn damaged(self, part: &str) -> Self {
        self.state
            .borrow_mut()
            .parts
            .get_mut(part)
            .unwrap_or_else(|| panic!("the double has no part `{part}`"))
            .damaged = true;
        self
    }

    /// Hands over a mailbox with these bills, in this order.
    #[cfg(feature = "bills")]
    #[must_use]
    pub fn mailbox(self, name: &str, bills: Vec<bills::Bill>) -> Self {
        self.state.borrow_mut().mailboxes.push((name.to_owned(), bills));
        self
    }

    /// The day on which bills are handed over. Without it, 2026-01-01.
    #[cfg(feature = "bills")]
    #[must_use]
    pub fn today(self, today: bills::Date) -> Self {
        self.state.borrow_mut().today = Some(today);
        self
    }

    /// Lets the guest's calls on this thread reach this double.
    ///
    /// # Panics
    /// If another one is installed on this thread.
    pub fn install(self) -> Installed {
        INSTALLED.with_borrow_mut(|installed| {
            assert!(installed.is_none(), "another double is installed on this thread: drop it first");
            *installed = Some(Rc::clone(&self.state));
        });
        Installed { double: self }
    }

    /// Ends the refusals of an operation: the user has paid, or the network is back.
    pub fn allow(&self, operation: &str) {
        self.with(operation, |operation| {
            operation.refusal = None;
            operation.refusal_at_verification = None;
        });
    }

    /// Ends every grant of an operation that was issued so far.
    pub fn expire(&self, operation: &str) {
        self.with(operation, |operation| operation.ended += 1);
    }

    /// How many units of an operation were debited.
    #[must_use]
    pub fn drawn(&self, operation: &str) -> u64 {
        self.state.borrow().operations.get(operation).map_or(0, |operation| operation.drawn)
    }

    /// What the guest asked for so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.state.borrow().events.clone()
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Operation)) {
        change(self.state.borrow_mut().operations.entry(name.to_owned()).or_default());
    }
}

impl Deref for Installed {
    type Target = Double;

    fn deref(&self) -> &Double {
        &self.double
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        INSTALLED.with_borrow_mut(|installed| *installed = None);
    }
}

/// The double of this thread.
///
/// # Panics
/// If there is none: outside wasm, the billing server is a double or nothing.
fn installed() -> Rc<RefCell<State>> {
    INSTALLED.with_borrow(|installed| {
        installed.clone().expect(
            "no double is installed on this thread: outside wasm, call \
             portcullis_guest::testing::Double::new()…install() first and keep what it returns",
        )
    })
}
