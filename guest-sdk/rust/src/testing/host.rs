//! The double behind the names of the contract: the signatures that bindings of `portcullis:gate` have.

/// `portcullis:gate/billing`, answered by the double.
pub mod billing {
    use std::rc::Rc;

    use crate::testing::{Event, State, Verified, installed};
    use crate::{Limits, Refusal};

    /// The expiry that every grant of the double has: 2100-01-01 UTC.
    const EXPIRES: u64 = 4_102_444_800;

    /// The operation of the calls for which no test has named one.
    const UNNAMED_ENTRY: &str = "entry";

    /// A billing status code of the double.
    #[derive(Debug)]
    pub struct StatusCode {
        draw: Draw,
    }

    #[derive(Debug)]
    enum Draw {
        /// Stands for a grant that is held already.
        Nothing(Rc<Verified>),
        Units {
            operation: String,
            quantity: u64,
            nonce: Vec<u8>,
        },
    }

    /// A grant of the double.
    #[derive(Debug)]
    pub struct Grant {
        pub(super) verified: Rc<Verified>,
    }

    /// See `portcullis:gate/billing.request`.
    ///
    /// # Errors
    /// What the test scripted.
    ///
    /// # Panics
    /// Where a host would trap: a quantity of 0, a nonce of more than 64 bytes.
    pub fn request(operation: &str, quantity: u32, nonce: &[u8]) -> Result<StatusCode, Refusal> {
        assert!(quantity > 0 && nonce.len() <= 64, "the contract wants a quantity of 1 or more and a short nonce");
        let shared = installed();
        let mut state = shared.borrow_mut();
        state.events.push(Event::Requested { operation: operation.to_owned(), quantity, nonce: nonce.to_vec() });
        if nonce.is_empty()
            && let Some(held) = held(&state, operation)
        {
            return Ok(StatusCode { draw: Draw::Nothing(held) });
        }
        let account = state.operations.get(operation).ok_or(Refusal::OperationUnknown)?;
        if let Some(refusal) = &account.refusal {
            return Err(refusal.clone());
        }
        let quantity = u64::from(quantity);
        if account.left.is_some_and(|left| left < quantity) {
            return Err(Refusal::EntitlementExhausted);
        }
        Ok(StatusCode { draw: Draw::Units { operation: operation.to_owned(), quantity, nonce: nonce.to_vec() } })
    }

    /// See `portcullis:gate/billing.entry`.
    #[must_use]
    pub fn entry() -> Grant {
        let shared = installed();
        let state = shared.borrow();
        let operation = state.entry.as_deref().unwrap_or(UNNAMED_ENTRY).to_owned();
        let issued = state.operations.get(&operation).map_or(0, |operation| operation.ended);
        drop(state);
        Grant { verified: Rc::new(Verified { operation, nonce: Vec::new(), issued, state: shared }) }
    }

    /// A grant in force that the guest holds for an operation, from verification and not made with a nonce.
    fn held(state: &State, operation: &str) -> Option<Rc<Verified>> {
        let current = state.operations.get(operation)?.ended;
        state
            .held
            .iter()
            .filter_map(std::rc::Weak::upgrade)
            .find(|held| held.operation == operation && held.nonce.is_empty() && held.issued == current)
    }

    impl StatusCode {
        /// See `portcullis:gate/billing.status-code.verify`.
        ///
        /// # Errors
        /// What the test scripted.
        pub fn verify(code: Self) -> Result<Grant, Refusal> {
            let (operation, quantity, nonce) = match code.draw {
                Draw::Nothing(verified) => return Ok(Grant { verified }),
                Draw::Units { operation, quantity, nonce } => (operation, quantity, nonce),
            };
            let shared = installed();
            let mut state = shared.borrow_mut();
            let account = state.operations.get_mut(&operation).ok_or(Refusal::OperationUnknown)?;
            if let Some(refusal) = &account.refusal_at_verification {
                return Err(refusal.clone());
            }
            // Two codes may have been requested while there was enough for one.
            if let Some(left) = &mut account.left {
                *left = left.checked_sub(quantity).ok_or(Refusal::EntitlementExhausted)?;
            }
            account.drawn += quantity;
            let verified = Rc::new(Verified {
                operation: operation.clone(),
                nonce,
                issued: account.ended,
                state: Rc::clone(&shared),
            });
            state.held.retain(|held| held.strong_count() > 0);
            state.held.push(Rc::downgrade(&verified));
            state.events.push(Event::Verified { operation });
            Ok(Grant { verified })
        }
    }

    impl Grant {
        /// See `portcullis:gate/billing.grant.operation`.
        #[must_use]
        pub fn operation(&self) -> String {
            self.verified.operation.clone()
        }

        /// See `portcullis:gate/billing.grant.limits`.
        #[must_use]
        pub fn limits(&self) -> Limits {
            let state = self.verified.state.borrow();
            state.operations.get(&self.verified.operation).map_or_else(Limits::default, |operation| operation.limits)
        }

