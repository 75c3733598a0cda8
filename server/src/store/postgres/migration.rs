//! Brings the schema of a database up to date, one process at a time.

use super::address::DatabaseAddress;
use super::connection::{Begin, Connection};
use crate::ops::clock::Clock;
use crate::store::StoreError;
use crate::store::database::{Locks as _, Statements as _, TxResult};

/// What each version of the schema adds to the one before, with its number. Versions have the numbers that they have in
/// SQLite: the first one here is the whole schema as it was when there was a second database.
const MIGRATIONS: &[(i64, &str)] = &[
    (13, include_str!("schema.sql")),
    (14, include_str!("audit.sql")),
    (15, include_str!("figures.sql")),
    (16, include_str!("effects.sql")),
    (17, include_str!("codes.sql")),
    (18, include_str!("lanes.sql")),
    (19, include_str!("step_up.sql")),
    (20, include_str!("bounds.sql")),
    (21, include_str!("catching_up.sql")),
    (22, include_str!("adoptions.sql")),
    (23, include_str!("open_orders.sql")),
    (24, include_str!("backlogs.sql")),
    (25, include_str!("payment_events.sql")),
    (26, include_str!("published_bytes.sql")),
];
/// The lock under which it is done: the first letters of the product's name.
const LOCK: i64 = 0x706f_7274_6375_6c6c;
/// The oldest PostgreSQL that this server was tried with, as `server_version_num` has it.
const OLDEST: i64 = 150_000;

fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, _)| *number)
}

/// Makes the schema if there is none and that is wanted, or adds what is new. It takes as long as it needs, and whoever
/// comes meanwhile waits as long: what holds for every other transaction would end it, at every start again.
pub(super) fn migrate(db: &Connection, create: bool, address: &str) -> Result<(), StoreError> {
    let failed = |error: crate::store::database::TxError| error.into_store_error("migration");
    is_fit(db, address)?;
    db.begin(Begin::Write).map_err(failed)?;
    db.unhurried().map_err(failed)?;
    db.run("SET LOCAL lock_timeout = 0").map_err(failed)?;
    db.run(&format!("SELECT pg_advisory_xact_lock({LOCK})")).map_err(failed)?;
    let found = version(db).map_err(failed)?;
    let known = known();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == 0 && !create {
        return Err(StoreError::Missing(address.to_owned()));
    }
    if found == 0
        && let Some(found) = occupant(db).map_err(failed)?
    {
        return Err(StoreError::Occupied { address: address.to_owned(), found });
    }
    if found < known {
        for (_, migration) in MIGRATIONS.iter().filter(|(number, _)| *number > found) {
            db.run(migration).map_err(failed)?;
        }
        db.run(&format!("UPDATE schema_version SET number = {known}")).map_err(failed)?;
    }
    db.commit().map_err(failed)
}

impl DatabaseAddress {
    /// The version of the schema at this address, 0 if there is none, beside the one that this program makes. Changes
    /// nothing.
    pub(crate) fn schema(&self) -> Result<(i64, i64), StoreError> {
        let address = self.clone();
        // The driver waits on a runtime of its own, which a thread of another runtime cannot.
        let look = move || {
            let db = Connection::open(&address, &Clock::system())?;
            version(&db).map_err(|error| error.into_store_error("open"))
        };
        let failed = |cause: String| StoreError::Backend { what: "open", cause };
        let looking = std::thread::Builder::new().name("store-open".into()).spawn(look);
        let looking = looking.map_err(|error| failed(error.to_string()))?;
        Ok((looking.join().unwrap_or_else(|_| Err(failed("a panic".into())))?, known()))
    }
}

/// Whether it is a database that a server can work on.
fn is_fit(db: &Connection, address: &str) -> Result<(), StoreError> {
    let failed = |error: crate::store::database::TxError| error.into_store_error("open");
    let sql = "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding'),
                      pg_is_in_recovery()";
    let mut found = None;
    db.rows(sql, &[], &mut |row| {
        found = Some((row.get::<i64>(0)?, row.get::<String>(1)?, row.get::<bool>(2)?));
        Ok(false)
    })
    .map_err(failed)?;
    let unfit = |cause: String| Err(StoreError::Unreachable { address: address.to_owned(), cause });
    match found {
        Some((version, _, _)) if version < OLDEST => unfit("PostgreSQL 15 or newer is needed".into()),
        Some((_, encoding, _)) if encoding != "UTF8" => {
            unfit(format!("the database's encoding is {encoding}: make one with ENCODING 'UTF8'"))
        }
        Some((_, _, true)) => unfit("it is a standby, which cannot be written: connect to the primary".into()),
        _ => Ok(()),
    }
}

