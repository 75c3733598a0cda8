//! Slots for uploads. A slot is held at the pace of whoever uploads, so there are several, and nobody has them all: an
//! account has a second one only while half of them are free, and one that nothing comes through is given back
//! (`http/body.rs`).

use crate::http::places::{Held, Place, Places};
use crate::http::rate::TooMany;
use portcullis_protocol::AccountId;
use std::sync::Arc;

/// Seconds after which an upload may be tried again when there is no slot.
const RETRY: u32 = 10;

/// The uploads under way in this process.
#[derive(Debug)]
pub struct Uploads {
    most: usize,
    per_account: usize,
    running: Arc<Places<AccountId>>,
}

impl Uploads {
    /// So many at once, and so many of one account, each at least one. Once half of all are taken, each account has
    /// one.
    #[must_use]
    pub fn new(most: usize, per_account: usize) -> Self {
        Self { most: most.max(1), per_account: per_account.max(1), running: Places::new() }
    }

    /// The right to upload one file. Dropping it gives it back.
    pub(crate) fn begin(&self, account: &AccountId) -> Result<Place<AccountId>, TooMany> {
        self.running.enter(*account, |held| self.allow(held)).ok_or(TooMany { retry_after: RETRY })
    }

    const fn allow(&self, held: Held) -> bool {
        let is_scarce = held.all >= self.most.div_ceil(2);
        held.all < self.most && held.own < self.per_account && (held.own == 0 || !is_scarce)
    }
}

#[test]
fn no_account_has_all_the_slots() {
    let account = |number: u8| AccountId::from_bytes([number; 16]);
    let uploads = Uploads::new(3, 2);
    let first = uploads.begin(&account(1)).expect("a slot");
    let _second = uploads.begin(&account(1)).expect("a slot");
    assert_eq!(uploads.begin(&account(1)).map(drop), Err(TooMany { retry_after: RETRY }));
    let _other = uploads.begin(&account(2)).expect("another account's");
    assert!(uploads.begin(&account(3)).is_err(), "all are taken");
    drop(first);
    drop(uploads.begin(&account(3)).expect("given back"));
}

#[test]
fn few_accounts_do_not_take_the_slots_from_all_others() {
    let account = |number: u8| AccountId::from_bytes([number; 16]);
    let uploads = Uploads::new(8, 2);
    let begin = |number| uploads.begin(&account(number));
    // Four accounts want as many as they can have.
    let held: Vec<Place<AccountId>> = (1..=4).chain(1..=4).filter_map(|number| begin(number).ok()).collect();
    assert_eq!(held.len(), 4, "each has one");
    let _others: Vec<Place<AccountId>> =
        (5..=8).map(|number| begin(number).expect("a slot for everybody else")).collect();
    assert!(begin(9).is_err(), "the control: all are taken");
    // While nobody else wants any, an account has two.
    let alone = Uploads::new(8, 2);
    let _two = [(); 2].map(|()| alone.begin(&account(1)).expect("a slot"));
    assert!(alone.begin(&account(1)).is_err());
}
