//! However much an account holds, what is asked of it costs the same, and its lists are read page by page.

use crate::database::{Of, Place};
use crate::world::{Machine, World, count, fresh, order_request, reason};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{OrderId, Reason};
use portcullis_server::Core;
use portcullis_server::billing::entitlement::EntitlementId;
use portcullis_server::billing::orders;
use portcullis_server::crypto::secrets::{random, rng};
use portcullis_server::store::{
    AccountPage, GoodsKind, RefundOutcome, SettleOutcome, Settlement, Sqlite, SqliteOptions, Store, work,
};
use rusqlite::{Connection, TransactionBehavior};

/// Entitlements that an account is stuffed with.
const MANY: u32 = 20_000;

/// Gives an account entitlements to `resize` of so many uses each, all of them used up but for `left`.
fn stuff(world: &World, machine: &Machine, uses: u32, left: u32) {
    let Place::File(path) = world.database() else { panic!("steps are SQLite's") };
    let mut db = Connection::open(path).expect("the file");
    // What writes has to wait for its turn when it begins.
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
    let publisher: Vec<u8> = tx.query_row("SELECT id FROM publishers", [], |row| row.get(0)).expect("lumen");
    let first: i64 = tx
        .query_row(
            "SELECT coalesce(max(place), 0) FROM entitlements WHERE account = ?1",
            [machine.account.as_bytes()],
            |row| row.get(0),
        )
        .expect("a number");
    for number in 0..MANY {
        tx.prepare_cached(
            "INSERT INTO entitlements (id, account, publisher, name, operation, rights, total, used, since, place)
             VALUES (?1, ?2, ?3, 'alpine-lake', 'resize', ?4, ?5, ?6, 0, ?7)",
        )
        .expect("prepared")
        .execute((
            random::<16>(),
            machine.account.as_bytes(),
            &publisher,
            format!("{{\"model\":\"uses\",\"count\":{uses}}}"),
            uses,
            uses - left,
            first + i64::from(number) + 1,
        ))
        .expect("inserted");
    }
    tx.commit().expect("committed");
}

/// Steps of the database that something takes.
async fn steps<T>(of: impl Future<Output = T>) -> (u64, T) {
    let before = work().steps;
    let result = of.await;
    (work().steps - before, result)
}

#[tokio::test]
async fn receipts_and_top_ups_are_read_page_by_page() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    for _ in 0..7 {
        world.buy(&machine, "resize").await;
    }
    let store = &world.core.store;
    let (mut all, mut page) = (Vec::new(), 0);
    loop {
        let read =
            store.receipts(&machine.account, GoodsKind::Rights, AccountPage::new(page, 3)).await.expect("a page");
        all.extend(read.rows);
        match read.next {
            Some(next) => page = next,
            None => break,
        }
    }
    let whole = store.receipts(&machine.account, GoodsKind::Rights, AccountPage::new(0, 100)).await.expect("a page");
    assert_eq!((all.len(), &all, whole.next), (7, &whole.rows, None));
    let paid_in = store.receipts(&machine.account, GoodsKind::TopUp, AccountPage::new(0, 100)).await.expect("a page");
    assert!(paid_in.rows.is_empty());
}

/// An order as it stands when its provider has said yes twice: both were pending.
async fn settle(core: &Core, order: &OrderId) {
    let settlement =
        Settlement::Paid { entitlement: EntitlementId(Octets(*order.as_bytes())), receipt: "a receipt".into() };
    assert!(matches!(core.store.settle_order(order, settlement, None).await, Ok(SettleOutcome::Order(_))));
}

#[tokio::test]
async fn what_does_not_run_out_is_held_once_however_often_it_was_ordered() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let offer = world.offer("view").await.1;
    let ids: Vec<OrderId> = (0..20_u64).map(|n| OrderId::generate(crate::world::now_ms() + n, &mut rng())).collect();
    for (place, id) in (1_i64..).zip(&ids) {
        world.database().change(
            // As if their buyer had confirmed each.
            "INSERT INTO orders (id, account, offer_digest, provider, created_at, changed_at, place, again)
             VALUES (?1, ?2, ?3, 'sandbox', 0, 0, ?4, 1)",
            &[
                Of::Blob(id.as_bytes()),
                Of::Blob(machine.account.as_bytes()),
                Of::Blob(offer.as_bytes()),
                Of::Int(place),
            ],
        );
    }
    // Two processes settle them at once.
    let second = world.second().await;
    for pair in ids.chunks(2) {
        tokio::join!(settle(&world.core, &pair[0]), settle(&second, &pair[1]));
    }
    let held = "SELECT count(*) FROM entitlements WHERE revoked_at IS NULL";
    assert_eq!(count(&world, held), 1);
    world.run(&machine, "view").await.expect("granted");

    // Each was paid for: the rights last until the last of them is paid back.
    for id in &ids {
        world.run(&machine, "view").await.expect("another order stands behind it");
        assert!(matches!(world.core.store.begin_refund(id).await, Ok((RefundOutcome::Done(_), _))));
        assert!(count(&world, held) <= 1);
    }
    assert_eq!(count(&world, held), 0);
    assert_eq!(reason(world.authorise(&machine, &world.ask("view", 1)).await), Reason::EntitlementRevoked);
}