        /// See `portcullis:gate/billing.grant.expires`.
        #[must_use]
        pub fn expires(&self) -> u64 {
            EXPIRES
        }

        /// See `portcullis:gate/billing.grant.document`. Unless a test gave the double a server, it signs nothing:
        /// three segments that say so.
        #[must_use]
        pub fn document(&self) -> String {
            #[cfg(feature = "check-grant")]
            if let Some(server) = &self.verified.state.borrow().server {
                return server.grant(&self.verified.operation, &self.verified.nonce, EXPIRES);
            }
            format!("test.{}.unsigned", self.verified.operation)
        }
    }

    impl Drop for Verified {
        fn drop(&mut self) {
            let operation = self.operation.clone();
            self.state.borrow_mut().events.push(Event::Released { operation });
        }
    }
}

/// `portcullis:gate/vault`, answered by the double.
pub mod vault {
    use std::rc::{Rc, Weak};

    use super::billing::Grant;
    use crate::VaultError;
    use crate::testing::{Event, Verified};

    /// What the double gives at once: less than a host may, so that a guest that expects everything in one call is
    /// found out.
    const LARGEST_READ: usize = 100_000;

    /// An open part of the double.
    #[derive(Debug)]
    pub struct Part {
        name: String,
        bytes: Rc<[u8]>,
        grant: Weak<Verified>,
    }

    /// See `portcullis:gate/vault.open`.
    ///
    /// # Errors
    /// As the contract has them, from what the test scripted.
    pub fn open(grant: &Grant, name: &str) -> Result<Part, VaultError> {
        let verified = &grant.verified;
        let mut state = verified.state.borrow_mut();
        let stored = state.parts.get(name).ok_or(VaultError::NoSuchPart)?;
        let bytes = Rc::clone(&stored.bytes);
        let operation = state
            .operations
            .get(&verified.operation)
            .filter(|operation| operation.parts.iter().any(|part| part == name))
            .ok_or(VaultError::NotGranted)?;
        if operation.ended != verified.issued {
            return Err(VaultError::Expired);
        }
        state.events.push(Event::Opened { operation: verified.operation.clone(), part: name.to_owned() });
        Ok(Part { name: name.to_owned(), bytes, grant: Rc::downgrade(verified) })
    }

    impl Part {
        /// See `portcullis:gate/vault.part.size`.
        #[must_use]
        pub fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        /// See `portcullis:gate/vault.part.read`.
        ///
        /// # Errors
        /// The grant has ended or was dropped, or the part is damaged.
        pub fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, VaultError> {
            let grant = self.grant.upgrade().ok_or(VaultError::Expired)?;
            let mut state = grant.state.borrow_mut();
            state.events.push(Event::Read { part: self.name.clone(), offset, length });
            let in_force =
                state.operations.get(&grant.operation).is_some_and(|operation| operation.ended == grant.issued);
            if !in_force {
                return Err(VaultError::Expired);
            }
            if state.parts.get(&self.name).is_none_or(|stored| stored.damaged) {
                return Err(VaultError::Damaged);
            }
            drop(state);
            let start = usize::try_from(offset).map_or(self.bytes.len(), |offset| offset.min(self.bytes.len()));
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(LARGEST_READ);
            let end = start.saturating_add(length).min(self.bytes.len());
            Ok(self.bytes[start..end].to_vec())
        }
    }
}

/// `portcullis:gate/bills`, answered by the double.
#[cfg(feature = "bills")]
pub mod bills {
    pub use crate::gate::reader::portcullis::gate::bills::{
        Bill, BillsError, Date, Level, Money, Page, Period, Remark,
    };

    use crate::testing::installed;

    /// The most that one page has, as `wit/bills.wit` says.
    const MAX_PAGE: u32 = 100;

    /// See `portcullis:gate/bills.mailboxes`.
    #[must_use]
    pub fn mailboxes() -> Vec<String> {
        installed().borrow().mailboxes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// See `portcullis:gate/bills.read`.
    ///
    /// # Errors
    /// [`BillsError::NoSuchMailbox`] if the test has put no bills there.
    pub fn read(mailbox: &str, after: Option<&str>, at_most: u32) -> Result<Page, BillsError> {
        let shared = installed();
        let state = shared.borrow();
        let (_, bills) = state.mailboxes.iter().find(|(name, _)| name == mailbox).ok_or(BillsError::NoSuchMailbox)?;
        // The cursors of the double count bills.
        let known = after.map(|after| after.parse::<usize>().ok().filter(|at| *at <= bills.len()));
        let start = known.flatten().unwrap_or(0);
        let end = bills.len().min(start + at_most.clamp(1, MAX_PAGE) as usize);
        Ok(Page {
            bills: bills[start..end].to_vec(),
            next: end.to_string(),
            more: end < bills.len(),
            reset: known == Some(None),
            today: state.today.unwrap_or(Date { year: 2026, month: 1, day: 1 }),
        })
    }
}
