//! What nothing needs any more leaves, and nothing that money or a lost answer needs.

use crate::world::{World, count, keyed};
use portcullis_protocol::wire::VerificationRequest;
use portcullis_server::billing::cycle;

const DAY: i64 = 24 * 3600;

#[tokio::test]
async fn a_free_cycle_leaves_after_a_week_and_a_paid_one_after_a_month() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    for operation in ["preview", "resize"] {
        let request = world.ask(operation, 1);
        let key = keyed(&format!("{operation}-1"), &request);
        let code = cycle::authorise(&world.core, &machine.asker, &request, &key).await.expect("held");
        let request = VerificationRequest { code: code.code, request };
        let key = keyed(&format!("{operation}-2"), &request);
        cycle::verify(&world.core, &machine.asker, &request, &key).await.expect("granted");
    }
    let rows = |of: &str| {
        let sql = |table: &str| format!("SELECT count(*) FROM {table} WHERE operation = '{of}'");
        (count(&world, &sql("authorisations")), count(&world, &sql("grants")))
    };
    let answers = || count(&world, "SELECT count(*) FROM answers");
    assert_eq!((rows("preview"), rows("resize"), answers()), ((1, 1), (1, 1), 5), "with the order's own");
    let sweep = async |days: i64| {
        world.core.clock.advance(days * DAY);
        world.core.store.sweep().await.expect("swept");
    };
    sweep(6).await;
    assert_eq!((rows("preview"), rows("resize"), answers()), ((1, 1), (1, 1), 5));
    sweep(2).await;
    assert_eq!((rows("preview"), rows("resize"), answers()), ((0, 0), (1, 1), 3));
    // 30 days after it was paid for, what was lost can still be asked for.
    sweep(22).await;
    assert_eq!((rows("resize"), answers()), ((1, 1), 3));
    sweep(2).await;
    assert_eq!((rows("resize"), answers()), ((0, 0), 1), "the order's answer stays");
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 1);
    assert_eq!(count(&world, "SELECT used FROM entitlements WHERE operation = 'resize'"), 1);
    assert!(count(&world, "SELECT count(*) FROM ledger") >= 3);
    assert!(count(&world, "SELECT count(*) FROM log") > 0);
    sweep(400).await;
    assert_eq!(count(&world, "SELECT count(*) FROM log"), 0);
    assert_eq!(world.remaining(&machine, "resize").await, 9, "and what was bought is still there");
}

#[tokio::test]
async fn one_sweep_takes_everything_that_is_due_in_small_transactions() {
    let world = World::new().await;
    world.database().change(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO answers (scope, key, request, kind, body, at, ends_at)
             SELECT x'00000000000000000000000000000000', CAST(i AS TEXT), x'00', 4, '{}', 0, i FROM n",
        &[],
    );
    world.core.store.sweep().await.expect("swept");
    assert_eq!(count(&world, "SELECT count(*) FROM answers"), 0);
}
