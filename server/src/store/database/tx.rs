//! A transaction as rules see it.

use super::{Row, TxError, TxResult, Value};
use crate::ops::clock::Timestamp;
use crate::store::database::value::Params;
use crate::store::wakes::Wake;
use portcullis_protocol::{AccountId, PublisherName, TerminalId};
use sha2::{Digest as _, Sha256};
use std::cell::{Cell, RefCell};

/// Runs statements in one transaction. Parameters are `?1`, `?2`, …
pub(crate) trait Statements {
    /// Changes rows. Returns how many.
    fn change(&self, sql: &str, values: &[Value<'_>]) -> TxResult<usize>;

    /// Hands each row that is found over, until it is not wanted any more.
    fn rows(&self, sql: &str, values: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> TxResult<bool>) -> TxResult<()>;

    /// Waits for the lock of this number, until the end of the transaction. `None`: transactions that write run one
    /// after the other anyway.
    fn locks(&self) -> Option<&dyn Locks>;
}

/// Advisory locks of a transaction.
pub(crate) trait Locks {
    /// Waits for the lock of this number, and holds it until the end of the transaction.
    ///
    /// Returns the moment at which it got it.
    fn lock(&self, number: i64) -> TxResult<Timestamp>;

    /// From now on the transaction may take as long as it needs, for each statement and between them.
    fn unhurried(&self) -> TxResult<()>;

    /// Waits for every transaction that looked whose database it is, and has others wait that look, until the end of
    /// the transaction.
    fn hold_identity(&self) -> TxResult<()>;
}

/// What transactions that check before they write take first, so that what they found still holds when they commit. In
/// this order, so that none waits for one that waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lock<'a> {
    /// A repeatable request: who begins it, and who writes for it.
    Request(&'a [u8; 16], &'a str),
    /// Leases that are taken, renewed and given back.
    Leases,
    /// Everything of an account: its rights, balances, orders, terminals and sign-ins.
    Account(&'a AccountId),
    /// What a publisher sells: its key, versions and offers.
    Publisher(&'a PublisherName),
    /// The effects that are claimed.
    Effects,
    /// Endpoints of webhooks, and their keys.
    Endpoints,
    /// What is on sale, and who is in good standing to sell.
    Catalogue,
    /// Sign-in names.
    Names,
    /// The server's own keys.
    Keys,
    /// The audit log: who appends to it, after everything else.
    Audit,
}

impl Lock<'_> {
    const fn rank(self) -> u8 {
        match self {
            Self::Request(..) => 1,
            Self::Leases => 2,
            Self::Account(_) => 3,
            Self::Publisher(_) => 4,
            Self::Effects => 5,
            Self::Endpoints => 6,
            Self::Catalogue => 7,
            Self::Names => 8,
            Self::Keys => 9,
            Self::Audit => 10,
        }
    }

    /// The number of the lock. Two that are equal by chance wait for each other, and no more.
    fn number(self) -> i64 {
        let mut hash = Sha256::new_with_prefix([self.rank()]);
        match self {
            Self::Request(scope, key) => {
                hash.update(scope);
                hash.update(key);
            }
            Self::Account(id) => hash.update(id.as_bytes()),
            Self::Publisher(name) => hash.update(name.as_str()),
            Self::Leases
            | Self::Effects
            | Self::Endpoints
            | Self::Catalogue
            | Self::Names
            | Self::Keys
            | Self::Audit => {}
        }
        let [a, b, c, d, e, f, g, h, ..] = hash.finalize().0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// What a transaction's work sees: the transaction, and the moment at which it runs.
pub(crate) struct Tx<'a> {
    statements: &'a dyn Statements,
    /// The highest lock that it has.
    highest: Cell<u8>,
    /// The accounts whose locks it has.
    accounts: RefCell<Vec<AccountId>>,
    now: Cell<Timestamp>,
    /// Whether it has changed a row.
    has_changed: Cell<bool>,
    /// Who is told once it is committed.
    wakes: RefCell<Vec<Wake>>,
}

impl<'a> Tx<'a> {
    /// An open transaction.
    pub(crate) fn new(statements: &'a dyn Statements, now: Timestamp) -> Self {
        let (highest, has_changed) = (Cell::new(0), Cell::new(false));
        let (accounts, wakes) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        Self { statements, highest, accounts, now: Cell::new(now), has_changed, wakes }
    }

    /// The moment, by the database's clock. Whoever waited for a lock has the moment at which he got it: what was done
    /// before him was done earlier.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Has somebody told, once this transaction is committed.
    pub(crate) fn wake(&self, wake: Wake) {
        self.wakes.borrow_mut().push(wake);
    }

    /// Who is to be told.
    pub(crate) fn into_wakes(self) -> Vec<Wake> {
        self.wakes.into_inner()
    }

    /// Takes a lock, which is higher than those that the transaction has. Of several accounts the one with the lower
    /// identifier comes first. One that turns out to be wanted too late is a conflict: the transaction is run again,
    /// and finds it in time.
    pub(crate) fn lock(&self, lock: Lock<'_>) -> TxResult<()> {
        if let Lock::Account(account) = lock {
            let mut accounts = self.accounts.borrow_mut();
            if accounts.contains(account) {
                return Ok(());
            }
            if accounts.iter().any(|held| held.as_bytes() > account.as_bytes()) {
                return Err(TxError::Conflict("an account was locked out of order".into()));
            }
            accounts.push(*account);
        }
        debug_assert!(self.highest.get() <= lock.rank(), "{lock:?} is taken out of order");
        self.highest.set(lock.rank());
        if let Some(locks) = self.statements.locks() {
            self.now.set(locks.lock(lock.number())?);
        }
        Ok(())
    }

    /// For what reads or writes everything: no statement of this transaction, and no pause in it, takes too long.
    pub(crate) fn unhurried(&self) -> TxResult<()> {
        self.statements.locks().map_or(Ok(()), |session| session.unhurried())
    }

    /// For a change of the master key: what was written for the old one is committed, and no more of it is begun.
    pub(crate) fn hold_identity(&self) -> TxResult<()> {
        self.statements.locks().map_or(Ok(()), |session| session.hold_identity())
    }

    /// Takes the lock of an account that has to be found first. Whose a row is never changes.
    pub(crate) fn lock_account_of(&self, find: impl FnOnce(&Self) -> TxResult<Option<AccountId>>) -> TxResult<()> {
        match self.statements.locks().is_some().then(|| find(self)).transpose()?.flatten() {
            Some(account) => self.lock(Lock::Account(&account)),
            None => Ok(()),
        }
    }

    /// Takes the lock of a publisher that has to be found first.
    pub(crate) fn lock_publisher_of(
        &self,
        find: impl FnOnce(&Self) -> TxResult<Option<PublisherName>>,
    ) -> TxResult<()> {
        match self.statements.locks().is_some().then(|| find(self)).transpose()?.flatten() {
            Some(publisher) => self.lock(Lock::Publisher(&publisher)),
            None => Ok(()),
        }
    }

    /// Whether it has changed a row.
    pub(crate) const fn has_changed(&self) -> bool {
        self.has_changed.get()
    }

    /// Changes rows. Returns how many.
    pub(crate) fn change(&self, sql: &str, params: impl Params) -> TxResult<usize> {
        params.with(|values| self.change_values(sql, values))
    }

    /// The row there is, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> TxResult<T>,
    ) -> TxResult<Option<T>> {
        let (mut map, mut found) = (Some(map), None);
        let mut each = |row: &Row<'_>| {
            if let Some(map) = map.take() {
                found = Some(map(row)?);
            }
            Ok(false)
        };
        params.with(|values| self.statements.rows(sql, values, &mut each))?;
        self.may_have_changed(sql, found.is_some());
        Ok(found)
    }

    /// Changes rows, with values whose types are not known here.
    pub(crate) fn change_values(&self, sql: &str, values: &[Value<'_>]) -> TxResult<usize> {
        let changed = self.statements.change(sql, values)?;
        self.has_changed.set(self.has_changed.get() || changed > 0);
        Ok(changed)
    }

    /// Hands every row over as it comes.
    pub(crate) fn each(&self, sql: &str, mut each: impl FnMut(&Row<'_>) -> TxResult<()>) -> TxResult<()> {
        self.statements.rows(sql, &[], &mut |row| each(row).map(|()| true))
    }

    /// Every row.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> TxResult<T>,
    ) -> TxResult<Vec<T>> {
        let mut found = Vec::new();
        let mut each = |row: &Row<'_>| {
            found.push(map(row)?);
            Ok(true)
        };
        params.with(|values| self.statements.rows(sql, values, &mut each))?;
        self.may_have_changed(sql, !found.is_empty());
        Ok(found)
    }

    /// A statement that returned rows: it changed them unless it is a question.
    fn may_have_changed(&self, sql: &str, has_rows: bool) {
        if has_rows && !sql.trim_start().starts_with("SELECT") && !sql.trim_start().starts_with("WITH") {
            self.has_changed.set(true);
        }
    }

    /// Writes to the log.
    pub(crate) fn log(
        &self,
        kind: &str,
        account: Option<&AccountId>,
        terminal: Option<&TerminalId>,
        subject: &[u8],
    ) -> TxResult<()> {
        let account = account.map(AccountId::as_bytes);
        let terminal = terminal.map(TerminalId::as_bytes);
        self.change(
            "INSERT INTO log (at, kind, account, terminal, subject) VALUES (?1, ?2, ?3, ?4, ?5)",
            (self.now().millis(), kind, account, terminal, subject),
        )?;
        Ok(())
    }
}