/// What only SQLite can tell: the steps of a statement, and older databases.
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn an_account_stuffed_with_entitlements_is_asked_as_quickly_as_any() {
        let world = World::new().await;
        let (slim, stuffed) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
        for machine in [&slim, &stuffed] {
            world.buy(machine, "resize").await;
        }
        // Used up, of one use each, and of two: only the ten that were bought carry a quantity of three, and nothing
        // eleven.
        stuff(&world, &stuffed, 5, 0);
        stuff(&world, &stuffed, 1, 1);
        stuff(&world, &stuffed, 2, 2);
        let ask = |quantity| world.ask("resize", quantity);
        for quantity in [1, 2, 3, 11] {
            let (few, _) = steps(world.authorise(&slim, &ask(quantity))).await;
            let (many, held) = steps(world.authorise(&stuffed, &ask(quantity))).await;
            assert_eq!(held.is_ok(), quantity != 11, "{quantity}");
            assert!(many < few + 4_000, "{quantity}: {few} steps for one entitlement, {many} for {MANY} and more");
        }
        let (few, bought) = steps(orders::order(
            &world.core,
            &stuffed.asker,
            &order_request(world.offer("resize").await.1, "ok"),
            &fresh(&"again"),
        ))
        .await;
        bought.expect("bought");
        assert!(few < 4_000, "{few} steps for an order");
    }

    #[tokio::test]
    async fn every_page_of_a_long_list_costs_the_same_and_none_is_shown_twice() {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        stuff(&world, &machine, 1, 1);
        let store = &world.core.store;
        let (mut page, mut seen, mut most) = (0, std::collections::HashSet::new(), 0);
        let mut pages = 0;
        loop {
            let (took, read) = steps(store.entitlements(&machine.account, AccountPage::new(page, 500))).await;
            let read = read.expect("a page");
            most = most.max(took);
            for entitlement in &read.rows {
                assert!(seen.insert(entitlement.id), "shown twice");
            }
            pages += 1;
            // Somebody buys meanwhile: what comes after does not move.
            world.buy(&machine, "resize").await;
            match read.next {
                Some(next) => page = next,
                None => break,
            }
        }
        assert_eq!((seen.len(), pages), (MANY as usize, 40));
        assert!(most < 30_000, "{most} steps for 500 rows");
    }

    /// A database from before: what was ordered for good four times is held once, its grant and its holds by that one.
    #[tokio::test]
    async fn what_was_held_several_times_is_merged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.db");
        let db = Connection::open(&path).expect("a file");
        db.execute_batch(include_str!("../../src/store/sqlite/schema.sql")).expect("schema 1");
        db.execute_batch(include_str!("../../src/store/sqlite/metered.sql")).expect("schema 2");
        db.execute_batch(
            "PRAGMA user_version = 2;
             INSERT INTO accounts VALUES (x'01', x'01', x'01', '', 0, 0, NULL);
             INSERT INTO publishers VALUES (x'02', 'lumen', x'00', x'01', 0);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)
             INSERT INTO entitlements (id, account, publisher, name, operation, rights, total, since)
                 SELECT unhex(printf('%032x', i)), x'01', x'02', 'dusk', 'view', '{\"model\":\"perpetual\"}', NULL, 0 FROM n;
             INSERT INTO entitlements (id, account, publisher, name, operation, rights, total, since)
                 VALUES (x'09', x'01', x'02', 'dusk', 'print', '{\"model\":\"uses\",\"count\":2}', 2, 0),
                        (x'0a', x'01', x'02', 'dusk', 'print', '{\"model\":\"uses\",\"count\":2}', 2, 0);
             INSERT INTO authorisations (code, account, terminal, binding, resource, operation, rights, entitlement, quantity,
                                         units, expires_at)
                 VALUES (x'0b', x'01', x'00', x'00', x'00', 'view', '', unhex(printf('%032x', 3)), 1, 0, 9e15);",
        )
        .expect("rows");
        drop(db);
        let store = Sqlite::open(SqliteOptions::new(&path)).expect("migrated");
        store.close().await.expect("closed");
        let db = Connection::open(&path).expect("the file");
        let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
        assert_eq!(
            one("SELECT count(*) FROM entitlements WHERE operation = 'view' AND id = unhex(printf('%032x', 1))"),
            1
        );
        assert_eq!(one("SELECT count(*) FROM entitlements"), 3, "packs of uses add up and stay");
        assert_eq!(one("SELECT count(*) FROM authorisations WHERE entitlement = unhex(printf('%032x', 1))"), 1);
        assert_eq!(one("SELECT count(DISTINCT place) FROM entitlements"), 3);
    }
}