/// A table, or the like, that is where the tables of a new server would be. What an extension brings is not counted.
fn occupant(db: &Connection) -> TxResult<Option<String>> {
    let sql = "SELECT relname::TEXT FROM pg_class
               WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
                 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
                 AND NOT EXISTS (SELECT FROM pg_depend
                                 WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
               ORDER BY relkind = 'S', relname LIMIT 1";
    let mut found = None;
    db.rows(sql, &[], &mut |row| {
        found = Some(row.get(0)?);
        Ok(false)
    })?;
    Ok(found)
}

/// The version of the schema; 0 if there is none. Other programs have tables of this name as well.
pub(super) fn version(db: &Connection) -> TxResult<i64> {
    let mut exists = false;
    let sql = "SELECT EXISTS (SELECT FROM pg_attribute
                              WHERE attrelid = to_regclass('schema_version') AND attname = 'number')";
    db.rows(sql, &[], &mut |row| {
        exists = row.get(0)?;
        Ok(false)
    })?;
    let mut number = 0;
    if exists {
        db.rows("SELECT number FROM schema_version", &[], &mut |row| {
            number = row.get(0)?;
            Ok(false)
        })?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::{Begin, Clock, Connection, LOCK, migrate};
    use crate::store::database::Statements as _;
    use portcullis_fixtures::postgres::cluster;
    use std::time::{Duration, Instant};

    /// Nothing is made among the tables of somebody else, whatever they are called.
    #[test]
    fn a_new_server_wants_an_empty_database() {
        let refused = |sql: &str, create: bool| {
            let address = cluster().database().parse().expect("an address");
            let db = Connection::open(&address, &Clock::default()).expect("a connection");
            db.run(sql).expect("run");
            migrate(&db, create, "postgres://here").map_err(|error| error.to_string())
        };
        for (sql, found) in [
            ("CREATE TABLE accounts (n BIGINT)", "`accounts`"),
            ("CREATE TABLE notes (n BIGINT GENERATED ALWAYS AS IDENTITY)", "`notes`"),
            ("CREATE VIEW seen AS SELECT 1", "`seen`"),
            ("CREATE TABLE schema_version (version TEXT)", "`schema_version`"),
        ] {
            let said = refused(sql, true).expect_err("not empty");
            assert!(said.contains(found) && said.contains("postgres://here is not empty"), "{said}");
            let said = refused(sql, false).expect_err("no server");
            assert!(said.contains("does not contain a server"), "{said}");
        }
        // What another schema has is in nobody's way.
        refused("CREATE SCHEMA other; CREATE TABLE other.accounts (n BIGINT)", true).expect("empty");
    }

    /// A large database takes longer to bring up to date than any other transaction may.
    #[test]
    fn no_limit_of_other_transactions_ends_a_migration_or_who_waits_for_it() {
        let address = cluster().database().parse().expect("an address");
        let open = || Connection::open(&address, &Clock::default()).expect("a connection");
        let (first, second) = (open(), open());
        second.run("SET lock_timeout = '100ms'; SET statement_timeout = '100ms'").expect("set");
        first.begin(Begin::Write).expect("begun");
        first.run(&format!("SELECT pg_advisory_xact_lock({LOCK})")).expect("at work");
        let begun = Instant::now();
        let waiting = std::thread::spawn(move || {
            let migrated = migrate(&second, true, "here");
            (migrated, second)
        });
        std::thread::sleep(Duration::from_secs(1));
        first.commit().expect("done");
        let (migrated, second) = waiting.join().expect("ended");
        migrated.expect("it waited, and went on");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        // What comes after it has its limits again.
        let refused = second.run("SELECT pg_sleep(1)").expect_err("too long");
        assert!(format!("{refused:?}").contains("timeout"), "{refused:?}");
        let mut tables = 0;
        let sql = "SELECT count(*) FROM pg_tables WHERE tablename IN ('orders', 'accounts')";
        let counted = first.rows(sql, &[], &mut |row| {
            tables = row.get::<i64>(0)?;
            Ok(false)
        });
        counted.expect("counted");
        assert_eq!(tables, 2);
    }
}
