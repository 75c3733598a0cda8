//! The bare minimum that a cycle cannot do without: its cryptography, and its rows on the disk.

use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::age::FileKey;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{ReleasePublicKey, ReleaseSecretKey, SecretKey, release};
use portcullis_server::crypto::secrets::rng;
use rusqlite::{Connection, params};
use std::hint::black_box;
use std::path::Path;

/// Bytes of a proof, of a grant and of the two answers, as they are signed.
const SIGNED: [usize; 4] = [640, 980, 420, 2200];
/// Cycles of one transaction.
const TOGETHER: u64 = 64;

/// The cryptography of a cycle: two proofs are verified, a grant and two answers signed, keys of two parts sealed.
pub(crate) struct Cryptography {
    terminal: SecretKey,
    server: SecretKey,
    release: ReleasePublicKey,
    texts: [Vec<u8>; 4],
    proof: Octets<64>,
    keys: [FileKey; 2],
}

impl Cryptography {
    pub(crate) fn new() -> Self {
        let (terminal, server) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
        let texts = SIGNED.map(|length| vec![b'x'; length]);
        let proof = terminal.sign(&texts[0]);
        let keys = [FileKey::generate(&mut rng()), FileKey::generate(&mut rng())];
        let release = ReleaseSecretKey::generate(&mut rng()).public();
        Self { terminal, server, release, texts, proof, keys }
    }

    /// So many cycles of it.
    pub(crate) fn run(&self, repetitions: u32) -> Result<()> {
        let [proof, grant, ..] = &self.texts;
        let compact = std::str::from_utf8(grant)?;
        let named = [("full", &self.keys[0]), ("body", &self.keys[1])];
        for _ in 0..repetitions {
            for _ in 0..2 {
                self.terminal.public().verify(black_box(proof), &self.proof)?;
            }
            for text in &self.texts[1..] {
                black_box(self.server.sign(black_box(text)));
            }
            black_box(release::seal(&self.release, compact, &named, &mut rng())?);
        }
        Ok(())
    }
}

/// A copy of a server's database, and the rows of cycles written into it one after the other, 64 cycles to a
/// transaction: no request, no answer, no check.
pub(crate) struct RawCycles {
    db: Connection,
    next: u64,
    account: Vec<u8>,
    terminal: Vec<u8>,
    entitlement: Vec<u8>,
    resource: Vec<u8>,
    publisher: Vec<u8>,
}

impl RawCycles {
    /// Copies the database of a server that has customers.
    pub(crate) fn of(database: &Path, copy: &Path) -> Result<Self> {
        let source = Connection::open(database)?;
        let path = copy.to_str().context("a path that is not UTF-8")?;
        source.execute("VACUUM INTO ?1", [path])?;
        let db = Connection::open(copy)?;
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;")?;
        db.set_prepared_statement_cache_capacity(32);
        let row = |sql: &str| db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0));
        let entitlement = row("SELECT id FROM entitlements LIMIT 1")?;
        let account = row("SELECT account FROM entitlements LIMIT 1")?;
        let terminal =
            db.query_row("SELECT id FROM terminals WHERE account = ?1", [&account], |row| row.get::<_, Vec<u8>>(0))?;
        let (resource, publisher) = (row("SELECT digest FROM resources")?, row("SELECT publisher FROM resources")?);
        Ok(Self { next: 0, account, terminal, entitlement, resource, publisher, db })
    }

    /// So many transactions.
    pub(crate) fn run(&mut self, transactions: u32) -> Result<()> {
        for _ in 0..transactions {
            self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for _ in 0..TOGETHER {
                self.next += 1;
                self.write()?;
            }
            self.db.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    /// How many cycles are in a transaction.
    pub(crate) const fn together() -> f64 {
        TOGETHER as f64
    }

    /// The rows of one cycle.
    fn write(&self) -> Result<()> {
        let Self { db, next, account, terminal, entitlement, resource, publisher } = self;
        // As the server's: they begin with the time.
        let mut id = [1_u8; 16];
        id[8..].copy_from_slice(&next.to_be_bytes());
        let digest = [7_u8; 32];
        let (compact, keys, key) = ("g".repeat(980), "k".repeat(330), format!("{next:022}"));
        let now = 1_800_000_000_000_i64 + i64::try_from(*next)?;
        let authorised = db
            .prepare_cached(
                "INSERT INTO authorisations (code, account, terminal, binding, resource, operation, rights, entitlement,
                     quantity, units, expires_at, cost) VALUES (?1, ?2, ?3, ?4, ?5, 'view', '{}', ?6, 1, 0, ?7, 0)",
            )?
            .execute(params![id, account, terminal, digest, resource, entitlement, now])?;
        let answer = "INSERT INTO answers (scope, key, request, kind, subject, at, ends_at)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
        db.prepare_cached(answer)?.execute(params![terminal, key, digest, 1, id, now])?;
        let sql = "UPDATE authorisations SET state = 1 WHERE code = ?1 AND state = 0";
        let consumed = db.prepare_cached(sql)?.execute([id])?;
        let sql =
            "UPDATE grants SET state = 2 WHERE terminal = ?1 AND resource = ?2 AND operation = 'view' AND state = 0";
        db.prepare_cached(sql)?.execute(params![terminal, resource])?;
        let sql = "INSERT INTO pairwise (account, publisher, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        db.prepare_cached(sql)?.execute(params![account, publisher, id])?;
        let granted = db
            .prepare_cached(
                "INSERT INTO grants (id, code, terminal, resource, operation, entitlement, compact, nonce, keys, expires_at)
                 VALUES (?1, ?1, ?2, ?3, 'view', ?4, ?5, ?1, ?6, ?7)",
            )?
            .execute(params![id, terminal, resource, entitlement, compact, keys, now])?;
        db.prepare_cached(answer)?.execute(params![terminal, format!("v{key}"), digest, 2, id, now])?;
        let sql = "INSERT INTO log (at, kind, account, terminal, subject) VALUES (?1, 'granted', ?2, ?3, ?4)";
        db.prepare_cached(sql)?.execute(params![now, account, terminal, id])?;
        ensure!([authorised, consumed, granted] == [1, 1, 1], "a row was not written");
        Ok(())
    }
}
